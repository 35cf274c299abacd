//! The state diagrams of docs/state-machines.md, for the tests that hold them against the machines.

use std::collections::BTreeSet;

/// The arrows between two different states of a diagram, counted from the top of the page. Its beginning and its end
/// are called `[*]`.
pub(crate) fn arrows(diagram: usize) -> BTreeSet<(String, String)> {
    let page = include_str!("../../docs/state-machines.md");
    let block = page
        .split("```mermaid\nstateDiagram-v2\n")
        .nth(diagram + 1)
        .unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let arrow = |line: &str| {
        let (from, to) = line.split_once("-->")?;
        let to = to.split(':').next()?;
        Some((from.trim().to_owned(), to.trim().to_owned()))
    };
    let arrows = block.lines().filter_map(arrow);
    arrows.filter(|(from, to)| from != to && from != "[*]").collect()
}
