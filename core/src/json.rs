//! The one way JSON is read. A text becomes a [`Json`] first and is taken apart from there: read straight from the text,
//! each type would be a reader of JSON of its own in the Worker.

mod reader;

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use reader::Reader;

/// What a text says.
///
/// # Errors
/// It is not JSON, it is not of that form, or an object in it has a member twice.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    from_bytes(text.as_bytes())
}

/// What the bytes of a text say.
///
/// # Errors
/// As [`read`].
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    of_value(&parse(bytes)?)
}

/// What a value says that is part of another one.
///
/// # Errors
/// It is not of that form.
pub fn of_value<T: DeserializeOwned>(value: &Json) -> Result<T, Error> {
    T::deserialize(Reader { value, exact: false })
}

/// What the bytes of a text say to somebody who has to know all of it: no object of a struct has members that are none of
/// its fields. In what is read otherwise they are left alone, whatever the type's attributes say.
///
/// # Errors
/// As [`read`], or there is such a member.
pub fn exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    T::deserialize(Reader {
        value: &parse(bytes)?,
        exact: true,
    })
}

/// The text of an object whose members are strings.
pub fn object(members: &[(&str, &str)]) -> String {
    let mut text = String::from("{");
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        push_string(&mut text, name);
        text.push(':');
        push_string(&mut text, value);
    }
    text.push('}');
    text
}

fn push_string(text: &mut String, value: &str) {
    // Only a value that has no text is refused.
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// The value of a text. Not generic: this is the reader that is there once.
///
/// # Errors
/// It is not JSON, or an object in it has a member twice.
pub fn parse(bytes: &[u8]) -> Result<Json, Error> {
    serde_json::from_slice(bytes).map_err(Error::custom)
}

/// Why a text was not read. Names of members and variants are quoted, texts are not: they may be secrets, and errors are
/// logged.
///
/// One pointer: every reader of every type passes it on, and each word of it would be code in all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Error(Box<Words>);

#[derive(Debug, PartialEq, Eq)]
struct Words(String);

impl Error {
    #[cold]
    #[inline(never)]
    fn of(words: String) -> Self {
        Self(Box::new(Words(words)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(words: T) -> Self {
        Self::of(words.to_string())
    }

    // What serde says by itself of these brings with it, for each type, what the type expects, and how floats are written.
    #[cold]
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::of("a value is of another type".to_owned())
    }

    #[cold]
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::of("a value is out of range".to_owned())
    }

    #[cold]
    fn invalid_length(length: usize, _: &dyn de::Expected) -> Self {
        Self::of(format!("an array of {length} has too few items"))
    }
}

/// A JSON value. No object in it has a member twice: of two, readers do not agree which one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// What stands for nothing: `null`.
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A whole number from zero on, also one that is written as `7.0`.
    Unsigned(u64),
    /// A whole number below zero.
    Signed(i64),
    /// Any other number. No type of ours has one, so its value is not kept.
    Fraction,
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// The members of an object, in their order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// What an object has under this name.
    pub fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        let found = members.iter().find(|(member, _)| member == name);
        found.map(|(_, value)| value)
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an array.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }
}

/// Members an object may have. Ours have a few dozen at most. Each is compared with each, which is the least code.
const MAX_MEMBERS: usize = 1_000;

/// Up to here a floating-point number counts in steps of one.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(u64::try_from(number).map_or(Json::Signed(number), Json::Unsigned))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and within what such a number counts exactly"
    )]
    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        if number.fract() != 0.0 || number.abs() > MAX_EXACT {
            return Ok(Json::Fraction);
        }
        Ok(if number < 0.0 {
            Json::Signed(number as i64)
        } else {
            Json::Unsigned(number as u64)
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members: Vec<(String, Json)> = Vec::new();
        while let Some((name, value)) = object.next_entry::<String, _>()? {
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom("an object has too many members"));
            }
            if members.iter().any(|(other, _)| *other == name) {
                return Err(A::Error::custom("a member is there twice"));
            }
            members.push((name, value));
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests;
