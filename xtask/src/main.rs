//! The one tool a newcomer types.
fn main() {}
