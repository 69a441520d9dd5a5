//! Themes: colours by meaning, from the files built in or one of the user's own.

use std::path::Path;

use super::{
    ConfigError,
    files::read_text,
    reader::{Document, Node, Schema, nearest},
};

/// A colour as a theme has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// The terminal's own.
    Default,
    /// One of the terminal's sixteen.
    Ansi(u8),
    Rgb(u8, u8, u8),
}

/// A colour for each meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// Made for a bright ground.
    pub light: bool,
    pub text: Paint,
    pub title: Paint,
    pub accent: Paint,
    pub dim: Paint,
    pub border: Paint,
    pub ok: Paint,
    pub busy: Paint,
    pub warn: Paint,
    pub bad: Paint,
    /// The ground of the row under the cursor, and of a text field.
    pub cursor: Paint,
    pub field: Paint,
}

const KEYS: &[&str] =
    &["base", "light", "text", "title", "accent", "dim", "border", "ok", "busy", "warn", "bad", "cursor", "field"];
const SCHEMA: Schema = &[("", KEYS)];

/// Those that need no file.
pub const BUILT_IN: [(&str, &str); 5] = [
    ("dark", include_str!("../../config/themes/dark.toml")),
    ("light", include_str!("../../config/themes/light.toml")),
    ("slate", include_str!("../../config/themes/slate.toml")),
    ("ember", include_str!("../../config/themes/ember.toml")),
    ("contrast", include_str!("../../config/themes/contrast.toml")),
];
/// No theme is larger.
const LONGEST: u64 = 1 << 16;

impl Palette {
    /// The colours of `dark.toml`; a test holds the two together.
    pub const DARK: Self = Self {
        light: false,
        text: Paint::Default,
        title: Paint::Default,
        accent: Paint::Rgb(0x5f, 0xd7, 0xd7),
        dim: Paint::Rgb(0x8a, 0x8a, 0x8a),
        border: Paint::Rgb(0x58, 0x58, 0x58),
        ok: Paint::Rgb(0x87, 0xd7, 0x87),
        busy: Paint::Rgb(0x5f, 0xaf, 0xff),
        warn: Paint::Rgb(0xd7, 0xaf, 0x5f),
        bad: Paint::Rgb(0xff, 0x5f, 0x5f),
        cursor: Paint::Rgb(0x30, 0x30, 0x30),
        field: Paint::Rgb(0x44, 0x44, 0x44),
    };

    /// One that is built in.
    pub fn built_in(name: &str) -> Option<Self> {
        let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
        Self::parse(text, name).ok()
    }

    /// One from a file of the user's.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_text(path, LONGEST)?, &path.display().to_string())
    }

    /// Reads a theme; what it does not say is as in its `base`, or as in `dark`. `origin` names it in complaints.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(text, origin, SCHEMA)?;
        let root = document.root().table()?;
        let base = root.optional("base", |node| {
            let names = BUILT_IN.map(|(name, _)| (name, name));
            node.choice(&names).map(|name| Self::built_in(name).unwrap_or(Self::DARK))
        })?;
        let base = base.unwrap_or(Self::DARK);
        let colour = |key: &str, otherwise| root.or(key, otherwise, |node| paint(&node));
        Ok(Self {
            light: root.or("light", base.light, |node| node.boolean())?,
            text: colour("text", base.text)?,
            title: colour("title", base.title)?,
            accent: colour("accent", base.accent)?,
            dim: colour("dim", base.dim)?,
            border: colour("border", base.border)?,
            ok: colour("ok", base.ok)?,
            busy: colour("busy", base.busy)?,
            warn: colour("warn", base.warn)?,
            bad: colour("bad", base.bad)?,
            cursor: colour("cursor", base.cursor)?,
            field: colour("field", base.field)?,
        })
    }
}

fn paint(node: &Node<'_>) -> Result<Paint, ConfigError> {
    const ALLOWED: &str = "\"default\", \"#rrggbb\", or a number from 0 to 15";
    if node.is_integer() {
        return node.integer(0..=15).map(Paint::Ansi).map_err(|_| node.refuse(ALLOWED));
    }
    let text = node.string().map_err(|_| node.refuse(ALLOWED))?;
    if text == "default" {
        return Ok(Paint::Default);
    }
    let digits =
        text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| node.refuse(ALLOWED))?;
    let [_, red, green, blue] = number.to_be_bytes();
    Ok(Paint::Rgb(red, green, blue))
}

/// What is said of a theme that is neither built in nor lies where one of the user's would.
pub(super) fn unknown(name: &str, path: &Path) -> String {
    let names: Vec<_> = std::iter::once("auto").chain(BUILT_IN.iter().map(|(name, _)| *name)).collect();
    let near = nearest(name, names.iter().copied()).map_or(String::new(), |near| format!("; did you mean {near:?}?"));
    format!(
        "ui.theme is {}; built in are {}, and there is no {}{near}",
        super::reader::shorten(name),
        names.join(", "),
        path.display()
    )
}
