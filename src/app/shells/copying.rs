//! Lines of a shell picked out to be copied, back into what scrolled away. What is looked at stands still
//! meanwhile; the shell goes on behind it.

use std::ops::RangeInclusive;

/// What was in a tab when copying began, and the lines picked. Lines are counted from the oldest kept.
pub struct Copying {
    screen: vt100::Screen,
    /// Lines above the screen.
    above: usize,
    rows: usize,
    /// The line the cursor is on.
    at: usize,
    /// Where the pick begins.
    from: usize,
}

impl std::fmt::Debug for Copying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copying").field("at", &self.at).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Copying {
    /// Begins at the last line in sight that has text.
    pub(super) fn of(screen: &vt100::Screen) -> Self {
        let mut screen = screen.clone();
        let (rows, columns) = screen.size();
        let back = screen.scrollback();
        screen.set_scrollback(usize::MAX);
        let above = screen.scrollback();
        screen.set_scrollback(back);
        let last = screen.rows(0, columns).collect::<Vec<_>>().iter().rposition(|row| !row.trim().is_empty());
        let at = above - back + last.unwrap_or(0);
        Self { screen, above, rows: usize::from(rows), at, from: at }
    }

    /// What is in sight.
    pub fn screen(&self) -> &vt100::Screen {
        &self.screen
    }

    /// Moves the cursor; what is in sight follows it.
    pub(super) fn step(&mut self, delta: isize) {
        self.at = self.at.saturating_add_signed(delta).min(self.above + self.rows - 1);
        let top = self.top();
        let top = if self.at < top { self.at } else { top.max((self.at + 1).saturating_sub(self.rows)) };
        self.screen.set_scrollback(self.above.saturating_sub(top));
    }

    /// The pick begins here.
    pub(super) fn begin(&mut self) {
        self.from = self.at;
    }

    /// How many lines are picked.
    pub fn count(&self) -> usize {
        self.at.abs_diff(self.from) + 1
    }

    /// Whether a row in sight is picked.
    pub fn picks(&self, row: u16) -> bool {
        self.picked().contains(&(self.top() + usize::from(row)))
    }

    /// The row of the cursor, of those in sight.
    pub fn row(&self) -> u16 {
        u16::try_from(self.at.saturating_sub(self.top())).unwrap_or(0)
    }

    /// The lines picked, as text. A line that went on in the next row is one again.
    pub(super) fn text(&self) -> String {
        let mut screen = self.screen.clone();
        let columns = screen.size().1;
        let mut text = String::new();
        for line in self.picked() {
            screen.set_scrollback(self.above.saturating_sub(line));
            let row = line.saturating_sub(self.above - screen.scrollback());
            let shown = screen.rows(0, columns).nth(row).unwrap_or_default();
            if u16::try_from(row).is_ok_and(|row| screen.row_wrapped(row)) {
                text.push_str(&shown);
            } else {
                text.push_str(shown.trim_end());
                text.push('\n');
            }
        }
        text
    }

    fn top(&self) -> usize {
        self.above - self.screen.scrollback()
    }

    fn picked(&self) -> RangeInclusive<usize> {
        self.at.min(self.from)..=self.at.max(self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copying() -> Copying {
        let mut parser = vt100::Parser::new(4, 10, 100);
        let lines: String = (1..=20).map(|n| format!("line {n}\r\n")).collect();
        parser.process(lines.as_bytes());
        parser.process(b"0123456789abc\r\n$ ");
        Copying::of(parser.screen())
    }

    #[test]
    fn lines_are_picked_back_into_what_scrolled_away() {
        let mut copying = copying();
        assert_eq!((copying.text().as_str(), copying.count()), ("$\n", 1));
        copying.step(-1);
        copying.begin();
        copying.step(-2);
        assert_eq!(copying.text(), "line 20\n0123456789abc\n");
        copying.step(-14);
        assert_eq!(copying.text().lines().next(), Some("line 6"));
        assert_eq!(copying.row(), 0);
        assert!(copying.screen().contents().starts_with("line 6\n"), "{}", copying.screen().contents());
        copying.step(-1000);
        assert_eq!(copying.text().lines().next(), Some("line 1"));
        copying.step(1000);
        assert_eq!(copying.text().lines().last(), Some("$"));
        assert!(copying.picks(copying.row()) && !copying.picks(0));
    }
}
