//! What two answers have in common: keys and JSON types, and words up to numbers.

use std::collections::BTreeSet;

use serde_json::Value;

/// Keys and types of a value, one line each: `data[].vmid number`.
pub fn shape(value: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    walk(value, String::new(), &mut lines);
    lines
}

fn walk(value: &Value, at: String, lines: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(items) => {
            for item in items {
                walk(item, format!("{at}[{}]", kind_of(item)), lines);
            }
            "array"
        }
        Value::Object(map) => {
            for (key, value) in map {
                walk(value, format!("{at}.{}", general(key)), lines);
            }
            "object"
        }
    };
    lines.insert(format!("{at} {kind}"));
}

/// Rows of a list are compared with rows of their own kind, and what runs with what runs.
fn kind_of(item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    let kind = text("type");
    match kind {
        "qemu" | "node" | "storage" | "pool" | "network" | "cluster" | "bridge" | "eth" => {
            format!("{kind} {}", text("status"))
        }
        _ if item.get("vmid").is_some() => format!("guest {}", text("status")),
        _ if text("name") == "current" => "current".into(),
        _ => String::new(),
    }
}

/// Keys that are ids are all alike.
fn general(key: &str) -> String {
    words(key)
}

/// Text with its numbers, hexadecimal words and paths' own folders taken out.
pub fn words(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("UPID:") {
            let end = rest.find([' ', '\'', '"']).unwrap_or(rest.len());
            out.push_str("UPID");
            rest = &rest[end..];
        } else if c.is_ascii_digit() {
            out.push('#');
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// How two answers differ, in words; empty when they do not.
pub fn differences(recorded: &Value, simulated: &Value) -> Vec<String> {
    let (wanted, got) = (shape(recorded), shape(simulated));
    let missing = wanted.difference(&got).map(|line| format!("missing {line}"));
    // a list the recording happened to show empty says nothing about its rows
    let empty = |line: &str| {
        line.match_indices('[').any(|(at, _)| {
            let list = &line[..at];
            !wanted.iter().any(|other| other.starts_with(&format!("{list}[")))
        })
    };
    let unheard = |line: &&String| {
        // rows of a kind that was not there when it was recorded
        line.split_once(']').is_some_and(|(row, _)| {
            !row.ends_with('[') && !wanted.iter().any(|other| other.starts_with(&format!("{row}]")))
        })
    };
    let extra =
        got.difference(&wanted).filter(|line| !empty(line) && !unheard(line)).map(|line| format!("extra {line}"));
    missing.chain(extra).collect()
}
