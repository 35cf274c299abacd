//! The words in which an endpoint is described.

use super::operation::Document;
use super::parameter::Parameter;

/// Bytes a request to an endpoint of the platform's own may have: an e-mail address, a password, a path, a host
/// name, percent-encoded.
pub const MAX_BODY_BYTES: u64 = 16 * 1024;

/// The method of a request. `HEAD` is answered wherever `Get` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET` and `HEAD`.
    Get,
    /// `GET` alone: it spends a code, or streams what only a reader asks for.
    GetOnly,
    #[expect(missing_docs, reason = "the name says it")]
    Post,
    #[expect(missing_docs, reason = "the name says it")]
    Put,
    #[expect(missing_docs, reason = "the name says it")]
    Delete,
    /// Every method: what is behind it has rules of its own.
    Any,
}

impl Method {
    /// Whether a request with this method is meant.
    pub fn takes(self, method: &str) -> bool {
        match self {
            Self::Get => matches!(method, "GET" | "HEAD"),
            Self::GetOnly => method == "GET",
            Self::Post => method == "POST",
            Self::Put => method == "PUT",
            Self::Delete => method == "DELETE",
            Self::Any => true,
        }
    }

    /// Its part of an `Allow` header.
    pub fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::GetOnly => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Any => "*",
        }
    }

    /// Its name in an OpenAPI document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get | Self::GetOnly | Self::Any => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// How something is changed: never by `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ChangeMethod {
    Post,
    Put,
    Delete,
}

impl ChangeMethod {
    /// As every endpoint has one. `From` cannot be asked in the table, which is made when the code is compiled.
    pub const fn method(self) -> Method {
        match self {
            Self::Post => Method::Post,
            Self::Put => Method::Put,
            Self::Delete => Method::Delete,
        }
    }
}

/// On which hosts an endpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// On the platform's own.
    Platform,
    /// On bots' own.
    Bots,
    /// On both.
    Both,
    /// On every host, also while the operator is still setting the platform up.
    Every,
}

impl Hosts {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Bots => "bots",
            Self::Both => "both",
            Self::Every => "every",
        }
    }
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No credential is asked for; a page may say who is signed in.
    Public,
    /// Whoever is signed in here, by the session of this host. Who is not is led to where one signs in.
    Session,
    /// The bot's owner on their way to it, by an access token, a personal one of either scope, or the session of this host.
    /// Who has none of these is led to where one signs in.
    Traffic,
    /// The owner, by an access token or by the session of this host.
    Owner,
    /// The owner, by an access token, or by a button: the session and the origin of this host. A bot's own page may share that
    /// origin and could press it, so only what costs the owner nothing they did not ask for by opening the page is such.
    OwnerOrButton,
    /// The owner, by an access token, or by their own page: the session of the platform's host and its CSRF token.
    OwnerOrPage,
    /// The owner themselves: by the access token of a sign-in or by their own page as above, by no personal token.
    OwnerInPerson,
    /// An admin, by an access token only.
    Admin,
    /// A monitor with the operator's `MONITOR_TOKEN`, or an admin as above.
    Monitor,
    /// A machine with a repository's token.
    RepositoryToken,
}

impl Access {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Session => "session",
            Self::Traffic => "traffic",
            Self::Owner => "owner",
            Self::OwnerOrButton => "owner-or-button",
            Self::OwnerOrPage => "owner-or-page",
            Self::OwnerInPerson => "owner-in-person",
            Self::Admin => "admin",
            Self::Monitor => "monitor",
            Self::RepositoryToken => "repository-token",
        }
    }
}

/// What is written into the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// Nothing: somebody reads what is public, or their own.
    Nothing,
    /// That somebody signs in or out, or failed to; who, is known only afterwards.
    SignIn,
    /// That an admin looked at somebody's data, or was refused that.
    Look,
    /// That somebody changed something, or was refused that; of an owner's endpoint only a caller who proved who they are.
    Change,
    /// That an operator used a repository, or was refused there: once a minute that it was read, that it was added to, and
    /// each refusal. A run's own use leaves nothing here: the bot's history has its snapshots, restores and maintenance, and
    /// it asks hundreds of times for one.
    Operator,
}

impl Audit {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SignIn => "sign-in",
            Self::Look => "look",
            Self::Change => "change",
            Self::Operator => "operator",
        }
    }
}

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateClass {
    /// By address, and by user once that is proven.
    Ordinary,
    /// Also by the limit of tries to sign in.
    SignIn,
    /// By address alone: a repository's token names no user who could be counted.
    Machine,
}

/// What a request brings beside its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// No body is read.
    Nothing,
    /// These names in the query.
    Query(&'static [Parameter]),
    /// A JSON document.
    Json(Document),
    /// A JSON document that may be left out.
    OptionalJson(Document),
    /// A form of one of our pages.
    Form,
    /// Anything, passed on as it comes.
    Stream,
}

