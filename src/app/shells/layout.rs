//! Where shells stand on the screen, and so how large each is: the one in front, or all that are typed into together.

use super::{Shells, TabId};

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

/// What is left of a place for the cells: its first line is the title.
fn inside(place: Place) -> (u16, u16) {
    // Nothing bears less.
    (place.width.max(2), place.height.saturating_sub(1).max(2))
}

impl Shells {
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
        if !self.broadcast {
            let area = self.area(size);
            return self.front().map(|_| (self.front, area)).into_iter().collect();
        }
        // Those that are not open yet have their place already: nobody is moved when they come.
        let at = |id: &TabId| self.tabs.iter().position(|tab| tab.id == *id);
        self.tiles(self.below(size)).into_iter().filter_map(|(id, place)| Some((at(&id)?, place))).collect()
    }

    /// An area shared among those that were called and are open, or may be.
    fn tiles(&self, area: Place) -> Vec<(TabId, Place)> {
        let comes = |id: &TabId| self.awaited.contains_key(id) || self.tabs.iter().any(|tab| tab.id == *id);
        let called: Vec<TabId> = self.called.iter().map(|(id, _)| *id).filter(comes).collect();
        let count = u16::try_from(called.len()).unwrap_or(u16::MAX);
        let across = (1..=count).find(|n| n * n >= count).unwrap_or(1);
        let down = count.div_ceil(across).max(1);
        let (width, height) = (area.width / across, area.height / down);
        let place = |n: u16| Place {
            x: area.x + (n % across) * width,
            y: area.y + (n / across) * height,
            // A column between two.
            width: width.saturating_sub(u16::from(n % across + 1 < across)),
            height,
        };
        (0..count).zip(called).map(|(n, id)| (id, place(n))).collect()
    }

    /// Below the banner, while there is one.
    fn below(&self, size: (u16, u16)) -> Place {
        let area = self.area(size);
        let banner = self.banner(size).map_or(0, |banner| banner.height);
        Place { y: area.y + banner, height: area.height - banner, ..area }
    }

    /// Columns and rows that one will have that is asked for: so it is opened.
    pub(in crate::app) fn size_of(&self, id: TabId, size: (u16, u16)) -> (u16, u16) {
        let tiles = if self.broadcast { self.tiles(self.below(size)) } else { Vec::new() };
        let tile = tiles.into_iter().find(|(of, _)| *of == id).map(|(_, place)| place);
        inside(tile.unwrap_or_else(|| self.area(size)))
    }

    /// Gives every tab the size it is drawn in.
    pub(in crate::app) fn fit(&mut self, size: (u16, u16)) {
        let places = self.places(size);
        let front = self.area(size);
        for (at, tab) in self.tabs.iter_mut().enumerate() {
            let place = places.iter().find(|(n, _)| *n == at).map_or(front, |(_, place)| *place);
            let (columns, rows) = inside(place);
            tab.fit(columns, rows);
        }
    }
}
