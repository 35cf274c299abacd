//! Why a gateway ended, from what it left: its exit, its last words, and whether the kernel killed for memory.

use crate::wire::control::{EndReason, ExitReason};

/// How the gateway says that its config or its state does not allow it to start (`EX_CONFIG`).
const REFUSES: i32 = 78;
/// V8 aborts when its heap is full: SIGABRT, or 128 more where a shell stands between.
const ABORTED: [ExitReason; 2] = [ExitReason::Signal(6), ExitReason::Code(134)];
const KILLED: [ExitReason; 2] = [ExitReason::Signal(9), ExitReason::Code(137)];
const HEAP: &str = "JavaScript heap out of memory";
const PORT: [&str; 2] = ["EADDRINUSE", "is already listening on"];
/// The gateway refuses a state directory that another process works in with the same code as a bad config.
const LOCKED: [&str; 2] = [
    "already owns this state directory",
    "another OpenClaw process owns",
];
/// Where the gateway begins to say what is wrong, the most telling first, and in how many lines: a stack that
/// follows tells people nothing.
const BEGINNINGS: [(&str, usize); 4] = [
    ("failed to start: ", 4),
    ("Missing config.", 4),
    ("FATAL ERROR: ", 1),
    ("Error: ", 1),
];
/// Advice that follows what is wrong; it is for people with a terminal.
const ADVICE: [&str; 3] = ["Run ", "If ", "-"];
/// A message is shown in one place with other things.
const MAX_CHARACTERS: usize = 400;
/// An unbroken word this long that has digits in it may be a key.
const LONG_WORD: usize = 24;

/// What an ended gateway left.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// How the operating system saw its end.
    pub exit: &'a ExitReason,
    /// Whether the kernel has killed something in the container for want of memory since it was started.
    pub oom_kill: bool,
    /// The last lines it said.
    pub last_output: &'a str,
}

/// The reason, and the gateway's own words for it where it said some.
pub fn judge(evidence: Evidence<'_>) -> (EndReason, Option<String>) {
    let Evidence {
        exit,
        oom_kill,
        last_output,
    } = evidence;
    let said = |words: &[&str]| words.iter().any(|words| last_output.contains(words));
    let reason = match exit {
        ExitReason::Code(0) => return (EndReason::CleanExit, None),
        exit if KILLED.contains(exit) && oom_kill => return (EndReason::OutOfMemory, None),
        // Whoever is killed has no last words: what it said before was about something else.
        exit if KILLED.contains(exit) => return (EndReason::Crash, None),
        exit if ABORTED.contains(exit) && said(&[HEAP]) => EndReason::HeapExhausted,
        ExitReason::Code(REFUSES) if said(&LOCKED) => EndReason::StateLocked,
        ExitReason::Code(REFUSES) => EndReason::ConfigRejected,
        ExitReason::Code(_) if said(&PORT) => EndReason::PortTaken,
        ExitReason::Code(_) | ExitReason::Signal(_) => EndReason::Crash,
        ExitReason::NotSpawned(_) => EndReason::NotSpawned,
    };
    (reason, message(last_output))
}

/// What is wrong, out of everything that was said.
fn message(last_output: &str) -> Option<String> {
    let lines: Vec<&str> = last_output.lines().map(without_time).collect();
    let (first, most) = BEGINNINGS.iter().find_map(|(beginning, most)| {
        let first = lines.iter().rposition(|line| line.contains(beginning))?;
        Some((first, *most))
    })?;
    let told = lines
        .iter()
        .skip(first)
        .take_while(|line| !ADVICE.iter().any(|advice| line.starts_with(advice)))
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .take(most);
    let text = told.map(without_keys).collect::<Vec<_>>().join(" ");
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(MAX_CHARACTERS).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    Some(short)
}

/// A line without the time it begins with.
fn without_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((time, rest)) if time.len() >= 20 && time.contains('T') && time.starts_with("20") => rest,
        _ => line,
    }
}

