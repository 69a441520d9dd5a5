//! Known secrets, cut from what is written. The second line of defence: the first is that types
//! which hold a secret do not print it.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
const CUT: &str = "‹secret›";

/// Shorter secrets are not looked for: they would cut up every other word.
const SHORTEST: usize = 4;
/// Shorter lines of a secret of several lines (a private key) are not looked for by themselves.
const SHORTEST_LINE: usize = 16;

/// The secrets in use. Clones share them, so that one learned later is cut everywhere.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Every spelling looked for, the longest first.
    spellings: Arc<RwLock<Vec<SecretString>>>,
}

impl Secrets {
    /// From here on `secret` is cut: as it is, escaped as in JSON and `Debug`, encoded as in a URL or
    /// form, and, if it has several lines, line by line.
    pub fn add(&self, secret: &str) {
        let secret = secret.trim();
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE && !line.starts_with("--"));
        let mut new: Vec<String> = if secret.contains('\n') { lines.map(str::to_owned).collect() } else { Vec::new() };
        let debug = format!("{secret:?}");
        new.push(debug.trim_matches('"').to_owned());
        new.extend([secret.to_owned(), encoded(secret, "%20"), encoded(secret, "+")]);
        let mut known = self.spellings.write().unwrap_or_else(PoisonError::into_inner);
        for spelling in new {
            if spelling.len() >= SHORTEST && !known.iter().any(|k| k.expose_secret() == spelling) {
                known.push(SecretString::from(spelling));
            }
        }
        known.sort_by_key(|spelling| std::cmp::Reverse(spelling.expose_secret().len()));
    }

    /// `text` without the secrets known.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.spellings.read().unwrap_or_else(PoisonError::into_inner);
        let mut text = Cow::Borrowed(text);
        for spelling in known.iter() {
            if text.contains(spelling.expose_secret()) {
                text = Cow::Owned(text.replace(spelling.expose_secret(), CUT));
            }
        }
        text
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// Percent-encoded, a space as `space`.
fn encoded(text: &str, space: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' => out.push_str(space),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_secret_is_cut_however_it_is_spelled() {
        let secrets = Secrets::default();
        secrets.add("pa\"ss wörd\n");
        let spellings = ["pa\"ss wörd", "pa\\\"ss wörd", "pa%22ss%20w%C3%B6rd", "pa%22ss+w%C3%B6rd"];
        for spelling in spellings {
            assert_eq!(secrets.redact(&format!("<{spelling}>")), "<‹secret›>");
        }
        assert_eq!(format!("{secrets:?}"), "Secrets(…)");
    }

    #[test]
    fn a_key_is_cut_line_by_line_and_as_a_whole() {
        let key = "-----BEGIN KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nAAAAB3NzaC1lZDI1NTE5AAAA\n-----END KEY-----\n";
        let secrets = Secrets::default();
        secrets.add(key);
        assert_eq!(secrets.redact("read b3BlbnNzaC1rZXktdjEAAAAA then"), "read ‹secret› then");
        assert_eq!(secrets.redact(&format!("{:?}", key.trim())), "\"‹secret›\"");
    }

    #[test]
    fn a_secret_that_holds_another_leaves_no_rest() {
        let secrets = Secrets::default();
        secrets.add("abcdef");
        secrets.add("abcdef-0123");
        assert_eq!(secrets.clone().redact("abcdef-0123 abcdef"), "‹secret› ‹secret›");
    }

    #[test]
    fn nothing_else_is_touched() {
        let secrets = Secrets::default();
        secrets.add("");
        secrets.add("  \n");
        secrets.add("abc");
        assert!(matches!(secrets.redact("abc is too short to be looked for"), Cow::Borrowed(_)));
    }
}
