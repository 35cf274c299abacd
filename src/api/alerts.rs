//! Incidents, sinks, mutes and thresholds, for admins.

use moltworker_core::alerts::incident::Incident;
use moltworker_core::alerts::policy::AlertSettings;
use moltworker_core::alerts::rules::Rule;
use moltworker_core::alerts::sink::{MAX_SINKS, SinkRequest};
use moltworker_core::api::alerts::{
    AlertCall, AlertRules, IncidentName, IncidentPage, IncidentQuery, IncidentState, ListedIncident,
    SinkList, SinkName, SinkTest,
};
use moltworker_core::api::mutes::{self, MuteList, MuteName, MuteRequest};
use moltworker_core::api::page::{self, PAGE_ROWS};
use moltworker_core::bot::history::truncate_detail;
use moltworker_core::http::problem::Refusal;
use serde::Deserialize;
use wasm_bindgen::JsValue;
use worker::Request;

use crate::alerts::{self, INCIDENT, sinks};
use crate::api::answer::Answer;
use crate::api::context::Context;
use crate::http::address::Address;
use crate::http::body;
use crate::http::error::{Error, Result, directory_unavailable};
use crate::platform::clock;
use crate::platform::database::{self, Rows, d1_timestamp, text_or_null};
use crate::platform::json::read as of_text;

/// Answers one of these calls.
pub(super) async fn call(ctx: &Context<'_>, request: &mut Request, call: AlertCall) -> Result<Answer> {
    match call {
        AlertCall::Incidents => Answer::of(&incidents(ctx, request).await?),
        AlertCall::Acknowledge => {
            Answer::of(&acknowledge(ctx, body::json(ctx.endpoint, request).await?).await?)
        }
        AlertCall::Sinks => Answer::of(&list_sinks(ctx).await?),
        AlertCall::SetSink => Answer::of(&set_sink(ctx, body::json(ctx.endpoint, request).await?).await?),
        AlertCall::RemoveSink => {
            Answer::of(&remove_sink(ctx, body::json(ctx.endpoint, request).await?).await?)
        }
        AlertCall::TestSink => Answer::of(&test_sink(ctx, body::json(ctx.endpoint, request).await?).await?),
        AlertCall::Mutes => Answer::of(&list_mutes(ctx).await?),
        AlertCall::Mute => Answer::of(&mute(ctx, body::json(ctx.endpoint, request).await?).await?),
        AlertCall::Unmute => Answer::of(&unmute(ctx, body::json(ctx.endpoint, request).await?).await?),
        AlertCall::Settings => {
            let settings = alerts::settings(ctx.env).await.map_err(directory_unavailable)?;
            Answer::of(&AlertRules::from(settings))
        }
        AlertCall::SetSettings => {
            Answer::of(&set_settings(ctx, body::json(ctx.endpoint, request).await?).await?)
        }
    }
}

fn bad(detail: impl Into<String>) -> Error {
    Error::detailed(Refusal::BadRequest, detail)
}

/// Writes down what is about to be changed.
async fn begin(ctx: &Context<'_>, detail: String) {
    ctx.audit.note(detail);
    ctx.audit.begin().await;
}

#[derive(Deserialize)]
struct IncidentRow {
    num: u64,
    said: String,
}

async fn incidents(ctx: &Context<'_>, request: &Request) -> Result<IncidentPage> {
    let address = Address::of(request)?;
    let query = address.with_pairs(|pairs| IncidentQuery::read(pairs));
    let rows = read(ctx, &query).await.map_err(directory_unavailable)?;
    let (rows, next) = page::cut(rows, |last| last.num);
    let incidents = rows.iter().map(|row| of_text::<Incident>(&row.said));
    let incidents = incidents.collect::<worker::Result<Vec<_>>>()?;
    Ok(IncidentPage {
        incidents: incidents.into_iter().map(ListedIncident::from).collect(),
        next,
    })
}

async fn read(ctx: &Context<'_>, query: &IncidentQuery) -> worker::Result<Vec<IncidentRow>> {
    let state = match query.state {
        None => "",
        Some(IncidentState::Open) => "AND closed_at IS NULL",
        Some(IncidentState::Closed) => "AND closed_at IS NOT NULL",
    };
    database::open(ctx.env)?
        .prepare(format!(
            "SELECT num, {INCIDENT} AS said FROM incidents WHERE opened_at IS NOT NULL AND num < ?1 {state} \
             AND (?2 IS NULL OR rule = ?2) AND (?3 IS NULL OR subject = ?3) ORDER BY num DESC LIMIT ?4"
        ))
        .bind(&[
            query
                .before
                .map_or_else(|| d1_timestamp(u64::from(u32::MAX)), JsValue::from),
            text_or_null(query.rule.map(Rule::as_str)),
            text_or_null(query.subject.as_deref()),
            PAGE_ROWS.into(),
        ])?
        .rows()
        .await
}