impl Input {
    /// Whether a request brings a body. One that is brought elsewhere is a mistake of the caller's, as a name in a query
    /// that the endpoint does not take is.
    pub fn takes_body(self) -> bool {
        match self {
            Self::Form | Self::Json(_) | Self::OptionalJson(_) | Self::Stream => true,
            Self::Nothing | Self::Query(_) => false,
        }
    }

    /// Judges the names and values of a query: what an endpoint would pass over is a mistake of the caller's.
    ///
    /// # Errors
    /// What is wrong, for the caller.
    pub fn check_query<'a>(self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), String> {
        let parameters: &[Parameter] = match self {
            Self::Query(parameters) => parameters,
            _ => &[],
        };
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
                let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
                return Err(match names.is_empty() {
                    true => "this address takes nothing in its query".to_owned(),
                    false => format!("in its query this address takes {}", names.join(" and ")),
                });
            };
            if seen.contains(&parameter.name) {
                return Err(format!("{} is there twice", parameter.name));
            }
            if !parameter.takes.allows(value) {
                return Err(format!("{} takes {}", parameter.name, parameter.takes.words()));
            }
            seen.push(parameter.name);
        }
        let missing = parameters
            .iter()
            .find(|parameter| parameter.required && !seen.contains(&parameter.name));
        missing.map_or(Ok(()), |parameter| {
            Err(format!("{} is missing: {}", parameter.name, parameter.meaning))
        })
    }
}

/// What a success answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// 200 with a JSON document.
    Json(Document),
    /// 202 with a JSON document: it goes on afterwards.
    Accepted(Document),
    /// 200 with a JSON document; pressed as a button of a page, 303 to that page.
    JsonOrBack(Document),
    /// 202 with a JSON document: it goes on afterwards; pressed as a button of a page, 303 to where one sees it go on.
    AcceptedOrOn(Document),
    /// 200 with text.
    Text,
    /// 200 with bytes of a length that nobody knows before.
    Bytes,
    /// 200 with the bytes of a file, or 206 with some of them.
    File,
    /// A page, or a redirect, for a browser.
    Page,
    /// Whatever is behind it answers.
    Upstream,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::parameter::Takes;

    #[test]
    fn a_body_belongs_to_forms_documents_and_streams_alone() {
        for (input, takes_body) in [
            (Input::Nothing, false),
            (Input::Query(&[]), false),
            (Input::Form, true),
            (Input::Json(Document::DomainName), true),
            (Input::OptionalJson(Document::TakeRequest), true),
            (Input::Stream, true),
        ] {
            assert_eq!(input.takes_body(), takes_body, "{input:?}");
        }
    }

    #[test]
    fn a_query_is_what_the_endpoint_takes_and_nothing_else() {
        const NUMBER: Parameter = Parameter {
            name: "before",
            takes: Takes::Number(4_294_967_295),
            meaning: "the id of an event",
            required: false,
        };
        const SNAPSHOT: Parameter = Parameter {
            name: "snapshot",
            takes: Takes::SnapshotId,
            meaning: "the id of a snapshot",
            required: true,
        };
        let id = "ab".repeat(32);
        let good = format!("snapshot={id}");
        let twice = format!("{good}&{good}");
        let more = format!("{good}&path=x");
        for (input, query, expected) in [
            (Input::Nothing, "", None),
            (
                Input::Nothing,
                "x=1",
                Some("this address takes nothing in its query"),
            ),
            (Input::Query(&[NUMBER]), "", None),
            (Input::Query(&[NUMBER]), "before=0", None),
            (Input::Query(&[NUMBER]), "before=4294967295", None),
            (
                Input::Query(&[NUMBER]),
                "before=4294967296",
                Some("before takes a whole number up to 4294967295"),
            ),
            (
                Input::Query(&[NUMBER]),
                "before=+5",
                Some("before takes a whole number up to 4294967295"),
            ),
            (
                Input::Query(&[NUMBER]),
                "before=",
                Some("before takes a whole number up to 4294967295"),
            ),
            (
                Input::Query(&[NUMBER]),
                "after=1",
                Some("in its query this address takes before"),
            ),
            (Input::Query(&[SNAPSHOT]), &good, None),
            (Input::Query(&[SNAPSHOT]), &twice, Some("snapshot is there twice")),
            (
                Input::Query(&[SNAPSHOT]),
                &more,
                Some("in its query this address takes snapshot"),
            ),
            (
                Input::Query(&[SNAPSHOT]),
                "snapshot=AB",
                Some("snapshot takes 64 lower-case hexadecimal digits"),
            ),
            (
                Input::Query(&[SNAPSHOT]),
                "",
                Some("snapshot is missing: the id of a snapshot"),
            ),
        ] {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = input.check_query(pairs).err();
            assert_eq!(found.as_deref(), expected, "{query}");
        }
    }
}
