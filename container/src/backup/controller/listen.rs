//! Listens to a job: passes on what it says, and holds the bot still for as long as it asks for it.

use std::sync::Arc;

use rustix::process::{Pid, setpriority_process};
use tokio::sync::mpsc;

use super::BackupActivity;
use crate::backup::launcher::{JobLauncher, JobOutput};
use crate::backup::stillness::Hold;
use crate::backup::worker::NICENESS;
use crate::backup::worker::wire::{JobAnswer, Line};

/// While the bot waits for a job, that goes first.
const URGENT: i32 = -10;

/// Until it has ended, or nobody listens any more. The bot goes on then in any case: its hold ends with this.
pub(super) async fn listen(
    pid: u32,
    mut output: JobOutput,
    launcher: Arc<JobLauncher>,
    said: mpsc::Sender<BackupActivity>,
) {
    let mut hold = None;
    loop {
        let activity = match output.next_line().await {
            Ok(Some(Line::Freeze)) => {
                hurry(pid, URGENT);
                let mut begins = launcher.hold();
                let answer = match begins.begun().await {
                    Ok(()) => {
                        hold = Some(begins);
                        JobAnswer::Still
                    }
                    Err(reason) => {
                        // Nothing is thawed after that, and the job goes on beside the bot.
                        hurry(pid, NICENESS);
                        JobAnswer::NotStill(reason)
                    }
                };
                output.answer(&answer).await;
                continue;
            }
            Ok(Some(Line::WhoRuns)) => {
                output.answer(&JobAnswer::Processes(launcher.tenants())).await;
                continue;
            }
            Ok(Some(Line::Thaw)) => {
                let answer = goes_on(hold.take()).await;
                hurry(pid, NICENESS);
                output.answer(&answer).await;
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

/// Gives the first thread of a job, which is the one that looks at the home, another priority.
fn hurry(pid: u32, nice: i32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // Without the right to it, it takes longer.
    let _ = setpriority_process(pid, nice);
}

async fn goes_on(hold: Option<Hold>) -> JobAnswer {
    let held = match hold {
        Some(hold) => hold.end().await,
        None => None,
    };
    JobAnswer::GoesOn {
        throughout: held.is_some_and(|held| held.throughout),
        pause_ms: held.map_or(0, |held| {
            u64::try_from(held.pause.as_millis()).unwrap_or(u64::MAX)
        }),
    }
}
