//! Questions to the person at the terminal: whether to trust a host key, and a key file's passphrase.
//! Where nobody can be asked, nothing is.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::Path,
};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;

use super::exit::CliError;
use crate::{
    domain::answers::Bar,
    service::{ServiceError, Site},
};

/// How often a passphrase is asked for.
const TRIES: usize = 3;

/// Asks at most once for each host, and a few times for each key.
#[derive(Debug, Default)]
pub struct Asker {
    asked: Vec<Bar>,
    /// Ctrl-C was the answer: nothing more is asked.
    given_up: bool,
}

impl Asker {
    /// Asks about everything that stands before logins on a site, before any is tried again; what was done away with.
    pub fn lift_all(&mut self, site: Option<&Site>, bars: BTreeSet<Bar>) -> Result<BTreeSet<Bar>, CliError> {
        let mut lifted = BTreeSet::new();
        for bar in bars {
            if self.lift(site, &bar)? {
                lifted.insert(bar);
            }
        }
        Ok(lifted)
    }

    /// Does away with what stands before a login on a site; false when it still does, and trying again is of no use.
    pub fn lift(&mut self, site: Option<&Site>, bar: &Bar) -> Result<bool, CliError> {
        // A container is entered without a login.
        let Some(site) = site else { return Ok(false) };
        if self.given_up || !is_somebody_there() {
            return Ok(false);
        }
        let before = self.asked.iter().filter(|asked| *asked == bar).count();
        self.asked.push(bar.clone());
        match bar {
            Bar::Stranger { host, fingerprint, key } if before == 0 => {
                let compare =
                    "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there shows it, or the key of its type";
                let question = format!(
                    "{host} shows an SSH host key nobody has trusted yet:\n  {fingerprint}\n  ({compare})\nTrust it? [y/N] "
                );
                match line(&question)? {
                    Some(answer) if is_yes(&answer) => {}
                    answer => {
                        self.given_up = answer.is_none();
                        return Ok(false);
                    }
                }
                site.shell.trust(host, key).map_err(|why| ServiceError::NotNow(why.to_string()))?;
                Ok(true)
            }
            Bar::Locked { key } if before < TRIES => {
                let again = if before > 0 { "That does not open it. " } else { "" };
                let given = passphrase(&format!("{again}Passphrase of {}: ", key.display()))
                    .map_err(|source| CliError::Io { doing: "cannot ask".to_owned(), source })?;
                let Some(given) = given else {
                    self.given_up = true;
                    return Ok(false);
                };
                site.shell.unlock(Path::new(key), given);
                Ok(true)
            }
            Bar::Stranger { .. } | Bar::Locked { .. } => Ok(false),
        }
    }
}

/// Whether a question would be seen and answered.
pub fn is_somebody_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks whether to go on: anything but a yes is none.
pub fn yes(question: &str) -> Result<bool, CliError> {
    Ok(line(question)?.is_some_and(|answer| is_yes(&answer)))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Ctrl-C, as a terminal sends it.
const INTERRUPT: u8 = 3;

/// Reads a line; none when Ctrl-C was typed.
fn line(question: &str) -> Result<Option<String>, CliError> {
    let typed = asked(
        question,
        |modes| {
            // Whoever asks hears signals, and would go on waiting for the end of the line.
            modes.local_modes.remove(LocalModes::ISIG);
            modes.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        },
        |terminal| {
            let mut line = Vec::new();
            let mut byte = [0];
            while terminal.read(&mut byte)? == 1 && byte[0] != b'\n' {
                if byte[0] == INTERRUPT {
                    let _ = terminal.write_all(b"\n");
                    return Ok(None);
                }
                line.push(byte[0]);
            }
            Ok(Some(String::from_utf8_lossy(&line).into_owned()))
        },
    );
    typed.map_err(|source| CliError::Io { doing: "cannot ask".to_owned(), source })
}

/// Reads a line that is not shown; none when Ctrl-C, Ctrl-D on nothing, or nothing at all was typed.
fn passphrase(question: &str) -> io::Result<Option<SecretString>> {
    asked(
        question,
        |modes| {
            // Signals too: one that ended the program here would leave the terminal mute.
            modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
            modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        },
        |terminal| {
            let typed = hidden_line(terminal);
            let _ = terminal.write_all(b"\n");
            typed
        },
    )
}

/// Puts a question on the terminal and reads the answer with its modes changed, which are as before afterwards.
fn asked<T>(
    question: &str,
    change: impl FnOnce(&mut Termios),
    read: impl FnOnce(&mut File) -> io::Result<T>,
) -> io::Result<T> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut changed = before.clone();
    change(&mut changed);
    // Before the question is seen: who answers at once shall not be shown, nor lose the first letters.
    tcsetattr(&terminal, OptionalActions::Flush, &changed)?;
    let typed = terminal.write_all(question.as_bytes()).and_then(|()| read(&mut terminal));
    let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    typed
}

fn hidden_line(terminal: &mut File) -> io::Result<Option<SecretString>> {
    let mut typed = Vec::new();
    let mut byte = [0];
    loop {
        let n = terminal.read(&mut byte)?;
        match byte[0] {
            b'\r' | b'\n' => break,
            INTERRUPT => return Ok(None),
            _ if n == 0 => return Ok(None),
            4 if typed.is_empty() => return Ok(None),
            0x08 | 0x7f => drop(typed.pop()),
            0x15 => typed.clear(),
            byte => typed.push(byte),
        }
    }
    let text = String::from_utf8(typed).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}
