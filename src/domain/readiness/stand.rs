//! How a machine stands, with its reason: what every screen shows of it.

use std::time::Duration;

use super::Cut;
use crate::domain::{Clean, MachineState};

/// What is said of a machine that is off to whoever wants into it.
pub const OFF: &str = "is shut down, so there is nothing to log in to";

/// How a machine stands now, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    pub state: MachineState,
    pub reason: Option<Clean>,
    /// The run that had it in hand did not come to its end. Its state is `Failed` then, and it is told apart from what
    /// failed by itself.
    pub cut: Option<Cut>,
}

impl Stand {
    pub fn new(state: MachineState, reason: Option<Clean>) -> Self {
        Self { state, reason, cut: None }
    }

    /// In the definition, and not made.
    pub fn planned() -> Self {
        Self::new(MachineState::Planned, None)
    }

    /// With its reason.
    pub fn so(state: MachineState, reason: impl AsRef<str>) -> Self {
        Self::new(state, Some(Clean::new(reason.as_ref())))
    }

    /// In a word, the same on every screen.
    pub fn word(&self) -> &'static str {
        word(self.state, self.cut)
    }

    /// The same where nobody can look: what is not seen is not called ready.
    #[must_use]
    pub fn unseen(self, why: impl AsRef<str>) -> Self {
        if self.state == MachineState::Ready { Self::so(MachineState::Unknown, why) } else { self }
    }
}

/// A state in a word.
pub fn word(state: MachineState, cut: Option<Cut>) -> &'static str {
    cut.map_or(state.as_str(), Cut::as_str)
}

/// How long ago something was seen, in steps that leave a screen still: `20 s`, `5 min`, `2 h`.
pub fn ago(age: Duration) -> String {
    match age.as_secs() {
        s @ ..60 => format!("{} s", s / 10 * 10),
        s @ 60..3_600 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}
