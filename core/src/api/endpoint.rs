//! What is known of one endpoint of the platform, and what follows from it.
//!
//! An [`Endpoint`] is made only by the constructors here. Each fixes who may call and what is written down, so that a
//! change, or an admin's look at somebody's data, without an event in the history cannot be written.

mod problems;

use super::contract::{Access, Audit, ChangeMethod, Hosts, Input, MAX_BODY_BYTES, Method, Output, RateClass};
use super::operation::Operation;
use crate::http::problem::Refusal;

/// A row of the table, fixed by the constructor that made it.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    operation: Operation,
    name: &'static str,
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "only documents have it"))]
    summary: &'static str,
    method: Method,
    path: &'static str,
    hosts: Hosts,
    access: Access,
    audit: Audit,
    rate: RateClass,
    input: Input,
    output: Output,
    problems: &'static [Refusal],
}

/// Constructors: what each is for, and its method, who may call, and what is written down.
macro_rules! constructors {
    ($($(#[$words:meta])+ $constructor:ident($($method:ident: $kind:ty)?): $by:expr, $access:ident, $audit:ident;)+) => {
        impl Endpoint {
            $(
                $(#[$words])+
                pub(in crate::api) const fn $constructor(
                    operation: Operation,
                    name: &'static str,
                    path: &'static str,
                    summary: &'static str,
                    $($method: $kind,)?
                ) -> Self {
                    let row = (operation, name, path, summary);
                    Self::new(row, $by, Access::$access, Audit::$audit)
                }
            )+
        }
    };
}

constructors! {
    /// Anybody reads it.
    public(): Method::Get, Public, Nothing;
    /// A page of ours takes up the session it has; that leaves no event, its beginning did.
    resume(): Method::Post, Public, Nothing;
    /// Somebody ends their session, or arrives with it from another host.
    session(method: Method): method, Public, SignIn;
    /// Somebody takes their session to another host.
    leave(): Method::GetOnly, Session, SignIn;
    /// The owner reads their own.
    own(): Method::Get, Owner, Nothing;
    /// The owner changes something of their own.
    own_change(method: ChangeMethod): method.method(), OwnerOrPage, Change;
    /// The owner looks at what opens their bot.
    own_secrets(): Method::Get, OwnerInPerson, Nothing;
    /// The owner changes what opens their bot.
    own_secrets_change(method: ChangeMethod): method.method(), OwnerInPerson, Change;
    /// The owner changes something, for which our pages have a button as well.
    own_button(): Method::Post, OwnerOrButton, Change;
    /// An admin looks at somebody's data.
    admin_look(): Method::Get, Admin, Look;
    /// An admin changes something.
    admin_change(method: ChangeMethod): method.method(), Admin, Change;
    /// A monitor looks how the platform is, once a minute for ever: nothing of anybody's, and no event each time.
    monitored(): Method::Get, Monitor, Nothing;
}

impl Endpoint {
    const fn new(
        row: (Operation, &'static str, &'static str, &'static str),
        method: Method,
        access: Access,
        audit: Audit,
    ) -> Self {
        let (operation, name, path, summary) = row;
        Self {
            operation,
            name,
            // The Worker writes no documents.
            summary: if cfg!(feature = "schema") { summary } else { "" },
            method,
            path,
            hosts: Hosts::Platform,
            access,
            audit,
            rate: RateClass::Ordinary,
            input: Input::Nothing,
            output: Output::Page,
            problems: &[],
        }
    }

    /// Somebody signs in: with a form, or on the way back from elsewhere with a code in the query.
    pub(in crate::api) const fn sign_in(
        operation: Operation,
        name: &'static str,
        path: &'static str,
        summary: &'static str,
        method: Method,
    ) -> Self {
        Self {
            rate: RateClass::SignIn,
            ..Self::session(operation, name, path, summary, method)
        }
    }

    /// The owner's traffic to their bot.
    pub(in crate::api) const fn bot(
        operation: Operation,
        name: &'static str,
        path: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            hosts: Hosts::Both,
            input: Input::Stream,
            output: Output::Upstream,
            ..Self::new(
                (operation, name, path, summary),
                Method::Any,
                Access::Traffic,
                Audit::Nothing,
            )
        }
    }

    /// A machine at a bot's repository.
    pub(in crate::api) const fn repository(
        operation: Operation,
        name: &'static str,
        path: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            hosts: Hosts::Every,
            rate: RateClass::Machine,
            input: Input::Stream,
            output: Output::Upstream,
            ..Self::new(
                (operation, name, path, summary),
                Method::Any,
                Access::RepositoryToken,
                Audit::Operator,
            )
        }
    }

    /// The same on these hosts.
    pub(in crate::api) const fn on(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// The same by `GET` alone.
    pub(in crate::api) const fn without_head(self) -> Self {
        Self {
            method: Method::GetOnly,
            ..self
        }
    }

    /// The same with this input.
    pub(in crate::api) const fn takes(self, input: Input) -> Self {
        Self { input, ..self }
    }

    /// The same with this output.
    pub(in crate::api) const fn answers(self, output: Output) -> Self {
        Self { output, ..self }
    }

    /// The same, and it can be refused for these reasons beside those that follow from who may call.
    pub(in crate::api) const fn or(self, problems: &'static [Refusal]) -> Self {
        Self { problems, ..self }
    }

    /// What it does.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Its stable name: the operation's id in the OpenAPI document, and the action in the history.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// One line about it.
    #[cfg(feature = "schema")]
    pub fn summary(&self) -> &'static str {
        self.summary
    }

    /// The one method this row answers; another one on the same path is another row.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Its path; `{user}`, `{provider}` and `{order}` stand for one segment each, `{*}` for all that follow.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The hosts it is on.
    pub fn hosts(&self) -> Hosts {
        self.hosts
    }

    /// Who may call.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether a person in a browser who is not signed in is led to where they can, in place of a refusal: wherever a page
    /// is what they would see.
    pub fn leads_to_sign_in(&self) -> bool {
        match self.access {
            Access::Session | Access::Traffic => true,
            Access::Owner => self.output == Output::Page,
            _ => false,
        }
    }

    /// What is written into the history.
    pub fn audit(&self) -> Audit {
        self.audit
    }

    /// Whether it changes something.
    pub fn changes(&self) -> bool {
        matches!(self.audit, Audit::Change | Audit::SignIn | Audit::Operator)
    }

    /// How requests are counted.
    pub fn rate(&self) -> RateClass {
        self.rate
    }

    /// What a request brings.
    pub fn input(&self) -> Input {
        self.input
    }

    /// What a success answers with.
    pub fn output(&self) -> Output {
        self.output
    }

    /// The most bytes of a request's body; `None` where the body is not the platform's to limit.
    pub fn max_body(&self) -> Option<u64> {
        (self.input != Input::Stream).then_some(MAX_BODY_BYTES)
    }

    /// Whether it is part of the JSON API, which programs use: it is in the OpenAPI document, and takes nothing in its
    /// query but what it says.
    pub fn is_api(&self) -> bool {
        let is_below = self.path.starts_with("/api/") && self.output != Output::Page;
        is_below || self.operation == Operation::Health
    }
}
