//! What commands do when standard output or standard error takes no more: a full disk is an error that is told, a reader that
//! went away is none, and whatever becomes of messages the work goes on. Nothing panics.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

mod needs;

use nunchi_model::rnn::Cell;
use nunchi_model::{WeightFormat, testing};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Commands that print results and end by themselves, with MODEL, STORE, DATA and LINES where these files are.
const PRINTING: &[&[&str]] = &[
    &["bench", "text", "MODEL", "LINES", "--rounds", "1"],
    &["classify", "--model", "MODEL"],
    &["classify", "--model", "MODEL", "--format", "text"],
    &["completions", "bash"],
    &["config", "check"],
    &["evaluate", "MODEL", "DATA"],
    &["evaluate", "MODEL", "DATA", "--json"],
    &["evaluate", "MODEL", "--pairs", "samples/pairs.tsv"],
    &["explain", "좋아요", "--model", "MODEL"],
    &["explain", "좋아요", "--model", "MODEL", "--json"],
    &["generate", "--contrast", "50000"],
    &["models", "list", "--store", "STORE"],
    &["models", "list", "--store", "STORE", "--json"],
    &["models", "show", "v1", "--store", "STORE"],
    &["models", "verify", "--store", "STORE"],
    &["models", "publish", "MODEL", "--store", "STORE"],
    &["models", "prune", "--keep", "0", "--entries", "0", "--dry-run", "--json", "--store", "STORE"],
    &["summary", "MODEL"],
    &["--help"],
    &["--version"],
];

/// A model, a store with two versions of which none is current, labelled data, and lines to classify.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(TempDir::new().unwrap());
        for (name, seed) in [("other.safetensors", 2), ("model.safetensors", 1)] {
            testing::model(Cell::Gru, seed)
                .save(place.0.path().join(name).as_ref(), WeightFormat::F16)
                .unwrap();
            let mut published =
                place.command(&["models", "publish", &place.path(name), "--store", &place.path("store")]);
            assert!(published.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
        }
        let row = |row: u32| format!("0\t별로예요 {row}번 아까워요\n1\t정말 {row}번 좋아요\n");
        let data = "label\ttext\n".to_owned() + &(0..400).map(row).collect::<String>();
        std::fs::write(place.0.path().join("data.tsv"), data).unwrap();
        std::fs::write(place.0.path().join("lines.txt"), "좋아요\n별로예요\n".repeat(500)).unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// `nunchi` with its standard input at the beginning of the lines, and no settings from this environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__"))
        {
            command.env_remove(name);
        }
        command.args(arguments.iter().map(|word| match *word {
            "MODEL" => self.path("model.safetensors"),
            "STORE" => self.path("store"),
            "DATA" => self.path("data.tsv"),
            "LINES" => self.path("lines.txt"),
            word => word.to_owned(),
        }));
        let input = File::open(self.0.path().join("lines.txt")).map_or_else(|_| Stdio::null(), Stdio::from);
        command.stdin(input);
        command
    }
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

