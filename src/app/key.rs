//! Keys as the program names them, apart from any terminal library; and keys written as text.

use std::{fmt, str::FromStr};

/// One key press.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Backspace,
    Delete,
    F(u8),
}

impl Key {
    /// Keys written as text: `jd<enter>`, `/ada<esc>`, `<c-u>`. An unknown name in brackets is left out.
    pub fn script(text: &str) -> Vec<Self> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|tail| tail.split_once('>'));
            if let Some((name, tail)) = named {
                keys.extend(Self::named(name));
                rest = tail;
            } else {
                keys.push(Self::Char(first));
                rest = &rest[first.len_utf8()..];
            }
        }
        keys
    }

    /// What a terminal sends for it.
    pub fn typed(self) -> Vec<u8> {
        let told: &[u8] = match self {
            Self::Char(c) => return c.to_string().into_bytes(),
            Self::Ctrl(c) => return vec![u8::try_from(c.to_ascii_uppercase()).unwrap_or(0) & 0x1f],
            Self::Enter => b"\r",
            Self::Esc => b"\x1b",
            Self::Tab => b"\t",
            Self::BackTab => b"\x1b[Z",
            Self::Up => b"\x1b[A",
            Self::Down => b"\x1b[B",
            Self::Right => b"\x1b[C",
            Self::Left => b"\x1b[D",
            Self::Home => b"\x1b[H",
            Self::End => b"\x1b[F",
            Self::PageUp => b"\x1b[5~",
            Self::PageDown => b"\x1b[6~",
            Self::Delete => b"\x1b[3~",
            Self::Backspace => b"\x7f",
            Self::F(n @ 1..=4) => return vec![0x1b, b'O', b'O' + n],
            Self::F(n) => {
                let number = match n {
                    5 => 15,
                    6..=10 => n + 11,
                    _ => n.saturating_add(12),
                };
                return format!("\x1b[{number}~").into_bytes();
            }
        };
        told.to_vec()
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "enter" => Self::Enter,
            "esc" => Self::Esc,
            "tab" => Self::Tab,
            "backtab" => Self::BackTab,
            "up" => Self::Up,
            "down" => Self::Down,
            "left" => Self::Left,
            "right" => Self::Right,
            "pgup" => Self::PageUp,
            "pgdn" => Self::PageDown,
            "home" => Self::Home,
            "end" => Self::End,
            "bs" => Self::Backspace,
            "del" => Self::Delete,
            "space" => Self::Char(' '),
            "lt" => Self::Char('<'),
            _ => return name.strip_prefix("c-").and_then(|c| c.chars().next()).map(Self::Ctrl),
        })
    }
}

/// A key as it is shown, and as a person may write it: `d`, `space`, `f5`, `ctrl-r`, `^r`, `shift-tab`.
impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut letters = text.chars();
        if let (Some(letter), None) = (letters.next(), letters.next()) {
            return if letter.is_control() || letter == ' ' { Err(()) } else { Ok(Self::Char(letter)) };
        }
        let lower = text.to_ascii_lowercase();
        let after = |start: &str| lower.strip_prefix(start).map(str::to_owned);
        if let Some(rest) = after("ctrl-").or_else(|| after("^")) {
            let mut letters = rest.chars();
            return match (letters.next(), letters.next()) {
                (Some(letter), None) if letter.is_ascii_graphic() => Ok(Self::Ctrl(letter)),
                _ => Err(()),
            };
        }
        if let Some(n) = after("f").and_then(|n| n.parse().ok()) {
            return if (1..=12).contains(&n) { Ok(Self::F(n)) } else { Err(()) };
        }
        match lower.as_str() {
            "shift-tab" => Ok(Self::BackTab),
            "backspace" => Ok(Self::Backspace),
            "lt" => Err(()),
            name => Self::named(name).ok_or(()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("space"),
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "^{c}"),
            Self::Enter => f.write_str("enter"),
            Self::Esc => f.write_str("esc"),
            Self::Tab => f.write_str("tab"),
            Self::BackTab => f.write_str("shift-tab"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::PageUp => f.write_str("pgup"),
            Self::PageDown => f.write_str("pgdn"),
            Self::Home => f.write_str("home"),
            Self::End => f.write_str("end"),
            Self::Backspace => f.write_str("backspace"),
            Self::Delete => f.write_str("del"),
            Self::F(n) => write!(f, "f{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_is_shown() {
        let keys = [Key::Char('d'), Key::Char('é'), Key::Char(' '), Key::Ctrl('r'), Key::F(5), Key::Enter, Key::Esc];
        let more = [Key::Tab, Key::BackTab, Key::Up, Key::PageDown, Key::Home, Key::Backspace, Key::Delete, Key::Left];
        for key in keys.into_iter().chain(more) {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert_eq!("Ctrl-R".parse(), Ok(Key::Ctrl('r')));
        for wrong in ["", "dd", "ctrl-", "f13", "alt-x", " "] {
            assert_eq!(wrong.parse::<Key>(), Err(()), "{wrong:?}");
        }
    }

    #[test]
    fn a_script_is_read_key_by_key() {
        let keys = [Key::Char('j'), Key::Enter, Key::Ctrl('u'), Key::Char('é'), Key::Char('<')];
        assert_eq!(Key::script("j<enter><c-u>é<lt>"), keys);
    }
}
