//! The handlers of the platform's own endpoints, each found by its operation.
//!
//! Before one is called the request was counted, the caller proven and permitted, and the size checked (`router`); around it
//! the history is written ([`audit`]). A handler takes the [`context::Context`] and its typed input, and returns a typed
//! output ([`answer`]) or an error.

pub(crate) mod audit;
pub(crate) mod context;

mod access_lists;
mod admin_session;
mod admin_ui;
mod alerts;
mod answer;
mod bot;
mod bulk;
mod channels;
mod config;
mod costs;
mod devices;
mod domains;
mod health;
mod history;
mod input;
mod metrics;
mod output;
mod own_page;
mod owner_sink;
mod personal_tokens;
mod processes;
mod series;
mod sign_in;
mod snapshots;
mod users;

use js_sys::JsString;
use moltworker_core::api::operation::{Document, Operation};
use moltworker_core::api::personal_tokens::PersonalTokenName;
use moltworker_core::api::sign_in::SignInSettings;
use moltworker_core::bot::lifecycle::Authority;
use moltworker_core::http::problem::Refusal;
use wasm_bindgen::prelude::*;
use worker::{Request, Response};

use crate::http::body;
use crate::http::error::Result;
use crate::identity::sign_in::second_factor;
use answer::Answer;
use context::Context;

#[wasm_bindgen]
extern "C" {
    /// The OpenAPI document, as `cargo xtask openapi` writes it. A module of text beside this one, which the build imports
    /// under this name: in here, each instance would keep 100 kB of it in memory for the few who ask.
    #[wasm_bindgen(thread_local_v2, js_name = apiDocument)]
    static API_DOCUMENT: JsString;
}

/// Answers a call of one of the platform's own endpoints.
pub(crate) async fn handle(ctx: &Context<'_>, request: &mut Request) -> Result<Response> {
    if ctx.endpoint.is_api() {
        input::check_query(ctx.endpoint, request)?;
        input::check_body(ctx.endpoint, request)?;
    }
    let answer = dispatch(ctx, request).await?;
    answer.into_response(ctx.endpoint.output())
}

