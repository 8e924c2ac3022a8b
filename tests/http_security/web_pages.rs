//! A browser sends requests for any page that it shows; none of them may do anything here.

use super::admin::Server;
use super::{COMMENT, HOST, JSON, PATIENCE, request};
use nunchi::config::Http;
use nunchi::http::Access;

fn address(server: &Server) -> String {
    server.url.trim_start_matches("http://").to_owned()
}

#[test]
fn a_foreign_host_is_refused_on_every_path() {
    let settings = Http { hosts: vec!["Nunchi.internal".into()], ..Http::default() };
    let access = Access::resolve(&settings).unwrap();
    let server = Server::start_with(PATIENCE, |admin| admin.with_access(access));
    let address = address(&server);
    for foreign in
        ["evil.example", "evil.example:9600", "localhost.evil.example", "127.0.0.1.evil.example:80"]
    {
        let host = format!("host: {foreign}");
        for line in [
            "GET /metrics",
            "GET /livez",
            "GET /v1/model",
            "GET /none",
            "POST /v1/classify",
            "POST /v1/model/reload",
        ] {
            let (status, answer) = request(&address, line, &[&host, JSON], COMMENT);
            assert_eq!(status, 403, "{line} {host}: {answer}");
            assert!(answer.contains("http.hosts") && !answer.contains("evil"), "{answer}");
        }
        // The target of a request can name a host, too.
        let (status, answer) = request(&address, &format!("GET http://{foreign}/v1/model"), &[HOST], "");
        assert_eq!(status, 403, "{answer}");
        assert_eq!(request(&address, "GET /v1/model", &[HOST, &host], "").0, 403);
    }
    for ours in
        ["127.0.0.1:9600", "[::1]:9600", "10.9.8.7", "localhost", "localhost:9600", "nunchi.INTERNAL:9600"]
    {
        let (status, answer) =
            request(&address, "POST /v1/classify", &[&format!("host: {ours}"), JSON], COMMENT);
        assert_eq!(status, 200, "{ours}: {answer}");
    }
}

#[test]
fn what_a_page_can_send_without_asking_changes_nothing() {
    let server = Server::start(PATIENCE);
    let address = address(&server);
    // A form, `fetch` in the mode no-cors, an image: these types and no others need no permission.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=a",
        "text/plain; application/json",
    ] {
        for line in ["POST /v1/classify", "POST /v1/model/reload"] {
            let (status, answer) =
                request(&address, line, &[HOST, &format!("content-type: {kind}")], COMMENT);
            assert_eq!(status, 415, "{line} {kind}: {answer}");
        }
    }
    assert_eq!(request(&address, "POST /v1/classify", &[HOST], COMMENT).0, 415);
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "http://localhost.evil.example",
        "http://evil.example",
    ] {
        for line in ["POST /v1/classify", "POST /v1/model/reload"] {
            let (status, answer) =
                request(&address, line, &[HOST, JSON, &format!("origin: {origin}")], COMMENT);
            assert_eq!(status, 403, "{line} {origin}: {answer}");
        }
    }
    // The question of a browser before it sends more (CORS): nothing is permitted.
    let preflight = [HOST, "origin: https://evil.example", "access-control-request-method: POST"];
    let (status, answer) = request(&address, "OPTIONS /v1/classify", &preflight, "");
    assert!(status >= 400 && !answer.to_lowercase().contains("access-control-allow"), "{answer}");

    let own = "origin: http://localhost";
    let (status, answer) = request(
        &address,
        "POST /v1/classify",
        &[HOST, own, "content-type: Application/JSON; charset=utf-8"],
        COMMENT,
    );
    assert_eq!(status, 200, "{answer}");
}
