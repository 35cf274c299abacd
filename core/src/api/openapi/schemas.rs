//! The schemas of the documents: as utoipa derives them from the types, with what serde knows beside.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::api::channels::MAX_CHANNEL_TOKEN;
use crate::api::fleet::{FleetOrder, MAX_TIME_DIGITS};
use crate::api::operation::Document;
use crate::api::page::PAGE;
use crate::api::snapshots;
use crate::cost::limit::{MAX_LIMIT, MIN_LIMIT};
use crate::http::host::MAX_CHARACTERS;
use crate::http::problem::{Problem, Refusal};
use crate::identity::personal_token::{DEFAULT_DAYS, MAX_DAYS, MAX_NAME_CHARACTERS};
use crate::identity::users::MAX_EMAIL_CHARACTERS;
use crate::user_id::UserId;
use crate::wire::control::SnapshotEntry;
use crate::wire::devices::MAX_DEVICE_ID;

/// A user's id: a UUID in lower case, and not the one of zeros.
const USER_ID: &str = "(?!00000000-0000-0000-0000-000000000000)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
/// A domain's name as people write it; how long it may be stands beside it, because a look ahead to its end takes
/// generators of examples very long.
const HOST: &str = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?![0-9]+\.?$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?";
/// A name of a personal token: no control characters, and not spaces alone.
const TOKEN_NAME: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// The token of a channel: what can be printed, without spaces and dollar signs.
const CHANNEL_TOKEN: &str = r"^[!-#%-~]+$";
/// The id of a device or of a request of one; how long it may be stands beside it.
const DEVICE_ID: &str = r"^[A-Za-z0-9_.:-]+$";
/// What may stand before the `@` of an e-mail address.
const LOCAL_PART: &str = r"[!#-+\--?A-~]+";

/// The documents requests bring: a field that may be null may be missing as well.
pub(super) const REQUESTS: [&str; 24] = [
    "AccessEntry",
    "AdminSessionRequest",
    "AlertSettings",
    "BulkRequest",
    "ChannelName",
    "ChannelRequest",
    "ConfigChangeName",
    "ConfigPatch",
    "DeviceName",
    "DomainName",
    "IncidentName",
    "Invitee",
    "LimitRequest",
    "MuteName",
    "MuteRequest",
    "OrderRequest",
    "OwnerSinkRequest",
    "PersonalTokenName",
    "PersonalTokenRequest",
    "RestoreRequest",
    "SinkName",
    "SinkRequest",
    "SnapshotName",
    "TakeRequest",
];

/// What stands in one of them, and in no answer.
const PARTS_OF_REQUESTS: [&str; 1] = ["RuleSetting"];

/// The cursor of the fleet: an order, a time in milliseconds and a user's id other than the one of zeros, between dots. Empty is
/// the beginning.
pub(super) fn fleet_cursor() -> String {
    let orders = FleetOrder::ALL.map(FleetOrder::as_str).join("|");
    format!("^((?:{orders})[.][0-9]{{1,{MAX_TIME_DIGITS}}}[.]{USER_ID})?$")
}

/// The cursor of a list of snapshots: a time in milliseconds and a snapshot's id, with a dot between. Empty is the beginning.
pub(super) fn snapshot_cursor() -> String {
    format!("^([0-9]{{1,{MAX_TIME_DIGITS}}}[.][0-9a-f]{{64}})?$")
}

/// The cursor of a list of the most expensive bots: an amount and a user id, with a dot between. Empty is the beginning.
pub(super) fn cost_cursor() -> String {
    format!("^([0-9]{{1,{MAX_TIME_DIGITS}}}[.]{USER_ID})?$")
}

/// Every schema, by name.
pub(super) fn all() -> Value {
    let mut named = Document::schemas();
    add::<snapshots::Details>(&mut named);
    add::<SnapshotEntry>(&mut named);
    add::<UserId>(&mut named);
    add::<Problem>(&mut named);
    let mut all: Map<String, Value> = named
        .into_iter()
        .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
        .collect();
    flatten_details(&mut all);
    for (name, schema) in &mut all {
        let is_brought = |names: &[&str]| names.contains(&name.as_str());
        if !is_brought(&REQUESTS) && !is_brought(&PARTS_OF_REQUESTS) {
            require_nullable(schema);
        }
    }
    constrain(&mut all);
    let mut all = all.into();
    plain(&mut all);
    all
}

