//! The page on which an owner decides about what a start passed over, and sees what comes of it. Unlike the one that stands
//! in for a bot that wakes up, it can be opened at any time.

use maud::{Markup, PreEscaped, html};
use moltworker_core::api::bot::{BotState, BotStatus};
use moltworker_core::api::sandbox::Order;
use moltworker_core::wire::run::{RestorePoint, SnapshotId};

use super::question::{self, choice};
use super::waking::progress_text;
use super::{SHARED_SCRIPT, layout, order_form, standing};
use crate::http::nonce::Nonce;

const SCRIPT: &str = include_str!("choice.js");

/// Seconds after which a page without JavaScript asks again.
const REFRESH_SECONDS: u32 = 4;

/// The steps by which something is put back: a name for the script, the line in the list, the words that go with it.
const STEPS: [(&str, &str, &str); 4] = [
    (
        "saving",
        "Saving what it has now",
        "What your bot has now is saved first, so that you can go back to it.",
    ),
    (
        "restoring",
        "Putting back what was there",
        "Its files are being put back from the newest snapshot.",
    ),
    (
        "starting",
        "Starting the bot",
        "Everything is back; the bot is starting. This takes up to a minute.",
    ),
    ("ready", "Ready", "Ready. One moment…"),
];

pub(crate) fn page(nonce: &Nonce, status: &BotStatus, own_page: &str) -> Markup {
    let wanted = wanted(status);
    let is_followed = wanted.is_some() && !matches!(status.state, BotState::Stopped | BotState::Suspended);
    let at = wanted.map_or(0, |wanted| reached(status, wanted));
    let head = html! {
        @if is_followed {
            noscript { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
            script nonce=(nonce.as_str()) type="module" { (PreEscaped(SHARED_SCRIPT)) (PreEscaped(SCRIPT)) }
        }
    };
    let title = match (wanted.is_some(), choice(status).is_some()) {
        (true, _) => "What was there is put back",
        (false, true) => "A newer state of your bot was passed over",
        (false, false) => "There is nothing to decide",
    };
    let main = html! {
        h1 { (title) }
        @if is_followed {
            ol #steps {
                @for (index, (step, line, words)) in STEPS.iter().enumerate() {
                    li data-step=(step) class=(standing(index, at)) data-words=(words) { (line) }
                }
            }
            p #words role="status" { (STEPS.get(at).map_or("", |(.., words)| words)) }
            p #progress { @if let Some(progress) = &status.under_way { (progress_text(progress)) } }
            p.error #reason role="alert" hidden[trouble(status).is_none()] { (trouble(status).unwrap_or_default()) }
            noscript { p { "This page asks again by itself every few seconds." } }
        } @else if wanted.is_some() {
            p { "Your bot does not run. What was there is put back at its next start." }
            @if status.state == BotState::Stopped { (order_form(Order::Start, "Let it run again")) }
        } @else if choice(status).is_some() {
            (question::section(status, None, &html! {}))
            // What was decided may have failed: it is asked again then.
            @if let Some(trouble) = trouble(status) { p.error role="alert" { (trouble) } }
        } @else {
            p { "No start of your bot passed over a snapshot that you still have to decide about." }
        }
        p { a href="/" { "Go to my bot" } }
        (super::to_own_page(own_page))
    };
    layout(title, nonce, &head, &main)
}

/// What somebody ordered back, while that is not saved again.
fn wanted(status: &BotStatus) -> Option<&SnapshotId> {
    match status.backups.as_ref()?.restore_wanted.as_ref()? {
        RestorePoint::Snapshot(id) => Some(id),
        RestorePoint::Latest => None,
    }
}

/// Which step it is at, counted from 0.
fn reached(status: &BotStatus, wanted: &SnapshotId) -> usize {
    let restored = status
        .restored
        .as_ref()
        .and_then(|report| report.snapshot.as_ref());
    match (restored == Some(wanted), status.state) {
        (true, BotState::Running) => 3,
        (true, _) => 2,
        (false, BotState::Restoring) => 1,
        (false, _) => 0,
    }
}

fn trouble(status: &BotStatus) -> Option<&str> {
    let trouble = status
        .backups
        .as_ref()
        .and_then(|backups| backups.trouble.as_ref());
    let known = status.reason.as_deref();
    known.or_else(|| trouble.map(|trouble| trouble.reason.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use moltworker_core::api::bot::ObservedStatus;
    use moltworker_core::backup::state::{BackupState, PassedOver};
    use moltworker_core::bot::lifecycle::Lifecycle;
    use moltworker_core::wire::control::{Amount, RestoreReport};

    fn newest() -> SnapshotId {
        "ab".repeat(32).parse().unwrap()
    }

    fn status(state: BotState, wanted: bool, asked: bool) -> BotStatus {
        let mut backups = BackupState::default().summary();
        backups.restore_wanted = wanted.then(|| RestorePoint::Snapshot(newest()));
        backups.choice = asked.then(|| PassedOver {
            snapshots: vec![newest()],
            total: 1,
            why: Some("<the state> is gone".into()),
            instead: None,
            since: 1,
            kept_until: 2,
        });
        BotStatus {
            state,
            backups: Some(backups),
            ..Lifecycle::new(0).status(ObservedStatus::NOTHING)
        }
    }

    fn shown(status: &BotStatus) -> String {
        page(&Nonce::for_tests(), status, "https://bots.example.com/bot").into_string()
    }

    #[test]
    fn the_question_has_a_button_for_each_answer_whatever_the_bot_does() {
        for state in [BotState::Running, BotState::Asleep, BotState::Stopped] {
            let html = shown(&status(state, false, true));
            for said in [
                "&lt;the state&gt; is gone",
                "action=\"/api/bot/snapshots/put-back\"",
                "action=\"/api/bot/snapshots/keep\"",
                "Neither answer deletes anything",
            ] {
                assert!(html.contains(said), "{said}: {html}");
            }
            assert!(!html.contains("http-equiv=\"refresh\"") && !html.contains("id=\"steps\""));
        }
        let none = shown(&status(BotState::Running, false, false));
        assert!(
            none.contains("nothing to decide") && !none.contains("<form"),
            "{none}"
        );
    }

    #[test]
    fn what_is_put_back_is_followed_to_the_bot() {
        let mut back = status(BotState::Unhealthy, true, false);
        back.restored = Some(RestoreReport {
            snapshot: Some(newest()),
            amount: Amount { files: 1, bytes: 1 },
            duration_ms: 1,
            compared: 1,
            ..RestoreReport::of_nothing(3)
        });
        for (status, now) in [
            (status(BotState::Running, true, false), "saving"),
            (status(BotState::Restoring, true, false), "restoring"),
            (back, "starting"),
        ] {
            let html = shown(&status);
            let step = format!("data-step=\"{now}\" class=\"now\"");
            assert!(
                html.contains(&step) && html.contains("http-equiv=\"refresh\""),
                "{now}: {html}"
            );
            assert!(!html.contains("/put-back"), "it is decided");
        }
        let stopped = shown(&status(BotState::Stopped, true, false));
        assert!(
            stopped.contains("at its next start") && stopped.contains("/api/bot/start"),
            "{stopped}"
        );
    }
}
