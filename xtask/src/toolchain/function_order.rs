//! The order of the functions in a module. gzip sees what is alike if it lies within 32 kB, and what was made of one
//! function for many types is alike without having names that are. So each function follows those it shares most with.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;

use anyhow::{Context as _, Result, bail};

/// Bytes in a row that two functions have to share to be alike: some two instructions, and again if it is more of them.
const ROWS: [usize; 3] = [4, 8, 16];
/// By how many functions a row is shared that says something: what half of all have is close by wherever they lie.
const SHARED_BY: RangeInclusive<usize> = 2..=200;
/// What a row says that is in one function alone. One that several share says as much less: so much likelier is another of
/// them close by. Where each said the same the Worker was 6 kB larger, compressed.
const RARITY: i64 = 600;
/// How far back gzip looks, less what it spends on the function itself.
const WINDOW: usize = 30_000;
/// Added to a function's length where likeness is compared, so that the tiny ones do not all come first.
const WEIGHT: u64 = 150;

const MAGIC: usize = 8;
const CUSTOM: u8 = 0;
const IMPORTS: u8 = 2;
const CODE: u8 = 10;

/// The module with each function named by the place it should have, for wasm-opt, which puts them in the order of their
/// names.
pub(super) fn named_by_place(module: &[u8]) -> Result<Vec<u8>> {
    let (magic, mut rest) = module.split_at_checked(MAGIC).context("this is no module")?;
    let mut named = magic.to_vec();
    let mut imported = 0;
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        let whole = rest;
        let id = byte(&mut rest)?;
        let mut content = vector(&mut rest)?;
        named.extend_from_slice(whole.strip_suffix(rest).unwrap_or(whole));
        match id {
            IMPORTS => imported = imported_functions(&mut content)?,
            CODE => {
                for _ in 0..number(&mut content)? {
                    bodies.push(vector(&mut content)?);
                }
            }
            _ => {}
        }
    }
    let mut names = Vec::new();
    put_number(&mut names, bodies.len());
    let mut places: Vec<_> = order(&bodies).into_iter().zip(0..).collect();
    places.sort_unstable();
    for (function, place) in places {
        put_number(&mut names, imported + function);
        put_vector(&mut names, format!("{place:06}").as_bytes());
    }
    let mut section = Vec::new();
    put_vector(&mut section, b"name");
    section.push(1);
    put_vector(&mut section, &names);
    named.push(CUSTOM);
    put_vector(&mut named, &section);
    Ok(named)
}

/// Functions by their number, in the order in which they should lie.
fn order(bodies: &[&[u8]]) -> Vec<usize> {
    let mut users: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (function, body) in bodies.iter().enumerate() {
        for row in ROWS.into_iter().flat_map(|length| body.windows(length)) {
            let users = users.entry(row).or_default();
            if users.last() != Some(&function) {
                users.push(function);
            }
        }
    }
    let mut shared: Vec<Vec<&[usize]>> = vec![Vec::new(); bodies.len()];
    for users in users.values().filter(|users| SHARED_BY.contains(&users.len())) {
        for &user in users {
            if let Some(shared) = shared.get_mut(user) {
                shared.push(users);
            }
        }
    }
    // What each shares with what lies in the window, rows by their rarity; `None` once it has its place.
    let mut likeness = vec![Some(0_u64); bodies.len()];
    let change = |function: usize, by: i64, likeness: &mut Vec<Option<u64>>| {
        for users in shared.get(function).into_iter().flatten() {
            let rarity = RARITY / i64::try_from(users.len()).unwrap_or(RARITY);
            for &user in *users {
                if let Some(Some(sum)) = likeness.get_mut(user) {
                    *sum = sum.saturating_add_signed(by * rarity);
                }
            }
        }
    };
    let mut order = Vec::new();
    let mut window = VecDeque::new();
    let mut in_window = 0;
    while let Some((function, length)) = most_alike(bodies, &likeness) {
        order.push(function);
        if let Some(placed) = likeness.get_mut(function) {
            *placed = None;
        }
        change(function, 1, &mut likeness);
        window.push_back((function, length));
        in_window += length;
        while in_window > WINDOW {
            let Some((function, length)) = window.pop_front() else {
                break;
            };
            change(function, -1, &mut likeness);
            in_window -= length;
        }
    }
    order
}

/// The function without a place that shares most for its length, and that length; of those that share nothing the longest.
fn most_alike(bodies: &[&[u8]], likeness: &[Option<u64>]) -> Option<(usize, usize)> {
    let candidates = bodies.iter().zip(likeness).enumerate();
    let candidates =
        candidates.filter_map(|(function, (body, count))| Some((function, body.len(), (*count)?)));
    let found = candidates.max_by(|(_, length, count), (_, other_length, other_count)| {
        let weight = |length: &usize| *length as u64 + WEIGHT;
        let order = (count * weight(other_length)).cmp(&(other_count * weight(length)));
        order.then(length.cmp(other_length))
    });
    found.map(|(function, length, _)| (function, length))
}

fn imported_functions(imports: &mut &[u8]) -> Result<usize> {
    let mut functions = 0;
    for _ in 0..number(imports)? {
        let _module = vector(imports)?;
        let _name = vector(imports)?;
        match byte(imports)? {
            // A function, of a type.
            0 => {
                number(imports)?;
                functions += 1;
            }
            // A table, of a type of reference.
            1 => {
                byte(imports)?;
                limits(imports)?;
            }
            2 => limits(imports)?,
            // A global: its type, and whether it changes.
            3 => {
                byte(imports)?;
                byte(imports)?;
            }
            // An exception: its attribute, and its type.
            4 => {
                byte(imports)?;
                number(imports)?;
            }
            other => bail!("nobody knows imports of kind {other} here"),
        }
    }
    Ok(functions)
}