/// The schema of a document, by reference.
pub(super) fn of(document: Document) -> Value {
    let named = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    match document {
        Document::SnapshotEntries => json!({ "type": "array", "items": named("SnapshotEntry") }),
        Document::OpenApi => json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
        other => named(other.name()),
    }
}

fn add<T: ToSchema>(named: &mut Vec<(String, RefOr<Schema>)>) {
    named.push((T::name().into_owned(), T::schema()));
    T::schemas(named);
}

/// What is known of a snapshot stands beside its id, and is missing where nothing is known: serde writes it flat, for
/// which utoipa has no word.
fn flatten_details(all: &mut Map<String, Value>) {
    let Some(mut details) = all.remove("Details") else {
        return;
    };
    let known = details.get_mut("properties").map(Value::take).unwrap_or_default();
    let Some(snapshot) = all.get_mut("ShownSnapshot") else {
        return;
    };
    // As derived: `allOf` the details and an object with the rest.
    let own = snapshot.get("allOf").and_then(Value::as_array).and_then(|parts| {
        parts
            .iter()
            .find(|part| part.get("properties").is_some())
            .cloned()
    });
    let Some(mut own) = own else { return };
    require_nullable(&mut own);
    if let (Some(properties), Value::Object(known)) =
        (own.get_mut("properties").and_then(Value::as_object_mut), known)
    {
        properties.extend(known);
    }
    if let (Some(own), Some(description)) = (own.as_object_mut(), snapshot.get("description")) {
        own.insert("description".into(), description.clone());
        own.insert("x-complete".into(), true.into());
    }
    *snapshot = own;
}

/// Takes the links to other types out of the descriptions: they lead nowhere outside of this code.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        _ => {}
    }
}

/// In an answer serde writes what may be null always, and what is skipped is never null (`nullable = false`).
fn require_nullable(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else {
        return;
    };
    if schema.remove("x-complete").is_some() {
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let nullable: Vec<Value> = properties
        .iter()
        .filter(|(_, property)| is_nullable(property))
        .map(|(name, _)| name.clone().into())
        .collect();
    let required = schema.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        for name in nullable {
            if !required.contains(&name) {
                required.push(name);
            }
        }
        required.sort_by_key(Value::to_string);
    }
}

fn is_nullable(property: &Value) -> bool {
    let is_null = |value: &Value| value == "null";
    let listed = |key: &str| property.get(key).and_then(Value::as_array);
    listed("type").is_some_and(|types| types.iter().any(is_null))
        || listed("oneOf").is_some_and(|of| of.iter().any(|one| one.get("type").is_some_and(is_null)))
}

