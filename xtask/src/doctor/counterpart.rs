//! A local counterpart of Cloudflare's API and of a deployment, for tests: the endpoints that `doctor` and the pinned
//! wrangler really ask, in the form they answer. The forms were recorded from wrangler's own reading of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

pub(crate) const ACCOUNT: &str = "acc";
const DATABASE: &str = "22222222-2222-4222-8222-222222222222";

/// What the account has. Tests change it to plant defects.
#[derive(Default)]
pub(crate) struct Account {
    /// Each version's tag and bindings.
    pub(crate) versions: BTreeMap<String, (Option<String>, Value)>,
    /// The one that answers.
    pub(crate) active: Option<String>,
    /// A further version that gets half of the requests.
    pub(crate) divided_with: Option<String>,
    /// Applied migrations, if there is a database.
    pub(crate) database: Option<Vec<String>>,
    pub(crate) bucket: bool,
    pub(crate) lock_rules: Value,
    pub(crate) secrets: Vec<String>,
    pub(crate) crons: Vec<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) hostnames: Vec<Value>,
    pub(crate) containers: Value,
    /// What the deployment's own health says: status and document.
    pub(crate) components: Option<(u16, Value)>,
    /// Versions that do not work, by their tag.
    pub(crate) broken: BTreeSet<String>,
    /// Answers to all questions to the API, in place of the right ones.
    pub(crate) always: Option<(u16, String)>,
    /// The answer to what contains this, in place of the right one.
    pub(crate) instead: Option<(&'static str, u16, String)>,
    /// Every question, in order.
    pub(crate) asked: Vec<String>,
}

impl Account {
    /// Adds a version and has it answer.
    pub(crate) fn deployed(&mut self, tag: Option<&str>, bindings: Value) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.versions
            .insert(id.clone(), (tag.map(str::to_owned), bindings));
        self.active = Some(id.clone());
        id
    }
}

/// The running counterpart; it ends with this value.
pub(crate) struct Counterpart {
    pub(crate) url: String,
    account: Arc<Mutex<Account>>,
    _runtime: Runtime,
}

impl Counterpart {
    pub(crate) fn start(account: Account) -> Self {
        let runtime = Runtime::new().unwrap();
        let account = Arc::new(Mutex::new(account));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&account));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            account,
            _runtime: runtime,
        }
    }

    pub(crate) fn api(&self) -> String {
        format!("{}/client/v4", self.url)
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap()
    }
}

