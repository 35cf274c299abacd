//! The handlers of the endpoints below `/api/`.

pub(crate) mod admin;
pub(crate) mod domains;
pub(crate) mod history;
pub(crate) mod output;
pub(crate) mod snapshots;
