//! The signs on the screen, in Unicode and in ASCII.

use ratatui::symbols::border;

use crate::{config::GlyphChoice, domain::MachineState};

/// One set of signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glyphs {
    pub ready: &'static str,
    /// Ready, and somebody's.
    pub taken: &'static str,
    pub working: &'static str,
    pub planned: &'static str,
    pub failed: &'static str,
    pub off: &'static str,
    pub stale: &'static str,
    pub unknown: &'static str,
    pub done: &'static str,
    pub cursor: &'static str,
    /// Ordered by this column: the smallest first, the largest first.
    pub rising: &'static str,
    pub falling: &'static str,
    /// A marked row, and one with the cursor on it.
    pub marked: &'static str,
    pub cursor_marked: &'static str,
    pub block: &'static str,
    pub full: &'static str,
    /// Half full, the rest empty.
    pub half: &'static str,
    pub empty: &'static str,
    pub rule: &'static str,
    pub more: &'static str,
    pub dot: &'static str,
    pub times: &'static str,
    pub skipped: &'static str,
    pub spark: [&'static str; 8],
    pub border: border::Set<'static>,
    pub unicode: bool,
}

impl Glyphs {
    pub const UNICODE: Self = Self {
        ready: "●",
        taken: "◉",
        working: "◐",
        planned: "◌",
        failed: "✗",
        off: "○",
        stale: "◍",
        unknown: "?",
        done: "✓",
        cursor: "▸",
        rising: "▲",
        falling: "▼",
        marked: "◆",
        cursor_marked: "◈",
        block: "█",
        full: "━",
        half: "╾",
        empty: "─",
        rule: "─",
        more: "…",
        dot: "·",
        times: "×",
        skipped: "–",
        spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        border: border::PLAIN,
        unicode: true,
    };

    pub const ASCII: Self = Self {
        ready: "#",
        taken: "$",
        working: "~",
        planned: ".",
        failed: "x",
        off: "o",
        stale: "!",
        unknown: "?",
        done: "+",
        cursor: ">",
        rising: "^",
        falling: "v",
        marked: "*",
        cursor_marked: "@",
        block: "#",
        full: "#",
        half: "#",
        empty: ".",
        rule: "-",
        more: "~",
        dot: "-",
        times: "x",
        skipped: "-",
        spark: ["_", "_", ".", ".", "-", "-", "=", "="],
        border: border::Set {
            top_left: "+",
            top_right: "+",
            bottom_left: "+",
            bottom_right: "+",
            vertical_left: "|",
            vertical_right: "|",
            horizontal_top: "-",
            horizontal_bottom: "-",
        },
        unicode: false,
    };

    /// As the environment says.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        if GlyphChoice::Auto.is_unicode(var) { Self::UNICODE } else { Self::ASCII }
    }

    /// The sign of a machine's state.
    pub fn state(&self, state: MachineState) -> &'static str {
        match state {
            MachineState::Planned => self.planned,
            MachineState::Working => self.working,
            MachineState::Ready => self.ready,
            MachineState::Stale => self.stale,
            MachineState::Failed => self.failed,
            MachineState::Stopped | MachineState::Gone => self.off,
            MachineState::Unknown => self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_chooses_the_signs_and_the_variable_overrules_it() {
        let utf8 = |name: &str| (name == "LANG").then(|| "en_GB.UTF-8".to_owned());
        assert!(Glyphs::from_env(utf8).unicode);
        assert!(!Glyphs::from_env(|_| None).unicode);
        let ascii = |name: &str| if name == "HOMEROOM_ASCII" { Some("1".to_owned()) } else { utf8(name) };
        assert!(!Glyphs::from_env(ascii).unicode);
        let console = |name: &str| if name == "TERM" { Some("linux".to_owned()) } else { utf8(name) };
        assert!(!Glyphs::from_env(console).unicode);
    }
}
