//! Host keys: which ones are trusted for a host, and how trust is written down.
//!
//! The file is homeroom's own `known_hosts`, in OpenSSH's format (plain or hashed names,
//! `[host]:port`, `@revoked`). Nothing is ever trusted here by itself: [`trust`] is called
//! when a person said yes.

use std::{io, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use hmac::{KeyInit, Mac};
use sha2::Digest as _;

/// A host key as it travels: the algorithm's name, then its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyBlob(Vec<u8>);

impl HostKeyBlob {
    pub(super) fn new(blob: impl Into<Vec<u8>>) -> Self {
        Self(blob.into())
    }

    /// Reads `TYPE BASE64 [comment]`; `None` when it is not a key line.
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (kind, base64) = (words.next()?, words.next()?);
        let key = Self(STANDARD.decode(base64).ok()?);
        (key.kind() == Some(kind)).then_some(key)
    }

    /// The algorithm's name, `ssh-ed25519` for one.
    pub fn kind(&self) -> Option<&str> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        std::str::from_utf8(rest.get(..length)?).ok()
    }

    /// `TYPE BASE64`.
    pub fn line(&self) -> String {
        format!("{} {}", self.kind().unwrap_or("unknown"), STANDARD.encode(&self.0))
    }

    /// The fingerprint as OpenSSH prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(sha2::Sha256::digest(&self.0)))
    }
}

/// What is on record for one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) trusted: Vec<HostKeyBlob>,
    pub(super) revoked: Vec<HostKeyBlob>,
    /// By whoever asks for the login, and not read from a file.
    pub(super) told: bool,
}

/// How a shown key stands against the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Trusted,
    /// Nothing is on record for this host.
    Unknown,
    /// Another key is on record, or this one was revoked.
    Wrong,
}

impl Record {
    pub(super) fn judge(&self, shown: &HostKeyBlob) -> Verdict {
        if self.revoked.contains(shown) {
            Verdict::Wrong
        } else if self.trusted.contains(shown) {
            Verdict::Trusted
        } else if self.trusted.is_empty() {
            Verdict::Unknown
        } else {
            Verdict::Wrong
        }
    }

    /// Reads what a known_hosts text says about `host` at `port`.
    pub(super) fn read(known_hosts: &str, host: &str, port: u16) -> Self {
        Self::of(known_hosts, &name_of(host, port))
    }

    fn of(known_hosts: &str, name: &str) -> Self {
        let mut record = Self::default();
        for line in known_hosts.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (marker, rest) = match line.strip_prefix('@') {
                Some(marked) => marked.split_once(char::is_whitespace).map_or((marked, ""), |(m, r)| (m, r.trim())),
                None => ("", line),
            };
            let Some((names, key)) = rest.split_once(char::is_whitespace) else { continue };
            if !covers(names, name) {
                continue;
            }
            let Some(key) = HostKeyBlob::from_line(key) else { continue };
            match marker {
                "" => record.trusted.push(key),
                "revoked" => record.revoked.push(key),
                // Certificate authorities are not supported: such a line vouches for nobody.
                _ => {}
            }
        }
        record
    }
}

/// How known_hosts spells a host: bare on port 22, else `[host]:port`.
pub fn name_of(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Whether the first field of a line means `name`.
fn covers(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return hashed_is(hashed, name).unwrap_or(false);
    }
    let mut found = false;
    for pattern in names.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

/// `SALT|HASH` against a name: HMAC-SHA1, as `HashKnownHosts` writes it.
fn hashed_is(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&STANDARD.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().as_slice() == STANDARD.decode(hash).ok()?)
}

/// Shell-like pattern: `*` any text, `?` one character.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.as_bytes());
    let pattern = pattern.as_bytes();
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(c) if *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, seen)) => {
                    star = Some((at, seen + 1));
                    (p, n) = (at + 1, seen + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Writes down that `key` (`TYPE BASE64`) is the one of `name` (as [`name_of`] and the error about
/// an unknown host spell it), in a file of its owner's alone. A key already there is not doubled.
pub fn trust(known_hosts: &Path, name: &str, key: &str) -> io::Result<()> {
    write_down(known_hosts, name, key, 0o600, false)
}

/// The same with the file's `mode`; with `instead`, other keys on record for exactly this name go. The file is
/// replaced in one rename; its folder is made when missing.
pub fn write_down(known_hosts: &Path, name: &str, key: &str, mode: u32, instead: bool) -> io::Result<()> {
    use std::{io::Write as _, os::unix::fs::PermissionsExt as _};

    let key = HostKeyBlob::from_line(key)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a host key of the form TYPE BASE64"))?;
    let old = match std::fs::read_to_string(known_hosts) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e),
    };
    let old = if instead { without(&old, name) } else { old };
    if Record::of(&old, name).trusted.contains(&key) {
        return Ok(());
    }
    let folder = known_hosts.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".known_hosts").tempfile_in(folder)?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))?;
    let gap = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    writeln!(file, "{old}{gap}{name} {}", key.line())?;
    file.as_file().sync_all()?;
    file.persist(known_hosts).map_err(|e| e.error)?;
    Ok(())
}

