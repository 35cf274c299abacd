//! How a bot, and the fleet, was over time: what is asked for, and the documents.

use serde::Serialize;

use super::parameter::{Parameter, Takes, texts_of};
use crate::bot::series::{
    BotPoint, FleetPoint, HOUR_MS, HOURS_KEPT_MS, KEPT_MS, STEP_MS, downsample, step_of,
};

/// Points of one answer: a month in hours, at some 200 bytes each. No chart has more pixels.
pub const MAX_POINTS: u64 = 720;

/// A length of time with a name in a query.
macro_rules! lengths {
    ($(#[$words:meta])+ $name:ident { $($(#[$meaning:meta])+ $length:ident: $text:literal, $ms:expr;)+ }) => {
        $(#[$words])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meaning])+ $length,)+
        }

        impl $name {
            /// Every one, the shortest first.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$length),+];

            /// Its text in a query.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$length => $text,)+
                }
            }

            /// In milliseconds.
            pub const fn ms(self) -> u64 {
                match self {
                    $(Self::$length => $ms,)+
                }
            }
        }
    };
}

lengths! {
    /// How far back one looks.
    SeriesRange {
        /// An hour.
        Hour: "1h", HOUR_MS;
        /// Six hours.
        SixHours: "6h", 6 * HOUR_MS;
        /// A day.
        Day: "24h", 24 * HOUR_MS;
        /// As far as there are points of five minutes.
        TwoDays: "48h", KEPT_MS;
        /// A week.
        Week: "7d", 7 * 24 * HOUR_MS;
        /// A month.
        Month: "30d", 30 * 24 * HOUR_MS;
        /// As far as there are any.
        Quarter: "90d", HOURS_KEPT_MS;
    }
}

lengths! {
    /// What one point stands for.
    SeriesStep {
        /// As they are kept for 48 hours.
        FiveMinutes: "5m", STEP_MS;
        /// A quarter of an hour.
        QuarterHour: "15m", 3 * STEP_MS;
        /// As they are kept for 90 days.
        Hour: "1h", HOUR_MS;
        /// Six hours.
        SixHours: "6h", 6 * HOUR_MS;
        /// A day.
        Day: "1d", 24 * HOUR_MS;
    }
}

/// What a series takes in its query.
pub static SERIES_QUERY: [Parameter; 2] = [
    Parameter {
        name: "range",
        takes: Takes::OneOf(texts_of!(SeriesRange)),
        meaning: "how far back; without this 24h",
        required: false,
    },
    Parameter {
        name: "step",
        takes: Takes::OneOf(texts_of!(SeriesStep)),
        meaning: "what one point stands for; without this the shortest there is for the range. Behind 48 hours there are \
                  points of hours, up to some minutes after the last full one",
        required: false,
    },
];

/// What somebody wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesQuery {
    range: SeriesRange,
    step: SeriesStep,
}

/// A step that the range does not go with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("range={} goes with a step of {} to {}", .range.as_str(), .shortest.as_str(), .longest.as_str())]
pub struct UnfitStep {
    range: SeriesRange,
    shortest: SeriesStep,
    longest: SeriesStep,
}

impl SeriesQuery {
    /// Reads the names and values of a query that [`SERIES_QUERY`] allows.
    ///
    /// # Errors
    /// The step is none for this range.
    pub fn read<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, UnfitStep> {
        let (mut range, mut step) = (SeriesRange::Day, None);
        for (name, value) in pairs {
            match name {
                "range" => {
                    let found = SeriesRange::ALL.into_iter().find(|range| range.as_str() == value);
                    range = found.unwrap_or(range);
                }
                "step" => step = SeriesStep::ALL.into_iter().find(|step| step.as_str() == value),
                _ => {}
            }
        }
        let fitting = || SeriesStep::ALL.into_iter().filter(|step| fits(range, *step));
        // Every range has one: the test goes through them.
        let shortest = fitting().next().unwrap_or(SeriesStep::Hour);
        let longest = fitting().next_back().unwrap_or(SeriesStep::Hour);
        let step = step.unwrap_or(shortest);
        if !fits(range, step) {
            return Err(UnfitStep {
                range,
                shortest,
                longest,
            });
        }
        Ok(Self { range, step })
    }

