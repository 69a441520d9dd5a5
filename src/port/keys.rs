//! Keys: each lab's own SSH key pair, and the passwords made for its seats.
//!
//! Private halves are files beside the store and never go into it. Passwords are not kept at all:
//! they are derived from a secret file of the lab, so that `roster` can print them again.

use std::path::PathBuf;

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;

use crate::domain::{LabName, SeatName, class::Password, code::JoinCode};

/// A key file could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{doing} {}: {why}", .path.display())]
pub struct KeyError {
    /// Such as "cannot write the key".
    pub doing: &'static str,
    pub path: PathBuf,
    pub why: String,
}

/// A lab's key pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabKey {
    /// The file of the private half.
    pub private: PathBuf,
    /// The public half in OpenSSH's one-line form.
    pub public: String,
    /// Why the configuration does not open it, if so.
    pub locked: Option<Lock>,
    /// A renewal of it that has not come to its end.
    pub renewal: Option<Renewal>,
}

impl LabKey {
    /// The files to offer at a login: any of them may be the one a machine lets in.
    pub fn offered(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.private).chain(self.beside().map(|(private, _)| private))
    }

    /// The public halves: any of them may be the one a machine has.
    pub fn publics(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.public.as_str()).chain(self.beside().map(|(_, public)| public.as_str()))
    }

    fn beside(&self) -> impl Iterator<Item = &(PathBuf, String)> {
        self.renewal.iter().flat_map(|renewal| &renewal.pairs)
    }
}

/// A renewal under way: the machines do not all let the same key in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The pairs beside the one in place: the file of the private half, and the public half.
    pub pairs: Vec<(PathBuf, String)>,
    /// Seats that may not have the new key, or still let the old one in. Empty where that was not written down yet.
    pub seats: Vec<SeatName>,
}

/// The two public halves of a renewal that is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewing {
    pub new: String,
    /// None where it is lost.
    pub old: Option<String>,
}

/// What there is of a lab's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    /// There is a file, and it is no key.
    Damaged(KeyError),
    Pair(LabKey),
}

/// Why an encrypted key cannot be opened as the configuration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// It does not say with which passphrase.
    NoPassphrase,
    /// Its passphrase is of another key, or mistyped.
    WrongPassphrase,
}

#[async_trait]
pub trait KeyRing: Send + Sync {
    /// The lab's key pair, made on first use.
    async fn lab_key(&self, lab: &LabName) -> Result<LabKey, KeyError>;
    /// The lab's key pair as it is. Makes none.
    async fn kept_key(&self, lab: &LabName) -> Result<Kept, KeyError>;
    /// Makes a new pair beside the lab's own, to be given to these seats. Where one is under way, that one goes on. Both
    /// are kept until the renewal ends; the lab's passwords stay.
    async fn begin_renewal(&self, lab: &LabName, seats: &[SeatName]) -> Result<Renewing, KeyError>;
    /// Writes down which seats are not through with it.
    async fn owe(&self, lab: &LabName, seats: &[SeatName]) -> Result<(), KeyError>;
    /// The new pair becomes the lab's own, and the old one is kept beside it.
    async fn put_in_place(&self, lab: &LabName) -> Result<(), KeyError>;
    /// Every machine has the new key and none the old one, which is removed.
    async fn end_renewal(&self, lab: &LabName) -> Result<(), KeyError>;
    /// A seat's password: fetched from where the definition says, or made for the seat, and then the
    /// same at every call as long as the lab's secret is kept. A command that fetches it may take its time.
    async fn password(&self, lab: &LabName, seat: &SeatName, from: &Password) -> Result<SecretString, KeyError>;
    /// Whether passwords were made for the lab here: they are the same again.
    async fn has_made_passwords(&self, lab: &LabName) -> bool;
    /// What opens a seat of a workshop for as long as it has this code and this is its round: how often the seat went
    /// before. The same at every call.
    async fn token(
        &self,
        lab: &LabName,
        seat: &SeatName,
        code: &JoinCode,
        round: u32,
    ) -> Result<SecretString, KeyError>;
    /// The folder of a team's key files, where it is not open to its group: others of the team can make, renew and remove
    /// none there.
    async fn closed_to_team(&self) -> Option<PathBuf> {
        None
    }
    /// Forgets a lab's keys and secret; no error if there is none.
    async fn forget(&self, lab: &LabName) -> Result<(), KeyError>;
}