/// A pipe whose reader has closed it.
fn closed() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_disk_is_an_error_that_is_told() {
    let place = Place::new();
    for arguments in PRINTING {
        let output = place.command(arguments).stdout(full()).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("nunchi: cannot write to standard output: No space left"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        // Where nothing at all can be said, the status says it.
        let status = place.command(arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_full_tmpfs_is_an_error_that_is_told() {
    let Some(way) = needs::own_mounts() else { return };
    let place = Place::new();
    let folder = place.0.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let lines = || File::open(place.path("lines.txt")).unwrap();
    for arguments in PRINTING {
        let on_it = |redirections: &str| {
            let line = format!("\"$0\" \"$@\" {redirections}");
            let mut command = needs::on_a_full_tmpfs(way, &folder, &place.command(arguments), &line);
            command.stdin(lines()).output().unwrap()
        };
        let output = on_it(">>$full/out");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(
            said.contains("nunchi: cannot write to standard output: No space left"),
            "{arguments:?}: {said}"
        );
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
        // What is only said can be lost.
        let output = on_it("2>>$full/err");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(on_it(">>$full/out 2>>$full/err").status.code(), Some(1), "{arguments:?}");
    }
}

#[test]
fn a_file_on_a_full_tmpfs_is_absent_and_not_empty() {
    let Some(way) = needs::own_mounts() else { return };
    let place = Place::new();
    let folder = place.0.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let (page, drawing, graph, model) =
        (file("r.html"), file("f.svg"), file("g.onnx"), file("m.safetensors"));
    // A drawing is of long comments.
    let long = place.path("long.tsv");
    let row = |label| format!("{label}\t{}\n", "정말 좋아요 ".repeat(60));
    std::fs::write(&long, "label\ttext\n".to_owned() + &[row(0), row(1)].concat().repeat(20)).unwrap();
    let vocabulary = ["--vocabulary", "300", "--hidden", "8", "--embedding", "8", "--epochs", "1"];
    let train = [&["train", "DATA", "--out", &model], &vocabulary[..]].concat();
    let commands: [(&[&str], &str); 5] = [
        (&["evaluate", "MODEL", "DATA", "--report", &page], "cannot write the report"),
        (&["evaluate", "MODEL", &long, "--fading", &drawing], "cannot write "),
        (&["models", "export", "MODEL", "--onnx", &graph], "cannot write "),
        (&["models", "revise", "MODEL", "--out", &model, "--name", "other"], "cannot write "),
        (&train, "the disk is full: the checkpoint"),
    ];
    for (arguments, message) in commands {
        let line = "\"$0\" \"$@\" >/dev/null; status=$?; ls $full; exit $status";
        let output = needs::on_a_full_tmpfs(way, &folder, &place.command(arguments), line).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.starts_with(&format!("nunchi: {message}")), "{arguments:?}: {said}");
        assert!(last.matches("No space left").count() <= 1, "{arguments:?}: {said}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "err\nfilling\nout\n", "{arguments:?}");
    }
}

#[test]
fn a_store_on_a_full_tmpfs_takes_no_half_version() {
    let Some(way) = needs::own_mounts() else { return };
    let place = Place::new();
    let folder = place.0.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let store = folder.join("store").display().to_string();
    let publish = place.command(&["models", "publish", "MODEL", "--store", &store]);
    // With room again: nothing of the first attempt is in the way, and there is one version, which is whole.
    let line = "\"$0\" \"$@\"; status=$?
        rm $full/filling && \"$0\" \"$@\" 2>/dev/null || exit 98
        \"$0\" models verify --store $full/store || exit 97
        \"$0\" models list --store $full/store || exit 96
        exit $status";
    let output = needs::on_a_full_tmpfs(way, &folder, &publish, line).output().unwrap();
    let (said, out) = (said(&output), String::from_utf8(output.stdout.clone()).unwrap());
    assert_eq!(output.status.code(), Some(1), "{said}{out}");
    assert!(said.contains("No space left") && !said.contains("panicked"), "{said}");
    assert!(out.contains("v1") && !out.contains("v2"), "{out}");
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let place = Place::new();
    for arguments in PRINTING {
        let output = place.command(arguments).stdout(closed()).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("cannot write"), "{arguments:?}: {said}");
    }
}

#[test]
fn messages_that_cannot_be_written_change_nothing() {
    let place = Place::new();
    for arguments in PRINTING {
        // Speeds differ from run to run.
        let compared = arguments[0] != "bench";
        let want = place.command(arguments).output().unwrap();
        assert!(want.status.success(), "{arguments:?}: {}", said(&want));
        let to_full = place.command(arguments).stderr(full()).output().unwrap();
        let to_closed = place.command(arguments).stderr(closed()).output().unwrap();
        for got in [to_full, to_closed] {
            assert_eq!(got.status.code(), Some(0), "{arguments:?}");
            assert!(!compared || got.stdout == want.stdout, "{arguments:?}");
        }
    }
    // An error keeps its status too.
    for stderr in [Stdio::from(full()), Stdio::from(closed())] {
        let status = place.command(&["summary", "/no/such/model"]).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(64));
    }
}

#[test]
fn a_training_whose_reader_went_away_makes_its_model() {
    let place = Place::new();
    let train = |out: &str| {
        let out = place.path(out);
        let mut command = place.command(&["train", "DATA", "--out", &out, "--name", "same", "--no-report"]);
        command.args(["--vocabulary", "300", "--hidden", "8", "--embedding", "8", "--epochs", "2"]);
        command.args(["--threads", "1"]).stdin(Stdio::null());
        command
    };
    let whole = train("whole.safetensors").output().unwrap();
    assert!(whole.status.success() && said(&whole).lines().count() > 5, "{}", said(&whole));
    assert!(train("closed.safetensors").stderr(closed()).status().unwrap().success());
    assert!(train("full.safetensors").stderr(full()).status().unwrap().success());
    let read = |name: &str| std::fs::read(Path::new(&place.path(name))).unwrap();
    assert!(read("closed.safetensors") == read("whole.safetensors"));
    assert!(read("full.safetensors") == read("whole.safetensors"));
}

#[test]
fn a_result_is_written_until_its_reader_has_enough() {
    let place = Place::new();
    let mut child =
        place.command(&["generate", "--contrast", "1000000000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 1_000];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    // The pipe is closed: it ends, long before a thousand million.
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(start.starts_with(b"label\ttext\n"));
}

#[test]
fn a_result_that_was_cut_off_is_followed_by_nothing() {
    let place = Place::new();
    let mut small = tempfile::tempfile().unwrap();
    let mut command = Command::new("sh");
    // A file that may have 4 kB; the signal is ignored, so that the process sees an error.
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_nunchi")]);
    let output = command
        .args(["generate", "--contrast", "50000"])
        .stdin(Stdio::null())
        .stdout(small.try_clone().unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    small.rewind().unwrap();
    let mut written = Vec::new();
    small.read_to_end(&mut written).unwrap();
    let whole = place.command(&["generate", "--contrast", "50000"]).output().unwrap().stdout;
    assert!(written.len() < whole.len() && whole.starts_with(&written));
    small.flush().unwrap();
}
