//! The model server over real HTTP, the forwarder against a small counterpart of the real API.

use super::*;
use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures::StreamExt as _;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

const PACE: Duration = Duration::from_millis(1);

async fn start(mode: Mode) -> String {
    let model = Model::bind(mode, Some(0)).await.unwrap();
    let url = model.url();
    tokio::spawn(model.serve());
    url
}

fn client() -> Client {
    crate::dev::install_tls();
    Client::new()
}

async fn ask(url: &str, body: &Value) -> reqwest::Response {
    client()
        .post(format!("{url}/chat/completions"))
        .json(body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_canned_model_names_itself_and_repeats_the_question() {
    let url = start(Mode::Canned { pace: PACE }).await;
    let models: Value = client()
        .get(format!("{url}/models"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(models["data"][0]["id"], "local-canned");

    let parts =
        json!([{ "type": "text", "text": "[Mon 10:00] context" }, { "type": "text", "text": "hello" }]);
    for content in [
        json!("hello"),
        json!(
            "[Sun 22:02 UTC] Conversation info:\n```json\n{}\n```\n\nhello\n\nRuntime: agent=main | os=Linux"
        ),
        json!("hello\n<<<BEGIN_INTERNAL>>>\nsecret\n<<<END_INTERNAL>>>"),
        parts,
    ] {
        let messages = json!([{ "role": "system", "content": "be kind" }, { "role": "user", "content": content },
            { "role": "assistant", "content": null },
            { "role": "user", "content": "<<<BEGIN_INTERNAL>>>\nfacts\n<<<END_INTERNAL>>>" }]);
        let answer: Value = ask(&url, &json!({ "model": "x", "messages": messages }))
            .await
            .json()
            .await
            .unwrap();
        let message = &answer["choices"][0]["message"];
        assert_eq!(
            message["content"],
            r#"This is the local stand-in model. You said: "hello"."#
        );
        assert_eq!(answer["object"], "chat.completion");
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn an_answer_is_streamed_in_chunks() {
    let url = start(Mode::Canned {
        pace: Duration::from_millis(20),
    })
    .await;
    let question = json!({ "messages": [{ "role": "user", "content": "hello" }], "stream": true,
        "stream_options": { "include_usage": true } });
    let response = ask(&url, &question).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let pieces: Vec<_> = response
        .bytes_stream()
        .map(|piece| piece.unwrap())
        .collect()
        .await;
    assert!(pieces.len() > 3, "{} pieces", pieces.len());

    let text = String::from_utf8(pieces.concat()).unwrap();
    let mut events: Vec<&str> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .collect();
    assert_eq!(events.pop(), Some("[DONE]"));
    let chunks: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, r#"This is the local stand-in model. You said: "hello"."#);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!(chunks[chunks.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert!(chunks.last().unwrap()["usage"]["total_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn an_invalid_request_is_refused_in_the_api_format() {
    let url = start(Mode::Canned { pace: PACE }).await;
    let refused = ask(&url, &json!({ "messages": "hello" })).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        refused.json::<Value>().await.unwrap()["error"]["type"],
        "invalid_request_error"
    );
    let unknown = client().get(format!("{url}/embeddings")).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn requests_from_web_pages_are_refused() {
    let url = start(Mode::Canned { pace: PACE }).await;
    let models = format!("{url}/models");
    for (header, value) in [("origin", "https://evil.test"), ("host", "evil.test:80")] {
        let refused = client().get(&models).header(header, value).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{header}");
    }
    let container = client()
        .get(&models)
        .header("host", "host.docker.internal:8799")
        .send()
        .await
        .unwrap();
    assert_eq!(container.status(), StatusCode::OK);
}

/// Says what reached it, in two pieces, the second only when it is released.
async fn two_pieces(request: Request, released: Arc<Mutex<Receiver<()>>>) -> Response {
    let (parts, body) = request.into_parts();
    let seen = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let seen = json!({ "authorization": seen("authorization"), "cookie": seen("cookie"),
        "content_type": seen("content-type"), "path": parts.uri.to_string() });
    let first = format!("data: {seen}\n\n");
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let second = async move {
        released.lock().await.recv().await;
        Ok::<_, std::io::Error>(body)
    };
    let pieces = futures::stream::iter([Ok(first.into())]).chain(futures::stream::once(second));
    ([("content-type", "text/event-stream")], Body::from_stream(pieces)).into_response()
}

async fn counterpart() -> (String, Sender<()>) {
    let (release, released) = channel(1);
    let released = Arc::new(Mutex::new(released));
    let chat = move |request: Request| two_pieces(request, Arc::clone(&released));
    let refuse = || async {
        (
            StatusCode::TOO_MANY_REQUESTS,
            Json(json!({ "error": "slow down" })),
        )
    };
    let elsewhere = || async { (StatusCode::FOUND, [("location", "https://evil.test/")]) };
    let app = Router::new()
        .route("/api/v1/chat/completions", post(chat))
        .route("/api/v1/busy", post(refuse))
        .route("/api/v1/moved", post(elsewhere));
    let listener = listen::on(Ipv4Addr::LOCALHOST, 0).await.unwrap();
    let url = format!("http://{}/api/v1/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, release)
}

async fn forwarder() -> (String, Sender<()>) {
    let (base_url, release) = counterpart().await;
    let real = RealModel {
        base_url,
        model_id: "m".into(),
        key: "sk-real".into(),
    };
    (start(Mode::Forward(real)).await, release)
}

#[tokio::test]
async fn the_forwarder_adds_the_key_and_streams_through() {
    let (url, release) = forwarder().await;
    let response = client()
        .post(format!("{url}/chat/completions?x=1"))
        .header("authorization", "Bearer what-the-bot-has")
        .header("cookie", "session=1")
        .json(&json!({ "hello": 1 }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut pieces = response.bytes_stream();

    let first = String::from_utf8(pieces.next().await.unwrap().unwrap().to_vec()).unwrap();
    let seen: Value = serde_json::from_str(first.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(seen["authorization"], "Bearer sk-real");
    assert_eq!(seen["cookie"], Value::Null);
    assert_eq!(seen["content_type"], "application/json");
    assert_eq!(seen["path"], "/api/v1/chat/completions?x=1");

    release.send(()).await.unwrap();
    assert_eq!(pieces.next().await.unwrap().unwrap(), r#"{"hello":1}"#);
    assert!(pieces.next().await.is_none());
}

#[tokio::test]
async fn the_forwarder_passes_refusals_and_follows_no_redirect() {
    let (url, _release) = forwarder().await;
    let busy = client().post(format!("{url}/busy")).send().await.unwrap();
    assert_eq!(busy.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(busy.json::<Value>().await.unwrap()["error"], "slow down");
    let stay = reqwest::redirect::Policy::none();
    let stay = Client::builder().redirect(stay).build().unwrap();
    assert_eq!(
        stay.post(format!("{url}/moved")).send().await.unwrap().status(),
        StatusCode::FOUND
    );
}

#[tokio::test]
async fn an_unreachable_api_is_named_without_the_key() {
    let closed = listen::on(Ipv4Addr::LOCALHOST, 0)
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let real = RealModel {
        base_url: format!("http://{closed}/v1"),
        model_id: "m".into(),
        key: "sk-real".into(),
    };
    let url = start(Mode::Forward(real)).await;
    let answer = ask(&url, &json!({})).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert!(!answer.text().await.unwrap().contains("sk-real"));
}
