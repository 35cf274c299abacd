//! What is read, and what is refused.

use super::*;
use std::collections::BTreeMap;

#[test]
fn every_kind_of_value_is_read_as_it_is() {
    let text = r#"{"none":null,"yes":true,"most":18446744073709551615,"least":-9223372036854775808,"part":0.5,
        "text":"é\n\ud83e\udd80","list":[1,[],{}]}"#;
    let object = [
        ("none", Json::Null),
        ("yes", Json::Bool(true)),
        ("most", Json::Unsigned(u64::MAX)),
        ("least", Json::Signed(i64::MIN)),
        ("part", Json::Fraction),
        ("text", Json::String("é\n\u{1F980}".to_owned())),
        (
            "list",
            Json::Array(vec![Json::Unsigned(1), Json::Array(vec![]), Json::Object(vec![])]),
        ),
    ];
    let object = object.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(read::<Json>(text).unwrap(), Json::Object(object.to_vec()));
    // A value of a value is the same one.
    assert_eq!(
        read::<Option<Json>>("[7]").unwrap(),
        Some(Json::Array(vec![Json::Unsigned(7)]))
    );
    assert_eq!(read::<u64>("18446744073709551615").unwrap(), u64::MAX);
}

#[test]
fn a_whole_number_may_be_written_with_a_point() {
    for (text, value) in [
        ("155.0", Json::Unsigned(155)),
        ("1.5e1", Json::Unsigned(15)),
        ("-2.0", Json::Signed(-2)),
        ("-0.0", Json::Unsigned(0)),
        ("1e300", Json::Fraction),
        ("-1e300", Json::Fraction),
        ("0.1", Json::Fraction),
    ] {
        assert_eq!(read::<Json>(text).unwrap(), value, "{text}");
    }
}

#[test]
fn an_object_with_too_many_members_is_refused() {
    let object = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        read::<Json>(&format!("{{{}}}", members.join(",")))
    };
    assert!(object(MAX_MEMBERS).is_ok());
    assert!(object(MAX_MEMBERS + 1).is_err());
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
        assert!(read::<Json>(text).is_err(), "{text}");
    }
    assert!(from_bytes::<Json>(b"\"\xff\"").is_err());
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Record {
    id: u8,
    name: String,
    #[serde(default)]
    part: Option<u32>,
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
    Full { a: i8 },
}

#[test]
fn every_form_of_type_is_read() {
    let text = r#"{
        "id": 255, "name": "x", "part": 2, "below-zero": -7,
        "kinds": ["plain", {"plain": null}, {"wrapped": 1}, {"pair": [1, 2]}, {"named": {"a": 3, "new": []}}],
        "by-name": {"a": [-1, true]}, "by-kind": {"plain": 4}, "tagged": {"kind": "full", "a": -5}, "nothing": null
    }"#;
    let found: Record = read(text).unwrap();
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
        part: Some(2),
        below_zero: -7,
        kinds,
        by_name: BTreeMap::from([(Key("a".to_owned()), (-1, true))]),
        by_kind: BTreeMap::from([(Kind::Plain, Wrapper(4))]),
        tagged: Some(Tagged::Full { a: -5 }),
        nothing: (),
    };
    assert_eq!(found, expected);
    assert_eq!(read::<Tagged>(r#"{"kind": "empty"}"#).unwrap(), Tagged::Empty);
}

#[test]
fn whatever_has_another_form_is_refused() {
    for (text, why) in [
        (r#"[1, "x"]"#, "expected an object and found an array"),
        (r#"{"name": "x"}"#, "missing field `id`"),
        (r#"{"id": 1, "name": 5}"#, "expected a string and found a number"),
        (
            r#"{"id": "1", "name": "x"}"#,
            "expected a whole number and found a string",
        ),
        (r#"{"id": 256, "name": "x"}"#, "a value is out of range"),
        (r#"{"id": -1, "name": "x"}"#, "a value is out of range"),
        (
            r#"{"id": 1.5, "name": "x"}"#,
            "expected a whole number and found a fraction",
        ),
        (
            r#"{"id": 1, "name": "x", "nothing": 1}"#,
            "a value is of another type",
        ),
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
            "an object with one member",
        ),
        (
            r#"{"id": 1, "name": "x", "kinds": [{}]}"#,
            "an object with one member",
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
            "an array of 1 has too few items",
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
fn an_unknown_member_is_refused_where_all_have_to_be_known() {
    for (text, name) in [
        (r#"{"id": 1, "name": "x", "other": 1}"#, "other"),
        (
            r#"{"id": 1, "name": "x", "kinds": [{"named": {"a": 3, "new": []}}]}"#,
            "new",
        ),
    ] {
        assert!(read::<Record>(text).is_ok(), "{text}");
        let error = exactly::<Record>(text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("unknown field `{name}`")),
            "{text}: {error}"
        );
    }
    assert_eq!(
        exactly::<Record>(br#"{"name": "x", "id": 1}"#),
        read(r#"{"id": 1, "name": "x"}"#)
    );
}

#[test]
fn an_unknown_member_is_refused_at_every_depth() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only whether it is read counts")]
    enum Deep {
        Wrapped(Strict),
        Pair(u8, Strict),
        Named { strict: Strict },
        List(Vec<Strict>),
        ByName(BTreeMap<String, Strict>),
        Optional(Option<Newtype>),
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it is read counts")]
    struct Newtype(Strict);
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it is read counts")]
    struct Strict {
        known: u8,
    }
    for form in [
        r#"{"wrapped": STRICT}"#,
        r#"{"pair": [1, STRICT]}"#,
        r#"{"named": {"strict": STRICT}}"#,
        r#"{"list": [STRICT]}"#,
        r#"{"by-name": {"any": STRICT}}"#,
        r#"{"optional": STRICT}"#,
    ] {
        let known = form.replace("STRICT", r#"{"known": 1}"#);
        exactly::<Deep>(known.as_bytes()).unwrap();
        let more = form.replace("STRICT", r#"{"known": 1, "new": 2}"#);
        read::<Deep>(&more).unwrap();
        let error = exactly::<Deep>(more.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("unknown field `new`"), "{form}: {error}");
    }
}

#[test]
fn a_missing_member_is_named_also_behind_optional_ones() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Fields {
        may_be_there: Option<Vec<u8>>,
        #[serde(default)]
        by_default: String,
        has_to_be_there: Kind,
        #[serde(default)]
        count: u8,
    }
    let found: Fields = read(r#"{"has_to_be_there": "plain"}"#).unwrap();
    let expected = Fields {
        may_be_there: None,
        by_default: String::new(),
        has_to_be_there: Kind::Plain,
        count: 0,
    };
    assert_eq!(found, expected);
    for (text, why) in [
        ("{}", "missing field `has_to_be_there`"),
        (r#"{"count": 1}"#, "missing field `has_to_be_there`"),
        (r#"{"has_to_be_there": null}"#, "found null"),
        // What is there is not taken for missing, whatever has a default.
        (
            r#"{"has_to_be_there": "plain", "count": "many"}"#,
            "found a string",
        ),
        (
            r#"{"has_to_be_there": "plain", "by_default": null}"#,
            "found null",
        ),
    ] {
        let error = read::<Fields>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn an_error_about_a_form_quotes_no_text() {
    let error = read::<u64>(r#""a secret""#).unwrap_err().to_string();
    assert_eq!(error, "expected a whole number and found a string");
}
