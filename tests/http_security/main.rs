//! The admin server among strangers: tokens and roles, web pages of others, clients that hold connections, TLS.

#![allow(clippy::unwrap_used)] // Outside of `#[test]` functions too a failure fails the test.

#[path = "../admin/mod.rs"]
mod admin;
#[path = "../binary/mod.rs"]
mod binary;
mod exhaustion;
mod tls;
mod tokens;
mod web_pages;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The answer to a request that is sent byte by byte as it stands: its status, and all of it.
fn exchange(address: &str, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status =
        answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer to {request}")).parse().unwrap();
    (status, answer)
}

/// A request with `headers` (lines) and `body`; the connection is closed after it.
fn request(address: &str, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    exchange(
        address,
        &format!("{line} HTTP/1.1\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"),
    )
}

const HOST: &str = "host: localhost";
const JSON: &str = "content-type: application/json";
const COMMENT: &str = r#"{"text": "좋아요"}"#;
