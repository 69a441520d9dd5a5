//! The key files of all labs: their pairs, and the secrets their passwords follow from. Each file is whole or not there.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Digest as _;
use ssh_key::PrivateKey;

use super::{
    KeyError, identity, is_open, is_shared, public_line, read, renewal::gone, sealed_lab_key, words, write_once,
};
use crate::{
    config::{ConfigError, Secret},
    domain::{LabName, SeatName, class::Password, code::JoinCode},
    port::{
        KeyRing,
        keys::{self as port, Kept, LabKey, Lock, Renewal, Renewing},
    },
};

/// The key files of all labs, in one folder beside the store: `LAB` and `LAB.secret`, and those of a renewal.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    pub(super) folder: PathBuf,
    pub(super) mode: u32,
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

    /// The pair in a file, made if it is not there: its public half.
    pub(super) fn key_at(&self, private: &Path, lab: &LabName) -> Result<String, KeyError> {
        sealed_lab_key(private, &comment(lab), self.mode, self.passphrase.as_ref())
    }

    /// The public half of a file that is there.
    pub(super) fn public_at(&self, private: &Path, lab: &LabName) -> Result<String, KeyError> {
        Ok(commented(public_line(private)?, &comment(lab)))
    }

    pub(super) fn private(&self, lab: &LabName) -> PathBuf {
        self.folder.join(lab.as_str())
    }

    fn secret(&self, lab: &LabName) -> PathBuf {
        self.beside(lab, "secret")
    }

    /// No lab's name has a dot in it.
    pub(super) fn beside(&self, lab: &LabName, what: &str) -> PathBuf {
        self.folder.join(format!("{lab}.{what}"))
    }

    pub(super) fn lab_key_now(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        match self.kept_now(lab)? {
            Kept::Pair(key) => return Ok(key),
            Kept::Damaged(error) => return Err(error),
            Kept::Nothing => {}
        }
        let private = self.private(lab);
        match self.key_at(&private, lab) {
            Ok(public) => Ok(self.with_lock(private, public, None)),
            Err(e) => Err(port::KeyError { doing: "cannot make or read the key", path: private, why: e.reason() }),
        }
    }

    pub(super) fn with_lock(&self, private: PathBuf, public: String, renewal: Option<Renewal>) -> LabKey {
        let locked = match &self.passphrase {
            _ if !matches!(identity(&private, None), Err(KeyError::Encrypted { .. })) => None,
            None => Some(Lock::NoPassphrase),
            Some(passphrase) => (!self.is_opened(&private, passphrase)).then_some(Lock::WrongPassphrase),
        };
        LabKey { private, public, locked, renewal }
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

    pub(super) fn forget_now(&self, lab: &LabName) -> Result<(), port::KeyError> {
        let all = [self.private(lab), self.secret(lab)].into_iter().chain(self.of_renewal(lab));
        all.into_iter().try_for_each(|path| gone(&path))
    }
}

/// What stands behind a lab's public half.
fn comment(lab: &LabName) -> String {
    format!("homeroom {lab}")
}

/// A public half with its comment, which an encrypted file keeps to itself.
pub(super) fn commented(line: String, comment: &str) -> String {
    if words(&line) < 3 { format!("{line} {comment}") } else { line }
}

/// Files are waited for, and so are the commands that print passwords: neither holds up the runtime.
#[async_trait]
impl KeyRing for KeyFiles {
    async fn lab_key(&self, lab: &LabName) -> Result<LabKey, port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.lab_key_now(&lab)).await
    }

    async fn kept_key(&self, lab: &LabName) -> Result<Kept, port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.kept_now(&lab)).await
    }

    async fn begin_renewal(&self, lab: &LabName, seats: &[SeatName]) -> Result<Renewing, port::KeyError> {
        let (files, lab, seats) = (self.clone(), lab.clone(), seats.to_vec());
        apart(move || files.begin_renewal_now(&lab, &seats)).await
    }

    async fn owe(&self, lab: &LabName, seats: &[SeatName]) -> Result<(), port::KeyError> {
        let (files, lab, seats) = (self.clone(), lab.clone(), seats.to_vec());
        apart(move || files.owe_now(&lab, &seats)).await
    }

    async fn put_in_place(&self, lab: &LabName) -> Result<(), port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.place_now(&lab)).await
    }

    async fn end_renewal(&self, lab: &LabName) -> Result<(), port::KeyError> {
        let (files, lab) = (self.clone(), lab.clone());
        apart(move || files.end_renewal_now(&lab)).await
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

    async fn closed_to_team(&self) -> Option<PathBuf> {
        let (folder, is_shared) = (self.folder.clone(), is_shared(self.mode));
        // One that is not there yet is made open.
        let closed = apart(move || Ok(is_shared && fs::metadata(&folder).is_ok_and(|about| !is_open(&about))));
        closed.await.unwrap_or(false).then(|| self.folder.clone())
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
    async fn a_teams_folder_that_its_group_may_not_write_in_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let of = |mode| KeyFiles::new(folder.path().join("keys"), mode);
        assert_eq!(of(0o640).closed_to_team().await, None, "it is still to be made");
        fs::create_dir(folder.path().join("keys")).unwrap();
        for (mode, closed) in [(0o2750, true), (0o770, true), (0o2770, false)] {
            fs::set_permissions(folder.path().join("keys"), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(of(0o640).closed_to_team().await.is_some(), closed, "{mode:o}");
            assert_eq!(of(0o600).closed_to_team().await, None, "one person's is theirs alone");
        }
    }

    #[tokio::test]
    async fn a_labs_key_is_encrypted_where_a_passphrase_is_configured_and_its_public_half_stays_in_sight() {
        let folder = tempfile::tempdir().unwrap();
        let lab = LabName::new("cs101").unwrap();
        let plain = KeyFiles::new(folder.path(), 0o600);
        let before = plain.lab_key(&lab).await.unwrap();
        let sealed = plain.clone().sealed_with(Some(SecretString::from("open sesame")));
        assert_eq!(sealed.lab_key(&lab).await.unwrap(), before, "one that is there stays as it is");
        let seats = [SeatName::new("ada").unwrap()];
        sealed.begin_renewal(&lab, &seats).await.unwrap();
        sealed.put_in_place(&lab).await.unwrap();
        sealed.end_renewal(&lab).await.unwrap();
        let key = sealed.lab_key(&lab).await.unwrap();
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
}
