//! Forms: fields one below the other, typed in or chosen. Knows nothing of what they are for.

use std::fmt;

use tui_input::{Input, InputRequest};

use crate::domain::Clean;

/// A text that no `Debug` shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// How a field is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Never shown.
    Secret,
    /// One of these, or with `free` anything else; with `many` several, with commas between.
    Choice {
        of: Vec<String>,
        free: bool,
        many: bool,
    },
}

/// One field.
pub struct Field<K> {
    pub key: K,
    /// The heading it stands under; empty for none.
    pub group: &'static str,
    pub label: &'static str,
    /// What belongs there, told while the field is in front.
    pub hint: &'static str,
    /// What it means to leave it empty.
    pub empty: &'static str,
    pub kind: Kind,
    pub input: Input,
    /// What is wrong with it.
    pub wrong: Option<Clean>,
    /// What may be wrong with it, as far as can be seen.
    pub doubt: Option<Clean>,
}

impl<K> Field<K> {
    /// A field under no heading.
    pub fn new(key: K, label: &'static str, kind: Kind, value: impl Into<String>, hint: &'static str) -> Self {
        let input = Input::new(value.into());
        Self { key, group: "", label, hint, empty: "", kind, input, wrong: None, doubt: None }
    }

    /// Whether text goes into it.
    pub fn takes_text(&self) -> bool {
        !matches!(self.kind, Kind::Choice { free: false, .. })
    }
}

impl<K: fmt::Debug> fmt::Debug for Field<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.kind == Kind::Secret { "(hidden)" } else { self.input.value() };
        f.debug_struct("Field").field("key", &self.key).field("value", &shown).finish_non_exhaustive()
    }
}

/// Fields, and the one keys go to.
#[derive(Debug)]
pub struct Form<K> {
    pub fields: Vec<Field<K>>,
    pub at: usize,
    /// It was handed in with something wrong: from now on what is missing is wrong too.
    pub insisted: bool,
}

impl<K: Copy + PartialEq> Form<K> {
    pub fn new() -> Self {
        Self { fields: Vec::new(), at: 0, insisted: false }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(
        mut self,
        key: K,
        label: &'static str,
        kind: Kind,
        value: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        self.fields.push(Field::new(key, label, kind, value, hint));
        self
    }

    /// What stands in a field, without the blanks around it.
    pub fn value(&self, key: K) -> &str {
        self.fields.iter().find(|field| field.key == key).map_or("", |field| field.input.value().trim())
    }

    pub fn set(&mut self, key: K, value: &str) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key == key) {
            field.input = Input::new(value.to_owned());
        }
    }

    /// Says what is wrong with a field.
    pub fn complain(&mut self, key: K, wrong: impl Into<Clean>) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key == key) {
            field.wrong = Some(wrong.into());
        }
    }

    /// Says that a field is to be filled in.
    pub fn want(&mut self, key: K) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.key == key) {
            field.wrong = Some(format!("to be given: {}", field.hint).into());
        }
    }

    /// Whether what is said of a field is only that nothing stands there yet, and nobody has asked for more.
    pub fn is_awaited(&self, field: &Field<K>) -> bool {
        !self.insisted && field.wrong.is_some() && field.input.value().trim().is_empty()
    }

    /// How many fields are to be filled in yet.
    pub fn awaited(&self) -> usize {
        self.fields.iter().filter(|field| self.is_awaited(field)).count()
    }

    /// Nothing is wrong with any, so far.
    pub fn forgive(&mut self) {
        self.fields.iter_mut().for_each(|field| field.wrong = None);
    }

    /// Puts the keys to the first field something is wrong with; whether there is one.
    pub fn turn_to_wrong(&mut self) -> bool {
        let wrong = self.fields.iter().position(|field| field.wrong.is_some());
        self.at = wrong.unwrap_or(self.at);
        wrong.is_some()
    }

    /// The field in front.
    pub fn front(&self) -> Option<&Field<K>> {
        self.fields.get(self.at)
    }

    /// Where text goes: nowhere where one may only choose.
    pub fn input(&mut self) -> Option<&mut Input> {
        self.fields.get_mut(self.at).filter(|field| field.takes_text()).map(|field| &mut field.input)
    }

    /// The field `by` further, round and round.
    pub fn turn(&mut self, by: isize) {
        let count = self.fields.len().max(1) as isize;
        self.at = (self.at as isize + by).rem_euclid(count) as usize;
    }

    /// Another choice, or the cursor moves within the text; whether the value changed.
    pub fn shift(&mut self, by: isize) -> bool {
        let Some(field) = self.fields.get_mut(self.at) else { return false };
        let Kind::Choice { of, free: false, .. } = &field.kind else {
            field.input.handle(if by > 0 { InputRequest::GoToNextChar } else { InputRequest::GoToPrevChar });
            return false;
        };
        let count = of.len() as isize;
        if count == 0 {
            return false;
        }
        let next = match of.iter().position(|choice| choice == field.input.value()) {
            Some(at) => (at as isize + by).rem_euclid(count),
            None => 0,
        };
        field.input = Input::new(of[next as usize].clone());
        true
    }
}

/// What keys do to any form.
pub trait Fields {
    /// The field `by` further.
    fn turn(&mut self, by: isize);
    /// Another choice, or the cursor within the text.
    fn shift(&mut self, by: isize);
    /// Where text goes.
    fn text(&mut self) -> Option<&mut Input>;
}

impl<K: Copy + PartialEq> Fields for Form<K> {
    fn turn(&mut self, by: isize) {
        Self::turn(self, by);
    }

    fn shift(&mut self, by: isize) {
        Self::shift(self, by);
    }

    fn text(&mut self) -> Option<&mut Input> {
        self.input()
    }
}

impl<K: Copy + PartialEq> Default for Form<K> {
    fn default() -> Self {
        Self::new()
    }
}
