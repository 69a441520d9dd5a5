//! Reads what a request carries, with Proxmox's limits and words.

use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, TRANSFER_ENCODING};
use serde_json::{Map, Value};

use crate::sim::api::Params;

/// Proxmox's largest body.
const LARGEST: usize = 512 * 1024;

/// Query and body of a request, the query on top.
///
/// # Errors
/// Status and words.
pub async fn params(request: Request<Incoming>) -> Result<Params, (u16, String)> {
    let method = request.method().as_str().to_owned();
    if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "DELETE") {
        return Err((501, format!("method '{method}' not available")));
    }
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return Err((501, "chunked transfer encoding not supported".into()));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let declared = request.body().size_hint().exact().unwrap_or(0);
    if declared > 0 && matches!(method.as_str(), "GET" | "DELETE") {
        return Err((501, format!("Unexpected content for method '{method}'")));
    }
    if declared > LARGEST as u64 {
        // whoever still writes would not see the answer of a closed connection
        let _ = Limited::new(request.into_body(), 32 * LARGEST).collect().await;
        return Err((501, "for data too large".into()));
    }
    let bytes = Limited::new(request.into_body(), LARGEST)
        .collect()
        .await
        .map_err(|_| (501, "for data too large".to_owned()))?
        .to_bytes();
    let mut params = match kind.as_str() {
        "application/json" if matches!(method.as_str(), "POST" | "PUT") => json(&bytes)?,
        "" | "application/x-www-form-urlencoded" | "application/json" => form(&String::from_utf8_lossy(&bytes)),
        "multipart/form-data" => return Err((501, "the simulated cluster takes no uploads".into())),
        other => return Err((506, format!("upload 'Content-Type '{other}' not implemented"))),
    };
    params.extend(form(&query));
    Ok(params)
}

fn json(bytes: &[u8]) -> Result<Params, (u16, String)> {
    let place = "at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 934.";
    let text = String::from_utf8_lossy(bytes);
    match serde_json::from_str::<Value>(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err((500, format!("Not a HASH reference {place}\n"))),
        Err(_) => {
            let what = match text.trim_start().strip_prefix('{') {
                Some(rest) if !rest.trim_start().starts_with('"') => {
                    format!("'\"' expected, at character offset 1 (before \"{rest}\")")
                }
                _ => {
                    let before = if text.is_empty() { "(end of string)" } else { text.as_ref() };
                    format!(
                        "malformed JSON string, neither tag, array, object, number, string or atom, at character offset 0 \
                         (before \"{before}\")"
                    )
                }
            };
            Err((500, format!("{what} {place}\n")))
        }
    }
}

/// Form parameters: `&` and `;` separate, a repeated key makes a list, `k=` is as if it were not there.
fn form(text: &str) -> Params {
    let mut params = Map::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if value.is_empty() {
            continue;
        }
        let value = Value::String(decoded(value, true));
        match params.entry(decoded(key, true)) {
            serde_json::map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            serde_json::map::Entry::Occupied(mut entry) => match entry.get_mut() {
                Value::Array(all) => all.push(value),
                other => *other = Value::Array(vec![other.take(), value]),
            },
        }
    }
    params
}

/// Percent-decoded text; `+` is a space where `plus` says so.
pub fn decoded(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_split_on_both_separators_and_repeat_into_lists() {
        let params = form("command=%2Fbin%2Fecho&command=two+words;x=&y=a%3Bb");
        assert_eq!(params["command"], serde_json::json!(["/bin/echo", "two words"]));
        assert_eq!(params["y"], "a;b");
        assert!(!params.contains_key("x"));
    }

    #[test]
    fn broken_json_is_answered_in_perls_words() {
        let (status, why) = json(b"{bad json").unwrap_err();
        assert_eq!(status, 500);
        assert!(why.starts_with("'\"' expected, at character offset 1 (before \"bad json\")"), "{why}");
    }
}
