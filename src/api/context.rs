//! What a handler is given beside its input: the platform, the endpoint that was called, and the proven caller.

use std::cell::Cell;

use moltworker_core::api::access::Credential;
use moltworker_core::api::contract::Access;
use moltworker_core::api::endpoint::Endpoint;
use moltworker_core::api::route::PathParameters;
use moltworker_core::bot::history::Actor;
use moltworker_core::http::own_page::CSRF_HEADER;
use moltworker_core::http::problem::Refusal;
use moltworker_core::settings::Settings;
use moltworker_core::user_id::UserId;
use worker::Env;

use crate::api::audit::AuditTrail;
use crate::http::call::Called;
use crate::http::error::{Error, Result};
use crate::http::sites::Served;
use crate::identity::caller::Caller;

/// One call.
pub(crate) struct Context<'a> {
    pub(crate) env: &'a Env,
    pub(crate) settings: &'a Settings,
    pub(crate) served: &'a Served,
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) parameters: PathParameters,
    /// The call as the history keeps it.
    pub(crate) called: Called<'a>,
    /// Nobody, where the endpoint is for anybody.
    pub(crate) caller: Option<Caller>,
    /// The cookie of a session that was renewed on the way; the browser gets it with the answer.
    pub(crate) renewed: &'a Cell<Option<String>>,
    pub(crate) audit: AuditTrail<'a>,
}

impl Context<'_> {
    /// Who calls.
    ///
    /// # Errors
    /// The endpoint is for anybody: the table and the handler do not fit together.
    pub(crate) fn caller(&self) -> Result<&Caller> {
        self.caller.as_ref().ok_or_else(|| Refusal::Internal.into())
    }

    /// Whose bot or account the call is about: the one the path names, else the caller's.
    ///
    /// # Errors
    /// As [`Context::caller`].
    pub(crate) fn subject(&self) -> Result<UserId> {
        match self.parameters.user {
            Some(user) => Ok(user),
            None => Ok(self.caller()?.identity().user),
        }
    }

    /// The admin who calls.
    ///
    /// # Errors
    /// As [`Context::caller`].
    pub(crate) fn admin(&self) -> Result<UserId> {
        Ok(self.caller()?.identity().user)
    }

    /// Whether a button of one of our pages was pressed, which leads on. A script of a page takes the document: browsers say
    /// that it is one, and before 2023 the CSRF token does.
    pub(crate) fn by_button(&self) -> bool {
        let credential = self.caller.as_ref().map(Caller::credential);
        let header = |name| self.called.headers.value_of(name);
        let is_script = header("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
        let is_button = self.endpoint.access() == Access::OwnerOrButton;
        is_button && credential == Some(Credential::Session) && !is_script && header(CSRF_HEADER).is_none()
    }

    /// The origin of the host that was asked.
    pub(crate) fn origin(&self) -> &str {
        self.served.origin(self.settings)
    }

    /// Says in the history that `user` is who this call turned out to be about.
    pub(crate) fn signed_in(&self, user: UserId) {
        self.audit.caller_is(Actor::Owner, Some(user));
    }
}

/// A value the table promises and the request does not have.
pub(crate) fn missing(what: &str) -> Error {
    Error::Runtime(worker::Error::RustError(format!("the endpoint has no {what}")))
}
