//! What bots cost: counted in [`meter`], priced by the one table in [`prices`], foretold in [`forecast`], held against a limit
//! in [`limit`].
//!
//! Pure. Times are milliseconds since 1970, days and months those of UTC, money is counted in picodollars (10⁻¹² dollars) and
//! told in microdollars.

pub mod account;
pub mod calendar;
pub mod forecast;
pub mod limit;
pub mod meter;
pub mod money;
pub mod prices;
pub mod usage;
