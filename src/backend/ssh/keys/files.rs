//! The key files of all labs: their pairs, and the secrets their passwords follow from. Each file is whole or not there.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Digest as _;
use ssh_key::PrivateKey;

use super::{KeyError, identity, public_line, read, sealed_lab_key, write_once};
use crate::{
    config::{ConfigError, Secret},
    domain::{LabName, SeatName, class::Password, code::JoinCode},
    port::{
        KeyRing,
        keys::{self as port, LabKey, Lock},
    },
};

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

    /// The pair before, while machines are given the new one.
    fn old(&self, lab: &LabName) -> PathBuf {
        self.folder.join(format!("{lab}.old"))
    }

    fn secret(&self, lab: &LabName) -> PathBuf {
        self.folder.join(format!("{lab}.secret"))
    }

    fn lab_key_now(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let private = self.private(lab);
        match self.key_at(&private, lab) {
            Ok(public) => Ok(self.with_lock(lab, private, public)),
            Err(e) => Err(port::KeyError { doing: "cannot make or read the key", path: private, why: e.reason() }),
        }
    }

    /// The new pair is whole before it takes the old one's place, and the old one is kept before that: machines let it
    /// in until they were given the new one, whatever ends this process in between.
    fn renew_now(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let key = self.lab_key_now(lab)?;
        if key.old.is_some() {
            return Ok(key);
        }
        let (private, old) = (key.private, self.old(lab));
        let aside = self.folder.join(format!(".{lab}.new"));
        let failed = |why: String| port::KeyError { doing: "cannot make a new key", path: private.clone(), why };
        match fs::remove_file(&aside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e.to_string())),
            _ => {}
        }
        let public = self.key_at(&aside, lab).map_err(|e| failed(e.reason()))?;
        // What is there already was left by one that got no further than this: it is the same pair.
        let before = fs::read(&private).map_err(|e| failed(e.to_string()))?;
        write_once(&old, &before, self.mode).map_err(|e| failed(e.to_string()))?;
        fs::rename(&aside, &private).map_err(|e| failed(e.to_string()))?;
        Ok(self.with_lock(lab, private, public))
    }

    /// The pair before, unless it is the same.
    fn old_now(&self, lab: &LabName, public: &str) -> Option<port::OldKey> {
        let private = self.old(lab);
        let old = public_line(&private).ok()?;
        let blob = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        (blob(&old) != blob(public)).then_some(port::OldKey { private, public: old })
    }

    fn with_lock(&self, lab: &LabName, private: PathBuf, public: String) -> LabKey {
        let locked = match &self.passphrase {
            _ if !matches!(identity(&private, None), Err(KeyError::Encrypted { .. })) => None,
            None => Some(Lock::NoPassphrase),
            Some(passphrase) => (!self.is_opened(&private, passphrase)).then_some(Lock::WrongPassphrase),
        };
        let old = self.old_now(lab, &public);
        LabKey { private, public, locked, old }
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
        [self.private(lab), self.old(lab), self.secret(lab)].into_iter().try_for_each(removed)
    }
}

/// Removes a file, if it is there.
fn removed(path: PathBuf) -> Result<(), port::KeyError> {
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(port::KeyError { doing: "cannot remove", path, why: e.to_string() })
        }
        _ => Ok(()),
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

    async fn renewed(&self, lab: &LabName) -> Result<(), port::KeyError> {
        let old = self.old(lab);
        apart(move || removed(old)).await
    }

    async fn password(&self, lab: &LabName, seat: &SeatName, from: &Password) -> Result<SecretString, port::KeyError> {
        let (files, lab, seat, from) = (self.clone(), lab.clone(), seat.clone(), from.clone());
        apart(move || files.password_now(&lab, &seat, &from)).await
    }

    async fn has_made_passwords(&self, lab: &LabName) -> bool {
        let secret = self.secret(lab);
        apart(move || Ok(secret.exists())).await.unwrap_or(false)
    }

    async fn token(
        &self,
        lab: &LabName,
        seat: &SeatName,
        code: &JoinCode,
        round: u32,
    ) -> Result<SecretString, port::KeyError> {
        let (files, lab, seat, code) = (self.clone(), lab.clone(), seat.clone(), code.clone());
        let round = if round > 0 { format!("{seat}/{round}") } else { seat.to_string() };
        // No seat is called so: no password is ever a token.
        apart(move || files.derived(&lab, &["token", code.as_str(), &round], TOKEN)).await
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

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
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&key.private), mode(key.private.parent().unwrap())), (0o640, 0o2770));
        files.forget(&lab).await.unwrap();
        files.forget(&lab).await.unwrap();
        assert_ne!(first, password(&ada).await);
        assert_ne!(key.public, files.lab_key(&lab).await.unwrap().public);
    }

    #[tokio::test]
    async fn the_key_before_a_renewed_one_is_kept_until_every_machine_has_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let files = KeyFiles::new(folder.path().join("keys"), 0o600);
        let lab = LabName::new("cs101").unwrap();
        let first = files.lab_key(&lab).await.unwrap();
        assert_eq!(first.old, None);
        // Ended after the old one was kept and before the new one was in its place.
        fs::hard_link(&first.private, folder.path().join("keys/cs101.old")).unwrap();
        assert_eq!(files.lab_key(&lab).await.unwrap(), first);
        let second = files.renew(&lab).await.unwrap();
        let old = second.old.clone().unwrap();
        assert!(second.public != first.public && old.public == first.public);
        assert_eq!(public_line(&old.private).unwrap(), first.public);
        assert_eq!(fs::metadata(&old.private).unwrap().permissions().mode() & 0o777, 0o600);
        // Asked again before all have it: no third one.
        assert_eq!(files.renew(&lab).await.unwrap(), second);
        files.renewed(&lab).await.unwrap();
        files.renewed(&lab).await.unwrap();
        assert_eq!(files.lab_key(&lab).await.unwrap().old, None);
        let third = files.renew(&lab).await.unwrap();
        assert_eq!(third.old.unwrap().public, second.public);
        files.forget(&lab).await.unwrap();
        assert_eq!(fs::read_dir(folder.path().join("keys")).unwrap().count(), 0);
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
        sealed.renewed(&lab).await.unwrap();
        let key = sealed.lab_key(&lab).await.unwrap();
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
}
