//! The page that stands in for a bot while it is not there: how far its start is, or why it does not start.

use maud::{Markup, PreEscaped, html};
use moltworker_core::alerts::owner::words_of;
use moltworker_core::api::bot::{BotState, BotStatus, StartPhase};
use moltworker_core::api::sandbox::Order;
use moltworker_core::backup::state::BackupSummary;
use moltworker_core::http::paths;
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::Progress;
use moltworker_core::wire::job::JobKind;

use super::question::{self, choice};
use super::{SHARED_SCRIPT, layout, order_form};
use crate::http::nonce::Nonce;

const SCRIPT: &str = include_str!("waking.js");

/// Seconds after which a page without JavaScript asks again.
const REFRESH_SECONDS: u32 = 4;

/// Milliseconds after which a page that waits for a free place looks again. There is no start to follow meanwhile.
const SLOT_RETRY_MS: u32 = 5_000;

/// The steps of a start: the name of the phase in a bot's status, its line in the list, and the words that go
/// with it. The script takes them from the page.
const STEPS: [(&str, &str, &str); 4] = [
    (
        "allocating",
        "Finding a machine",
        "A machine is being made ready.",
    ),
    (
        "restoring",
        "Bringing back its memory",
        "Its files are being brought back from the last snapshot.",
    ),
    (
        "starting-gateway",
        "Starting the bot",
        "The machine is up; the bot is starting. This takes up to a minute.",
    ),
    ("ready", "Ready", "Ready. One moment…"),
];
/// Instead of the words about a snapshot, where none is known: what the bucket has is seen by the restore only.
const NO_SNAPSHOT: &str = "A snapshot of its files is looked for. A new bot has none yet.";
const STARTED_AGAIN: &str = "The bot ended while starting and is started again.";

/// The page. It goes on by itself to the address that was asked for, as soon as the bot answers. `own_page` is where its owner
/// sees and does more.
pub(crate) fn page(nonce: &Nonce, status: &BotStatus, refusal: Refusal, own_page: &str) -> Markup {
    let failed = failed(status);
    let head = html! {
        // Whoever has something to decide goes on by themselves.
        @if choice(status).is_none() { noscript { meta http-equiv="refresh" content=(REFRESH_SECONDS); } }
        // A module: it runs when the page is there. `defer` does nothing for a script without a source.
        script nonce=(nonce.as_str()) type="module" { (PreEscaped(SHARED_SCRIPT)) (PreEscaped(SCRIPT)) }
    };
    let title = match status.state {
        BotState::CrashLooped => "Your bot fails again and again",
        BotState::BackingOff => "Your bot could not start",
        _ => "Your bot is waking up",
    };
    let main = html! {
        h1 { (title) }
        ol #steps data-state=(status.state.as_str()) data-started-again=(STARTED_AGAIN)
            data-again=[(refusal == Refusal::NoCapacity).then_some(SLOT_RETRY_MS)] {
            @for (index, (step, line, _)) in STEPS.iter().enumerate() {
                li data-step=(step) class=(standing(index, status)) data-words=(words(index, status)) { (line) }
            }
        }
        p #words role="status" { (status_text(status, refusal)) }
        p #progress { @if let Some(progress) = &status.under_way { (progress_text(progress)) } }
        // There from the start: a restore that is held up says so while the page is open.
        p.error #reason role="alert" hidden[status.reason.is_none()] { (status.reason.as_deref().unwrap_or_default()) }
        // Shown by the script if it becomes known while the page is open.
        (question::section(status, Some("A newer state was passed over"), &html! {
            p {
                "To decide later, "
                a href="" { "go on to your bot" }
                ". The question stays at "
                a href=(paths::CHOICE) { (paths::CHOICE) }
                "."
            }
        }))
        p.error #trouble role="alert" data-words=(UNSAVED) hidden[trouble(status).is_none()] { (trouble(status).unwrap_or_default()) }
        @if status.incidents.iter().any(|kind| words_of(*kind).is_some()) {
            h2 { "What is wrong besides" }
            div #wrong {
                @for words in status.incidents.iter().filter_map(|kind| words_of(*kind)) { p.error { (words) "." } }
            }
        }
        @if failed { (order_form(Order::Restart, "Try again now")) }
        @if choice(status).is_none() { noscript { p { "This page asks again by itself every few seconds." } } }
        (super::to_own_page(own_page))
    };
    layout(title, nonce, &head, &main)
}

/// Before the reason.
const UNSAVED: &str = "What has changed is not saved yet, and is tried again: ";
/// What is not saved, and why. While a home is restored that is the reason that is shown anyway.
fn trouble(status: &BotStatus) -> Option<String> {
    let backups = status.backups.as_ref()?;
    let trouble = backups
        .trouble
        .as_ref()
        .filter(|trouble| trouble.job == JobKind::Snapshot)?;
    backups.unsaved_since?;
    Some(format!("{UNSAVED}{}", trouble.reason))
}

fn failed(status: &BotStatus) -> bool {
    matches!(status.state, BotState::BackingOff | BotState::CrashLooped)
}

