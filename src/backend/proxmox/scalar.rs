//! One value of an answer that is no list and no object, however it was written: in a tree of values, or straight from
//! the bytes. Pure; knows no endpoint.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

/// A flag, a number or a text; or nothing, which lists and objects count as too.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Scalar<'a> {
    #[default]
    Nothing,
    Flag(bool),
    Number(Number),
    Text(Cow<'a, str>),
}

impl<'a> From<&'a Value> for Scalar<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Number(number) => Self::Number(number.clone()),
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Null | Value::Array(_) | Value::Object(_) => Self::Nothing,
        }
    }
}

impl Scalar<'_> {
    /// As text, not cleaned yet.
    pub fn written(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text.as_ref())),
            Self::Number(number) => Some(number.to_string().into()),
            Self::Flag(flag) => Some(if *flag { "1" } else { "0" }.into()),
            Self::Nothing => None,
        }
    }

    /// The same; empty counts as missing.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        self.written().filter(|text| !text.is_empty())
    }

    /// Whether it is this very text.
    pub fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if own == text)
    }

    pub fn number(&self) -> Option<u64> {
        let float = match self {
            Self::Number(n) => return n.as_u64().or_else(|| n.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)),
            Self::Text(text) => match text.trim().parse() {
                Ok(n) => return Some(n),
                Err(_) => text.trim().parse::<f64>().ok()?,
            },
            Self::Flag(_) | Self::Nothing => return None,
        };
        (float.is_finite() && float >= 0.0).then_some(float as u64)
    }

    pub fn share(&self) -> f64 {
        let value = match self {
            Self::Number(n) => n.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Flag(_) | Self::Nothing => None,
        };
        value.filter(|v| v.is_finite()).unwrap_or(0.0)
    }

    pub fn flag(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            value => value.number().is_some_and(|n| n != 0) || value.is("true"),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).map_or(Scalar::Nothing, Scalar::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_says_the_same_from_the_bytes_as_from_a_tree() {
        for text in
            ["null", "true", "7", "-7", "0.25", "1e30", "\"a\"", "\"a\\n\\u00e9\"", "\"3.0\"", "[1]", "{\"a\":[2]}"]
        {
            let tree: Value = serde_json::from_str(text).unwrap();
            let (slow, fast) = (Scalar::from(&tree), serde_json::from_str::<Scalar<'_>>(text).unwrap());
            assert_eq!(slow, fast, "{text}");
        }
        let number = |text: &str| serde_json::from_str::<Scalar<'_>>(text).unwrap().number();
        assert_eq!([number("\"3.7\""), number("3.7"), number("-1"), number("true")], [Some(3), Some(3), None, None]);
    }
}
