//! What is sent, in the one spelling Proxmox reads without doubt. No I/O.
//!
//! Its form decoder splits at `;` and at every raw `=` too, so everything but the unreserved characters
//! is percent-encoded. Booleans are `1` and `0`; words are refused.

use std::fmt::{self, Display, Write as _};

/// Percent-encodes everything but `A-Za-z0-9-_.~`.
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// The reverse of [`percent`]; what is no escape stays as it is.
pub(super) fn unpercent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        // two hex digits and nothing else: `from_str_radix` would take a sign for one of them
        let escaped = bytes.get(at + 1..at + 3).filter(|hex| byte == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let escaped = escaped.and_then(|_| u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok());
        out.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `/nodes/pve1/qemu/101`: segments joined, each encoded.
pub(super) fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |path, segment| path + "/" + &percent(segment))
}

/// Parameters, in the order given.
#[derive(Clone, Default)]
pub(super) struct Form(String);

impl fmt::Debug for Form {
    /// The keys alone: a value may be a guest's password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.split('&').filter_map(|pair| pair.split('=').next())).finish()
    }
}

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&percent(key));
        self.0.push('=');
        self.0.push_str(&percent(&value.to_string()));
        self
    }

    pub fn with_flag(self, key: &str, value: bool) -> Self {
        self.with(key, u8::from(value))
    }

    pub fn with_some(self, key: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proxmox_would_split_at_is_encoded() {
        let form = Form::new().with("tags", "a;b").with("net0", "virtio,bridge=vmbr0").with_flag("full", true);
        assert_eq!(form.as_str(), "tags=a%3Bb&net0=virtio%2Cbridge%3Dvmbr0&full=1");
        assert_eq!(path(&["nodes", "pve/1", "qemu"]), "/nodes/pve%2F1/qemu");
    }

    #[test]
    fn a_form_shows_its_keys_only() {
        let form = Form::new().with("ciuser", "ada").with("cipassword", "hunter2");
        assert_eq!(format!("{form:?}"), r#"["ciuser", "cipassword"]"#);
    }

    #[test]
    fn what_was_encoded_comes_back_and_a_bare_percent_stays() {
        let keys = "ssh-ed25519 AAAA+/= ada@lab\nssh-rsa BBBB grün";
        assert_eq!(unpercent(&percent(keys)), keys);
        assert_eq!(unpercent("100% ü%"), "100% ü%");
        for bare in ["%+f", "%-1", "% 1", "%f", "%", "%%", "%1ü"] {
            assert_eq!(unpercent(bare), bare);
        }
        assert_eq!(unpercent("%2B%2b%25"), "++%");
    }
}
