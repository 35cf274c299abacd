//! What was looked at, with one of three verdicts each, and what to type where something is to be done.

use std::fmt::Write as _;

use serde::Serialize;

/// What a check came to. What could not be looked at is never taken for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    Bad,
    Unknown,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at: `setting PUBLIC_URL`, `bucket`.
    pub(crate) check: String,
    pub(crate) verdict: Verdict,
    /// What was found, or why nothing could be.
    pub(crate) reason: String,
    /// What to type or do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Check {
    pub(crate) fn ok(check: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Ok,
            reason: reason.into(),
            remedy: None,
        }
    }

    pub(crate) fn bad(
        check: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Bad,
            reason: reason.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(crate) fn unknown(check: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            check: check.into(),
            verdict: Verdict::Unknown,
            reason: reason.into(),
            remedy: None,
        }
    }

    pub(crate) fn remedied_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// All checks, in the order in which they were made.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) checks: Vec<Check>,
}

impl Report {
    /// Whether nothing is bad.
    pub(crate) fn passed(&self) -> bool {
        self.count(Verdict::Bad) == 0
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    }

    /// One line per check, its remedy below it, and a last line that sums up.
    pub(crate) fn text(&self) -> String {
        let width = self.checks.iter().map(|check| check.check.len()).max();
        let width = width.unwrap_or_default();
        let mut text = String::new();
        for check in &self.checks {
            let word = match check.verdict {
                Verdict::Ok => "ok",
                Verdict::Bad => "BAD",
                Verdict::Unknown => "unknown",
            };
            // Writing to a string cannot fail.
            writeln!(text, "{word:<8} {:<width$}  {}", check.check, check.reason).ok();
            for line in check.remedy.iter().flat_map(|remedy| remedy.lines()) {
                writeln!(text, "{:8} {:width$}  -> {line}", "", "").ok();
            }
        }
        let (ok, bad, unknown) = (
            self.count(Verdict::Ok),
            self.count(Verdict::Bad),
            self.count(Verdict::Unknown),
        );
        writeln!(text, "\n{ok} ok, {bad} bad, {unknown} unknown").ok();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_bad_fails_a_report() {
        let mut report = Report {
            checks: vec![Check::ok("a", "is there"), Check::unknown("b", "timed out")],
        };
        assert!(report.passed());
        report
            .checks
            .push(Check::bad("cron", "is missing", "type this\nand that"));
        assert!(!report.passed());
        let text = report.text();
        assert!(text.contains("unknown  b     timed out"), "{text}");
        assert!(text.contains("-> and that\n"), "{text}");
        assert!(text.ends_with("1 ok, 1 bad, 1 unknown\n"), "{text}");
    }
}
