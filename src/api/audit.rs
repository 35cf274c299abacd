//! The history around a handler: one place, for every endpoint that leaves an event (`core::api::audit`).
//!
//! A change is written down before it is made, because one that goes wrong was tried all the same, and again with how it
//! ended. A look is written down once it was answered.

use std::cell::{Cell, RefCell};

use moltworker_core::api::audit::{
    Outcome, Recent, Refusals, Written, kind, operators_event, records_refusal,
};
use moltworker_core::api::contract::{Access, Audit};
use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::bot::history::{Actor, HistoryKind, truncate_detail};
use moltworker_core::http::problem::Refusal;
use moltworker_core::http::rate_limits::address_key;
use moltworker_core::user_id::UserId;
use worker::{Env, Response};

use crate::http::call::Called;
use crate::http::headers::ReadHeaders;
use crate::identity::sign_in::SignInTry;
use crate::identity::users;
use crate::platform::history::{self, Call, HistoryEntry};
use crate::platform::tasks::{self, Invocation};
use crate::platform::{clock, log};
use crate::repository::OperatorCall;

thread_local! {
    static RECENT: RefCell<Recent> = const { RefCell::new(Recent::new()) };
    static REFUSALS: RefCell<Refusals> = const { RefCell::new(Refusals::new()) };
}

/// What is written down about one call.
pub(crate) struct AuditTrail<'a> {
    env: &'a Env,
    endpoint: &'static Endpoint,
    call: Call,
    actor: Cell<Actor>,
    /// Whose bot or account it is about.
    user: Cell<Option<UserId>>,
    detail: RefCell<Option<String>>,
    /// What it turned out to be, where that does not follow from the endpoint.
    kind: Cell<Option<HistoryKind>>,
    /// The number of the event that was written before the change.
    begun: Cell<Option<u64>>,
    /// Why it failed, where the answer is a page without a code.
    failure: Cell<Option<Refusal>>,
    /// The account that somebody tried to sign in to, as they typed it.
    tried: RefCell<Option<SignInTry>>,
}

impl<'a> AuditTrail<'a> {
    /// Nothing is known of the caller yet.
    pub(crate) fn new(
        env: &'a Env,
        endpoint: &'static Endpoint,
        headers: &dyn ReadHeaders,
        user: Option<UserId>,
    ) -> worker::Result<Self> {
        Ok(Self {
            env,
            endpoint,
            call: Called {
                action: endpoint.name(),
                headers,
            }
            .facts()?,
            actor: Cell::new(Actor::Anonymous),
            user: Cell::new(user),
            detail: RefCell::default(),
            kind: Cell::default(),
            begun: Cell::default(),
            failure: Cell::default(),
            tried: RefCell::default(),
        })
    }

    /// Who calls, and whose bot or account it is about, if the path does not say that.
    pub(crate) fn caller_is(&self, actor: Actor, user: Option<UserId>) {
        self.actor.set(actor);
        self.user.set(self.user.get().or(user));
    }

    /// Which one, or what exactly, as far as the history keeps it. Never a secret.
    pub(crate) fn note(&self, detail: impl Into<String>) {
        self.detail.replace(Some(truncate_detail(&detail.into())));
    }

    /// It turned out to be of this kind.
    pub(crate) fn was(&self, kind: HistoryKind) {
        self.kind.set(Some(kind));
    }

    /// It failed, though it is answered with a page.
    pub(crate) fn failed(&self, failure: Refusal) {
        self.failure.set(Some(failure));
    }

    /// Somebody did not get into this account, if there is one.
    pub(crate) fn tried(&self, tried: SignInTry) {
        self.tried.replace(Some(tried));
    }

    /// Right before something is changed.
    pub(crate) async fn begin(&self) {
        if self.endpoint.audit() == Audit::Change
            && let Some(kind) = kind(self.endpoint)
        {
            let detail = self.detail.borrow().clone();
            let id = history::record(self.env, &self.entry(kind, detail.as_deref(), None)).await;
            self.begun.set(id);
        }
    }

    /// The caller may not call this.
    pub(crate) async fn refused(&self, refusal: Refusal) {
        let proven = self.actor.get() != Actor::Anonymous;
        if records_refusal(self.endpoint, proven, refusal) {
            let outcome = Outcome::refused(refusal);
            self.write_once(HistoryKind::Refused, outcome).await;
        }
    }

    /// After the call, however it ended.
    pub(crate) async fn end(&self, outcome: Outcome, invocation: &Invocation) {
        self.write_end(self.failure.get().map_or(outcome, Outcome::refused))
            .await;
        if let Some(tried) = self.tried.take() {
            // Last, and beside the answer: whether there is such an account shows in neither its words nor its time.
            tasks::beside(
                invocation,
                write_try(self.env.clone(), self.call.clone(), tried, outcome),
            );
        }
    }

    /// An operator was in a repository. Written afterwards: restic asks hundreds of times, and that is one event a minute for
    /// what it reads, one for what it adds, and one for each refusal.
    pub(crate) async fn used_by_operator(&self, call: &OperatorCall, response: &worker::Result<Response>) {
        let outcome = match (call.refusal, response) {
            (Some(refusal), _) => Outcome::refused(refusal),
            (None, Ok(response)) => Outcome::answered(response.status_code()),
            (None, Err(_)) => Outcome::refused(Refusal::Internal),
        };
        self.actor.set(Actor::Operator);
        self.note("the repository");
        self.write_once(operators_event(call.changes, call.refusal), outcome)
            .await;
    }

