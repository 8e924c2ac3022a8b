//! `http.tls_certificate` and `http.tls_key`: TLS and nothing else, and a renewed certificate without a restart.

use super::binary::{Run, ends, model_file, nunchi};
use super::{HOST, PATIENCE};
use openssl::ssl::{SslConnector, SslMethod};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// A certificate of its own for `localhost`, with `name` as its subject.
fn certificate(folder: &Path, name: &str) {
    let at = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    let status = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            &format!("/CN={name}"),
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &at("key.new"),
            "-out",
            &at("certificate.new"),
        ])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    for file in ["key", "certificate"] {
        std::fs::rename(at(&format!("{file}.new")), at(&format!("{file}.pem"))).unwrap();
    }
}

/// The subject of the server's certificate, which is trusted if it is the one in `folder`, and its answer to a probe.
fn probe(address: &str, folder: &Path) -> Result<(String, String), String> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    connector.set_ca_file(folder.join("certificate.pem")).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = connector.build().connect("localhost", stream).map_err(|error| error.to_string())?;
    let certificate = stream.ssl().peer_certificate().unwrap();
    let subject =
        String::from_utf8(certificate.subject_name().entries().next().unwrap().data().as_slice().to_vec())
            .unwrap();
    stream
        .write_all(format!("GET /livez HTTP/1.1\r\n{HOST}\r\nconnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    Ok((subject, answer))
}

#[test]
fn it_speaks_tls_only_and_takes_a_renewed_certificate() {
    let folder = TempDir::new().unwrap();
    certificate(folder.path(), "first");
    let model = model_file(folder.path());
    let setting = |name: &str, file: &str| format!("http.{name}={}", folder.path().join(file).display());
    let (certificate_setting, key) =
        (setting("tls_certificate", "certificate.pem"), setting("tls_key", "key.pem"));
    let arguments =
        ["--brokers", "127.0.0.1:1", "--model", &model, "--set", &certificate_setting, "--set", &key];
    let run = Run::start(nunchi(&arguments));
    let address = run.url.trim_start_matches("http://").to_owned();
    let (subject, answer) = probe(&address, folder.path()).unwrap();
    assert_eq!((subject.as_str(), answer.starts_with("HTTP/1.1 200")), ("first", true), "{answer}");

    let mut plain = TcpStream::connect(&address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");

    certificate(folder.path(), "second");
    let begin = Instant::now();
    while probe(&address, folder.path()).map(|(subject, _)| subject) != Ok("second".to_owned()) {
        assert!(begin.elapsed() < PATIENCE, "the new certificate is not taken");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // One that cannot be used changes nothing.
    std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
    let begin = Instant::now();
    while begin.elapsed() < std::time::Duration::from_secs(3) {
        assert_eq!(probe(&address, folder.path()).unwrap().0, "second");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    run.signal("TERM");
    let (status, log) = run.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("keeps its certificate"), "{log}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_a_wrong_setting() {
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    certificate(folder.path(), "other");
    std::fs::rename(folder.path().join("key.pem"), folder.path().join("other.pem")).unwrap();
    certificate(folder.path(), "right");
    let setting = |name: &str, file: &str| format!("http.{name}={}", folder.path().join(file).display());
    let base = ["--brokers", "127.0.0.1:1", "--http", "127.0.0.1:0", "--model", &model];
    for (settings, message) in [
        (vec![setting("tls_certificate", "certificate.pem")], "set `http.tls_key` too"),
        (vec![setting("tls_key", "key.pem")], "set `http.tls_certificate` too"),
        (vec![setting("tls_certificate", "none.pem"), setting("tls_key", "key.pem")], "none.pem"),
        (
            vec![setting("tls_certificate", "certificate.pem"), setting("tls_key", "other.pem")],
            "`http.tls_key` cannot be used",
        ),
    ] {
        let flags = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
        let arguments: Vec<&str> = base.into_iter().chain(flags).collect();
        let (status, said) = ends(&arguments);
        assert_eq!(status, Some(64), "{said}");
        assert!(said.contains(message), "{message}: {said}");
    }
}
