//! A shell with the whole terminal: raw bytes both ways, resizes along, nothing interpreted.
//!
//! Standard input is passed on as it is read, so that pasting and mouse reports of programs inside arrive
//! as they were sent.

use std::io::{self, Write};

use tokio::{
    io::AsyncWriteExt,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    keyboard::Keyboard,
    terminal::{Raw, TuiError},
};
use crate::{
    app::attach::{Attach, FromShell, ShellEnd, ToShell},
    domain::Clean,
};

/// A shell in the terminal one is in, without a dashboard around it: raw while it lasts, as it was afterwards.
/// Nothing is told of its end when `stop` came first.
pub async fn borrow(attach: Attach, stop: &CancellationToken) -> Result<Option<ShellEnd>, TuiError> {
    let _raw = Raw::take()?;
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        end = passthrough(attach) => Ok(Some(end)),
    }
}

/// Runs the shell until it ends, the connection breaks, or `Enter ~ .` is typed.
pub async fn passthrough(attach: Attach) -> ShellEnd {
    let Attach { door, to, mut from, .. } = attach;
    let mut out = io::stdout();
    let _ = write!(out, "\r\n{door}   {}\r\n", door.leaving()).and_then(|()| out.flush());
    let keyboard = Keyboard::start().map_err(|error| Clean::from(format!("cannot read the terminal: {error}")))?;
    let output = async {
        let mut out = tokio::io::stdout();
        loop {
            match from.recv().await {
                Some(FromShell::Bytes(bytes)) => {
                    let written = async { out.write_all(&bytes).await.and(out.flush().await) };
                    written.await.map_err(|error| Clean::from(format!("the terminal is gone: {error}")))?;
                }
                Some(FromShell::Exit(code)) => return Ok(code),
                Some(FromShell::Lost(why)) => return Err(why),
                None => return Err(Clean::from("the connection was closed")),
            }
        }
    };
    // Apart from the output: a shell that reads nothing may still have much to say.
    tokio::select! {
        end = output => end,
        end = type_in(keyboard, &to) => end,
    }
}

/// Passes on keys and resizes; ends when the person leaves or the terminal does.
async fn type_in(mut keyboard: Keyboard, to: &mpsc::Sender<ToShell>) -> ShellEnd {
    let mut resized =
        signal(SignalKind::window_change()).map_err(|error| Clean::from(format!("cannot follow resizes: {error}")))?;
    let mut escape = Escape::default();
    send_size(to).await;
    loop {
        tokio::select! {
            bytes = keyboard.bytes.recv() => match bytes.map(|bytes| escape.pass(bytes)) {
                Some(Passed::On(bytes)) => { let _ = to.send(ToShell::Bytes(bytes)).await; }
                Some(Passed::Leave) => return Ok(0),
                Some(Passed::Help) => {
                    let mut out = tokio::io::stdout();
                    let _ = out.write_all(HELP.as_bytes()).await.and(out.flush().await);
                }
                None => return Err(Clean::from("the terminal was closed")),
            },
            _ = resized.recv() => send_size(to).await,
        }
    }
}

async fn send_size(to: &mpsc::Sender<ToShell>) {
    if let Ok((columns, rows)) = crossterm::terminal::size() {
        let _ = to.send(ToShell::Resize(columns, rows)).await;
    }
}

/// What `Enter ~ ?` shows.
const HELP: &str =
    "~?\r\nAfter Enter:\r\n ~.  leaves, whatever the far side does\r\n ~~  sends ~\r\n ~?  shows this\r\n";

/// Watches for `Enter ~ .` as ssh does, but only typed: pasted text comes in one read, between its marks.
#[derive(Debug, Default)]
struct Escape {
    stage: Stage,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Text,
    Entered,
    Tilde,
}

#[derive(Debug, PartialEq, Eq)]
enum Passed {
    On(Vec<u8>),
    Leave,
    Help,
}

impl Escape {
    /// What of one read goes on to the shell.
    fn pass(&mut self, mut bytes: Vec<u8>) -> Passed {
        match (&self.stage, bytes.as_slice()) {
            (Stage::Tilde, b".") | (Stage::Entered, b"~.") => return Passed::Leave,
            (Stage::Tilde, b"?") | (Stage::Entered, b"~?") => {
                self.stage = Stage::Entered;
                return Passed::Help;
            }
            (Stage::Tilde, b"~") => {}
            (Stage::Tilde, _) => bytes.insert(0, b'~'),
            (Stage::Entered, b"~") => {
                self.stage = Stage::Tilde;
                return Passed::On(Vec::new());
            }
            _ => {}
        }
        self.stage = if bytes == b"\r" { Stage::Entered } else { Stage::Text };
        Passed::On(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(reads: &[&str]) -> (String, bool) {
        let mut escape = Escape::default();
        let mut sent = String::new();
        for read in reads {
            match escape.pass(read.as_bytes().to_vec()) {
                Passed::On(bytes) => sent.push_str(&String::from_utf8(bytes).unwrap()),
                Passed::Leave => return (sent, true),
                Passed::Help => sent.push_str("(help)"),
            }
        }
        (sent, false)
    }

    #[test]
    fn enter_tilde_dot_leaves_and_anything_else_goes_through() {
        assert_eq!(typed(&["\r", "~", "."]), ("\r".into(), true));
        assert_eq!(typed(&["\r", "~."]), ("\r".into(), true));
        assert_eq!(typed(&["\r", "~", "?", "~", "."]), ("\r(help)".into(), true));
        assert_eq!(typed(&["\r", "~?", "x"]), ("\r(help)x".into(), false));
        assert_eq!(typed(&["\r", "~", "/", "x"]), ("\r~/x".into(), false));
        assert_eq!(typed(&["\r", "~", "~", "."]), ("\r~.".into(), false));
        assert_eq!(typed(&["a", "~", "."]), ("a~.".into(), false));
    }

    #[test]
    fn pasted_text_never_leaves() {
        let pasted = "\x1b[200~\r~.\r\x1b[201~";
        assert_eq!(typed(&["\r", pasted, "."]), (format!("\r{pasted}."), false));
    }
}
