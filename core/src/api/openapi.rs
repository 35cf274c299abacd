//! The OpenAPI document (3.1) of the JSON API, made from the table of endpoints and from the types of its documents.
//!
//! Only where it is written is this compiled: `cargo xtask openapi`. The Worker serves what was written.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::contract::{Access, Input, Method, Output};
use super::endpoint::Endpoint;
use super::operation::Document;
use super::parameter::{Parameter, Takes};
use super::table::endpoints;
use crate::http::cookies::SESSION_COOKIE;
use crate::http::own_page::CSRF_HEADER;
use problems::Problems;

mod problems;
mod schemas;
#[cfg(test)]
mod tests;

/// The security scheme of an access token.
const BEARER: &str = "access-token";
const PERSONAL: &str = "personalToken";
/// The security scheme of a browser's session.
const SESSION: &str = "session";
/// The security scheme of the owner's own page.
const CSRF: &str = "csrf-token";
/// The security scheme of a repository.
const REPOSITORY: &str = "repository-token";

/// The groups endpoints are shown in: what their paths begin with, the group's name, and what it is.
pub const GROUPS: [(&str, &str, &str); 8] = [
    (
        "/api/bot/snapshots",
        "snapshots",
        "The snapshots of one's own bot",
    ),
    ("/api/bot/domains", "domains", "The domains of one's own bot"),
    ("/api/bot", "bot", "One's own bot"),
    ("/api/admin/bots", "admin-bots", "Everybody's bots, for admins"),
    (
        "/api/admin/users",
        "admin-users",
        "Users and their domains, for admins",
    ),
    ("/api/admin/bulk", "admin-bulk", "Orders to many bots, for admins"),
    (
        "/api/admin",
        "admin-access",
        "The history of everything and who may become a user, for admins",
    ),
    ("/", "platform", "The platform itself"),
];

/// The group an endpoint is shown in.
pub fn group(endpoint: &Endpoint) -> &'static str {
    GROUPS
        .into_iter()
        .find(|(prefix, _, _)| endpoint.path().starts_with(prefix))
        .map_or("platform", |(_, name, _)| name)
}

/// The whole document.
pub fn document() -> Value {
    let mut problems = Problems::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in endpoints().filter(|endpoint| endpoint.is_api()) {
        let path = paths.entry(endpoint.path()).or_default();
        if endpoint.path().contains("{user}") {
            path.insert("parameters".into(), json!([user_parameter()]));
        }
        if endpoint.path().contains("{order}") {
            path.insert("parameters".into(), json!([order_parameter()]));
        }
        path.insert(
            endpoint.method().name().into(),
            operation(endpoint, &mut problems),
        );
    }
    let tags: Vec<Value> = GROUPS
        .into_iter()
        .map(|(_, name, what)| json!({ "name": name, "description": what }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Moltworker",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One OpenClaw bot per user. Times are milliseconds since 1970. A field that may be null is \
                always there; one that may be missing is never null. HEAD is answered wherever GET is, unless an \
                operation says otherwise. Every refusal is `application/problem+json` with a stable `code`.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/", "description": "The platform's own host" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "responses": problems.into_components(),
            "securitySchemes": security_schemes(),
        },
    })
}

fn security_schemes() -> Value {
    json!({
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of the Supabase project. An admin's says so (`app_metadata.role`), or the \
                operator does (`ADMIN_USER_IDS`).",
        },
        PERSONAL: {
            "type": "http",
            "scheme": "bearer",
            "description": "A personal access token (`mwk_…`) with the scope `manage`, made under `/api/bot/tokens`; also as \
                the password of HTTP Basic.",
        },
        SESSION: {
            "type": "apiKey",
            "in": "cookie",
            "name": SESSION_COOKIE,
            "description": "The session of a browser that has signed in. Alone it changes nothing, but for what our own \
                pages have a button for: then the `Origin` of the host that is asked has to come with it.",
        },
        CSRF: {
            "type": "apiKey",
            "in": "header",
            "name": CSRF_HEADER,
            "description": "The CSRF token of that session (`/api/bot/session`), from a page of the platform's host. There is \
                none where bots' pages are on that host too (no `BOT_DOMAIN`).",
        },
        REPOSITORY: {
            "type": "http",
            "scheme": "basic",
            "description": "What opens `/_repo/<user id>/`, which speaks the restic REST protocol and is no part of \
                this document: the token as the password, or as a bearer token.",
        },
    })
}

