//! What the boards of a node and of a machine have besides the latest look: an hour of load, and tasks. Asked for
//! when the board is opened, and again with the looks that follow, once a minute, as long as it is in front.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Screen, State};
use crate::domain::{Clean, NodeName, SiteName, Vmid, hindsight::Hindsight};

/// A site measures no oftener.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// Whose past it is: a node's, or a machine's on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    pub site: SiteName,
    pub node: NodeName,
    pub vmid: Option<Vmid>,
}

/// What is known of it.
#[derive(Debug, Default)]
pub struct Past {
    /// The last answer; kept while the next is awaited.
    pub seen: Option<Result<Arc<Hindsight>, Clean>>,
    whose: Option<Whose>,
    asked: Option<Timestamp>,
}

impl State {
    /// Whose past the board in front shows.
    fn whose(&self) -> Option<Whose> {
        match self.screen() {
            Screen::Node(board) => Some(Whose { site: board.site.clone(), node: board.node.clone(), vmid: None }),
            Screen::Machine(board) => {
                let seat = self.progress.get(&board.lab)?.seat(&board.seat)?;
                let guest = self.sites.get(&seat.site)?.guest(seat.vmid?)?;
                Some(Whose { site: seat.site.clone(), node: guest.node.clone(), vmid: Some(guest.vmid) })
            }
            _ => None,
        }
    }

    fn past_to_change(&mut self) -> Option<&mut Past> {
        match self.screens.last_mut() {
            Some(Screen::Node(board)) => Some(&mut board.past),
            Some(Screen::Machine(board)) => Some(&mut board.past),
            _ => None,
        }
    }

    /// Asks for the past of the board in front, when it is time.
    pub(super) fn ask_past(&mut self) -> Vec<Effect> {
        let now = self.now;
        let (Some(whose), Some(past)) = (self.whose(), self.past_to_change()) else { return Vec::new() };
        let recent = past.asked.is_some_and(|at| now.duration_since(at) < AGAIN);
        if recent && past.whose.as_ref() == Some(&whose) {
            return Vec::new();
        }
        past.asked = Some(now);
        past.whose = Some(whose.clone());
        vec![Effect::LookBack(whose)]
    }

    /// Takes an answer in; one for a board that is no longer in front is dropped.
    pub(super) fn past_seen(&mut self, whose: &Whose, seen: Result<Arc<Hindsight>, Clean>) {
        if let Some(past) = self.past_to_change()
            && past.whose.as_ref() == Some(whose)
        {
            past.seen = Some(seen);
        }
    }
}
