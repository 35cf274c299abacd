//! The rules of Moltworker and the types both sides of a wire share.
//!
//! Nothing here knows the Workers runtime, tokio, a clock, a random source or any I/O: time and
//! randomness come in as arguments, decisions go out as values. What is here is proven by tables and
//! properties in milliseconds; `src/` and `container/` only carry it out.

pub mod control;
pub mod id;
pub mod run;
