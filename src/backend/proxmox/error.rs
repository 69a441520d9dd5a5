//! What an answer means: data, or which refusal, in Proxmox's own words. Pure.
//!
//! Proxmox has one status for nearly every refusal (500), so the words decide. They stand in the
//! body's `message` (http-server 5.2 and later) or else in the status line.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::Value;

use crate::{domain::Clean, port::SiteError};

/// An answer as it came in.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    /// The status line's words; empty when they are the standard ones.
    pub reason: String,
    pub body: Vec<u8>,
}

/// Who asked for what, as errors name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub what: &'a str,
    pub site: &'a str,
    /// The request changes something.
    pub writes: bool,
}

/// Why there is no data.
#[derive(Debug)]
pub(super) enum Failed {
    /// No connection: nothing was sent.
    NotSent(Clean),
    /// A connection to somebody who is not believed: nothing was sent.
    Untrusted(Clean),
    /// Sent, and the end is not known.
    Lost(Clean),
    /// The site's own refusal, or an answer that makes no sense.
    Answered(SiteError),
}

/// The `data` of a good answer.
pub(super) fn read(asked: Asked<'_>, answer: &Answer) -> Result<Value, Failed> {
    if (595..=599).contains(&answer.status) {
        // The node asked could not talk to the node meant; a 596 also ends a handler that ran too long.
        return Err(Failed::Lost(Clean::new(format!("{} {}", answer.status, answer.reason))));
    }
    let json = serde_json::from_slice::<Value>(&answer.body);
    if (200..300).contains(&answer.status) {
        return match json {
            Ok(Value::Object(mut top)) if top.contains_key("data") => Ok(top.remove("data").unwrap_or_default()),
            Ok(_) => Err(malformed(asked, "it has no `data`: is this the Proxmox API?".to_owned())),
            Err(e) => Err(malformed(asked, not_json(answer, Some(&e)))),
        };
    }
    if (300..400).contains(&answer.status) {
        let why = format!("it redirects ({}), which Proxmox never does: is this address the API's?", answer.status);
        return Err(malformed(asked, why));
    }
    match json {
        Ok(body) => Err(refusal(asked, answer, &body)),
        Err(_) if answer.body.iter().all(u8::is_ascii_whitespace) => Err(refusal(asked, answer, &Value::Null)),
        // A body cut off after a status line of Proxmox's own: the line still says why.
        Err(_) if !is_html(&answer.body) && !answer.reason.is_empty() => Err(refusal(asked, answer, &Value::Null)),
        Err(e) => Err(malformed(asked, not_json(answer, Some(&e)))),
    }
}

/// The same, read straight into what is made of it: for answers that as a tree of values would take many times their
/// size.
pub(super) fn read_into<T: DeserializeOwned>(asked: Asked<'_>, answer: &Answer) -> Result<T, Failed> {
    if (200..300).contains(&answer.status)
        && let Ok(Whole(Some(data))) = serde_json::from_slice(&answer.body)
    {
        return Ok(data);
    }
    // Whatever is wrong with it is found in the usual way.
    T::deserialize(read(asked, answer)?).map_err(|why| malformed(asked, why.to_string()))
}

/// An answer's `data`, if it has any.
struct Whole<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Top(PhantomData))
    }
}

struct Top<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Top<T> {
    type Value = Whole<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Whole<T>, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Key {
            Data,
            #[serde(other)]
            Other,
        }
        let mut data = None;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Data => data = Some(map.next_value()?),
                Key::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(Whole(data))
    }
}

/// An answer that makes no sense.
pub(super) fn malformed(asked: Asked<'_>, why: String) -> Failed {
    Failed::Answered(SiteError::Malformed { what: asked.what.to_owned(), why: Clean::new(why) })
}

fn is_html(body: &[u8]) -> bool {
    body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'<')
}

/// What came instead of JSON.
fn not_json(answer: &Answer, error: Option<&serde_json::Error>) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let status = format!("{} {}", answer.status, answer.reason);
    let status = status.trim_end();
    if is_html(&answer.body) {
        let title =
            text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title);
        return match title {
            Some(title) => format!("{status} with a web page titled \"{}\": is a proxy in the way?", title.trim()),
            None => format!("{status} with a web page: is a proxy in the way?"),
        };
    }
    match error {
        Some(e) if e.is_eof() => format!("{status}, cut off after {} bytes", answer.body.len()),
        _ => {
            let start: String = text.chars().take(80).collect();
            format!("{status}, not JSON: {start:?}")
        }
    }
}

