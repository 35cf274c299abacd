//! How types take a value apart. `serde_json` has such readers too, but each type that is read through those brings
//! readers for forms it does not have: an array in the place of an object, a name in bytes, what to expect in words. They
//! were a tenth of the Worker. Here whatever does not depend on the type is in functions that are there once.
//!
//! A struct is asked for its members in the order of its fields, as if it were a sequence ([`Fields`]): were it given them
//! by name, each would bring code that compares names, and keeps what it has so far.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::slice;

use super::{Error, Json};

/// A value that is taken apart. By reference: nothing has to be dropped where a type gives up half-way.
#[derive(Clone, Copy)]
pub(super) struct Reader<'v> {
    pub(super) value: &'v Json,
    /// A struct's object may have no member that is none of its fields.
    pub(super) exact: bool,
}

impl<'v> Reader<'v> {
    #[cold]
    #[inline(never)]
    fn mismatch(self, expected: &'static str) -> Error {
        let found = match self.value {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Unsigned(_) | Json::Signed(_) => "a number",
            Json::Fraction => "a fraction",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        };
        Error::custom(format_args!("expected {expected} and found {found}"))
    }

    #[inline(never)]
    fn text(self) -> Result<&'v str, Error> {
        match self.value {
            Json::String(text) => Ok(text),
            _ => Err(self.mismatch("a string")),
        }
    }

    #[inline(never)]
    fn items(self) -> Result<Items<'v>, Error> {
        match self.value {
            Json::Array(items) => Ok(Items {
                rest: items.iter(),
                exact: self.exact,
            }),
            _ => Err(self.mismatch("an array")),
        }
    }

    #[inline(never)]
    fn members(self) -> Result<Members<'v>, Error> {
        match self.value {
            Json::Object(members) => Ok(Members {
                rest: members.iter(),
                value: self,
            }),
            _ => Err(self.mismatch("an object")),
        }
    }

    #[inline(never)]
    fn fields(self, names: &'static [&'static str]) -> Result<Fields<'v>, Error> {
        let Json::Object(members) = self.value else {
            return Err(self.mismatch("an object"));
        };
        if self.exact {
            let known = |name: &str| names.contains(&name);
            if let Some((name, _)) = members.iter().find(|(name, _)| !known(name)) {
                return Err(Error::unknown_field(name, names));
            }
        }
        Ok(Fields {
            object: self,
            rest: names.iter(),
            missing: None,
        })
    }

    /// `"name"`, or `{"name": value}`.
    #[inline(never)]
    fn variant(self) -> Result<Variant<'v>, Error> {
        match self.value {
            Json::String(name) => Ok(Variant { name, content: None }),
            Json::Object(members) => match members.as_slice() {
                [(name, value)] => Ok(Variant {
                    name,
                    content: Some(Self { value, ..self }),
                }),
                _ => Err(Error::custom("expected an object with one member")),
            },
            _ => Err(self.mismatch("a string, or an object with one member")),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.value {
                Json::Unsigned(number) => visitor.visit_u64(*number),
                Json::Signed(number) => visitor.visit_i64(*number),
                _ => Err(self.mismatch("a whole number")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Unsigned(_) | Json::Signed(_) => self.deserialize_u64(visitor),
            // For who keeps any value; who wants a fraction's asks for one, and is refused.
            Json::Fraction => visitor.visit_f64(f64::NAN),
            Json::String(text) => visitor.visit_str(text),
            Json::Array(_) => self.deserialize_seq(visitor),
            Json::Object(_) => self.deserialize_map(visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Json::Bool(value) => visitor.visit_bool(*value),
            _ => Err(self.mismatch("a boolean")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Json::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = self.items()?;
        let value = visitor.visit_seq(&mut items)?;
        items.end().map(|()| value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(&mut self.members()?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut fields = self.fields(names)?;
        let mut read = visitor.visit_seq(&mut fields);
        // In its place: moved on, the struct would be copied by code of its own.
        if let Err(error) = &mut read {
            fields.explain(error);
        }
        read
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.variant()?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { char bytes byte_buf unit unit_struct }
}

struct Members<'v> {
    rest: slice::Iter<'v, (String, Json)>,
    value: Reader<'v>,
}

impl<'v> Members<'v> {
    #[inline(never)]
    fn next_name(&mut self) -> Option<&'v str> {
        let (name, value) = self.rest.next()?;
        self.value.value = value;
        Some(name)
    }
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        match self.next_name() {
            Some(name) => seed.deserialize(Name(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.value)
    }
}

/// What stands where an object lacks a member: an optional field takes it, any other one its default.
static ABSENT: Json = Json::Null;

/// The members of an object in the order of a struct's fields.
struct Fields<'v> {
    object: Reader<'v>,
    rest: slice::Iter<'static, &'static str>,
    /// The field that was asked for last, if its member is not there and nothing may stand for it.
    missing: Option<&'static str>,
}

impl<'v> Fields<'v> {
    /// The next member, and whether it is there.
    #[inline(never)]
    fn next(&mut self) -> Option<(Reader<'v>, bool)> {
        let name = self.rest.next()?;
        let member = self.object.value.member(name);
        self.missing = member.is_none().then_some(name);
        let value = member.unwrap_or(&ABSENT);
        Some((Reader { value, ..self.object }, member.is_some()))
    }

    /// What is wrong, by the field's name instead of its place.
    #[cold]
    #[inline(never)]
    fn explain(&self, error: &mut Error) {
        if let Some(name) = self.missing {
            *error = Error::missing_field(name);
        }
    }
}

impl<'de> SeqAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((reader, is_there)) = self.next() else {
            return Ok(None);
        };
        match seed.deserialize(reader) {
            Ok(value) => Ok(Some(value)),
            // The type says what stands for it, or that nothing does.
            Err(_) if !is_there => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Of a member, or a variant.
struct Name<'v>(&'v str);

impl<'de> Deserializer<'de> for Name<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.0)
    }

    // A map's keys may be of a type of their own.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(Variant {
            name: self.0,
            content: None,
        })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'v> {
    rest: slice::Iter<'v, Json>,
    exact: bool,
}

impl Items<'_> {
    #[inline(never)]
    fn end(&self) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(Error::custom(format_args!("an array has {more} items too many"))),
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let exact = self.exact;
        match self.rest.next() {
            Some(value) => seed.deserialize(Reader { value, exact }).map(Some),
            None => Ok(None),
        }
    }
}

struct Variant<'v> {
    name: &'v str,
    content: Option<Reader<'v>>,
}

impl<'v> Variant<'v> {
    #[inline(never)]
    fn content(self) -> Result<Reader<'v>, Error> {
        let missing = || Error::custom(format_args!("{} is there without its content", self.name));
        self.content.ok_or_else(missing)
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        Ok((seed.deserialize(Name(self.name))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None
            | Some(Reader {
                value: Json::Null, ..
            }) => Ok(()),
            Some(other) => Err(other.mismatch("nothing")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content()?.deserialize_struct("", names, visitor)
    }
}
