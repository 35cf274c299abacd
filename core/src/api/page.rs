//! Lists in pages.

/// Entries on a page: as many as somebody looks through, 100 KB at most (snapshots with all that is known of each).
pub const PAGE: u32 = 100;
/// Rows a page is made from: one more than it has says that others follow.
pub const PAGE_ROWS: u32 = PAGE + 1;

/// The page at the beginning of what was found, and the cursor of its last entry where others follow.
pub fn cut<T, C>(mut found: Vec<T>, cursor: impl FnOnce(&T) -> C) -> (Vec<T>, Option<C>) {
    let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let others_follow = found.len() > page;
    found.truncate(page);
    let next = found.last().filter(|_| others_follow).map(cursor);
    (found, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_cursor_only_where_others_follow() {
        for (found, shown, next) in [
            (0, 0, None),
            (1, 1, None),
            (PAGE - 1, PAGE - 1, None),
            (PAGE, PAGE, None),
            (PAGE_ROWS, PAGE, Some(PAGE)),
        ] {
            let expected: Vec<u32> = (1..=shown).collect();
            assert_eq!(
                cut((1..=found).collect(), |last| *last),
                (expected, next),
                "{found}"
            );
        }
    }
}
