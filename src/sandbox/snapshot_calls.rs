//! What owners and admins ask about a bot's snapshots. Which there are the bucket says; what is in them only the bot's
//! container can read, so what is known of each is kept, and the container is asked only while it is up.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use moltworker_core::api::sandbox::{RawDocument, SandboxAnswer};
use moltworker_core::api::snapshots::{Details, SnapshotCall, SnapshotCommand, SnapshotCursor, SnapshotList};
use moltworker_core::backup::state::{BackupState, HELD_FOR_MS};
use moltworker_core::bot::history::truncate_detail;
use moltworker_core::bot::lifecycle::{Desired, LifecycleEvent};
use moltworker_core::http::problem::Refusal;
use moltworker_core::wire::control::{
    MAX_ANSWER_BYTES, MAX_SNAPSHOTS_BYTES, SNAPSHOTS_PATH, Snapshot, SnapshotReason,
};
use moltworker_core::wire::job::{BackupJob, SnapshotJob};
use moltworker_core::wire::run::{REFUSAL_HEADER, RestorePoint, Run, SnapshotId};
use serde::Deserialize;
use worker::{Response, Result};

use super::Inner;
use super::answer::Reply;
use super::store::Store;
use crate::http::nonce::Nonce;
use crate::http::{pages, reply};
use crate::platform::json;
use crate::platform::{clock, log};
use crate::repository::BucketSnapshot;

/// How long reading a repository may take until its answer begins: a process starts, opens the repository and reads
/// its index, a few MB for a large home.
pub(super) const READ_DEADLINE: Duration = Duration::from_secs(60);
/// How long a refusal may take once its first line is there: it is one piece.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(5);

/// What a supervisor says of a path that came with a later version, and what that means.
const UNKNOWN_PATH: (u16, &str) = (404, "not-found");
const OLD_SUPERVISOR: &str =
    "the bot runs a supervisor of the version before, which does not know this: restart the bot";

/// A refusal of the supervisor's.
#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: Option<String>,
}

impl Inner {
    /// Answers one command.
    pub(super) async fn snapshots(self: &Rc<Self>, command: SnapshotCommand) -> Result<Reply> {
        self.load().await?;
        // Once for each command that needs it: a listing costs an operation for every thousand snapshots.
        let stored = match command {
            SnapshotCommand::Take(_) | SnapshotCommand::Keep | SnapshotCommand::Choose => Vec::new(),
            _ => self.stored().await?,
        };
        let lacks = |id: &SnapshotId| stored.iter().all(|one| one.id != *id);
        if command.snapshot().is_some_and(lacks) {
            return Ok(Refusal::NoSuchSnapshot.into());
        }
        Ok(match command {
            SnapshotCommand::Take(accept) => self.take_snapshot(accept).await?.into(),
            SnapshotCommand::List => self.list_snapshots(stored, None).await?.into(),
            SnapshotCommand::ListAfter(after) => self.list_snapshots(stored, Some(after)).await?.into(),
            SnapshotCommand::Restore(point, accept) => {
                if accept && point == RestorePoint::Latest {
                    self.update_backup_state(BackupState::accept_bucket_contents)?;
                }
                self.order_restore(stored, point).await?.into()
            }
            SnapshotCommand::Pin(snapshot) => {
                Store::open(&self.state)?.hold(&snapshot, None)?;
                self.keep_holds();
                self.list_snapshots(stored, None).await?.into()
            }
            SnapshotCommand::Unpin(snapshot) => {
                Store::open(&self.state)?.unpin(&snapshot)?;
                self.keep_holds();
                self.list_snapshots(stored, None).await?.into()
            }
            SnapshotCommand::Keep => {
                self.keep_home()?;
                self.status_answer()?.into()
            }
            SnapshotCommand::PutBack => self.put_back(stored).await?.into(),
            SnapshotCommand::Choose => {
                self.observe().await;
                Reply::Stream(self.choice_page()?)
            }
            SnapshotCommand::Browse(snapshot, path) => self.browse(&snapshot, &path).await?,
            SnapshotCommand::Download(snapshot, file) => self.download(&snapshot, &file).await?,
            SnapshotCommand::Archive(snapshot, path) => self.archive(&snapshot, &path).await?,
        })
    }

    async fn list_snapshots(
        self: &Rc<Self>,
        stored: Vec<BucketSnapshot>,
        after: Option<SnapshotCursor>,
    ) -> Result<SandboxAnswer> {
        let store = Store::open(&self.state)?;
        store.keep_only(&stored)?;
        let mut shown = store.shown(stored.clone(), clock::now_ms())?;
        // One call of the bot's is asked for what nobody knew so far, a last snapshot before a sleep above all.
        if shown.iter().any(|snapshot| snapshot.details.is_none())
            && let Some(run) = self.run_that_answers()
        {
            match self.ask_for_snapshots(run).await {
                Ok(snapshots) => {
                    // Only what the bucket has: the list is a container's word.
                    let stored_ids: BTreeSet<_> = stored.iter().map(|stored| &stored.id).collect();
                    for snapshot in snapshots {
                        if stored_ids.contains(&snapshot.id) {
                            store.describe(&snapshot.id.clone(), &Details::from(snapshot))?;
                        }
                    }
                    shown = store.shown(stored, clock::now_ms())?;
                }
                Err(error) => log::line("snapshots-unanswered", &[("run", &run), ("reason", &error)]),
            }
        }
        let list = SnapshotList::page(shown, after.as_ref());
        Ok(SandboxAnswer::Snapshots(RawDocument::of(&list)?))
    }

