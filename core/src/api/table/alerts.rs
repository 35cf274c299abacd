//! What admins have of the alerts.

use crate::api::alerts::{AlertCall, INCIDENT_QUERY};
use crate::api::contract::ChangeMethod::{self, Delete, Post};
use crate::api::contract::{Input, Output};
use crate::api::endpoint::Endpoint;
use crate::api::operation::{Document, Operation};
use crate::http::problem::Refusal;

const SINKS: &str = "/api/admin/alerts/sinks";
const MUTES: &str = "/api/admin/alerts/mutes";
const SETTINGS: &str = "/api/admin/alerts/settings";

pub(super) static ALERTS: &[Endpoint] = &[
    look(
        AlertCall::Incidents,
        "admin-list-incidents",
        "/api/admin/incidents",
        "What is or was wrong, the latest first",
        Document::IncidentPage,
    )
    .takes(Input::Query(&INCIDENT_QUERY)),
    change(
        AlertCall::Acknowledge,
        "admin-acknowledge-incident",
        "/api/admin/incidents/acknowledge",
        "Say that somebody knows of an incident: it is not told once more",
        Post,
        (Document::IncidentName, Document::ListedIncident),
    )
    .or(&[Refusal::NoSuchEntry]),
    look(
        AlertCall::Sinks,
        "admin-list-alert-sinks",
        SINKS,
        "Where alerts are told, without what opens it",
        Document::SinkList,
    ),
    change(
        AlertCall::SetSink,
        "admin-set-alert-sink",
        SINKS,
        "Add a sink of alerts, or replace the one of this name",
        Post,
        (Document::SinkRequest, Document::SinkList),
    ),
    change(
        AlertCall::RemoveSink,
        "admin-remove-alert-sink",
        SINKS,
        "Remove a sink of alerts, with what waits for it",
        Delete,
        (Document::SinkName, Document::SinkList),
    )
    .or(&[Refusal::NoSuchEntry]),
    change(
        AlertCall::TestSink,
        "admin-test-alert-sink",
        "/api/admin/alerts/sinks/test",
        "Send a test to a sink now",
        Post,
        (Document::SinkName, Document::SinkTest),
    )
    .or(&[Refusal::NoSuchEntry]),
    look(
        AlertCall::Mutes,
        "admin-list-mutes",
        MUTES,
        "What is muted, and until when",
        Document::MuteList,
    ),
    change(
        AlertCall::Mute,
        "admin-mute",
        MUTES,
        "Record a rule, a bot, or a rule at a bot, and tell nobody until a time",
        Post,
        (Document::MuteRequest, Document::MuteList),
    ),
    change(
        AlertCall::Unmute,
        "admin-unmute",
        MUTES,
        "End a mute",
        Delete,
        (Document::MuteName, Document::MuteList),
    ),
    look(
        AlertCall::Settings,
        "admin-get-alert-settings",
        SETTINGS,
        "Every rule with its thresholds, and the quiet hours",
        Document::AlertRules,
    ),
    change(
        AlertCall::SetSettings,
        "admin-set-alert-settings",
        SETTINGS,
        "Replace the thresholds that are not the rules' own, and the quiet hours",
        Post,
        (Document::AlertSettings, Document::AlertRules),
    ),
];

const fn look(
    call: AlertCall,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
    answers: Document,
) -> Endpoint {
    Endpoint::admin_look(Operation::Alerts(call), name, path, summary).answers(Output::Json(answers))
}

const fn change(
    call: AlertCall,
    name: &'static str,
    path: &'static str,
    summary: &'static str,
    method: ChangeMethod,
    (takes, answers): (Document, Document),
) -> Endpoint {
    Endpoint::admin_change(Operation::Alerts(call), name, path, summary, method)
        .takes(Input::Json(takes))
        .answers(Output::Json(answers))
}
