//! Into a file: complete or absent, also after a kill.

use super::common::{Process, Write, comment, needs, wait_for};
use super::{DAY, JANUARY, Place, fill, last, partition};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The JSON lines of a finished file.
fn lines(path: &Path) -> Vec<serde_json::Value> {
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text).unwrap();
    }
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ids by partition, in the order in which they stand in the file.
fn assert_in_order(mut got: Vec<usize>, want: impl Iterator<Item = usize>) {
    let mut want: Vec<usize> = want.collect();
    want.sort_by_key(|&id| (partition(id), id));
    // Partitions may take turns; within one the order is the topic's.
    got.sort_by_key(|&id| partition(id));
    assert_eq!(got, want);
}

fn to_file(place: &Place, path: &Path, more: &[&str]) -> Process {
    let path = path.display().to_string();
    place.start(&[&["--topic", &place.topics.input, "--to-file", &path], more].concat())
}

fn finish(place: &Place, path: &Path, more: &[&str]) -> Vec<serde_json::Value> {
    let (status, objects, log) = to_file(place, path, more).end_with_objects();
    assert_eq!(status, Some(0), "{log}");
    objects
}

fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

fn ids(lines: &[serde_json::Value]) -> Vec<usize> {
    lines.iter().map(|line| line["id"].as_u64().unwrap() as usize).collect()
}