fn limits(bytes: &mut &[u8]) -> Result<()> {
    let has_most = byte(bytes)? & 1 == 1;
    number(bytes)?;
    if has_most {
        number(bytes)?;
    }
    Ok(())
}

fn byte(bytes: &mut &[u8]) -> Result<u8> {
    let (first, rest) = bytes.split_first().context("the module ends too early")?;
    *bytes = rest;
    Ok(*first)
}

/// LEB128, as every number in a module is written.
fn number(bytes: &mut &[u8]) -> Result<usize> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let next = byte(bytes)?;
        number |= usize::from(next & 0x7f) << shift;
        if next < 0x80 {
            return Ok(number);
        }
    }
    bail!("a number in the module is too long")
}

/// Bytes behind their length.
fn vector<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let length = number(bytes)?;
    let (vector, rest) = bytes
        .split_at_checked(length)
        .context("the module ends too early")?;
    *bytes = rest;
    Ok(vector)
}

fn put_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

fn put_vector(bytes: &mut Vec<u8>, vector: &[u8]) {
    put_number(bytes, vector.len());
    bytes.extend_from_slice(vector);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_follows_the_one_it_shares_most_with() {
        let bodies: [&[u8]; 5] = [
            b"a long function about apples and pears",
            b"another one, of which nothing is elsewhere",
            b"of apples and pears",
            b"0123456789",
            b"a 0123456789",
        ];
        assert_eq!(order(&bodies), [1, 0, 2, 4, 3]);
    }

    #[test]
    fn functions_are_named_by_their_place_behind_the_imported_ones() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        // A function and a memory are imported.
        module.extend(b"\x02\x0f\x02\x01m\x01f\x00\x00\x01m\x01g\x02\x01\x01\x02");
        module.extend(b"\x0a\x06\x02\x01a\x02bb");
        let named = named_by_place(&module).unwrap();
        assert_eq!(
            named.strip_prefix(module.as_slice()).unwrap(),
            b"\x00\x18\x04name\x01\x11\x02\x01\x06000001\x02\x06000000"
        );
    }

    #[test]
    fn imports_of_every_kind_are_counted_or_passed_over() {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let imports = [
            &b"\x01m\x01a\x00\x00"[..],
            b"\x01m\x01b\x01\x70\x01\x01\x02",
            b"\x01m\x01c\x02\x00\x01",
            b"\x01m\x01d\x03\x7f\x01",
            b"\x01m\x01e\x04\x00\x00",
            b"\x01m\x01f\x00\x00",
        ]
        .concat();
        module.extend([IMPORTS, 1 + u8::try_from(imports.len()).unwrap(), 6]);
        module.extend(imports);
        module.extend(b"\x00\x02\x01x\x0a\x03\x01\x01a");
        let named = named_by_place(&module).unwrap();
        assert_eq!(
            named.strip_prefix(module.as_slice()).unwrap(),
            b"\x00\x10\x04name\x01\x09\x01\x02\x06000000"
        );
    }

    #[test]
    fn a_number_is_read_as_it_is_written() {
        for (value, length) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 31, 5)] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, value);
            assert_eq!(bytes.len(), length, "{value}");
            assert_eq!(number(&mut bytes.as_slice()).unwrap(), value);
        }
    }

    #[test]
    fn what_lies_behind_the_window_draws_nothing_near() {
        let mut big = b"apples and pears".to_vec();
        let mut state = 1_u32;
        while big.len() <= WINDOW {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            big.push(0x80 | state.to_be_bytes()[0]);
        }
        let bodies: [&[u8]; 5] = [
            b"of apples and pears",
            &big,
            b"a long function without any of it: 0123456789",
            b"0123456789",
            b"another one, like nobody",
        ];
        assert_eq!(order(&bodies), [1, 2, 3, 4, 0]);
    }

    #[test]
    fn a_row_that_few_share_says_more() {
        let bodies: [&[u8]; 5] = [
            b"in the longest of them: abcd and 1234",
            b"abcd?!?!?!?!?!?!?!?",
            b"1234 x",
            b"1234 yy",
            b"1234 zzz",
        ];
        assert_eq!(order(&bodies).get(..2), Some(&[0, 1][..]));
    }

    #[test]
    fn a_row_counts_once_however_often_it_is_there() {
        let bodies: [&[u8]; 3] = [
            b"abcd.abcd.abcd.abcd.",
            b"1234?!?!?!?!?!?!?!?",
            b"in the longest of them are abcd, and 1234",
        ];
        assert_eq!(order(&bodies), [2, 1, 0]);
    }

    #[test]
    fn what_too_many_share_says_nothing() {
        let most = u8::try_from(*SHARED_BY.end()).unwrap();
        let bodies: Vec<_> = (0..=most)
            .map(|function| [&b"common"[..], &vec![function; usize::from(function)]].concat())
            .collect();
        let bodies: Vec<_> = bodies.iter().map(Vec::as_slice).collect();
        let longest_first: Vec<_> = (0..bodies.len()).rev().collect();
        assert_eq!(order(&bodies), longest_first);
    }

    #[test]
    fn tiny_functions_do_not_all_come_first() {
        let bodies: [&[u8]; 3] = [
            b"abcdef",
            b"123456789, and another 20 bytes",
            b"in the longest of them are abcdef and 123456789",
        ];
        assert_eq!(order(&bodies), [2, 1, 0]);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [
            &b"\0asm"[..],
            b"\0asm\x01\0\0\0\x0a\x7f",
            b"\0asm\x01\0\0\0\x0a\xff\xff\xff\xff\xff",
        ] {
            assert!(named_by_place(bytes).is_err(), "{bytes:?}");
        }
    }
}
