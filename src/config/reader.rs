//! Walks a TOML document with line numbers, so that every complaint can say where.
//!
//! Knows nothing of what the keys mean.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt::Display,
    ops::{Range, RangeInclusive},
    str::FromStr,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError,
    error::{Place, Warning},
};
use crate::domain::Clean;

/// The keys each table of a kind of document has, by the table's path; `*` stands for any one name.
pub(super) type Schema = &'static [(&'static str, &'static [&'static str])];

/// A document being read.
pub(super) struct Document<'t> {
    origin: Clean,
    text: &'t str,
    schema: Schema,
    root: Spanned<DeValue<'t>>,
    /// By the path of a key: what was said of it that helps to read on without it.
    hints: RefCell<BTreeMap<String, Hint>>,
}

/// What would do in the place of a key that is complained of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hint {
    /// It has to be there, and may read like this.
    Example(&'static str),
    /// There is no such key, and this one was probably meant.
    Meant(&'static str),
}

impl<'t> Document<'t> {
    /// Parses `text`; `origin` is what complaints call it, usually its path as given.
    pub(super) fn parse(text: &'t str, origin: &str, schema: Schema) -> Result<Self, ConfigError> {
        let mut document = Self {
            origin: Clean::new(origin),
            text,
            schema,
            root: Spanned::new(0..0, DeValue::Boolean(false)),
            hints: RefCell::default(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        // The first is the cause. Its own Display quotes the line, which may hold a secret.
        if let Some(e) = errors.iter().min_by_key(|e| e.span().map_or(usize::MAX, |span| span.start)) {
            let message = format!("not valid TOML: {}", e.message());
            return Err(document.complaint(e.span().map(|span| span.start), "", &message));
        }
        document.root = Spanned::new(0..0, DeValue::Table(table.into_inner()));
        Ok(document)
    }

    /// The keys to hold the document to, once its kind is known.
    pub(super) fn set_schema(&mut self, schema: Schema) {
        self.schema = schema;
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node { document: self, path: String::new(), at: None, value: self.root.get_ref(), hush: false }
    }

    /// The whole, to be changed before it is read again.
    pub(super) fn root_mut(&mut self) -> Option<&mut DeTable<'t>> {
        match self.root.get_mut() {
            DeValue::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What was noted of a key while it was read.
    pub(super) fn hint(&self, path: &str) -> Option<Hint> {
        self.hints.borrow().get(path).copied()
    }

    fn place(&self, offset: Option<usize>) -> Place {
        let line = offset.map(|at| 1 + self.text.bytes().take(at).filter(|b| *b == b'\n').count());
        Place { origin: self.origin.as_str().to_owned(), line }
    }

    fn complaint(&self, offset: Option<usize>, key: &str, message: &str) -> ConfigError {
        let key = key.to_owned();
        ConfigError::Document { place: self.place(offset), key, message: Clean::new(message).as_str().to_owned() }
    }

    /// The table that would know `key`, other than `here`.
    fn home_of(&self, key: &str, here: &str) -> Option<&'static str> {
        self.schema.iter().find(|(path, keys)| *path != here && keys.contains(&key)).map(|(path, _)| *path)
    }

    fn keys_of(&self, path: &str) -> &'static [&'static str] {
        let matches = |pattern: &str| {
            let mut parts = path.split('.').map(Some).chain([None]);
            let mut wanted = pattern.split('.').map(Some).chain([None]);
            loop {
                match (parts.next().flatten(), wanted.next().flatten()) {
                    (None, None) => return true,
                    (Some(_), Some("*")) => {}
                    (Some(part), Some(want)) if part == want => {}
                    _ => return false,
                }
            }
        };
        self.schema.iter().find(|(pattern, _)| matches(pattern)).map_or(&[], |(_, keys)| keys)
    }
}

/// One value of a document, and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    document: &'a Document<'a>,
    path: String,
    at: Option<usize>,
    value: &'a DeValue<'a>,
    hush: bool,
}

impl<'a> Node<'a> {
    /// `machine.memory`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn place(&self) -> Place {
        self.document.place(self.at)
    }

    /// The same, of which no complaint shows the value.
    pub(super) fn hushed(mut self) -> Self {
        self.hush = true;
        self
    }

    /// A complaint in its own words.
    pub(super) fn complain(&self, message: impl Display) -> ConfigError {
        self.document.complaint(self.at, &self.path, &message.to_string())
    }

    /// A complaint about a key that is not there.
    pub(super) fn lacks(&self, key: &str, message: impl Display) -> ConfigError {
        self.document.complaint(self.at, &self.under(key), &message.to_string())
    }

    /// `machine.cores is "two"; it must be …`
    pub(super) fn refuse(&self, allowed: impl Display) -> ConfigError {
        self.complain(format!("{} is {}; it must be {allowed}", self.path, self.given()))
    }

    pub(super) fn warn(&self, message: impl Display) -> Warning {
        Warning { place: self.place(), message: Clean::new(format!("{} {message}", self.path)).as_str().to_owned() }
    }

    /// What stands there, for a complaint.
    pub(super) fn given(&self) -> String {
        match self.value {
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::String(_) if self.hush => "a string".to_owned(),
            _ if self.hush => "not a string".to_owned(),
            DeValue::String(s) => shorten(s),
            DeValue::Integer(n) => n.to_string(),
            DeValue::Float(n) => n.to_string(),
            DeValue::Boolean(b) => b.to_string(),
            DeValue::Datetime(_) => "a date".to_owned(),
        }
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub(super) fn is_integer(&self) -> bool {
        matches!(self.value, DeValue::Integer(_))
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) fn string(&self) -> Result<&'a str, ConfigError> {
        match self.value {
            DeValue::String(s) => Ok(s),
            _ => Err(self.refuse("a string in quotes")),
        }
    }

    /// A string that is one line of visible text.
    pub(super) fn text(&self) -> Result<&'a str, ConfigError> {
        let text = self.string()?;
        if text.trim().is_empty() {
            return Err(self.complain(format!("{} is empty; leave the key out, or say what is meant", self.path)));
        }
        if Clean::new(text).as_str() != text.trim_end() {
            return Err(self.complain(format!("{} holds line breaks or invisible characters; retype it", self.path)));
        }
        Ok(text)
    }

    /// A text made only of what `allowed` passes.
    pub(super) fn word(&self, allowed: impl Fn(char) -> bool, rule: &str) -> Result<String, ConfigError> {
        let text = self.text()?;
        if text.chars().all(allowed) { Ok(text.to_owned()) } else { Err(self.refuse(rule)) }
    }

    /// A string that some type of ours knows how to read; its own words are the complaint.
    pub(super) fn parsed<T>(&self) -> Result<T, ConfigError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.string()?.parse().map_err(|e: T::Err| self.complain(format!("{}: {e}", self.path)))
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        match self.value {
            DeValue::Boolean(b) => Ok(*b),
            _ => Err(self.refuse("true or false")),
        }
    }

    pub(super) fn integer<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<T, ConfigError> {
        let wrong = || self.refuse(format!("a whole number from {} to {}", range.start(), range.end()));
        let DeValue::Integer(n) = self.value else { return Err(wrong()) };
        let n = u64::from_str_radix(n.as_str(), n.radix()).map_err(|_| wrong())?;
        if !range.contains(&n) {
            return Err(wrong());
        }
        T::try_from(n).map_err(|_| wrong())
    }

    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Result<f64, ConfigError> {
        let wrong = || self.refuse(format!("a number from {} to {}", range.start(), range.end()));
        let n: f64 = match self.value {
            DeValue::Float(n) => n.as_str().parse().map_err(|_| wrong())?,
            DeValue::Integer(n) if n.radix() == 10 => n.as_str().parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        if range.contains(&n) { Ok(n) } else { Err(wrong()) }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Result<T, ConfigError> {
        let words = || choices.iter().map(|(word, _)| *word);
        let all = words().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(", ");
        let wrong =
            |hint: &str| self.complain(format!("{} is {}; it must be one of {all}{hint}", self.path, self.given()));
        let DeValue::String(given) = self.value else { return Err(wrong("")) };
        choices.iter().find(|(word, _)| word == given).map(|(_, choice)| *choice).ok_or_else(|| {
            match nearest(given, words()) {
                Some(near) => wrong(&format!("; did you mean {near:?}?")),
                None => wrong(""),
            }
        })
    }

    /// The values of a list. They are called by the list's own name: line and value tell them apart.
    pub(super) fn list(&self) -> Result<Vec<Node<'a>>, ConfigError> {
        let DeValue::Array(items) = self.value else { return Err(self.refuse("a list in [ ]")) };
        Ok(items.iter().map(|item| self.child(self.path.clone(), &item.span(), item.get_ref())).collect())
    }

    /// A list of strings that are visible text.
    pub(super) fn texts(&self) -> Result<Vec<String>, ConfigError> {
        self.list()?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// A table whose keys are names the user chose.
    pub(super) fn entries(&self) -> Result<Vec<(Node<'a>, &'a str)>, ConfigError> {
        let DeValue::Table(table) = self.value else { return Err(self.refuse("a table")) };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(key, value)| {
                (self.child(self.under(key.get_ref()), &key.span(), value.get_ref()), key.get_ref().as_ref())
            })
            .collect();
        entries.sort_by_key(|(node, _)| node.at);
        Ok(entries)
    }

    /// A table with the keys the schema gives it; any other key is refused here, before anything is read.
    pub(super) fn table(&self) -> Result<Table<'a>, ConfigError> {
        let keys = self.document.keys_of(&self.path);
        self.table_of(keys)
    }

    /// A table with these keys.
    pub(super) fn table_of(&self, keys: &'static [&'static str]) -> Result<Table<'a>, ConfigError> {
        for (node, key) in self.entries()? {
            if !keys.contains(&key) {
                let elsewhere = self.document.home_of(key, &self.path).is_some_and(|home| !home.contains('*'));
                if let Some(near) = nearest(key, keys.iter().copied()).filter(|_| !elsewhere) {
                    self.document.hints.borrow_mut().insert(node.path.clone(), Hint::Meant(near));
                }
                return Err(node.complain(self.unknown(key, keys)));
            }
        }
        Ok(Table { node: self.clone(), keys })
    }

    fn unknown(&self, key: &str, keys: &[&'static str]) -> String {
        let here = if self.path.is_empty() { "at the top level".to_owned() } else { format!("in [{}]", self.path) };
        let wrong = format!("unknown key {} {here}", shorten(key));
        if let Some(home) = self.document.home_of(key, &self.path).filter(|home| !home.contains('*')) {
            return match home {
                "" => format!("{wrong}; it belongs at the top, before the first [table]"),
                home => format!("{wrong}; it belongs in [{home}]"),
            };
        }
        match nearest(key, keys.iter().copied()) {
            Some(near) => format!("{wrong}; did you mean {near:?}?"),
            None => format!("{wrong}; the keys here are {}", keys.join(", ")),
        }
    }

    fn under(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn child(&self, path: String, span: &Range<usize>, value: &'a DeValue<'a>) -> Node<'a> {
        Node { document: self.document, path, at: Some(span.start), value, hush: self.hush }
    }
}

