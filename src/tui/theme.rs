//! Colours by meaning. Nothing elsewhere names a colour.

use ratatui::style::{Color, Modifier, Style};

/// What a style means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Text,
    Title,
    Accent,
    Dim,
    Border,
    Ok,
    Busy,
    Warn,
    Bad,
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `NO_COLOR`: weight and inversion only.
    None,
    Sixteen,
    Indexed,
}

impl Depth {
    /// As the environment says: `NO_COLOR` wins, then what the terminal claims.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        if var("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Self::None;
        }
        let term = var("TERM").unwrap_or_default();
        if var("COLORTERM").is_some() || term.contains("256color") || term.contains("direct") {
            Self::Indexed
        } else if term == "dumb" {
            Self::None
        } else {
            Self::Sixteen
        }
    }
}

/// A style for each meaning.
#[derive(Debug, Clone)]
pub struct Theme {
    depth: Depth,
    cursor: bool,
}

impl Theme {
    pub fn new(depth: Depth) -> Self {
        Self { depth, cursor: true }
    }

    /// The same, where no row is the cursor's.
    pub fn without_cursor(self) -> Self {
        Self { cursor: false, ..self }
    }

    /// How many colours there are.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// The style of a meaning.
    pub fn style(&self, tone: Tone) -> Style {
        let plain = Style::new();
        // Written over a frame, text takes nothing of it on.
        let lit = plain.remove_modifier(Modifier::DIM);
        let own = plain.fg(Color::Reset);
        match self.depth {
            Depth::None => match tone {
                Tone::Title | Tone::Accent | Tone::Bad => lit.add_modifier(Modifier::BOLD),
                Tone::Warn => lit.add_modifier(Modifier::UNDERLINED),
                Tone::Dim | Tone::Border => plain.add_modifier(Modifier::DIM),
                Tone::Text | Tone::Ok | Tone::Busy => lit,
            },
            Depth::Sixteen => match tone {
                Tone::Text => own,
                Tone::Title => own.add_modifier(Modifier::BOLD),
                Tone::Accent => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
                Tone::Dim | Tone::Border => plain.fg(Color::DarkGray),
                Tone::Ok => plain.fg(Color::Green),
                Tone::Busy => plain.fg(Color::LightBlue),
                Tone::Warn => plain.fg(Color::Yellow),
                Tone::Bad => plain.fg(Color::LightRed),
            },
            Depth::Indexed => match tone {
                Tone::Text => own,
                Tone::Title => own.add_modifier(Modifier::BOLD),
                Tone::Accent => plain.fg(Color::Indexed(80)).add_modifier(Modifier::BOLD),
                Tone::Dim => plain.fg(Color::Indexed(245)),
                Tone::Border => plain.fg(Color::Indexed(240)),
                Tone::Ok => plain.fg(Color::Indexed(114)),
                Tone::Busy => plain.fg(Color::Indexed(75)),
                Tone::Warn => plain.fg(Color::Indexed(179)),
                Tone::Bad => plain.fg(Color::Indexed(203)),
            },
        }
    }

    /// What lies under a text field, so that it is seen to be one.
    pub fn field(&self) -> Style {
        match self.depth {
            Depth::None | Depth::Sixteen => Style::new().add_modifier(Modifier::UNDERLINED),
            Depth::Indexed => Style::new().bg(Color::Indexed(238)),
        }
    }

    /// What lies under the row of the cursor, in the list keys go to.
    pub fn cursor_row(&self) -> Style {
        match self.depth {
            _ if !self.cursor => Style::new(),
            Depth::None | Depth::Sixteen => Style::new().add_modifier(Modifier::BOLD),
            Depth::Indexed => Style::new().bg(Color::Indexed(236)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_color_wins_over_what_the_terminal_can() {
        let env = |name: &str| match name {
            "NO_COLOR" => Some("1".to_owned()),
            "COLORTERM" => Some("truecolor".to_owned()),
            _ => None,
        };
        assert_eq!(Depth::from_env(env), Depth::None);
        assert_eq!(Depth::from_env(|name| (name == "TERM").then(|| "xterm-256color".into())), Depth::Indexed);
        assert_eq!(Depth::from_env(|name| (name == "TERM").then(|| "linux".into())), Depth::Sixteen);
    }

    #[test]
    fn without_colour_no_style_carries_one() {
        let theme = Theme::new(Depth::None);
        for tone in [Tone::Ok, Tone::Busy, Tone::Warn, Tone::Bad, Tone::Dim, Tone::Accent, Tone::Title] {
            let style = theme.style(tone);
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