/// Sorts a refusal by status and words.
fn refusal(asked: Asked<'_>, answer: &Answer, body: &Value) -> Failed {
    let message = body.get("message").and_then(Value::as_str).map(str::trim_end).filter(|m| !m.is_empty());
    let words = Clean::new(message.unwrap_or(&answer.reason));
    let words = if words.is_empty() { Clean::new(format!("status {}", answer.status)) } else { words };
    let what = asked.what.to_owned();
    let site = asked.site.to_owned();
    let text = words.as_str().to_owned();

    if answer.status == 500 && asked.writes && may_have_started(&text) {
        return Failed::Lost(words);
    }
    let errors = errors(body);
    Failed::Answered(match answer.status {
        401 => SiteError::Unauthorized { what, site, words },
        // The one 403 that no privilege cures.
        403 if text.contains("(pool '") && text.contains("does not exist)") => {
            SiteError::Refused { what, status: 403, words }
        }
        403 => SiteError::Forbidden { what, words },
        400 if errors.get("upid").is_some_and(|e| e.as_str().contains("no such task")) => {
            SiteError::Missing { what, words: errors.get("upid").cloned().unwrap_or(words) }
        }
        400 if !errors.is_empty() => SiteError::Invalid { what, errors },
        500 if no_quorum(&text) => SiteError::NoQuorum { what, words },
        500 if locked(&text) => SiteError::Locked { what, words },
        500 if missing(&text) => SiteError::Missing { what, words },
        status => SiteError::Refused { what, status, words },
    })
}

fn errors(body: &Value) -> BTreeMap<String, Clean> {
    let map = body.get("errors").and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(name, text)| {
            let text = text.as_str().map_or_else(|| text.to_string(), |t| t.trim_end().to_owned());
            (Clean::new(name).as_str().to_owned(), Clean::new(text))
        })
        .collect()
}

/// The worker may run although the start was refused: the list of tasks is locked only after it was
/// told to go, and a section cut off by the lock's own limit may be half done.
fn may_have_started(words: &str) -> bool {
    words.contains("got no worker upid")
        || (words.contains(".active.lock") && words.contains("got timeout"))
        || words.contains("locked command timed out")
}

fn no_quorum(words: &str) -> bool {
    words.contains("no quorum")
        || words.contains("cluster not ready")
        // The cluster's file system turns read-only without quorum.
        || (words.contains("'/etc/pve/") && words.contains("Permission denied"))
}

fn locked(words: &str) -> bool {
    (words.contains("can't lock file") && words.contains("got timeout"))
        || words.contains("got lock request timeout")
        || words.contains("VM is locked (")
        || words.contains("CT is locked (")
}

fn missing(words: &str) -> bool {
    (words.contains("Configuration file '") && words.contains("does not exist"))
        || words.contains("unable to find configuration file for")
        || (words.contains("volume '") && words.contains("does not exist"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    fn refused(status: u16, reason: &str, body: &str, writes: bool) -> Failed {
        let answer = Answer { status, reason: reason.to_owned(), body: body.as_bytes().to_vec() };
        match read(Asked { what: "start 101 on pve1", site: "campus", writes }, &answer) {
            Ok(data) => panic!("{status} {reason} was read as {data}"),
            Err(failed) => failed,
        }
    }

    #[test]
    fn a_start_that_may_have_happened_is_lost_not_refused() {
        for words in [
            "got no worker upid - start worker failed",
            "can't lock file '/var/log/pve/tasks/.active.lock' - got timeout",
            "cfs-lock 'storage-ssd' error: 'storage-ssd'-locked command timed out - aborting",
        ] {
            let Failed::Lost(kept) = refused(500, words, "", true) else { panic!("{words}") };
            assert_eq!(kept.as_str(), words);
        }
    }

    #[test]
    fn a_storage_lock_not_had_is_locked() {
        for words in [
            "cfs-lock 'storage-ssd' error: got lock request timeout",
            "can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout",
            "VM is locked (clone)",
        ] {
            let Failed::Answered(SiteError::Locked { .. }) = refused(500, words, "", true) else { panic!("{words}") };
        }
    }

    #[test]
    fn a_proxys_error_page_is_named_as_one() {
        let page = "<html><head><title>502 Bad Gateway</title></head></html>";
        let Failed::Answered(SiteError::Malformed { why, .. }) = refused(502, "", page, true) else { panic!() };
        assert!(why.as_str().contains("502 Bad Gateway") && why.as_str().contains("proxy"), "{why}");
    }

    #[test]
    fn a_good_status_over_cut_json_is_malformed() {
        let Failed::Answered(SiteError::Malformed { why, .. }) = refused(200, "OK", "{\"data\":[{\"a\"", false) else {
            panic!()
        };
        assert!(why.as_str().contains("cut off after 13 bytes"), "{why}");
    }

    #[test]
    fn a_missing_pool_is_not_called_a_missing_privilege() {
        let words = "Permission check failed (pool 'x' does not exist)";
        let Failed::Answered(SiteError::Refused { status: 403, .. }) = refused(403, words, "", true) else { panic!() };
    }
}
