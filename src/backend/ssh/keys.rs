//! Key pairs: making one for a lab, and reading the ones a login offers.
//!
//! Private halves live in files only; they never pass through an error or a `Debug`.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Digest as _;
use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};
use thiserror::Error;

use crate::{
    config::{ConfigError, Secret},
    domain::{Clean, LabName, SeatName, class::Password, code::JoinCode},
    port::{
        KeyRing,
        keys::{self as port, LabKey, Lock},
    },
};

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

impl KeyError {
    /// Without the file's name.
    fn reason(&self) -> String {
        match self {
            Self::File { source, .. } => source.to_string(),
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
    // An encrypted file keeps its comment to itself.
    let line = || public_line(private).map(|line| if words(&line) < 3 { format!("{line} {comment}") } else { line });
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

/// Writes a file nobody wrote before. Written aside and linked into place: a kill leaves either
/// nothing or all of it, and of two processes the second leaves the first one's file alone.
fn write_once(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Whoever may read the files may look into the folder, and nobody else.
    fs::DirBuilder::new().recursive(true).mode(0o700 | (mode & 0o040) | ((mode & 0o040) >> 2)).create(folder)?;
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

/// The key files of all labs, in one folder beside the store: `LAB` and `LAB.secret`.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    folder: PathBuf,
    mode: u32,
    /// New keys are encrypted with it.
    passphrase: Option<SecretString>,
    /// Of encrypted files, as last written, whether it opens them.
    opened: Arc<Mutex<Opened>>,
}

/// By file: when it was last written, and whether the passphrase opens it.
type Opened = HashMap<PathBuf, (Option<SystemTime>, bool)>;

/// Letters of a token: 130 bits.
const TOKEN: usize = 26;
/// Letters and digits nobody mistakes for one another when reading a password aloud.
const READABLE: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789X";

impl KeyFiles {
    /// `mode` is that of the files: 0600, or 0640 in a shared store.
    pub fn new(folder: impl Into<PathBuf>, mode: u32) -> Self {
        Self { folder: folder.into(), mode, passphrase: None, opened: Arc::default() }
    }

    /// Keys made from now on are encrypted with this passphrase; those there are stay as they are.
    #[must_use]
    pub fn sealed_with(self, passphrase: Option<SecretString>) -> Self {
        Self { passphrase, opened: Arc::default(), ..self }
    }

    fn key_at(&self, private: &Path, lab: &LabName) -> Result<String, KeyError> {
        sealed_lab_key(private, &format!("homeroom {lab}"), self.mode, self.passphrase.as_ref())
    }

    fn private(&self, lab: &LabName) -> PathBuf {
        self.folder.join(lab.as_str())
    }

    fn secret(&self, lab: &LabName) -> PathBuf {
        self.folder.join(format!("{lab}.secret"))
    }

    fn lab_key_now(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let private = self.private(lab);
        match self.key_at(&private, lab) {
            Ok(public) => Ok(self.with_lock(private, public)),
            Err(e) => Err(port::KeyError { doing: "cannot make or read the key", path: private, why: e.reason() }),
        }
    }

    /// The new pair is whole before it takes the old one's place.
    fn renew_now(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let private = self.private(lab);
        let aside = self.folder.join(format!(".{lab}.new"));
        let failed = |why: String| port::KeyError { doing: "cannot make a new key", path: private.clone(), why };
        match fs::remove_file(&aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e.to_string())),
            _ => {}
        }
        let public = self.key_at(&aside, lab).map_err(|e| failed(e.reason()))?;
        fs::rename(&aside, &private).map_err(|e| failed(e.to_string()))?;
        Ok(self.with_lock(private, public))
    }

    fn with_lock(&self, private: PathBuf, public: String) -> LabKey {
        let locked = match &self.passphrase {
            _ if !matches!(identity(&private, None), Err(KeyError::Encrypted { .. })) => None,
            None => Some(Lock::NoPassphrase),
            Some(passphrase) => (!self.is_opened(&private, passphrase)).then_some(Lock::WrongPassphrase),
        };
        LabKey { private, public, locked }
    }

    /// Whether a key file is opened by the passphrase. Found out once for each state of the file: it is costly on
    /// purpose.
    fn is_opened(&self, private: &Path, passphrase: &SecretString) -> bool {
        let written = fs::metadata(private).and_then(|about| about.modified()).ok();
        let mut known = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, opened)) = known.get(private)
            && *at == written
        {
            return *opened;
        }
        // What is no key, or in another format, is for a login to tell.
        let key = read(private).ok().and_then(|pem| PrivateKey::from_openssh(pem.expose_secret()).ok());
        let opened = key.is_none_or(|key| key.decrypt(passphrase.expose_secret()).is_ok());
        known.insert(private.to_owned(), (written, opened));
        opened
    }

    fn password_now(&self, lab: &LabName, seat: &SeatName, from: &Password) -> Result<SecretString, port::KeyError> {
        if let Some(secret) = Secret::of_password(lab.as_str(), from) {
            let why = |e: ConfigError| port::KeyError {
                doing: "cannot get the password of",
                path: seat.as_str().into(),
                why: e.to_string(),
            };
            return secret.resolve().map_err(why);
        }
        self.derived(lab, &[seat.as_str()], 12)
    }

    /// Letters that follow from the lab's secret and some words, the same at every call.
    fn derived(&self, lab: &LabName, words: &[&str], letters: usize) -> Result<SecretString, port::KeyError> {
        let path = self.secret(lab);
        let failed = |why: String| port::KeyError { doing: "cannot make or read the secret", path: path.clone(), why };
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|e| failed(e.to_string()))?;
        if !path.exists() {
            write_once(&path, &fresh, self.mode).map_err(|e| failed(e.to_string()))?;
        }
        let secret = fs::read(&path).map_err(|e| failed(e.to_string()))?;
        if secret.len() != fresh.len() {
            return Err(failed(format!("it holds {} bytes instead of {}", secret.len(), fresh.len())));
        }
        // The secret comes first and has a fixed length: nobody can guess one seat's from another's.
        let digest = sha2::Sha256::new().chain_update(&secret).chain_update(words.join("/")).finalize();
        let letters = digest.iter().take(letters).map(|byte| char::from(READABLE[usize::from(byte % 32)]));
        Ok(SecretString::from(letters.collect::<String>()))
    }

    fn forget_now(&self, lab: &LabName) -> Result<(), port::KeyError> {
        for path in [self.private(lab), self.secret(lab)] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(port::KeyError { doing: "cannot remove", path, why: e.to_string() });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Files are waited for, and so are the commands that print passwords: neither holds up the runtime.
#[async_trait]
impl KeyRing for KeyFiles {
    async fn lab_key(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.lab_key_now(&lab)).await
    }

    async fn renew(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.renew_now(&lab)).await
    }

    async fn password(&self, lab: &LabName, seat: &SeatName, from: &Password) -> Result<SecretString, port::KeyError> {
        let (files, lab, seat, from) = (self.clone(), lab.clone(), seat.clone(), from.clone());
        apart(move || files.password_now(&lab, &seat, &from)).await
    }

    async fn has_made_passwords(&self, lab: &LabName) -> bool {
        let secret = self.secret(lab);
        apart(move || Ok(secret.exists())).await.unwrap_or(false)
    }

    async fn token(&self, lab: &LabName, seat: &SeatName, code: &JoinCode) -> Result<SecretString, port::KeyError> {
        let (files, lab, seat, code) = (self.clone(), lab.clone(), seat.clone(), code.clone());
        // No seat is called so: no password is ever a token.
        apart(move || files.derived(&lab, &["token", code.as_str(), seat.as_str()], TOKEN)).await
    }

    async fn forget(&self, lab: &LabName) -> Result<(), port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.forget_now(&lab)).await
    }
}

