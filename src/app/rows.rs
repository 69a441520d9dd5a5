//! The list in front: its rows, its cursor, its marks, and what a command given there is about.

use super::{
    Command, Context, Pane, Screen, State, cursor::Cursor, labs::ClassRow, marks::Marks, seats::SeatRow,
    sites::NodeRow, state::Board,
};
use crate::domain::{LabName, SeatName};

/// What a command is about: a lab as a whole, or some of its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub lab: LabName,
    /// In the order of the list; empty for the whole lab.
    pub seats: Vec<SeatName>,
}

impl State {
    /// The keys of the rows in front, in their order, as far as the filter lets them through. Empty where
    /// there is no list.
    pub fn row_keys(&self) -> Vec<String> {
        match self.base_context() {
            Context::Nodes => self.shown_nodes().iter().map(NodeRow::key).collect(),
            Context::Classes => self.shown_names(Pane::Classes).into_iter().map(LabName::to_string).collect(),
            Context::Workshops => self.shown_names(Pane::Workshops).into_iter().map(LabName::to_string).collect(),
            Context::Board => self.board_keys(),
            Context::Node | Context::Runs | Context::Run => match self.screen() {
                Screen::Node(board) => self.guest_keys(board),
                Screen::Runs(list) => self.run_keys(list),
                Screen::Run(board) => self.timed_keys(board),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The marks of the list in front, where rows can be marked.
    pub fn marks(&self) -> Option<&Marks> {
        match (self.screen(), self.focus) {
            (Screen::Board(board), _) => Some(&board.marks),
            (Screen::Node(board), _) => Some(&board.marks),
            (Screen::Overview, Pane::Classes) => Some(&self.classes.marks),
            (Screen::Overview, Pane::Workshops) => Some(&self.workshops.marks),
            _ => None,
        }
    }

    pub(super) fn marks_to_change(&mut self) -> Option<&mut Marks> {
        match (self.screens.last_mut(), self.focus) {
            (Some(Screen::Board(board)), _) => Some(&mut board.marks),
            (Some(Screen::Node(board)), _) => Some(&mut board.marks),
            (Some(Screen::Overview), Pane::Classes) => Some(&mut self.classes.marks),
            (Some(Screen::Overview), Pane::Workshops) => Some(&mut self.workshops.marks),
            _ => None,
        }
    }

    /// The cursor of the list in front.
    pub fn row_cursor(&self) -> Option<&Cursor> {
        match (self.screen(), self.focus) {
            (Screen::Board(board), _) => Some(&board.cursor),
            (Screen::Node(board), _) => Some(&board.cursor),
            (Screen::Runs(list), _) => Some(&list.cursor),
            (Screen::Run(board), _) => Some(&board.cursor),
            (Screen::Overview, Pane::Nodes) => Some(&self.nodes.cursor),
            (Screen::Overview, Pane::Classes) => Some(&self.classes.cursor),
            (Screen::Overview, Pane::Workshops) => Some(&self.workshops.cursor),
            _ => None,
        }
    }

    pub(super) fn cursor_to_change(&mut self) -> Option<&mut Cursor> {
        match (self.screens.last_mut(), self.focus) {
            (Some(Screen::Board(board)), _) => Some(&mut board.cursor),
            (Some(Screen::Node(board)), _) => Some(&mut board.cursor),
            (Some(Screen::Runs(list)), _) => Some(&mut list.cursor),
            (Some(Screen::Run(board)), _) => Some(&mut board.cursor),
            (Some(Screen::Overview), Pane::Nodes) => Some(&mut self.nodes.cursor),
            (Some(Screen::Overview), Pane::Classes) => Some(&mut self.classes.cursor),
            (Some(Screen::Overview), Pane::Workshops) => Some(&mut self.workshops.cursor),
            _ => None,
        }
    }

    /// What a command given here is about: the marked rows that are still there, else the row under the
    /// cursor. On a board each is a seat; in a pane each is a lab; of a node's machines, those that are seats.
    pub fn targets(&self) -> Vec<Target> {
        if let Screen::Machine(board) = self.screen() {
            return vec![Target { lab: board.lab.clone(), seats: vec![board.seat.clone()] }];
        }
        let keys = self.row_keys();
        let cursor = self.row_cursor().and_then(|cursor| keys.get(cursor.position(&keys)?));
        let chosen: Vec<&str> = match self.marks().filter(|marks| !marks.is_empty()) {
            // A filter hides rows and takes no mark away.
            Some(marks) => marks.iter().collect(),
            None => cursor.map(String::as_str).into_iter().collect(),
        };
        let whole = |lab: &LabName| Target { lab: lab.clone(), seats: Vec::new() };
        match self.screen() {
            Screen::Board(board) => {
                let row = self.class(&board.lab);
                let seats = row.into_iter().flat_map(|row| row.seats).map(|seat| seat.seat);
                let seats: Vec<_> = seats.filter(|seat| chosen.contains(&seat.as_str())).collect();
                if seats.is_empty() { Vec::new() } else { vec![Target { lab: board.lab.clone(), seats }] }
            }
            Screen::Node(board) => {
                let guests = self.all_guests_of(board).into_iter();
                let guests = guests.filter(|guest| chosen.contains(&guest.vmid.to_string().as_str()));
                let mut targets: Vec<Target> = Vec::new();
                for (lab, seat) in guests.filter_map(|guest| self.seat_of(&board.site, guest)) {
                    match targets.iter_mut().find(|target| target.lab == *lab) {
                        Some(target) => target.seats.push(seat.clone()),
                        None => targets.push(Target { lab: lab.clone(), seats: vec![seat.clone()] }),
                    }
                }
                targets
            }
            Screen::Overview if self.focus == Pane::Classes => {
                let names = self.class_names().into_iter();
                names.filter(|name| chosen.contains(&name.as_str())).map(whole).collect()
            }
            Screen::Overview if self.focus == Pane::Workshops => {
                let names = self.definitions.iter().filter(|definition| definition.kind() == "workshop");
                names.map(|d| d.name()).filter(|name| chosen.contains(&name.as_str())).map(whole).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The same, seat by seat: a whole lab stands for all of its seats.
    pub fn target_seats(&self) -> Vec<(LabName, SeatName)> {
        let seats = |target: Target| -> Vec<(LabName, SeatName)> {
            let all = || self.class(&target.lab).map(|row| row.seats.into_iter().map(|seat| seat.seat).collect());
            let seats = if target.seats.is_empty() { all().unwrap_or_default() } else { target.seats };
            seats.into_iter().map(|seat| (target.lab.clone(), seat)).collect()
        };
        self.targets().into_iter().flat_map(seats).collect()
    }

    /// How many of the marked rows a command acts on at once: seats on boards, labs in panes. None for one that is about
    /// the row under the cursor, whatever is marked.
    pub fn marked_for(&self, command: Command) -> Option<usize> {
        self.marks().filter(|marks| !marks.is_empty())?;
        let counted = |whose: &dyn Fn(&ClassRow<'_>) -> bool, meant: &dyn Fn(&SeatRow<'_>) -> bool| -> usize {
            let of = |target: &Target| {
                let Some(row) = self.class(&target.lab).filter(|row| whose(row)) else { return 0 };
                let mut meant = row.seats.iter().filter(|seat| meant(seat));
                match target.seats.as_slice() {
                    [] => usize::from(meant.next().is_some()),
                    seats => meant.filter(|seat| seats.contains(&seat.seat)).count(),
                }
            };
            self.targets().iter().map(of).sum()
        };
        let at_rest = |row: &ClassRow<'_>| !row.is_worked_on();
        let of_class = |row: &ClassRow<'_>| at_rest(row) && row.workshop.is_none();
        match command {
            Command::Check => Some(counted(&at_rest, &|seat| seat.is_made())),
            Command::Power => Some(counted(&|row| at_rest(row) && !self.is_in_cloud(row), &|seat| seat.is_made())),
            Command::Rebuild => Some(counted(&of_class, &|seat| seat.is_made())),
            Command::Destroy => Some(counted(&|_| true, &|seat| seat.is_made())),
            Command::CopyRow => Some(counted(&|_| true, &|_| true)),
            Command::Exec if self.asked_here().is_err() => Some(0),
            Command::Exec | Command::ShellsOfAll => Some(counted(&|_| true, &|seat| seat.can_be_entered())),
            _ => None,
        }
    }

    /// The lab a command is about: the board's, or the class or workshop under the cursor.
    pub fn target_lab(&self) -> Option<LabName> {
        match self.screen() {
            Screen::Board(board) => return Some(board.lab.clone()),
            Screen::Machine(board) => return Some(board.lab.clone()),
            Screen::Runs(list) => return Some(list.lab.clone()),
            Screen::Run(board) => return Some(board.lab.clone()),
            _ => {}
        }
        let (labs, cursor) = match self.focus {
            Pane::Workshops => (self.shown_names(Pane::Workshops), &self.workshops.cursor),
            _ => (self.shown_names(Pane::Classes), &self.classes.cursor),
        };
        let names: Vec<_> = labs.iter().map(|lab| lab.as_str()).collect();
        labs.get(cursor.position(&names)?).map(|lab| (*lab).clone())
    }

    /// The seat under the cursor of a board.
    pub fn target_seat(&self) -> Option<(LabName, SeatName)> {
        if let Screen::Machine(board) = self.screen() {
            return Some((board.lab.clone(), board.seat.clone()));
        }
        let Screen::Board(board) = self.screen() else { return None };
        let row = self.class(&board.lab)?;
        let keys = self.board_keys();
        let key = keys.get(board.cursor.position(&keys)?)?;
        row.seats.iter().find(|seat| seat.seat.as_str() == key).map(|seat| (board.lab.clone(), seat.seat.clone()))
    }

    /// The seats of the board in front that its filter lets through.
    pub fn board_keys(&self) -> Vec<String> {
        let Screen::Board(board) = self.screen() else { return Vec::new() };
        let seats = self.class(&board.lab).map(|row| self.board_seats(board, row.seats)).unwrap_or_default();
        seats.iter().map(|seat| seat.seat.to_string()).collect()
    }

    /// The seats of a class that its board shows: in the order of the definition, or as ordered.
    pub fn board_seats<'a>(&self, board: &Board, mut seats: Vec<SeatRow<'a>>) -> Vec<SeatRow<'a>> {
        seats.retain(|seat| seat.matches(board.filter.value()));
        self.arrange_seats(&mut seats);
        seats
    }
}
