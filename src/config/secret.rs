//! Secrets: where they lie, and how they are had when needed. What is read is never shown.

use std::{
    fmt,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, Serializer};

use super::{
    ConfigError, Folders, Warning,
    error::Place,
    files::{read_text, words},
    reader::{Node, shorten},
};
use crate::domain::{Clean, class::Password};

/// How long a command may take; somebody may have to type a passphrase for it.
const COMMAND_WITHIN: Duration = Duration::from_secs(60);
/// More than this is no secret.
const LONGEST: u64 = 64 * 1024;

pub(super) const FORMS: &str =
    "{ env = \"NAME\" }, { file = \"PATH\" }, { command = \"COMMAND\" } or the secret itself in quotes";
const KEYS: &[&str] = &["env", "file", "command"];

/// A secret, not yet read. Neither its `Debug` nor its serialised form holds it.
#[derive(Clone)]
pub struct Secret {
    source: Source,
    /// What it is, for complaints: `sites.campus.token.secret`.
    key: String,
    place: Place,
}

#[derive(Clone)]
enum Source {
    Env(String),
    File(PathBuf),
    Command(String),
    Literal(SecretString),
}

impl Secret {
    /// One that is known already, such as a simulated cluster's.
    pub fn literal(key: &str, secret: SecretString) -> Self {
        Self::new(Source::Literal(secret), key.to_owned(), Place { origin: "homeroom".to_owned(), line: None })
    }

    /// A seat's password, unless it is to be generated.
    pub fn of_password(lab: &str, password: &Password) -> Option<Self> {
        let source = match password {
            Password::Generate => return None,
            Password::Env(name) => Source::Env(name.clone()),
            Password::File(path) => Source::File(path.into()),
            Password::Command(line) => Source::Command(line.clone()),
        };
        let place = Place { origin: lab.to_owned(), line: None };
        Some(Self::new(source, "cloud_init.password".to_owned(), place))
    }

    fn new(source: Source, key: String, place: Place) -> Self {
        Self { source, key, place }
    }

    /// Reads one of the four forms; a literal earns a warning.
    pub(super) fn read(
        node: Node<'_>,
        folders: &Folders,
        folder: &std::path::Path,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self, ConfigError> {
        let node = node.hushed();
        let source = if node.is_string() {
            let literal = node.text()?;
            warnings.push(node.warn(
                "is written out in this file; { env = … }, { file = … } or { command = … } keeps it out of backups and screens",
            ));
            Source::Literal(SecretString::from(literal.to_owned()))
        } else {
            match read_source(&node, folders, folder)? {
                Password::Env(name) => Source::Env(name),
                Password::File(path) => Source::File(path.into()),
                Password::Command(line) => Source::Command(line),
                Password::Generate => return Err(node.refuse(FORMS)),
            }
        };
        Ok(Self::new(source, node.path().to_owned(), node.place()))
    }

    /// The secret itself. Reads a file or runs a command: blocks, up to a minute.
    pub fn resolve(&self) -> Result<SecretString, ConfigError> {
        let secret = match &self.source {
            Source::Literal(secret) => return Ok(secret.clone()),
            Source::Env(name) => match std::env::var(name) {
                Ok(value) => SecretString::from(value),
                Err(std::env::VarError::NotPresent) => {
                    return Err(self.failed(format!("the environment variable {name} is not set; export it first")));
                }
                Err(_) => return Err(self.failed(format!("the environment variable {name} is not UTF-8 text"))),
            },
            Source::File(path) => SecretString::from(read_text(path, LONGEST).map_err(|e| self.failed(e.to_string()))?),
            Source::Command(line) => run(line, COMMAND_WITHIN).map_err(|why| self.failed(why))?,
        };
        // Password stores print the secret first and notes after it; files end in a line break.
        let first = secret.expose_secret().lines().next().unwrap_or_default().trim_end();
        if first.is_empty() {
            return Err(self.failed(format!("{} gave nothing", self.whence())));
        }
        Ok(SecretString::from(first.to_owned()))
    }

    fn failed(&self, why: String) -> ConfigError {
        ConfigError::Secret {
            place: self.place.clone(),
            key: self.key.clone(),
            why: Clean::new(why).as_str().to_owned(),
        }
    }

    fn whence(&self) -> String {
        match &self.source {
            Source::Env(name) => format!("the environment variable {name}"),
            Source::File(path) => path.display().to_string(),
            Source::Command(line) => format!("the command {}", program(line)),
            Source::Literal(_) => "the file".to_owned(),
        }
    }
}

/// `{ env | file | command = "…" }`, as a source that may be kept.
pub(super) fn read_source(
    node: &Node<'_>,
    folders: &Folders,
    folder: &std::path::Path,
) -> Result<Password, ConfigError> {
    if !node.is_table() {
        return Err(node.refuse(FORMS));
    }
    let table = node.table_of(KEYS)?;
    let mut found = Vec::new();
    if let Some(env) = table.get("env") {
        let name = env.text()?;
        if name.contains(['=', ' ', '$']) {
            return Err(env.complain(format!("{} must be the name of an environment variable, without $", env.path())));
        }
        found.push(Password::Env(name.to_owned()));
    }
    if let Some(file) = table.get("file") {
        found.push(Password::File(folders.locate(file.text()?, folder).to_string_lossy().into_owned()));
    }
    if let Some(command) = table.get("command") {
        found.push(Password::Command(command.text()?.to_owned()));
    }
    match (found.pop(), found.is_empty()) {
        (Some(source), true) => Ok(source),
        _ => Err(node.complain(format!("{} must have exactly one of env, file and command", node.path()))),
    }
}

/// The program a command line starts, without its arguments, which may hold secrets.
fn program(line: &str) -> String {
    match line.split_whitespace().next() {
        Some(word) if !word.contains('=') => shorten(word),
        _ => "given".to_owned(),
    }
}

/// Runs a shell command; its output, or why there is none. Its errors are shown, its output never.
fn run(line: &str, within: Duration) -> Result<SecretString, String> {
    let name = program(line);
    let mut child = Command::new("sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run the command {name}: {}", words(&e)))?;
    let until = Instant::now() + within;
    let output = collect(child.stdout.take());
    let errors = collect(child.stderr.take());
    let printed = output.recv_timeout(within);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(Some(status)) => {
                let said = errors.recv_timeout(Duration::from_millis(200)).unwrap_or_default();
                let said = Clean::new(String::from_utf8_lossy(&said));
                let said: String = said.as_str().chars().take(300).collect();
                let how = status.code().map_or("was killed".to_owned(), |code| format!("ended with {code}"));
                return Err(match said.is_empty() {
                    true => format!("the command {name} {how} and said nothing"),
                    false => format!("the command {name} {how}: {said}"),
                });
            }
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                // It may be gone in this very moment; then there is nothing left to end.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the command {name} gave no answer within {} s", within.as_secs_f32()));
            }
            Err(e) => return Err(format!("cannot wait for the command {name}: {}", words(&e))),
        }
    }
    let printed = printed.map_err(|_| format!("the command {name} kept its output open"))?;
    String::from_utf8(printed).map(SecretString::from).map_err(|_| format!("the command {name} printed no UTF-8 text"))
}

