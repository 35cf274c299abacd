//! The rules of cron: what goes on the queue and who looks at it. `src/jobs` carries it out.

pub mod bulk;
pub mod limit_review;
pub mod message;
pub mod watch;
