//! How often a message is tried at a sink, and when it is given up.

/// How long a sink may take to answer: webhooks are asked to answer at once and work afterwards.
pub const DEADLINE_SECONDS: u32 = 10;
/// Messages that are sent in one tick: with a deadline of ten seconds each and sinks side by side, and one that fails waits.
pub const MAX_AT_ONCE: u32 = 50;
/// How long whoever took a message to send it has for that: as long as a tick's fifty may take at a slow sink. After that
/// somebody else takes it.
pub const LEASE_MS: u64 = 10 * 60_000;
/// The pause after the first failure; it doubles with each. Cron comes once a minute.
const FIRST_PAUSE_MS: u64 = 60_000;
/// The longest pause: a sink that is back hears of what is wrong within a quarter of an hour.
const MAX_PAUSE_MS: u64 = 15 * 60_000;
/// The longest pause a sink may ask for.
const MAX_RETRY_AFTER_MS: u64 = 60 * 60_000;
/// When a message is given up: after a day it is on the page, and no news.
pub const GIVEN_UP_AFTER_MS: u64 = 24 * 60 * 60_000;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The sink has it.
    Delivered,
    /// The sink will never take it.
    Refused(String),
    /// It may take it later.
    Failed {
        /// Why not now.
        reason: String,
        /// The pause the sink asks for.
        retry_after_ms: Option<u64>,
    },
}

impl DeliveryOutcome {
    /// What a sink's answer means. A redirect is not followed: it could lead anywhere.
    pub fn answered(status: u16, retry_after: Option<&str>) -> Self {
        let reason = format!("it answered {status}");
        match status {
            200..=299 => Self::Delivered,
            // It will not take this message, however often it is sent.
            400 | 410 | 413 | 422 => Self::Refused(reason),
            // A gateway before a sink that is down answers 403 or 404, and a token that is mended is let in again.
            _ => Self::Failed {
                reason,
                // A date is left alone: the usual pause is as good.
                retry_after_ms: retry_after
                    .and_then(|seconds| seconds.trim().parse::<u64>().ok())
                    .map(|seconds| seconds.saturating_mul(1_000).min(MAX_RETRY_AFTER_MS)),
            },
        }
    }

    /// Its text in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Refused(_) => "refused",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why it did not arrive.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Delivered => None,
            Self::Refused(reason) | Self::Failed { reason, .. } => Some(reason),
        }
    }

    /// When to try again after so many tries; `None` where there is nothing more to do.
    pub fn next_at(&self, created_at: u64, tries: u32, now: u64) -> Option<u64> {
        let Self::Failed { retry_after_ms, .. } = self else {
            return None;
        };
        if now.saturating_sub(created_at) >= GIVEN_UP_AFTER_MS {
            return None;
        }
        let doublings = tries.saturating_sub(1).min(10);
        let usual = (FIRST_PAUSE_MS << doublings).min(MAX_PAUSE_MS);
        Some(now.saturating_add(retry_after_ms.unwrap_or(0).max(usual)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_a_delivery_or_asks_for_another_try() {
        let failed = |retry_after_ms| Some(retry_after_ms);
        for (status, retry_after, expected) in [
            (200, None, Some(None)),
            (204, None, Some(None)),
            (400, None, None),
            (410, Some("5"), None),
            (413, None, None),
            (422, None, None),
        ] {
            let tried = DeliveryOutcome::answered(status, retry_after);
            let delivered = tried == DeliveryOutcome::Delivered;
            assert_eq!(delivered, expected == Some(None::<u64>), "{status}");
            assert_eq!(tried.next_at(0, 1, 0), None, "{status}");
        }
        for (status, retry_after, expected) in [
            (302, None, failed(FIRST_PAUSE_MS)),
            (401, None, failed(FIRST_PAUSE_MS)),
            (404, None, failed(FIRST_PAUSE_MS)),
            (408, None, failed(FIRST_PAUSE_MS)),
            (429, Some("300"), failed(300_000)),
            (429, Some("1"), failed(FIRST_PAUSE_MS)),
            (429, Some("999999999"), failed(MAX_RETRY_AFTER_MS)),
            (500, Some("Wed, 21 Oct 2026 07:28:00 GMT"), failed(FIRST_PAUSE_MS)),
            (503, None, failed(FIRST_PAUSE_MS)),
        ] {
            let tried = DeliveryOutcome::answered(status, retry_after);
            assert_eq!(tried.next_at(0, 1, 0), expected, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn a_sink_that_is_down_is_tried_for_a_day_and_at_least_each_quarter_hour() {
        let failed = DeliveryOutcome::answered(503, None);
        let (mut now, mut tries, mut pauses) = (0, 0, Vec::new());
        loop {
            tries += 1;
            let Some(next) = failed.next_at(0, tries, now) else {
                break;
            };
            pauses.push((next - now) / 60_000);
            now = next;
        }
        assert_eq!(pauses.get(..6), Some([1, 2, 4, 8, 15, 15].as_slice()));
        assert!((GIVEN_UP_AFTER_MS..GIVEN_UP_AFTER_MS + MAX_PAUSE_MS).contains(&now));
        assert!(tries < 110, "{tries}");
    }
}