fn operation(endpoint: &Endpoint, problems: &mut Problems) -> Value {
    let mut operation = Map::new();
    operation.insert("operationId".into(), endpoint.name().into());
    operation.insert("summary".into(), endpoint.summary().into());
    operation.insert("tags".into(), json!([group(endpoint)]));
    operation.insert("security".into(), security(endpoint.access()));
    if endpoint.method() == Method::GetOnly {
        operation.insert("description".into(), "HEAD is not answered here.".into());
    }
    match endpoint.input() {
        Input::Query(parameters) => {
            let parameters: Vec<Value> = parameters.iter().map(parameter).collect();
            operation.insert("parameters".into(), parameters.into());
        }
        Input::Json(document) => {
            operation.insert("requestBody".into(), request_body(document, true));
        }
        Input::OptionalJson(document) => {
            operation.insert("requestBody".into(), request_body(document, false));
        }
        Input::Nothing | Input::Form | Input::Stream => {}
    }
    let mut responses = Map::new();
    success(endpoint.output(), &mut responses);
    problems.of(endpoint, &mut responses);
    operation.insert("responses".into(), responses.into());
    operation.into()
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Session => json!([{ SESSION: [] }]),
        Access::Traffic | Access::Owner | Access::OwnerOrButton => {
            json!([{ BEARER: [] }, { PERSONAL: [] }, { SESSION: [] }])
        }
        Access::OwnerOrPage => {
            json!([{ BEARER: [] }, { PERSONAL: [] }, { SESSION: [], CSRF: [] }])
        }
        Access::OwnerInPerson => json!([{ BEARER: [] }, { SESSION: [], CSRF: [] }]),
        Access::Admin | Access::Monitor => json!([{ BEARER: [] }]),
        Access::RepositoryToken => json!([{ REPOSITORY: [] }]),
    }
}

fn user_parameter() -> Value {
    json!({
        "name": "user",
        "in": "path",
        "required": true,
        "description": "whose, by the user's id",
        "schema": { "$ref": "#/components/schemas/UserId" },
    })
}

fn order_parameter() -> Value {
    json!({
        "name": "order",
        "in": "path",
        "required": true,
        "description": "which order, by its number",
        "schema": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.takes {
        Takes::Number(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
        Takes::Text => json!({ "type": "string" }),
        Takes::ShortText(most) => json!({ "type": "string", "maxLength": most }),
        Takes::SnapshotId => json!({ "$ref": "#/components/schemas/SnapshotId" }),
        Takes::FleetCursor => json!({ "type": "string", "pattern": schemas::fleet_cursor() }),
        Takes::SnapshotCursor => json!({ "type": "string", "pattern": schemas::snapshot_cursor() }),
        Takes::CostCursor => json!({ "type": "string", "pattern": schemas::cost_cursor() }),
        Takes::OneOf(values) => json!({ "type": "string", "enum": values }),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.meaning,
        "schema": schema,
    })
}

fn request_body(document: Document, required: bool) -> Value {
    json!({
        "required": required,
        "content": { "application/json": { "schema": schemas::of(document) } },
    })
}

fn success(output: Output, responses: &mut Map<String, Value>) {
    let content = |kind: &str, schema: Value| json!({ kind: { "schema": schema } });
    let bytes = || json!({ "type": "string", "contentMediaType": "application/octet-stream" });
    let mut add = |status: &str, description: &str, content: Value| {
        responses.insert(
            status.into(),
            json!({ "description": description, "content": content }),
        );
    };
    match output {
        Output::Json(document) => add("200", "Done", content("application/json", schemas::of(document))),
        Output::Accepted(document) | Output::AcceptedOrOn(document) => add(
            "202",
            "Begun; what it led to so far",
            content("application/json", schemas::of(document)),
        ),
        Output::JsonOrBack(document) => {
            add("200", "Done", content("application/json", schemas::of(document)))
        }
        Output::Text => add("200", "Text", content("text/plain", json!({ "type": "string" }))),
        Output::Bytes => {
            let described = "The bytes; one that breaks off before its end is not whole";
            add("200", described, content("application/octet-stream", bytes()));
        }
        Output::File => {
            add("200", "The bytes", content("application/octet-stream", bytes()));
            add(
                "206",
                "Those that `Range` asks for",
                content("application/octet-stream", bytes()),
            );
        }
        Output::Page | Output::Upstream => {}
    }
    for status in ["200", "206"] {
        let answer = responses.get_mut(status).and_then(Value::as_object_mut);
        if let Some(answer) = answer.filter(|_| matches!(output, Output::Bytes | Output::File)) {
            answer.insert("headers".into(), download_headers(output, status));
        }
    }
    let by_button = match output {
        Output::JsonOrBack(_) => Some((
            "Done by a button of a page: back to the bot",
            "where the bot is, on this host",
        )),
        Output::AcceptedOrOn(_) => Some((
            "Begun by a button of a page: on to what comes of it",
            "the bot, or the page that follows it, on this host",
        )),
        _ => None,
    };
    if let Some((description, location)) = by_button {
        let location = header(location, true, &json!({ "type": "string" }));
        responses.insert(
            "303".into(),
            json!({ "description": description, "headers": { "Location": location } }),
        );
    }
}

/// What goes with bytes that are saved.
fn download_headers(output: Output, status: &str) -> Value {
    let text =
        |description: &str, required: bool| header(description, required, &json!({ "type": "string" }));
    let mut headers = Map::new();
    let mut add = |name: &str, value: Value| headers.insert(name.into(), value);
    add(
        "Content-Disposition",
        text("`attachment` with its name: no browser shows it as a page", true),
    );
    if output == Output::File {
        add(
            "Accept-Ranges",
            header("ranges of bytes are answered", true, &json!({ "const": "bytes" })),
        );
        add(
            "ETag",
            text("tells its content from any other; goes with `If-Range`", false),
        );
    }
    if status == "206" {
        add(
            "Content-Range",
            text("which bytes these are, and of how many", true),
        );
    }
    headers.into()
}

fn header(description: &str, required: bool, schema: &Value) -> Value {
    json!({ "description": description, "required": required, "schema": schema })
}
