//! The real binary, started and stopped by tests.

use super::PATIENCE;
use nunchi::config::Config;
use nunchi::model::Precision;
use nunchi::rnn::Cell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// `nunchi run` as a process of its own; killed when it is dropped.
pub struct Process {
    pub child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it on `topics` with a small random model in `folder`, and `settings` as `section.key=value`.
    pub fn start(config: &Config, folder: &Path, settings: &[&str]) -> Self {
        let model = folder.join("random.safetensors");
        if !model.exists() {
            nunchi::model::testing::model(Cell::Gru, 7).save(&model, Precision::F32).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        command.args(["run", "--http", "127.0.0.1:0", "--brokers", &config.kafka.brokers]);
        command.args(["--group", &config.kafka.group, "--input", &config.input.topic]);
        command.args(["--output", &config.output.topic, "--dead-letters", &config.dead_letters.topic]);
        command.arg("--model").arg(&model);
        let defaults = ["kafka.consumer.session.timeout.ms=1500", "kafka.consumer.heartbeat.interval.ms=300"];
        for setting in defaults.iter().chain(settings) {
            command.args(["--set", setting]);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                errors.lines().map_while(Result::ok).for_each(|line| *log.lock().unwrap() += &(line + "\n"))
            }
        });
        Process { child, log }
    }

    /// What it has said on standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line that contains `what`.
    pub fn wait_for_line(&self, what: &str) {
        let start = Instant::now();
        while !self.log().contains(what) {
            assert!(start.elapsed() < PATIENCE, "no line with `{what}` in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end: exit status (`None` if a signal ended it) and everything that it said.
    pub fn end(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The log's last lines are still on their way.
                std::thread::sleep(Duration::from_millis(50));
                return (status.code(), self.log());
            }
            assert!(start.elapsed() < PATIENCE, "the process does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
