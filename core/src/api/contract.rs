//! The words in which an endpoint is described.

use super::document::Document;

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
    /// `POST`.
    Post,
    /// `DELETE`.
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
            Self::Delete => "DELETE",
            Self::Any => "*",
        }
    }

    /// Its name in an OpenAPI document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get | Self::GetOnly | Self::Any => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }
}

/// How something is changed: never by `GET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeMethod {
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
}

impl From<ChangeMethod> for Method {
    fn from(method: ChangeMethod) -> Self {
        match method {
            ChangeMethod::Post => Self::Post,
            ChangeMethod::Delete => Self::Delete,
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
    /// Anybody.
    Public,
    /// The owner, by an access token or by the session of this host.
    Owner,
    /// The owner, by an access token, or by a button: the session and the origin of this host.
    OwnerOrButton,
    /// The owner, by an access token only.
    OwnerByToken,
    /// An admin, by an access token only.
    Admin,
    /// A machine with a repository's token.
    RepositoryToken,
}

impl Access {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Owner => "owner",
            Self::OwnerOrButton => "owner-or-button",
            Self::OwnerByToken => "owner-by-token",
            Self::Admin => "admin",
            Self::RepositoryToken => "repository-token",
        }
    }
}

/// What is written into the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// Nothing: somebody reads what is public, or their own.
    Nothing,
    /// That somebody signs in or out; who, is known only afterwards.
    SignIn,
    /// That an admin looked at somebody's data, or was refused that.
    Look,
    /// That somebody changed something, or was refused that.
    Change,
}

impl Audit {
    /// Its name in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::SignIn => "sign-in",
            Self::Look => "look",
            Self::Change => "change",
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
    /// Not counted here: a machine asks as often as a snapshot takes.
    Machine,
}

/// What a request brings beside its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
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

/// A name in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Which values it takes.
    pub takes: Takes,
    /// What it means.
    pub meaning: &'static str,
    /// Whether it has to be there.
    pub required: bool,
}

/// The values of a [`Parameter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A whole number up to this one.
    Number(u64),
    /// Any text.
    Text,
    /// The id of a snapshot.
    SnapshotId,
    /// One of these.
    OneOf(&'static [&'static str]),
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
    /// 200 with text.
    Text,
    /// 200 with the bytes of a file.
    Bytes,
    /// A page, or a redirect, for a browser.
    Page,
    /// Whatever is behind it answers.
    Upstream,
}
