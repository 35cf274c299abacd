//! `docs/metrics.md`: the table of metrics for people.

use std::collections::BTreeSet;

use moltworker_core::metrics::metric::{Kind, Metric};
use moltworker_core::metrics::table::METRICS;

const HEAD: &str = "# Metrics

<!-- Written by `cargo xtask openapi` from core/src/metrics/table.rs. Do not edit. -->

What `GET /api/admin/metrics` tells. How it is scraped, what is lost of it and what it costs: [operations.md](operations.md#metrics).
Each label has the values that stand here and no others, whatever the fleet, so each platform has the same series for ever: ";

/// The whole page.
pub(super) fn text() -> String {
    let lines: usize = METRICS.iter().map(|metric| lines(metric)).sum();
    let mut page = format!("{HEAD}{lines}.\n\n| metric | type | what it says |\n|---|---|---|\n");
    for metric in METRICS {
        let labels = (0..).zip(metric.labels).map(|(place, label)| {
            let values: BTreeSet<&str> = (metric.series)()
                .iter()
                .filter_map(|series| series.get(place).copied())
                .collect();
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("<br>`{label}`: {}", values.join(", "))
        });
        let labels: String = labels.collect();
        page.push_str(&format!(
            "| `{}` | {} | {}{labels} |\n",
            metric.name,
            metric.kind.as_str(),
            metric.help
        ));
    }
    page
}

/// Series to Prometheus: each line of a page.
fn lines(metric: &Metric) -> usize {
    let each = match metric.kind {
        Kind::Counter | Kind::Gauge => 1,
        Kind::Histogram(bounds) => bounds.len() + 3,
        Kind::Summary(shares) => shares.len() + 2,
    };
    (metric.series)().len() * each
}
