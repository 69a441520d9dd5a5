//! Calling somebody: a program of theirs is started, a web address gets a POST. Both are told the same JSON.
//!
//! No shell is involved, and nothing comes back but whether it was taken.

mod command;
mod webhook;

pub use command::Program;
pub use webhook::Webhook;

use serde_json::{Value, json};

use crate::domain::{Clean, alert::Alert};

/// What is told, with the fields many chat services show by themselves (`text`).
fn body(alert: &Alert) -> Value {
    json!({
        "schema": 1,
        "at": alert.at.to_string(),
        "state": state(alert),
        "text": text(alert),
        "wrong": alert.wrong.iter().map(Clean::as_str).collect::<Vec<_>>(),
    })
}

fn state(alert: &Alert) -> &'static str {
    if alert.red { "red" } else { "clear" }
}

fn text(alert: &Alert) -> String {
    format!("homeroom {}: {}", state(alert), alert.headline)
}
