//! Names of core's enums in statements. Most are bound as parameters; these are for statements whose index has a condition, which
//! SQLite finds again only where the same text stands in the statement.

/// A name as a text of SQL. Names of enums have no quote in them.
pub(crate) fn text(name: &'static str) -> String {
    format!("'{name}'")
}

/// Names as the list after `IN`.
pub(crate) fn list(names: &[&'static str]) -> String {
    let texts: Vec<_> = names.iter().map(|name| text(name)).collect();
    format!("({})", texts.join(", "))
}
