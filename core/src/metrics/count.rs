//! Counts on their way into D1 and back: a series by its name in one text, and by how much it grows. Whoever counts adds, so that
//! many may at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::{Kind, Metric};

/// The last word of the series that has the sum of a histogram.
const SUM: &str = "sum";
/// The last word of the series for what is longer than every bucket.
const LONGER: &str = "inf";

/// By how much one series grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The metric's name, the values of its labels, and of a histogram the upper end of a bucket in milliseconds.
    pub series: String,
    /// By how much.
    pub by: u64,
}

/// A series, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StoredCount {
    /// Which one.
    pub series: String,
    /// How far it has come.
    pub value: u64,
}

impl Metric {
    /// One series of it, with one more word behind its labels.
    fn series_named(&self, labels: &[&str], word: Option<&str>) -> String {
        let mut name = self.name.to_owned();
        for part in labels.iter().copied().chain(word) {
            name.push(' ');
            name.push_str(part);
        }
        name
    }

    /// That a series of it grows by this.
    pub fn count(&self, labels: &[&'static str], by: u64) -> Count {
        Count {
            series: self.series_named(labels, None),
            by,
        }
    }

    /// That something took so many milliseconds: one more in its bucket, and in the sum.
    pub fn observe(&self, labels: &[&'static str], ms: u64) -> [Count; 2] {
        let bounds = match self.kind {
            Kind::Histogram(bounds) => bounds,
            _ => &[],
        };
        let bucket = bounds.iter().find(|bound| ms <= **bound);
        let word = bucket.map_or_else(|| LONGER.to_owned(), u64::to_string);
        [
            Count {
                series: self.series_named(labels, Some(&word)),
                by: 1,
            },
            Count {
                series: self.series_named(labels, Some(SUM)),
                by: ms,
            },
        ]
    }
}

/// What is stored of one series of a histogram.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    /// How many are in each bucket alone; the last one is for what is longer.
    pub buckets: Vec<u64>,
    /// What they took together, in milliseconds.
    pub sum_ms: u64,
}

/// All that was counted.
#[derive(Debug, Default)]
pub struct StoredCounts(BTreeMap<String, u64>);

impl StoredCounts {
    /// What these rows say. A series that no metric has any more is in nobody's way: it is not asked for.
    pub fn new(rows: Vec<StoredCount>) -> Self {
        Self(rows.into_iter().map(|row| (row.series, row.value)).collect())
    }

    fn of(&self, series: &str) -> u64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// How far a series has come.
    pub fn counter(&self, metric: &Metric, labels: &[&str]) -> u64 {
        self.of(&metric.series_named(labels, None))
    }

    /// What was observed. Buckets of other ends, which another version has counted, count in the next longer one.
    pub fn observations(&self, metric: &Metric, labels: &[&str], bounds: &[u64]) -> Observations {
        let mut buckets = vec![0_u64; bounds.len().saturating_add(1)];
        let mut sum_ms = 0;
        let prefix = metric.series_named(labels, Some(""));
        for (series, value) in self.0.range(prefix.clone()..) {
            let Some(word) = series.strip_prefix(&prefix) else {
                break;
            };
            if word == SUM {
                sum_ms = *value;
                continue;
            }
            let end = match word {
                LONGER => None,
                word => match word.parse::<u64>() {
                    Ok(end) => Some(end),
                    Err(_) => continue,
                },
            };
            let place = end.and_then(|end| bounds.iter().position(|bound| end <= *bound));
            if let Some(bucket) = buckets.get_mut(place.unwrap_or(bounds.len())) {
                *bucket = bucket.saturating_add(*value);
            }
        }
        Observations { buckets, sum_ms }
    }
}
