//! Which of the operator's keys opens the bot's repository: a run is given all of them, and whoever opens it with an older one
//! has the newest open it from then on.

use serde::{Deserialize, Serialize};

use super::BackupState;
use crate::wire::run::Run;

/// What is known of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KeyState {
    /// The newest key that opens it, by its version.
    opens: Option<u32>,
    /// The newest that the last run was given.
    given: Option<(Run, u32)>,
}

impl KeyState {
    /// The home of this run is confirmed: so it has opened the repository, or is about to make it.
    pub(super) fn restored(&mut self, run: Run) {
        if let Some((_, version)) = self.given.filter(|(given_to, _)| *given_to == run) {
            self.opens = Some(version);
        }
    }
}

impl BackupState {
    /// `run` is given keys of which this is the newest.
    pub fn give_key(&mut self, run: Run, version: u32) {
        self.key.given = Some((run, version));
    }

    /// The version of the newest key that is known to open the repository.
    pub fn backup_key(&self) -> Option<u32> {
        self.key.opens
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{R1, R2, at_rest, observe_backup, report};
    use super::*;
    use crate::wire::control::BackupStatus;

    #[test]
    fn a_key_opens_a_repository_once_a_run_that_has_it_is_restored() {
        let mut backup_state = BackupState::default();
        backup_state.give_key(R1, 1);
        observe_backup(&mut backup_state, 1, R1, BackupStatus::default());
        assert_eq!(backup_state.backup_key(), None, "it is not opened yet");
        observe_backup(&mut backup_state, 2, R1, at_rest());
        assert_eq!(backup_state.backup_key(), Some(1));
        // A key was added: the next run has it, and this one does not.
        backup_state.give_key(R2, 2);
        let mut backup = at_rest();
        backup.restored = Some(report(None, 20));
        observe_backup(&mut backup_state, 3, R1, backup.clone());
        assert_eq!(backup_state.backup_key(), Some(1));
        observe_backup(&mut backup_state, 4, R2, backup);
        assert_eq!(backup_state.backup_key(), Some(2));
        let stored = serde_json::to_string(&backup_state).unwrap();
        let read: BackupState = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, backup_state);
    }
}
