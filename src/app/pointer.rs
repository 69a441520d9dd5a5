//! What the mouse does: what it pointed at is found by whoever drew it; here is what that means.

use super::{Command, State, state::Pane};

/// Something on the screen that can be pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    Pane(Pane),
    /// A row of the list in front, or of a pane's, by its key.
    Row(Option<Pane>, String),
    Divider(Divider),
    /// A field of the form in front.
    Field(usize),
    /// A key named at the bottom.
    Hint(Command),
}

/// A line between panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divider {
    /// Between the nodes and what is right of them.
    Left,
    /// Above the log.
    Log,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointed {
    Click(Spot),
    /// Up with less than nothing, over a pane.
    Wheel(Option<Pane>, isize),
    /// A line is where the pointer is: column and row.
    Drag(Divider, u16, u16),
}

/// Where lines were dragged to: a column, a row. Drawing keeps them within what can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Split {
    pub left: Option<u16>,
    pub log: Option<u16>,
}

impl State {
    /// Takes it in; what is left to be done is a command, as if its key had been pressed.
    pub(super) fn point(&mut self, pointed: Pointed) -> Option<Command> {
        if self.popup.is_some() || self.typing.is_some() {
            return None;
        }
        match pointed {
            Pointed::Drag(Divider::Left, column, _) => self.split.left = Some(column),
            Pointed::Drag(Divider::Log, _, row) => self.split.log = Some(row),
            Pointed::Wheel(pane, delta) => {
                self.turn_to_pane(pane);
                return Some(if delta < 0 { Command::Up } else { Command::Down });
            }
            Pointed::Click(Spot::Pane(pane)) => {
                self.turn_to_pane(Some(pane));
            }
            Pointed::Click(Spot::Hint(command)) => return Some(command),
            Pointed::Click(Spot::Row(pane, key)) => {
                let turned = self.turn_to_pane(pane);
                let keys = self.row_keys();
                let at = keys.iter().position(|known| *known == key)?;
                let there = self.row_cursor().and_then(|cursor| cursor.position(&keys)) == Some(at);
                // The second click on a row opens it.
                if there && !turned {
                    return Some(Command::Open);
                }
                self.cursor_to_change().into_iter().for_each(|cursor| cursor.set(&keys, at));
            }
            Pointed::Click(Spot::Field(at)) => return self.point_at_field(at),
            Pointed::Click(Spot::Divider(_)) => {}
        }
        None
    }

    /// Gives a pane of the overview the keys; whether it had not got them.
    fn turn_to_pane(&mut self, pane: Option<Pane>) -> bool {
        let Some(pane) = pane.filter(|pane| self.screens.len() == 1 && *pane != self.focus) else { return false };
        self.focus = pane;
        true
    }
}
