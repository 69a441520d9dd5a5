//! Shells inside the dashboard: one tab each, kept as the grid of cells it would show, so that whatever a
//! guest prints stays within its own area. Bytes come in; nothing here reaches a terminal.

pub mod copying;
pub mod mouse;
mod tab;

use std::collections::BTreeSet;

pub use tab::Tab;

use self::copying::Copying;
use super::attach::ShellEnd;
use crate::domain::{LabName, SeatName};

/// Which tab, for as long as the program runs.
pub type TabId = u64;

/// Lines kept above the screen of each tab.
const SCROLL_BACK: usize = 2000;
/// At most so many open at once.
pub const MOST: usize = 50;
/// From this height on the log stands below, so many lines of it with its rule.
const LOG_FROM: u16 = 30;
const LOG: u16 = 8;

/// A place on the screen, in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Shells {
    pub tabs: Vec<Tab>,
    /// The one in front.
    pub front: usize,
    /// Keys go to the shell.
    pub typing: bool,
    /// The shell has everything but its title.
    pub zoomed: bool,
    /// Every shell that was called is on the screen, and keys go to all of them.
    pub broadcast: bool,
    /// Whose shells those are: keys go to no other.
    called: BTreeSet<(LabName, SeatName)>,
    /// A shell that was called could not be opened: whoever types is to have seen that.
    missed: bool,
    /// Lines of the one in front are being picked out.
    pub copying: Option<Copying>,
    /// Asked for, and not open yet.
    awaited: BTreeSet<(LabName, SeatName)>,
    last: TabId,
}

impl Shells {
    pub fn front(&self) -> Option<&Tab> {
        self.tabs.get(self.front)
    }

    /// Notes that the next terminal on the seat belongs here; false when there are too many.
    pub(super) fn await_one(&mut self, lab: &LabName, seat: &SeatName) -> bool {
        let room = self.tabs.len() + self.awaited.len() < MOST;
        room && self.awaited.insert((lab.clone(), seat.clone()))
    }

    /// Whether a terminal that was opened belongs here, rather than to the whole screen.
    pub fn is_awaited(&self, lab: &LabName, seat: &SeatName) -> bool {
        self.awaited.contains(&(lab.clone(), seat.clone()))
    }

    pub(super) fn not_opened(&mut self, lab: &LabName, seat: &SeatName) -> bool {
        self.missed |= self.broadcast;
        self.awaited.remove(&(lab.clone(), seat.clone()))
    }

    /// From now on keys go to the shells of these seats, once all of them are open, and to no other.
    pub(super) fn call(&mut self, seats: BTreeSet<(LabName, SeatName)>) {
        (self.called, self.broadcast, self.missed) = (seats, true, false);
        if let Some(at) = self.tabs.iter().position(|tab| self.is_called(tab)) {
            self.front = at;
        }
        self.typing = self.outstanding() == 0;
    }

    /// From now on keys go to every shell that is open.
    pub(super) fn call_all(&mut self) {
        let all = self.tabs.iter().map(|tab| (tab.lab.clone(), tab.seat.clone())).collect();
        let typing = self.typing;
        self.call(all);
        self.typing &= typing;
    }

    /// Keys go to the one in front again.
    pub(super) fn call_off(&mut self) {
        self.broadcast = false;
        self.called.clear();
    }

    fn is_called(&self, tab: &Tab) -> bool {
        self.called.contains(&(tab.lab.clone(), tab.seat.clone()))
    }

    /// How many that were called are not open yet: until then nobody is typed to, so that none gets half a line.
    pub fn outstanding(&self) -> usize {
        self.called.intersection(&self.awaited).count()
    }

    /// Whether shells of more than one lab are typed into.
    pub fn of_several_labs(&self) -> bool {
        let first = self.called.first().map(|(lab, _)| lab);
        self.called.iter().any(|(lab, _)| Some(lab) != first)
    }

    /// What the next tab is called by.
    pub fn next(&self) -> TabId {
        self.last + 1
    }

    pub(super) fn opened(&mut self, lab: LabName, seat: SeatName) {
        self.awaited.remove(&(lab.clone(), seat.clone()));
        self.last += 1;
        self.tabs.push(Tab::new(self.last, lab, seat));
        self.copying = None;
        if !self.broadcast {
            self.front = self.tabs.len() - 1;
        }
        self.typing = !self.broadcast || (self.outstanding() == 0 && !self.missed);
    }

