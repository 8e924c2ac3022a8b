//! The real binary, started and stopped by tests.

use super::PATIENCE;
use nunchi::config::Config;
use nunchi_model::WeightFormat;
use nunchi_model::rnn::Cell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// `nunchi run` as a process of its own; killed when it is dropped.
pub struct Process {
    pub child: Child,
    log: Arc<Mutex<String>>,
    out: Arc<Mutex<String>>,
    collectors: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts it on `topics` with a small random model in `folder`, and `settings` as `section.key=value`.
    pub fn start(config: &Config, folder: &Path, settings: &[&str]) -> Self {
        let model = random_model(folder, 7);
        Process::start_with(config, &["--model", model.to_str().expect("the path is UTF-8")], settings)
    }

    /// Starts it on `topics` with `arguments`, which say where its model comes from.
    pub fn start_with(config: &Config, arguments: &[&str], settings: &[&str]) -> Self {
        Process::start_under(&[], config, arguments, settings)
    }

    /// As [`Process::start_with`], by the program and the arguments of `launcher`, which are followed by the command.
    pub fn start_under(launcher: &[&str], config: &Config, arguments: &[&str], settings: &[&str]) -> Self {
        let program = [launcher, &[env!("CARGO_BIN_EXE_nunchi")]].concat();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        command.env_remove("NUNCHI__REGISTRY__URL");
        command.args(["run", "--http", "127.0.0.1:0", "--brokers", &config.kafka.brokers]);
        command.args(["--group", &config.kafka.group, "--input", &config.input.topic]);
        command.args(["--output", &config.output.topic, "--dead-letters", &config.dead_letters.topic]);
        command.args(arguments);
        let defaults = ["kafka.consumer.session.timeout.ms=1500", "kafka.consumer.heartbeat.interval.ms=300"];
        for setting in defaults.iter().chain(settings) {
            command.args(["--set", setting]);
        }
        Self::spawn(command)
    }

    /// Starts `nunchi` with `arguments`, and no settings from this environment.
    pub fn nunchi(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__"))
        {
            command.env_remove(name);
        }
        command.args(arguments);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (log, errors) = collect(child.stderr.take().unwrap());
        let (out, results) = collect(child.stdout.take().unwrap());
        Process { child, log, out, collectors: vec![errors, results] }
    }

    /// What it has said on standard output so far.
    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    /// The JSON objects among it, one a line.
    pub fn objects(&self) -> Vec<serde_json::Value> {
        self.out().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end: exit status and the JSON objects on standard output.
    pub fn end_with_objects(mut self) -> (Option<i32>, Vec<serde_json::Value>, String) {
        let status = self.wait();
        (status, self.objects(), self.log())
    }

    /// Waits for the end: exit status, standard output, standard error.
    pub fn end_with_out(mut self) -> (Option<i32>, String, String) {
        let status = self.wait();
        (status, self.out(), self.log())
    }

    fn wait(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // The last lines are still on their way.
                self.collectors.drain(..).for_each(|collector| collector.join().unwrap());
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "the process does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
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
        let status = self.wait();
        (status, self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Gathers the lines of a stream.
fn collect(stream: impl std::io::Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let lines = Arc::new(Mutex::new(String::new()));
    let collector = std::thread::spawn({
        let lines = Arc::clone(&lines);
        move || {
            let stream = BufReader::new(stream);
            stream.lines().map_while(Result::ok).for_each(|line| *lines.lock().unwrap() += &(line + "\n"));
        }
    });
    (lines, collector)
}

/// The file of a small model with random weights.
pub fn random_model(folder: &Path, seed: u64) -> std::path::PathBuf {
    let model = folder.join(format!("random-{seed}.safetensors"));
    if !model.exists() {
        nunchi_model::testing::model(Cell::Gru, seed).save(&model, WeightFormat::F32).unwrap();
    }
    model
}
