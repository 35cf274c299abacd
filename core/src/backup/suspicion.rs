//! What a snapshot has lost against the one before, and whether that is the owner's doing.
//!
//! Nobody but the owner decides what a home holds: what is gone is told, with the snapshot that has it. By itself only
//! what the platform knows better than they do makes a snapshot *suspicious*, so that a restore of `latest` passes it
//! over until somebody decides: the gateway's own databases are missing or fail their check, or next to nothing is left
//! and nothing was seen to be deleted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::wire::control::Named;

/// Where the gateway has a directory for each agent, below its home.
pub const AGENTS: &str = ".openclaw/agents";

/// A loss of fewer bytes of disk is not told: half of a small home is what cleaning up once gives back.
pub const SMALLEST_LOSS: u64 = 8 * 1024 * 1024;
/// A home of which no more than one part in so many is left is next to empty: whoever cleans up keeps more.
pub const NEARLY_EMPTY_PART: u64 = 20;
/// One of fewer files is too small for parts of it to say anything: it has to be empty.
pub const SMALLEST_HOME: u64 = 100;
/// The gateway's state, below its home.
const STATE_DATABASE: &str = ".openclaw/state/openclaw.sqlite";
/// Around the name of an agent: its database.
const AGENT_DATABASE: (&str, &str) = (".openclaw/agents/", "/agent/openclaw-agent.sqlite");
/// In the name of a database that the gateway fills beside the real one and then puts in its place, or throws away.
const SHADOW: &str = ".sqlite.memory-reindex-";

/// What is compared of two snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Files, directories not counted.
    pub files: u64,
    /// Bytes they take on the disk: what has holes is as large as it is filled.
    pub disk_bytes: u64,
    /// The databases that are sound, or were stored unchecked because nobody let them be copied, by their path.
    pub databases: BTreeSet<String>,
}

/// What was seen of deletions in a home since the snapshot that another one is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deletions {
    /// Whether all of the home was watched all the time. Otherwise nobody knows what was deleted.
    pub is_complete: bool,
    /// Files and directories that were deleted or moved away.
    pub entries: u64,
    /// Whether a directory was moved out of the home, with whatever was in it.
    pub directory_moved_out: bool,
}

impl Deletions {
    /// Whether they may be why so many are missing.
    fn explain(&self, missing: u64) -> bool {
        !self.is_complete || self.directory_moved_out || self.entries >= missing
    }
}

/// What is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What, in words of a bounded length.
    pub what: String,
    /// Whether the snapshot is to be passed over for it.
    pub is_suspicious: bool,
}

/// What `now` has lost that was there `before`, if that is worth a word. `agents` are those that have a directory in the
/// home, `deletions` what was seen to be deleted in between.
pub fn loss(
    before: &Content,
    now: &Content,
    agents: &BTreeSet<String>,
    deletions: &Deletions,
) -> Option<Loss> {
    let gone = before.databases.difference(&now.databases);
    let gone: Vec<&str> = gone
        .map(String::as_str)
        .filter(|name| !name.contains(SHADOW))
        .collect();
    let is_evidence = |name: &&str| match agent_of(name) {
        // Its owner may remove an agent, with all that it has.
        Some(agent) => agents.contains(agent) || !deletions.explain(1),
        None => *name == STATE_DATABASE,
    };
    let (evident, others): (Vec<&str>, Vec<&str>) = gone.into_iter().partition(is_evidence);
    let is_emptied = is_nearly_empty(before, now);
    // Half of them: what is written meanwhile counts as well.
    let missing = before.files.saturating_sub(now.files) / 2;
    let is_suspicious = !evident.is_empty() || (is_emptied && !deletions.explain(missing.max(1)));

    let mut said: Vec<String> = Vec::new();
    if !evident.is_empty() {
        said.push(format!(
            "the gateway's own databases are gone or damaged: {}",
            named(&evident)
        ));
    }
    if !others.is_empty() {
        said.push(format!("databases are gone or damaged: {}", named(&others)));
    }
    let left = before.disk_bytes.saturating_sub(now.disk_bytes);
    if is_emptied || (left > before.disk_bytes / 2 && left >= SMALLEST_LOSS) {
        said.push(format!(
            "of {} files and {} bytes {} files and {} bytes are left",
            before.files, before.disk_bytes, now.files, now.disk_bytes
        ));
    }
    (!said.is_empty()).then(|| Loss {
        what: said.join("; "),
        is_suspicious,
    })
}