async fn acknowledge(ctx: &Context<'_>, IncidentName { id }: IncidentName) -> Result<ListedIncident> {
    begin(ctx, truncate_detail(&id)).await;
    let admin = ctx.admin()?.to_string();
    let written = async {
        database::open(ctx.env)?
            .prepare(format!(
                "UPDATE incidents SET revision = revision + 1, \
                 acknowledged_by = coalesce(acknowledged_by, ?2), acknowledged_at = coalesce(acknowledged_at, ?3) \
                 WHERE id = ?1 AND opened_at IS NOT NULL RETURNING num, {INCIDENT} AS said"
            ))
            .bind(&[id.as_str().into(), admin.into(), d1_timestamp(clock::now_ms())])?
            .row::<IncidentRow>()
            .await
    };
    let row = written.await.map_err(directory_unavailable)?;
    let row = row.ok_or(Refusal::NoSuchEntry)?;
    Ok(of_text::<Incident>(&row.said)?.into())
}

async fn list_sinks(ctx: &Context<'_>) -> Result<SinkList> {
    let sinks = sinks::list(ctx.env).await.map_err(directory_unavailable)?;
    Ok(SinkList { sinks })
}

async fn set_sink(ctx: &Context<'_>, wanted: SinkRequest) -> Result<SinkList> {
    let name = wanted.name.clone();
    let (access, host) = wanted
        .check(&ctx.settings.access.alert_internal_hosts)
        .map_err(|error| bad(error.to_string()))?;
    // Not the address: it opens some sinks.
    begin(ctx, format!("{name} {} {host}", access.kind.as_str())).await;
    let admin = ctx.admin()?.to_string();
    let set = sinks::set(ctx.env, ctx.settings, &name, &host, &access, &admin).await;
    if !set.map_err(directory_unavailable)? {
        return Err(bad(format!("there are at most {MAX_SINKS} sinks")));
    }
    list_sinks(ctx).await
}

async fn remove_sink(ctx: &Context<'_>, SinkName { name }: SinkName) -> Result<SinkList> {
    begin(ctx, truncate_detail(&name)).await;
    let removed = sinks::remove(ctx.env, &name)
        .await
        .map_err(directory_unavailable)?;
    if !removed {
        return Err(Refusal::NoSuchEntry.into());
    }
    list_sinks(ctx).await
}

async fn test_sink(ctx: &Context<'_>, SinkName { name }: SinkName) -> Result<SinkTest> {
    begin(ctx, truncate_detail(&name)).await;
    let tried = sinks::test(ctx.env, ctx.settings, &name).await;
    let tried = tried
        .map_err(directory_unavailable)?
        .ok_or(Refusal::NoSuchEntry)?;
    Ok(SinkTest {
        delivered: tried.error().is_none(),
        error: tried.error().map(str::to_owned),
    })
}

async fn list_mutes(ctx: &Context<'_>) -> Result<MuteList> {
    let mutes = alerts::mutes(ctx.env, clock::now_ms()).await;
    Ok(MuteList {
        mutes: mutes.map_err(directory_unavailable)?,
    })
}

async fn mute(ctx: &Context<'_>, wanted: MuteRequest) -> Result<MuteList> {
    let mute = wanted
        .into_mute(ctx.admin()?.to_string(), clock::now_ms())
        .map_err(|error| bad(error.to_string()))?;
    let what = mutes::words(mute.rule, mute.subject.as_deref());
    begin(ctx, format!("{what} until {}", mute.until)).await;
    alerts::mute(ctx.env, &mute)
        .await
        .map_err(directory_unavailable)?;
    list_mutes(ctx).await
}

async fn unmute(ctx: &Context<'_>, name: MuteName) -> Result<MuteList> {
    name.check().map_err(|error| bad(error.to_string()))?;
    let (rule, subject) = (name.rule, name.subject.as_deref());
    begin(ctx, mutes::words(rule, subject)).await;
    let ended = alerts::forget_mute(ctx.env, rule, subject).await;
    ended.map_err(directory_unavailable)?;
    list_mutes(ctx).await
}

async fn set_settings(ctx: &Context<'_>, settings: AlertSettings) -> Result<AlertRules> {
    settings.check().map_err(|error| bad(error.to_string()))?;
    begin(
        ctx,
        serde_json::to_string(&settings).map_err(worker::Error::from)?,
    )
    .await;
    let admin = ctx.admin()?.to_string();
    let set = alerts::set_settings(ctx.env, &settings, &admin, clock::now_ms()).await;
    set.map_err(directory_unavailable)?;
    Ok(settings.into())
}