/// A line without what may be a key. The owner's own keys are not known here, so this goes by their looks.
fn without_keys(line: &str) -> String {
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    line.split_inclusive(|character| !is_part(character))
        .map(|piece| {
            let word = piece.trim_end_matches(|character| !is_part(character));
            let is_key = word.len() >= LONG_WORD && word.bytes().any(|byte| byte.is_ascii_digit());
            if is_key {
                piece.replace(word, "[hidden]")
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the gateway (2026.9.6) was seen to say it.
    const REJECTED: &str = "\
2026-11-22T22:14:12.000+00:00 [gateway] spawn broker ready pid=22
2026-11-22T22:14:13.368+00:00 Gateway failed to start: Invalid config at /data/moltbot/.openclaw/openclaw.json:
<root>: Unrecognized key: \"foo\"
Run \"openclaw doctor --fix\" to repair, then retry.
2026-11-22T22:14:13.372+00:00 Run \"openclaw doctor --fix\" to repair the config, then retry.
";
    const PORT_TAKEN: &str = "\
2026-11-22T22:14:39.536+00:00 Gateway failed to start: another gateway instance is already listening on ws://127.0.0.1:18790 | listen EADDRINUSE: address already in use 127.0.0.1:18790 | EADDRINUSE
If the gateway is supervised, stop it with: openclaw gateway stop
2026-11-22T22:14:39.612+00:00 Port 18790 is already in use.
";
    const HEAP_FULL: &str = "\
<--- Last few GCs --->
FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory
----- Native stack trace -----
";
    const LOCKED: &str = "Gateway failed to start: Another gateway (pid 7) already owns this state directory";

    #[test]
    fn every_exit_is_classified() {
        use ExitReason::{Code, NotSpawned, Signal};
        for (exit, oom_kill, last_output, reason) in [
            (Code(0), false, HEAP_FULL, EndReason::CleanExit),
            (Signal(9), true, "", EndReason::OutOfMemory),
            (Code(137), true, "", EndReason::OutOfMemory),
            // Killed, but not for memory; and ended by itself while a tool of it was killed for memory.
            (Signal(9), false, "", EndReason::Crash),
            (Code(1), true, "", EndReason::Crash),
            (Signal(6), false, HEAP_FULL, EndReason::HeapExhausted),
            (Code(134), true, HEAP_FULL, EndReason::HeapExhausted),
            (Signal(6), false, "", EndReason::Crash),
            (Code(1), false, HEAP_FULL, EndReason::Crash),
            (Code(78), false, REJECTED, EndReason::ConfigRejected),
            (Code(78), false, "", EndReason::ConfigRejected),
            (Code(78), false, LOCKED, EndReason::StateLocked),
            (Code(1), false, PORT_TAKEN, EndReason::PortTaken),
            (Code(1), false, "", EndReason::Crash),
            (Signal(15), false, "", EndReason::Crash),
            (NotSpawned("x".into()), false, "", EndReason::NotSpawned),
        ] {
            let evidence = Evidence {
                exit: &exit,
                oom_kill,
                last_output,
            };
            assert_eq!(judge(evidence).0, reason, "{exit:?} {oom_kill} {last_output}");
        }
    }

    #[test]
    fn the_gateways_error_message_is_extracted() {
        for (said, words) in [
            (
                REJECTED,
                "Gateway failed to start: Invalid config at /data/moltbot/.openclaw/openclaw.json: <root>: Unrecognized key: \"foo\"",
            ),
            (
                HEAP_FULL,
                "FATAL ERROR: Ineffective mark-compacts near heap limit Allocation failed - JavaScript heap out of memory",
            ),
            ("Error: one\nError: two\n  at a.js:1", "Error: two"),
        ] {
            assert_eq!(message(said).as_deref(), Some(words));
        }
        assert!(message(PORT_TAKEN).unwrap().ends_with("| EADDRINUSE"));
        assert_eq!(message("nothing of note\n"), None);
        let killed = Evidence {
            exit: &ExitReason::Signal(9),
            oom_kill: false,
            last_output: "Error: of a while ago",
        };
        assert_eq!(judge(killed), (EndReason::Crash, None));
    }

    #[test]
    fn the_error_message_is_truncated_and_hides_keys() {
        let said = format!("Error: sk-{}, or \"{}\"", "a1".repeat(20), "Zz9_".repeat(10));
        assert_eq!(
            message(&said).as_deref(),
            Some("Error: [hidden], or \"[hidden]\"")
        );
        let kept = "Error: agents.defaults.heartbeat.everyOtherMomentOfTheDay";
        assert_eq!(message(kept).as_deref(), Some(kept));
        let long = message(&format!("Error: {}", "ä ".repeat(4_000))).unwrap();
        assert_eq!(long.chars().count(), MAX_CHARACTERS + 1);
    }
}