fn is_nearly_empty(before: &Content, now: &Content) -> bool {
    let is_part = |before: u64, now: u64| now.saturating_mul(NEARLY_EMPTY_PART) <= before;
    match (before.files, now.files) {
        (0, _) => false,
        (_, 0) => true,
        (SMALLEST_HOME.., _) => {
            is_part(before.files, now.files) && is_part(before.disk_bytes, now.disk_bytes)
        }
        _ => false,
    }
}

/// The agent whose database this is, by its path below the home.
pub fn agent_of(database: &str) -> Option<&str> {
    let (before, after) = AGENT_DATABASE;
    let agent = database.strip_prefix(before)?.strip_suffix(after)?;
    (!agent.contains('/')).then_some(agent)
}

/// Some of them, and how many more there are: their names are whatever their owner likes.
fn named(names: &[&str]) -> String {
    let mut all = Named::default();
    for name in names {
        all.push(name);
    }
    all.in_words()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATE: &str = STATE_DATABASE;
    const MAIN: &str = ".openclaw/agents/main/agent/openclaw-agent.sqlite";
    const LARGE: u64 = 100 * SMALLEST_LOSS;

    fn content(files: u64, disk_bytes: u64, databases: &[&str]) -> Content {
        Content {
            files,
            disk_bytes,
            databases: databases.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn agents(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// All was watched, and so many entries went.
    fn seen(entries: u64) -> Deletions {
        Deletions {
            is_complete: true,
            entries,
            directory_moved_out: false,
        }
    }

    /// Whether there is a word about it, and whether it is suspicious.
    fn judged(before: &Content, now: &Content, deletions: &Deletions) -> (bool, bool) {
        let loss = loss(before, now, &agents(&["main"]), deletions);
        (loss.is_some(), loss.is_some_and(|loss| loss.is_suspicious))
    }

    #[test]
    fn every_case_gives_its_expected_result() {
        let (none, told, suspicious) = ((false, false), (true, false), (true, true));
        let shadow = ".openclaw/agents/main/agent/openclaw-agent.sqlite.memory-reindex-6f1c2a9e";
        let deep = ".openclaw/agents/a/b/agent/openclaw-agent.sqlite";
        for (case, before, now, expected) in [
            ("nothing", content(0, 0, &[]), content(0, 0, &[]), none),
            ("first", content(0, 0, &[]), content(9, LARGE, &["a"]), none),
            ("same", content(9, LARGE, &["a"]), content(9, LARGE, &["a"]), none),
            ("half", content(9, LARGE, &[]), content(8, LARGE / 2, &[]), none),
            (
                "more than half",
                content(9, LARGE, &[]),
                content(8, LARGE / 2 - 1, &[]),
                told,
            ),
            (
                "a small home",
                content(9, SMALLEST_LOSS - 1, &[]),
                content(1, 0, &[]),
                none,
            ),
            (
                "all of its bytes",
                content(9, SMALLEST_LOSS, &[]),
                content(1, 0, &[]),
                told,
            ),
            (
                "a database",
                content(9, 9, &["webapp/dev.sqlite", STATE]),
                content(8, 9, &[STATE]),
                told,
            ),
            (
                "a renamed one",
                content(9, 9, &["a"]),
                content(9, 9, &["renamed"]),
                told,
            ),
            (
                "a shadow",
                content(9, 9, &[shadow, MAIN]),
                content(8, 9, &[MAIN]),
                none,
            ),
            (
                "the state",
                content(9, 9, &[STATE, MAIN]),
                content(8, 9, &[MAIN]),
                suspicious,
            ),
            (
                "an agent",
                content(9, 9, &[STATE, MAIN]),
                content(8, 9, &[STATE]),
                suspicious,
            ),
            ("no agent", content(9, 9, &[deep]), content(8, 9, &[]), told),
            (
                "a file of that name",
                content(9, 9, &["x/openclaw.sqlite"]),
                content(8, 9, &[]),
                told,
            ),
        ] {
            assert_eq!(judged(&before, &now, &seen(0)), expected, "{case}");
            assert_eq!(
                judged(&before, &now, &Deletions::default()),
                expected,
                "{case}, unwatched"
            );
        }
    }

    #[test]
    fn a_removed_agent_is_its_owners_doing() {
        let before = content(
            9,
            9,
            &[STATE, MAIN, ".openclaw/agents/second/agent/openclaw-agent.sqlite"],
        );
        let now = content(5, 5, &[STATE, MAIN]);
        let judged = |left: &[&str], deletions: &Deletions| {
            loss(&before, &now, &agents(left), deletions)
                .unwrap()
                .is_suspicious
        };
        assert!(!judged(&["main"], &seen(4)));
        assert!(!judged(&["main"], &Deletions::default()), "nobody knows");
        assert!(judged(&["main"], &seen(0)), "nobody removed it");
        assert!(judged(&["main", "second"], &seen(4)), "only its database is gone");
    }

    #[test]
    fn an_emptied_home_is_suspicious_unless_deletions_were_seen() {
        let before = content(SMALLEST_HOME, LARGE, &[]);
        let moved = Deletions {
            directory_moved_out: true,
            ..seen(1)
        };
        for (case, now, deletions, is_suspicious) in [
            ("nobody did it", content(0, 0, &[]), seen(0), true),
            ("a gateway's temporary files", content(0, 0, &[]), seen(3), true),
            ("deleted", content(0, 0, &[]), seen(SMALLEST_HOME / 2), false),
            ("moved out", content(0, 0, &[]), moved, false),
            ("unwatched", content(0, 0, &[]), Deletions::default(), false),
            ("next to nothing", content(5, LARGE / 20, &[]), seen(0), true),
            ("somewhat more files", content(6, LARGE / 20, &[]), seen(0), false),
            (
                "somewhat more bytes",
                content(5, LARGE / 20 + 1, &[]),
                seen(0),
                false,
            ),
        ] {
            let loss = loss(&before, &now, &BTreeSet::new(), &deletions);
            assert_eq!(loss.unwrap().is_suspicious, is_suspicious, "{case}");
        }
        let small = content(SMALLEST_HOME - 1, LARGE, &[]);
        assert!(!judged(&small, &content(1, 1, &[]), &seen(0)).1);
        assert!(judged(&small, &content(0, 0, &[]), &seen(0)).1);
    }

    #[test]
    fn the_loss_names_what_is_missing() {
        let names: Vec<String> = (0..9).map(|number| format!("{number}.db")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).chain([STATE]).collect();
        let before = content(200, LARGE, &names);
        let said = loss(&before, &content(1, 1, &[]), &BTreeSet::new(), &seen(0)).unwrap();
        assert_eq!(
            said.what,
            "the gateway's own databases are gone or damaged: .openclaw/state/openclaw.sqlite; databases are gone or \
             damaged: 0.db, 1.db, 2.db, 3.db, 4.db and 4 more; of 200 files and 838860800 bytes 1 files and 1 bytes \
             are left"
        );
    }

    proptest! {
        /// Whatever an owner deletes or cuts of what is theirs, while it is watched, is kept as they left it.
        #[test]
        fn what_an_owner_deletes_is_never_suspicious(
            had in prop::collection::btree_set("[a-z]{1,3}\\.sqlite", 0..6),
            left in prop::collection::btree_set("[a-z]{1,3}\\.sqlite", 0..6),
            files in 0_u64..1_000, kept in 0_u64..1_000, disk in any::<u64>(), after in any::<u64>(),
        ) {
            let with = |mut databases: BTreeSet<String>, files, disk_bytes| {
                databases.extend([STATE.to_owned(), MAIN.to_owned()]);
                Content { files, disk_bytes, databases }
            };
            let (before, now) = (with(had, files, disk), with(left, kept, after));
            let deletions = seen(files.saturating_sub(kept).max(1));
            let loss = loss(&before, &now, &agents(&["main"]), &deletions);
            prop_assert!(loss.is_none_or(|loss| !loss.is_suspicious));
        }
    }
}
