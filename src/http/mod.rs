//! Requests and answers of the platform itself.

pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod call;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod incoming;
pub(crate) mod nonce;
pub(crate) mod pages;
pub(crate) mod rate_limiter;
pub(crate) mod reply;
pub(crate) mod sites;
