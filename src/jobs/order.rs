//! Carries out what an admin ordered of many bots: side by side, each with a deadline of its own, and one that fails fails no other.

use std::cell::RefCell;
use std::time::Duration;
use std::vec;

use moltworker_core::api::audit::Outcome;
use moltworker_core::bot::history::{Actor, HistoryKind, truncate_detail};
use moltworker_core::jobs::bulk::{BulkOutcome, BulkVerb, MAX_WITHOUT_QUEUE};
use moltworker_core::jobs::message::Job;
use moltworker_core::user_id::UserId;
use worker::{Env, Result};

use crate::bulk::{self, Claimed, Ordered};
use crate::platform::history::{self, HistoryEntry};
use crate::platform::sandbox_client::{self, BulkDone, SandboxError};
use crate::platform::{clock, log, tasks};

/// As many as cron looks at side by side, and for the same reason.
const SIDE_BY_SIDE: usize = 6;
/// How long one bot may take: its Sandbox asks its container what would be lost, and tells it.
const DEADLINE: Duration = Duration::from_secs(25);

/// Takes up what is left of the orders that are under way: what no message has, or one that is lost.
pub(super) async fn resume(env: &Env, has_queue: bool) -> Result<()> {
    if !bulk::settle(env).await? {
        return Ok(());
    }
    if has_queue {
        return bulk::enqueue(env).await;
    }
    for job in Job::of_orders(&bulk::take(env, MAX_WITHOUT_QUEUE).await?) {
        if let Job::Order { order, users } = job {
            carry_out(env, order, users).await;
        }
    }
    Ok(())
}

/// Does what `order` is about, for these of its bots.
pub(super) async fn carry_out(env: &Env, order: u32, users: Vec<UserId>) {
    let outcome = async {
        let Some(ordered) = bulk::of(env, order).await? else {
            return Ok(());
        };
        let work = Work {
            env,
            order,
            ordered,
            left: RefCell::new(users.into_iter()),
        };
        tasks::all((0..SIDE_BY_SIDE).map(|_| work.lane())).await;
        bulk::finish(env).await
    };
    let outcome: Result<()> = outcome.await;
    if let Err(error) = outcome {
        log::fault("order-not-carried-out", &[("order", &order), ("reason", &error)]);
    }
}

struct Work<'a> {
    env: &'a Env,
    order: u32,
    ordered: Ordered,
    left: RefCell<vec::IntoIter<UserId>>,
}

impl Work<'_> {
    /// One bot after the other, until all had their turn.
    async fn lane(&self) {
        while let Some(user) = self.next() {
            if let Err(error) = self.turn(user).await {
                // Nobody knows what became of it: cron finds it when its claim has lapsed.
                log::fault(
                    "bot-not-ordered",
                    &[("order", &self.order), ("user", &user), ("reason", &error)],
                );
            }
        }
    }

    fn next(&self) -> Option<UserId> {
        self.left.borrow_mut().next()
    }

    async fn turn(&self, user: UserId) -> Result<()> {
        let Some(claimed) = bulk::claim(self.env, self.order, user).await? else {
            return Ok(());
        };
        let (outcome, detail, answer) = self.order(user, &claimed).await;
        let detail = detail.map(|detail| truncate_detail(&detail));
        if bulk::close(self.env, self.order, user, outcome, detail.as_deref()).await? {
            self.record(user, outcome, detail.as_deref(), answer).await;
        }
        Ok(())
    }

    /// What became of it, why, and how that is told in the history.
    async fn order(&self, user: UserId, claimed: &Claimed) -> (BulkOutcome, Option<String>, Outcome) {
        let (verb, env) = (self.ordered.verb, self.env);
        if verb == BulkVerb::Resume && !claimed.is_of_somebody_active() {
            let why = "its owner's account is not active".to_owned();
            return (BulkOutcome::Skipped, Some(why), Outcome::answered(200));
        }
        let told = async { Ok(sandbox_client::bulk(env, user, verb, claimed.tried_at()).await) };
        match clock::within(DEADLINE, told).await {
            Ok(Ok(BulkDone::Ordered)) => (BulkOutcome::Done, None, Outcome::answered(200)),
            Ok(Ok(BulkDone::Before)) => {
                let how = "an earlier try had done it".to_owned();
                (BulkOutcome::Done, Some(how), Outcome::answered(200))
            }
            Ok(Ok(BulkDone::Skipped(why))) => (BulkOutcome::Skipped, Some(why), Outcome::answered(200)),
            Ok(Err(SandboxError::Refused(refusal, detail))) => {
                let code = refusal.facts().1;
                let why = detail.map_or_else(|| code.to_owned(), |detail| format!("{code}: {detail}"));
                (BulkOutcome::Refused, Some(why), Outcome::refused(refusal))
            }
            Ok(Err(SandboxError::Broken(error))) | Err(error) => {
                let why = format!("it may or may not have been done: {error}");
                (BulkOutcome::Failed, Some(why), Outcome::answered(500))
            }
        }
    }

    async fn record(&self, user: UserId, outcome: BulkOutcome, detail: Option<&str>, answer: Outcome) {
        let (verb, order, how) = (self.ordered.verb.as_str(), self.order, outcome.as_str());
        let why = detail.map_or_else(String::new, |detail| format!(": {detail}"));
        let said = format!("{verb}, by order {order} to many bots, {how}{why}");
        let entry = HistoryEntry {
            user: Some(user),
            run: None,
            kind: HistoryKind::Ordered,
            actor: Actor::Admin(self.ordered.ordered_by),
            detail: Some(&said),
            call: None,
            outcome: Some(answer),
        };
        history::record(self.env, &entry).await;
    }
}
