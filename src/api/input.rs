//! What requests bring, in types. Anything else is refused, with what the endpoint takes.

use moltworker_core::api::domains::DomainName;
use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::api::sandbox::{LogRequest, MAX_LOG_LINES, Order, OrderRequest};
use moltworker_core::api::snapshots::{SnapshotCall, SnapshotCommand, SnapshotRequest};
use moltworker_core::api::users::{AccessEntry, Invitee};
use moltworker_core::http::host::HostName;
use moltworker_core::http::problem::Refusal;
use moltworker_core::identity::users::AllowListEntry;
use moltworker_core::wire::control::DEFAULT_LOG_LINES;
use moltworker_core::wire::home_path::HomePath;
use moltworker_core::wire::job::MAX_RANGE_HEADER;
use worker::Request;

use crate::http::address::{Address, method_of};
use crate::http::body;
use crate::http::error::{Error, Result};

fn bad(detail: impl Into<String>) -> Error {
    Error::detailed(Refusal::BadRequest, detail)
}

/// Refuses a body where the endpoint takes none: whoever sends one means something by it.
pub(super) fn check_body(endpoint: &Endpoint, request: &Request) -> Result<()> {
    if body::is_present(request.inner()) && !endpoint.input().takes_body() {
        return Err(bad("this address takes no body"));
    }
    Ok(())
}

/// Refuses a query that the endpoint does not take.
pub(super) fn check_query(endpoint: &Endpoint, request: &Request) -> Result<()> {
    let address = Address::of(request)?;
    address
        .with_pairs(|pairs| endpoint.input().check_query(pairs))
        .map_err(bad)
}

/// `?before=`, the id of an event.
pub(super) fn before(request: &Request) -> Result<Option<u32>> {
    number(request, "before")
}

/// `?lines=`, at most [`MAX_LOG_LINES`], and `?contains=`.
pub(super) fn log(request: &Request, follow: bool) -> Result<LogRequest> {
    let lines = number(request, "lines")?.and_then(|lines| u16::try_from(lines).ok());
    let usual = u16::try_from(DEFAULT_LOG_LINES).unwrap_or(MAX_LOG_LINES);
    let contains = Address::of(request)?.query_value("contains");
    let contains = contains.filter(|text| !text.is_empty());
    Ok(LogRequest {
        lines: lines.unwrap_or(usual),
        contains: contains.map(HomePath::of),
        follow,
        by_admin: false,
    })
}

/// A number that [`check_query`] let pass.
fn number(request: &Request, name: &str) -> Result<Option<u32>> {
    let value = Address::of(request)?.query_value(name);
    Ok(value.and_then(|text| text.parse().ok()))
}

/// `?after=`, the `next` of the page before.
pub(super) fn after(request: &Request) -> Result<String> {
    Ok(Address::of(request)?.query_value("after").unwrap_or_default())
}

/// The name of a domain, in a JSON body.
pub(super) async fn domain(endpoint: &Endpoint, request: &mut Request) -> Result<HostName> {
    let DomainName { host } = body::json(endpoint, request).await?;
    host.parse().map_err(|error| bad(format!("host: {error}")))
}

/// A line of the allow-list, in a JSON body.
pub(super) async fn entry(endpoint: &Endpoint, request: &mut Request) -> Result<AllowListEntry> {
    let AccessEntry { entry } = body::json(endpoint, request).await?;
    line(&entry)
}

/// Who is invited, in a JSON body.
pub(super) async fn invitee(endpoint: &Endpoint, request: &mut Request) -> Result<AllowListEntry> {
    let Invitee { entry } = body::json(endpoint, request).await?;
    line(&entry)
}

fn line(entry: &str) -> Result<AllowListEntry> {
    entry.parse().map_err(|error| bad(format!("entry: {error}")))
}

/// Whether an order is given whatever it loses, in a JSON body, which may be left out.
pub(super) async fn force(endpoint: &Endpoint, request: &mut Request, order: Order) -> Result<bool> {
    if !order.spares_changes() || !body::is_present(request.inner()) {
        return Ok(false);
    }
    let OrderRequest { force } = body::json(endpoint, request).await?;
    Ok(force.unwrap_or_default())
}

/// Which snapshot, and where in it: a change has that in a JSON body, which may be left out, a question in its query.
pub(super) async fn snapshot_command(
    endpoint: &Endpoint,
    request: &mut Request,
    call: SnapshotCall,
) -> Result<SnapshotCommand> {
    let mut asked = SnapshotRequest::default();
    if call.changes() {
        if body::is_present(request.inner()) {
            asked = body::json(endpoint, request).await?;
        }
    } else {
        let address = Address::of(request)?;
        asked.snapshot = address.query_value("snapshot").and_then(|id| id.parse().ok());
        asked.path = path(&address)?;
        let after = address.query_value("after");
        let after = after.filter(|after| !after.is_empty());
        asked.after = after.map(|after| after.parse()).transpose().map_err(bad)?;
    }
    let mut command = SnapshotCommand::new(call, asked).map_err(bad)?;
    if let SnapshotCommand::Download(_, file) = &mut command {
        let header = |name: &str| {
            let value = request.headers().get(name).ok().flatten();
            value.filter(|value| value.len() <= MAX_RANGE_HEADER)
        };
        file.range = header("range");
        file.if_range = header("if-range");
        file.head = method_of(request) == "HEAD";
    }
    Ok(command)
}

/// `?path=`: its bytes, whether they are text or not.
fn path(address: &Address) -> Result<Option<HomePath>> {
    let query = address.query().unwrap_or_default();
    let path = query.split('&').find_map(|pair| pair.strip_prefix("path="));
    // What a form writes as a plus is a space.
    if path.is_none() && address.query_value("path").is_some() {
        return Err(bad("the name `path` is not percent-encoded in a query"));
    }
    let decoded = path.map(|path| HomePath::decode(&path.replace('+', "%20")));
    match decoded {
        Some(None) => Err(bad(
            "path is not percent-encoded: after each % stand two hexadecimal digits",
        )),
        decoded => Ok(decoded.flatten()),
    }
}
