//! `docs/admin-api.md`: the table of endpoints for people.

use std::fmt::Write as _;

use moltworker_core::api::audit::kind;
use moltworker_core::api::contract::{Access, Audit, Hosts, Input, MAX_BODY_BYTES, Output, RateClass};
use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::api::openapi::{GROUPS, group};
use moltworker_core::api::parameter::Takes;
use moltworker_core::api::table::endpoints;
use moltworker_core::http::problem::{RATE_PERIOD_SECONDS, Refusal};

const HEAD: &str = r#"# The API

<!-- Written by `cargo xtask openapi` from core/src/api/table.rs. Do not edit. -->

Everything the platform itself answers. Programs find the JSON API described in full, with every field, in
[openapi.json](openapi.json), which the platform serves at `/api/openapi.json`.

## Examples

An admin's access token has `app_metadata.role` set to `admin`, or its user stands in `ADMIN_USER_IDS`.

```
curl -H "Authorization: Bearer $TOKEN" $PUBLIC_URL/api/bot
curl -H "Authorization: Bearer $TOKEN" -X POST $PUBLIC_URL/api/bot/restart
curl -H "Authorization: Bearer $TOKEN" "$PUBLIC_URL/api/bot/logs?lines=50"
curl -H "Authorization: Bearer $TOKEN" --json '{"host": "claw.example.org"}' $PUBLIC_URL/api/bot/domains
curl -H "Authorization: Bearer $TOKEN" --json '{"snapshot": "<id>"}' $PUBLIC_URL/api/bot/snapshots/restore
curl -H "Authorization: Bearer $ADMIN" "$PUBLIC_URL/api/admin/events?before=1000"
curl -H "Authorization: Bearer $ADMIN" -X POST $PUBLIC_URL/api/admin/bots/<user id>/suspend
curl -H "Authorization: Bearer $ADMIN" --json '{"entry": "bob@example.org"}' $PUBLIC_URL/api/admin/invitations
curl -H "Authorization: Bearer $ADMIN" -X DELETE --json '{"entry": "@example.org"}' $PUBLIC_URL/api/admin/allow-list
```

## What holds for every call
"#;

/// The whole page.
pub(super) fn text() -> String {
    let mut page = HEAD.to_owned();
    rules(&mut page);
    for (_, name, what) in GROUPS {
        let rows: Vec<_> = endpoints()
            .filter(|endpoint| endpoint.is_api() && group(endpoint) == name)
            .collect();
        table(&mut page, what, &rows);
    }
    let rows: Vec<_> = endpoints().filter(|endpoint| !endpoint.is_api()).collect();
    table(&mut page, "Pages, the bot's traffic, repositories", &rows);
    problems(&mut page);
    page
}

fn rules(page: &mut String) {
    let mut say = |line: &str| {
        page.push_str(line);
        page.push('\n');
    };
    say("");
    say(
        "- Times are milliseconds since 1970. A field that may be null is always there; one that may be missing is never",
    );
    say("  null.");
    say(&format!(
        "- A body is JSON with `Content-Type: application/json` and its length, at most {MAX_BODY_BYTES} bytes. Unknown fields and"
    ));
    say("  unknown names in the query are refused (`bad-request`), and the detail says what is taken.");
    say(
        "- `HEAD` is answered wherever `GET, HEAD` stands. Any other method is refused with 405 (`wrong-method`) and `Allow`.",
    );
    say("- Requests are counted by address and, once that is proven, by user; who tries to sign in also by");
    say("  the stricter limit for that (`too-many-requests`). The limits are in `wrangler.toml`.");
    say(
        "- A refusal is `application/problem+json`: `type`, `status`, `code`, `title`, perhaps `detail`. `Retry-After`",
    );
    say(
        "  comes with those that pass by themselves, `WWW-Authenticate` with those that better credentials would cure.",
    );
    say(
        "- A change is written into the history before it is made and again with how it ended; an admin's look once it was",
    );
    say("  answered. The same look within a minute is one event.");
    say(&format!(
        "- Every call can be refused with {}.",
        codes(&everybodys())
    ));
    say("");
    say("| who may call | what that is | is also refused with |");
    say("|---|---|---|");
    for (access, what) in [
        (Access::Public, "anybody"),
        (
            Access::Session,
            "whoever is signed in by the session of the host that is asked; a person who is not is led to the sign-in page",
        ),
        (
            Access::Traffic,
            "the bot's owner, by an access token, a personal one of either scope, or the session of the host that is asked; a person without one is led to the sign-in page",
        ),
        (
            Access::Owner,
            "the bot's owner, by an access token, a personal one (`mwk_…`) that may manage, or the session of the host that is asked",
        ),
        (
            Access::OwnerOrButton,
            "the owner, by either token, or by a button: the session and the `Origin` of that host",
        ),
        (
            Access::OwnerOrPage,
            "the owner, by either token, or by their own page (`/bot`): the session of the platform's host and its CSRF token",
        ),
        (
            Access::OwnerInPerson,
            "the owner, by the access token of a sign-in, or by their own page as above",
        ),
        (Access::Admin, "an admin, by the access token of a sign-in only"),
        (
            Access::Monitor,
            "a monitor with the operator's `MONITOR_TOKEN` as bearer token, or an admin as above",
        ),
        (
            Access::RepositoryToken,
            "a machine with the repository's token, as bearer token or as the password of HTTP Basic",
        ),
    ] {
        let mut also = common(access);
        also.retain(|refusal| !everybodys().contains(refusal));
        say(&format!("| {} | {what} | {} |", access.as_str(), codes(&also)));
    }
}

