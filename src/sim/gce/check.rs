//! What names, labels, metadata and request ids must look like, refused in the API's own words.

use serde_json::{Map, Value};

use super::answer::{Answer, error, invalid};

/// `[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?`
pub fn name(field: &str, text: &str) -> Result<(), Answer> {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(inside)
        && !text.ends_with('-');
    match fits {
        true => Ok(()),
        false => {
            let rule = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'";
            Err(invalid(field, text, rule))
        }
    }
}

/// A non-zero UUID.
pub fn request_id(text: &str) -> Result<(), Answer> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    let zero = text.bytes().all(|byte| byte == b'0' || byte == b'-');
    match shaped && !zero {
        true => Ok(()),
        false => Err(invalid("requestId", text, "Must be a valid non-zero UUID.")),
    }
}

/// At most 64; keys begin with a letter; everything lowercase letters, digits, `_` and `-`.
pub fn labels(labels: &Map<String, Value>) -> Result<(), Answer> {
    let shaped = |text: &str| {
        text.len() <= 63 && text.chars().all(|c| c.is_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
    };
    if labels.len() > 64 {
        return Err(error(400, "invalid", "Number of labels exceeds the limit of 64."));
    }
    for (key, value) in labels {
        let Some(value) = value.as_str() else {
            return Err(invalid("labels", key, "Label values must be strings."));
        };
        if key.is_empty() || !key.starts_with(char::is_lowercase) || !shaped(key) {
            return Err(invalid("labels", key, "Label keys begin with a lowercase letter."));
        }
        if !shaped(value) {
            let why = "The only allowed characters are lowercase letters, digits, '_' and '-'.";
            return Err(invalid("labels", value, why));
        }
    }
    Ok(())
}

/// Keys `[a-zA-Z0-9-_]{1,128}`, each once; a value up to 256 KiB, all together up to 512 KiB.
pub fn metadata(items: &[Value]) -> Result<(), Answer> {
    let mut seen = std::collections::BTreeSet::new();
    let mut all = 0;
    for item in items {
        let key = item["key"].as_str().unwrap_or_default();
        let value = item["value"].as_str().unwrap_or_default();
        let shaped = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if key.is_empty() || key.len() > 128 || !key.chars().all(shaped) {
            let why = "Metadata key must match the following regexp: [a-zA-Z0-9-_]{1,128}";
            return Err(invalid("metadata.items[].key", key, why));
        }
        if !seen.insert(key) {
            return Err(error(400, "invalid", format!("Metadata has duplicate key: {key}")));
        }
        all += key.len() + value.len();
        if value.len() > 256 * 1024 || all > 512 * 1024 {
            return Err(error(413, "uploadTooLarge", "Metadata is too large."));
        }
    }
    Ok(())
}

/// Fields nobody knows, as the JSON reader refuses them.
pub fn known(what: &str, body: &Value, keys: &[&str]) -> Result<(), Answer> {
    let unknown = body.as_object().and_then(|map| map.keys().find(|key| !keys.contains(&key.as_str())));
    match unknown {
        None => Ok(()),
        Some(key) => Err(error(
            400,
            "badRequest",
            format!("Invalid JSON payload received. Unknown name \"{key}\" at '{what}': Cannot find field."),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_non_zero_uuids() {
        assert!(request_id("0f6e2a4c-1111-4222-8333-0123456789ab").is_ok());
        assert!(request_id("00000000-0000-0000-0000-000000000000").is_err());
        assert!(request_id("tomorrow").is_err());
    }

    #[test]
    fn names_and_labels_are_narrow() {
        assert!(name("resource.name", "intro-host").is_ok());
        for wrong in ["Intro", "1st", "intro-", "", &"a".repeat(64)] {
            assert!(name("resource.name", wrong).is_err(), "{wrong}");
        }
        let one = |value: &str| Map::from_iter([("owner".to_owned(), Value::from(value))]);
        assert!(labels(&one("mara_1")).is_ok());
        assert!(labels(&one("mara@example.org")).is_err());
    }
}
