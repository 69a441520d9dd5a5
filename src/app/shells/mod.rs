//! Shells inside the dashboard: one tab each, kept as the grid of cells it would show, so that whatever a
//! guest prints stays within its own area. Bytes come in; nothing here reaches a terminal.

mod charset;
pub mod copying;
mod layout;
pub mod mouse;
mod tab;

use std::collections::BTreeMap;

use jiff::Timestamp;
pub use layout::Place;
pub use tab::Tab;

use self::copying::Copying;
use super::{attach::ShellEnd, doors::Door};
use crate::domain::Clean;

/// Which shell, for as long as the program runs: given when it is asked for.
pub type TabId = u64;

/// Lines kept above the screen of each tab.
const SCROLL_BACK: usize = 2000;
/// At most so many open at once.
pub const MOST: usize = 50;
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
    /// Which shells those are, in the order they are shown: keys go to no other. One that was closed stays among them,
    /// so that nobody thinks it is typed into too.
    called: Vec<(TabId, Door)>,
    /// Those that were called last, for as long as one is among the shells: looking at one of them chooses no others.
    chosen: Vec<TabId>,
    /// A shell that was called could not be opened, or keys were lost: whoever types is to have seen that.
    missed: bool,
    /// Keys were typed for those that were called before all were open, and went nowhere.
    pub lost: bool,
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
            _ => {
                // The rest of a line whose beginning is gone is not to run everywhere.
                self.lost |= self.broadcast;
                self.missed |= self.lost;
                false
            }
        }
    }

    /// It could not be opened; whether it was waited for. One that was called keeps its place, with the reason: nobody
    /// is to think that it was typed into too.
    pub(super) fn not_opened(&mut self, id: TabId, why: &Clean) -> bool {
        let called = self.broadcast && self.calls(id);
        self.missed |= called;
        self.opening.take_if(|opening| opening.id == id);
        let Some((door, way)) = self.awaited.remove(&id) else { return false };
        if called && way == Way::Pane {
            let at = self.insert(id, door);
            self.tabs[at].end = Some(Err(why.clone()));
        }
        true
    }

    /// Its tab; they stand in the order they were asked for.
    fn insert(&mut self, id: TabId, door: Door) -> usize {
        let at = self.tabs.partition_point(|tab| tab.id < id);
        self.tabs.insert(at, Tab::new(id, door));
        if self.tabs.len() > 1 && at <= self.front {
            self.front += 1;
        }
        at
    }

    /// Nobody waits any longer: for the one that keys are held for, else for those that were called.
    pub(super) fn give_up(&mut self) -> Option<Door> {
        if let Some(opening) = self.opening.take() {
            self.awaited.remove(&opening.id);
            return Some(opening.door);
        }
        let called = &self.called;
        self.awaited.retain(|id, _| !called.iter().any(|(called, _)| called == id));
        if !self.called.iter().any(|(id, _)| self.tabs.iter().any(|tab| tab.id == *id)) {
            self.call_off();
        }
        None
    }

    /// From now on keys go to these shells, once all of them are open, and to no other.
    pub(super) fn call(&mut self, shells: Vec<TabId>) {
        let door = |id: &TabId| {
            let open = self.tabs.iter().find(|tab| tab.id == *id).map(|tab| &tab.door);
            open.or_else(|| self.awaited.get(id).map(|(door, _)| door)).cloned()
        };
        let called = shells.iter().filter_map(|id| Some((*id, door(id)?))).collect();
        (self.called, self.broadcast, self.missed, self.lost) = (called, true, false, false);
        let first = shells.iter().find_map(|id| self.tabs.iter().position(|tab| tab.id == *id));
        self.front = first.unwrap_or(self.front);
        self.chosen = shells;
        self.typing = self.outstanding() == 0;
    }

    /// From now on keys go to every shell that is open, or where the one in front was among those called last, to those
    /// again.
    pub(super) fn call_all(&mut self) {
        let (typing, front) = (self.typing, self.front);
        let all = || self.tabs.iter().map(|tab| tab.id);
        let again: Vec<_> = all().filter(|id| self.chosen.contains(id)).collect();
        let is_one = self.front().is_some_and(|tab| again.contains(&tab.id));
        let called = if is_one && again.len() > 1 { again } else { all().collect() };
        self.call(called);
        (self.typing, self.front) = (self.typing && typing, front);
    }

    /// Nobody is among the shells any longer: who was called is forgotten.
    pub(super) fn part(&mut self) {
        self.call_off();
        self.chosen.clear();
    }

    /// How many are meant to be typed into, those among them that cannot be.
    pub fn meant(&self) -> usize {
        self.called.len()
    }

    /// Those of them that take nothing that is typed: they ended, were closed, or were never open.
    pub fn deaf(&self) -> impl Iterator<Item = &Door> {
        let hears = |id: TabId| self.tabs.iter().any(|tab| tab.id == id && tab.end.is_none());
        self.called.iter().filter(move |(id, _)| !hears(*id)).map(|(_, door)| door)
    }

    /// Keys go to the one in front again.
    pub(super) fn call_off(&mut self) {
        self.broadcast = false;
        self.called.clear();
    }

    fn is_called(&self, tab: &Tab) -> bool {
        self.calls(tab.id)
    }

    fn calls(&self, id: TabId) -> bool {
        self.called.iter().any(|(called, _)| *called == id)
    }

    /// How many that were called are not open yet: until then nobody is typed to, so that none gets half a line.
    pub fn outstanding(&self) -> usize {
        self.called.iter().filter(|(id, _)| self.awaited.contains_key(id)).count()
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
        let at = self.insert(id, door);
        if waited {
            (self.front, self.typing, self.copying) = (at, true, None);
        } else if self.broadcast {
            // Whoever looks at one of them then looks at one that was called.
            if self.calls(id) && !self.front().is_some_and(|tab| self.is_called(tab)) {
                self.front = at;
            }
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
        if let Some(id) = self.front().map(|tab| tab.id) {
            self.end(id);
        }
    }

    /// Forgets a tab, and its shell with it.
    pub(super) fn end(&mut self, id: TabId) {
        let Some(at) = self.tabs.iter().position(|tab| tab.id == id) else { return };
        self.tabs.remove(at);
        self.front = if at < self.front { self.front - 1 } else { self.front.min(self.tabs.len().saturating_sub(1)) };
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
}

#[cfg(test)]
mod tests;
