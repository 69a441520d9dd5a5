//! Keys of the user's own choosing: each replaces those of the table, and what would then mean two things in
//! one place is refused before anything is shown.

use std::{borrow::Cow, collections::HashMap, fmt};

use super::{Command, Commands, Context, Entry, Group};
use crate::app::Key;

/// Why a command cannot have a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Another command has it in the same place.
    Taken { key: Key, by: Command, on: Context },
    /// Letters are text where the command is given.
    Text { key: Key, on: Context },
    /// Its key is not ours to choose: a shell has all others.
    Fixed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { key, by, on } => {
                write!(
                    f,
                    "the key {key} is that of {} {} already; give {} another one",
                    by.name(),
                    on.place(),
                    by.name()
                )
            }
            Self::Text { key, on } => {
                write!(f, "the key {key} is text {}; take one with ctrl, or a named one", on.place())
            }
            Self::Fixed => f.write_str("its key cannot be changed: while it counts, every other key is the shell's"),
        }
    }
}

impl Entry {
    /// Whether the user's keys replace those of this row: popups keep theirs, but for commands that only they have.
    fn is_rebound(&self, all: &[Entry]) -> bool {
        self.group != Group::Popup || all.iter().all(|e| e.command != self.command || e.group == Group::Popup)
    }
}

impl Commands {
    /// Gives a command these keys instead of its own.
    pub fn rebind(&mut self, command: Command, keys: &[Key]) -> Result<(), Refused> {
        if matches!(command, Command::LetGo | Command::GiveUpShell) {
            return Err(Refused::Fixed);
        }
        let rows: Vec<bool> = self.0.iter().map(|e| e.command == command && e.is_rebound(&self.0)).collect();
        for (entry, _) in self.0.iter_mut().zip(rows).filter(|(_, meant)| *meant) {
            let text = entry.on.iter().find(|on| on.takes_text());
            let letter = keys.iter().find(|key| matches!(key, Key::Char(_)));
            if let (Some(on), Some(key)) = (text, letter) {
                return Err(Refused::Text { key: *key, on: *on });
            }
            entry.keys = Cow::Owned(keys.to_vec());
        }
        Ok(())
    }

    /// The keys that now mean two things in one place, as seen from one of the commands that were changed; each is told
    /// for the first such place.
    pub fn clashes(&self, changed: &[Command]) -> Vec<(Command, Refused)> {
        let mut found: Vec<(Command, Refused)> = Vec::new();
        let mut taken: HashMap<(Context, Key), Command> = HashMap::new();
        for entry in &self.0 {
            for on in entry.on {
                for key in entry.keys.iter() {
                    let Some(by) = taken.insert((*on, *key), entry.command) else { continue };
                    let (new, old) =
                        if changed.contains(&entry.command) { (entry.command, by) } else { (by, entry.command) };
                    let told = |known: &(Command, Refused)| {
                        known.0 == new
                            && matches!(known.1, Refused::Taken { key: told, by, .. } if (told, by) == (*key, old))
                    };
                    if !found.iter().any(told) {
                        found.push((new, Refused::Taken { key: *key, by: old, on: *on }));
                    }
                }
            }
        }
        found
    }
}

impl Context {
    /// Where that is, in words.
    pub fn place(self) -> &'static str {
        match self {
            Self::Nodes => "in the nodes pane",
            Self::Classes => "in the classes pane",
            Self::Workshops => "in the workshops pane",
            Self::Log | Self::LogScreen => "in the log",
            Self::Board => "on a class's board",
            Self::Runs => "in the list of runs",
            Self::Run => "on a run's board",
            Self::Shells => "among the shells",
            Self::Typing => "in a shell",
            Self::Opening => "while a shell is being opened",
            Self::Hushed => "just after a shell ended",
            Self::Node => "on a node's board",
            Self::Machine => "on a machine's board",
            Self::Filter => "where a filter is typed",
            Self::PalettePopup => "where a command is typed",
            Self::Form | Self::LabForm => "in a form",
            _ => "in a question",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_ones_own_replace_those_of_the_table() {
        let mut commands = Commands::new(false);
        commands.rebind(Command::Deploy, &[Key::Char('D'), Key::F(9)]).unwrap();
        assert_eq!(commands.clashes(&[Command::Deploy]), []);
        assert_eq!(commands.by_key(Context::Board, Key::Char('D')), Some(Command::Deploy));
        assert_eq!(commands.by_key(Context::Board, Key::Char('d')), None);
        commands.rebind(Command::Quit, &[]).unwrap();
        assert_eq!(commands.by_key(Context::Board, Key::Ctrl('c')), Some(Command::Quit), "there is always a way out");
    }

    #[test]
    fn a_key_that_would_mean_two_things_is_refused_and_both_are_named() {
        let mut commands = Commands::new(false);
        commands.rebind(Command::Deploy, &[Key::Char('s')]).unwrap();
        let clashes = commands.clashes(&[Command::Deploy]);
        let (command, refused) = clashes[0].clone();
        assert_eq!(command, Command::Deploy);
        assert_eq!(
            refused.to_string(),
            "the key s is that of shell in the classes pane already; give shell another one"
        );
        let letter = Commands::new(false).rebind(Command::Choose, &[Key::Char('x')]);
        assert!(matches!(letter, Err(Refused::Text { .. })));
        assert_eq!(Commands::new(false).rebind(Command::LetGo, &[Key::F(1)]), Err(Refused::Fixed));
    }

    #[test]
    fn two_commands_may_change_places() {
        let mut commands = Commands::new(false);
        commands.rebind(Command::Deploy, &[Key::Char('x')]).unwrap();
        commands.rebind(Command::Destroy, &[Key::Char('d')]).unwrap();
        assert_eq!(commands.clashes(&[Command::Deploy, Command::Destroy]), []);
    }
}
