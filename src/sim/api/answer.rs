//! Answers and failures as Proxmox words them.

use serde_json::{Map, Value, json};

/// The body of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// JSON.
    Json(Value),
    /// Plain text.
    Text(String),
    /// Nothing.
    Empty,
}

/// What becomes of an answer on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// The connection is cut before a byte of it is sent.
    Cut,
    /// The connection is cut in the middle of the body.
    Half,
    /// Nothing is sent and the connection stays open.
    Stall,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status code; 59x are Proxmox's own.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The body.
    pub body: Body,
    /// Did it come through the daemon? Then it says `Connection: close` and `Keep-Alive` both.
    pub daemon: bool,
    /// What becomes of it.
    pub fate: Fate,
}

impl Answer {
    /// 200 with data.
    pub fn data(value: Value) -> Self {
        Self {
            status: 200,
            reason: "OK".into(),
            body: Body::Json(json!({ "data": value })),
            daemon: false,
            fate: Fate::Arrives,
        }
    }

    /// 200 with a list and its length before limits.
    pub fn listed(value: Value, total: usize) -> Self {
        Self { body: Body::Json(json!({ "data": value, "total": total })), ..Self::data(Value::Null) }
    }

    /// The data of a good answer.
    pub fn value(&self) -> Option<&Value> {
        match &self.body {
            Body::Json(body) if self.status == 200 => body.get("data"),
            _ => None,
        }
    }

    /// The words of a bad one, as `qm` prints them.
    pub fn words(&self) -> String {
        let Body::Json(body) = &self.body else { return self.reason.clone() };
        let message = body.get("message").and_then(Value::as_str).unwrap_or(&self.reason);
        let mut text = message.trim_end().to_owned();
        if let Some(errors) = body.get("errors").and_then(Value::as_object) {
            text = format!("{} {text}", self.status);
            for (name, why) in errors {
                text.push_str(&format!("\n{name}: {}", why.as_str().unwrap_or_default().trim_end()));
            }
        }
        text
    }
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Fail {
    /// The status code.
    pub status: u16,
    /// Proxmox's words.
    pub message: String,
    /// For each parameter what is wrong with it.
    pub errors: Option<Map<String, Value>>,
}

impl Fail {
    /// 400 about one parameter.
    pub fn param(name: &str, why: impl Into<String>) -> Self {
        Self::params(Map::from_iter([(name.to_owned(), Value::String(why.into()))]))
    }

    /// 400 about parameters.
    pub fn params(errors: Map<String, Value>) -> Self {
        Self { status: 400, message: "Parameter verification failed.".into(), errors: Some(errors) }
    }

    /// 403 with what is missing.
    pub fn forbidden(what: &str) -> Self {
        let message = if what.is_empty() {
            "Permission check failed".into()
        } else {
            format!("Permission check failed ({what})")
        };
        Self { status: 403, message, errors: None }
    }

    /// Another status.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: None }
    }

    /// As it goes out.
    pub fn answer(self) -> Answer {
        let reason = self.message.lines().next().unwrap_or("").to_owned();
        let body = match self.status {
            401 if reason != "authentication failure" => Body::Empty,
            595..=599 => Body::Empty,
            501 => Body::Json(json!({ "data": null, "message": self.message })),
            _ => {
                let mut body = json!({ "data": null, "message": format!("{}\n", self.message) });
                if let (Some(errors), Some(map)) = (self.errors, body.as_object_mut()) {
                    map.insert("errors".into(), Value::Object(errors));
                }
                Body::Json(body)
            }
        };
        Answer { status: self.status, reason, body, daemon: false, fate: Fate::Arrives }
    }
}

impl From<String> for Fail {
    fn from(message: String) -> Self {
        Self { status: 500, message, errors: None }
    }
}

impl From<&str> for Fail {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}
