//! `[ui]` and `[keys]`: how the dashboard looks and which keys it takes. What commands there are is not known
//! here: names and keys are kept as written, with their place, for whoever knows.

use std::path::{Path, PathBuf};

use super::{
    ConfigError,
    error::Place,
    reader::{Node, Table},
    theme::{self, Palette},
};

/// `[ui]` and `[keys]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UiSettings {
    pub theme: ThemeChoice,
    pub glyphs: GlyphChoice,
    /// Clicks, the wheel and dragging are the dashboard's, not the terminal's.
    pub mouse: bool,
    /// In the order of the file.
    pub keys: Vec<KeySetting>,
}

/// Which theme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThemeChoice {
    /// For a dark ground, or a bright one where the terminal says so.
    Auto,
    /// One by its name: built in, or from this file.
    Named { name: String, file: PathBuf, place: Place },
}

/// Which signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlyphChoice {
    /// As the locale and the terminal bear.
    Auto,
    Unicode,
    Ascii,
}

impl GlyphChoice {
    /// Whether signs beyond ASCII are drawn. Unless chosen it is as the environment says: `HOMEROOM_ASCII`, else
    /// whether the locale speaks UTF-8. The Linux console has room for few signs, and not for these.
    pub fn is_unicode(self, var: impl Fn(&str) -> Option<String>) -> bool {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        match self {
            Self::Unicode => return true,
            Self::Ascii => return false,
            Self::Auto => {}
        }
        if set("HOMEROOM_ASCII").is_some_and(|value| value != "0") {
            return false;
        }
        if set("TERM").is_some_and(|term| term == "linux") && set("HOMEROOM_ASCII").is_none() {
            return false;
        }
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    }
}

/// Other keys for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySetting {
    pub command: String,
    /// As written; none takes the command its keys.
    pub keys: Vec<String>,
    place: Place,
}

impl KeySetting {
    /// A complaint about it, with its place.
    pub fn complain(&self, message: impl std::fmt::Display) -> ConfigError {
        ConfigError::Document {
            place: self.place.clone(),
            key: String::new(),
            message: format!("keys.{}: {message}", self.command),
        }
    }
}

impl Default for UiSettings {
    fn default() -> Self {
        Self { theme: ThemeChoice::Auto, glyphs: GlyphChoice::Auto, mouse: false, keys: Vec::new() }
    }
}

pub(super) const KEYS: &[&str] = &["theme", "glyphs", "mouse"];

pub(super) fn read(root: &Table<'_>, folder: &Path) -> Result<UiSettings, ConfigError> {
    let mut ui = UiSettings::default();
    if let Some(node) = root.get("ui") {
        let table = node.table()?;
        ui.theme = table.or("theme", ui.theme, |n| theme(&n, folder))?;
        let glyphs = [("auto", GlyphChoice::Auto), ("unicode", GlyphChoice::Unicode), ("ascii", GlyphChoice::Ascii)];
        ui.glyphs = table.or("glyphs", ui.glyphs, |n| n.choice(&glyphs))?;
        ui.mouse = table.or("mouse", ui.mouse, |n| n.boolean())?;
    }
    if let Some(node) = root.get("keys") {
        for (node, command) in node.entries()? {
            let keys = if node.is_string() { vec![node.string()?.to_owned()] } else { strings(&node)? };
            ui.keys.push(KeySetting { command: command.to_owned(), keys, place: node.place() });
        }
    }
    Ok(ui)
}

fn strings(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    let list = node.list().map_err(|_| node.refuse("a key in quotes, or a list of them"))?;
    list.iter().map(|item| item.string().map(str::to_owned)).collect()
}

fn theme(node: &Node<'_>, folder: &Path) -> Result<ThemeChoice, ConfigError> {
    let name = node.text()?;
    if name == "auto" {
        return Ok(ThemeChoice::Auto);
    }
    // A name, so that no path leads out of the folder.
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(node.refuse("a name of letters, digits, - and _"));
    }
    let file = folder.join("themes").join(format!("{name}.toml"));
    Ok(ThemeChoice::Named { name: name.to_owned(), file, place: node.place() })
}

impl UiSettings {
    /// The colours chosen; reads the user's file where they are in one. `bright`: the terminal's ground is known
    /// to be.
    pub fn palette(&self, bright: bool) -> Result<Palette, ConfigError> {
        let ThemeChoice::Named { name, file, place } = &self.theme else {
            return Ok(Palette::built_in(if bright { "light" } else { "dark" }).unwrap_or(Palette::DARK));
        };
        // The user's own goes first, so that one built in can be changed.
        if file.try_exists().unwrap_or(true) {
            return Palette::read(file);
        }
        Palette::built_in(name).ok_or_else(|| ConfigError::Document {
            place: place.clone(),
            key: String::new(),
            message: theme::unknown(name, file),
        })
    }
}
