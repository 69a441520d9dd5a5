//! What a person does at the terminal, one thing after the other.

use std::{collections::VecDeque, io, time::Instant};

use super::{
    keyboard::Keyboard,
    keys::{Heard, Keys},
    spots::Spots,
};
use crate::app::{Action, State, action_for};

/// What came from the person at the terminal.
pub enum Came {
    Raw(Vec<u8>),
    Heard(Heard),
}

/// Keys and pastes of the terminal, until dropped.
pub struct Input {
    keyboard: Keyboard,
    keys: Keys,
    heard: VecDeque<Heard>,
    /// When the last bytes came.
    last: Instant,
}

impl Input {
    /// Begins to read the terminal.
    pub fn start() -> io::Result<Self> {
        let keyboard = Keyboard::start()?;
        Ok(Self { keyboard, keys: Keys::default(), heard: VecDeque::new(), last: Instant::now() })
    }

    /// Forgets what was typed for somebody else and not read by them.
    pub fn forget() {
        let _ = rustix::termios::tcflush(rustix::stdio::stdin(), rustix::termios::QueueSelector::IFlush);
    }

    /// What was done next: as it came where a shell has the keys, else as keys and pastes. None once the
    /// terminal is gone. May be called off and called again.
    pub async fn come(&mut self, raw: bool) -> Option<Came> {
        if !raw {
            return self.next().await.map(Came::Heard);
        }
        // Read as keys of ours, and meant for the shell that has them now.
        let rest = self.unheard();
        if !rest.is_empty() {
            return Some(Came::Raw(rest));
        }
        self.keyboard.bytes.recv().await.map(Came::Raw)
    }

    /// Takes these bytes for keys of ours, before any that are still to be read.
    pub fn hear(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.last = Instant::now();
            self.heard.extend(self.keys.hear(bytes));
        }
    }

    /// Reads no more. What was typed and not looked at, as it was typed, for whoever reads next.
    pub fn stop(mut self) -> Vec<u8> {
        let mut rest = self.unheard();
        rest.extend(self.keyboard.stop());
        rest
    }

    /// What was read and nobody has heard of yet, as a terminal sends it.
    fn unheard(&mut self) -> Vec<u8> {
        let mut rest: Vec<u8> = self.heard.drain(..).flat_map(Heard::typed).collect();
        rest.extend(self.keys.take());
        rest
    }

    /// What was done next; none once the terminal is gone. May be called off and called again.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Some(heard);
            }
            let bytes = match self.keys.patience() {
                None => self.keyboard.bytes.recv().await?,
                // From when the bytes came, so that a call that was called off does not begin the wait anew.
                Some(wait) => {
                    match tokio::time::timeout_at((self.last + wait).into(), self.keyboard.bytes.recv()).await {
                        Ok(bytes) => bytes?,
                        Err(_) => {
                            self.heard.extend(self.keys.give_up());
                            continue;
                        }
                    }
                }
            };
            self.last = Instant::now();
            self.heard.extend(self.keys.hear(&bytes));
        }
    }
}

/// The action it asks for in this state, if any.
pub fn action(state: &State, spots: &mut Spots, heard: Heard) -> Option<Action> {
    match heard {
        Heard::Key(key) => action_for(state, key),
        Heard::Paste(text) => Some(Action::Paste(text)),
        Heard::Mouse(report) => spots.pointed(report).map(Action::Pointed),
    }
}