    /// Where the points come from, and from when to when, at this time.
    pub fn window(&self, now: u64) -> Window {
        let step = self.step.ms();
        let to = step_of(now, step).saturating_add(step);
        Window {
            is_hourly: is_hourly(self.range),
            kept_step: if is_hourly(self.range) { HOUR_MS } else { STEP_MS },
            step,
            from: to.saturating_sub(self.range.ms()),
            to,
        }
    }
}

/// Whether the points of five minutes of this range are gone.
fn is_hourly(range: SeriesRange) -> bool {
    range.ms() > KEPT_MS
}

fn fits(range: SeriesRange, step: SeriesStep) -> bool {
    let is_kept = !is_hourly(range) || step.ms() >= HOUR_MS;
    is_kept && step.ms() <= range.ms() && range.ms() / step.ms() <= MAX_POINTS
}

/// Where the points of an answer come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// They are those of hours.
    pub is_hourly: bool,
    /// The step in which they are kept.
    pub kept_step: u64,
    /// The step in which they are told.
    pub step: u64,
    /// When the first of them begins.
    pub from: u64,
    /// Before this the last of them begins.
    pub to: u64,
}

impl Window {
    /// The document of a bot's points.
    pub fn bot(&self, points: &[BotPoint]) -> BotSeries {
        BotSeries {
            from: self.from,
            to: self.to,
            step_ms: self.step,
            points: downsample(points, self.step),
        }
    }

    /// The document of the fleet's points.
    pub fn fleet(&self, points: &[FleetPoint]) -> FleetSeries {
        FleetSeries {
            from: self.from,
            to: self.to,
            step_ms: self.step,
            points: downsample(points, self.step),
        }
    }
}

/// How a bot was over time. A step without a point is one in which it was not awake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct BotSeries {
    /// When the first step begins, in milliseconds since 1970.
    pub from: u64,
    /// When the last step ends: it goes on.
    pub to: u64,
    /// What one point stands for, in milliseconds.
    pub step_ms: u64,
    /// In the order of time.
    pub points: Vec<BotPoint>,
}

/// How the fleet was over time. A step without a point is one in which cron did not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FleetSeries {
    /// When the first step begins, in milliseconds since 1970.
    pub from: u64,
    /// When the last step ends: it goes on.
    pub to: u64,
    /// What one point stands for, in milliseconds.
    pub step_ms: u64,
    /// In the order of time.
    pub points: Vec<FleetPoint>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pairs: &[(&str, &str)]) -> Result<SeriesQuery, String> {
        SeriesQuery::read(pairs.iter().copied()).map_err(|unfit| unfit.to_string())
    }

    #[test]
    fn a_range_has_a_step_that_fits_and_others_are_refused() {
        for (range, shortest, longest) in [
            ("1h", "5m", "1h"),
            ("6h", "5m", "6h"),
            ("24h", "5m", "1d"),
            ("48h", "5m", "1d"),
            ("7d", "1h", "1d"),
            ("30d", "1h", "1d"),
            ("90d", "6h", "1d"),
        ] {
            let by_itself = read(&[("range", range)]).unwrap();
            assert_eq!(by_itself.step.as_str(), shortest, "{range}");
            let ms = |text: &str| {
                SeriesStep::ALL
                    .into_iter()
                    .find(|step| step.as_str() == text)
                    .unwrap()
                    .ms()
            };
            for step in SeriesStep::ALL {
                let fits = (ms(shortest)..=ms(longest)).contains(&step.ms());
                let said = format!("range={range} goes with a step of {shortest} to {longest}");
                let found = read(&[("step", step.as_str()), ("range", range)]);
                assert_eq!(found.err(), (!fits).then_some(said), "{range} {}", step.as_str());
            }
        }
        assert_eq!(read(&[]), read(&[("range", "24h"), ("step", "5m")]));
    }

    proptest! {
        /// At any time, by any clock: no window has more steps than an answer may have points.
        #[test]
        fn no_answer_has_more_points_than_it_may(now: u64, range in 0_usize..7, step in 0_usize..5) {
            let (range, step) = (SeriesRange::ALL[range], SeriesStep::ALL[step]);
            let Ok(query) = read(&[("range", range.as_str()), ("step", step.as_str())]) else {
                return Ok(());
            };
            let window = query.window(now);
            prop_assert!((window.to - window.from).div_ceil(window.step) <= MAX_POINTS);
            prop_assert!(window.from <= now && window.step >= window.kept_step);
            prop_assert_eq!(window.step % window.kept_step, 0);
        }
    }
}
