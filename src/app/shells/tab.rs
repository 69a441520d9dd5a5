//! One shell in the dashboard: the grid of cells its program draws, and what is typed as that program wants it.
//!
//! Nothing a guest prints leaves the grid, but for the few answers every terminal gives, and those go back to
//! the same guest alone.

use std::fmt;

use super::{Place, SCROLL_BACK, TabId, charset::Charset, mouse};
use crate::app::{attach::ShellEnd, doors::Door};

/// Bytes of answers given to one piece of output: who asks without end is not answered without end.
const MOST_ANSWERS: usize = 256;

/// One shell.
pub struct Tab {
    pub id: TabId,
    pub door: Door,
    parser: vt100::Parser<Answering>,
    charset: Charset,
    pub end: Option<ShellEnd>,
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tab")
            .field("id", &self.id)
            .field("door", &self.door)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Answers the questions of programs that would wait for them: what the terminal is, and where its cursor stands.
#[derive(Debug, Default)]
struct Answering {
    bytes: Vec<u8>,
}

impl vt100::Callbacks for Answering {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        mark: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        end: char,
    ) {
        let first = params.first().and_then(|param| param.first()).copied().unwrap_or(0);
        let answer = match (mark, first, end) {
            // A VT220 with colours.
            (None, 0, 'c') => "\x1b[?62;22c".to_owned(),
            (Some(b'>'), 0, 'c') => "\x1b[>1;10;0c".to_owned(),
            (None, 5, 'n') => "\x1b[0n".to_owned(),
            (None, 6, 'n') => {
                let (row, column) = screen.cursor_position();
                format!("\x1b[{};{}R", row + 1, column + 1)
            }
            _ => return,
        };
        if self.bytes.len() + answer.len() <= MOST_ANSWERS {
            self.bytes.extend_from_slice(answer.as_bytes());
        }
    }
}

impl Tab {
    pub(super) fn new(id: TabId, door: Door) -> Self {
        let parser = vt100::Parser::new_with_callbacks(24, 80, SCROLL_BACK, Answering::default());
        Self { id, door, parser, charset: Charset::default(), end: None }
    }

    /// Nothing was ever shown: it was not opened.
    pub fn is_blank(&self) -> bool {
        self.screen().contents().trim().is_empty()
    }

    /// What it shows.
    pub fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    pub(super) fn screen_mut(&mut self) -> &mut vt100::Screen {
        self.parser.screen_mut()
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        let (rows, columns) = self.parser.screen().size();
        (columns, rows)
    }

    pub(super) fn fit(&mut self, columns: u16, rows: u16) {
        // The parser cannot bear less.
        let (columns, rows) = (columns.max(2), rows.max(2));
        if self.size() != (columns, rows) {
            self.parser.screen_mut().set_size(rows, columns);
        }
    }

    /// Takes in what the guest printed; what is to be answered.
    pub(super) fn said(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.parser.process(&self.charset.drawn(bytes));
        std::mem::take(&mut self.parser.callbacks_mut().bytes)
    }

    /// Its end, told below what it last said.
    pub(super) fn ended(&mut self, end: ShellEnd) {
        let words = match &end {
            Ok(code) => format!("the shell ended with exit status {code}"),
            Err(why) => format!("the connection was lost: {why}"),
        };
        // Out of the other screen, with the cursor in sight: below what stands there.
        self.parser.process(b"\x1b[?1049l\x1b[?25h\x1b[?6l\x1b[r\x1b[m");
        let rows: Vec<_> = self.screen().rows(0, self.size().0).collect();
        let last = rows.iter().rposition(|row| !row.trim().is_empty()).map_or(0, |row| row + 1);
        self.parser.process(format!("\x1b[{last};999H\r\n[{words}]\r\n").as_bytes());
        self.end = Some(end);
    }

    /// Keys as the program in it expects them, where it wants others than a terminal sends by itself.
    /// `place` is where the tab stands on the screen, for what the mouse did there.
    pub fn keys(&self, typed: &[u8], place: Option<Place>) -> Vec<u8> {
        let screen = self.parser.screen();
        let mut keys = Vec::with_capacity(typed.len());
        let mut rest = typed;
        while let Some((first, after)) = rest.split_first() {
            let paste = [&b"\x1b[200~"[..], b"\x1b[201~"].into_iter().find(|mark| rest.starts_with(mark));
            if let Some(mark) = paste {
                if screen.bracketed_paste() {
                    keys.extend_from_slice(mark);
                }
                rest = &rest[mark.len()..];
                continue;
            }
            if let Some((report, length)) = mouse::Report::read(rest) {
                let inside = place.and_then(|place| report.within(place));
                keys.extend(inside.and_then(|report| report.told(screen)).unwrap_or_default());
                rest = &rest[length..];
                continue;
            }
            if let [0x1b, b'[', key @ (b'A'..=b'D' | b'H' | b'F'), after @ ..] = rest
                && screen.application_cursor()
            {
                keys.extend_from_slice(&[0x1b, b'O', *key]);
                rest = after;
                continue;
            }
            keys.push(*first);
            rest = after;
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{LabName, SeatName};

    fn tab() -> Tab {
        let (lab, seat) = (LabName::new("bio").unwrap(), SeatName::new("ada").unwrap());
        Tab::new(1, Door::Seat { lab, seat })
    }

    #[test]
    fn keys_are_sent_as_the_program_inside_asked_for_them() {
        let mut tab = tab();
        let keys = |tab: &Tab, typed: &str| String::from_utf8(tab.keys(typed.as_bytes(), None)).unwrap();
        assert_eq!(keys(&tab, "a\x1b[A\x1b[200~p\x1b[201~"), "a\x1b[Ap");
        tab.said(b"\x1b[?1h\x1b[?2004h");
        assert_eq!(keys(&tab, "a\x1b[A\x1b[200~p\x1b[201~\x1b[5~"), "a\x1bOA\x1b[200~p\x1b[201~\x1b[5~");
    }

    #[test]
    fn a_question_is_answered_to_the_guest_and_endless_ones_are_not() {
        let mut tab = tab();
        let answers =
            tab.said(b"\x1b[3;7H\x1b[6n\x1b[c\x1b[0c\x1b[5n\x1b]11;?\x07\x1b]52;c;?\x07\x1b[21t\x1bP+q544e\x1b\\");
        assert_eq!(String::from_utf8(answers).unwrap(), "\x1b[3;7R\x1b[?62;22c\x1b[?62;22c\x1b[0n");
        assert!(tab.said(&b"\x1b[c".repeat(10_000)).len() <= MOST_ANSWERS);
        assert!(tab.said(b"x").is_empty());
    }

    #[test]
    fn its_end_stands_below_what_it_said_last_even_if_a_program_had_the_screen() {
        let mut tab = tab();
        tab.said(b"$ vim\r\n\x1b[?1049h\x1b[?25l\x1b[2J\x1b[5;10r\x1b[1;1Hfile");
        tab.ended(Err("reset by peer".into()));
        let shown = tab.screen().contents();
        assert!(shown.starts_with("$ vim") && shown.ends_with("[the connection was lost: reset by peer]"), "{shown}");
        assert!(!tab.screen().hide_cursor());
    }
}
