//! Questions to the person at the terminal: whether to trust a host key, and a key file's passphrase.
//! Where nobody can be asked, nothing is.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::Path,
};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
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
}

impl Asker {
    /// Does away with what stands before a login on a site; false when it still does, and trying again is of no use.
    pub fn lift(&mut self, site: Option<&Site>, bar: &Bar) -> Result<bool, CliError> {
        // A container is entered without a login.
        let Some(site) = site else { return Ok(false) };
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
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
                if !matches!(line(&question)?.trim(), "y" | "Y" | "yes") {
                    return Ok(false);
                }
                site.shell.trust(host, key).map_err(|why| ServiceError::NotNow(why.to_string()))?;
                Ok(true)
            }
            Bar::Locked { key } if before < TRIES => {
                let again = if before > 0 { "That does not open it. " } else { "" };
                let given = passphrase(&format!("{again}Passphrase of {}: ", key.display()))
                    .map_err(|source| CliError::Io { doing: "cannot ask".to_owned(), source })?;
                let Some(given) = given else { return Ok(false) };
                site.shell.unlock(Path::new(key), given);
                Ok(true)
            }
            Bar::Stranger { .. } | Bar::Locked { .. } => Ok(false),
        }
    }
}

fn line(question: &str) -> Result<String, CliError> {
    let failed = |source| CliError::Io { doing: "cannot ask".to_owned(), source };
    let mut err = io::stderr().lock();
    err.write_all(question.as_bytes()).and_then(|()| err.flush()).map_err(failed)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}

/// Reads a line that is not shown; none when Ctrl-C, Ctrl-D on nothing, or nothing at all was typed.
fn passphrase(question: &str) -> io::Result<Option<SecretString>> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut hidden = before.clone();
    // Signals too: one that ended the program here would leave the terminal mute.
    hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
    // Before the question is seen: who answers at once shall not be shown, nor lose the first letters.
    tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
    let typed = terminal.write_all(question.as_bytes()).and_then(|()| hidden_line(&mut terminal));
    let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    let _ = terminal.write_all(b"\n");
    typed
}

fn hidden_line(terminal: &mut File) -> io::Result<Option<SecretString>> {
    let mut typed = Vec::new();
    let mut byte = [0];
    loop {
        let n = terminal.read(&mut byte)?;
        match byte[0] {
            b'\r' | b'\n' => break,
            3 => return Ok(None),
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
