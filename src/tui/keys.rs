//! Bytes of a terminal as key presses and pasted text.
//!
//! Knows what terminals in use send: xterm and its kin, tmux, screen, the Linux console. What it does not
//! know (old mouse reports, answers to questions, keys without a name) is read over, never taken for letters.

use std::time::Duration;

use crate::{
    app::{Key, shells::mouse::Report},
    domain::Clean,
};

/// Something a person did at the terminal.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Key(Key),
    /// Pasted in one piece, between its marks.
    Paste(Clean),
    /// The mouse.
    Mouse(Report),
}

impl Heard {
    /// As a terminal sends it.
    pub fn typed(self) -> Vec<u8> {
        match self {
            Self::Key(key) => key.typed(),
            // Its ends of lines are gone, and without them it is another text. A click was where nothing is now.
            Self::Paste(_) | Self::Mouse(_) => Vec::new(),
        }
    }
}

/// After a lone escape: the rest of a sequence comes at once, a person's next key does not.
const ESCAPE: Duration = Duration::from_millis(25);
/// In the middle of a sequence or a character, which a slow line may break in two.
const SEQUENCE: Duration = Duration::from_millis(250);
/// In the middle of pasted text.
const PASTE: Duration = Duration::from_secs(2);
/// Bytes of a paste that are kept; no field holds more.
const PASTE_KEPT: usize = 64 << 10;
/// Bytes of a sequence that are waited for: none in use is longer.
const LONGEST: usize = 256;

const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Takes bytes as they come, in any pieces.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    /// Text between the marks of a paste, while it goes on.
    pasted: Option<Vec<u8>>,
}

/// What stands at the front of the bytes.
enum Front {
    /// So many bytes, and what they mean.
    Is(usize, Option<Key>),
    /// So many bytes, and then pasted text.
    Paste(usize),
    /// Only its beginning is here.
    Part,
}

impl Keys {
    /// Adds what was read and gives what it amounts to.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Heard> {
        self.bytes.extend_from_slice(bytes);
        let mut heard = Vec::new();
        loop {
            if self.pasted.is_some() {
                match self.paste() {
                    Some(paste) => heard.push(paste),
                    None => return heard,
                }
            }
            if let Some((report, n)) = Report::read(&self.bytes) {
                self.bytes.drain(..n);
                heard.push(Heard::Mouse(report));
                continue;
            }
            match front(&self.bytes) {
                _ if self.bytes.is_empty() => return heard,
                Front::Part if self.bytes.len() < LONGEST => return heard,
                Front::Part => self.bytes.clear(),
                Front::Is(n, key) => {
                    self.bytes.drain(..n);
                    heard.extend(key.map(Heard::Key));
                }
                Front::Paste(n) => {
                    self.bytes.drain(..n);
                    self.pasted = Some(Vec::new());
                }
            }
        }
    }

    /// How long to wait for the rest of what has begun, if anything has.
    pub fn patience(&self) -> Option<Duration> {
        match self.bytes.as_slice() {
            _ if self.pasted.is_some() => Some(PASTE),
            [] => None,
            [0x1b] => Some(ESCAPE),
            _ => Some(SEQUENCE),
        }
    }

    /// The beginning of what has not come whole, which is for somebody else now.
    pub fn take(&mut self) -> Vec<u8> {
        self.pasted = None;
        std::mem::take(&mut self.bytes)
    }

    /// The rest did not come: a lone escape is the key, a paste ends here, half a sequence is nothing.
    pub fn give_up(&mut self) -> Option<Heard> {
        let bytes = std::mem::take(&mut self.bytes);
        match self.pasted.take() {
            Some(text) => Some(pasted(text, &bytes)),
            None => (bytes == [0x1b]).then_some(Heard::Key(Key::Esc)),
        }
    }

    /// Moves bytes into the paste under way; gives it once its end has come.
    fn paste(&mut self) -> Option<Heard> {
        let ends = self.bytes.windows(PASTE_ENDS.len()).position(|window| window == PASTE_ENDS);
        // What may be the beginning of the end stays.
        let taken = ends.unwrap_or(self.bytes.len().saturating_sub(PASTE_ENDS.len() - 1));
        let text = self.pasted.get_or_insert_default();
        let room = PASTE_KEPT.saturating_sub(text.len());
        text.extend(self.bytes.drain(..taken).take(room));
        ends?;
        self.bytes.drain(..PASTE_ENDS.len());
        self.pasted.take().map(|text| pasted(text, &[]))
    }
}

fn pasted(mut text: Vec<u8>, rest: &[u8]) -> Heard {
    text.extend_from_slice(rest);
    Heard::Paste(Clean::new(String::from_utf8_lossy(&text)))
}