async fn dispatch(ctx: &Context<'_>, request: &mut Request) -> Result<Answer> {
    match ctx.endpoint.operation() {
        Operation::ReadApiDocument => Ok(Answer::Document(
            Document::OpenApi,
            API_DOCUMENT.with(|text| String::from(text)),
        )),

        Operation::ReadSignInSettings => Answer::of(&SignInSettings::from(ctx.settings)),
        Operation::BeginAdminSession => {
            let wanted = body::json(ctx.endpoint, request).await?;
            Answer::of(&admin_session::begin(ctx, request, wanted).await?)
        }
        Operation::ResumeAdminSession => Answer::of(&admin_session::resume(ctx, request).await?),
        Operation::EndAdminSession => Answer::of(&admin_session::end(ctx, request).await?),
        Operation::EnterAdminUi => Ok(admin_ui::enter()?.into()),
        Operation::ServeAdminUi => admin_ui::serve(ctx, request).await,

        Operation::ShowOwnPage | Operation::ShowPartOfOwnPage => own_page::show(ctx, request).await,
        Operation::ReadOwnSession => Answer::of(&own_page::session(ctx).await?),

        Operation::ShowLogin => Ok(sign_in::show(ctx, request).await?.into()),
        Operation::SubmitLogin => Ok(sign_in::submit(ctx, request).await?.into()),
        Operation::ShowSecondFactor => Ok(second_factor::show(request, ctx.settings).await?.into()),
        Operation::SubmitSecondFactor => Ok(sign_in::prove(ctx, request).await?.into()),
        Operation::SignInWith => Ok(sign_in::start(ctx, request).await?.into()),
        Operation::SignInCallback => Ok(sign_in::callback(ctx, request).await?.into()),
        Operation::SignOut => Ok(sign_in::sign_out(ctx, request).await?.into()),
        Operation::ShowSignOut => Ok(sign_in::show_sign_out(ctx, request).await?.into()),
        Operation::IssueHandoffCode => Ok(sign_in::issue_code(ctx, request).await?.into()),
        Operation::RedeemHandoffCode => Ok(sign_in::redeem_code(ctx, request).await?.into()),

        Operation::ReadHealth => health::report(ctx, request).await,
        Operation::ReadMetrics => metrics::read(ctx).await,
        Operation::ListBots => Answer::of(&bot::list(ctx, &bot::query(request)?).await?),
        Operation::GetBot | Operation::GetBotOf => bot::status(ctx).await,
        Operation::ReadSeries | Operation::ReadSeriesOf => {
            Answer::of(&series::bot(ctx, &series::query(request)?).await?)
        }
        Operation::ReadFleetSeries => Answer::of(&series::fleet(ctx, &series::query(request)?).await?),
        Operation::OrderBot(order) => {
            bot::order(
                ctx,
                Authority::Owner,
                order,
                input::force(ctx.endpoint, request, order).await?,
            )
            .await
        }
        Operation::OrderBotOf(order) => {
            bot::order(
                ctx,
                Authority::Admin,
                order,
                input::force(ctx.endpoint, request, order).await?,
            )
            .await
        }
        Operation::ListEvents | Operation::ListEventsOf => {
            Answer::of(&history::list(ctx, Some(ctx.subject()?), input::before(request)?).await?)
        }
        Operation::ListAllEvents => Answer::of(&history::list(ctx, None, input::before(request)?).await?),
        Operation::ReadLog | Operation::ReadLogOf => output::tell(ctx, input::log(request, false)?).await,
        Operation::FollowLog | Operation::FollowLogOf => output::tell(ctx, input::log(request, true)?).await,
        Operation::ListProcesses | Operation::ListProcessesOf => processes::list(ctx).await,
        Operation::Channels(call) | Operation::ChannelsOf(call) => channels::call(ctx, request, call).await,
        Operation::Config(call) | Operation::ConfigOf(call) => config::call(ctx, request, call).await,
        Operation::Devices(call) | Operation::DevicesOf(call) => devices::call(ctx, request, call).await,
        Operation::Snapshots(call) | Operation::SnapshotsOf(call) => {
            snapshots::call(ctx, input::snapshot_command(ctx.endpoint, request, call).await?).await
        }

        Operation::ListDomains | Operation::ListDomainsOf => Answer::of(&domains::list(ctx).await?),
        Operation::AddDomain => {
            Answer::of(&domains::add(ctx, input::domain(ctx.endpoint, request).await?).await?)
        }
        Operation::CheckDomain => {
            Answer::of(&domains::check(ctx, input::domain(ctx.endpoint, request).await?).await?)
        }
        Operation::VerifyDomainOf => {
            Answer::of(&domains::verify_for(ctx, input::domain(ctx.endpoint, request).await?).await?)
        }
        Operation::RemoveDomain | Operation::RemoveDomainOf => {
            Answer::of(&domains::remove(ctx, input::domain(ctx.endpoint, request).await?).await?)
        }

        Operation::ListPersonalTokens => Answer::of(&personal_tokens::list(ctx).await?),
        Operation::CreatePersonalToken => {
            Answer::of(&personal_tokens::create(ctx, body::json(ctx.endpoint, request).await?).await?)
        }
        Operation::RevokePersonalToken => {
            let PersonalTokenName { id } = body::json(ctx.endpoint, request).await?;
            Answer::of(&personal_tokens::revoke(ctx, &id).await?)
        }

        Operation::OwnerSink(call) => owner_sink::call(ctx, request, call).await,

        Operation::ListUsers => Answer::of(&users::list(ctx, input::after(request)?).await?),
        Operation::GetUser => Answer::of(&users::get(ctx).await?),
        Operation::SetUserStatus(status) => Answer::of(&users::set_status(ctx, status).await?),
        Operation::ListInvitations => Answer::of(&access_lists::invitations(ctx).await?),
        Operation::Invite => {
            Answer::of(&access_lists::invite(ctx, input::invitee(ctx.endpoint, request).await?).await?)
        }
        Operation::Uninvite => {
            Answer::of(&access_lists::uninvite(ctx, input::invitee(ctx.endpoint, request).await?).await?)
        }
        Operation::ListAllowList => Answer::of(&access_lists::allow_list(ctx).await?),
        Operation::Allow => {
            Answer::of(&access_lists::allow(ctx, input::entry(ctx.endpoint, request).await?).await?)
        }
        Operation::Disallow => {
            Answer::of(&access_lists::disallow(ctx, input::entry(ctx.endpoint, request).await?).await?)
        }

        Operation::Bulk(call) => bulk::call(ctx, request, call).await,
        Operation::Alerts(call) => alerts::call(ctx, request, call).await,
        Operation::Costs(call) => costs::call(ctx, request, call).await,

        // What has rules of its own is answered before: `router`, `proxy`, `repository`.
        Operation::Health | Operation::ServeBot | Operation::ServeRepository => Err(Refusal::NotFound.into()),
    }
}
