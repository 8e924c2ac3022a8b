//! An S3 store does what a folder does.

use super::commands::nunchi_with;
use super::{bytes, needs, why};
use nunchi::registry::{NewVersion, RegistryError, Store, Version};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A real S3 server (moto's), ended with its value.
struct S3 {
    server: Child,
    endpoint: String,
}

impl S3 {
    /// `None`, said aloud, where it is not installed.
    fn start() -> Option<Self> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/venv/bin/moto_server");
        let program = if own.is_file() { own } else { "moto_server".into() };
        if !needs::runs(program.to_str().unwrap(), &["--help"]) {
            needs::lacking("s3", "there is no moto_server; scripts/setup test installs it");
            return None;
        }
        // Free now; whoever takes it in between makes the server end, and the test fails loudly.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let server =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut s3 = S3 { server, endpoint: format!("http://127.0.0.1:{port}") };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(s3.server.try_wait().unwrap(), None, "the S3 server ended");
            assert!(start.elapsed() < Duration::from_secs(60), "the S3 server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        s3.put("nunchi-models", b"");
        Some(s3)
    }

    /// Writes past the store: a bucket, or an object as a hostile hand would.
    fn put(&self, path: &str, content: &[u8]) {
        put(&self.endpoint, path, content);
    }

    fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "nunchi"),
            ("AWS_SECRET_ACCESS_KEY", "a secret"),
            ("AWS_REGION", "us-east-1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn put(endpoint: &str, path: &str, content: &[u8]) {
    // The server asks who it is, and believes it.
    let signed = "AWS4-HMAC-SHA256 Credential=nunchi/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let request = ureq::put(format!("{endpoint}/{path}")).header("authorization", signed);
    let answer = request.send(content).unwrap();
    assert!(answer.status().is_success());
}

const S3_STORE: &str = "s3://nunchi-models/shop/models";

#[test]
fn an_s3_store_does_what_a_folder_does() {
    let Some(mut s3) = S3::start() else { return };
    // Credentials come from the environment of a process: a process of their own for the calls of the library.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "s3::inside_s3"])
        .envs(s3.environment())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");

    let (status, out, said) = nunchi_with(&["models", "list", "--store", S3_STORE], &s3.environment());
    assert_eq!(status, Some(0), "{said}");
    assert!(out.contains("current"), "{out}");
    let arguments = ["explain", "좋아요", "--model", "v4", "--store", S3_STORE];
    let (status, _, said) = nunchi_with(&arguments, &s3.environment());
    assert_eq!(status, Some(0), "{said}");

    s3.server.kill().unwrap();
    s3.server.wait().unwrap();
    let (status, _, said) = nunchi_with(&["models", "list", "--store", S3_STORE], &s3.environment());
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("is unavailable") && !said.contains("a secret"), "{said}");
}

#[test]
#[ignore = "a part of an_s3_store_does_what_a_folder_does, which runs it"]
fn inside_s3() {
    let store = Store::open(S3_STORE).unwrap();
    assert!(matches!(store.resolve("current"), Err(RegistryError::NothingPromoted(_))));
    let published: Vec<Version> = (1..=3)
        .map(|seed| store.publish(bytes(seed), NewVersion::default()).unwrap().manifest.version)
        .collect();
    let [a, b, c] = published.as_slice() else { panic!("{published:?}") };
    assert!(!store.publish(bytes(2), NewVersion::default()).unwrap().new);
    assert_eq!(store.resolve("v2").unwrap(), *b);
    assert_eq!(store.load(b).unwrap().version, b.as_str());

    store.promote(a, why("first"), false).unwrap();
    let log = store.log().unwrap();
    store.promote(b, why("second"), false).unwrap();
    // Whoever decided by an older log loses, and learns who won.
    let error = store.promote_after(&log, c, why("too late"), false).unwrap_err();
    assert!(matches!(error, RegistryError::LostRace(_)) && error.to_string().contains("second"), "{error}");
    assert_eq!(store.resolve("current").unwrap(), *b);
    let mut log = log;
    assert!(store.read_on(&mut log).unwrap());
    assert!(!store.read_on(&mut log).unwrap());
    assert_eq!(log.current(), Some(b));
    store.block_and_roll_back(&mut log, None, why("worse")).unwrap();
    assert_eq!(store.resolve("current").unwrap(), *a);
    assert!(store.verify_log().unwrap().iter().all(|result| result.problem.is_none()));

    let endpoint = std::env::var("AWS_ENDPOINT").unwrap();
    put(&endpoint, &format!("nunchi-models/shop/models/versions/{c}/model.safetensors"), b"half a mod");
    let wrong = store.verify(c).unwrap().problem.unwrap();
    assert!(wrong.contains("10 bytes instead of"), "{wrong}");
    assert_eq!(store.prune(0, 0, false).unwrap().len(), 2);
    assert!(matches!(store.load(c), Err(RegistryError::NoVersion(_))));
    // For the commands that follow.
    store.publish(bytes(2), NewVersion::default()).unwrap();
}
