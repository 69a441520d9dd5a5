//! A place in a list, kept by the row's key so that rows coming and going do not move it.

/// The selected row: its key, and where it last was in case the row goes away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    key: Option<String>,
    index: usize,
}

impl Cursor {
    /// On the row with this key.
    pub fn on(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), index: 0 }
    }

    /// Where the cursor stands in a list with these keys; `None` when the list is empty.
    pub fn position<S: AsRef<str>>(&self, keys: &[S]) -> Option<usize> {
        let last = keys.len().checked_sub(1)?;
        let known = self.key.as_ref().and_then(|key| keys.iter().position(|k| k.as_ref() == key));
        Some(known.unwrap_or(self.index.min(last)))
    }

    /// Moves by `delta` rows and stops at the ends.
    pub fn step<S: AsRef<str>>(&mut self, keys: &[S], delta: isize) {
        if let Some(at) = self.position(keys) {
            self.set(keys, at.saturating_add_signed(delta));
        }
    }

    /// Moves to the row, or to the last one.
    pub fn set<S: AsRef<str>>(&mut self, keys: &[S], index: usize) {
        self.index = index.min(keys.len().saturating_sub(1));
        self.key = keys.get(self.index).map(|key| key.as_ref().to_owned());
    }
}

/// The first of `height` rows to show so that row `at` of `len` is among them, near the middle.
pub fn window(at: usize, len: usize, height: usize) -> usize {
    at.saturating_sub(height / 2).min(len.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_on_its_row_when_rows_come_and_go() {
        let mut cursor = Cursor::default();
        cursor.step(&["a", "b", "c"], 1);
        assert_eq!(cursor.position(&["0", "a", "b", "c"]), Some(2));
        assert_eq!(cursor.position(&["a", "c"]), Some(1));
        assert_eq!(cursor.position::<&str>(&[]), None);
    }

    #[test]
    fn the_window_always_shows_the_cursor_and_never_runs_past_the_end() {
        for (at, len, height) in [(0, 50, 10), (25, 50, 10), (49, 50, 10), (3, 5, 10)] {
            let first = window(at, len, height);
            assert!(first <= at && at < first + height && (first + height <= len || first == 0));
        }
    }
}
