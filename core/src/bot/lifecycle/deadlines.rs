//! The times and counts of a bot's life, each with its reason.

/// How long a start may take until the gateway answers. Measured: 45 s on half a core (`standard-1`),
/// 92 s on a quarter; allocation and image pull come on top.
pub const START_DEADLINE_MS: u64 = 180_000;
/// How long a restore may make no progress: twice what a job may be silent before its supervisor ends it and tries again.
/// How long all of it takes depends on the home, and a bot without its memory is not started for being late.
pub const RESTORE_DEADLINE_MS: u64 = 30 * 60_000;
/// Progress of a restore is written down this often.
pub const RESTORE_NOTED_MS: u64 = 60_000;
/// How long a stop may take before the container is killed. The supervisor gives the gateway 25 s to drain, what it
/// leaves running 5 s to end and the last snapshot 60 s (`crate::bot::gateway`); this is that, and the way there and
/// back.
pub const STOP_DEADLINE_MS: u64 = 100_000;
/// How long a supervisor may try to bring its gateway back before the container is replaced: two slow
/// starts and the pause between them.
pub const UNHEALTHY_DEADLINE_MS: u64 = 5 * 60_000;
/// Between two questions to an unhealthy bot: it heals in some ten seconds, or it does not.
pub const ASK_UNHEALTHY_AGAIN_MS: u64 = 10_000;
/// How soon a running bot is asked again whether it is idle when it could not say: soon enough that a bot
/// whose supervisor hung is not paid for all night, seldom enough that the question costs nothing.
pub const ASK_ACTIVITY_AGAIN_MS: u64 = 60_000;
/// Between two looks of a running bot's own alarm: how its gateway is, whether it is idle, which backup job is overdue.
/// Nobody else looks at it. A look is a request, a written row and some 50 ms of its object: five cents a month for
/// a bot that runs all of it, which then costs some thirty dollars.
pub const PROBE_AGAIN_MS: u64 = 60_000;

/// How long a bot that has spent its limit may say that it is busy, or has something to save, before it is put to sleep all the
/// same. A turn of an agent takes minutes, and so does a bucket that is away for a moment; at some $0.07 an hour it costs a cent.
pub const SPENT_GRACE_MS: u64 = 10 * 60_000;

/// The pause after the first failed start. Doubles with each further failure.
pub const FIRST_BACKOFF_MS: u64 = 2_000;
/// The longest pause between two starts: short enough that a caller's patience outlives it.
pub const MAX_BACKOFF_MS: u64 = 60_000;
/// A run that answered for so long was no failure, however it ended. Longer than the five minutes within
/// which the gateway itself counts unclean boots.
pub const STABLE_AFTER_MS: u64 = 10 * 60_000;
/// Failures without a stable run in between after which starting again is pointless: with the pauses above,
/// half a minute and five cold starts have gone by.
pub const CRASH_LOOP_AFTER: u32 = 5;
/// How long a bot rests after that. Then one request may try once more: the cause may have been outside.
pub const CRASH_LOOP_REST_MS: u64 = 10 * 60_000;
/// Failures in a row up to which a bot that nobody has to ask for (pinned, or with work of its own) is started again
/// by itself: with the pauses above a quarter of an hour, longer than the platform usually has no machine to give.
pub const SELF_STARTS: u32 = 20;

/// The pause after `failures` earlier failures: doubling, with up to a quarter taken off by `jitter`, which
/// spreads many bots that failed together.
pub(super) fn backoff_ms(failures: u32, jitter: f64) -> u64 {
    let doubled = FIRST_BACKOFF_MS.saturating_mul(1u64.checked_shl(failures).unwrap_or(u64::MAX));
    let full = doubled.min(MAX_BACKOFF_MS);
    let quarter = full / 4;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "0 ≤ jitter ≤ 1 and quarter ≤ 15,000"
    )]
    let off = (quarter as f64 * jitter.clamp(0.0, 1.0)) as u64;
    full - off
}
