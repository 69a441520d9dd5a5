//! JSON read leniently: numbers may be strings, flags may be `1`, `"1"` or `true`, fields may be missing.
//! Pure; knows no endpoint.

use serde_json::{Map, Value};

use super::scalar::Scalar;
use crate::domain::{Clean, Vmid};

/// The fields of one JSON object.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    pub fn iter(self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.0.iter()
    }

    pub fn of(value: &'a Value) -> Result<Self, String> {
        value.as_object().map(Self).ok_or_else(|| format!("expected an object, got {}", kind(value)))
    }

    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    fn scalar(self, name: &str) -> Scalar<'a> {
        self.0.get(name).map(Scalar::from).unwrap_or_default()
    }

    /// A scalar as text, not cleaned yet; empty counts as missing.
    pub fn raw(self, name: &str) -> Option<String> {
        self.scalar(name).text().map(Into::into)
    }

    pub fn text(self, name: &str) -> Option<Clean> {
        self.scalar(name).text().map(Clean::new)
    }

    pub fn number(self, name: &str) -> Option<u64> {
        self.scalar(name).number()
    }

    pub fn share(self, name: &str) -> f64 {
        self.scalar(name).share()
    }

    pub fn flag(self, name: &str) -> bool {
        self.scalar(name).flag()
    }

    pub fn vmid(self) -> Option<Vmid> {
        self.number("vmid").and_then(|id| Vmid::new(id).ok())
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a flag",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A scalar as text, not cleaned yet.
pub(super) fn scalar(value: &Value) -> Option<String> {
    Scalar::from(value).written().map(Into::into)
}

/// The objects of a list; anything else in it is passed over.
pub(super) fn rows(data: &Value) -> Result<Vec<Fields<'_>>, String> {
    let list = data.as_array().ok_or_else(|| format!("expected a list, got {}", kind(data)))?;
    Ok(list.iter().filter_map(|row| Fields::of(row).ok()).collect())
}

/// Cleans line by line, so that the line breaks stay. How long it may be is bounded by the answer's size.
pub(super) fn lines(text: &str) -> String {
    text.split('\n').map(|line| Clean::bounded(line, usize::MAX).as_str().to_owned()).collect::<Vec<_>>().join("\n")
}
