//! Lines and corners of programs that draw them by switching to another set of letters (DEC's special graphics), which
//! the grid of cells does not know: such a letter becomes the sign that it stands for. Every other byte goes on as it came.

use std::borrow::Cow;

/// What letters from `_` to `~` stand for in that set.
const SIGNS: [&str; 32] = [
    " ", "◆", "▒", "␉", "␌", "␍", "␊", "°", "±", "␤", "␋", "┘", "┐", "┌", "└", "┼", "⎺", "⎻", "─", "⎼", "⎽", "├", "┤",
    "┴", "┬", "│", "≤", "≥", "π", "≠", "£", "·",
];
const FIRST: u8 = b'_';

/// Follows which set is in use, in whatever pieces the bytes come.
#[derive(Debug, Default)]
pub(super) struct Charset {
    sets: Sets,
    kept: Sets,
    place: Place,
}

/// Which of the two sets is drawn with, and which is the one in use.
#[derive(Debug, Default, Clone, Copy)]
struct Sets {
    draws: [bool; 2],
    shifted: bool,
}

/// Where in a sequence the next byte comes.
#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Text,
    Escape,
    /// A set is named: which of the two.
    Naming(usize),
    /// Any other sequence of one letter, behind what stands before it.
    Between,
    /// One with numbers; whether it is a reset so far.
    Numbers {
        reset: bool,
    },
    /// A text that is not shown, such as a title.
    Unshown,
}

impl Charset {
    /// The same with signs in place of letters, where they are meant.
    pub(super) fn drawn<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut changed: Option<Vec<u8>> = None;
        for (at, &byte) in bytes.iter().enumerate() {
            let sign = matches!(self.place, Place::Text).then(|| self.sign(byte)).flatten();
            match (&mut changed, sign) {
                (Some(changed), Some(sign)) => changed.extend_from_slice(sign.as_bytes()),
                (Some(changed), None) => changed.push(byte),
                (None, Some(sign)) => changed = Some([&bytes[..at], sign.as_bytes()].concat()),
                (None, None) => {}
            }
            if sign.is_none() {
                self.follow(byte);
            }
        }
        changed.map_or(Cow::Borrowed(bytes), Cow::Owned)
    }

    /// What a letter stands for, if another set is in use.
    fn sign(&self, byte: u8) -> Option<&'static str> {
        let drawing = self.sets.draws[usize::from(self.sets.shifted)];
        if drawing { SIGNS.get(usize::from(byte.checked_sub(FIRST)?)).copied() } else { None }
    }

    fn follow(&mut self, byte: u8) {
        self.place = match (self.place, byte) {
            // Called off.
            (_, 0x18 | 0x1a) => Place::Text,
            (_, 0x1b) => Place::Escape,
            (Place::Text, 0x0e | 0x0f) => {
                self.sets.shifted = byte == 0x0e;
                Place::Text
            }
            (Place::Text, _) => Place::Text,
            (Place::Escape, b'[') => Place::Numbers { reset: false },
            (Place::Escape, b']' | b'P' | b'X' | b'^' | b'_') => Place::Unshown,
            (Place::Escape, b'(') => Place::Naming(0),
            (Place::Escape, b')') => Place::Naming(1),
            (Place::Escape | Place::Between, 0x20..=0x2f) => Place::Between,
            (Place::Escape, _) => {
                match byte {
                    b'7' => self.kept = self.sets,
                    b'8' => self.sets = self.kept,
                    b'c' => (self.sets, self.kept) = Default::default(),
                    _ => {}
                }
                Place::Text
            }
            (Place::Naming(set), _) => {
                self.sets.draws[set] = byte == b'0';
                Place::Text
            }
            (Place::Between, _) => Place::Text,
            (Place::Numbers { reset }, 0x00..=0x3f) => Place::Numbers { reset: reset || byte == b'!' },
            (Place::Numbers { reset }, _) => {
                if reset && byte == b'p' {
                    (self.sets, self.kept) = Default::default();
                }
                Place::Text
            }
            (Place::Unshown, 0x07) => Place::Text,
            (Place::Unshown, _) => Place::Unshown,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn drawn(text: &str) -> String {
        let whole = String::from_utf8(Charset::default().drawn(text.as_bytes()).into_owned()).unwrap();
        let mut charset = Charset::default();
        let pieces: Vec<u8> = text.as_bytes().chunks(1).flat_map(|piece| charset.drawn(piece).into_owned()).collect();
        assert_eq!(pieces, whole.as_bytes(), "{text:?} byte by byte");
        whole
    }

    #[test]
    fn letters_become_lines_while_that_set_is_in_use_and_not_within_sequences() {
        assert_eq!(drawn("\x1b(0lqk\x1b(Blqk"), "\x1b(0┌─┐\x1b(Blqk");
        assert_eq!(drawn("a\x1b)0a\x0eaA1\x0fa"), "a\x1b)0a\x0e▒A1\x0fa");
        assert_eq!(
            drawn("\x1b(0\x1b[3qx\x1b]0;mail\x07m\x1b]2;q\x1b\\n"),
            "\x1b(0\x1b[3q│\x1b]0;mail\x07└\x1b]2;q\x1b\\┼"
        );
        assert_eq!(drawn("\x1b(0ö日j"), "\x1b(0ö日┘");
        for resets in ["\x1bc", "\x1b[!p", "\x1b7\x1b(0\x1b8"] {
            let text = if resets.ends_with('8') { format!("{resets}x") } else { format!("\x1b(0{resets}x") };
            assert!(drawn(&text).ends_with('x'), "{resets:?}");
        }
        assert_eq!(drawn("\x1b(0\x1b7\x1b(B\x1b8x"), "\x1b(0\x1b7\x1b(B\x1b8│");
    }

    #[test]
    fn what_is_no_drawing_is_not_even_copied() {
        assert!(matches!(Charset::default().drawn(b"plain \x1b[31mtext\x1b(B\xff"), Cow::Borrowed(_)));
    }
}