/// Reads a stream to its end on a thread of its own, so that a full pipe cannot block the command.
fn collect(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error is all there is.
            let _ = stream.take(LONGEST).read_to_end(&mut bytes);
        }
        // Nobody waits any more after a time-out.
        let _ = send.send(bytes);
    });
    receive
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Env(name) => write!(f, "Secret(env {name})"),
            Source::File(path) => write!(f, "Secret(file {})", path.display()),
            Source::Command(line) => write!(f, "Secret(command {})", program(line)),
            Source::Literal(_) => f.write_str("Secret(redacted)"),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(redacted)")
    }
}

impl PartialEq for Secret {
    /// The same source; a literal, the same text.
    fn eq(&self, other: &Self) -> bool {
        match (&self.source, &other.source) {
            (Source::Env(a), Source::Env(b)) | (Source::Command(a), Source::Command(b)) => a == b,
            (Source::File(a), Source::File(b)) => a == b,
            (Source::Literal(a), Source::Literal(b)) => a.expose_secret() == b.expose_secret(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Secret {
        Secret::new(
            Source::Command(line.to_owned()),
            "sites.campus.token.secret".to_owned(),
            Place { origin: "config.toml".to_owned(), line: Some(4) },
        )
    }

    #[test]
    fn a_command_gives_the_first_line_it_prints() {
        let secret = command("printf 'hunter2\\nnotes\\n'").resolve().unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
    }

    #[test]
    fn a_failing_command_shows_its_errors_and_never_its_output() {
        let error = command("echo hunter2; echo no such entry >&2; exit 3").resolve().unwrap_err().to_string();
        assert_eq!(error, "config.toml:4: sites.campus.token.secret: the command \"echo\" ended with 3: no such entry");
    }

    #[test]
    fn a_command_that_does_not_end_is_given_up() {
        let error = run("exec cat /dev/zero >/dev/null", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error, "the command \"exec\" gave no answer within 0.05 s");
    }

    #[test]
    fn a_command_that_prints_nothing_is_no_secret() {
        let error = command("true").resolve().unwrap_err().to_string();
        assert!(error.ends_with("the command \"true\" gave nothing"), "{error}");
    }

    #[test]
    fn neither_debug_nor_serialising_shows_a_secret() {
        let secret = Secret::literal("token", SecretString::from("hunter2".to_owned()));
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"(redacted)\"");
        assert_eq!(format!("{:?}", command("PASS=hunter2 show hunter2")), "Secret(command given)");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let source = Source::Env("HOMEROOM_TEST_NEVER_SET".to_owned());
        let place = Place { origin: "config.toml".to_owned(), line: Some(7) };
        let error = Secret::new(source, "sites.a.token.secret".to_owned(), place).resolve().unwrap_err().to_string();
        assert_eq!(
            error,
            "config.toml:7: sites.a.token.secret: the environment variable HOMEROOM_TEST_NEVER_SET is not set; export it first"
        );
    }
}
