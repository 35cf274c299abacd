//! Domains of bots, as their owners and admins see them. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use crate::http::host::HostName;
use crate::identity::domain::{Certificate, DomainState};

/// A person's claim to a domain, proven or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Domain {
    /// The name that is claimed, in ASCII.
    pub host: HostName,
    /// Whether it is proven.
    pub state: DomainState,
    /// When it was claimed.
    pub added_at: u64,
    /// When it was proven.
    pub verified_at: Option<u64>,
    /// The record that proves it.
    pub proof: DnsRecord,
    /// Where the name itself has to lead.
    pub target: DnsRecord,
    /// How far its certificate is, where the platform makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(nullable = false))]
    pub certificate: Option<Certificate>,
}

/// A record to put into DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DnsRecord {
    /// `TXT` or `CNAME`.
    pub r#type: &'static str,
    /// Where the record has to be.
    pub name: String,
    /// What it has to say, without quotes.
    pub value: String,
}

/// All claims of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DomainList {
    /// By name.
    pub domains: Vec<Domain>,
}

/// Names one domain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DomainName {
    /// The name in ASCII, without scheme, port or path.
    pub host: String,
}
