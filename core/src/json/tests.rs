//! What is read, and what is refused.

use super::*;
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn every_kind_of_value_is_read_as_it_is() {
    let value = json!({
        "none": null, "yes": true, "most": u64::MAX, "least": i64::MIN, "part": 0.5, "text": "é\n\u{1F980}",
        "list": [1, [], {}], "object": { "a": { "a": 1 } },
    });
    assert_eq!(read::<Value>(&value.to_string()).unwrap(), value);
    assert_eq!(read::<u64>("18446744073709551615").unwrap(), u64::MAX);
}

#[test]
fn what_is_ambiguous_or_not_json_is_refused() {
    for text in [
        "",
        "{",
        "nul",
        "1 2",
        "{\"a\":1}x",
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[{"b":{"a":1,"a":2}}]"#,
        &"[".repeat(1_000),
    ] {
        assert!(read::<Value>(text).is_err(), "{text}");
    }
    assert!(from_bytes::<Value>(b"\"\xff\"").is_err());
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Record {
    id: u8,
    name: String,
    #[serde(default)]
    part: Option<f64>,
    #[serde(default)]
    below_zero: i16,
    #[serde(default)]
    kinds: Vec<Kind>,
    #[serde(default)]
    by_name: BTreeMap<Key, (i16, bool)>,
    #[serde(default)]
    by_kind: BTreeMap<Kind, Wrapper>,
    #[serde(default)]
    tagged: Option<Tagged>,
    #[serde(default)]
    nothing: (),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Plain,
    Wrapped(u32),
    Pair(u32, u32),
    Named { a: Wrapper },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Key(String);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Wrapper(u64);

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum Tagged {
    Empty,
    Full { a: f64 },
}

#[test]
fn every_form_of_type_is_read() {
    let text = r#"{
        "id": 255, "name": "x", "part": 2, "below-zero": -7,
        "kinds": ["plain", {"plain": null}, {"wrapped": 1}, {"pair": [1, 2]}, {"named": {"a": 3, "new": []}}],
        "by-name": {"a": [-1, true]}, "by-kind": {"plain": 4}, "tagged": {"kind": "full", "a": 0.5}, "nothing": null
    }"#;
    let read: Record = read(text).unwrap();
    let kinds = vec![
        Kind::Plain,
        Kind::Plain,
        Kind::Wrapped(1),
        Kind::Pair(1, 2),
        Kind::Named { a: Wrapper(3) },
    ];
    let expected = Record {
        id: 255,
        name: "x".to_owned(),
        part: Some(2.0),
        below_zero: -7,
        kinds,
        by_name: BTreeMap::from([(Key("a".to_owned()), (-1, true))]),
        by_kind: BTreeMap::from([(Kind::Plain, Wrapper(4))]),
        tagged: Some(Tagged::Full { a: 0.5 }),
        nothing: (),
    };
    assert_eq!(read, expected);
    assert_eq!(
        of_value::<Tagged>(&json!({ "kind": "empty" })).unwrap(),
        Tagged::Empty
    );
}

#[test]
fn whatever_has_another_form_is_refused() {
    for (text, why) in [
        (r#"[1, "x"]"#, "expected an object and found an array"),
        (r#"{"name": "x"}"#, "missing field `id`"),
        (r#"{"id": 1, "name": 5}"#, "expected a string and found a number"),
        (
            r#"{"id": "1", "name": "x"}"#,
            "expected a number and found a string",
        ),
        (r#"{"id": 256, "name": "x"}"#, "invalid value: integer `256`"),
        (r#"{"id": -1, "name": "x"}"#, "invalid value: integer `-1`"),
        (
            r#"{"id": 1.5, "name": "x"}"#,
            "invalid type: floating point `1.5`",
        ),
        (r#"{"id": 1, "name": "x", "other": 1}"#, "unknown field `other`"),
        (r#"{"id": 1, "name": "x", "nothing": 1}"#, "expected unit"),
        (
            r#"{"id": 1, "name": "x", "kinds": {}}"#,
            "expected an array and found an object",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": ["odd"]}"#,
            "unknown variant `odd`",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [7]}"#,
            "or an object with one member",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [{}]}"#,
            "or an object with one member",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [{"plain": 1}]}"#,
            "expected nothing",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": ["wrapped"]}"#,
            "without its content",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [{"pair": [1]}]}"#,
            "invalid length 1",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [{"pair": [1, 2, 3]}]}"#,
            "1 items too many",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [{"named": [3]}]}"#,
            "expected an object",
        ),
        (
            r#"{"id": 1, "name": "x", "by-name": {"a": [1, 0]}}"#,
            "expected a boolean",
        ),
        (
            r#"{"id": 1, "name": "x", "by-kind": {"wrapped": 1}}"#,
            "without its content",
        ),
    ] {
        let error = read::<Record>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn an_error_about_a_form_quotes_no_text() {
    let error = read::<u64>(r#""a secret""#).unwrap_err().to_string();
    assert_eq!(error, "expected a number and found a string");
}
