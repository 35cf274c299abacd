//! Listens to a job: passes on what it says, and holds the bot still for as long as it asks for it.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::BackupActivity;
use crate::backup::launcher::{JobLauncher, JobOutput};
use crate::backup::stillness::Hold;
use crate::backup::worker::wire::{Answer, Line};

/// Until it has ended, or nobody listens any more. The bot goes on then in any case: its hold ends with this.
pub(super) async fn listen(
    mut output: JobOutput,
    launcher: Arc<JobLauncher>,
    said: mpsc::Sender<BackupActivity>,
) {
    let mut hold = None;
    loop {
        let activity = match output.next_line().await {
            Ok(Some(Line::Freeze)) => {
                let mut begins = launcher.hold();
                let answer = match begins.begun().await {
                    Ok(()) => Answer::Still,
                    Err(reason) => Answer::NotStill(reason),
                };
                hold = Some(begins);
                output.answer(&answer);
                continue;
            }
            Ok(Some(Line::Thaw)) => {
                let answer = goes_on(hold.take()).await;
                output.answer(&answer);
                continue;
            }
            Ok(Some(line)) => BackupActivity::Said(Box::new(line)),
            Ok(None) => break,
            Err(stalled) => BackupActivity::Stalled(stalled),
        };
        // Nobody listens once the supervisor leaves.
        if said.send(activity).await.is_err() {
            return;
        }
    }
    drop(hold);
    let _ = said.send(BackupActivity::Over).await;
}

async fn goes_on(hold: Option<Hold>) -> Answer {
    let held = match hold {
        Some(hold) => hold.end().await,
        None => None,
    };
    Answer::GoesOn {
        throughout: held.is_some_and(|held| held.throughout),
        pause_ms: held.map_or(0, |held| {
            u64::try_from(held.pause.as_millis()).unwrap_or(u64::MAX)
        }),
    }
}
