//! What a metric is: its name, its type, and every series it can have.

/// What a metric is to Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; after a database was put back, or made anew, it begins lower.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many took how long, by the upper ends of its buckets in milliseconds.
    Histogram(&'static [u64]),
    /// What so many of the fleet stay below at this moment.
    Summary(&'static [(u64, &'static str)]),
}

impl Kind {
    /// Its word in a `TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
            Self::Summary(_) => "summary",
        }
    }
}

/// The values of a series' labels, in the order of the metric's.
pub type Labels = Vec<&'static str>;

/// What a scrape shows, and what it is called there.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// As Prometheus calls it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Every series it can have: as many as there are here, on every platform and for ever.
    pub series: fn() -> Vec<Labels>,
}
