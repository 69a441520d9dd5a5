//! A shell with the whole terminal: raw bytes both ways, resizes along, nothing interpreted.
//!
//! Standard input is passed on as it is read, so that pasting and mouse reports of programs inside arrive
//! as they were sent.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{
    io::AsyncWriteExt,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{
    escape::{Escape, HELP, Passed},
    keyboard::Keyboard,
    switch_off::Margins,
    terminal::{Raw, TuiError},
};
use crate::{
    app::attach::{Attach, FromShell, ShellEnd, ToShell},
    domain::Clean,
};

/// Keys are gathered into pieces of this size while they wait, in bytes.
const PIECE: usize = 16 << 10;
/// Bytes that wait for the far side at most. Nobody types so much before leaving; a larger paste is read as it is taken.
const MOST_WAITING: usize = 1 << 20;

/// How a shell with the whole terminal came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parting {
    /// By itself, with its exit status.
    Exit(i32),
    /// `Enter ~ .` was typed, whatever the far side was doing.
    Left,
    /// The connection broke, or the terminal went away.
    Lost(Clean),
}

impl From<Parting> for ShellEnd {
    /// Leaving is no failure to whoever goes on with a screen.
    fn from(parting: Parting) -> Self {
        match parting {
            Parting::Exit(code) => Ok(code),
            Parting::Left => Ok(0),
            Parting::Lost(why) => Err(why),
        }
    }
}

/// A shell in the terminal one is in, without a dashboard around it: raw while it lasts, as it was afterwards.
/// Nothing is told of its end when `stop` came first.
pub async fn borrow(attach: Attach, stop: &CancellationToken) -> Result<Option<Parting>, TuiError> {
    let _raw = Raw::take()?;
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        end = passthrough(attach) => Ok(Some(end)),
    }
}

/// Runs the shell until it ends, the connection breaks, or `Enter ~ .` is typed. Whatever is told afterwards begins
/// on a line of its own.
pub async fn passthrough(attach: Attach) -> Parting {
    let Attach { door, to, from, .. } = attach;
    let mut out = io::stdout();
    let _ = write!(out, "\r\n{door}   {}\r\n", door.leaving()).and_then(|()| out.flush());
    let mut keyboard = match Keyboard::start() {
        Ok(keyboard) => keyboard,
        Err(error) => return Parting::Lost(Clean::from(format!("cannot read the terminal: {error}"))),
    };
    let mut resized = match signal(SignalKind::window_change()) {
        Ok(resized) => resized,
        Err(error) => return Parting::Lost(Clean::from(format!("cannot follow resizes: {error}"))),
    };
    let in_line = AtomicBool::new(false);
    // Apart from the output: a shell that reads nothing may still have much to say.
    let end = tokio::select! {
        end = show(from, &in_line) => end,
        end = type_in(&mut keyboard.bytes, &mut resized, &to) => end,
    };
    if in_line.into_inner() && !matches!(end, Parting::Exit(_)) {
        let _ = out.write_all(b"\r\n").and_then(|()| out.flush());
    }
    end
}

/// Shows what comes; `in_line` says whether something stands on the last line.
async fn show(mut from: mpsc::Receiver<FromShell>, in_line: &AtomicBool) -> Parting {
    let mut out = tokio::io::stdout();
    let mut margins = Margins::default();
    loop {
        match from.recv().await {
            Some(FromShell::Bytes(bytes)) => {
                margins.follow(&bytes);
                in_line.store(!bytes.ends_with(b"\n"), Ordering::Relaxed);
                if let Err(error) = out.write_all(&bytes).await.and(out.flush().await) {
                    return Parting::Lost(Clean::from(format!("the terminal is gone: {error}")));
                }
            }
            Some(FromShell::Exit(code)) => return Parting::Exit(code),
            Some(FromShell::Lost(why)) => return Parting::Lost(why),
            None => return Parting::Lost("the connection was closed".into()),
        }
    }
}

