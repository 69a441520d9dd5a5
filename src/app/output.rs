//! What a seat's container printed, on its own board: asked for when that is opened, and again with the looks at its
//! engine as long as it is in front.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Screen, State};
use crate::domain::{Clean, LabName, SeatName};

/// Not oftener, however much happens on the engine.
const AGAIN: SignedDuration = SignedDuration::from_secs(3);
/// In a cloud it takes a login to an instance, or a call that is counted.
const AGAIN_IN_CLOUD: SignedDuration = SignedDuration::from_secs(10);

/// What is known of it.
#[derive(Debug, Default)]
pub struct Output {
    /// The last lines, oldest first, or why they cannot be read; kept while the next are awaited.
    pub lines: Option<Result<Arc<Vec<Clean>>, Clean>>,
    /// It has the whole board.
    pub whole: bool,
    asked: Option<Timestamp>,
}

impl State {
    /// Asks for what the container of the board in front printed, when it is time.
    pub(super) fn ask_output(&mut self) -> Option<Effect> {
        let now = self.now;
        let Screen::Machine(board) = self.screen() else { return None };
        let workshop = self.workshop(&board.lab)?;
        let engine = self.engines.get(&workshop.workshop?.site).filter(|engine| engine.was_seen())?;
        let again = if engine.is_cloud { AGAIN_IN_CLOUD } else { AGAIN };
        // What was never made has printed nothing.
        let made = workshop.seats.iter().any(|seat| seat.seat == board.seat && seat.is_made());
        if engine.is_cloud && !made {
            return None;
        }
        let Some(Screen::Machine(board)) = self.screens.last_mut() else { return None };
        if board.output.asked.is_some_and(|at| now.duration_since(at) < again) {
            return None;
        }
        board.output.asked = Some(now);
        Some(Effect::ReadOutput { lab: board.lab.clone(), seat: board.seat.clone() })
    }

    /// Takes an answer in; one for a board that is no longer in front is dropped.
    pub(super) fn output_read(&mut self, lab: &LabName, seat: &SeatName, lines: Result<Arc<Vec<Clean>>, Clean>) {
        if let Some(Screen::Machine(board)) = self.screens.last_mut()
            && (&board.lab, &board.seat) == (lab, seat)
        {
            board.output.lines = Some(lines);
        }
    }

    /// Gives the output the whole of the board in front, or its part again.
    pub(super) fn turn_output(&mut self) {
        if let Some(Screen::Machine(board)) = self.screens.last_mut() {
            board.output.whole = !board.output.whole;
        }
    }
}