/// On a thread that may wait.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, port::KeyError> + Send + 'static,
) -> Result<T, port::KeyError> {
    let stopped = |e: tokio::task::JoinError| port::KeyError {
        doing: "stopped while reading",
        path: PathBuf::from("the keys"),
        why: e.to_string(),
    };
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
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

    #[tokio::test]
    async fn a_seats_password_stays_the_same_until_the_lab_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::new(folder.path().join("keys"), 0o640);
        let (lab, ada, grace) =
            (LabName::new("cs101").unwrap(), SeatName::new("ada").unwrap(), SeatName::new("grace").unwrap());
        let password =
            async |seat| files.password(&lab, seat, &Password::Generate).await.unwrap().expose_secret().to_owned();
        let first = password(&ada).await;
        assert_eq!(first.len(), 12);
        assert_eq!(first, password(&ada).await);
        assert_ne!(first, password(&grace).await);
        let key = files.lab_key(&lab).await.unwrap();
        assert_eq!(fs::metadata(&key.private).unwrap().permissions().mode() & 0o777, 0o640);
        files.forget(&lab).await.unwrap();
        files.forget(&lab).await.unwrap();
        assert_ne!(first, password(&ada).await);
        assert_ne!(key.public, files.lab_key(&lab).await.unwrap().public);
    }

    #[tokio::test]
    async fn a_labs_key_is_encrypted_where_a_passphrase_is_configured_and_its_public_half_stays_in_sight() {
        let folder = tempfile::tempdir().unwrap();
        let lab = LabName::new("cs101").unwrap();
        let plain = KeyFiles::new(folder.path(), 0o600);
        let before = plain.lab_key(&lab).await.unwrap();
        let sealed = plain.clone().sealed_with(Some(SecretString::from("open sesame")));
        assert_eq!(sealed.lab_key(&lab).await.unwrap(), before, "one that is there stays as it is");
        let key = sealed.renew(&lab).await.unwrap();
        assert!(key.public != before.public && key.public.ends_with(" homeroom cs101"), "{}", key.public);
        let known = plain.lab_key(&lab).await.unwrap();
        assert_eq!(known.public, key.public, "whoever has no passphrase knows the public half");
        assert_eq!((known.locked, key.locked, before.locked), (Some(Lock::NoPassphrase), None, None));
        let mistaken = plain.clone().sealed_with(Some(SecretString::from("open barley")));
        assert_eq!(mistaken.lab_key(&lab).await.unwrap().locked, Some(Lock::WrongPassphrase));
        assert_eq!(sealed.lab_key(&lab).await.unwrap().locked, None);
        let file = PrivateKey::from_openssh(fs::read_to_string(&key.private).unwrap()).unwrap();
        assert!(file.is_encrypted() && file.decrypt("open barley").is_err());
        let opened = file.decrypt("open sesame").unwrap();
        assert!(key.public.starts_with(opened.public_key().to_openssh().unwrap().split(" homeroom").next().unwrap()));
        assert!(matches!(identity(&key.private, None), Err(KeyError::Encrypted { .. })));
        assert!(!format!("{sealed:?}").contains("sesame"));
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
