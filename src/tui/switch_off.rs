//! What programs inside a shell may have left switched on in the terminal it was lent: also what nobody leaves on by
//! accident, for a guest is not trusted.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicBool, Ordering},
};

macro_rules! mouse {
    () => {
        "\x1b[?9l\x1b[?1000l\x1b[?1001l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l\x1b[?1015l\x1b[?1016l"
    };
}

/// Keys told in longer forms than the plain ones: kitty's protocol, of which each of the two screens has its own, and
/// xterm's `modifyOtherKeys`.
macro_rules! long_keys {
    () => {
        "\x1b[=0u\x1b[>4m"
    };
}

/// No reports of what the mouse does.
pub(super) const MOUSE: &[u8] = mouse!().as_bytes();

/// Keys as every terminal sends them, on the screen that is shown.
pub(super) const LONG_KEYS: &[u8] = concat!(long_keys!(), "\x1b[m").as_bytes();

/// The terminal's title, put aside for the time of a shell that may give it another; and as it was.
pub(super) const KEEP_TITLE: &[u8] = b"\x1b[22;0t";
pub(super) const TITLE_BACK: &[u8] = b"\x1b[23;0t";

// Switches all of it off; the cursor stays where it is.
//
// First mouse and focus reports and those of sizes and colours, pasting, keys in longer forms, keypad, reversed
// colours, frames held back, and the other screen. That is left by its old name: the newer one (1049) also puts the
// cursor back to where the dashboard began, over what the shell has written since.
//
// Then margins: switching these off moves the cursor, so it is kept and put back.
//
// Last what is put back with it, line drawing in place of letters, and typing that pushes aside, a keyboard that is
// locked or echoed by the terminal, lines that do not wrap, another shape of the cursor and colours.
macro_rules! all {
    () => {
        concat!(
            mouse!(),
            "\x1b[?1004l\x1b[?2004l\x1b[?2031l\x1b[?2048l\x1b[?1l\x1b>\x1b[?5l\x1b[?2026l",
            long_keys!(),
            "\x1b[?47l",
            long_keys!(),
            "\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8",
            "\x1b(B\x0f\x1b[2l\x1b[4l\x1b[12h\x1b[20l\x1b[?7h\x1b[0 q\x1b[0m",
        )
    };
}

/// Lines counted from the margins. What is kept of the cursor keeps that too, so it cannot be switched off with the
/// cursor where it was: what comes next begins on a line of its own at the end of the screen.
const FROM_MARGINS: &str = "\x1b[?6l\x1b[r\x1b[999;1H\r\n";

/// Whether whoever had the terminal last left lines counted from the margins.
static LEFT_ON: AtomicBool = AtomicBool::new(false);

macro_rules! unfinished {
    () => {
        "\x18\x1b\\"
    };
}

/// Ends whatever the shell was cut off in. Without it a terminal may take all that comes next for the rest of a picture
/// or a title: some end such a text by nothing else.
pub(super) const UNFINISHED: &[u8] = unfinished!().as_bytes();

/// Everything that has to be switched off after a shell.
pub(super) fn all() -> Cow<'static, [u8]> {
    match LEFT_ON.swap(false, Ordering::SeqCst) {
        false => Cow::Borrowed(concat!(unfinished!(), all!()).as_bytes()),
        true => Cow::Owned([unfinished!(), FROM_MARGINS, all!()].concat().into_bytes()),
    }
}

/// Follows what a shell with the whole terminal prints, as far as it says from where lines are counted (DECOM).
#[derive(Debug, Default)]
pub(super) struct Margins {
    on: bool,
    place: Place,
}

/// Where in a sequence the next byte comes.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    Escape,
    Sequence {
        private: bool,
        number: u16,
        /// One of its numbers was the mode's.
        named: bool,
    },
}

