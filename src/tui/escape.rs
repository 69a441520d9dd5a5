//! What is typed for homeroom itself among what is typed for a shell: `~.` and its kind at the start of a line, as
//! OpenSSH's client has them. Sees bytes, knows nothing of where they come from or go, and waits for nothing.

/// What `~?` shows.
pub(super) const HELP: &str =
    "~?\r\nAfter Enter:\r\n ~.  leaves, whatever the far side does\r\n ~~  sends ~\r\n ~?  shows this\r\n";

/// A terminal marks pasted text by these, where the program inside asked for it.
const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";

/// What becomes of a piece of what was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// It goes on to the shell.
    On(Vec<u8>),
    Help,
    /// Nothing behind it is read any more.
    Leave,
}

/// Watches for escapes, wherever reads begin and end. Text that is pasted between a terminal's marks holds none.
#[derive(Debug, Default)]
pub(super) struct Escape {
    place: Place,
    /// The last bytes, as far as they may be the beginning of a mark.
    mark: Vec<u8>,
    pasting: bool,
}

/// Where in a line the next byte comes.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    Within,
    /// Behind a `~` at the start, which was kept back.
    Tilde,
}

impl Escape {
    /// What of one read goes on, in order.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<Passed> {
        let (mut passed, mut on) = (Vec::new(), Vec::new());
        for &byte in bytes {
            match (&self.place, byte) {
                (Place::Start, b'~') if !self.pasting => {
                    self.place = Place::Tilde;
                    continue;
                }
                (Place::Tilde, b'.') => {
                    give(&mut passed, &mut on);
                    passed.push(Passed::Leave);
                    return passed;
                }
                (Place::Tilde, b'?') => {
                    give(&mut passed, &mut on);
                    passed.push(Passed::Help);
                    self.place = Place::Start;
                    continue;
                }
                // One for two; whatever else comes behind it was meant as it stands.
                (Place::Tilde, b'~') => {}
                (Place::Tilde, _) => on.push(b'~'),
                _ => {}
            }
            on.push(byte);
            self.place = if matches!(byte, b'\r' | b'\n') { Place::Start } else { Place::Within };
            self.follow(byte);
        }
        give(&mut passed, &mut on);
        passed
    }

    /// Notes where pasting begins and ends.
    fn follow(&mut self, byte: u8) {
        self.mark.push(byte);
        if self.mark == PASTE || self.mark == PASTED {
            self.pasting = self.mark == PASTE;
            self.mark.clear();
        } else if !PASTE.starts_with(&self.mark) && !PASTED.starts_with(&self.mark) {
            self.mark.clear();
            if byte == PASTE[0] {
                self.mark.push(byte);
            }
        }
    }
}

fn give(passed: &mut Vec<Passed>, on: &mut Vec<u8>) {
    if !on.is_empty() {
        passed.push(Passed::On(std::mem::take(on)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes on of these reads, and whether they end with leaving.
    fn typed(reads: &[&[u8]]) -> (String, bool) {
        let mut escape = Escape::default();
        let mut sent = String::new();
        for read in reads {
            for passed in escape.pass(read) {
                match passed {
                    Passed::On(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
                    Passed::Help => sent.push_str("(help)"),
                    Passed::Leave => return (sent, true),
                }
            }
        }
        (sent, false)
    }

    /// The same text in one read, byte by byte, and cut in two at every place: all must come to the same.
    fn however(text: &str, sent: &str, left: bool) {
        let bytes = text.as_bytes();
        let expected = (sent.to_owned(), left);
        assert_eq!(typed(&[bytes]), expected, "{text:?} at once");
        assert_eq!(typed(&bytes.chunks(1).collect::<Vec<_>>()), expected, "{text:?} byte by byte");
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(typed(&[first, second]), expected, "{text:?} cut at {at}");
        }
    }

    #[test]
    fn a_tilde_and_a_dot_at_the_start_of_a_line_leave_wherever_reads_are_cut() {
        however("\r~.", "\r", true);
        however("ls -l\r~.more", "ls -l\r", true);
        however("a\n~.", "a\n", true);
        however("~.", "", true);
        however("\r~?~.", "\r(help)", true);
        however("\r~\r~.", "\r~\r", true);
    }

    #[test]
    fn two_tildes_are_one_and_others_go_through() {
        however("\r~~.", "\r~.", false);
        however("\r~~\r~~x", "\r~\r~x", false);
        however("\r~?x", "\r(help)x", false);
        however("\r~/x", "\r~/x", false);
        however("a~.", "a~.", false);
        however("\r ~.", "\r ~.", false);
        however("cd ~\r", "cd ~\r", false);
    }

    #[test]
    fn pasted_text_never_leaves() {
        however("\r\x1b[200~\r~.\r~?\x1b[201~.", "\r\x1b[200~\r~.\r~?\x1b[201~.", false);
        however("\x1b[200~~.\x1b[201~\r~.", "\x1b[200~~.\x1b[201~\r", true);
        however("\x1b\x1b[200~\r~.", "\x1b\x1b[200~\r~.", false);
    }
}
