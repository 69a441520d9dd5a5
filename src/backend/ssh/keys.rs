//! Key pairs: making one for a lab, and reading the ones a login offers.
//!
//! Private halves live in files only; they never pass through an error or a `Debug`.

mod files;
mod renewal;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

pub use files::KeyFiles;
use secrecy::{ExposeSecret as _, SecretString};
use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};
use thiserror::Error;

use super::dial::plain;
use crate::domain::Clean;

#[derive(Debug, Error)]
pub enum KeyError {
    #[error("{}", missing(path, source))]
    File { path: PathBuf, source: io::Error },
    #[error("{} is no private key in OpenSSH's format: {why}", path.display())]
    Format { path: PathBuf, why: Clean },
    #[error("{} is encrypted with a passphrase; load it into ssh-agent, or name a key without one", path.display())]
    Encrypted { path: PathBuf },
    #[error("a key pair could not be made: {0}")]
    Make(Clean),
}

/// What is wrong with a key file that cannot be read.
fn missing(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("the key file {} does not exist", path.display()),
        _ => format!("the key file {} cannot be read: {}", path.display(), plain(error)),
    }
}

impl KeyError {
    /// Without the file's name.
    fn reason(&self) -> String {
        match self {
            Self::File { source, .. } => plain(source),
            Self::Format { why, .. } => format!("it is no private key in OpenSSH's format: {why}"),
            Self::Encrypted { .. } => "it is encrypted with a passphrase".to_owned(),
            Self::Make(why) => why.to_string(),
        }
    }
}

/// What is said of a lab's own key where nobody can be asked for its passphrase.
pub(super) fn locked_lab_key(private: &Path) -> String {
    format!(
        "{} is the lab's own key and encrypted with a passphrase; give it as `key_passphrase` under `[store]` in the \
         configuration, or load the key into ssh-agent",
        private.display()
    )
}

/// The lab's key pair at `private`, made if it is not there, and never overwritten. The private
/// half is created with `mode` (0600; 0640 in a shared store). Returns the public half as one line
/// `ssh-ed25519 BASE64 COMMENT`.
pub fn lab_key(private: &Path, comment: &str, mode: u32) -> Result<String, KeyError> {
    sealed_lab_key(private, comment, mode, None)
}

/// The same; a pair that has to be made is encrypted with the passphrase, if there is one.
fn sealed_lab_key(
    private: &Path,
    comment: &str,
    mode: u32,
    passphrase: Option<&SecretString>,
) -> Result<String, KeyError> {
    let file = |source| KeyError::File { path: private.to_owned(), source };
    let line = || public_line(private).map(|line| files::commented(line, comment));
    if private.exists() {
        return line();
    }
    let made = |e: ssh_key::Error| KeyError::Make(Clean::new(e.to_string()));
    let mut pair = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).map_err(made)?;
    pair.set_comment(comment);
    if let Some(passphrase) = passphrase {
        pair = pair.encrypt(&mut OsRng, passphrase.expose_secret()).map_err(made)?;
    }
    let text = pair.to_openssh(LineEnding::LF).map_err(made)?;

    write_once(private, text.as_bytes(), mode).map_err(file)?;
    line()
}

fn words(line: &str) -> usize {
    line.split_whitespace().count()
}

/// The folder of key files. A team's is its group's, as the store's own folder is: whoever may read the files may make,
/// renew and remove some too.
fn folder_for(folder: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let about = fs::metadata(folder)?;
    if is_shared(mode) && !is_open(&about) && about.uid() == rustix::process::geteuid().as_raw() {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o2770))?;
    }
    Ok(())
}

/// Whether key files of this mode are a team's.
fn is_shared(mode: u32) -> bool {
    mode & 0o040 != 0
}

/// Whether a folder's group may write in it, and what is made there is the group's.
fn is_open(folder: &fs::Metadata) -> bool {
    folder.mode() & 0o2070 == 0o2070
}

