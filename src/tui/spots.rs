//! What was drawn where, as far as it can be pointed at; and what the mouse did there.

use ratatui::layout::Rect;

use crate::app::{
    pointer::{Divider, Pointed, Spot},
    shells::mouse::Report,
};

/// What can be pointed at; what was drawn later lies on top.
#[derive(Debug, Default)]
pub struct Spots {
    spots: Vec<(Rect, Spot)>,
    /// A line is held.
    held: Option<Divider>,
}

impl Spots {
    pub fn add(&mut self, area: Rect, spot: Spot) {
        self.spots.push((area, spot));
    }

    /// Those of a new frame; what is held stays held.
    pub fn renew(&mut self, drawn: Self) {
        self.spots = drawn.spots;
    }

    /// What the mouse did, if it means anything there.
    pub fn pointed(&mut self, report: Report) -> Option<Pointed> {
        let (column, row) = report.place();
        let at =
            || self.spots.iter().rev().filter(|(area, _)| area.contains((column, row).into())).map(|(_, spot)| spot);
        if let Some(delta) = report.wheel() {
            let pane = at().find_map(|spot| if let Spot::Pane(pane) = spot { Some(*pane) } else { None });
            return Some(Pointed::Wheel(pane, delta));
        }
        if report.is_release() {
            self.held = None;
            return None;
        }
        if let Some(divider) = self.held.filter(|_| report.is_drag()) {
            return Some(Pointed::Drag(divider, column, row));
        }
        let spot = at().next().filter(|_| report.is_click())?.clone();
        if let Spot::Divider(divider) = spot {
            self.held = Some(divider);
        }
        Some(Pointed::Click(spot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Pane;

    fn report(bytes: &str) -> Report {
        Report::read(bytes.as_bytes()).unwrap().0
    }

    #[test]
    fn what_was_drawn_last_is_pointed_at_and_a_line_is_dragged_until_it_is_let_go() {
        let mut spots = Spots::default();
        spots.add(Rect::new(0, 0, 10, 10), Spot::Pane(Pane::Nodes));
        spots.add(Rect::new(0, 2, 10, 1), Spot::Row(Some(Pane::Nodes), "pve1".into()));
        spots.add(Rect::new(9, 0, 1, 10), Spot::Divider(Divider::Left));
        let row = Spot::Row(Some(Pane::Nodes), "pve1".into());
        assert_eq!(spots.pointed(report("\x1b[<0;3;3M")), Some(Pointed::Click(row)));
        assert_eq!(spots.pointed(report("\x1b[<0;3;3m")), None);
        assert_eq!(spots.pointed(report("\x1b[<65;3;3M")), Some(Pointed::Wheel(Some(Pane::Nodes), 1)));
        assert_eq!(spots.pointed(report("\x1b[<32;5;3M")), None, "nothing is held");
        spots.pointed(report("\x1b[<0;10;3M"));
        assert_eq!(spots.pointed(report("\x1b[<32;14;3M")), Some(Pointed::Drag(Divider::Left, 13, 2)));
        spots.pointed(report("\x1b[<0;14;3m"));
        assert_eq!(spots.pointed(report("\x1b[<32;15;3M")), None);
        assert_eq!(spots.pointed(report("\x1b[<0;40;40M")), None);
    }
}
