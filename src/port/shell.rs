//! Logins by SSH: one command, or a terminal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use thiserror::Error;
use tokio::sync::mpsc;

use super::{
    agent::ExecOutput,
    copy::{Copied, CopyError, Transfer},
};
use crate::domain::{Clean, LabName, answers::Bar};

/// Where to log in, and how to know it is the right machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellTarget {
    /// Host name or address.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// Private keys to offer, in OpenSSH's format, by file.
    pub keys: Vec<PathBuf>,
    /// Whether the user's ssh-agent may be asked after them. A proof of one key may not.
    pub ask_agent: bool,
    pub host_key: HostKey,
    /// Through this machine (`direct-tcpip`), if any.
    pub via: Option<Box<ShellTarget>>,
}

/// How a host proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// Must be one of these, each `TYPE BASE64`: read through the guest agent beforehand.
    Exactly(Vec<String>),
    /// Must stand in homeroom's own known_hosts file under host and port.
    Known,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShellError {
    #[error("{host}: cannot connect: {why}")]
    Unreachable { host: String, why: Clean },
    /// Nobody has trusted this key yet. `host` is spelt as known_hosts spells it (`[host]:port` off
    /// port 22), `key` is the key shown, `TYPE BASE64`: together what trusting it takes.
    #[error(
        "{host} shows a host key nobody trusted yet: {fingerprint}; compare it with what `ssh-keygen -lf \
         /etc/ssh/ssh_host_ed25519_key.pub` prints there, then run `homeroom doctor --trust {fingerprint}`"
    )]
    UnknownHost { host: String, fingerprint: String, key: String },
    /// Another key than the one on record, whose fingerprint is `known` ([`REVOKED`] where the one shown is marked so);
    /// `key` is the key shown, `TYPE BASE64`.
    /// `guest`: the record is what a guest agent told, not homeroom's own file.
    #[error("{host} shows {}", wrong_host(fingerprint, known, *guest))]
    WrongHost { host: String, fingerprint: String, known: String, key: String, guest: bool },
    /// `locked` is a key file that could not be tried because nobody gave its passphrase, or gave a wrong one.
    #[error("{host}: {user} is not let in: {why}")]
    Denied { host: String, user: String, why: Clean, locked: Option<PathBuf> },
    /// The host was not asked: no key named for it can be used, and no ssh-agent is there.
    #[error(
        "{host} was not asked: there is no key to log in with as {user}: {why}; name one that is there in the site's \
         configuration, make it with `ssh-keygen -t ed25519`, or load one into ssh-agent"
    )]
    NoKey { host: String, user: String, why: Clean },
    #[error("{host}: {why}")]
    Broken { host: String, why: Clean },
    #[error("{host}: no answer within {} s", within.as_secs())]
    TimedOut { host: String, within: Duration },
}

/// Said in place of a fingerprint on record of a key that is marked as revoked there.
pub const REVOKED: &str = "revoked";

/// What is wrong with a host key, and what to do about it.
fn wrong_host(fingerprint: &str, known: &str, guest: bool) -> String {
    if known == REVOKED {
        return format!(
            "a host key that is marked as revoked in homeroom's known_hosts: {fingerprint}; whoever has it may be \
             anybody: give the host a new one (`ssh-keygen -A` after removing the old files)"
        );
    }
    let what = format!("another host key than the one on record: {fingerprint}, not {known}");
    let mend = if guest {
        "either another machine answers at this address, or its keys were made anew: `homeroom check LAB/SEAT` asks its \
         guest agent which, and says how to go on"
            .to_owned()
    } else {
        format!("find out why. If it was set up anew, `homeroom doctor --trust {fingerprint}` takes the new key")
    };
    format!("{what}; {mend}")
}

impl ShellError {
    /// What a person at the terminal could do away with.
    pub fn bar(&self) -> Option<Bar> {
        match self {
            Self::UnknownHost { host, fingerprint, key } => {
                let (host, fingerprint, key) = (host.clone(), fingerprint.clone(), key.clone());
                Some(Bar::Stranger { host, fingerprint, key })
            }
            Self::Denied { locked: Some(key), .. } => Some(Bar::Locked { key: key.clone() }),
            _ => None,
        }
    }

    /// The same where a lab's own key should have opened the machine, with what gives it the key.
    #[must_use]
    pub fn of_lab(self, lab: &LabName) -> Self {
        match self {
            Self::Denied { host, user, why, locked: None } if why.as_str().contains(" was refused") => {
                let why = Clean::new(format!(
                    "{why}; `homeroom key {lab} --renew` gives the machine a new key through its guest agent, and \
                     `homeroom exec {lab} --via agent` needs none"
                ));
                Self::Denied { host, user, why, locked: None }
            }
            other => other,
        }
    }

    /// Trying again later may work: nothing is wrong with keys or trust.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. })
    }
}

/// The terminal that is asked for on the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tty {
    /// Columns and rows.
    pub size: (u16, u16),
    /// `TERM`: what programs there look up to know what it can do.
    pub term: String,
    /// `COLORTERM`, where the far side takes it: what `TERM` does not say of colours.
    pub colours: Option<String>,
}

