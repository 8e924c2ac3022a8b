//! What is in `deploy/` and `docker-compose.yml` is accepted by the programs it is written for, and names only what
//! exists.

#![allow(clippy::unwrap_used)]

mod needs;

use nunchi::telemetry::{BatchStats, Metrics, WorkerMetrics};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Every PromQL expression of the dashboard, with its variables filled in.
fn dashboard_expressions() -> Vec<String> {
    fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(object) => {
                found.extend(object.get("expr").and_then(|expr| expr.as_str()).map(str::to_owned));
                object.values().for_each(|value| collect(value, found));
            }
            serde_json::Value::Array(array) => array.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let dashboard = serde_json::from_str(&read("deploy/grafana/dashboards/nunchi.json")).unwrap();
    let mut found = Vec::new();
    collect(&dashboard, &mut found);
    found.iter().map(|expr| expr.replace("$__rate_interval", "1m").replace("$instance", ".*")).collect()
}

/// The names of all series that a working process exports.
fn exported_series() -> BTreeSet<String> {
    let metrics = Metrics::new();
    let worker = WorkerMetrics::new(&metrics, "comments", &["negative".into(), "positive".into()], "abc");
    worker.set_lag(0, 1);
    worker.set_uncommitted_lag(0, 1);
    worker.lost(0, "deleted", 1);
    worker.set_halted(0, "poison", true);
    worker.commit(&BatchStats { records_in: [(0, 1)].into(), ..BatchStats::default() }, true);
    metrics.set_model("abc", "f32", "avx2");
    let text = metrics.encode().unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

/// Words of `text` that are names of our metrics.
fn metric_names(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| word.starts_with("nunchi_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn dashboard_and_rules_name_only_metrics_that_exist() {
    let exported = exported_series();
    let dashboard = metric_names(&dashboard_expressions().join("\n"));
    let rules: String = read("deploy/prometheus/rules.yml");
    let rules = metric_names(&rules);
    assert!(dashboard.len() >= 15, "{dashboard:?}");
    for name in dashboard.union(&rules) {
        assert!(exported.contains(name), "`{name}` is not exported; there are {exported:?}");
    }
}

#[test]
fn prometheus_understands_the_dashboard_s_expressions() {
    let unpacked = root().join(".cache/prometheus/usr/bin/promtool");
    let promtool = if unpacked.is_file() { unpacked } else { PathBuf::from("promtool") };
    if !needs::runs(promtool.to_str().unwrap(), &["--version"]) {
        return needs::lacking("prometheus", "promtool is not installed (scripts/setup test does it)");
    }
    let rules: Vec<_> = dashboard_expressions()
        .into_iter()
        .enumerate()
        .map(|(index, expr)| serde_json::json!({ "record": format!("panel:{index}"), "expr": expr }))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    std::fs::write(&file, groups.to_string()).unwrap();
    let output = Command::new(promtool).args(["check", "rules"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn docker_compose_accepts_the_file_and_finds_what_it_mounts() {
    let compose: &[&str] = if needs::runs("docker-compose", &["version"]) {
        &["docker-compose"]
    } else if needs::runs("docker", &["compose", "version"]) {
        &["docker", "compose"]
    } else {
        return needs::lacking("compose", "docker-compose is not installed (scripts/setup test does it)");
    };
    let output = Command::new(compose[0])
        .args(&compose[1..])
        .args(["-f", "docker-compose.yml", "config"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    for service in ["kafka", "topics", "nunchi", "comments", "prometheus", "grafana"] {
        assert!(said(&output).contains(&format!("  {service}:")), "{service}: {}", said(&output));
    }
    let mounted = read("docker-compose.yml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ./"))
        .map(|mount| mount.split(':').next().unwrap().to_owned())
        .collect::<Vec<_>>();
    assert!(mounted.len() >= 3, "{mounted:?}");
    for path in mounted {
        assert!(root().join(&path).exists(), "{path}");
    }
}

#[test]
fn the_dockerfile_copies_files_that_exist() {
    let dockerfile = read("deploy/Dockerfile");
    for line in dockerfile.lines().filter(|line| line.starts_with("COPY ") && !line.contains("--from")) {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "{source} of `{line}`");
        }
    }
}

#[test]
fn systemd_accepts_the_unit() {
    if !needs::runs("systemd-analyze", &["--version"]) {
        return needs::lacking("systemd", "systemd-analyze is not installed");
    }
    // The unit names a binary that is installed by hand; what is verified is the rest.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nunchi.service");
    let unit = read("deploy/systemd/nunchi.service").replace("/usr/local/bin/nunchi", "/bin/true");
    std::fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    // Other units of this machine may draw warnings; ours may not.
    assert!(output.status.success() && !said(&output).contains("nunchi.service"), "{}", said(&output));
}
