//! What stands before logins until the person at the screen has had a word: a host key nobody trusted yet, a
//! key file's passphrase. Asked one after the other, each once for all who wait for the same.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use tui_input::Input;

use super::Effect;
use crate::domain::{LabName, SiteName, answers::Bar};

/// A passphrase on its way to whoever opens the key with it.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl Passphrase {
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// A field whose text is neither shown nor told.
#[derive(Default)]
pub struct Masked(pub Input);

impl Masked {
    /// What was typed, for the one it is meant for; the field is empty afterwards.
    pub fn take(&mut self) -> Passphrase {
        Passphrase(SecretString::from(self.0.value_and_reset()))
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masked")
    }
}

/// On whose behalf is logged in: it says whose keys and which record of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    Lab(LabName),
    Site(SiteName),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lab(lab) => lab.fmt(f),
            Self::Site(site) => site.fmt(f),
        }
    }
}

/// One question, and what is tried again once it is answered.
#[derive(Debug)]
pub struct Question {
    pub at: At,
    pub bar: Bar,
    pub then: Vec<Effect>,
    /// A passphrase that was given did not open the key.
    pub again: bool,
    /// Nothing was typed for a moment: a key that is pressed now was pressed by somebody who could have read it. Until
    /// then a host is trusted by no key, for it may be a letter of what is being typed for a shell.
    pub awake: bool,
    pub typed: Masked,
}

/// Questions that are still to be asked.
#[derive(Debug, Default)]
pub struct Bars {
    pub(super) waiting: Vec<Question>,
    /// Keys a passphrase was given for.
    tried: BTreeSet<PathBuf>,
}

impl Bars {
    /// The question a bar makes.
    pub(super) fn question(&self, at: At, bar: Bar, then: Vec<Effect>) -> Question {
        let again = matches!(&bar, Bar::Locked { key } if self.tried.contains(key));
        Question { at, bar, then, again, awake: false, typed: Masked::default() }
    }

    pub(super) fn tried(&mut self, bar: &Bar) {
        if let Bar::Locked { key } = bar {
            self.tried.insert(key.clone());
        }
    }
}
