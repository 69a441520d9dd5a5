//! What a call is answered: JSON as Google's APIs write it, errors included.

use serde_json::{Value, json};

/// An answer to one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Body,
}

/// What an answer carries.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Json(Value),
    Text(String),
}

/// What a call comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Now(Answer),
    /// Answered when the operation is done, at the latest at this modelled time.
    WhenDone {
        operation: String,
        latest: u64,
    },
}

/// A call that is refused.
pub type Made = Result<Value, Answer>;

impl Answer {
    pub fn json(body: Value) -> Self {
        Self { status: 200, body: Body::Json(body) }
    }

    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self { status, body: Body::Text(text.into()) }
    }
}

/// An error in the shape Compute Engine has used from the start.
pub fn error(code: u16, reason: &str, message: impl Into<String>) -> Answer {
    let message = message.into();
    let body = json!({"error": {
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }});
    Answer { status: code, body: Body::Json(body) }
}

/// The same with what newer services add.
pub fn detailed(code: u16, reason: &str, status: &str, message: impl Into<String>, details: Value) -> Answer {
    let mut answer = error(code, reason, message);
    if let Body::Json(body) = &mut answer.body {
        body["error"]["status"] = json!(status);
        body["error"]["details"] = details;
    }
    answer
}

/// 404.
pub fn missing(what: &str) -> Answer {
    error(404, "notFound", format!("The resource '{what}' was not found"))
}

/// 409.
pub fn taken(what: &str) -> Answer {
    error(409, "alreadyExists", format!("The resource '{what}' already exists"))
}

/// 400 for a field.
pub fn invalid(field: &str, value: &str, why: &str) -> Answer {
    error(400, "invalid", format!("Invalid value for field '{field}': '{value}'. {why}"))
}

/// 401: no token, or none that was issued here.
pub fn unauthenticated() -> Answer {
    detailed(
        401,
        "authError",
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
         authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        json!([]),
    )
}

/// 403: the project never switched the API on.
pub fn disabled(service: &str, title: &str, project: &str) -> Answer {
    let url = format!("https://console.developers.google.com/apis/api/{service}/overview?project={project}");
    detailed(
        403,
        "accessNotConfigured",
        "PERMISSION_DENIED",
        format!(
            "{title} has not been used in project {project} before or it is disabled. Enable it by visiting {url} then \
             retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems \
             and retry."
        ),
        json!([
            {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "Google developers console API activation", "url": url}]},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
             "metadata": {"service": service, "consumer": format!("projects/{project}")}},
        ]),
    )
}

/// 403: a person's call that counts against gcloud's own project, which has the API switched off.
pub fn unpaid(service: &str) -> Answer {
    detailed(
        403,
        "forbidden",
        "PERMISSION_DENIED",
        format!(
            "Your application is authenticating by using local Application Default Credentials. The {service} API \
             requires a quota project, which is not set by default. To learn how to set your quota project, see \
             https://cloud.google.com/docs/authentication/adc-troubleshooting/user-creds ."
        ),
        json!([
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com",
             "metadata": {"service": service, "consumer": "projects/764086051850"}},
        ]),
    )
}

/// 403: the caller may not.
pub fn forbidden(permission: &str, what: &str) -> Answer {
    error(403, "forbidden", format!("Required '{permission}' permission for '{what}'"))
}
