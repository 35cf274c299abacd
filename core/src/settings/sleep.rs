//! How long a bot may be idle.

/// Idle time after which a bot sleeps when the operator says nothing. A conversation's pauses are shorter, and
/// provisioned memory is the dominant cost of a bot that is awake.
pub(super) const DEFAULT_SLEEP_AFTER_MS: u64 = 15 * 60 * 1_000;
/// The shortest idle time that makes sense: a start takes 15 to 45 s.
const MIN_SLEEP_AFTER_MS: u64 = 30 * 1_000;

/// `90s`, `15m`, `2h` or `never`, in milliseconds; `None` for never.
pub(super) fn idle_time(text: &str) -> Result<Option<u64>, &'static str> {
    const FORM: &str = "is not of the form 90s, 15m, 2h or never";
    if text == "never" {
        return Ok(None);
    }
    let (number, unit_ms) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "s")) => (number, 1_000),
        Some((number, "m")) => (number, 60_000),
        Some((number, "h")) => (number, 3_600_000),
        _ => return Err(FORM),
    };
    let ms = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_ms))
        .ok_or(FORM)?;
    if ms < MIN_SLEEP_AFTER_MS {
        return Err("is shorter than 30 seconds, which is less than a bot takes to start");
    }
    Ok(Some(ms))
}
