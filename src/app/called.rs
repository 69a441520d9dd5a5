//! Whom a command for many goes to: the rows marked, and which of those are left out and why.

use super::{Context, Screen, State, doors::Door};
use crate::domain::SeatName;

impl State {
    /// What a shell is opened on where one is wanted on many: each marked row, else each seat that a board's filter lets
    /// through. And who is left out, each group with why.
    pub(super) fn doors_of_all(&self) -> Result<(Vec<Door>, Vec<String>), String> {
        let is_marked = self.marks().is_some_and(|marks| !marks.is_empty());
        let mut left = LeftOut::default();
        let mut doors = Vec::new();
        let mut put = |name: &str, door: Result<Door, String>| match door {
            Ok(door) => doors.push(door),
            Err(why) => left.put(name, &why),
        };
        match self.screen() {
            Screen::Board(board) => {
                let seats = match is_marked {
                    true => self.target_seats().into_iter().map(|(_, seat)| seat).collect(),
                    false => self.board_keys().iter().filter_map(|key| SeatName::new(key).ok()).collect::<Vec<_>>(),
                };
                for seat in seats {
                    // The proxy of a workshop is nobody's seat; it is entered by itself.
                    if seat != SeatName::host() {
                        put(seat.as_str(), self.door_of((board.lab.clone(), seat.clone())));
                    } else if is_marked {
                        put(seat.as_str(), Err("nobody's seat".to_owned()));
                    }
                }
            }
            Screen::Node(board) if is_marked => {
                for guest in self.all_guests_of(board) {
                    let key = guest.vmid.to_string();
                    if self.marks().is_some_and(|marks| marks.has(&key)) {
                        put(&key, self.door_of_one(board, guest));
                    }
                }
            }
            _ => return Err("mark machines first (space); B opens a shell on each of them".to_owned()),
        }
        for gone in self.marked_and_gone() {
            left.put(gone, "not there any more");
        }
        Ok((doors, left.told()))
    }

    /// Marked rows that a command for seats does not reach, in words; empty where it reaches all.
    pub(super) fn left_out(&self) -> Vec<String> {
        let mut left = LeftOut::default();
        if let (Context::Node, Screen::Node(board)) = (self.base_context(), self.screen()) {
            for guest in self.all_guests_of(board) {
                let key = guest.vmid.to_string();
                let is_marked = self.marks().is_some_and(|marks| marks.has(&key));
                if is_marked && self.seat_of(&board.site, guest).is_none() {
                    let name = guest.name.as_ref().map_or(key.clone(), |name| format!("{key} ({name})"));
                    left.put(&name, "no seat of a lab");
                }
            }
        }
        for gone in self.marked_and_gone() {
            left.put(gone, "not there any more");
        }
        left.told()
    }

    /// Marked rows that have gone since.
    fn marked_and_gone(&self) -> Vec<&str> {
        let there: Vec<String> = match self.screen() {
            Screen::Board(board) => {
                let seats = self.class(&board.lab).into_iter().flat_map(|row| row.seats);
                seats.map(|seat| seat.seat.to_string()).collect()
            }
            Screen::Node(board) => self.all_guests_of(board).iter().map(|guest| guest.vmid.to_string()).collect(),
            _ => return Vec::new(),
        };
        let marked = self.marks().into_iter().flat_map(super::marks::Marks::iter);
        marked.filter(|key| !there.iter().any(|row| row == key)).collect()
    }
}

/// Who is left out, by why.
#[derive(Debug, Default)]
struct LeftOut(Vec<(String, Vec<String>)>);

impl LeftOut {
    fn put(&mut self, name: &str, why: &str) {
        let why = brief(name, why);
        match self.0.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name.to_owned()),
            None => self.0.push((why, vec![name.to_owned()])),
        }
    }

    fn told(self) -> Vec<String> {
        self.0.into_iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect()
    }
}

/// Why, without what it is called and without what to do about it: there are many, and few lines.
fn brief(name: &str, why: &str) -> String {
    let after = |verb: &str| why.split_once(verb).filter(|(who, _)| who.contains(name)).map(|(_, rest)| rest);
    // Whichever comes first.
    let why = [after(" is "), after(" has ")].into_iter().flatten().max_by_key(|rest| rest.len()).unwrap_or(why);
    let end = [", so ", "; ", ": "].iter().filter_map(|end| why.find(end)).min();
    why[..end.unwrap_or(why.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_same_trouble_are_told_together_and_in_few_words() {
        let mut left = LeftOut::default();
        for (name, why) in [
            ("ada", "bio/ada is shut down, so there is nothing to log in to; p starts it"),
            ("eve", "bio/eve has no address yet, so there is nothing to log in to"),
            ("bob", "bio/bob is shut down, so there is nothing to log in to; p starts it"),
            ("9000", "9000 (ubuntu) is a template: nothing runs in it; machines made of it have shells"),
            ("202", "container 202 (old) does not run; on pve2: pct start 202"),
            ("old", "not there any more"),
        ] {
            left.put(name, why);
        }
        let told = left.told();
        assert_eq!(
            told,
            [
                "ada, bob: shut down",
                "eve: no address yet",
                "9000: a template",
                "202: container 202 (old) does not run",
                "old: not there any more"
            ]
        );
    }
}
