//! `nunchi train`, the real binary, stopped, killed and out of room: from its checkpoint it comes to the same model, byte by byte.

#![allow(clippy::unwrap_used)]

mod needs;

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const GOOD: [&str; 6] = ["추천해요", "좋아요", "만족해요", "튼튼해요", "예뻐요", "훌륭해요"];
const BAD: [&str; 6] = ["별로예요", "아까워요", "실망이에요", "약해요", "더러워요", "고장나요"];
const SMALL: [[&str; 2]; 10] = [
    ["--name", "same"],
    ["--vocabulary", "400"],
    ["--hidden", "16"],
    ["--embedding", "16"],
    ["--batch", "8"],
    ["--epochs", "4"],
    ["--patience", "0"],
    ["--threads", "2"],
    ["--word-dropout", "0.1"],
    ["--checkpoint-every", "0"],
];
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with data, and the models that are made of it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(TempDir::new().unwrap());
        place.write_data("train.tsv", 6_000);
        place.write_data("dev.tsv", 60);
        place
    }

    fn write_data(&self, name: &str, rows: usize) {
        let mut content = String::from("label\ttext\n");
        for row in 0..rows {
            let mixed = row.wrapping_mul(2_654_435_761) >> 7;
            let (good, bad) = (GOOD[mixed % 6], BAD[mixed / 6 % 6]);
            let (label, first, last) = if row % 2 == 0 { (1, bad, good) } else { (0, good, bad) };
            writeln!(content, "{label}\t{first} {} 하지만 {last}", mixed % 97).unwrap();
        }
        std::fs::write(self.path(name), content).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// `nunchi train` of a small network, with a checkpoint as often as there can be one; 4 epochs of 750 steps.
    fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        command.current_dir(self.0.path()).args(["train", "train.tsv", "--dev", "dev.tsv", "--out", out]);
        for flag in SMALL.iter().filter(|flag| !more.contains(&flag[0])) {
            command.args(flag);
        }
        command.arg("--no-report").args(more);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn start(&self, out: &str, more: &[&str]) -> Running {
        let log = self.path(&format!("{out}.log"));
        let child = self.command(out, more).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        Running { child, log }
    }

    /// Trains to the end; what was said.
    fn train(&self, out: &str, more: &[&str]) -> String {
        let (status, said) = self.start(out, more).end();
        assert_eq!(status, Some(0), "{said}");
        said
    }

    /// Fails with `status` and says `what`.
    fn fails(&self, out: &str, more: &[&str], status: i32, what: &str) {
        let (ended, said) = self.start(out, more).end();
        assert_eq!(ended, Some(status), "{said}");
        assert!(said.contains(what), "`{what}` is not in: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// A training that goes on.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn said(&self) -> String {
        let mut bytes = Vec::new();
        std::fs::File::open(&self.log).unwrap().read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `seen`; false if the process ended before.
    fn wait_until(&mut self, mut seen: impl FnMut(&Self) -> bool) -> bool {
        let begin = Instant::now();
        while !seen(self) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begin.elapsed() < PATIENCE, "it takes too long:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Sends SIGINT once a line with `what` was said, and waits for the end.
    fn interrupt_after(self, what: &str) -> (Option<i32>, String) {
        self.signal_after("INT", what)
    }

    /// Sends a signal once a line with `what` was said, and waits for the end.
    fn signal_after(mut self, signal: &str, what: &str) -> (Option<i32>, String) {
        assert!(self.wait_until(|running| running.said().contains(what)), "{}", self.said());
        let signal = format!("-{signal}");
        let kill = Command::new("kill").args([&signal, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        self.end()
    }

    /// The exit status, `None` if a signal ended it, and what was said.
    fn end(mut self) -> (Option<i32>, String) {
        self.wait_until(|_| false);
        let status = self.child.wait().unwrap();
        (status.code(), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What changes when a file is written anew and renamed.
fn identity(path: &Path) -> Option<(u64, i64, i64)> {
    path.metadata().ok().map(|found| (found.ino(), found.mtime(), found.mtime_nsec()))
}

/// Ten times SIGKILL: some moments after the start, while data is read or training begins, or after a checkpoint of its own and
/// some moments more. `whole` is how long an undisturbed training takes: all moments together are less than that on any machine,
/// however quick. False if the training came to its end all the same.
fn kill_ten_times(place: &Place, out: &str, more: &[&str], whole: Duration) -> bool {
    let checkpoint = place.path(&format!("{out}.checkpoint"));
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for time in 0..10 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moments = whole.mul_f64((random >> 33) as f64 / f64::from(1_u32 << 31) / 15.0);
        let before = identity(&checkpoint);
        let mut running = place.start(out, more);
        // The first and every third at any moment.
        if time % 3 != 0 {
            running.wait_until(|_| identity(&checkpoint) != before);
        }
        std::thread::sleep(moments);
        running.child.kill().unwrap();
        let (ended, said) = running.end();
        // Before the signal only a training ends that has succeeded; its model may be there while it still runs.
        assert!(matches!(ended, None | Some(0)), "{ended:?}: {said}");
        if ended.is_some() || place.path(out).exists() {
            return false;
        }
    }
    // What a kill in the middle of writing leaves.
    std::fs::write(place.path(&format!("{out}.checkpoint.part")), b"half of a checkp").unwrap();
    true
}

fn ten_kills_change_nothing(more: &[&str]) {
    let place = Place::new();
    let begin = Instant::now();
    let said = place.train("whole.safetensors", more);
    let took = begin.elapsed();
    assert!(!said.contains("continuing from"), "{said}");
    let whole = place.read("whole.safetensors");
    assert!(!place.path("whole.safetensors.checkpoint").exists(), "a finished training needs no checkpoint");
    // On a machine that stalls the watcher and not the training it may end before it was killed ten times.
    let mut names = (0..20).map(|attempt| format!("killed{attempt}.safetensors"));
    let out =
        names.find(|out| kill_ten_times(&place, out, more, took)).expect("ten kills within one training");
    let said = place.train(&out, more);
    assert!(said.contains("continuing from"), "{said}");
    assert!(place.read(&out) == whole, "ten kills must not change the model");
    for left in [".checkpoint", ".checkpoint.part"] {
        assert!(!place.path(&format!("{out}{left}")).exists(), "{left} is left");
    }
}

#[test]
fn ten_kills_while_classes_are_learned_change_nothing() {
    ten_kills_change_nothing(&[]);
}

#[test]
fn ten_kills_while_tokens_and_classes_are_learned_change_nothing() {
    ten_kills_change_nothing(&["--pretrain", "2", "--epochs", "2", "--accumulate", "2", "--batch", "4"]);
}

#[test]
fn an_interrupted_training_leaves_no_model_and_goes_on() {
    let place = Place::new();
    let whole = {
        place.train("whole.safetensors", &[]);
        place.read("whole.safetensors")
    };
    // What was there before stays as it is.
    std::fs::write(place.path("m.safetensors"), b"").unwrap();
    let (status, said) = place.start("m.safetensors", &[]).signal_after("INT", "epoch 1: loss");
    assert_eq!(status, Some(130), "{said}");
    let goes_on = "no model was written; the same command goes on from m.safetensors.checkpoint";
    assert!(said.contains(goes_on), "{said}");
    assert!(place.path("m.safetensors.checkpoint").is_file());
    assert_eq!(place.read("m.safetensors"), b"");

    let said = place.train("m.safetensors", &[]);
    assert!(said.contains("continuing from"), "{said}");
    assert!(place.read("m.safetensors") == whole, "an interruption must not change the model");
    assert!(!place.path("m.safetensors.checkpoint").exists());
}

#[test]
fn a_training_terminated_within_the_first_epoch_leaves_no_model_either() {
    let place = Place::new();
    let more = ["--epochs", "200"];
    let (status, said) = place.start("m.safetensors", &more).signal_after("TERM", "learning classes");
    assert_eq!(status, Some(143), "{said}");
    assert!(!place.path("m.safetensors").exists());
    assert!(place.path("m.safetensors.checkpoint").is_file());
}

#[test]
fn before_classes_are_learned_an_interruption_leaves_no_model() {
    let place = Place::new();
    let more = ["--pretrain", "200"];
    let (status, said) = place.start("m.safetensors", &more).interrupt_after("predicting next tokens");
    assert_eq!(status, Some(130), "{said}");
    assert!(
        said.contains("interrupted after 0 finished epochs: no model was written; the same command goes on from m.safetensors.checkpoint"),
        "{said}"
    );
    assert!(!place.path("m.safetensors").exists());
    assert!(place.path("m.safetensors.checkpoint").is_file());
}

#[test]
fn a_checkpoint_of_another_training_or_a_damaged_one_is_refused() {
    let place = Place::new();
    let whole = {
        place.train("whole.safetensors", &[]);
        place.read("whole.safetensors")
    };
    place.start("m.safetensors", &[]).interrupt_after("epoch 1: loss");
    let another =
        "is the checkpoint of another training (other data, settings or program): --restart begins anew";
    place.fails("m.safetensors", &["--rate", "1e-3"], 1, another);
    place.fails("m.safetensors", &["--hidden", "8"], 1, another);
    place.train("teacher.safetensors", &["--epochs", "1", "--rate", "1e-6"]);
    place.fails("m.safetensors", &["--teacher", "teacher.safetensors"], 1, another);
    place.write_data("more.tsv", 100);
    place.fails("m.safetensors", &["--data", "more.tsv"], 1, another);
    assert!(!place.path("m.safetensors").exists(), "nothing was trained");

    let good = place.read("m.safetensors.checkpoint");
    let middle = good.len() / 2;
    let mut flipped = good.clone();
    flipped[middle] ^= 0x10;
    for bytes in
        [&good[..middle], &good[..good.len() - 1], &flipped[..], &b""[..], &b"no checkpoint at all"[..]]
    {
        std::fs::write(place.path("m.safetensors.checkpoint"), bytes).unwrap();
        place.fails("m.safetensors", &[], 1, "m.safetensors.checkpoint is damaged");
    }
    let said = place.train("m.safetensors", &["--restart"]);
    assert!(!said.contains("continuing from"), "{said}");
    assert!(place.read("m.safetensors") == whole);
}

#[test]
fn a_full_disk_leaves_the_last_good_checkpoint() {
    let Some(way) = needs::own_mounts() else { return };
    let place = Place::new();
    place.train("m.safetensors", &[]);
    let whole = place.read("m.safetensors");
    std::fs::remove_file(place.path("m.safetensors")).unwrap();
    place.start("m.safetensors", &[]).interrupt_after("epoch 2: loss");
    let checkpoint = place.read("m.safetensors.checkpoint");

    // Room for the checkpoint and half of the next one.
    std::fs::create_dir(place.path("small")).unwrap();
    let size = checkpoint.len() * 3 / 2;
    let script = format!(
        "mount -t tmpfs -o size={size} tmpfs small && cp m.safetensors.checkpoint small/ && rm m.safetensors.checkpoint || exit 99
        \"$0\" \"$@\"; status=$?; cp small/* . ; exit $status"
    );
    let train = place.command("small/m.safetensors", &[]);
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", &script]).arg(train.get_program()).args(train.get_args());
    let output = command.current_dir(place.0.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("the disk is full: the checkpoint small/m.safetensors.checkpoint is the last good one"),
        "{said}"
    );
    assert!(place.read("m.safetensors.checkpoint") == checkpoint, "the last good checkpoint stays as it was");
    assert!(!place.path("m.safetensors.checkpoint.part").exists(), "half a file takes no room");

    place.train("m.safetensors", &[]);
    assert!(place.read("m.safetensors") == whole, "a full disk must not change the model");
}
