//! The palette: every command that would do something now, and every lab, found by a few letters.

use tui_input::Input;

use super::{
    Command, Pane, State,
    commands::{Entry, Group},
    fuzzy::{self, Match},
};
use crate::domain::{Definition, LabName};

/// The palette while it is open.
#[derive(Debug, Default)]
pub struct Palette {
    pub typed: Input,
    /// The row chosen, counted from the best match.
    pub at: usize,
    /// Labs only, each with a capital letter that goes there at once.
    pub labs: bool,
}

impl Palette {
    pub fn of_labs() -> Self {
        Self { labs: true, ..Self::default() }
    }
}

/// The letter of a row among labs: capitals stand in no lab's name.
pub fn letter(row: usize) -> Option<char> {
    ('A'..='Z').nth(row)
}

/// What a row stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Here and now.
    Do(Command),
    /// Show the lab.
    Show(LabName),
    /// The command, for that lab.
    For(Command, LabName),
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub choice: Choice,
    /// What is typed for it.
    pub name: String,
    pub help: &'static str,
    /// The key that does the same here.
    pub key: Option<super::Key>,
    /// Which of the name's characters were found.
    pub found: Match,
}

/// What can be asked for a lab by name.
const OF_A_LAB: [Command; 6] =
    [Command::Deploy, Command::Check, Command::Retry, Command::Extend, Command::Runs, Command::Destroy];
/// Moving by one row is not something to type a name for.
const MOVES: [Command; 8] = [
    Command::Up,
    Command::Down,
    Command::PageUp,
    Command::PageDown,
    Command::Top,
    Command::Bottom,
    Command::NextPane,
    Command::PrevPane,
];

/// Of what is found by what it is said to do.
const BY_TOLD: i32 = -1_000;

/// Found by what others call it, or by the words that tell what it does: each word typed begins one of these, or is part
/// of the name.
fn by_other_words(typed: &str, name: &str, also: &[&str], help: &str) -> Option<Match> {
    let begins = |word: &str| {
        let word = word.to_lowercase();
        let told = word.len() >= 3 && help.split(|c: char| !c.is_alphanumeric()).any(|known| known.starts_with(&word));
        told || also.iter().any(|known| known.starts_with(&word)) || fuzzy::find(&word, name).is_some()
    };
    let called = typed.split_whitespace().flat_map(|word| {
        also.iter().filter_map(move |known| {
            let found = fuzzy::find(word, known).filter(|_| known.starts_with(&word.to_lowercase()));
            found.map(|found| found.score)
        })
    });
    // As good as a name that begins so, or below whatever has a name with these letters.
    let score = called.max().map_or(BY_TOLD, |score| score - 1);
    typed.split_whitespace().all(begins).then_some(Match { score, at: Vec::new() })
}

impl State {
    /// The rows for what was typed, the best first; with nothing typed, in the order of the table.
    pub fn palette_rows(&self, palette: &Palette) -> Vec<Row> {
        let typed = palette.typed.value();
        let mut rows = Vec::new();
        let mut add = |choice, name: String, help, key| {
            let also = match &choice {
                Choice::Do(command) | Choice::For(command, _) => command.also(),
                Choice::Show(_) => &[],
            };
            if let Some(found) = fuzzy::find(typed, &name).or_else(|| by_other_words(typed, &name, also, help)) {
                rows.push(Row { choice, name, help, key, found });
            }
        };
        if palette.labs {
            for (lab, word) in self.lab_names().into_iter().map(|lab| (lab, self.lab_word(lab))) {
                add(Choice::Show(lab.clone()), lab.to_string(), word, None);
            }
            if !typed.is_empty() {
                rows.sort_by_key(|row| -row.found.score);
            }
            return rows;
        }
        let (context, offering) = (self.base_context(), self.offering());
        for entry in self.commands.iter().filter(|entry| entry.on.contains(&context) && entry.group != Group::Popup) {
            let command = entry.command;
            if command != Command::Palette && !MOVES.contains(&command) && offering.has(command) {
                add(Choice::Do(command), command.name().to_owned(), entry.help, entry.keys.first().copied());
            }
        }
        for lab in self.lab_names() {
            add(Choice::Show(lab.clone()), format!("show {lab}"), "its board", None);
        }
        for lab in self.lab_names() {
            let Some(row) = self.class(lab) else { continue };
            for entry in self.commands.iter().filter(|entry| OF_A_LAB.contains(&entry.command)) {
                if self.offers_for(entry.command, &row) {
                    let name = format!("{} {lab}", entry.command.name());
                    add(Choice::For(entry.command, lab.clone()), name, entry.help, None);
                }
            }
        }
        if !typed.trim().is_empty() {
            rows.sort_by_key(|row| -row.found.score);
        }
        rows
    }

    /// The commands that were perhaps meant and are given elsewhere: their names, and where that is.
    pub fn palette_elsewhere(&self, palette: &Palette) -> Vec<(&'static str, &'static str)> {
        let typed = palette.typed.value();
        let meant = |entry: &&Entry| {
            let name = entry.command.name();
            entry.group != Group::Popup
                && !MOVES.contains(&entry.command)
                && (name.starts_with(typed.trim()) || entry.command.also().contains(&typed.trim()))
        };
        let context = self.base_context();
        let found = self.commands.iter().filter(|entry| !entry.on.contains(&context)).filter(meant);
        found.filter_map(|entry| Some((entry.command.name(), entry.on.first()?.place()))).collect()
    }

    /// How a lab stands, in a word.
    fn lab_word(&self, lab: &LabName) -> &'static str {
        self.class(lab).map_or("workshop", |row| row.phase.word())
    }

    /// Every lab there is, by name.
    fn lab_names(&self) -> Vec<&LabName> {
        let mut names: Vec<_> = self.definitions.iter().map(Definition::name).collect();
        names
            .extend(self.progress.values().filter(|progress| !progress.seats.is_empty()).map(|progress| &progress.lab));
        names.sort();
        names.dedup();
        names
    }

    /// Puts the overview's cursor on a lab; its filter makes way.
    pub(super) fn turn_to(&mut self, lab: &LabName) {
        self.screens.truncate(1);
        let workshop = self.definitions.iter().any(|d| d.name() == lab && d.kind() == "workshop");
        let (pane, list) =
            if workshop { (Pane::Workshops, &mut self.workshops) } else { (Pane::Classes, &mut self.classes) };
        self.focus = pane;
        list.filter.reset();
        list.cursor = super::cursor::Cursor::on(lab.to_string());
    }
}
