//! What an owner is asked when a start passed a snapshot over: what that is about, and a button for each answer.

use maud::{Markup, html};
use moltworker_core::api::bot::BotStatus;
use moltworker_core::backup::state::{HELD_FOR_MS, PassedOver};
use moltworker_core::http::paths;

/// How long both ways stay open.
const HELD_DAYS: u64 = HELD_FOR_MS / (24 * 60 * 60 * 1_000);
/// Where nobody has said what was lost.
const UNKNOWN: &str = "what is missing is not known";

/// What waits for somebody to decide.
pub(super) fn choice(status: &BotStatus) -> Option<&PassedOver> {
    status.backups.as_ref()?.choice.as_ref()
}

/// The question and its answers. There from the start and hidden where nothing is asked: a script may have to.
pub(super) fn section(status: &BotStatus, heading: Option<&str>, otherwise: &Markup) -> Markup {
    let choice = choice(status);
    html! {
        section #choice hidden[choice.is_none()] {
            @if let Some(heading) = heading { h2 { (heading) } }
            p {
                "The newest snapshot has lost what it should have, so your bot is started from the one before: "
                span #why { (choice.and_then(|choice| choice.why.as_deref()).unwrap_or(UNKNOWN)) }
                ". You decide which of the two it goes on from. Neither answer deletes anything: the other state can be "
                "restored for " (HELD_DAYS) " days."
            }
            (button(
                paths::PUT_BACK,
                "Put back what was there",
                "",
                "Your bot goes back to the newest snapshot, with all that is in it and without what it has lost. What your \
                 bot has now is saved first; then it starts again, which takes a minute or two.",
            ))
            (button(
                paths::KEEP,
                "Keep what is here now",
                "quiet",
                "Your bot goes on from the earlier state, as it is now, and you are not asked about this again.",
            ))
            (otherwise)
        }
    }
}

fn button(path: &str, words: &str, class: &str, meaning: &str) -> Markup {
    html! {
        form method="post" action=(path) {
            button type="submit" class=(class) { (words) }
            p { (meaning) }
        }
    }
}
