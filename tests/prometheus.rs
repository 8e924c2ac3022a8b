//! Prometheus itself accepts what `/metrics` says: `promtool check metrics`, and a server that scrapes and answers.

mod admin;
mod needs;

use admin::{Server, try_request};
use nunchi::telemetry::{BatchStats, WorkerMetrics};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program of Prometheus, on the path or where `scripts/setup test` unpacks it.
fn program(name: &str) -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/prometheus/usr/bin").join(name);
    let found = if unpacked.is_file() { unpacked } else { PathBuf::from(name) };
    let there = needs::runs(found.to_str()?, &["--version"]);
    if !there {
        needs::lacking("prometheus", &format!("`{name}` is not installed (scripts/setup test does it)"));
    }
    there.then_some(found)
}

/// An admin server whose metrics have a bit of everything.
fn busy_server() -> Server {
    let server = Server::start(Duration::from_secs(60));
    let labels = ["negative".to_owned(), "positive".to_owned()];
    let worker = WorkerMetrics::new(&server.metrics, "comments", &labels, "0123456789ab");
    worker.set_lag(3, 17);
    worker.observe_score(0.75);
    worker.observe_end_to_end(0.02);
    let batch = BatchStats { records_in: [(3, 42)].into(), verdicts: vec![2, 40], ..BatchStats::default() };
    worker.commit(&batch, true);
    server.get("/livez");
    server
}

#[test]
fn promtool_finds_nothing_wrong() {
    let Some(promtool) = program("promtool") else { return };
    let server = busy_server();
    let answer = server.get("/metrics");
    assert!(answer.content_type.starts_with("text/plain; version=0.0.4"), "{}", answer.content_type);
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(answer.text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

#[test]
fn the_shipped_rules_and_scrape_file_are_sound() {
    let Some(promtool) = program("promtool") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus");
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ] {
        let output = Command::new(&promtool).args(arguments).current_dir(&folder).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    }
}

/// A Prometheus server that ends with its value.
struct Prometheus {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[allow(clippy::unwrap_used)] // A failure fails the test.
impl Prometheus {
    fn start(program: &Path, target: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs: [{{ job_name: nunchi, static_configs: [{{ targets: ['{target}'] }}] }}]\n"
        );
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        // Free for the moment; nobody else is likely to take it within milliseconds.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Prometheus { child, url: format!("http://127.0.0.1:{port}"), folder }
    }

    /// The first value of `query`, once there is one.
    fn value(&mut self, query: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        while Instant::now() < deadline {
            let answer = try_request("GET", &format!("{}/api/v1/query?query={query}", self.url), "");
            if let Ok(answer) = answer
                && let Ok(json) = serde_json::from_str::<serde_json::Value>(&answer.text)
                && let Some(value) = json["data"]["result"][0]["value"][1].as_str()
            {
                return value.to_owned();
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no answer within a minute; {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

#[test]
fn a_prometheus_server_scrapes_and_answers() {
    let Some(program) = program("prometheus") else { return };
    let server = busy_server();
    let mut prometheus = Prometheus::start(&program, server.url.strip_prefix("http://").unwrap());
    assert_eq!(prometheus.value("sum(nunchi_records_in_total{topic=\"comments\",partition=\"3\"})"), "42");
    assert_eq!(prometheus.value("nunchi_records_out_total{label=\"positive\",model=\"0123456789ab\"}"), "40");
    assert_eq!(prometheus.value("nunchi_lag_records"), "17");
    assert_eq!(prometheus.value("nunchi_score_bucket{le=\"0.75\"}"), "1");
    assert_eq!(prometheus.value("up{job=\"nunchi\"}"), "1");
}