/// Which step a start is at, counted from 0.
fn reached(status: &BotStatus) -> usize {
    match (status.state, status.phase) {
        (BotState::Running | BotState::Unhealthy, _) => 3,
        (_, Some(StartPhase::StartingGateway | StartPhase::RestartingGateway)) => 2,
        (_, Some(StartPhase::Restoring)) => 1,
        // While its container is up it was the gateway that failed.
        (BotState::CrashLooped, _) if status.retry_at.is_none() => 2,
        _ => 0,
    }
}

fn words(index: usize, status: &BotStatus) -> &'static str {
    let knows = |backups: &BackupSummary| backups.newest.is_some();
    match STEPS.get(index) {
        Some(("restoring", ..)) if !status.backups.as_ref().is_some_and(knows) => NO_SNAPSHOT,
        Some((.., words)) => words,
        None => "",
    }
}

fn standing(index: usize, status: &BotStatus) -> &'static str {
    match super::standing(index, reached(status)) {
        "now" if failed(status) => "failed",
        standing => standing,
    }
}

fn status_text(status: &BotStatus, refusal: Refusal) -> &'static str {
    if refusal == Refusal::NoCapacity {
        return "All places are taken right now. This page goes on by itself as soon as one is free.";
    }
    match (status.state, status.phase) {
        (BotState::Stopping, _) => {
            "It is still going to sleep and saves what has changed; it starts again right after."
        }
        (BotState::BackingOff, _) => {
            "It is tried again by itself in a moment. If this goes on, tell your administrator."
        }
        (BotState::CrashLooped, _) if status.retry_at.is_none() => {
            "It is not started again until its cause is mended. Nothing of what it remembers is lost. Mend the \
             cause below, or tell your administrator."
        }
        (BotState::CrashLooped, _) => {
            "It is left alone for some minutes and then tried once more. Nothing of what it remembers is lost. \
             If this goes on, tell your administrator."
        }
        (_, Some(StartPhase::RestartingGateway)) => STARTED_AGAIN,
        _ => words(reached(status), status),
    }
}

