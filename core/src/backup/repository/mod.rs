//! A bot's repository of snapshots as the Worker serves it: the restic REST protocol over one bucket.
//!
//! A request is read ([`request`]), its credential is found ([`credential`]) and judged ([`token`]), what it
//! wants is allowed or not ([`scope`]), and the object it names has one place in the bucket ([`object`]).
//! The protocol: <https://restic.readthedocs.io/en/stable/100_references.html#rest-backend>.

pub mod credential;
pub mod keys;
pub mod listing;
pub mod object;
pub mod range;
pub mod request;
pub mod scope;
pub mod token;
