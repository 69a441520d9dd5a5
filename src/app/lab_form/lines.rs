//! A list written one name a line: for long ones, and for what is pasted.

use tui_input::{Input, InputRequest};

/// The lines while they are open. Never none.
#[derive(Debug)]
pub struct Lines {
    pub rows: Vec<Input>,
    pub at: usize,
    /// A blank ends a name: what is pasted falls into words.
    words: bool,
}

impl Lines {
    /// The names of a field, with commas between; a line to go on with below them.
    pub fn of(value: &str, words: bool) -> Self {
        let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut rows: Vec<Input> = names.map(|name| Input::new(name.to_owned())).collect();
        rows.push(Input::default());
        Self { at: rows.len() - 1, rows, words }
    }

    /// The names, with commas between.
    pub fn value(&self) -> String {
        let names = self.rows.iter().map(|row| row.value().trim()).filter(|name| !name.is_empty());
        names.collect::<Vec<_>>().join(", ")
    }

    /// How many names there are.
    pub fn count(&self) -> usize {
        self.rows.iter().filter(|row| !row.value().trim().is_empty()).count()
    }

    pub fn step(&mut self, delta: isize) {
        self.at = self.at.saturating_add_signed(delta).min(self.rows.len() - 1);
    }

    /// Enter: a line below.
    pub fn next(&mut self) {
        self.at += 1;
        if self.rows.get(self.at).is_none_or(|row| !row.value().is_empty()) {
            self.rows.insert(self.at, Input::default());
        }
    }

    /// A key in the line in front. A comma begins the next; the backspace on an empty line takes it away.
    pub fn edit(&mut self, request: InputRequest) {
        let empty = self.rows[self.at].value().is_empty();
        match request {
            InputRequest::InsertChar(',') => self.next(),
            InputRequest::DeletePrevChar if empty && self.rows.len() > 1 => {
                self.rows.remove(self.at);
                self.at = self.at.saturating_sub(1);
            }
            request => _ = self.rows[self.at].handle(request),
        }
    }

    /// Text pasted: a line for each word of it, or for each comma.
    pub fn paste(&mut self, text: &str) {
        let words = self.words;
        for word in
            text.split(|c| c == ',' || words && matches!(c, ' ' | ';')).map(str::trim).filter(|word| !word.is_empty())
        {
            if !self.rows[self.at].value().is_empty() {
                self.next();
            }
            self.rows[self.at] = Input::new(word.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_pasted_and_taken_away_line_by_line() {
        let mut lines = Lines::of("ada, grace", true);
        assert_eq!((lines.rows.len(), lines.at), (3, 2));
        "mary,".chars().for_each(|letter| lines.edit(InputRequest::InsertChar(letter)));
        lines.paste("joan  karen,barbara");
        assert_eq!(lines.value(), "ada, grace, mary, joan, karen, barbara");
        lines.step(-100);
        (0..4).for_each(|_| lines.edit(InputRequest::DeletePrevChar));
        assert_eq!((lines.value().as_str(), lines.count()), ("grace, mary, joan, karen, barbara", 5));
        lines.next();
        lines.step(100);
        lines.edit(InputRequest::DeletePrevChar);
        assert_eq!(Lines::of("", true).value(), "");
    }
}
