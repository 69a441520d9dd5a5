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
    /// The pair before it, as long as not every machine has the new one.
    pub old: Option<OldKey>,
}

/// A pair that was renewed and still opens some machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldKey {
    pub private: PathBuf,
    pub public: String,
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
    /// A new key pair for the lab in place of the old one, which is kept beside it until [`KeyRing::renewed`]; as long
    /// as it is, the same new pair again. The lab's passwords stay.
    async fn renew(&self, lab: &LabName) -> Result<LabKey, KeyError>;
    /// Every machine has the new pair: forgets the old one.
    async fn renewed(&self, lab: &LabName) -> Result<(), KeyError>;
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
    /// Forgets a lab's key and secret; no error if there is none.
    async fn forget(&self, lab: &LabName) -> Result<(), KeyError>;
}