/// Known everywhere, and not far from what terminals in use are.
const USUAL: &str = "xterm-256color";
/// The longest name of a terminal that is passed on, in bytes.
const LONGEST_TERM: usize = 64;

impl Tty {
    /// What nearly every terminal is.
    pub fn usual(size: (u16, u16)) -> Self {
        Self { size, term: USUAL.to_owned(), colours: None }
    }

    /// The user's own terminal, as its variables say.
    pub fn own(size: (u16, u16), var: impl Fn(&str) -> Option<String>) -> Self {
        let named = |name| var(name).filter(|value| is_name(value));
        let term = named("TERM").unwrap_or_else(|| USUAL.to_owned());
        Self { size, term, colours: named("COLORTERM") }
    }

    /// A part of a screen of cells: what tmux is, without what a grid of cells cannot do (repeated letters, its own
    /// colours for what is cleared), and with all colours.
    pub fn pane(size: (u16, u16)) -> Self {
        Self { size, term: "tmux-256color".to_owned(), colours: Some("truecolor".to_owned()) }
    }
}

/// Whether it may be the name of a terminal: it ends up in other people's environments and file names.
fn is_name(text: &str) -> bool {
    let odd = |byte: u8| !byte.is_ascii_alphanumeric() && !b"-_.+".contains(&byte);
    !text.is_empty()
        && text.len() <= LONGEST_TERM
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && !text.bytes().any(odd)
}

/// What goes into an open terminal, or into a command that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellInput {
    Bytes(Vec<u8>),
    /// Columns, rows. A command without a terminal has no use for it.
    Resize(u16, u16),
    Eof,
}

/// What comes out of an open terminal, or of a command that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShellOutput {
    Bytes(Vec<u8>),
    /// A command's standard error; in a terminal it is mixed with the rest.
    Stderr(Vec<u8>),
    /// Ended, with its exit status: 128 and the signal's number after a signal.
    Exit(i32),
    /// The connection broke.
    Lost(Clean),
}

/// An open terminal, or a command that was started. Dropping it closes the connection.
#[derive(Debug)]
pub struct ShellSession {
    pub input: mpsc::Sender<ShellInput>,
    pub output: mpsc::Receiver<ShellOutput>,
}

#[async_trait]
pub trait RemoteShell: Send + Sync {
    /// Takes the passphrase of a key file, for as long as the program runs. A wrong one shows at the next login.
    fn unlock(&self, key: &Path, passphrase: SecretString);

    /// Whether the passphrase of a key file was given here. Another process does not know it.
    fn is_unlocked(&self, _key: &Path) -> bool {
        false
    }

    /// Writes down that a person trusts a host key, given as [`ShellError::UnknownHost`] tells it.
    fn trust(&self, host: &str, key: &str) -> Result<(), Clean>;

    /// Logs in, runs one command and returns what it printed. `within` is wall time.
    async fn run(&self, target: &ShellTarget, command: &str, within: Duration) -> Result<ExecOutput, ShellError>;

    /// Logs in and starts one command without a terminal: input, output and standard error as they come,
    /// byte for byte. A reader that takes its time holds the command up, and nothing piles up on the way.
    async fn start(&self, target: &ShellTarget, command: &str) -> Result<ShellSession, ShellError>;

    /// Waits until commands that were given up have been told so, `within` of wall time: a program that ends sooner may
    /// leave them running.
    async fn settle(&self, _within: Duration) {}

    /// Logs in and copies files. Waits as long as something moves; dropping the future ends it.
    async fn copy(&self, target: &ShellTarget, transfer: &Transfer) -> Result<Copied, CopyError>;

    /// Opens a terminal: the login shell, or `command`.
    async fn open_as(&self, target: &ShellTarget, tty: &Tty, command: Option<&str>)
    -> Result<ShellSession, ShellError>;

    /// The same, for the usual terminal of `size` columns and rows.
    async fn open(
        &self,
        target: &ShellTarget,
        size: (u16, u16),
        command: Option<&str>,
    ) -> Result<ShellSession, ShellError> {
        self.open_as(target, &Tty::usual(size), command).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_terminal_is_passed_on_and_nonsense_is_not() {
        let own = |term: Option<&str>, colours: Option<&str>| {
            let var = |name: &str| if name == "TERM" { term } else { colours }.map(str::to_owned);
            let tty = Tty::own((80, 24), var);
            (tty.term, tty.colours)
        };
        assert_eq!(own(Some("foot-extra"), Some("truecolor")), ("foot-extra".to_owned(), Some("truecolor".to_owned())));
        for wrong in ["", "../../etc/passwd", "xterm\nrm", "-rf", "x;reboot", &"x".repeat(65)] {
            assert_eq!(own(Some(wrong), Some(wrong)), (USUAL.to_owned(), None), "{wrong:?}");
        }
        assert_eq!(own(None, None).0, USUAL);
    }
}
