//! The one place that reads the clock. In workerd it stands still between two I/O operations.

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    worker::Date::now().as_millis()
}

/// Seconds since 1970, as tokens count them.
pub(crate) fn now_seconds() -> u64 {
    now_ms() / 1_000
}
