//! The text that Prometheus reads: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::Write as _;

use super::count::Observations;
use super::metric::{Kind, Metric};

/// What the text is, for a `Content-Type` header.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A number, in the unit in which it was measured; it is written in Prometheus' base units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// As it is.
    Whole(u64),
    /// Milliseconds, written as seconds.
    Milliseconds(u64),
}

impl Value {
    fn write(self, text: &mut String) {
        let _infallible = match self {
            Self::Whole(number) => write!(text, "{number}"),
            Self::Milliseconds(ms) => {
                let (seconds, left) = (ms / 1_000, ms % 1_000);
                match left {
                    0 => write!(text, "{seconds}"),
                    _ => {
                        let part = format!("{left:03}");
                        write!(text, "{seconds}.{}", part.trim_end_matches('0'))
                    }
                }
            }
        };
    }
}

/// A page of metrics that is being written.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// The lines that begin a metric: once for each, before its series.
    pub fn begin(&mut self, metric: &Metric) {
        self.0.push_str("# HELP ");
        self.0.push_str(metric.name);
        self.0.push(' ');
        escape(metric.help, false, &mut self.0);
        self.0.push_str("\n# TYPE ");
        self.0.push_str(metric.name);
        self.0.push(' ');
        self.0.push_str(metric.kind.as_str());
        self.0.push('\n');
    }

    /// A series of a counter or a gauge.
    pub fn sample(&mut self, metric: &Metric, labels: &[&str], value: Value) {
        self.line(metric, "", labels, None, value);
    }

    /// A series of a histogram: its buckets, each with all that are shorter, their sum, and how many.
    pub fn histogram(&mut self, metric: &Metric, labels: &[&str], observed: &Observations) {
        let bounds = match metric.kind {
            Kind::Histogram(bounds) => bounds,
            _ => &[],
        };
        let mut ends = bounds.iter().map(|bound| {
            let mut end = String::new();
            Value::Milliseconds(*bound).write(&mut end);
            end
        });
        let mut so_far = 0_u64;
        for bucket in &observed.buckets {
            so_far = so_far.saturating_add(*bucket);
            let end = ends.next().unwrap_or_else(|| "+Inf".to_owned());
            self.line(
                metric,
                "_bucket",
                labels,
                Some(("le", &end)),
                Value::Whole(so_far),
            );
        }
        self.line(metric, "_sum", labels, None, Value::Milliseconds(observed.sum_ms));
        self.line(metric, "_count", labels, None, Value::Whole(so_far));
    }

    /// A summary of these values, in milliseconds and in any order.
    pub fn summary(&mut self, metric: &Metric, labels: &[&str], mut values: Vec<u64>) {
        let Kind::Summary(shares) = metric.kind else {
            return;
        };
        values.sort_unstable();
        for (thousandths, written) in shares {
            if let Some(value) = quantile(&values, *thousandths) {
                self.line(
                    metric,
                    "",
                    labels,
                    Some(("quantile", written)),
                    Value::Milliseconds(value),
                );
            }
        }
        let sum = values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
        let count = u64::try_from(values.len()).unwrap_or(u64::MAX);
        self.line(metric, "_sum", labels, None, Value::Milliseconds(sum));
        self.line(metric, "_count", labels, None, Value::Whole(count));
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.0
    }

    fn line(
        &mut self,
        metric: &Metric,
        suffix: &str,
        labels: &[&str],
        more: Option<(&str, &str)>,
        value: Value,
    ) {
        self.0.push_str(metric.name);
        self.0.push_str(suffix);
        let named = metric.labels.iter().copied().zip(labels.iter().copied());
        let mut before = '{';
        for (name, value) in named.chain(more) {
            self.0.push(before);
            self.0.push_str(name);
            self.0.push_str("=\"");
            escape(value, true, &mut self.0);
            self.0.push('"');
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
        self.0.push(' ');
        value.write(&mut self.0);
        self.0.push('\n');
    }
}

/// The smallest of the sorted values that this many thousandths of them do not exceed.
fn quantile(sorted: &[u64], thousandths: u64) -> Option<u64> {
    let count = u64::try_from(sorted.len()).ok()?;
    let rank = count.saturating_mul(thousandths).div_ceil(1_000).max(1);
    sorted.get(usize::try_from(rank).ok()?.checked_sub(1)?).copied()
}

/// As the format wants it: whatever it is, it stays within its line, and a label's value within its quotes.
fn escape(words: &str, quoted: bool, text: &mut String) {
    for character in words.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quoted => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}
