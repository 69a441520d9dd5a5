//! Rows marked to be acted on together, kept by the row's key as the cursor is, so that rows coming and
//! going, sorting and filtering move no mark.

use std::collections::BTreeSet;

/// The marks of one list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    keys: BTreeSet<String>,
    /// Where a range begins: the row marked last.
    from: Option<String>,
}

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many rows are marked, in sight or not.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the row with this key is marked.
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Marks a row, or takes its mark away.
    pub fn toggle(&mut self, key: &str) {
        if !self.keys.remove(key) {
            self.keys.insert(key.to_owned());
        }
        self.from = Some(key.to_owned());
    }

    /// Marks every row between the one marked last and row `at`, both included.
    pub fn range(&mut self, shown: &[String], at: usize) {
        let from = self.from.as_ref().and_then(|key| shown.iter().position(|k| k == key)).unwrap_or(at);
        self.keys.extend(shown.iter().take(from.max(at) + 1).skip(from.min(at)).cloned());
        self.from = shown.get(at).cloned();
    }

    /// Marks every row shown; when all of them are, none is marked any more.
    pub fn all(&mut self, shown: &[String]) {
        if shown.iter().all(|key| self.keys.contains(key)) {
            self.clear();
        } else {
            self.keys.extend(shown.iter().cloned());
        }
    }

    /// The keys of the rows marked.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_range_reaches_from_the_row_marked_last_in_either_direction() {
        let mut marks = Marks::default();
        marks.toggle("c");
        marks.range(&shown(), 0);
        assert!(["a", "b", "c"].iter().all(|key| marks.has(key)) && !marks.has("d"));
        let mut alone = Marks::default();
        alone.range(&shown(), 2);
        assert_eq!((alone.len(), alone.has("c")), (1, true));
    }

    #[test]
    fn all_marks_what_is_shown_and_a_second_time_nothing() {
        let mut marks = Marks::default();
        marks.toggle("hidden");
        marks.all(&shown());
        assert_eq!(marks.len(), 5, "what was marked before the filter stays marked");
        marks.all(&shown());
        assert!(marks.is_empty());
    }
}
