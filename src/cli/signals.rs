//! Signals a headless run hears. A hang-up is not one to stop for: the run goes on.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::CliError;

/// Hears SIGINT and SIGTERM, and keeps SIGHUP from ending the program.
pub struct Stopper {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stopper {
    pub fn new() -> Result<Self, CliError> {
        let hear = |kind| {
            signal(kind).map_err(|source| CliError::Io { doing: "cannot listen for signals".to_owned(), source })
        };
        Ok(Self {
            interrupt: hear(SignalKind::interrupt())?,
            terminate: hear(SignalKind::terminate())?,
            hang_up: hear(SignalKind::hangup())?,
        })
    }

    /// Waits until somebody asks a command to stop, or the terminal it was typed in goes away.
    pub async fn stopped(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Waits until somebody asks the run to stop.
    pub async fn pressed(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.hang_up.recv() => {}
            }
        }
    }
}
