//! `homeroom demo` as a newcomer starts it: an empty home, nothing configured, a shell's words above it.

use std::path::Path;

use portable_pty::CommandBuilder;
use tempfile::TempDir;

use crate::support::terminal::Terminal;

/// Short enough for the smallest terminal.
const BEFORE: &str = "before homeroom";

pub struct Demo {
    pub terminal: Terminal,
    folder: TempDir,
}

impl Demo {
    /// Starts it this much faster than a real cluster, in so many columns and rows.
    pub fn start(speed: &str, size: (u16, u16)) -> Self {
        // No engine of this computer's is looked for.
        Self::with_engine(speed, size, "unix:///nowhere/docker.sock")
    }

    /// The same where an engine's address is known as Docker's own client would have it.
    pub fn with_engine(speed: &str, size: (u16, u16), engine: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["home", "tmp"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-c", &format!("echo {BEFORE}; exec \"$0\" demo --speed {speed}")]);
        command.arg(env!("CARGO_BIN_EXE_homeroom"));
        command.env_clear();
        command.env("HOME", folder.path().join("home"));
        command.env("TMPDIR", folder.path().join("tmp"));
        command.env("LANG", "C.UTF-8");
        command.env("DOCKER_HOST", engine);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.cwd(folder.path().join("home"));
        Self { terminal: Terminal::start(command, size), folder }
    }

    /// Waits for the end; its exit code. The terminal is as it was, and nothing is left on the disk.
    #[track_caller]
    pub fn assert_gone_without_a_trace(&mut self) -> u32 {
        let code = self.terminal.assert_given_back();
        for part in ["home", "tmp"] {
            assert_eq!(names(&self.folder.path().join(part)), [""; 0], "left in {part}");
        }
        code
    }

    /// The same, where nothing was written on the first screen meanwhile.
    #[track_caller]
    pub fn assert_as_before(&mut self) -> u32 {
        let code = self.assert_gone_without_a_trace();
        assert_eq!(self.terminal.text().trim_end(), BEFORE);
        code
    }

    /// The throw-away folders there are.
    pub fn throw_away(&self) -> Vec<String> {
        names(&self.folder.path().join("tmp"))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