    async fn write_end(&self, outcome: Outcome) {
        let Some(kind) = kind(self.endpoint) else { return };
        if let Some(id) = self.begun.take() {
            return history::complete(self.env, id, outcome).await;
        }
        match self.endpoint.audit() {
            // Who only comes to the form, or is sent away to a provider, has signed in nowhere yet.
            Audit::SignIn if self.user.get().is_none() && !outcome.is_refused() => {}
            Audit::SignIn if outcome.is_refused() => self.write_once(HistoryKind::Refused, outcome).await,
            Audit::SignIn if self.kind.get().is_none() => self.write(kind, outcome).await,
            // Its handler did not say that it began: late is better than not at all.
            Audit::Change if !outcome.is_refused() => self.write(kind, outcome).await,
            // Refused before anything was changed, or looked at; or what can be done again and again.
            _ => self.write_once(self.kind.get().unwrap_or(kind), outcome).await,
        }
    }

    async fn write(&self, kind: HistoryKind, outcome: Outcome) {
        let detail = self.detail.borrow().clone();
        history::record(self.env, &self.entry(kind, detail.as_deref(), Some(outcome))).await;
    }

    /// Writes an event unless the same one was written a moment ago; then it is a log line.
    async fn write_once(&self, kind: HistoryKind, outcome: Outcome) {
        let detail = self.detail.borrow().clone();
        let entry = self.entry(kind, detail.as_deref(), Some(outcome));
        if kind == HistoryKind::Refused && !self.is_of_another(&entry) {
            return self.write_refusal(&entry, outcome).await;
        }
        let key = self.key(&entry, outcome);
        if !RECENT.with_borrow_mut(|recent| recent.is_new(clock::now_ms(), key.clone())) {
            history::log_entry(&entry);
        } else if history::record(self.env, &entry).await.is_none() {
            // The next one is to be written: of this there is no row.
            RECENT.with_borrow_mut(|recent| recent.forget(&key));
        }
    }

    /// A refusal is the same as another one by who was refused what, and in which network they are. Whose bot they name is
    /// theirs to choose, as the rest of their address is: of that, only so many.
    async fn write_refusal(&self, entry: &HistoryEntry<'_>, outcome: Outcome) {
        let network = self.call.address.as_deref().and_then(address_key);
        let owner = entry.user.filter(|_| entry.actor == Actor::Owner);
        let caller = format!("{} {owner:?} {network:?}", entry.actor.to_text());
        let what = format!("{} {outcome:?}", self.call.action);
        let written =
            REFUSALS.with_borrow_mut(|refusals| refusals.on(clock::now_ms(), &caller, &what, entry.user));
        match written {
            Written::LogLine => history::log_entry(entry),
            Written::Event => {
                if history::record(self.env, entry).await.is_none() {
                    // The next one is to be written: of this there is no row.
                    REFUSALS.with_borrow_mut(|refusals| refusals.forget(&caller, &what, entry.user));
                }
            }
            Written::Further(number) => {
                // Whom this one named stands in the log.
                history::log_entry(entry);
                let detail = format!("refusals within a minute that named others: {number}");
                let summary = HistoryEntry {
                    user: None,
                    detail: Some(&detail),
                    ..*entry
                };
                history::record(self.env, &summary).await;
            }
        }
    }

    /// What makes a look, or a call that failed, the same as another one.
    fn key(&self, entry: &HistoryEntry<'_>, outcome: Outcome) -> String {
        let (action, actor) = (self.call.action, entry.actor.to_text());
        if self.is_of_another(entry) {
            // Into somebody's history, by whoever has an account: once for all of them.
            return format!("{action} {:?} {outcome:?}", entry.user);
        }
        let address = self.call.address.as_deref();
        let (user, detail) = (entry.user, entry.detail);
        if entry.actor == Actor::Operator {
            // However it ended: of what is not there, or only in part, restic asks as well.
            return format!("{action} {:?} {address:?} {user:?}", entry.kind);
        }
        format!("{action} {actor} {address:?} {user:?} {detail:?} {outcome:?}")
    }

    /// Whether it is a refusal of somebody at another person's bot.
    fn is_of_another(&self, entry: &HistoryEntry<'_>) -> bool {
        let at_owners = !matches!(self.endpoint.access(), Access::Admin | Access::Monitor);
        entry.kind == HistoryKind::Refused && at_owners && matches!(entry.actor, Actor::User(_))
    }

    fn entry<'e>(
        &'e self,
        kind: HistoryKind,
        detail: Option<&'e str>,
        outcome: Option<Outcome>,
    ) -> HistoryEntry<'e> {
        HistoryEntry {
            user: self.user.get(),
            run: None,
            kind,
            actor: self.actor.get(),
            detail,
            call: Some(&self.call),
            outcome,
        }
    }
}

/// Writes a failed sign-in into the history of the person whose account it was, once an hour.
async fn write_try(env: Env, call: Call, tried: SignInTry, outcome: Outcome) {
    let people = match users::note_failed_sign_in(&env, &tried.email, clock::now_ms()).await {
        Ok(people) => people,
        Err(error) => return log::fault("failed-sign-in-not-written", &[("reason", &error)]),
    };
    for user in people {
        let entry = HistoryEntry {
            user: Some(user),
            run: None,
            kind: HistoryKind::Refused,
            actor: Actor::Anonymous,
            detail: Some(tried.with),
            call: Some(&call),
            outcome: Some(outcome),
        };
        history::record(&env, &entry).await;
    }
}
