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
        Bar::Stranger { host, fingerprint, .. } => stranger(page, area, state, host, fingerprint),
        Bar::Locked { key } => locked(page, area, state, question, &key.display().to_string()),
    }
}

fn stranger(page: &mut Page<'_>, area: Rect, state: &State, host: &str, fingerprint: &str) {
    let inner = frame(page, area, 72, 8, "trust this host key?", Tone::Warn);
    page.line(inner, 0).put(&format!("{host} shows an SSH host key nobody has trusted yet:"), Tone::Text);
    page.line(inner, 2).skip(2).put(fingerprint, Tone::Title);
    page.line(inner, 4).put("Compare it with what this prints on that machine:", Tone::Text);
    page.line(inner, 5).skip(2).put("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", Tone::Dim);
    keys(page, inner, 7, state, &[(Command::TrustHost, "trust it")]);
}

fn locked(page: &mut Page<'_>, area: Rect, state: &State, question: &Question, key: &str) {
    let waiting = match question.then.len() {
        1 => "It is kept for as long as this program runs, and nowhere else.".to_owned(),
        n => format!("{n} logins wait for it. It is kept while this program runs, and nowhere else."),
    };
    let path = wrap(key, 72);
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
