//! The list of a field's choices: found by a few letters, taken with Enter. Where several may be named it stays open.

use tui_input::Input;

use super::LabForm;
use crate::app::{
    form::Kind,
    fuzzy::{self, Match},
};

/// The list while it is open.
#[derive(Debug, Default)]
pub struct Options {
    pub typed: Input,
    /// The row chosen, counted from the best match.
    pub at: usize,
}

/// A row of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub value: String,
    /// Which of its characters were found.
    pub found: Match,
    /// Among those named already.
    pub marked: bool,
    /// It is what was typed, and nothing that is known.
    pub own: bool,
}

impl LabForm {
    /// Whether the field in front has a list to open.
    pub fn has_options(&self) -> bool {
        self.form.front().is_some_and(|field| matches!(field.kind, Kind::Choice { .. }))
    }

    /// Whether several may be chosen.
    pub fn takes_many(&self) -> bool {
        self.form.front().is_some_and(|field| matches!(field.kind, Kind::Choice { many: true, .. }))
    }

    /// The names in the field in front.
    fn named(&self) -> Vec<String> {
        let value = self.form.front().map_or("", |field| field.input.value());
        value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// The rows for what was typed, the best first. The first of all, while nothing is typed, leaves the field empty
    /// where it may be.
    pub fn option_rows(&self, options: &Options) -> Vec<Row> {
        let Some(field) = self.form.front() else { return Vec::new() };
        let Kind::Choice { of, free, many } = &field.kind else { return Vec::new() };
        let typed = options.typed.value().trim();
        let named = if *many { self.named() } else { vec![field.input.value().trim().to_owned()] };
        let mut rows: Vec<Row> = of
            .iter()
            .filter_map(|value| {
                let found = fuzzy::find(typed, value)?;
                Some(Row { marked: named.contains(value), value: value.clone(), found, own: false })
            })
            .collect();
        if typed.is_empty() {
            let none = || Match { score: 0, at: Vec::new() };
            // What stands in the field and is not known stays among the choices.
            let others = named.iter().filter(|name| !name.is_empty() && !of.contains(name));
            rows.extend(others.map(|name| Row { value: name.clone(), found: none(), marked: true, own: true }));
            if !field.empty.is_empty() {
                rows.insert(
                    0,
                    Row { value: String::new(), found: none(), marked: named.iter().all(String::is_empty), own: false },
                );
            }
        } else {
            rows.sort_by_key(|row| -row.found.score);
            if *free && !of.iter().any(|value| value == typed) {
                let found = Match { score: 0, at: Vec::new() };
                rows.push(Row {
                    value: typed.to_owned(),
                    found,
                    marked: named.iter().any(|name| name == typed),
                    own: true,
                });
            }
        }
        rows
    }

    /// Takes a row, or where several may be named puts it among them or out again; whether the list is done with.
    pub fn take_option(&mut self, row: &Row) -> bool {
        if !self.takes_many() || row.value.is_empty() {
            self.choose(&row.value);
            return true;
        }
        let mut named = self.named();
        if row.marked {
            named.retain(|name| *name != row.value);
        } else {
            named.push(row.value.clone());
        }
        self.choose(&named.join(", "));
        false
    }
}