impl Margins {
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        const MODE: u16 = 6;
        for &byte in bytes {
            self.place = match (std::mem::take(&mut self.place), byte) {
                (_, 0x1b) => Place::Escape,
                (Place::Escape, b'[') => Place::Sequence { private: false, number: 0, named: false },
                (Place::Escape, b'c') => {
                    self.on = false;
                    Place::Text
                }
                (Place::Sequence { number, named, .. }, b'?') => Place::Sequence { private: true, number, named },
                (Place::Sequence { private, number, named }, b'0'..=b'9') => {
                    let number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                    Place::Sequence { private, number, named }
                }
                (Place::Sequence { private, number, named }, b';') => {
                    Place::Sequence { private, number: 0, named: named || number == MODE }
                }
                (Place::Sequence { private: true, number, named }, b'h' | b'l') => {
                    if named || number == MODE {
                        self.on = byte == b'h';
                    }
                    Place::Text
                }
                (inside @ Place::Sequence { .. }, 0x00..=0x3f) => inside,
                _ => Place::Text,
            };
        }
        LEFT_ON.store(self.on, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_the_screen_scrolls_as_ever_and_the_cursor_has_not_moved() {
        for left_on in ["", "\x1b[2;4r", "\x1b[31;7m\x1b[?1003h\x1b[?2004h\x1b[?1h"] {
            let mut terminal = vt100::Parser::new(10, 40, 0);
            terminal.process(left_on.as_bytes());
            terminal.process(b"\x1b[3;5Hlast words");
            let was = terminal.screen().cursor_position();
            terminal.process(all!().as_bytes());
            let screen = terminal.screen();
            assert_eq!(screen.cursor_position(), was, "{left_on:?}");
            assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "{left_on:?}");
            assert!(!screen.bracketed_paste() && !screen.application_cursor(), "{left_on:?}");
            // Absolute places are those of the whole screen, and its last line scrolls all of it.
            terminal.process(b"\x1b[1;1Hfirst\x1b[10;1Hbottom\r\nnext");
            let text = terminal.screen().contents();
            assert!(!text.contains("first") && text.ends_with("bottom\nnext"), "{left_on:?}: {text}");
            assert_eq!(terminal.screen().cell(9, 0).map(vt100::Cell::fgcolor), Some(vt100::Color::Default));
        }
    }

    #[test]
    fn what_was_cut_off_in_the_middle_is_ended_before_anything_else() {
        assert!(all().starts_with(UNFINISHED));
        Margins::default().follow(b"\x1b[?6h");
        assert!(all().starts_with(UNFINISHED));
    }

    #[test]
    fn lines_counted_from_margins_are_noticed_however_they_were_asked_for_and_stay_switched_off() {
        let noticed = |pieces: &[&[u8]]| {
            let mut margins = Margins::default();
            pieces.iter().for_each(|piece| margins.follow(piece));
            margins.on
        };
        for on in ["\x1b[?6h", "\x1b[?25;6h", "\x1b[?6;25h", "\x1b[2;4r\x1b[?6hx", "\x1b[?6l\x1b[?06h"] {
            assert!(noticed(&[on.as_bytes()]), "{on:?}");
            assert!(noticed(&on.as_bytes().chunks(1).collect::<Vec<_>>()), "{on:?} byte by byte");
        }
        for off in ["", "\x1b[6h", "\x1b[?66h", "\x1b[?16h", "\x1b[?6h\x1b[?6l", "\x1b[?6h\x1bc", "[?6h", "\x1b[?6m"] {
            assert!(!noticed(&[off.as_bytes()]), "{off:?}");
        }
        let mut terminal = vt100::Parser::new(10, 40, 0);
        terminal.process(b"\x1b[2;4r\x1b[?6h\x1b[2;5Hlast words");
        terminal.process([FROM_MARGINS, all!(), "told"].concat().as_bytes());
        assert!(terminal.screen().contents().ends_with("told"), "{}", terminal.screen().contents());
        terminal.process(b"\x1b[2;4r\x1b[1;1Hfirst\x1b[r");
        assert!(terminal.screen().contents().starts_with("first"), "{}", terminal.screen().contents());
    }
}