async fn answer(
    State(account): State<Arc<Mutex<Account>>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let mut account = account.lock().unwrap();
    account.asked.push(format!("{method} {uri}"));
    let (status, body) = match uri.path().strip_prefix("/client/v4") {
        Some(path) => {
            let planted = account.instead.as_ref().filter(|(part, ..)| path.contains(part));
            let planted = planted.map(|(_, status, body)| (*status, body.clone()));
            match account.always.clone().or(planted) {
                Some(planted) => planted,
                None => {
                    let wanted = uri.query().unwrap_or_default();
                    let (status, document) = api(&mut account, &method, path, wanted, &body);
                    (status, document.to_string())
                }
            }
        }
        None => deployment(&account, uri.path()),
    };
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn deployment(account: &Account, path: &str) -> (u16, String) {
    let active = account.active.as_ref().and_then(|id| account.versions.get(id));
    let broken = match active {
        Some((tag, _)) => tag.as_ref().is_some_and(|tag| account.broken.contains(tag)),
        None => true,
    };
    match path {
        "/healthz" => (200, "ok\n".to_owned()),
        "/login" if broken => (503, "SESSION_KEY is not set".to_owned()),
        "/login" => (200, "<html>".to_owned()),
        "/api/admin/health" => match &account.components {
            Some((status, document)) => (*status, document.to_string()),
            None => (404, "{}".to_owned()),
        },
        // The identity provider and the bot, of the test user.
        "/auth/v1/token" => (
            200,
            json!({ "access_token": "a-token-of-the-test-user" }).to_string(),
        ),
        "/api/bot" | "/" => (200, "{}".to_owned()),
        "/api/bot/snapshots" => {
            let snapshots = json!([{ "id": "1", "gateway_version": "2026.9.6" }]);
            (200, json!({ "snapshots": snapshots }).to_string())
        }
        _ => (404, "{}".to_owned()),
    }
}

fn ok(result: Value) -> (u16, Value) {
    let info = json!({ "page": 1, "total_pages": 1 });
    let mut envelope = json!({ "success": true, "errors": [], "messages": [], "result_info": info });
    envelope["result"] = result;
    (200, envelope)
}

fn no(status: u16, code: i64, message: &str) -> (u16, Value) {
    let errors = json!([{ "code": code, "message": message }]);
    (
        status,
        json!({ "success": false, "errors": errors, "messages": [], "result": null }),
    )
}

fn api(account: &mut Account, method: &Method, path: &str, wanted: &str, body: &[u8]) -> (u16, Value) {
    if path.starts_with("/zones/") {
        return ok(Value::Array(account.hostnames.clone()));
    }
    let Some(path) = path.strip_prefix(&format!("/accounts/{ACCOUNT}/")) else {
        return no(404, 7003, "Could not route");
    };
    let deployed = account.active.is_some();
    let parts: Vec<&str> = path.split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["workers", "services", name]) if deployed => {
            let script = json!({ "last_deployed_from": "wrangler" });
            let environment = json!({ "environment": "production", "script": script });
            ok(json!({ "id": name, "default_environment": environment }))
        }
        ("GET", ["workers", "services", _]) => no(404, 10090, "workers.api.error.service_not_found"),
        ("GET", ["workers", "subdomain"]) => ok(json!({ "subdomain": "test" })),
        ("GET", ["workers", "workers", name]) => {
            ok(json!({ "id": name, "name": name, "subdomain": { "enabled": true } }))
        }
        ("PUT", ["workers", "scripts", _]) => upload(account, body),
        ("GET", ["workers", "scripts", _, ..]) if !deployed => {
            no(404, 10007, "This Worker does not exist on your account.")
        }
        ("GET", ["workers", "scripts", _, "deployments"]) => ok(deployments(account)),
        ("POST", ["workers", "scripts", _, "deployments"]) => {
            let document: Value = serde_json::from_slice(body).unwrap();
            let id = document.pointer("/versions/0/version_id").and_then(Value::as_str);
            account.active = id.map(str::to_owned);
            ok(json!({ "id": "deployment" }))
        }
        ("GET", ["workers", "scripts", _, "versions", id]) => match account.versions.get(*id) {
            None => no(404, 10021, "version not found"),
            Some(version) => ok(version_document(id, version)),
        },
        ("GET", ["workers", "scripts", _, "secrets"]) => {
            let names = account.secrets.iter();
            ok(names
                .map(|name| json!({ "name": name, "type": "secret_text" }))
                .collect())
        }
        ("GET", ["workers", "scripts", _, "settings"]) => {
            let active = account.active.as_ref().and_then(|id| account.versions.get(id));
            ok(json!({ "bindings": active.map(|(_, bindings)| bindings), "migration_tag": "v1" }))
        }
        ("GET", ["workers", "scripts", _, "schedules"]) => {
            let crons = account.crons.iter();
            let crons: Value = crons.map(|cron| json!({ "cron": cron })).collect();
            ok(json!({ "schedules": crons }))
        }
        ("PUT", ["workers", "scripts", _, "schedules"]) => {
            let document: Vec<Value> = serde_json::from_slice(body).unwrap();
            let crons = document.iter().filter_map(|entry| entry["cron"].as_str());
            account.crons = crons.map(str::to_owned).collect();
            ok(json!({}))
        }
        (_, ["workers", "scripts", _, "subdomain" | "script-settings"]) => ok(json!({ "enabled": true })),
        ("POST", ["d1", "database"]) => {
            account.database = Some(Vec::new());
            ok(json!({ "uuid": DATABASE, "name": "moltbot" }))
        }
        ("GET", ["d1", "database"]) => ok(json!([])),
        ("GET", ["d1", "database", _]) if account.database.is_some() => {
            ok(json!({ "uuid": DATABASE, "name": "moltbot" }))
        }
        ("GET", ["d1", "database", _]) => no(404, 7404, "The database could not be found"),
        ("POST", ["d1", "database", _, "query"]) => {
            let document: Value = serde_json::from_slice(body).unwrap();
            let rows = query(account, document["sql"].as_str().unwrap_or_default());
            ok(json!([{ "success": true, "results": rows, "meta": { "duration": 1 } }]))
        }
        ("POST", ["r2", "buckets"]) => {
            account.bucket = true;
            ok(json!({}))
        }
        ("GET", ["r2", "buckets"]) => ok(json!({ "buckets": [] })),
        ("GET", ["r2", "buckets", ..]) if !account.bucket => no(404, 10006, "The bucket does not exist"),
        ("GET", ["r2", "buckets", name]) => ok(json!({ "name": name })),
        ("GET", ["r2", "buckets", _, "lock"]) => ok(json!({ "rules": account.lock_rules })),
        ("GET", ["queues"]) => {
            let asked: Vec<&str> = wanted
                .split('&')
                .filter_map(|part| part.strip_prefix("name="))
                .collect();
            let names = account.queues.iter();
            let names = names.filter(|name| asked.is_empty() || asked.contains(&name.as_str()));
            ok(names.map(|name| queue(name)).collect())
        }
        ("POST", ["queues"]) => {
            let document: Value = serde_json::from_slice(body).unwrap();
            let name = document["queue_name"].as_str().unwrap();
            account.queues.push(name.to_owned());
            ok(queue(name))
        }
        ("GET", ["queues", _, "consumers"]) => ok(json!([])),
        ("POST", ["queues", ..]) => ok(json!({})),
        ("GET", ["containers", "applications"]) => ok(account.containers.clone()),
        _ => no(404, 7003, "Could not route"),
    }
}

