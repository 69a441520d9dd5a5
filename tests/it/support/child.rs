//! A second process to kill: this test binary, started again to run one test that plays the child.
//!
//! The child's test is an ordinary `#[test]` that returns at once when [`role`] is `None`, as it is
//! in every normal run of the tests. It tells its parent things by [`say`], line by line.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

/// Set for the child only.
const ROLE: &str = "HOMEROOM_TEST_CHILD";
/// Before each line said, to tell it from the test harness's own.
const MARK: &str = "child: ";

/// What the parent gave this process to work on; `None` in a normal run.
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// In the child: tells the parent a line.
pub fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{MARK}{line}").and_then(|()| out.flush()).expect("the parent reads");
}

/// In the parent: a running child. Killed when dropped.
pub struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// Starts the test called `test` (its whole path, `store::the_child_…`) as a child that is given `role`.
pub fn start(test: &str, role: &str) -> Running {
    let mut child = Command::new(env::current_exe().expect("the test binary has a path"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again");
    let lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
    Running { child, lines }
}

impl Running {
    /// The next line said; `None` once the child is dead.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("the child's words are text") == 0 {
                return None;
            }
            if let Some(said) = line.trim_end().strip_prefix(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; what it had said until then and was not heard yet.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("the child is ours to kill");
        self.child.wait().expect("the child ends");
        std::iter::from_fn(|| self.hear()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