fn front(bytes: &[u8]) -> Front {
    match bytes {
        [0x1b, rest @ ..] => escape(rest),
        [b'\r', ..] => Front::Is(1, Some(Key::Enter)),
        [b'\t', ..] => Front::Is(1, Some(Key::Tab)),
        [0x7f, ..] => Front::Is(1, Some(Key::Backspace)),
        [0, ..] => Front::Is(1, Some(Key::Ctrl(' '))),
        [c @ ..0x1b, ..] => Front::Is(1, Some(Key::Ctrl(char::from(c + b'a' - 1)))),
        [c @ ..0x20, ..] => Front::Is(1, Some(Key::Ctrl(char::from(c + b'@')))),
        _ => letter(bytes),
    }
}

/// One character of UTF-8.
fn letter(bytes: &[u8]) -> Front {
    let shown = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(shown) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() == 0 && error.error_len().is_none() => return Front::Part,
        Err(error) => std::str::from_utf8(&shown[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(c) => Front::Is(c.len_utf8(), Some(Key::Char(c)).filter(|_| !c.is_control())),
        None => Front::Is(1, None),
    }
}

/// What follows an escape; the escape itself counts in what is given.
fn escape(rest: &[u8]) -> Front {
    match rest {
        [] => Front::Part,
        // The first was a key by itself.
        [0x1b, ..] => Front::Is(1, Some(Key::Esc)),
        [b'[', rest @ ..] => sequence(rest),
        [b'O'] => Front::Part,
        [b'O', last, ..] => Front::Is(3, cursor(*last).or((*last == b'M').then_some(Key::Enter))),
        [b']' | b'P' | b'_' | b'^', rest @ ..] => answer(rest),
        // Held with Alt: no key of ours.
        _ => match front(rest) {
            Front::Is(n, _) => Front::Is(n + 1, None),
            part => part,
        },
    }
}

/// `ESC [` … : numbers, then a letter that says what they are.
fn sequence(rest: &[u8]) -> Front {
    const BEFORE: usize = 2;
    match rest {
        // The Linux console's function keys.
        [b'['] => return Front::Part,
        [b'[', key @ b'A'..=b'E', ..] => return Front::Is(BEFORE + 2, Some(Key::F(key - b'A' + 1))),
        // An old mouse report: three bytes that may be anything.
        [b'M', _, _, _, ..] => return Front::Is(BEFORE + 4, None),
        [b'M', ..] => return Front::Part,
        _ => {}
    }
    let Some(end) = rest.iter().position(|byte| !matches!(byte, 0x20..=0x3f)) else { return Front::Part };
    let (numbers, length) = (&rest[..end], BEFORE + end + 1);
    match rest[end] {
        // Broken off: what breaks it begins something new.
        0x1b => Front::Is(length - 1, None),
        b'~' => tilde(numbers, length),
        b'Z' => Front::Is(length, Some(Key::BackTab)),
        last => Front::Is(length, cursor(last).filter(|_| !numbers.starts_with(b"<"))),
    }
}

/// `ESC [ number ~`, with or without the keys held along behind a semicolon.
fn tilde(numbers: &[u8], length: usize) -> Front {
    let number = numbers.split(|byte| *byte == b';').next().unwrap_or_default();
    let number: Option<u8> = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    let key = match number {
        Some(200) => return Front::Paste(length),
        Some(1 | 7) => Key::Home,
        Some(4 | 8) => Key::End,
        Some(3) => Key::Delete,
        Some(5) => Key::PageUp,
        Some(6) => Key::PageDown,
        Some(n @ 11..=15) => Key::F(n - 10),
        Some(n @ 17..=21) => Key::F(n - 11),
        Some(n @ 23..=24) => Key::F(n - 12),
        _ => return Front::Is(length, None),
    };
    Front::Is(length, Some(key))
}

/// The letters of `ESC [` and `ESC O` that are keys.
fn cursor(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'P'..=b'S' => Key::F(last - b'P' + 1),
        _ => return None,
    })
}