    async fn ask_for_snapshots(&self, run: Run) -> Result<Vec<Snapshot>> {
        self.read_control(run, SNAPSHOTS_PATH, READ_DEADLINE, MAX_SNAPSHOTS_BYTES)
            .await
    }

    /// The run whose supervisor can be asked.
    pub(super) fn run_that_answers(&self) -> Option<Run> {
        let life = self.life();
        life.is_awake().then_some(life.run)
    }

    async fn take_snapshot(self: &Rc<Self>, accept: bool) -> Result<SandboxAnswer> {
        let Some(run) = self.run_that_answers() else {
            return Ok(Refusal::BotAsleep.into());
        };
        let job = BackupJob::Snapshot(SnapshotJob {
            reason: SnapshotReason::Manual,
            accept,
        });
        match self.order_job(run, job).await {
            Ok(answer) if is_success(answer.status_code()) => {}
            Ok(answer) => return Ok(refused(answer, SnapshotCall::Take.problems()).await),
            Err(error) => return Ok(unanswered(run, &error)),
        }
        self.handle_event(LifecycleEvent::Poll).await?;
        self.status_answer()
    }

    /// What there is is kept.
    fn keep_home(self: &Rc<Self>) -> Result<()> {
        self.update_backup_state(|backup_state| backup_state.decide(clock::now_ms()))?;
        self.update_registry();
        Ok(())
    }

    /// The page on which the owner decides, and which follows what comes of it.
    fn choice_page(self: &Rc<Self>) -> Result<Response> {
        let nonce = Nonce::new()?;
        reply::page(
            200,
            &nonce,
            pages::choice::page(&nonce, &self.status(), &self.own_page()?),
        )
    }

    /// Has the newest restored that a start passed over, as far as the bucket still has it.
    async fn put_back(self: &Rc<Self>, stored: Vec<BucketSnapshot>) -> Result<SandboxAnswer> {
        let backup_state = Store::open(&self.state)?.backup_state()?;
        let Some(choice) = backup_state.summary().choice else {
            return Ok(Refusal::NothingPassedOver.into());
        };
        let is_stored = |id: &SnapshotId| stored.iter().any(|one| one.id == *id);
        let Some(newest) = choice.snapshots.into_iter().find(is_stored) else {
            return Ok(Refusal::NoSuchSnapshot.into());
        };
        self.order_restore(stored, RestorePoint::Snapshot(newest)).await
    }

    async fn order_restore(
        self: &Rc<Self>,
        stored: Vec<BucketSnapshot>,
        point: RestorePoint,
    ) -> Result<SandboxAnswer> {
        // What there is now stays within reach, also where nothing has changed since it was saved.
        let now = clock::now_ms();
        let newest = stored.into_iter().max_by_key(|stored| stored.stored_at);
        if let Some(newest) = newest {
            Store::open(&self.state)?.hold(&newest.id, Some(now.saturating_add(HELD_FOR_MS)))?;
            self.keep_holds();
        }
        // And what a start took in place of what it passed over, which need not be the newest.
        let choice = Store::open(&self.state)?.backup_state()?.summary().choice;
        if let Some(instead) = choice.and_then(|choice| choice.instead) {
            let until = now.saturating_add(HELD_FOR_MS);
            Store::open(&self.state)?.hold_until(&instead, until)?;
        }
        self.update_backup_state(|backup_state| backup_state.set_ordered_restore(now, point))?;
        let life = self.life();
        if life.is_awake() {
            // The first answer is from before the order; the second sees what came of it, and so goes on asking.
            self.handle_event(LifecycleEvent::Poll).await?;
            self.handle_event(LifecycleEvent::Poll).await?;
        } else if life.desired == Desired::Available {
            self.handle_event(LifecycleEvent::RestartWanted).await?;
        }
        self.status_answer()
    }
}

pub(super) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// A container that is awake and does not answer is on its way up or down.
pub(super) fn unanswered(run: Run, error: &worker::Error) -> SandboxAnswer {
    log::line("container-call-unanswered", &[("run", &run), ("reason", error)]);
    Refusal::BotWaking.into()
}

/// Why the supervisor did not do it, in its words. A code that is none of the call's `problems` says nothing a caller
/// could know what to do about.
pub(super) async fn refused(mut answer: Response, problems: &[Refusal]) -> SandboxAnswer {
    let status = answer.status_code();
    // All that an answer to HEAD says.
    let named = answer.headers().get(REFUSAL_HEADER).ok().flatten();
    let said = clock::within(
        REFUSAL_DEADLINE,
        json::within::<Refused>(&mut answer, MAX_ANSWER_BYTES),
    )
    .await;
    let (code, detail) = match said {
        Ok(said) => (said.code, said.detail),
        Err(_) => (named.unwrap_or_default(), None),
    };
    let mut passed_on = [Refusal::BadRequest].iter().chain(problems).copied();
    let refusal = passed_on.find(|refusal| refusal.facts().1 == code);
    // Those are the gateway's words, and may repeat what the owner has set.
    let is_told = !matches!(refusal, Some(Refusal::ConfigRefused | Refusal::NoSuchEntry));
    log::line(
        "container-call-refused",
        &[
            ("status", &status),
            ("code", &code),
            (
                "reason",
                &detail.as_deref().filter(|_| is_told).unwrap_or_default(),
            ),
        ],
    );
    if (status, code.as_str()) == UNKNOWN_PATH && problems.contains(&Refusal::GatewayUnavailable) {
        return SandboxAnswer::Refused(Refusal::GatewayUnavailable, Some(OLD_SUPERVISOR.to_owned()));
    }
    SandboxAnswer::Refused(
        refusal.unwrap_or(Refusal::StorageUnavailable),
        detail.as_deref().map(truncate_detail),
    )
}