/// What every call of the JSON API can be refused with.
fn everybodys() -> Vec<Refusal> {
    common(Access::Public)
}

/// What every call with this access can be refused with.
fn common(access: Access) -> Vec<Refusal> {
    let mut rows = endpoints()
        .filter(|endpoint| endpoint.access() == access && (endpoint.is_api() || access != Access::Public));
    // Health is answered before anything is looked at.
    let mut shared = rows
        .find(|endpoint| !endpoint.problems().is_empty())
        .map(Endpoint::problems)
        .unwrap_or_default();
    for endpoint in rows {
        let its = endpoint.problems();
        shared.retain(|refusal| its.contains(refusal));
    }
    shared
}

fn table(page: &mut String, heading: &str, rows: &[&Endpoint]) {
    // Writing into a string does not fail.
    let _ = write!(
        page,
        "\n## {heading}\n\n\
         | call | what it does | who may call | takes | answers | leaves in the history | counted | also refused with |\n\
         |---|---|---|---|---|---|---|---|\n"
    );
    for endpoint in rows {
        let mut shared = common(endpoint.access());
        shared.extend(everybodys());
        let also: Vec<Refusal> = endpoint
            .problems()
            .into_iter()
            .filter(|refusal| !shared.contains(refusal))
            .collect();
        let kind = kind(endpoint).and_then(|kind| serde_json::to_value(kind).ok());
        let event = kind.as_ref().and_then(serde_json::Value::as_str);
        let _ = writeln!(
            page,
            "| `{} {}`{} | {} (`{}`) | {} | {} | {} | {} | {} | {} |",
            endpoint.method().allow(),
            endpoint.path(),
            hosts(endpoint.hosts()),
            endpoint.summary(),
            endpoint.name(),
            endpoint.access().as_str(),
            takes(endpoint.input()),
            answers(endpoint.output()),
            match (endpoint.audit(), event) {
                (Audit::Operator, _) => "of an operator alone, `inspected` or `changed`".to_owned(),
                (_, Some(event)) => format!("`{event}`"),
                (_, None) => "nothing".to_owned(),
            },
            match endpoint.rate() {
                RateClass::Ordinary => "as ever",
                RateClass::SignIn => "as a try to sign in",
                RateClass::Machine => "by address",
            },
            codes(&also),
        );
    }
}

fn hosts(hosts: Hosts) -> &'static str {
    match hosts {
        Hosts::Platform => "",
        Hosts::Bots => " on a bot's own host",
        Hosts::Both => ", also on a bot's own host",
        Hosts::Every => " on every host",
    }
}

fn takes(input: Input) -> String {
    match input {
        Input::Nothing => "nothing".into(),
        Input::Query(parameters) => {
            let each = parameters.iter().map(|parameter| {
                let values = match parameter.takes {
                    Takes::Number(most) => format!(", a number up to {most}"),
                    Takes::ShortText(most) => format!(", {most} characters at most"),
                    Takes::Text
                    | Takes::SnapshotId
                    | Takes::FleetCursor
                    | Takes::SnapshotCursor
                    | Takes::CostCursor => String::new(),
                    Takes::OneOf(values) => format!(", one of {}", values.join(", ")),
                };
                let needed = if parameter.required { ", required" } else { "" };
                format!("`?{}=`: {}{values}{needed}", parameter.name, parameter.meaning)
            });
            each.collect::<Vec<_>>().join("; ")
        }
        Input::Json(document) => format!("`{document:?}`"),
        Input::OptionalJson(document) => format!("`{document:?}`, or nothing"),
        Input::Form => "a form".into(),
        Input::Stream => "anything".into(),
    }
}

fn answers(output: Output) -> String {
    match output {
        Output::Json(document) => format!("200 `{document:?}`"),
        Output::Accepted(document) => format!("202 `{document:?}`"),
        Output::JsonOrBack(document) => format!("200 `{document:?}`, or 303 to the page with the button"),
        Output::AcceptedOrOn(document) => {
            format!("202 `{document:?}`, or 303 from a page with the button to where it goes on")
        }
        Output::Text => "200, text".into(),
        Output::Bytes => "200, bytes".into(),
        Output::File => "200, bytes, or 206, some of them (`Range`)".into(),
        Output::Page => "a page, or a redirect".into(),
        Output::Upstream => "what is behind it answers".into(),
    }
}

fn codes(refusals: &[Refusal]) -> String {
    let codes: Vec<String> = refusals
        .iter()
        .map(|refusal| format!("`{}`", refusal.facts().1))
        .collect();
    if codes.is_empty() {
        "–".into()
    } else {
        codes.join(", ")
    }
}

fn problems(page: &mut String) {
    let _ = write!(
        page,
        "\n## Problems\n\nWhose fault it is says who has to do something: the caller, the operator (or an admin), the platform \
         (nobody: it\npasses), or whoever looks after the bot. [operations.md](operations.md#what-a-refusal-means) says what.\n\n\
         | status | code | title | whose fault | try again |\n|---|---|---|---|---|\n"
    );
    let mut all = Refusal::ALL;
    all.sort_by_key(|refusal| (refusal.facts().0, refusal.facts().1));
    for refusal in all {
        let (status, code, title) = refusal.facts();
        let again = match refusal.retry_after() {
            Some(seconds) if seconds == RATE_PERIOD_SECONDS => "after a minute".to_owned(),
            Some(seconds) => format!("after {seconds} s"),
            None => "no".to_owned(),
        };
        let _ = writeln!(
            page,
            "| {status} | `{code}` | {title} | {} | {again} |",
            refusal.fault().as_str()
        );
    }
}