/// Passes on keys and resizes; ends when the person leaves or the terminal does. Keys are read while the far side
/// takes nothing: that is when people want to leave.
async fn type_in(keys: &mut mpsc::Receiver<Vec<u8>>, resized: &mut Signal, to: &mpsc::Sender<ToShell>) -> Parting {
    let mut escape = Escape::default();
    let mut waiting = Waiting::default();
    waiting.resize();
    loop {
        tokio::select! {
            room = to.reserve(), if !waiting.is_empty() => match room {
                Ok(room) => {
                    if let Some(next) = waiting.next() {
                        room.send(next);
                    }
                }
                // Why is told where the output ends.
                Err(_) => waiting = Waiting::default(),
            },
            typed = keys.recv(), if waiting.bytes < MOST_WAITING => {
                let Some(typed) = typed else { return Parting::Lost("the terminal was closed".into()) };
                for passed in escape.pass(&typed) {
                    match passed {
                        Passed::On(bytes) => waiting.bytes(bytes),
                        Passed::Leave => return Parting::Left,
                        Passed::Help => {
                            let mut out = tokio::io::stdout();
                            let _ = out.write_all(HELP.as_bytes()).await.and(out.flush().await);
                        }
                    }
                }
            }
            _ = resized.recv() => waiting.resize(),
        }
    }
}

/// What the far side has not taken yet, in order.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<ToShell>,
    bytes: usize,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        match self.queue.back_mut() {
            Some(ToShell::Bytes(last)) if last.len() < PIECE => last.extend(bytes),
            _ => self.queue.push_back(ToShell::Bytes(bytes)),
        }
    }

    /// The size the terminal has now; one that waits still is out of date.
    fn resize(&mut self) {
        let Ok((columns, rows)) = crossterm::terminal::size() else { return };
        if let Some(ToShell::Resize(..)) = self.queue.back() {
            self.queue.pop_back();
        }
        self.queue.push_back(ToShell::Resize(columns, rows));
    }

    fn next(&mut self) -> Option<ToShell> {
        let next = self.queue.pop_front();
        if let Some(ToShell::Bytes(bytes)) = &next {
            self.bytes -= bytes.len();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_person_can_leave_a_far_side_that_takes_nothing_any_more() {
        let (to, _from) = mpsc::channel(1);
        to.send(ToShell::Bytes(b"the last it took".to_vec())).await.unwrap();
        let (typing, mut keys) = mpsc::channel(16);
        let mut resized = signal(SignalKind::window_change()).unwrap();
        let typed = async {
            // More reads than fit on the way, and the escape in the middle of one.
            for _ in 0..500 {
                typing.send(b"where are you?".to_vec()).await.unwrap();
            }
            typing.send(b"\r~".to_vec()).await.unwrap();
            typing.send(b".".to_vec()).await.unwrap();
            std::future::pending::<()>().await;
        };
        let end = async {
            tokio::select! {
                end = type_in(&mut keys, &mut resized, &to) => end,
                () = typed => unreachable!(),
            }
        };
        assert_eq!(tokio::time::timeout(std::time::Duration::from_secs(30), end).await, Ok(Parting::Left));
    }

    #[tokio::test]
    async fn everything_typed_arrives_in_order() {
        let (to, mut from) = mpsc::channel(1);
        let (typing, mut keys) = mpsc::channel(16);
        let mut resized = signal(SignalKind::window_change()).unwrap();
        let sent: Vec<u8> = (0..200_000_u32).map(|n| b'a' + u8::try_from(n % 26).unwrap()).collect();
        let typed = async {
            for piece in sent.chunks(997) {
                typing.send(piece.to_vec()).await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        let mut arrived = Vec::new();
        let arrives = async {
            while arrived.len() < sent.len() {
                if let Some(ToShell::Bytes(bytes)) = from.recv().await {
                    arrived.extend(bytes);
                }
            }
        };
        let all = async {
            tokio::select! {
                () = arrives => {}
                () = typed => unreachable!(),
                end = type_in(&mut keys, &mut resized, &to) => panic!("{end:?}"),
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), all).await.unwrap();
        assert!(arrived == sent);
    }
}
