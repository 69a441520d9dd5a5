//! Questions before a login: whether a host key is to be trusted, and a key file's passphrase.

use ratatui::layout::Rect;
use tui_input::Input;

use super::{field, frame, keys};
use crate::{
    app::{Command, State, bars::Question},
    domain::answers::Bar,
    tui::{
        pen::{Page, wrap},
        theme::Tone,
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, question: &Question) {
    match &question.bar {
        Bar::Stranger { host, fingerprint, .. } => stranger(page, area, state, (host, fingerprint), question.awake),
        Bar::Locked { key } => locked(page, area, state, question, &key.display().to_string()),
    }
}

fn stranger(page: &mut Page<'_>, area: Rect, state: &State, (host, fingerprint): (&str, &str), awake: bool) {
    const WIDTH: usize = 72;
    const LOW: u16 = 14;
    const COMPARE: &str = "Compare it with what this prints on that machine:";
    let width = usize::from(area.width).saturating_sub(4).min(WIDTH);
    let told = |text: &str, indent: usize, tone: Tone| -> Vec<(usize, String, Tone)> {
        pieces(text, width - indent).into_iter().map(|line| (indent, line, tone)).collect()
    };
    // Where there are few lines, each has to say something.
    let compare = if area.height < LOW { "Compare it with, on that machine:" } else { COMPARE };
    let parts = [
        told(&format!("{host} shows an SSH host key nobody has trusted yet:"), 0, Tone::Text),
        told(fingerprint, 2, Tone::Title),
        told(compare, 0, Tone::Text),
        told("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", 2, Tone::Dim),
    ];
    // A free line before and behind the key, and before the keys, as far as there is room: the fingerprint has it first.
    let lines: usize = parts.iter().map(Vec::len).sum();
    let room = usize::from(area.height).saturating_sub(2 + lines + 1);
    let air = [0, usize::from(room > 1), usize::from(room > 2), 0];
    let above_keys = usize::from(room > 0);
    let height = lines + air.iter().sum::<usize>() + above_keys + 1;
    let inner = frame(page, area, WIDTH, height, "trust this host key?", Tone::Warn);
    let mut row = 0;
    for (part, air) in parts.iter().zip(air) {
        row += air;
        for (indent, line, tone) in part {
            page.line(inner, row).skip(*indent).put(line, *tone);
            row += 1;
        }
    }
    let last = usize::from(inner.height).saturating_sub(1);
    if awake {
        keys(page, inner, last, state, &[(Command::TrustHost, "trust it")]);
    } else {
        page.line(inner, last).put("no key answers this while somebody is typing", Tone::Dim);
    }
}

/// A text in lines, at its blanks; what has none is broken anywhere, for all of it has to be seen.
fn pieces(text: &str, width: usize) -> Vec<String> {
    let broken = |line: String| -> Vec<String> {
        let letters: Vec<char> = line.chars().collect();
        letters.chunks(width.max(1)).map(|piece| piece.iter().collect()).collect()
    };
    wrap(text, width).into_iter().flat_map(broken).collect()
}

fn locked(page: &mut Page<'_>, area: Rect, state: &State, question: &Question, key: &str) {
    let waiting = match question.then.len() {
        1 => "It is kept for as long as this program runs, and nowhere else.".to_owned(),
        n => format!("{n} logins wait for it. It is kept while this program runs, and nowhere else."),
    };
    let path = pieces(key, usize::from(area.width).saturating_sub(4).min(72));
    let inner = frame(page, area, 72, 6 + path.len(), "a key with a passphrase", Tone::Accent);
    for (n, line) in path.iter().enumerate() {
        page.line(inner, n).put(line, Tone::Title);
    }
    let below = path.len();
    page.line(inner, below).put(&waiting, Tone::Dim);
    if question.again {
        page.line(inner, below + 1).put("That did not open it.", Tone::Bad);
    }
    let stars = "*".repeat(question.typed.0.value().chars().count());
    field(page, inner, below + 3, "passphrase:", &Input::new(stars).with_cursor(question.typed.0.cursor()), true);
    keys(page, inner, below + 5, state, &[(Command::Unlock, "open it")]);
}
