//! What is typed while a shell in the dashboard has the keys: passed on as it comes, but for the one key that takes
//! them back. Pasted text belongs to the shell whole, whatever bytes are in it.

use std::time::{Duration, Instant};

use crate::app::shells::mouse::Report;

/// The key that takes the keys back from a shell: Ctrl-].
const LET_GO: u8 = 0x1d;

const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";

/// A paste whose end does not come for this long is over: the key has to count again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows what is typed, in whatever pieces it is read.
#[derive(Debug, Default)]
pub struct Typed {
    /// Seen and not passed on: the beginning of a mark, or of a report of the mouse.
    half: Vec<u8>,
    /// What was seen last, as far as it may be the beginning of a mark.
    mark: Vec<u8>,
    /// Since when nothing came, in the middle of a paste.
    pasting: Option<Instant>,
}

impl Typed {
    /// What goes on to the shell; and once the keys are ours again, what came behind the key that takes them back.
    pub fn take(&mut self, bytes: &[u8], now: Instant) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut typed = std::mem::take(&mut self.half);
        let seen = typed.len();
        typed.extend_from_slice(bytes);
        let mut pasting = self.pasting.take().is_some_and(|last| now.duration_since(last) < PATIENCE);
        // Where what is no paste begins.
        let mut own = 0;
        for at in seen..typed.len() {
            if typed[at] == LET_GO && !pasting {
                let rest = typed.split_off(at + 1);
                typed.truncate(at);
                self.mark.clear();
                return (typed, Some(rest));
            }
            self.mark.push(typed[at]);
            if self.mark == PASTE || self.mark == PASTED {
                pasting = self.mark == PASTE;
                own = at + 1;
            }
            while !PASTE.starts_with(&self.mark) && !PASTED.starts_with(&self.mark) || self.mark.len() == PASTE.len() {
                self.mark.remove(0);
            }
        }
        // A lone escape is a key and waits for nothing; in a paste the rest of it is on its way.
        let least = if pasting { 1 } else { 3 };
        let begun = (self.mark.len() >= least).then(|| typed.len().saturating_sub(self.mark.len()));
        let report = || Report::begun(&typed[own..]).map(|from| own + from);
        let held = begun.or_else(|| if pasting { None } else { report() });
        self.half = held.map(|from| typed.split_off(from)).unwrap_or_default();
        self.pasting = pasting.then_some(now);
        (typed, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pieces: &[&[u8]]) -> (String, bool) {
        let (mut typed, now) = (Typed::default(), Instant::now());
        let mut all = Vec::new();
        for piece in pieces {
            let (on, rest) = typed.take(piece, now);
            all.extend(on);
            if rest.is_some() {
                return (all.escape_ascii().to_string(), true);
            }
        }
        (all.escape_ascii().to_string(), false)
    }

    #[test]
    fn the_key_takes_the_keys_back_and_what_is_behind_it_is_ours() {
        let taken_at = Typed::default().take(b"ls\x1dkk\x1b[A", Instant::now());
        assert_eq!(taken_at, (b"ls".to_vec(), Some(b"kk\x1b[A".to_vec())));
        assert_eq!(taken(&[b"\x1b", b"\x1d"]), ("\\x1b".into(), true), "an escape waits for nothing");
    }

    #[test]
    fn in_pasted_text_it_is_a_byte_like_any_other_in_whatever_pieces_it_comes() {
        let sent = b"a\x1b[200~one\x1d\x1b[201~two\x1b[200~\x1d\x1d\x1b[201~b\x1b[<0;5;4M\x1dno";
        let whole = "a\\x1b[200~one\\x1d\\x1b[201~two\\x1b[200~\\x1d\\x1d\\x1b[201~b\\x1b[<0;5;4M";
        for size in 1..sent.len() {
            let pieces: Vec<&[u8]> = sent.chunks(size).collect();
            assert_eq!(taken(&pieces), (whole.to_owned(), true), "in pieces of {size}");
        }
    }

    #[test]
    fn a_paste_that_never_ends_does_not_keep_the_keys() {
        let (mut typed, began) = (Typed::default(), Instant::now());
        assert!(typed.take(b"\x1b[200~half\x1d", began).1.is_none());
        assert!(typed.take(b"\x1d", began + Duration::from_secs(1)).1.is_none());
        assert!(typed.take(b"\x1d", began + Duration::from_secs(4)).1.is_some());
    }
}