#[test]
fn a_line_says_what_a_verdict_says_and_where_it_comes_from() {
    let Some(place) = Place::new("lines") else { return };
    let record = |value: Option<Vec<u8>>, key: &[u8]| Write {
        partition: Some(0),
        key: Some(key.to_vec()),
        value,
        timestamp: Some(JANUARY),
        ..Write::default()
    };
    place.kafka.write(
        &place.topics.input,
        [
            record(Some(comment(7, "배송이 빨라요")), b"p-1"),
            record(Some(b"{".to_vec()), b"\xff\x00"),
            record(None, b"p-1"),
        ],
    );
    let path = place.folder.path().join("out.jsonl");
    let objects = finish(&place, &path, &["--id", "lines"]);
    assert_eq!(last(&objects, "finished")["dead_letters"], 1);
    let lines = lines(&path);
    let topic = &place.topics.input;
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["id"], &lines[0]["key"]), (&7.into(), &"p-1".into()));
    assert_eq!(lines[0]["source"], format!("{topic}/0/0"));
    assert_eq!(lines[0]["timestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(lines[0]["replay"], "lines");
    assert!(lines[0]["label"].is_string() && lines[0]["score"].is_number() && lines[0]["model"].is_string());
    assert_eq!(lines[1]["error_class"], "invalid_json");
    assert_eq!(lines[1]["key_base64"], "/wA=");
    assert_eq!((&lines[2]["tombstone"], &lines[2]["source"]), (&true.into(), &format!("{topic}/0/2").into()));

    // A replay of nothing is an empty file that can be read.
    for name in ["none.jsonl", "none.jsonl.gz"] {
        let path = place.folder.path().join(name);
        finish(&place, &path, &["--from", "2030-01-01"]);
        assert_eq!(super::files::lines(&path), Vec::<serde_json::Value>::new());
    }
}

#[test]
fn a_file_is_complete_or_absent_also_after_kills() {
    let Some(place) = Place::new("files") else { return };
    const COUNT: usize = 12_000;
    fill(&place, COUNT, |id| JANUARY + (id as i64 * 31 % 90) * DAY);
    let wanted = |id: &usize| (*id as i64 * 31 % 90) < 31;
    let range = ["--from", "2026-01-01", "--to", "2026-02-01", "--late", "90d"];
    for name in ["out.jsonl", "out.jsonl.gz"] {
        let path = place.folder.path().join(name);
        let id = name.replace('.', "-");
        let slow = [&range[..], &["--id", &id, "--rate", "1000/s", "--workers", "2"]].concat();
        let (part, state) = (beside(&path, ".part"), beside(&path, ".part.json"));
        let offsets = || -> i64 {
            let json = std::fs::read(&state).ok().and_then(|json| serde_json::from_slice(&json).ok());
            let json: serde_json::Value = json.unwrap_or_default();
            json["offsets"]
                .as_object()
                .map_or(0, |all| all.values().filter_map(serde_json::Value::as_i64).sum())
        };
        let mut before = 0;
        for _ in 0..2 {
            let process = to_file(&place, &path, &slow);
            wait_for("offsets that move", || offsets() > before);
            process.kill();
            before = offsets();
            assert!(before < COUNT as i64, "nothing was left to die in");
            assert!(!path.exists() && part.exists(), "half a file has not its name");
            // What a killed process wrote behind its last commit does not count.
            let mut file = std::fs::OpenOptions::new().append(true).open(&part).unwrap();
            std::io::Write::write_all(&mut file, b"{\"half\":").unwrap();
        }
        // Interrupted, it commits and says how to go on.
        let process = to_file(&place, &path, &slow);
        wait_for("offsets that move", || offsets() > before);
        process.signal("INT");
        let (status, objects, log) = process.end_with_objects();
        assert_eq!(status, Some(130), "{log}");
        assert!(last(&objects, "stopped")["go_on"].as_str().unwrap().contains(&id));
        finish(&place, &path, &[&range[..], &["--id", &id]].concat());
        assert_in_order(ids(&lines(&path)), (0..COUNT).filter(wanted));
        assert!(!part.exists() && !state.exists(), "nothing is left beside it");
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        let objects = finish(&place, &path, &[&range[..], &["--id", &id]].concat());
        last(&objects, "already_finished");
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        // Another replay does not write over it.
        let (status, log) = to_file(&place, &path, &range).end();
        assert_eq!(status, Some(64), "{log}");
        assert!(log.contains("exists already"), "{log}");
    }
}

#[test]
fn a_parquet_file_has_a_column_for_each_part_of_a_verdict() {
    let Some(place) = Place::new("parquet") else { return };
    fill(&place, 3_000, |id| JANUARY + id as i64);
    place.kafka.write(&place.topics.input, [Write { partition: Some(1), ..Write::value(*b"poison") }]);
    let path = place.folder.path().join("out.parquet");
    let slow = to_file(&place, &path, &["--id", "parquet", "--rate", "500/s"]);
    wait_for("the plan", || beside(&path, ".part").exists());
    slow.kill();
    assert!(!path.exists());
    finish(&place, &path, &["--id", "parquet"]);
    let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let names: Vec<String> = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| column.name().to_owned())
        .collect();
    let (label, score, class) = (6, 7, 12);
    assert_eq!(
        [&names[1], &names[5], &names[label], &names[score], &names[class]],
        ["source_partition", "id", "label", "score", "error_class"]
    );
    let (mut found, mut poisoned) = (Vec::new(), 0);
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        if row.get_string(class).is_ok() {
            poisoned += 1;
            continue;
        }
        let positive = row.get_string(label).unwrap() == "positive";
        assert_eq!(positive, row.get_double(score).unwrap() >= 0.5);
        found.push(row.get_string(5).unwrap().parse().unwrap());
    }
    assert_eq!(poisoned, 1);
    assert_in_order(found, 0..3_000);
}

#[test]
fn a_disk_that_fills_up_ends_the_replay_and_the_same_command_goes_on() {
    let Some(place) = Place::new("full") else { return };
    let Some(way) = needs::own_mounts() else { return };
    const COUNT: usize = 4_000;
    fill(&place, COUNT, |id| JANUARY + id as i64);
    let (small, whole) = (place.folder.path().join("small"), place.folder.path().join("whole.jsonl"));
    std::fs::create_dir(&small).unwrap();
    let file = small.join("january.jsonl");
    let more = ["--topic", &place.topics.input, "--to-file", file.to_str().unwrap(), "--id", "full"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    command.args(place.arguments(&more)).args(["--set", "worker.batch_records=250"]);
    // Room for a part of the lines.
    let line = format!(
        "truncate -s -200000 $full/filling; \"$0\" \"$@\"; status=$?
        [ -e {file} ] && exit 98
        rm $full/filling; \"$0\" \"$@\" || exit 97
        cp {file} {whole}; exit $status",
        file = file.display(),
        whole = whole.display()
    );
    let output = needs::on_a_full_tmpfs(way, &small, &command, &line).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    assert_in_order(ids(&lines(&whole)), 0..COUNT);
}
