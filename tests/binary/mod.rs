//! The real binary, `nunchi run`, as a process.

#![allow(dead_code, clippy::unwrap_used)] // Shared by several tests; outside of `#[test]` too a failure fails the test.

use crate::admin;
use nunchi_model::WeightFormat;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// `nunchi run` with `arguments`, and no settings from this environment.
pub fn nunchi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NUNCHI__")) {
        command.env_remove(name);
    }
    command.arg("run").args(arguments);
    command
}

/// Exit status and standard error of a run that ends by itself.
pub fn ends(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = nunchi(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// The file of a small random model.
pub fn model_file(folder: &Path) -> String {
    let path = folder.join("random.safetensors");
    admin::random_model(7).save(&path, WeightFormat::F32).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A running `nunchi run`, killed at the end if it still runs.
pub struct Run {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
    pub url: String,
}

impl Run {
    /// Starts it with an admin server on a free port, and waits for the line that says which.
    pub fn start(mut command: Command) -> Self {
        command.args(["--http", "127.0.0.1:0", "--set", "log.format=json"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in errors.lines() {
                // The test may be over.
                let _ = sender.send(line.unwrap());
            }
        });
        let mut run = Run { child, lines, log: Vec::new(), url: String::new() };
        let line = run.wait_for("the admin server listens");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        run.url = format!("http://{}", line["address"].as_str().unwrap());
        run
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn wait_for(&mut self, what: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|error| panic!("no line with `{what}`: {error}: {:#?}", self.log));
            self.log.push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }

    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit status, and everything that was logged.
    pub fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(40);
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if Instant::now() > deadline => panic!("it does not end: {:#?}", self.log),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        // Ends when the process's standard error does.
        self.log.extend(self.lines.iter());
        (status, self.log.join("\n"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