/// A terminal's answer to a question nobody waits for any more: up to BEL or `ESC \`.
fn answer(rest: &[u8]) -> Front {
    match rest.iter().position(|byte| matches!(byte, 0x07 | 0x1b)) {
        Some(end) if rest[end] == 0x07 => Front::Is(2 + end + 1, None),
        Some(end) if rest.get(end + 1) == Some(&b'\\') => Front::Is(2 + end + 2, None),
        Some(end) if end + 1 < rest.len() => Front::Is(2 + end, None),
        _ => Front::Part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let heard = Keys::default().hear(bytes);
        heard.into_iter().filter_map(|heard| if let Heard::Key(key) = heard { Some(key) } else { None }).collect()
    }

    #[test]
    fn what_terminals_send_is_known_by_name() {
        let sent: [(&[u8], &[Key]); 22] = [
            (b"\x1b[A\x1bOA", &[Key::Up, Key::Up]),
            (b"\x1b[1;5C", &[Key::Right]),
            (b"\x1b[H\x1b[1~\x1b[7~\x1bOH", &[Key::Home; 4]),
            (b"\x1b[F\x1b[4~\x1b[8~\x1bOF", &[Key::End; 4]),
            (b"\x1b[5~\x1b[6~", &[Key::PageUp, Key::PageDown]),
            (b"\x1b[3~", &[Key::Delete]),
            (b"\x1bOP\x1b[11~\x1b[[A", &[Key::F(1); 3]),
            (b"\x1b[15~\x1b[17~\x1b[24~", &[Key::F(5), Key::F(6), Key::F(12)]),
            (b"\x1b[Z", &[Key::BackTab]),
            (b"\x1bOM\r", &[Key::Enter, Key::Enter]),
            (b"\x12\x1a", &[Key::Ctrl('r'), Key::Ctrl('z')]),
            (b"\x7f\x08", &[Key::Backspace, Key::Ctrl('h')]),
            (b"\t j", &[Key::Tab, Key::Char(' '), Key::Char('j')]),
            ("é日".as_bytes(), &[Key::Char('é'), Key::Char('日')]),
            (b"\xff\xc3(j", &[Key::Char('('), Key::Char('j')]),
            (b"\x1bxj", &[Key::Char('j')]),
            (b"\x1b\x1b[B", &[Key::Esc, Key::Down]),
            (b"\x1b[<0;10;20M\x1b[<0;10;20mj", &[Key::Char('j')]),
            (b"\x1b[M !!j", &[Key::Char('j')]),
            (b"\x1b[Ij\x1b[O", &[Key::Char('j')]),
            (b"\x1b]11;rgb:0/0/0\x07\x1b]11;rgb:0/0/0\x1b\\j", &[Key::Char('j')]),
            (b"\x1b[?62;4c\x1b[2~\x1b[99~j", &[Key::Char('j')]),
        ];
        for (bytes, wanted) in sent {
            assert_eq!(keys(bytes), wanted, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn it_does_not_matter_in_which_pieces_bytes_come() {
        let sent = "j\x1b[A\x1b[1;2B日\x1bOPé\x1b[200~x\x1b[A\ny\x1b[201~k\x1b[<1;2;3Mq".as_bytes();
        let whole = Keys::default().hear(sent);
        assert_eq!(whole.len(), 10);
        for size in 1..sent.len() {
            let mut parser = Keys::default();
            let heard: Vec<_> = sent.chunks(size).flat_map(|piece| parser.hear(piece)).collect();
            assert_eq!(heard, whole, "in pieces of {size}");
            assert_eq!(parser.patience(), None);
        }
    }

    #[test]
    fn an_escape_alone_is_a_key_once_nothing_follows() {
        let mut parser = Keys::default();
        assert_eq!(parser.hear(b"\x1b"), []);
        assert_eq!(parser.patience(), Some(ESCAPE));
        assert_eq!(parser.give_up(), Some(Heard::Key(Key::Esc)));
        assert_eq!(parser.patience(), None);
        parser.hear(b"\x1b[1;");
        assert_eq!(parser.give_up(), None);
        assert_eq!(parser.hear(b"j"), [Heard::Key(Key::Char('j'))]);
    }

    #[test]
    fn pasted_text_is_never_keys_and_ends_even_without_its_mark() {
        let mut parser = Keys::default();
        assert_eq!(parser.hear(b"\x1b[200~cs\x1b[20"), []);
        assert_eq!(parser.patience(), Some(PASTE));
        assert_eq!(parser.give_up(), Some(Heard::Paste(Clean::new("cs\x1b[20"))));
        assert_eq!(parser.hear(b"j"), [Heard::Key(Key::Char('j'))]);
        let mut long = b"\x1b[200~".to_vec();
        long.extend(std::iter::repeat_n(b'x', 3 * PASTE_KEPT));
        long.extend(b"\x1b[201~q");
        let heard = parser.hear(&long);
        assert!(matches!(&heard[0], Heard::Paste(text) if text.as_str().len() <= PASTE_KEPT));
        assert_eq!(heard[1], Heard::Key(Key::Char('q')));
    }

    #[test]
    fn noise_neither_stops_nor_grows_it() {
        let mut parser = Keys::default();
        for n in 0..20_000_u32 {
            parser.hear(&n.wrapping_mul(2_654_435_761).to_be_bytes());
            assert!(parser.bytes.len() <= LONGEST);
        }
    }
}
