//! `[[http.tokens]]`: what each role may do; and that nobody else is let in from another machine.

use super::admin::Server;
use super::binary::{ends, model_file};
use super::{COMMENT, HOST, JSON, PATIENCE, request};
use nunchi::config::{Http, Role, Token, Value};
use nunchi::http::Access;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ROLES: [Role; 4] = [Role::Read, Role::Classify, Role::Operate, Role::Review];

fn secret(role: Role) -> String {
    format!("secret-of-{}-0123456789", role.name())
}

/// Settings with a token of each role in files.
fn settings(folder: &Path) -> Http {
    let tokens = ROLES.map(|role| {
        let file = folder.join(role.name());
        std::fs::write(&file, secret(role) + "\n").unwrap();
        Token { name: format!("who {}", role.name()), role, token: Value::File { file } }
    });
    Http { tokens: tokens.into(), ..Http::default() }
}

#[test]
fn each_role_does_what_it_may_and_probes_need_none() {
    let folder = TempDir::new().unwrap();
    let access = Access::resolve(&settings(folder.path())).unwrap();
    assert!(!format!("{access:?}").contains("secret"), "{access:?}");
    let server = Server::start_with(PATIENCE, |admin| admin.with_access(access));
    let address = server.url.trim_start_matches("http://");
    // 409: there is no store here, but the request was let through.
    let paths = [
        ("GET /metrics", 200, [true, true, true, true]),
        ("GET /v1/model", 200, [true, true, true, true]),
        ("GET /none", 404, [true, true, true, true]),
        ("POST /v1/classify", 200, [false, true, true, false]),
        ("POST /v1/model/reload", 409, [false, false, true, false]),
    ];
    for (line, done, allowed) in paths {
        for (role, allowed) in ROLES.into_iter().zip(allowed) {
            let token = format!("authorization: Bearer {}", secret(role));
            let (status, answer) = request(address, line, &[HOST, JSON, &token], COMMENT);
            assert_eq!(status, if allowed { done } else { 403 }, "{line} {role:?}: {answer}");
            assert!(allowed || answer.contains("this needs the role"), "{answer}");
        }
        let right = secret(Role::Operate);
        for wrong in [
            String::new(),
            "authorization: Bearer ".to_owned(),
            "authorization: Bearer x".to_owned(),
            format!("authorization: Basic {right}"),
            format!("authorization: {right}"),
            format!("authorization: Bearer {}", &right[..right.len() - 1]),
            format!("authorization: Bearer {right}x"),
            format!("authorization: Bearer {}", right.to_uppercase()),
        ] {
            let headers: Vec<&str> =
                [HOST, JSON, &wrong].into_iter().filter(|header| !header.is_empty()).collect();
            let (status, answer) = request(address, line, &headers, COMMENT);
            assert_eq!(status, 401, "{line} {wrong}: {answer}");
            assert!(answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
        }
    }
    for probe in ["GET /livez", "GET /readyz"] {
        assert_ne!(request(address, probe, &[HOST], "").0, 401, "{probe}");
    }
    // A token opens nothing to pages of others.
    let token = format!("authorization: bearer {}", secret(Role::Operate));
    assert_eq!(
        request(address, "POST /v1/model/reload", &[HOST, JSON, &token, "origin: https://evil.example"], "")
            .0,
        403
    );
    assert_eq!(request(address, "POST /v1/model/reload", &[HOST, &token], "").0, 415);
    assert_eq!(
        request(address, "POST /v1/model/reload", &[HOST, JSON, &token], "").0,
        409,
        "the scheme's case does not matter"
    );
}

#[test]
fn without_a_token_another_address_than_loopback_is_refused_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    for address in ["0.0.0.0:0", "[::]:0", "example.com:0"] {
        let (status, said) = ends(&["--brokers", "127.0.0.1:1", "--model", &model, "--http", address]);
        assert_eq!(status, Some(64), "{said}");
        for what in [address, "[[http.tokens]]", "127.0.0.1", "http.insecure = true", "flag --http"] {
            assert!(said.contains(what), "{what}: {said}");
        }
    }
}

#[test]
fn a_token_that_is_no_secret_is_refused_without_showing_it() {
    let folder = TempDir::new().unwrap();
    let model = model_file(folder.path());
    let file = |content: &str| -> PathBuf {
        let path = folder.path().join("token");
        std::fs::write(&path, content).unwrap();
        path
    };
    for (token, message) in [
        ("\"in-the-settings-0123456789\"".to_owned(), "write it as { env"),
        (format!("{{ file = {:?} }}", file("short")), "at least 16 characters"),
        ("{ env = \"NO_SUCH_VARIABLE\" }".to_owned(), "NO_SUCH_VARIABLE is not set"),
    ] {
        let setting = format!("http.tokens=[{{ name = \"a\", role = \"read\", token = {token} }}]");
        let (status, said) = ends(&["--brokers", "127.0.0.1:1", "--model", &model, "--set", &setting]);
        assert_eq!(status, Some(64), "{said}");
        assert!(said.contains(message) && !said.contains("in-the-settings"), "{message}: {said}");
    }
    for wrong in ["[{ name = \"a\", role = \"admin\", token = { env = \"A\" } }]", "[{ name = \"a\" }]", "a"]
    {
        let (status, said) =
            ends(&["--brokers", "127.0.0.1:1", "--model", &model, "--set", &format!("http.tokens={wrong}")]);
        assert_eq!(status, Some(64), "{said}");
        assert!(said.contains("`http.tokens` must be"), "{said}");
    }
}