/// The text without the keys of exactly this name; patterns and revoked keys stay.
fn without(known_hosts: &str, name: &str) -> String {
    let is_of_name = |line: &str| {
        let names = line.split_whitespace().next().unwrap_or_default();
        names == name || names.strip_prefix("|1|").is_some_and(|hashed| hashed_is(hashed, name).unwrap_or(false))
    };
    known_hosts.lines().filter(|line| !is_of_name(line)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn key(line: &str) -> HostKeyBlob {
        HostKeyBlob::from_line(line).unwrap()
    }

    #[test]
    fn a_key_line_is_read_and_written_back_and_printed_as_openssh_prints_it() {
        assert_eq!(key(KEY).line(), KEY);
        assert_eq!(key(KEY).kind(), Some("ssh-ed25519"));
        assert!(key(KEY).fingerprint().starts_with("SHA256:"));
        assert_eq!(key(KEY).fingerprint().len(), "SHA256:".len() + 43);
        assert_eq!(HostKeyBlob::from_line(&KEY.replace("ssh-ed25519 ", "ssh-rsa ")), None);
    }

    #[test]
    fn names_are_found_plain_in_lists_by_pattern_and_with_their_port() {
        let text = format!("# mine\npve1,10.0.0.1 {KEY}\n[lab.example]:2222 {KEY}\n*.lab,!bad.lab {KEY} note\n");
        for (host, port) in [("pve1", 22), ("PVE1", 22), ("10.0.0.1", 22), ("lab.example", 2222), ("a.lab", 22)] {
            assert_eq!(Record::read(&text, host, port).judge(&key(KEY)), Verdict::Trusted, "{host}:{port}");
            assert_eq!(Record::read(&text, host, port).judge(&key(OTHER)), Verdict::Wrong, "{host}:{port}");
        }
        for (host, port) in [("pve1", 2222), ("lab.example", 22), ("bad.lab", 22), ("pve11", 22)] {
            assert_eq!(Record::read(&text, host, port).judge(&key(KEY)), Verdict::Unknown, "{host}:{port}");
        }
    }

    #[test]
    fn hashed_names_are_found() {
        let salt = [7u8; 20];
        let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&salt).unwrap();
        mac.update(b"[pve1]:2201");
        let text = format!("|1|{}|{} {KEY}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes()));
        assert_eq!(Record::read(&text, "pve1", 2201).judge(&key(KEY)), Verdict::Trusted);
        assert_eq!(Record::read(&text, "pve1", 22).judge(&key(KEY)), Verdict::Unknown);
    }

    #[test]
    fn a_revoked_key_is_wrong_even_where_it_is_also_trusted() {
        let text = format!("pve1 {KEY}\n@revoked * {KEY}\n@cert-authority pve2 {KEY}\n");
        assert_eq!(Record::read(&text, "pve1", 22).judge(&key(KEY)), Verdict::Wrong);
        assert_eq!(Record::read(&text, "pve2", 22).trusted, []);
    }

    #[test]
    fn trusting_appends_once_and_leaves_the_file_to_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deeper/known_hosts");
        trust(&file, "pve1", KEY).unwrap();
        trust(&file, "pve1", KEY).unwrap();
        trust(&file, &name_of("127.0.0.1", 2201), OTHER).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("pve1 {KEY}\n[127.0.0.1]:2201 {OTHER}\n"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(trust(&file, "pve1", "nonsense").is_err());
    }

    #[test]
    fn a_key_trusted_instead_of_another_takes_its_place_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, format!("# mine\npve1 {KEY}\npve2 {KEY}\n@revoked pve1 {KEY}\n")).unwrap();
        write_down(&file, "pve1", OTHER, 0o660, true).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("# mine\npve2 {KEY}\n@revoked pve1 {KEY}\npve1 {OTHER}\n"));
    }
}
