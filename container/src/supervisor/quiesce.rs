//! Finds out whether the bot may be put to sleep, by what is saved and what the gateway says, and lets it go on when the owner wants something after
//! all.
//!
//! A gateway that agrees takes no new work for [`LEASE`]. Its liveness probe ([`crate::supervisor::probe`]) is answered all
//! the same, and so is the call by which it is ended ([`crate::supervisor::gateway_shutdown`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moltworker_core::bot::gateway::{GatewayView, Launch, RpcRefusal, kept_awake_by_channels, prepared};
use moltworker_core::wire::control::{GatewayPhase, Quiesce};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::http::activity::Activity;
use crate::supervisor::gateway_rpc::Rpc;

/// How long each of the two calls may take. Measured: 15 to 60 ms.
const ANSWER_DEADLINE: Duration = Duration::from_secs(4);
/// How long the gateway takes no new work, by its documentation. Asking again begins it anew.
const LEASE: Duration = Duration::from_secs(120);
/// Between two looks whether the owner has come back. Their first request meets a gateway that says no until
/// then, and a page asks again by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is needed to ask.
pub(crate) struct Quiescence {
    /// The way to the gateway.
    rpc: Rpc,
    /// What its life looks like now.
    view: watch::Receiver<GatewayView>,
    /// What the owner does.
    activity: Arc<Activity>,
    /// Whether something is known not to be saved now.
    unsaved: watch::Receiver<bool>,
    /// Which gateway takes no new work, and who waits there for the owner to come back.
    resting: Mutex<Option<(Launch, AbortHandle)>>,
}

impl Quiescence {
    /// Nothing has been asked yet.
    pub(crate) fn new(
        rpc: Rpc,
        view: watch::Receiver<GatewayView>,
        activity: Arc<Activity>,
        unsaved: watch::Receiver<bool>,
    ) -> Self {
        Self {
            rpc,
            view,
            activity,
            unsaved,
            resting: Mutex::default(),
        }
    }

    /// Whether the bot may be put to sleep now.
    pub(crate) async fn may_begin(&self) -> Quiesce {
        // Before the gateway is asked to rest: it would rest in vain. Without one there is something to lose as well.
        if *self.unsaved.borrow() {
            return Quiesce::Unsaved;
        }
        let (phase, launch) = {
            let view = self.view.borrow();
            (view.phase, view.launch)
        };
        match phase {
            GatewayPhase::Ready | GatewayPhase::Suspect => self.ask(launch).await,
            // One that is coming takes up again what the one before it left.
            GatewayPhase::Restoring | GatewayPhase::Starting | GatewayPhase::Restarting => {
                prepared(Err(RpcRefusal::NotNow(None)))
            }
            GatewayPhase::CrashLooped | GatewayPhase::Draining | GatewayPhase::Unknown => Quiesce::NoGateway,
        }
    }

    async fn ask(&self, launch: Launch) -> Quiesce {
        // One that rests already says nothing about its channels; nothing has changed about them.
        if !self.rests(launch) {
            let channels = self.rpc.call("channels.status", json!({}), ANSWER_DEADLINE).await;
            if let Some(kept) = kept_awake_by_channels(channels.as_ref().map_err(|refused| *refused)) {
                return kept;
            }
        }
        let last = self.activity.last();
        let answer = self.prepare().await;
        let quiesce = prepared(answer.as_ref().map_err(|refused| *refused));
        if let (Quiesce::Ready, Ok(answer)) = (&quiesce, answer) {
            self.resume_when_wanted(launch, last, answer);
        }
        quiesce
    }

    /// A gateway that loads code answers late, and agrees then to what nobody waits for any more: it is told to
    /// go on.
    async fn prepare(&self) -> Result<Value, RpcRefusal> {
        let rpc = self.rpc.clone();
        let mut asking = tokio::spawn(async move {
            // One name for all: to ask again renews.
            let request = json!({ "requestId": "moltbot-supervisor" });
            rpc.call("gateway.suspend.prepare", request, LEASE).await
        });
        if let Ok(answer) = tokio::time::timeout(ANSWER_DEADLINE, &mut asking).await {
            return answer.unwrap_or(Err(RpcRefusal::NotNow(None)));
        }
        let rpc = self.rpc.clone();
        tokio::spawn(async move {
            if let Ok(Ok(answer)) = asking.await {
                resume(&rpc, &answer).await;
            }
        });
        Err(RpcRefusal::NotNow(None))
    }

    /// Gives the gateway its work back as soon as the owner's traffic does something after `last`.
    fn resume_when_wanted(&self, launch: Launch, last: u64, agreed: Value) {
        let (rpc, activity) = (self.rpc.clone(), Arc::clone(&self.activity));
        let until = Instant::now() + LEASE;
        let watch = tokio::spawn(async move {
            while activity.last() == last {
                if Instant::now() > until {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            resume(&rpc, &agreed).await;
        });
        if let Some((_, before)) = self.resting().replace((launch, watch.abort_handle())) {
            before.abort();
        }
    }

    fn rests(&self, launch: Launch) -> bool {
        let resting = self.resting();
        let current = resting.as_ref().filter(|(resting, _)| *resting == launch);
        current.is_some_and(|(_, watch)| !watch.is_finished())
    }

    fn resting(&self) -> MutexGuard<'_, Option<(Launch, AbortHandle)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Undoes what was agreed to. Where that fails, the lease ends by itself.
async fn resume(rpc: &Rpc, agreed: &Value) {
    if let Some(id) = agreed.get("suspensionId") {
        let params = json!({ "suspensionId": id });
        let _ = rpc.call("gateway.suspend.resume", params, ANSWER_DEADLINE).await;
    }
}