    /// Takes in what a guest printed; what it is to be answered.
    pub(super) fn said(&mut self, id: TabId, bytes: &[u8]) -> Vec<u8> {
        let tab = self.tabs.iter_mut().find(|tab| tab.id == id);
        tab.map(|tab| tab.said(bytes)).unwrap_or_default()
    }

    /// Its screen stays to be read; the keys come back, unless others still take them.
    pub(super) fn ended(&mut self, id: TabId, end: ShellEnd) {
        let front = self.front().map(|tab| tab.id);
        if let Some(tab) = self.tabs.iter_mut().find(|tab| tab.id == id) {
            tab.ended(end);
        }
        let over = self.tabs.iter().all(|tab| tab.end.is_some());
        if over || (!self.broadcast && front == Some(id)) {
            self.typing = false;
        }
    }

    pub(super) fn turn(&mut self, by: isize) {
        let count = self.tabs.len() as isize;
        self.copying = None;
        for _ in 0..count {
            self.front = (self.front as isize + by).rem_euclid(count) as usize;
            if !self.broadcast || self.front().is_some_and(|tab| self.is_called(tab)) {
                break;
            }
        }
    }

    /// Forgets the tab in front, and its shell with it.
    pub(super) fn close(&mut self) {
        if self.front < self.tabs.len() {
            self.tabs.remove(self.front);
        }
        self.front = self.front.min(self.tabs.len().saturating_sub(1));
        self.typing = false;
        self.copying = None;
        if self.tabs.len() < 2 {
            self.call_off();
        }
    }

    /// Towards older lines with less than nothing, towards newer ones else.
    pub(super) fn scroll(&mut self, delta: isize) {
        if let Some(copying) = &mut self.copying {
            copying.step(delta);
        } else if let Some(tab) = self.tabs.get_mut(self.front) {
            let at = tab.screen().scrollback();
            tab.screen_mut().set_scrollback(at.saturating_add_signed(delta.saturating_neg()).min(SCROLL_BACK));
        }
    }

    /// The newest line is in sight again.
    pub(super) fn follow(&mut self) {
        self.copying = None;
        for tab in &mut self.tabs {
            tab.screen_mut().set_scrollback(0);
        }
    }

    /// Begins to pick lines out, or begins the pick anew at the cursor.
    pub(super) fn pick(&mut self) {
        match &mut self.copying {
            Some(copying) => copying.begin(),
            None => self.copying = self.front().map(|tab| Copying::of(tab.screen())),
        }
    }

    /// The text to be copied: the lines picked, or what is in sight.
    pub(super) fn text(&mut self) -> String {
        match self.copying.take() {
            Some(copying) => copying.text(),
            None => self.front().map(|tab| tab.screen().contents()).unwrap_or_default(),
        }
    }

    /// What the program in front wants to hear of the mouse, while it has the keys alone.
    pub fn mouse(&self) -> vt100::MouseProtocolMode {
        let alone = self.typing && !self.broadcast;
        let tab = self.front().filter(|tab| alone && tab.end.is_none());
        tab.map_or(vt100::MouseProtocolMode::None, |tab| tab.screen().mouse_protocol_mode())
    }

    /// How many have not ended.
    pub fn open(&self) -> usize {
        self.tabs.iter().filter(|tab| tab.end.is_none()).count()
    }

    /// Those that take what is typed.
    pub fn typed_into(&self) -> impl Iterator<Item = &Tab> {
        let complete = self.outstanding() == 0;
        self.tabs
            .iter()
            .enumerate()
            .filter(move |(at, tab)| match self.broadcast {
                true => complete && self.is_called(tab),
                false => *at == self.front,
            })
            .map(|(_, tab)| tab)
            .filter(|tab| tab.end.is_none())
    }

    /// Where the shells may be drawn, on a screen of this size: without the first and the last line.
    pub fn area(&self, (columns, rows): (u16, u16)) -> Place {
        if self.zoomed {
            return Place { x: 0, y: 0, width: columns, height: rows };
        }
        let height = rows.saturating_sub(2);
        let log = if self.broadcast { 0 } else { self.log(rows) };
        Place { x: 0, y: 1, width: columns, height: height.saturating_sub(log) }
    }

    /// Lines of the log below, its rule included.
    pub fn log(&self, rows: u16) -> u16 {
        if self.zoomed || self.broadcast || rows < LOG_FROM { 0 } else { LOG }
    }

