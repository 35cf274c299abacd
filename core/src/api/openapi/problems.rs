//! The refusals of each operation, one response for each status: with the codes that can come here, and no others.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::header;
use crate::api::endpoint::Endpoint;
use crate::http::problem::Refusal;

/// Responses that operations share, by what can be in them.
#[derive(Default)]
pub(super) struct Problems {
    /// In the order in which they were met: the component's name, and its refusals.
    known: Vec<(String, Vec<Refusal>)>,
}

impl Problems {
    /// Adds the refusals of one operation.
    pub(super) fn of(&mut self, endpoint: &Endpoint, responses: &mut Map<String, Value>) {
        let mut by_status: BTreeMap<u16, Vec<Refusal>> = BTreeMap::new();
        for refusal in endpoint.problems().into_iter().chain([Refusal::WrongMethod]) {
            by_status.entry(refusal.facts().0).or_default().push(refusal);
        }
        for (status, mut refusals) in by_status {
            refusals.sort_by_key(|refusal| refusal.facts().1);
            let name = self.name(status, refusals);
            responses.insert(
                status.to_string(),
                json!({ "$ref": format!("#/components/responses/{name}") }),
            );
        }
    }

    /// The component for these refusals of one status.
    fn name(&mut self, status: u16, refusals: Vec<Refusal>) -> String {
        if let Some((name, _)) = self.known.iter().find(|(_, known)| *known == refusals) {
            return name.clone();
        }
        let name = match refusals.as_slice() {
            [only] => only.facts().1.to_owned(),
            _ => {
                let prefix = format!("problem-{status}-");
                let before = self.known.iter().filter(|(name, _)| name.starts_with(&prefix));
                format!("{prefix}{}", before.count() + 1)
            }
        };
        self.known.push((name.clone(), refusals));
        name
    }

    /// All of them.
    pub(super) fn into_components(self) -> Value {
        self.known
            .into_iter()
            .map(|(name, refusals)| (name, response(&refusals)))
            .collect::<Map<_, _>>()
            .into()
    }
}

fn response(refusals: &[Refusal]) -> Value {
    let description: Vec<String> = refusals
        .iter()
        .map(|refusal| {
            let (_, code, title) = refusal.facts();
            format!("`{code}`: {title}")
        })
        .collect();
    let codes: Vec<&str> = refusals.iter().map(|refusal| refusal.facts().1).collect();
    let statuses: Vec<u16> = refusals
        .first()
        .map(|refusal| refusal.facts().0)
        .into_iter()
        .collect();
    let mut response = json!({
        "description": description.join("\n\n"),
        "content": {
            "application/problem+json": {
                "schema": {
                    "allOf": [
                        { "$ref": "#/components/schemas/Problem" },
                        { "properties": { "code": { "enum": codes }, "status": { "enum": statuses } } },
                    ],
                },
            },
        },
    });
    let headers = headers(refusals);
    if let (false, Some(response)) = (headers.is_empty(), response.as_object_mut()) {
        response.insert("headers".into(), headers.into());
    }
    response
}

/// The headers that come with these refusals; required where all of them have it.
fn headers(refusals: &[Refusal]) -> Map<String, Value> {
    let mut headers = Map::new();
    let mut add = |name: &str, description: &str, having: usize, schema: &Value| {
        if having > 0 {
            headers.insert(name.into(), header(description, having == refusals.len(), schema));
        }
    };
    let waits = refusals.iter().filter(|refusal| refusal.retry_after().is_some());
    add(
        "Retry-After",
        "seconds after which trying again makes sense",
        waits.count(),
        &json!({ "type": "integer", "minimum": 1 }),
    );
    let challenges = refusals.iter().filter(|refusal| refusal.challenge().is_some());
    add(
        "WWW-Authenticate",
        "which credentials are missing, or what is wrong with them (RFC 6750)",
        challenges.count(),
        &json!({ "type": "string" }),
    );
    let methods = refusals
        .iter()
        .filter(|refusal| **refusal == Refusal::WrongMethod);
    add(
        "Allow",
        "the methods this address takes",
        methods.count(),
        &json!({ "type": "string" }),
    );
    headers
}
