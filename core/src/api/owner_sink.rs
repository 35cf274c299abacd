//! Where an owner is told about their own bot, as they see it. Times are milliseconds since 1970.

use serde::{Deserialize, Serialize};

use crate::alerts::sink::SinkKind;

/// What an owner can ask of their sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerSinkCall {
    /// What it is and how it does.
    Show,
    /// Sets it up, or another one in its place.
    Set,
    /// Removes it.
    Remove,
    /// Tries it now.
    Test,
}

/// One's sink, if one has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OwnerSink {
    /// What is known of it; null where there is none.
    pub sink: Option<OwnerSinkStatus>,
}

/// A sink, without what opens it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OwnerSinkStatus {
    /// What it speaks.
    pub kind: SinkKind,
    /// Its host. The rest of its address opens some of them, and is not told.
    pub host: String,
    /// When it was set up.
    pub changed_at: u64,
    /// When it last took a message.
    pub delivered_at: Option<u64>,
    /// Since when it takes none.
    pub failing_since: Option<u64>,
    /// Why it took none the last time.
    pub last_error: Option<String>,
    /// Messages that wait for it.
    pub waiting: u64,
}
