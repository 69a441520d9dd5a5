//! Shells inside the dashboard: one tab each, kept as the grid of cells it would show, so that whatever a
//! guest prints stays within its own area. Bytes come in; nothing here reaches a terminal.

pub mod copying;
pub mod mouse;
mod tab;

use std::collections::BTreeMap;

use jiff::Timestamp;
pub use tab::Tab;

use self::copying::Copying;
use super::{attach::ShellEnd, doors::Door};

/// Which shell, for as long as the program runs: given when it is asked for.
pub type TabId = u64;

/// Lines kept above the screen of each tab.
const SCROLL_BACK: usize = 2000;
/// At most so many open at once.
pub const MOST: usize = 50;
/// From this height on the log stands below, so many lines of it with its rule.
const LOG_FROM: u16 = 30;
const LOG: u16 = 8;
/// Bytes typed ahead that are kept for a shell.
const HELD: usize = 4 << 10;

/// Where a shell is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In a tab of the dashboard.
    Pane,
    /// It is lent the terminal.
    Whole,
}

/// The shell somebody waits for: what is typed meanwhile is for it.
#[derive(Debug)]
pub struct Opening {
    id: TabId,
    pub door: Door,
    pub since: Timestamp,
    held: Vec<u8>,
}

impl Opening {
    /// Keys that are kept for it, in bytes.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

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
    /// Which shells those are, in the order they are shown: keys go to no other.
    called: Vec<TabId>,
    /// A shell that was called could not be opened: whoever types is to have seen that.
    missed: bool,
    /// Lines of the one in front are being picked out.
    pub copying: Option<Copying>,
    /// Asked for, and not open yet.
    awaited: BTreeMap<TabId, (Door, Way)>,
    /// The one of them that keys are held for.
    pub opening: Option<Opening>,
    last: TabId,
}

impl Shells {
    pub fn front(&self) -> Option<&Tab> {
        self.tabs.get(self.front)
    }

    /// Notes that a shell is asked for; none when there are too many.
    pub(super) fn ask(&mut self, door: Door, way: Way) -> Option<TabId> {
        if way == Way::Pane && self.tabs.len() + self.awaited.len() >= MOST {
            return None;
        }
        self.last += 1;
        self.awaited.insert(self.last, (door, way));
        Some(self.last)
    }

    /// The same for one that is waited for: it is in front as soon as it is open.
    pub(super) fn ask_one(&mut self, door: Door, way: Way, now: Timestamp) -> Option<TabId> {
        let id = self.ask(door.clone(), way)?;
        self.opening = Some(Opening { id, door, since: now, held: Vec::new() });
        Some(id)
    }

    /// Where a terminal that was opened belongs; nowhere if nobody waits for it any more.
    pub fn awaited(&self, id: TabId) -> Option<Way> {
        self.awaited.get(&id).map(|(_, way)| *way)
    }

    /// The shell in a tab on this door that is open, or asked for.
    pub(super) fn on(&self, door: &Door) -> Option<TabId> {
        let open = self.tabs.iter().find(|tab| tab.end.is_none() && tab.door == *door).map(|tab| tab.id);
        let pane = |(of, way): &(Door, Way)| of == door && *way == Way::Pane;
        open.or_else(|| self.awaited.iter().find(|(_, asked)| pane(asked)).map(|(id, _)| *id))
    }

