//! What programs inside a shell may have left switched on in the terminal it was lent: also what nobody leaves on by
//! accident, for a guest is not trusted.

macro_rules! mouse {
    () => {
        "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l"
    };
}

/// No reports of what the mouse does.
pub(super) const MOUSE: &[u8] = mouse!().as_bytes();

/// Switches all of it off; the cursor stays where it is.
///
/// First mouse and focus reports, pasting, keypad, reversed colours, frames held back, and the other screen. That is left
/// by its old name: the newer one (1049) also puts the cursor back to where the dashboard began, over what the shell has
/// written since.
///
/// Then margins and counting lines from them: switching these off moves the cursor, so it is kept and put back.
///
/// Last what is put back with it, line drawing in place of letters, and typing that pushes aside, lines that do not wrap
/// and colours.
pub(super) const ALL: &[u8] = concat!(
    mouse!(),
    "\x1b[?1004l\x1b[?2004l\x1b[?1l\x1b>\x1b[?5l\x1b[?2026l\x1b[?47l",
    "\x1b7\x1b[?6l\x1b[?69l\x1b[r\x1b8",
    "\x1b(B\x0f\x1b[4l\x1b[?7h\x1b[0m",
)
.as_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_the_screen_scrolls_as_ever_and_the_cursor_has_not_moved() {
        for left_on in ["", "\x1b[2;4r\x1b[?6h", "\x1b[2;4r", "\x1b[31;7m\x1b[?1003h\x1b[?2004h\x1b[?1h"] {
            let mut terminal = vt100::Parser::new(10, 40, 0);
            terminal.process(left_on.as_bytes());
            terminal.process(b"\x1b[3;5Hlast words");
            let was = terminal.screen().cursor_position();
            terminal.process(ALL);
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
}
