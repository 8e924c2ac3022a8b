//! What the admin server answers. What it does under load and at its end is tested in `src/http/tests.rs`, which can hold the
//! engine.

mod admin;

use admin::{Server, random_model, request};
use nunchi::http;
use nunchi_engine::{KernelKind, LoadedModel};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn probes_say_why_not() {
    let server = Server::start(MINUTE);
    let answer = server.get("/readyz");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["status"], "not ready");
    assert_eq!(answer.json()["reasons"][0], "the model is not loaded yet");
    assert_eq!(answer.json()["reasons"][1], "worker 0 does not reach the brokers");
    assert!(server.get("/metrics").text.contains("\nnunchi_ready 0\n"));

    server.health.set_model_loaded();
    for worker in 0..2 {
        server.health.set_brokers_reached(worker, true);
    }
    assert_eq!(server.get("/readyz").json()["reasons"][1], "worker 1 has not joined the group");
    for worker in 0..2 {
        server.health.set_group_joined(worker, true);
    }
    let answer = server.get("/readyz");
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ready")));
    assert_eq!(server.get("/livez").json()["status"], "alive");
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("\nnunchi_ready 1\n") && metrics.contains("\nnunchi_workers 2\n"), "{metrics}");

    server.health.set_dead(1);
    let answer = server.get("/livez");
    assert_eq!((answer.status, answer.json()["reasons"][0].as_str()), (503, Some("worker 1 is dead")));
}

#[test]
fn a_hung_worker_is_not_alive() {
    let server = Server::start(Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(20));
    let answer = server.get("/livez");
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("worker 0 has been in the same batch"), "{}", answer.text);
}

#[test]
fn a_comment_is_answered_with_its_verdict() {
    let server = Server::start(MINUTE);
    let answer = server.post("/v1/classify", r#"{"text": "배송이 빨라서 좋아요", "id": 7.50, "rating": 5}"#);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.text.starts_with(r#"{"id":7.50,"label":""#),
        "the id comes back as it came: {}",
        answer.text
    );
    let verdict = answer.json();
    let score = verdict["score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score));
    assert_eq!(verdict["label"], if score >= 0.5 { "positive" } else { "negative" });
    assert_eq!(verdict["model"], server.model.load().model().version);
    let fields: Vec<&str> = verdict.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["id", "label", "score", "model"]);
}

#[test]
fn an_array_is_answered_in_its_order_and_like_single_comments() {
    let server = Server::start(MINUTE);
    let long = "별로예요 ".repeat(40);
    let texts = ["좋아요", "", long.as_str(), "환불해 주세요 ㅠㅠ"];
    let items: Vec<_> =
        texts.iter().map(|text| serde_json::json!({ "text": text, "id": text.len() })).collect();
    let answer = server.post("/v1/classify", &serde_json::to_string(&items).unwrap()).json();
    let verdicts = answer.as_array().unwrap();
    assert_eq!(verdicts.len(), texts.len());
    for (item, verdict) in items.iter().zip(verdicts) {
        assert_eq!(*verdict, server.post("/v1/classify", &item.to_string()).json());
        assert_eq!(verdict["id"], item["id"]);
    }
    assert_eq!(verdicts[2]["truncated"], true);
    assert_eq!(server.post("/v1/classify", "[]").json(), serde_json::json!([]));
}

#[test]
fn bad_input_is_refused_with_a_message_that_names_the_item() {
    let server = Server::start(MINUTE);
    for (body, message) in [
        ("", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{\"text\": \"좋아요\"", "not a JSON object"),
        ("{\"id\": 1}", "no field `text`"),
        ("{\"text\": 5}", "`text` is a number"),
        ("[{\"text\": \"a\"}, {\"txt\": \"b\"}]", "item 1: the object has no field `text`"),
        ("[{\"text\": \"a\"}, 5]", "item 1: "),
        ("[{\"text\": \"a\"},", "not a JSON array"),
    ] {
        let answer = server.post("/v1/classify", body);
        assert_eq!(answer.status, 400, "{body}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(message), "{body}: {error}");
    }
    let answer =
        server.post("/v1/classify", &format!("{{\"text\": \"{}\"}}", "가".repeat(http::BODY_LIMIT / 3)));
    assert_eq!(answer.status, 413);
    assert!(answer.json()["error"].as_str().unwrap().contains("1048576 bytes"), "{answer:?}");
}

#[test]
fn what_is_not_there_is_said_in_json() {
    let server = Server::start(MINUTE);
    let answer = server.get("/v2/verdicts");
    assert_eq!(answer.status, 404);
    assert!(answer.json()["error"].as_str().unwrap().contains("POST /v1/classify"));
    let answer = server.get("/v1/classify");
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["error"], "/v1/classify takes POST, not GET");
    assert_eq!(server.get("/v1/model/reload").status, 405);
    let answer = server.post("/v1/model/reload", "");
    assert_eq!(answer.status, 409);
    assert!(answer.json()["error"].as_str().unwrap().contains("follows no store"));
    assert_eq!(request("DELETE", &format!("{}/livez", server.url), "").status, 405);
    // Strangers' paths must not become labels.
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("nunchi_http_requests_total{code=\"404\",path=\"other\"} 1"), "{metrics}");
    assert!(!metrics.contains("verdicts\""), "{metrics}");
}

#[test]
fn the_model_is_described_and_a_new_one_answers_at_once() {
    let server = Server::start(MINUTE);
    let model = server.get("/v1/model").json();
    assert_eq!(model["version"], server.model.load().model().version);
    assert_eq!((model["cell"].as_str(), model["max_tokens"].as_u64()), (Some("gru"), Some(16)));
    assert_eq!(model["labels"], serde_json::json!(["negative", "positive"]));
    let parameters = server.model.load().model().network.shape.parameters();
    assert_eq!(model["parameters"], parameters);
    assert!(model.as_object().unwrap().contains_key("report"));
    assert_eq!(model["precision"], "f32");
    let another = LoadedModel::new(random_model(8), Some(KernelKind::Portable)).unwrap();
    let version = another.model().version.clone();
    assert_ne!(model["version"], version);
    server.model.store(Arc::new(another));
    assert_eq!(server.get("/v1/model").json()["version"], version);
    assert_eq!(server.get("/v1/model").json()["kernel"], "portable");
    assert_eq!(server.post("/v1/classify", r#"{"text":"a"}"#).json()["model"], version);
}

#[test]
fn a_score_that_is_not_a_number_is_a_failure_and_no_verdict() {
    let server = Server::start(MINUTE);
    let (model, overflowing) = nunchi_model::testing::overflowing();
    let version = model.version.clone();
    server.model.store(Arc::new(LoadedModel::new(model, None).unwrap()));
    let answer = server.post("/v1/classify", &serde_json::json!([{ "text": overflowing }]).to_string());
    assert_eq!(answer.status, 500, "{answer:?}");
    assert!(answer.json()["error"].as_str().unwrap().contains(&version), "{answer:?}");
    assert_eq!(server.post("/v1/classify", r#"{"text": "좋아요"}"#).status, 200);
}

#[test]
fn an_address_in_use_is_said_clearly() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = runtime.block_on(http::bind(&address)).unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("is in use"), "{error}");
}