/// Writes a file nobody wrote before. Written aside and linked into place: a kill leaves either
/// nothing or all of it, and of two processes the second leaves the first one's file alone.
fn write_once(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    folder_for(folder, mode)?;
    let aside = tempfile::Builder::new().prefix(".key").make_in(folder, |path| {
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        // Not at the umask's mercy: a shared store wants the group's bit.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        Ok(file)
    })?;
    aside.as_file().write_all(bytes)?;
    aside.as_file().sync_all()?;
    match aside.persist_noclobber(path) {
        Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => Err(e.error),
        _ => Ok(()),
    }
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
    /// Of a file that has one.
    pub(super) passphrase: Option<SecretString>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads a key to offer; one with a passphrase only where that is known. `~/` is the user's home.
pub(super) fn identity(path: &Path, passphrase: Option<SecretString>) -> Result<Identity, KeyError> {
    let path = expand(path);
    let pem = read(&path)?;
    let encrypted = match PrivateKey::from_openssh(pem.expose_secret()) {
        Ok(key) => key.is_encrypted(),
        // Keys in OpenSSL's formats are not for us to parse; libssh2 reads them.
        Err(_) if pem.expose_secret().contains("PRIVATE KEY-----") => is_encrypted_pem(pem.expose_secret()),
        Err(e) => return Err(KeyError::Format { path, why: Clean::new(e.to_string()) }),
    };
    match (encrypted, passphrase) {
        (true, None) => Err(KeyError::Encrypted { path }),
        (true, passphrase) => Ok(Identity { path, pem, passphrase }),
        (false, _) => Ok(Identity { path, pem, passphrase: None }),
    }
}

/// Whether a key in one of OpenSSL's formats wants a passphrase: the older one says so in a header, PKCS#8 in its
/// first line.
fn is_encrypted_pem(pem: &str) -> bool {
    let says = |line: &str| {
        line == "-----BEGIN ENCRYPTED PRIVATE KEY-----"
            || line.strip_prefix("Proc-Type:").is_some_and(|rest| rest.contains("ENCRYPTED"))
    };
    pem.lines().any(|line| says(line.trim()))
}

fn read(path: &Path) -> Result<SecretString, KeyError> {
    let text = fs::read_to_string(path).map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    Ok(SecretString::from(text))
}

pub(super) fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
        assert!(matches!(identity(&path, None), Err(KeyError::File { .. })));
        fs::write(&path, "hello").unwrap();
        let error = identity(&path, None).unwrap_err().to_string();
        assert!(error.contains("is no private key in OpenSSH's format"), "{error}");
    }

    /// Made by `ssh-keygen` for this test, with the passphrase "secret"; it opens nothing.
    const ENCRYPTED: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABClsrgsmE
QELdO9JRyBehK4AAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIGXb3ywseDBVMe8N
rr3I+jWDT2ZYV51OIkD8NJTRWJ4BAAAAkDjxIyxemOJ8gPaD0cbBbbuOITXgOTUEvLNJXj
Vb/vYrhpZc9CeaY8JgVieznF3/+1NLbbm3RqgJifWYRHUDzD2oZMkiCWssusJ3Ev8wvYu8
hMNUrHlb/ylUfjdeohGo1o0Wmt5ViZRjQUvJk3sKKSBTrj/HmPkY29h5AeGTiSoacdS6+B
ThDQXlr3G6Qx6/2Q==
-----END OPENSSH PRIVATE KEY-----
";

    #[test]
    fn keys_of_openssl_are_known_to_want_a_passphrase_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        let of = |head: &str, headers: &str| {
            fs::write(&path, format!("-----BEGIN {head}-----\n{headers}MIIEpAIBAAKC\n-----END {head}-----\n")).unwrap();
            identity(&path, None)
        };
        let traditional = "Proc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n";
        for kind in ["RSA", "EC"] {
            assert!(matches!(of(&format!("{kind} PRIVATE KEY"), traditional), Err(KeyError::Encrypted { .. })));
            assert!(of(&format!("{kind} PRIVATE KEY"), "").is_ok());
        }
        assert!(matches!(of("ENCRYPTED PRIVATE KEY", ""), Err(KeyError::Encrypted { .. })));
        assert!(of("PRIVATE KEY", "").is_ok());
        assert!(of("RSA PRIVATE KEY", traditional).is_err());
        let opened = identity(&path, Some("secret".into())).unwrap();
        assert!(opened.passphrase.is_some(), "it goes along with the key");
    }

    #[test]
    fn a_key_with_a_passphrase_says_where_it_should_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        fs::write(&path, ENCRYPTED).unwrap();
        let error = identity(&path, None).unwrap_err().to_string();
        assert!(error.ends_with("load it into ssh-agent, or name a key without one"), "{error}");
    }
}
