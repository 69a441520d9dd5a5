//! Key pairs: making one for a lab, and reading the ones a login offers.
//!
//! Private halves live in files only; they never pass through an error or a `Debug`.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};
use thiserror::Error;

use crate::domain::Clean;

#[derive(Debug, Error)]
pub enum KeyError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is no private key in OpenSSH's format: {why}", path.display())]
    Format { path: PathBuf, why: Clean },
    #[error("{} is encrypted with a passphrase; load it into ssh-agent, or name a key without one", path.display())]
    Encrypted { path: PathBuf },
    #[error("a key pair could not be made: {0}")]
    Make(Clean),
}

/// The lab's key pair at `private`, made if it is not there, and never overwritten. The private
/// half is created with `mode` (0600; 0640 in a shared store). Returns the public half as one line
/// `ssh-ed25519 BASE64 COMMENT`.
pub fn lab_key(private: &Path, comment: &str, mode: u32) -> Result<String, KeyError> {
    let file = |source| KeyError::File { path: private.to_owned(), source };
    if private.exists() {
        return public_line(private);
    }
    let made = |e: ssh_key::Error| KeyError::Make(Clean::new(e.to_string()));
    let mut pair = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(made)?;
    pair.set_comment(comment);
    let text = pair.to_openssh(LineEnding::LF).map_err(made)?;

    // Written aside and linked into place: a kill leaves either no key or a whole one, and of two
    // processes the second finds the first one's key.
    let folder = private.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(file)?;
    let aside = tempfile::Builder::new()
        .prefix(".key")
        .make_in(folder, |path| fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path))
        .map_err(file)?;
    aside.as_file().write_all(text.as_bytes()).map_err(file)?;
    aside.as_file().sync_all().map_err(file)?;
    match aside.persist_noclobber(private) {
        Ok(_) => {}
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(file(e.error)),
    }
    public_line(private)
}

/// The public half of a private key file, as one line.
pub fn public_line(private: &Path) -> Result<String, KeyError> {
    let format = |e: ssh_key::Error| KeyError::Format { path: private.to_owned(), why: Clean::new(e.to_string()) };
    let key = PrivateKey::from_openssh(read(private)?.expose_secret()).map_err(format)?;
    key.public_key().to_openssh().map_err(format)
}

/// A private key ready to be offered.
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) pem: SecretString,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads a key to offer. `~/` is the user's home.
pub(super) fn identity(path: &Path) -> Result<Identity, KeyError> {
    let path = expand(path);
    let pem = read(&path)?;
    match PrivateKey::from_openssh(pem.expose_secret()) {
        Ok(key) if key.is_encrypted() => return Err(KeyError::Encrypted { path }),
        Ok(_) => {}
        // RSA and ECDSA keys are not for us to parse; libssh2 reads them.
        Err(_) if pem.expose_secret().contains("PRIVATE KEY-----") => {}
        Err(e) => return Err(KeyError::Format { path, why: Clean::new(e.to_string()) }),
    }
    Ok(Identity { path, pem })
}

fn read(path: &Path) -> Result<SecretString, KeyError> {
    let text = fs::read_to_string(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    Ok(SecretString::from(text))
}

fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_labs_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/cs101");
        let public = lab_key(&path, "homeroom cs101", 0o600).unwrap();
        assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" homeroom cs101"), "{public}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let before = fs::read(&path).unwrap();
        assert_eq!(lab_key(&path, "another comment", 0o600).unwrap(), public);
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_no_key_says_so_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        assert!(matches!(identity(&path), Err(KeyError::File { .. })));
        fs::write(&path, "hello").unwrap();
        let error = identity(&path).unwrap_err().to_string();
        assert!(error.contains("is no private key in OpenSSH's format"), "{error}");
    }
}