    /// Keeps what was typed for the shell that is being opened; false when it is too much, or for nobody.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> bool {
        match &mut self.opening {
            Some(opening) if opening.held.len() + bytes.len() <= HELD => {
                opening.held.extend_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    /// It could not be opened; whether it was waited for.
    pub(super) fn not_opened(&mut self, id: TabId) -> bool {
        self.missed |= self.broadcast && self.called.contains(&id);
        self.opening.take_if(|opening| opening.id == id);
        self.awaited.remove(&id).is_some()
    }

    /// Nobody waits any longer: for the one that keys are held for, else for those that were called.
    pub(super) fn give_up(&mut self) -> Option<Door> {
        if let Some(opening) = self.opening.take() {
            self.awaited.remove(&opening.id);
            return Some(opening.door);
        }
        self.awaited.retain(|id, _| !self.called.contains(id));
        self.called.retain(|id| self.tabs.iter().any(|tab| tab.id == *id));
        if self.called.is_empty() {
            self.call_off();
        }
        None
    }

    /// From now on keys go to these shells, once all of them are open, and to no other.
    pub(super) fn call(&mut self, shells: Vec<TabId>) {
        (self.called, self.broadcast, self.missed) = (shells, true, false);
        let first = self.called.iter().find_map(|id| self.tabs.iter().position(|tab| tab.id == *id));
        self.front = first.unwrap_or(self.front);
        self.typing = self.outstanding() == 0;
    }

    /// From now on keys go to every shell that is open.
    pub(super) fn call_all(&mut self) {
        let (typing, front) = (self.typing, self.front);
        self.call(self.tabs.iter().map(|tab| tab.id).collect());
        (self.typing, self.front) = (self.typing && typing, front);
    }

    /// Keys go to the one in front again.
    pub(super) fn call_off(&mut self) {
        self.broadcast = false;
        self.called.clear();
    }

    fn is_called(&self, tab: &Tab) -> bool {
        self.called.contains(&tab.id)
    }

    /// How many that were called are not open yet: until then nobody is typed to, so that none gets half a line.
    pub fn outstanding(&self) -> usize {
        self.called.iter().filter(|id| self.awaited.contains_key(id)).count()
    }

    /// Whether a shell is waited for before anything else can be typed.
    pub fn is_waiting(&self) -> bool {
        self.opening.is_some() || (self.broadcast && self.outstanding() > 0)
    }

    /// What all of them are a part of, if it is the same.
    pub fn all_of(&self) -> Option<&str> {
        let first = self.tabs.first()?.door.whose();
        self.tabs.iter().all(|tab| tab.door.whose() == first).then_some(first)
    }

    /// It is open; what was typed for it meanwhile. The tabs stand in the order they were asked for.
    pub(super) fn opened(&mut self, id: TabId) -> Vec<u8> {
        let Some((door, way)) = self.awaited.remove(&id) else { return Vec::new() };
        let opening = self.opening.take_if(|opening| opening.id == id);
        let waited = opening.is_some();
        let held = opening.map(|opening| opening.held).unwrap_or_default();
        if way == Way::Whole {
            return held;
        }
        let at = self.tabs.partition_point(|tab| tab.id < id);
        self.tabs.insert(at, Tab::new(id, door));
        if self.tabs.len() > 1 && at <= self.front {
            self.front += 1;
        }
        if waited {
            (self.front, self.typing, self.copying) = (at, true, None);
        } else if self.broadcast {
            self.typing = self.outstanding() == 0 && !self.missed;
            self.copying = None;
        }
        held
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

    /// The line that says where keys go, while one types into all.
    pub fn banner(&self, size: (u16, u16)) -> Option<Place> {
        let area = self.area(size);
        self.broadcast.then_some(Place { height: area.height.min(1), ..area })
    }

    /// Where each tab in sight stands within the area: its title is the first line.
    pub fn places(&self, size: (u16, u16)) -> Vec<(usize, Place)> {
        let mut area = self.area(size);
        let Some(banner) = self.banner(size) else {
            return self.front().map(|_| (self.front, area)).into_iter().collect();
        };
        (area.y, area.height) = (area.y + banner.height, area.height - banner.height);
        let at = |id: &TabId| self.tabs.iter().position(|tab| tab.id == *id);
        let called: Vec<usize> = self.called.iter().filter_map(at).collect();
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
    use crate::domain::{LabName, SeatName};

    fn door(seat: &str) -> Door {
        Door::Seat { lab: LabName::new("bio").unwrap(), seat: SeatName::new(seat).unwrap() }
    }

    fn ask(shells: &mut Shells, seat: &str) -> TabId {
        shells.ask_one(door(seat), Way::Pane, Timestamp::UNIX_EPOCH).unwrap()
    }

    fn open(count: usize) -> Shells {
        let mut shells = Shells::default();
        for n in 0..count {
            let id = ask(&mut shells, &format!("s{n}"));
            shells.opened(id);
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
    fn all_are_in_sight_below_a_line_of_their_own_while_one_types_into_all() {
        let mut shells = open(5);
        assert_eq!(shells.typed_into().count(), 1);
        shells.call_all();
        shells.ended(2, Ok(0));
        assert_eq!(shells.typed_into().count(), 4);
        let (places, banner) = (shells.places((120, 40)), shells.banner((120, 40)).unwrap());
        assert_eq!((banner.y, banner.width, banner.height), (1, 120, 1));
        assert_eq!(places.len(), 5);
        for (n, (_, a)) in places.iter().enumerate() {
            assert!(a.x + a.width <= 120 && a.y + a.height <= 39 && a.y > banner.y);
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
        let names = |shells: &Shells| shells.typed_into().map(|tab| tab.door.name()).collect::<Vec<_>>();
        let late = shells.ask(door("late"), Way::Pane).unwrap();
        shells.call(vec![2, late]);
        assert_eq!((names(&shells).len(), shells.typing, shells.outstanding()), (0, false, 1));
        assert!(shells.is_waiting());
        shells.opened(late);
        assert_eq!((names(&shells), shells.typing), (vec!["s1".to_owned(), "late".to_owned()], true));
        assert_eq!(shells.places((80, 24)).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2]);
        shells.call_off();
        assert_eq!(names(&shells).len(), 1);
        // One that cannot be opened is seen before anybody types.
        let never = shells.ask(door("never"), Way::Pane).unwrap();
        shells.call(vec![1, never]);
        shells.not_opened(never);
        assert!(!shells.typing && !shells.is_waiting());
        assert_eq!(names(&shells), ["s0"]);
        // Nor need anybody wait for one.
        let never = shells.ask(door("never"), Way::Pane).unwrap();
        shells.call(vec![1, never]);
        assert!(shells.is_waiting() && shells.give_up().is_none() && !shells.is_waiting());
        assert_eq!((names(&shells), shells.typing), (vec!["s0".to_owned()], false));
        assert!(shells.opened(never).is_empty() && shells.tabs.len() == 3, "nobody waits for it any more");
    }

    #[test]
    fn tiles_and_tabs_stand_in_the_order_asked_for_whichever_opens_first() {
        let mut shells = Shells::default();
        let asked: Vec<TabId> =
            ["a", "b", "c", "d"].iter().map(|seat| shells.ask(door(seat), Way::Pane).unwrap()).collect();
        shells.call(asked.clone());
        for n in [2, 0, 3, 1] {
            shells.opened(asked[n]);
        }
        let shown: Vec<String> = shells.places((80, 24)).iter().map(|(at, _)| shells.tabs[*at].door.name()).collect();
        assert_eq!(shown, ["a", "b", "c", "d"]);
        assert!(shells.tabs.iter().map(|tab| tab.id).eq(asked));
    }

    #[test]
    fn what_is_typed_before_it_is_open_is_kept_for_it_up_to_a_limit() {
        let mut shells = open(1);
        let id = ask(&mut shells, "slow");
        assert!(shells.hold(b"ls") && shells.hold(b"\r"));
        assert!(!shells.hold(&[b'x'; HELD]), "no more than fits");
        assert_eq!(shells.opening.as_ref().map(Opening::held), Some(3));
        assert_eq!(shells.opened(id), b"ls\r");
        assert!(shells.typing && shells.front == 1 && !shells.hold(b"late"));
        // Given up: it comes to nobody, and the next on the same door is another.
        let (gone, again) = (ask(&mut shells, "x"), ask(&mut shells, "x"));
        assert!(shells.awaited(gone).is_some() && gone != again);
        assert_eq!(shells.give_up(), Some(door("x")));
        assert!(shells.awaited(again).is_none());
    }
}
