//! What the mouse did, from the way our own terminal tells it to the way the program in a pane wants it told.
//!
//! The terminal is always asked for the long form (SGR, mode 1006), which alone is beyond doubt; programs are
//! told in the form they asked for.

use vt100::{MouseProtocolEncoding as Encoding, MouseProtocolMode as Mode};

use super::Place;

/// A button, a wheel or a move, and where: columns and rows counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    button: u16,
    column: u16,
    row: u16,
    pressed: bool,
}

/// How the long form begins.
const BEGINS: &[u8] = b"\x1b[<";
/// No report is longer.
const LONGEST: usize = 24;
/// Bits of the button: moved meanwhile; shift, alt and control.
const MOVED: u16 = 32;
const HELD: u16 = 4 | 8 | 16;
/// From here on it is a wheel, which is pressed only.
const WHEEL: u16 = 64;

impl Report {
    /// The report at the front of some bytes, and its length.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let rest = bytes.strip_prefix(BEGINS)?;
        let end = rest.iter().take(LONGEST).position(|byte| matches!(byte, b'M' | b'm'))?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        let mut numbers = text.split(';').map(|number| number.parse().ok());
        let (button, column, row) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let pressed = rest[end] == b'M';
        numbers.next().is_none().then_some((Self { button, column, row, pressed }, BEGINS.len() + end + 1))
    }

    /// Column and row, counted from 0.
    pub fn place(self) -> (u16, u16) {
        (self.column.saturating_sub(1), self.row.saturating_sub(1))
    }

    /// Turned upwards with less than nothing, downwards with more.
    pub fn wheel(self) -> Option<isize> {
        match self.button & !HELD {
            64 => Some(-1),
            65 => Some(1),
            _ => None,
        }
    }

    /// The left button went down.
    pub fn is_click(self) -> bool {
        self.pressed && self.button & !HELD == 0
    }

    /// Moved with the left button held.
    pub fn is_drag(self) -> bool {
        self.pressed && self.button & !HELD == MOVED
    }

    /// A button was let go.
    pub fn is_release(self) -> bool {
        !self.pressed
    }

    /// Whether the bytes end in the middle of one; from where.
    pub fn begun(bytes: &[u8]) -> Option<usize> {
        let at = bytes.windows(BEGINS.len()).rposition(|window| window == BEGINS)?;
        let rest = &bytes[at + BEGINS.len()..];
        (rest.len() < LONGEST && rest.iter().all(|byte| byte.is_ascii_digit() || *byte == b';')).then_some(at)
    }

    /// The same counted from the corner of a tab's cells, below its title; none outside of them.
    pub(super) fn within(self, place: Place) -> Option<Self> {
        let column = self.column.checked_sub(place.x).filter(|column| (1..=place.width).contains(column))?;
        let row = self.row.checked_sub(place.y + 1).filter(|row| (1..place.height).contains(row))?;
        Some(Self { column, row, ..self })
    }

    /// As the program wants it told, if it wants to hear of it at all.
    pub(super) fn told(self, screen: &vt100::Screen) -> Option<Vec<u8>> {
        let moved = self.button & MOVED != 0 && self.button < WHEEL;
        let button = match screen.mouse_protocol_mode() {
            Mode::None => return None,
            Mode::Press if !self.pressed || moved => return None,
            Mode::Press => self.button & !HELD,
            Mode::PressRelease if moved => return None,
            _ => self.button,
        };
        let Self { column, row, pressed, .. } = self;
        // Told of no button in particular once one is let go.
        let short = if pressed { button } else { button & !3 | 3 };
        match screen.mouse_protocol_encoding() {
            Encoding::Sgr => {
                Some(format!("\x1b[<{button};{column};{row}{}", if pressed { 'M' } else { 'm' }).into_bytes())
            }
            Encoding::Default => {
                let byte = |number: u16| u8::try_from(number + 32).ok();
                Some(vec![0x1b, b'[', b'M', byte(short)?, byte(column)?, byte(row)?])
            }
            Encoding::Utf8 => {
                let letter = |number: u16| char::from_u32(u32::from(number) + 32).filter(|_| number < 2016);
                let text: String = [letter(short)?, letter(column)?, letter(row)?].into_iter().collect();
                Some([&b"\x1b[M"[..], text.as_bytes()].concat())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn told(modes: &str, report: &str) -> Option<String> {
        let mut parser = vt100::Parser::new(20, 300, 0);
        parser.process(modes.as_bytes());
        let (report, length) = Report::read(report.as_bytes()).unwrap();
        assert!(length > 6);
        let place = Place { x: 10, y: 2, width: 280, height: 20 };
        let told = report.within(place)?.told(parser.screen())?;
        Some(told.escape_ascii().to_string())
    }

    #[test]
    fn a_click_is_told_where_it_was_in_the_pane_and_as_the_program_asked() {
        let click = "\x1b[<0;12;5M";
        assert_eq!(told("", click), None, "nobody asked");
        assert_eq!(told("\x1b[?1000h\x1b[?1006h", click).unwrap(), "\\x1b[<0;2;2M");
        assert_eq!(told("\x1b[?1000h", click).unwrap(), "\\x1b[M \\\"\\\"");
        assert_eq!(told("\x1b[?1000h", "\x1b[<0;12;5m").unwrap(), "\\x1b[M#\\\"\\\"", "let go");
        assert_eq!(told("\x1b[?1000h\x1b[?1005h", "\x1b[<65;250;5M").unwrap(), "\\x1b[Ma\\xc4\\x90\\\"");
        assert_eq!(told("\x1b[?1000h", "\x1b[<0;260;5M"), None, "beyond what the short form can tell");
    }

    #[test]
    fn moves_are_told_to_those_who_asked_for_moves() {
        let drag = "\x1b[<32;12;5M";
        assert_eq!(told("\x1b[?1000h\x1b[?1006h", drag), None);
        assert_eq!(told("\x1b[?1002h\x1b[?1006h", drag).unwrap(), "\\x1b[<32;2;2M");
        assert_eq!(told("\x1b[?9h\x1b[?1006h", "\x1b[<0;12;5m"), None);
    }

    #[test]
    fn a_click_elsewhere_on_the_screen_is_nothing_to_the_guest() {
        for outside in ["\x1b[<0;10;5M", "\x1b[<0;291;5M", "\x1b[<0;12;3M", "\x1b[<0;12;23M", "\x1b[<0;0;0M"] {
            assert_eq!(told("\x1b[?1000h\x1b[?1006h", outside), None, "{}", outside.escape_debug());
        }
    }

    #[test]
    fn half_a_report_is_waited_for_and_other_keys_are_not() {
        assert_eq!(Report::begun(b"ab\x1b[<0;12"), Some(2));
        assert_eq!(Report::begun(b"ab\x1b[<0;12;5M"), None);
        assert_eq!(Report::begun(b"\x1b"), None);
        assert_eq!(Report::read(b"\x1b[<0;12M"), None);
        assert_eq!(Report::read(b"\x1b[<999999;1;1M"), None);
    }
}
