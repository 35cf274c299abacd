//! How much of what a supervisor says of a home is taken: names and reasons are as long and as many as somebody likes, and
//! whoever has taken over a container says what they like. A supervisor that is one says no more than this.

use super::lacks::bounded;
use super::{BackupStatus, MAX_IDS, MaintenanceReport, RestoreReport, Snapshot};

/// So many of a snapshot's databases that are not known to be sound are named, and so many of a repository's faults; one
/// more line says how many more there are.
const MAX_LINES: usize = 20;
/// Characters of a reason that names several things.
const MAX_REASON: usize = 2_000;

fn reason(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MAX_REASON) {
        text.truncate(end);
    }
}

/// The first of these lines, and how many more there are.
pub fn lines(mut all: Vec<String>) -> Vec<String> {
    if all.len() > MAX_LINES.saturating_add(1) {
        let more = all.len().saturating_sub(MAX_LINES);
        all.truncate(MAX_LINES);
        all.push(format!("and {more} more"));
    }
    all.iter_mut().for_each(reason);
    all
}

impl Snapshot {
    /// Takes no more of it than a supervisor says.
    pub fn bound(&mut self) {
        self.raw = lines(std::mem::take(&mut self.raw));
        self.raw.iter_mut().for_each(|line| *line = bounded(line));
        self.lacks.bound();
        self.moments.bound();
        self.left_out.bound();
        self.gateway_version = self.gateway_version.as_deref().map(bounded);
        if let Some(suspicious) = &mut self.suspicious {
            reason(suspicious);
        }
        if let Some(lost) = &mut self.lost {
            reason(&mut lost.what);
        }
    }
}

impl RestoreReport {
    fn bound(&mut self) {
        self.unset.bound();
        self.bound_passed_over();
        if let Some(why) = &mut self.passed_over_for {
            reason(why);
        }
        if let Some(lost) = &mut self.lost {
            reason(&mut lost.what);
        }
    }
}

impl MaintenanceReport {
    fn bound(&mut self) {
        self.problems = lines(std::mem::take(&mut self.problems));
        self.forgotten.truncate(MAX_IDS);
        if let Some(drill) = &mut self.drill {
            // It is no start.
            drill.passed_over.clear();
            drill.passed_over_more = 0;
            drill.bound();
        }
        if let Some(why) = &mut self.not_drilled {
            reason(why);
        }
    }
}

impl BackupStatus {
    /// Takes no more of it than a supervisor says.
    pub fn bound(&mut self) {
        self.taken.iter_mut().for_each(Snapshot::bound);
        if let Some(restored) = &mut self.restored {
            restored.bound();
        }
        if let Some(maintained) = &mut self.maintained {
            maintained.bound();
        }
        if let Some(error) = &mut self.error {
            reason(&mut error.message);
        }
        if let Some(held_up) = &mut self.held_up {
            reason(&mut held_up.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody says who wants to fill a Sandbox.
    fn endless() -> BackupStatus {
        let long = "é\n".repeat(100_000);
        let many = serde_json::json!(vec![&long; 51]);
        let ids = serde_json::json!(vec!["c".repeat(64); 4_500]);
        let report = serde_json::json!({
            "snapshot": null, "restored_at": 1, "amount": {"files": 1, "bytes": 1}, "duration_ms": 1, "compared": 1, "mismatches": 0,
            "passed_over": ids, "passed_over_for": long, "lost": {"what": long, "before": "b".repeat(64)}, "unset": {"total": 90, "first": many},
        });
        let snapshot = serde_json::json!({
            "id": "a".repeat(64), "taken_at": 1, "reason": "change", "amount": {"files": 1, "bytes": 1}, "added_bytes": 1,
            "gateway_version": long, "suspicious": long, "lost": {"what": long, "before": "b".repeat(64)}, "raw": many,
            "lacks": {"total": 10_000, "first": many}, "moments": {"total": 10_000, "first": many},
            "left_out": {"files": 1, "bytes": 1, "largest": vec![serde_json::json!({"path": long, "bytes": 1}); 50]},
        });
        let status = serde_json::json!({
            "restored": report, "taken": [snapshot],
            "error": {"failed_at": 1, "doing": "snapshot", "attempts": 1, "message": long},
            "held_up": {"since_ms": 1, "message": long},
            "maintained": {
                "finished_at": 1, "duration_ms": 1, "forgotten": ids, "kept": 1, "pruned_bytes": 1, "checked_bytes": 1,
                "problems": many, "drill": report, "not_drilled": long,
            },
        });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn what_a_container_says_of_a_home_is_cut_with_its_total_beside_it() {
        let mut status = endless();
        assert!(serde_json::to_string(&status).unwrap().len() > 10_000_000);
        status.bound();
        let taken = &status.taken[0];
        assert_eq!(taken.raw.len(), MAX_LINES + 1);
        assert_eq!(taken.raw[MAX_LINES], "and 31 more");
        assert_eq!((taken.lacks.total, taken.lacks.first.len()), (10_000, 5));
        let restored = status.restored.as_ref().unwrap();
        assert_eq!(
            (restored.passed_over.len(), restored.passed_over_more),
            (MAX_IDS, 3_500)
        );
        assert_eq!(status.maintained.as_ref().unwrap().forgotten.len(), MAX_IDS);
        let bytes = serde_json::to_string(&status).unwrap().len();
        assert!(bytes < crate::wire::control::MAX_ANSWER_BYTES, "{bytes}");
        let once = status.clone();
        status.bound();
        assert_eq!(status, once, "what is short enough stays what it is");
    }
}