    /// Where each tab in sight stands within the area: its title is the first line.
    pub fn places(&self, size: (u16, u16)) -> Vec<(usize, Place)> {
        let area = self.area(size);
        if !self.broadcast {
            return self.front().map(|_| (self.front, area)).into_iter().collect();
        }
        let called: Vec<usize> = (0..self.tabs.len()).filter(|at| self.is_called(&self.tabs[*at])).collect();
        if called.is_empty() {
            return Vec::new();
        }
        let count = u16::try_from(called.len()).unwrap_or(u16::MAX);
        let across = (1..=count).find(|n| n * n >= count).unwrap_or(1);
        let down = count.div_ceil(across);
        let (width, height) = (area.width / across, area.height / down);
        let place = |n: u16| Place {
            x: area.x + (n % across) * width,
            y: area.y + (n / across) * height,
            // A column between two.
            width: width.saturating_sub(u16::from(n % across + 1 < across)),
            height,
        };
        (0..count).zip(called).map(|(n, at)| (at, place(n))).collect()
    }

    /// Gives every tab the size it is drawn in.
    pub(super) fn fit(&mut self, size: (u16, u16)) {
        let places = self.places(size);
        let front = self.area(size);
        for (at, tab) in self.tabs.iter_mut().enumerate() {
            let place = places.iter().find(|(n, _)| *n == at).map_or(front, |(_, place)| *place);
            tab.fit(place.width, place.height.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open(count: usize) -> Shells {
        let mut shells = Shells::default();
        for n in 0..count {
            let (lab, seat) = (LabName::new("bio").unwrap(), SeatName::new(format!("s{n}")).unwrap());
            assert!(shells.await_one(&lab, &seat));
            shells.opened(lab, seat);
        }
        shells
    }

    #[test]
    fn whatever_comes_in_a_tab_keeps_its_size_and_memory() {
        let mut shells = open(1);
        shells.fit((80, 24));
        let mut seed = 7_u64;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let byte = (seed >> 56) as u8;
                    if byte < 60 {
                        *b"\x1b[]PX^;?0129hlmHJKrABCDLMSTu\r\n\t\x08\xc3\xa9".get(usize::from(byte % 34)).unwrap()
                    } else {
                        byte
                    }
                })
                .collect();
            shells.said(1, &bytes);
        }
        shells.said(1, "\x1b[9999;9999H\x1b[99999999X\x1b[1;65535r日本語\n".repeat(50).as_bytes());
        assert_eq!(shells.tabs[0].size(), (80, 21));
        for size in [(1, 1), (2, 3), (300, 100), (60, 14)] {
            shells.fit(size);
            shells.said(1, "wide 日本語 \x1b[?1049h\x1b[2J日\n".as_bytes());
        }
    }

    #[test]
    fn all_are_in_sight_while_one_types_into_all() {
        let mut shells = open(5);
        assert_eq!(shells.typed_into().count(), 1);
        shells.call_all();
        shells.ended(2, Ok(0));
        assert_eq!(shells.typed_into().count(), 4);
        let places = shells.places((120, 40));
        assert_eq!(places.len(), 5);
        for (n, (_, a)) in places.iter().enumerate() {
            assert!(a.x + a.width <= 120 && a.y + a.height <= 39);
            let apart = |b: &Place| {
                a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
            };
            assert!(places[n + 1..].iter().all(|(_, b)| apart(b)));
        }
        assert!(shells.typing);
    }

    #[test]
    fn only_those_that_were_called_are_typed_into_and_only_once_all_are_open() {
        let mut shells = open(2);
        let names = |shells: &Shells| shells.typed_into().map(|tab| tab.seat.to_string()).collect::<Vec<_>>();
        let lab = LabName::new("bio").unwrap();
        let called: Vec<_> = ["s1", "late"].map(|seat| SeatName::new(seat).unwrap()).to_vec();
        assert!(shells.await_one(&lab, &called[1]));
        shells.call(called.iter().map(|seat| (lab.clone(), seat.clone())).collect());
        assert_eq!((names(&shells).len(), shells.typing, shells.outstanding()), (0, false, 1));
        shells.opened(lab.clone(), called[1].clone());
        assert_eq!((names(&shells), shells.typing), (vec!["s1".to_owned(), "late".to_owned()], true));
        assert_eq!(shells.places((80, 24)).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2]);
        shells.call_off();
        assert_eq!(names(&shells).len(), 1);
        // One that cannot be opened is seen before anybody types.
        assert!(shells.await_one(&lab, &SeatName::new("never").unwrap()));
        shells.call([("s0"), ("never")].map(|seat| (lab.clone(), SeatName::new(seat).unwrap())).into());
        shells.not_opened(&lab, &SeatName::new("never").unwrap());
        assert!(!shells.typing);
        assert_eq!(names(&shells), ["s0"]);
    }
}
