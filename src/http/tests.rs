//! The bounds of the server: requests that wait, bodies in memory, the time that open requests have at the end.
//!
//! Here and not in `tests/`, because these tests hold the engine: no answer depends on how fast anything is.

use super::classify::MAX_WAITING;
use super::server::serve_and_drain;
use super::*;
use arc_swap::ArcSwap;
use nunchi_engine::{KernelKind, LoadedModel};
use nunchi_model::rnn::Cell;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take before a test fails; less than [`REQUEST_TIMEOUT`], which would end waiting requests.
const PATIENCE: Duration = Duration::from_secs(25);

struct Server {
    runtime: Runtime,
    address: SocketAddr,
    admin: Admin,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

fn server(drain: Duration) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let model =
        LoadedModel::new(nunchi_model::testing::model(Cell::Gru, 7), Some(KernelKind::Portable)).unwrap();
    let health = Arc::new(Health::new(1, Duration::from_secs(60)));
    let admin = Admin::new(Metrics::new(), health, Arc::new(ArcSwap::from_pointee(model)));
    let listener = runtime.block_on(bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async {
        let _ = stopped.await;
    };
    let task = runtime.spawn(serve_and_drain(listener, admin.clone(), stopped, drain));
    Server { runtime, address, admin, stop, task }
}

impl Server {
    /// Asks it to end and waits until it has; fails if it does not.
    fn end(self) {
        self.stop.send(()).unwrap();
        let ended = async { tokio::time::timeout(PATIENCE, self.task).await };
        self.runtime.block_on(ended).expect("the server ends").unwrap().unwrap();
    }
}

const COMMENT: &str = r#"{"text": "배송이 느려요"}"#;

/// Sends a request to classify, whole or its first `sent` bytes of `length` that it announces.
fn post(address: SocketAddr, length: usize, sent: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/classify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(sent).unwrap();
    stream
}

/// The whole answer; `None` if the connection ended without one.
fn answer(mut stream: TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).ok().filter(|text| text.starts_with("HTTP/1.1 "))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Sends `count` comments at once; the answers as they come.
fn send(address: SocketAddr, count: usize) -> Receiver<String> {
    let (sender, answers) = channel();
    for _ in 0..count {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let stream = post(address, COMMENT.len(), COMMENT.as_bytes());
            // The test may be over.
            let _ = sender.send(answer(stream).unwrap_or_default());
        });
    }
    answers
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn while_the_engine_is_busy_a_bounded_number_of_requests_waits_and_the_others_are_sent_away() {
    const SENT: usize = 3 * MAX_WAITING;
    let server = server(DRAIN_TIMEOUT);
    let turn = Arc::clone(&server.admin.classifier.one_at_a_time).blocking_lock_owned();
    let answers = send(server.address, SENT);
    // Nothing is classified now, so that whoever is answered was sent away.
    for _ in 0..SENT - MAX_WAITING {
        let answer = answers.recv_timeout(PATIENCE).expect("more requests wait than may");
        assert_eq!(status(&answer), 503, "{answer}");
        assert!(answer.to_lowercase().contains("\r\nretry-after: 1\r\n"), "{answer}");
    }
    assert_eq!(server.admin.classifier.waiting.available_permits(), 0);
    drop(turn);
    for _ in 0..MAX_WAITING {
        let answer = answers.recv_timeout(PATIENCE).expect("who waits is answered");
        assert_eq!(status(&answer), 200, "{answer}");
    }
    wait_for("the places to be free", || server.admin.classifier.waiting.available_permits() == MAX_WAITING);
    server.end();
}

#[test]
fn a_body_is_read_only_by_who_has_a_place() {
    let server = server(Duration::ZERO);
    // Clients that announce a body and send half of it.
    let slow: Vec<TcpStream> = (0..MAX_WAITING).map(|_| post(server.address, BODY_LIMIT, b"{")).collect();
    wait_for("all places to be taken", || server.admin.classifier.waiting.available_permits() == 0);
    // One more that never sends a byte of its body is answered all the same: nobody waits for that body.
    let answer = answer(post(server.address, BODY_LIMIT, b"")).expect("an answer before the body");
    assert_eq!(status(&answer), 503, "{answer}");
    drop(slow);
    wait_for("the places to be free", || server.admin.classifier.waiting.available_permits() == MAX_WAITING);
    let answer = self::answer(post(server.address, COMMENT.len(), COMMENT.as_bytes())).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    server.end();
}

#[test]
fn the_server_ends_although_clients_hold_their_connections() {
    let drain = Duration::from_millis(300);
    let server = server(drain);
    let mut idle = TcpStream::connect(server.address).unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 64]).unwrap() > 0);
    let halfway = post(server.address, 100, b"{");
    wait_for("the half request", || server.admin.classifier.waiting.available_permits() < MAX_WAITING);
    let start = Instant::now();
    // The connections stay open for as long as this function runs: only the time limit can end the server.
    server.end();
    assert!(start.elapsed() >= drain, "open requests had {:?}", start.elapsed());
    drop((idle, halfway));
}

#[test]
fn an_open_request_is_answered_before_the_server_ends() {
    // Longer than the test's patience: the server ends because nothing is open any more.
    let server = server(100 * PATIENCE);
    let turn = Arc::clone(&server.admin.classifier.one_at_a_time).blocking_lock_owned();
    let answers = send(server.address, 1);
    wait_for("the request", || server.admin.classifier.waiting.available_permits() < MAX_WAITING);
    server.stop.send(()).unwrap();
    drop(turn);
    let answer = answers.recv_timeout(PATIENCE).unwrap();
    assert_eq!(status(&answer), 200, "{answer}");
    let ended = async { tokio::time::timeout(PATIENCE, server.task).await };
    server.runtime.block_on(ended).expect("the server ends").unwrap().unwrap();
}

#[test]
fn open_requests_have_two_seconds() {
    assert_eq!(DRAIN_TIMEOUT, Duration::from_secs(2), "as the description of `serve` says");
}
