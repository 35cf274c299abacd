//! PID 1 of a bot's container.
fn main() {}
