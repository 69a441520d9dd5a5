//! A program that is started with the news.

use std::{process::Stdio, time::Duration};

use async_trait::async_trait;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use super::{body, state, text};
use crate::{
    domain::{Clean, alert::Alert},
    port::pager::{Pager, PagerError},
};

/// How long it may take; then it is ended.
const WITHIN: Duration = Duration::from_secs(30);
/// Of what it complains, so much is told.
const COMPLAINT: usize = 300;

/// A program and its arguments.
pub struct Program {
    name: String,
    arguments: Vec<String>,
}

impl Program {
    /// `None` where the line is empty.
    pub fn new(line: &[String]) -> Option<Self> {
        let (name, arguments) = line.split_first()?;
        Some(Self { name: name.clone(), arguments: arguments.to_vec() })
    }

    fn failed(&self, why: impl AsRef<str>) -> PagerError {
        PagerError { by: Clean::new(format!("the command {}", self.name)), why: Clean::bounded(why, COMPLAINT) }
    }
}

#[async_trait]
impl Pager for Program {
    async fn tell(&self, alert: &Alert) -> Result<(), PagerError> {
        let mut child = Command::new(&self.name)
            .args(&self.arguments)
            .env("HOMEROOM_STATE", state(alert))
            .env("HOMEROOM_TEXT", text(alert))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.failed(error.to_string()))?;
        if let Some(mut input) = child.stdin.take() {
            // Whoever does not read it has what it needs from the environment.
            let _ = timeout(WITHIN, input.write_all(format!("{}\n", body(alert)).as_bytes())).await;
        }
        let ended = timeout(WITHIN, child.wait_with_output()).await;
        let ended = ended.map_err(|_| self.failed(format!("it did not end within {} s", WITHIN.as_secs())))?;
        let output = ended.map_err(|error| self.failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(self.failed(format!("{}: {}", output.status, said.trim())))
    }
}