/// What texts have to look like and which limits there are, where the types say more than "a text" and "a list". The derive of
/// utoipa takes a limit only as a number of its own.
fn constrain(all: &mut Map<String, Value>) {
    let codes: Vec<&str> = Refusal::ALL.iter().map(|refusal| refusal.facts().1).collect();
    let entry = |forms: &[&str]| format!(r"^(?:{})$", forms.join("|"));
    let email = format!("{LOCAL_PART}@{HOST}");
    let domain = format!("@{HOST}");
    for (pointer, key, value) in [
        ("/UserId", "pattern", json!(format!("^{USER_ID}$"))),
        (
            "/UserId",
            "examples",
            json!(["6f1c2a9e-8d2b-4a63-9f5e-0b7f6f3c1d20"]),
        ),
        ("/SnapshotId", "examples", json!(["ab".repeat(32)])),
        ("/SnapshotId", "pattern", json!("^[0-9a-f]{64}$")),
        ("/HostName", "maxLength", json!(MAX_CHARACTERS)),
        (
            "/DomainName/properties/host",
            "maxLength",
            // With the dot of the root.
            json!(MAX_CHARACTERS + 1),
        ),
        ("/HostName", "pattern", json!(format!("^{HOST}$"))),
        (
            "/DomainName/properties/host",
            "pattern",
            json!(format!("^{HOST}$")),
        ),
        (
            "/DomainName/properties/host",
            "examples",
            json!(["claw.example.org"]),
        ),
        (
            "/AccessEntry/properties/entry",
            "pattern",
            json!(entry(&[&email, &domain, USER_ID])),
        ),
        (
            "/AccessEntry/properties/entry",
            "examples",
            json!(["@example.org", "bob@example.org"]),
        ),
        (
            "/Invitee/properties/entry",
            "pattern",
            json!(entry(&[&email, USER_ID])),
        ),
        (
            "/Invitee/properties/entry",
            "examples",
            json!(["bob@example.org"]),
        ),
        (
            "/AccessEntry/properties/entry",
            "maxLength",
            json!(MAX_EMAIL_CHARACTERS),
        ),
        (
            "/Invitee/properties/entry",
            "maxLength",
            json!(MAX_EMAIL_CHARACTERS),
        ),
        (
            "/PersonalTokenRequest/properties/name",
            "pattern",
            json!(TOKEN_NAME),
        ),
        (
            "/PersonalTokenRequest/properties/name",
            "examples",
            json!(["Alice's phone"]),
        ),
        ("/PersonalTokenRequest/properties/name", "minLength", json!(1)),
        (
            "/PersonalTokenRequest/properties/name",
            "maxLength",
            json!(MAX_NAME_CHARACTERS),
        ),
        (
            "/PersonalTokenRequest/properties/expires_in_days",
            "minimum",
            json!(1),
        ),
        (
            "/PersonalTokenRequest/properties/expires_in_days",
            "maximum",
            json!(MAX_DAYS),
        ),
        (
            "/PersonalTokenRequest/properties/expires_in_days",
            "default",
            json!(DEFAULT_DAYS),
        ),
        (
            "/LimitRequest/properties/limit_microdollars",
            "minimum",
            json!(MIN_LIMIT.micro()),
        ),
        (
            "/LimitRequest/properties/limit_microdollars",
            "maximum",
            json!(MAX_LIMIT.micro()),
        ),
        (
            "/ChannelRequest/properties/token",
            "pattern",
            json!(CHANNEL_TOKEN),
        ),
        ("/ChannelRequest/properties/token", "minLength", json!(1)),
        (
            "/ChannelRequest/properties/token",
            "maxLength",
            json!(MAX_CHANNEL_TOKEN),
        ),
        ("/ConfigChangeName/properties/id", "maximum", json!(u32::MAX)),
        ("/DeviceName/properties/id", "pattern", json!(DEVICE_ID)),
        ("/DeviceName/properties/id", "minLength", json!(1)),
        ("/DeviceName/properties/id", "maxLength", json!(MAX_DEVICE_ID)),
        ("/BotPage/properties/bots", "maxItems", json!(PAGE)),
        ("/EventPage/properties/events", "maxItems", json!(PAGE)),
        ("/FleetCosts/properties/bots", "maxItems", json!(PAGE)),
        ("/SnapshotList/properties/snapshots", "maxItems", json!(PAGE)),
        ("/UserPage/properties/users", "maxItems", json!(PAGE)),
        ("/Problem/properties/code", "enum", json!(codes)),
        ("/Problem/properties/type", "const", json!("about:blank")),
        ("/DnsRecord/properties/type", "enum", json!(["CNAME", "TXT"])),
    ] {
        let mut parts = pointer.split('/').skip(1);
        let found = parts.next().and_then(|name| all.get_mut(name));
        let found = found.and_then(|schema| parts.try_fold(schema, |schema, part| schema.get_mut(part)));
        // A type that was renamed would lose its limits without a word.
        let schema = found.and_then(Value::as_object_mut);
        assert!(schema.is_some(), "the document has no {pointer}");
        schema.map(|schema| schema.insert(key.into(), value));
    }
}
