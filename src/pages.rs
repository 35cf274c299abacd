//! The platform's own pages. They work without JavaScript, load nothing from anywhere and never contain
//! a word that was not escaped (maud escapes by default).

use maud::{DOCTYPE, Markup, PreEscaped, html};
use moltworker_core::problem::Refusal;
use moltworker_core::sandbox::{BotState, BotStatus, StartPhase};
use moltworker_core::settings::SettingProblem;

use crate::reply::Nonce;

pub(crate) mod login;

const STYLE: &str = include_str!("pages/style.css");
const WAKING_SCRIPT: &str = include_str!("pages/waking.js");

/// Seconds after which a page without JavaScript asks again.
const REFRESH_SECONDS: u32 = 4;

fn layout(title: &str, nonce: &Nonce, head: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Moltworker" }
                style nonce=(nonce.as_str()) { (PreEscaped(STYLE)) }
                (head)
            }
            body { main { (main) } }
        }
    }
}

/// Shown while a bot wakes up, and when it failed to. Goes on by itself to the page that was asked for.
pub(crate) fn waking(nonce: &Nonce, status: &BotStatus, refusal: Refusal) -> Markup {
    let failed = status.state == BotState::BackingOff;
    let head = html! {
        noscript { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
        script nonce=(nonce.as_str()) defer { (PreEscaped(WAKING_SCRIPT)) }
    };
    let main = html! {
        h1 { @if failed { "Your bot could not start" } @else { "Your bot is waking up" } }
        ol #steps data-state=(status.state.as_str()) {
            @for (step, words) in STEPS {
                li data-step=(step) class=(standing(step, status)) { (words) }
            }
        }
        p #words role="status" { (words(status, refusal)) }
        @if let Some(reason) = &status.reason { p.error #reason { (reason) } }
        noscript { p { "This page asks again by itself every few seconds." } }
    };
    layout("Waking up", nonce, &head, &main)
}

const STEPS: [(&str, &str); 3] = [
    ("allocating", "Finding a machine"),
    ("starting-gateway", "Starting the bot"),
    ("ready", "Ready"),
];

fn standing(step: &str, status: &BotStatus) -> &'static str {
    let at = match (status.state, status.phase) {
        (BotState::Running, _) => 2,
        (_, Some(StartPhase::StartingGateway | StartPhase::RestartingGateway)) => 1,
        _ => 0,
    };
    let index = STEPS.iter().position(|(name, _)| *name == step).unwrap_or(0);
    match index.cmp(&at) {
        std::cmp::Ordering::Less => "done",
        std::cmp::Ordering::Equal if status.state == BotState::BackingOff => "failed",
        std::cmp::Ordering::Equal => "now",
        std::cmp::Ordering::Greater => "later",
    }
}

fn words(status: &BotStatus, refusal: Refusal) -> &'static str {
    if refusal == Refusal::NoCapacity {
        return "All places are taken right now. This page goes on by itself as soon as one is free.";
    }
    match (status.state, status.phase) {
        (BotState::Running, _) => "Ready. One moment…",
        (BotState::Stopping, _) => "It is still going to sleep; it starts again right after.",
        (BotState::BackingOff, _) => {
            "It is tried again by itself in a moment. If this goes on, tell your administrator."
        }
        (_, Some(StartPhase::RestartingGateway)) => "The bot ended while starting and is started again.",
        (_, Some(StartPhase::StartingGateway)) => {
            "The machine is up; the bot is starting. This takes up to a minute."
        }
        _ => "A machine is being made ready.",
    }
}

/// Shown instead of everything else while settings are missing.
pub(crate) fn not_configured(nonce: &Nonce, problems: &[SettingProblem]) -> Markup {
    let main = html! {
        h1 { "Moltworker is not configured yet" }
        p { "Nothing else works until the operator has set:" }
        dl {
            @for problem in problems {
                dt { code { (problem.setting.name) } " " (problem.reason) }
                dd { (problem.setting.meaning) ". To set it: " (problem.setting.how) "." }
            }
        }
    };
    layout("Not configured", nonce, &html! {}, &main)
}

/// Takes the browser to another host of ours.
pub(crate) fn onward(nonce: &Nonce, url: &str) -> Markup {
    let head = html! { meta http-equiv="refresh" content=(format!("0; url={url}")); };
    let main = html! {
        h1 { "Going to your bot" }
        p { a.button href=(url) { "Go on" } }
    };
    layout("Going to your bot", nonce, &head, &main)
}

/// On a bot's own host: ends the session there. `everywhere` is where the platform's own can be ended.
pub(crate) fn sign_out(nonce: &Nonce, signed_in: bool, everywhere: &str) -> Markup {
    let main = html! {
        @if signed_in {
            h1 { "Sign out here?" }
            form method="post" action="/auth/sign-out" { button type="submit" { "Sign out" } }
            p { a href="/" { "Back to my bot" } }
        } @else {
            h1 { "You are signed out here" }
            p { "This browser may still be signed in on the platform. " a href=(everywhere) { "Sign out there as well" } }
            p { a href="/" { "Sign in again" } }
        }
    };
    layout("Sign out", nonce, &html! {}, &main)
}

/// A refusal, for a person.
pub(crate) fn refusal(nonce: &Nonce, title: &str) -> Markup {
    let main = html! {
        h1 { (title) }
        p { a href="/" { "Go to my bot" } }
    };
    layout("Moltworker", nonce, &html! {}, &main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use moltworker_core::run::Run;
    use moltworker_core::sandbox::Health;

    fn status(state: BotState, phase: Option<StartPhase>) -> BotStatus {
        BotStatus {
            state,
            run: Run(1),
            since: 0,
            health: Health::Unknown,
            pinned: false,
            idle_ms: None,
            phase,
            start: None,
            reason: (state == BotState::BackingOff).then(|| "<no capacity>".to_owned()),
            retry_at: None,
        }
    }

    #[test]
    fn the_waking_page_says_where_the_start_is() {
        let shown = |state, phase| {
            waking(&Nonce::for_tests(), &status(state, phase), Refusal::BotWaking).into_string()
        };
        assert!(
            shown(BotState::Starting, Some(StartPhase::Allocating)).contains("A machine is being made ready")
        );
        let gateway = shown(BotState::Starting, Some(StartPhase::StartingGateway));
        assert!(
            gateway.contains(r#"data-step="allocating" class="done""#),
            "{gateway}"
        );
        assert!(
            gateway.contains(r#"data-step="starting-gateway" class="now""#),
            "{gateway}"
        );
        let failed = shown(BotState::BackingOff, None);
        assert!(
            failed.contains("could not start") && failed.contains("&lt;no capacity&gt;"),
            "{failed}"
        );
        assert!(
            failed.contains("http-equiv=\"refresh\""),
            "works without JavaScript"
        );
    }
}
