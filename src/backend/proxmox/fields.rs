//! JSON read leniently: numbers may be strings, flags may be `1`, `"1"` or `true`, fields may be missing.
//! Pure; knows no endpoint.

use serde_json::{Map, Value};

use crate::domain::{Clean, NodeName, Vmid};

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

    /// A scalar as text, not cleaned yet; empty counts as missing.
    pub fn raw(self, name: &str) -> Option<String> {
        scalar(self.0.get(name)?).filter(|text| !text.is_empty())
    }

    pub fn text(self, name: &str) -> Option<Clean> {
        self.raw(name).map(Clean::new)
    }

    pub fn number(self, name: &str) -> Option<u64> {
        number(self.0.get(name)?)
    }

    pub fn share(self, name: &str) -> f64 {
        let value = match self.0.get(name) {
            Some(Value::Number(n)) => n.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        };
        value.filter(|v| v.is_finite()).unwrap_or(0.0)
    }

    pub fn flag(self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(value) => number(value).is_some_and(|n| n != 0) || value.as_str() == Some("true"),
            None => false,
        }
    }

    pub fn vmid(self) -> Option<Vmid> {
        self.number("vmid").and_then(|id| Vmid::new(id).ok())
    }

    pub fn node(self) -> Option<NodeName> {
        self.raw("node").map(NodeName::new)
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

fn number(value: &Value) -> Option<u64> {
    let float = match value {
        Value::Number(n) => return n.as_u64().or_else(|| n.as_f64().filter(|f| *f >= 0.0).map(|f| f as u64)),
        Value::String(text) => match text.trim().parse() {
            Ok(n) => return Some(n),
            Err(_) => text.trim().parse::<f64>().ok()?,
        },
        _ => return None,
    };
    (float.is_finite() && float >= 0.0).then_some(float as u64)
}

pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
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
