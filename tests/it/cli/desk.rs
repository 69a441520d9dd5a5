//! An admin's desk: a simulated cluster of its own, and the real binary at hand.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use homeroom::demo::{Stage, Staged};
use portable_pty::CommandBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::support::lab::pve_version;

/// Modelled seconds in one of the wall's.
const SPEED: f64 = 40.0;

/// A folder with a home, a configuration and definitions, beside a running cluster.
pub struct Desk {
    pub folder: TempDir,
    pub staged: Staged,
}

/// How a command ended.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Desk {
    /// On the default world.
    pub async fn new() -> Self {
        Self::at_speed(SPEED).await
    }

    pub async fn at_speed(speed: f64) -> Self {
        Self::on(None, speed).await
    }

    /// On a world of its own, given as a scenario file.
    pub async fn on(scenario: Option<&str>, speed: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scenario = scenario.map(|text| {
            let file = folder.path().join("scenario.toml");
            std::fs::write(&file, text).unwrap();
            file
        });
        let stage = Stage { scenario, version: pve_version(), listen: ([127, 0, 0, 1], 0).into(), speed };
        let staged = stage.with_config(&folder.path().join("sim"), &|_| {}).await.unwrap();
        Self { folder, staged }
    }

    /// The binary with this desk's configuration and a home of its own.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = bare(&self.folder.path().join("home"));
        command.env("HOMEROOM_CONFIG", &self.staged.config).args(words).current_dir(self.folder.path());
        command
    }

    /// The same for a terminal, which programs started from it need a path in.
    pub fn in_terminal(&self) -> CommandBuilder {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
        command.env_clear();
        command.env("HOME", self.folder.path().join("home"));
        command.env("HOMEROOM_CONFIG", &self.staged.config);
        command.env("PATH", "/usr/bin:/bin");
        command.env("LANG", "C.UTF-8");
        command.cwd("/");
        command
    }

    /// Runs a command to its end, with nothing to read.
    pub async fn run(&self, words: &[&str]) -> Answer {
        self.run_with(words, "").await
    }

    /// Runs a command that is given `input` to read.
    pub async fn run_with(&self, words: &[&str], input: &str) -> Answer {
        answer(self.command(words), input).await.without(self.folder.path())
    }

    /// What a command prints that must do well and complain of nothing.
    pub async fn done(&self, words: &[&str]) -> String {
        let answer = self.run(words).await;
        assert_eq!((answer.code, answer.err.as_str()), (0, ""), "{words:?}: {}", answer.out);
        answer.out
    }

    /// The one JSON object a command prints that must do well.
    pub async fn json(&self, words: &[&str]) -> Value {
        one_object(&self.done(words).await)
    }

    /// Writes a file on the desk; its path as an argument.
    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        name.to_owned()
    }

    /// Stores a definition.
    pub async fn apply(&self, text: &str) {
        let answer = self.run_with(&["apply", "-f", "-"], text).await;
        assert_eq!(answer.code, 0, "{}", answer.err);
    }

    /// The configuration with one part of its text replaced, under another name.
    pub fn altered(&self, from: &str, to: &str) -> PathBuf {
        let text = std::fs::read_to_string(&self.staged.config).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        let path = self.staged.folder.join("altered.toml");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        path
    }

    /// Runs a command under another configuration.
    pub async fn run_under(&self, config: &Path, words: &[&str]) -> Answer {
        let mut command = self.command(words);
        command.env("HOMEROOM_CONFIG", config);
        answer(command, "").await.without(self.folder.path())
    }

    /// All that could be lost or changed: what the store holds, and every guest of the cluster with its settings.
    pub async fn standing(&self) -> String {
        let store = &self.staged.home.store;
        let definitions = store.definitions().await.unwrap();
        let runs = store.runs(None, 100).await.unwrap();
        let (progress, _) = store.all_progress().await.unwrap();
        let guests = self.staged.cluster.world(|world| {
            world.guests.iter().map(|(vmid, vm)| format!("{vmid} {} {:?}\n", vm.node, vm.config)).collect::<String>()
        });
        format!("{definitions:#?}\n{runs:#?}\n{progress:#?}\n{guests}")
    }
}

/// The binary with a home of its own and nothing configured.
pub fn bare(home: &Path) -> Command {
    std::fs::create_dir_all(home).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
    for name in
        ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "SSH_AUTH_SOCK", "HOMEROOM_CONFIG", "HOMEROOM_LOG", "EDITOR", "VISUAL"]
    {
        command.env_remove(name);
    }
    command.env("HOME", home).env("TZ", "UTC").env("COLUMNS", "80").kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub async fn answer(mut command: Command, input: &str) -> Answer {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever reads nothing may have ended by now.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    Answer {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Answer {
    /// The same, where `folder` reads `DESK`.
    pub fn without(mut self, folder: &Path) -> Self {
        let folder = std::fs::canonicalize(folder).unwrap().display().to_string();
        self.out = self.out.replace(&folder, "DESK");
        self.err = self.err.replace(&folder, "DESK");
        self
    }

    /// Exit code and the whole complaint; nothing may have been printed as an answer.
    pub fn refusal(&self) -> (i32, &str) {
        assert_eq!(self.out, "", "an answer beside the complaint {:?}", self.err);
        (self.code, self.err.trim_end())
    }
}

/// The only line, as JSON; the schema's number comes first.
pub fn one_object(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one line of JSON: {text}");
    object(text.trim_end())
}

/// A line of JSON; the schema's number comes first.
pub fn object(line: &str) -> Value {
    assert!(line.starts_with("{\"schema\":1,"), "{line}");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// The names of an object's fields, in their order.
pub fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("an object: {value}")).keys().map(String::as_str).collect()
}