/// A table whose keys have been checked.
pub(super) struct Table<'a> {
    node: Node<'a>,
    keys: &'static [&'static str],
}

impl<'a> Table<'a> {
    pub(super) fn node(&self) -> &Node<'a> {
        &self.node
    }

    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        debug_assert!(self.keys.contains(&key), "{key} is read but not in the schema of {:?}", self.node.path);
        let DeValue::Table(table) = self.node.value else { return None };
        let (key, value) = table.get_key_value(key)?;
        Some(self.node.child(self.node.under(key.get_ref()), &key.span(), value.get_ref()))
    }

    /// A key that must be there; `example` is how it could read.
    pub(super) fn need(&self, key: &str, example: &'static str) -> Result<Node<'a>, ConfigError> {
        self.node.document.hints.borrow_mut().insert(self.node.under(key), Hint::Example(example));
        self.get(key).ok_or_else(|| {
            self.node.lacks(key, format!("{} is missing; write for example {key} = {example}", self.node.under(key)))
        })
    }

    /// What `read` makes of `key`, if it is there.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        self.get(key).map(read).transpose()
    }

    /// What `read` makes of `key`, else `default`.
    pub(super) fn or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(Node<'a>) -> Result<T, ConfigError>,
    ) -> Result<T, ConfigError> {
        Ok(self.optional(key, read)?.unwrap_or(default))
    }
}

/// The candidate that takes the fewest edits to become, if that is few enough to be meant.
pub(super) fn nearest<'c>(given: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let given = given.to_lowercase();
    candidates
        .map(|candidate| (strsim::osa_distance(&given, candidate), candidate))
        .filter(|(edits, candidate)| {
            *edits <= 1 + candidate.len() / 3 && *edits < candidate.len()
                || given.len() >= 3
                    && candidate.len() >= 3
                    && (candidate.starts_with(&given) || given.starts_with(candidate))
        })
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// In quotes, without control characters, not longer than a complaint can bear.
pub(super) fn shorten(text: &str) -> String {
    let clean = Clean::new(text);
    let mut short: String = clean.as_str().chars().take(60).collect();
    if short.len() < clean.as_str().len() {
        short.push('…');
    }
    format!("{short:?}")
}
