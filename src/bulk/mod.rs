//! Orders to many bots in D1: whom they concern, whose turn it is, and what became of each. What is ordered and what it can come to
//! is decided in `core::jobs::bulk`; who orders it of a bot is `jobs::order`.

mod claims;
mod orders;

pub(crate) use claims::{Claimed, Ordered, claim, close, enqueue, finish, of, settle, take};
pub(crate) use orders::{Selected, bots, create, list, one, select, stop};

/// Which bots a filter finds: the list of the fleet and an order mean the same. No LIKE: D1 takes patterns of 50 bytes, and
/// addresses are longer.
pub(crate) const FLEET_FILTER: &str = "(?1 IS NULL OR state = ?1) AND (?2 IS NULL OR health = ?2) \
    AND (?3 IS NULL OR lower(substr(email, 1, length(?3))) = lower(?3) \
    OR substr(bots.user_id, 1, length(?3)) = lower(?3))";