pub(super) fn progress_text(progress: &Progress) -> String {
    /// Bytes in a megabyte, as people count.
    const MEGABYTE: u64 = 1_000_000;
    let done = progress.done;
    match progress.total {
        Some(total) => format!(
            "{} of {} files, {} of {} MB",
            done.files,
            total.files,
            done.bytes / MEGABYTE,
            total.bytes.div_ceil(MEGABYTE)
        ),
        None => format!("{} files, {} MB", done.files, done.bytes / MEGABYTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moltworker_core::api::bot::ObservedStatus;
    use moltworker_core::backup::state::{BackupState, NewestSnapshot, PassedOver, Trouble};
    use moltworker_core::bot::lifecycle::{Lifecycle, LifecycleEvent};
    use moltworker_core::wire::control::Amount;

    const OWN_PAGE: &str = "https://bots.example.com/bot";

    fn status(state: BotState, phase: Option<StartPhase>) -> BotStatus {
        BotStatus {
            state,
            phase,
            ..Lifecycle::new(0).status(ObservedStatus::NOTHING)
        }
    }

    fn shown(status: &BotStatus) -> String {
        page(&Nonce::for_tests(), status, Refusal::BotWaking, OWN_PAGE).into_string()
    }

    #[test]
    fn the_waking_page_shows_the_start_phase() {
        for (phase, words, done, now) in [
            (
                StartPhase::Allocating,
                "A machine is being made ready",
                None,
                "allocating",
            ),
            (
                StartPhase::Restoring,
                NO_SNAPSHOT,
                Some("allocating"),
                "restoring",
            ),
            (
                StartPhase::StartingGateway,
                "the bot is starting",
                Some("restoring"),
                "starting-gateway",
            ),
            (
                StartPhase::RestartingGateway,
                STARTED_AGAIN,
                Some("restoring"),
                "starting-gateway",
            ),
        ] {
            let html = shown(&status(BotState::Starting, Some(phase)));
            let standing = |step: &str| {
                let (_, rest) = html.split_once(&format!("data-step=\"{step}\"")).unwrap();
                rest.split_once("class=\"")
                    .unwrap()
                    .1
                    .split_once('"')
                    .unwrap()
                    .0
                    .to_owned()
            };
            let (_, said) = html.split_once("role=\"status\">").unwrap();
            assert!(
                said.starts_with(words) || said.split_once('<').unwrap().0.contains(words),
                "{html}"
            );
            assert_eq!(standing(now), "now");
            assert!(done.is_none_or(|step| standing(step) == "done"), "{html}");
            assert!(
                html.contains("http-equiv=\"refresh\""),
                "works without JavaScript"
            );
            let (asked, _) = html.split_once("<form").unwrap();
            assert!(
                asked.contains("id=\"choice\" hidden"),
                "nothing to be done but wait"
            );
        }
    }

    #[test]
    fn files_come_back_from_a_snapshot_only_where_there_is_one() {
        let mut status = status(BotState::Restoring, Some(StartPhase::Restoring));
        let mut backups = BackupState::default().summary();
        for (newest, is_said) in [
            (None, false),
            (
                Some(NewestSnapshot {
                    id: "ab".repeat(32).parse().unwrap(),
                    at: 1,
                }),
                true,
            ),
        ] {
            backups.newest = newest;
            status.backups = Some(backups.clone());
            let html = shown(&status);
            assert_eq!(html.contains("from the last snapshot"), is_said, "{html}");
            assert_eq!(html.contains(NO_SNAPSHOT), !is_said, "{html}");
        }
    }

    #[test]
    fn a_restore_shows_its_progress() {
        let mut status = status(BotState::Restoring, Some(StartPhase::Restoring));
        let amount = |files, bytes| Amount { files, bytes };
        status.under_way = Some(Progress {
            job: JobKind::Restore,
            done: amount(10, 2_000_000),
            total: Some(amount(1_000, 199_000_001)),
        });
        assert!(
            shown(&status).contains("10 of 1000 files, 2 of 200 MB"),
            "{}",
            shown(&status)
        );
    }

    #[test]
    fn a_delayed_restore_shows_its_reason() {
        let mut status = status(BotState::Restoring, Some(StartPhase::Restoring));
        assert!(shown(&status).contains("id=\"reason\" role=\"alert\" hidden></p>"));
        status.reason = Some("the repository answers 500".into());
        assert!(shown(&status).contains("id=\"reason\" role=\"alert\">the repository answers 500</p>"));
    }

    #[test]
    fn what_a_start_passed_over_is_shown_with_a_button_for_each_answer() {
        let mut status = status(BotState::Starting, Some(StartPhase::StartingGateway));
        assert!(shown(&status).contains("id=\"choice\" hidden"));
        let newest = "ab".repeat(32);
        let mut backups = BackupState::default().summary();
        backups.choice = Some(PassedOver {
            snapshots: vec![newest.parse().unwrap()],
            total: 1,
            why: Some("<the state> is gone".into()),
            instead: None,
            since: 1,
            kept_until: 2,
        });
        status.backups = Some(backups);
        let html = shown(&status);
        for said in [
            "id=\"choice\"><h2>",
            "&lt;the state&gt; is gone",
            "action=\"/api/bot/snapshots/put-back\"",
            "Put back what was there",
            "action=\"/api/bot/snapshots/keep\"",
            "Keep what is here now",
            "href=\"/api/bot/snapshots/choice\"",
        ] {
            assert!(html.contains(said), "{said}: {html}");
        }
        assert!(
            !html.contains("http-equiv=\"refresh\""),
            "it waits for its reader"
        );
    }

    #[test]
    fn what_is_not_saved_is_shown_with_its_reason() {
        let mut status = status(BotState::Stopping, None);
        let mut backups = BackupState::default().summary();
        backups.unsaved_since = Some(1);
        backups.trouble = Some(Trouble {
            job: JobKind::Snapshot,
            since: 1,
            reason: "it answers 500".into(),
            held_up: true,
        });
        status.backups = Some(backups);
        let html = shown(&status);
        assert!(
            html.contains("What has changed is not saved yet, and is tried again: \">What has changed is not saved yet, and is tried again: it answers 500<"),
            "{html}"
        );
    }

    #[test]
    fn open_incidents_are_told_in_plain_words() {
        use moltworker_core::bot::incidents::IncidentKind::{MaintenanceFailing, NoCapacity, OutOfMemory};
        let mut status = status(BotState::Starting, None);
        status.incidents = vec![NoCapacity];
        assert!(!shown(&status).contains("id=\"wrong\""));
        status.incidents = vec![OutOfMemory, NoCapacity, MaintenanceFailing];
        let html = shown(&status);
        let (_, list) = html.split_once("id=\"wrong\"").unwrap();
        let (list, _) = list.split_once("</div>").unwrap();
        assert_eq!(list.matches("<p ").count(), 2, "{list}");
        assert!(
            list.contains("Your bot ran out of memory twice within a day"),
            "{list}"
        );
    }

    #[test]
    fn a_failure_shows_its_reason_and_a_remedy() {
        let mut life = Lifecycle::new(0);
        let rules = moltworker_core::bot::lifecycle::LifecycleRules { sleep_after_ms: None };
        life.on(&rules, 0, 0.0, LifecycleEvent::Wanted);
        let run = life.run;
        life.on(
            &rules,
            0,
            0.0,
            LifecycleEvent::StartFailed(run, "<no capacity>".into()),
        );
        let html = shown(&life.status(ObservedStatus::NOTHING));
        assert!(
            html.contains("could not start") && html.contains("&lt;no capacity&gt;"),
            "{html}"
        );
        assert!(html.contains("action=\"/api/bot/restart\""), "{html}");
        assert!(html.contains(&format!("href=\"{OWN_PAGE}\"")), "{html}");
        let crash_looped = shown(&status(BotState::CrashLooped, None));
        assert!(crash_looped.contains("again and again") && crash_looped.contains("class=\"failed\""));
    }
}