/// An upload with multipart: its metadata says what is bound, and by which tag the version goes.
fn upload(account: &mut Account, body: &[u8]) -> (u16, Value) {
    let text = String::from_utf8_lossy(body);
    let metadata = text.split_once("name=\"metadata\"\r\n\r\n").map(|(_, rest)| rest);
    let metadata = metadata
        .and_then(|rest| rest.split_once("\r\n--"))
        .map(|(first, _)| first);
    let metadata: Value = serde_json::from_str(metadata.unwrap_or_default()).unwrap();
    let tag = metadata
        .pointer("/annotations/workers~1tag")
        .and_then(Value::as_str);
    let id = account.deployed(tag, metadata["bindings"].clone());
    let id = id.replace('-', "");
    ok(json!({
        "id": "moltbot-sandbox", "etag": "e", "pipeline_hash": "p", "mutable_pipeline_id": "m",
        "deployment_id": id, "startup_time_ms": 5, "entry_point": "worker.js", "handlers": ["fetch"],
    }))
}

fn queue(name: &str) -> Value {
    json!({
        "queue_id": name, "queue_name": name, "created_on": "2026-11-01T00:00:00Z", "modified_on": "",
        "producers": [], "producers_total_count": 0, "consumers": [], "consumers_total_count": 0,
    })
}

fn deployments(account: &Account) -> Value {
    let mut versions = Vec::new();
    let share = if account.divided_with.is_some() { 50 } else { 100 };
    for id in account.active.iter().chain(&account.divided_with) {
        versions.push(json!({ "version_id": id, "percentage": share }));
    }
    json!({ "deployments": [{
        "id": "deployment", "source": "wrangler", "strategy": "percentage", "author_email": "a@example.com",
        "created_on": "2026-11-01T00:00:00Z", "versions": versions, "annotations": {},
    }] })
}

fn version_document(id: &str, (tag, bindings): &(Option<String>, Value)) -> Value {
    let metadata = json!({
        "created_on": "2026-11-01T00:00:00Z", "modified_on": "2026-11-01T00:00:00Z", "source": "wrangler",
        "author_id": "x", "author_email": "a@example.com",
    });
    let script = json!({ "handlers": ["fetch"], "last_deployed_from": "wrangler" });
    json!({
        "id": id, "number": 1, "metadata": metadata, "annotations": { "workers/tag": tag },
        "resources": { "bindings": bindings, "script": script, "script_runtime": { "usage_model": "standard" } },
    })
}

fn query(account: &mut Account, sql: &str) -> Vec<Value> {
    let applied = account.database.get_or_insert_default();
    if let Some((_, name)) = sql.split_once("values ('") {
        let name = name.split('\'').next().unwrap_or_default();
        applied.push(name.to_owned());
        return Vec::new();
    }
    if sql.contains("sqlite_master") {
        return vec![json!({ "name": "d1_migrations" })];
    }
    if sql.starts_with("SELECT") {
        return applied.iter().map(|name| json!({ "name": name })).collect();
    }
    Vec::new()
}
