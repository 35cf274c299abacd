//! Fixed answers that say what they are and repeat the question.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{Stream, StreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dev::token::now;

/// Says in every place a model is named that this is none.
pub(super) const MODEL_ID: &str = "local-canned";
/// Characters of the question that are repeated.
const REPEATED: usize = 200;

pub(super) fn router(pace: Duration) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(complete))
        .fallback(unknown_path)
        .with_state(pace)
}

async fn models() -> Json<Value> {
    let model = json!({ "id": MODEL_ID, "object": "model", "created": 0, "owned_by": "moltworker" });
    Json(json!({ "object": "list", "data": [model] }))
}

async fn unknown_path() -> Response {
    let message = "the local stand-in model answers /v1/models and /v1/chat/completions only";
    refuse(StatusCode::NOT_FOUND, message)
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let error = json!({ "message": message, "type": "invalid_request_error", "param": null, "code": null });
    (status, Json(json!({ "error": error }))).into_response()
}

#[derive(Deserialize)]
struct Question {
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Content,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts
                .iter()
                .map(|part| part.text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
            Content::Nothing(()) => String::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
    Nothing(()),
}

impl Default for Content {
    fn default() -> Self {
        Self::Nothing(())
    }
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

async fn complete(State(pace): State<Duration>, body: axum::body::Bytes) -> Response {
    let question: Question = match serde_json::from_slice(&body) {
        Ok(question) => question,
        Err(error) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                &format!("not a chat completion: {error}"),
            );
        }
    };
    let answer = Answer::to(&question);
    if question.stream {
        let include_usage = question.stream_options.include_usage;
        Sse::new(paced(answer.chunks(include_usage), pace)).into_response()
    } else {
        Json(answer.whole()).into_response()
    }
}

struct Answer {
    id: String,
    created: i64,
    text: String,
    asked: usize,
}

impl Answer {
    fn to(question: &Question) -> Self {
        let said = last_output(&question.messages);
        Self {
            id: format!("chatcmpl-{}", Uuid::new_v4().simple()),
            created: now(),
            asked: words(&said),
            text: format!("This is the local stand-in model. You said: {said:?}."),
        }
    }

    fn whole(&self) -> Value {
        let message = json!({ "role": "assistant", "content": self.text });
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": MODEL_ID,
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
            "usage": self.usage(),
        })
    }

    /// The answer word by word, between the chunk that names the role and the one that ends it.
    fn chunks(&self, include_usage: bool) -> Vec<String> {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": self.id, "object": "chat.completion.chunk", "created": self.created,
                "model": MODEL_ID, "choices": choices,
            });
            if include_usage && let Some(fields) = chunk.as_object_mut() {
                fields.insert("usage".into(), usage);
            }
            chunk.to_string()
        };
        let delta = |delta: Value, end: Value| {
            chunk(
                json!([{ "index": 0, "delta": delta, "finish_reason": end }]),
                Value::Null,
            )
        };
        let mut chunks = vec![delta(json!({ "role": "assistant", "content": "" }), Value::Null)];
        for piece in self.text.split_inclusive(' ') {
            chunks.push(delta(json!({ "content": piece }), Value::Null));
        }
        chunks.push(delta(json!({}), json!("stop")));
        if include_usage {
            chunks.push(chunk(json!([]), self.usage()));
        }
        chunks.push("[DONE]".to_owned());
        chunks
    }

    /// Words stand for tokens: enough for a bot that adds them up.
    fn usage(&self) -> Value {
        let (asked, answered) = (self.asked, words(&self.text));
        let total = asked.saturating_add(answered);
        json!({ "prompt_tokens": asked, "completion_tokens": answered, "total_tokens": total })
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

/// The last line a person wrote. OpenClaw puts facts of its own around it: time and sender above, a line about
/// its runtime below, and whole messages between markers (`<<<BEGIN_…>>>` to `<<<END_…>>>`).
fn last_output(messages: &[Message]) -> String {
    let asked = messages.iter().rev().filter(|message| message.role == "user");
    let line = asked.map(Message::text).find_map(|text| {
        let mut inside = false;
        let written = text.lines().map(str::trim).filter(|line| {
            let of_gateway = inside || line.starts_with("<<<BEGIN_") || line.starts_with("<<<END_");
            inside = (inside || line.starts_with("<<<BEGIN_")) && !line.starts_with("<<<END_");
            !line.is_empty() && !of_gateway && !line.starts_with("Runtime: agent=")
        });
        written.last().map(str::to_owned)
    });
    line.unwrap_or_default().chars().take(REPEATED).collect()
}

fn paced(chunks: Vec<String>, pace: Duration) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::iter(chunks)
        .enumerate()
        .then(move |(position, chunk)| async move {
            if position > 0 {
                tokio::time::sleep(pace).await;
            }
            Ok(Event::default().data(chunk))
        })
}
