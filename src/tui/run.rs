//! The loop: keys, time and data become actions; actions become effects; the newest state is drawn.

use std::time::Duration;

use crossterm::event::EventStream;
use futures_util::StreamExt;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    draw::Look,
    input,
    passthrough::passthrough,
    terminal::{Screen, TuiError},
};
use crate::{
    app::{Action, Effect, State, attach::Attach, update},
    domain::Level,
};

/// The channels to whoever carries effects out. All bounded.
#[derive(Debug)]
pub struct Wires {
    pub actions: mpsc::Receiver<Action>,
    pub effects: mpsc::Sender<Effect>,
    /// Terminals that were opened.
    pub shells: mpsc::Receiver<Attach>,
    /// Leave at once: a signal came.
    pub stop: CancellationToken,
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The person at the screen left.
    Left,
    /// `stop` was called.
    Stopped,
    /// The terminal went away.
    HungUp,
}

/// Actions taken in before a frame is drawn.
const BATCH: usize = 256;

/// Owns the terminal until the person leaves. Polled by the thread it is called on (`block_on`), so that a
/// panic while drawing gives the terminal back.
pub async fn run(mut state: State, look: Look, mut wires: Wires) -> Result<Ended, TuiError> {
    let mut screen = Screen::take()?;
    resize(&mut state);
    let mut keys = EventStream::new();
    let mut drawn = None;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        // Here and not only by its timer, so that a flood of data cannot hold the clock up.
        update(&mut state, Action::Tick(Timestamp::now()));
        if drawn != Some(state.revision()) {
            screen.draw(&state, &look)?;
            drawn = Some(state.revision());
        }
        let mut effects = Vec::new();
        tokio::select! {
            biased;
            () = wires.stop.cancelled() => return Ok(Ended::Stopped),
            event = keys.next() => match event {
                Some(Ok(event)) => {
                    if let Some(action) = input::action(&state, &event) {
                        effects = update(&mut state, action);
                    }
                }
                Some(Err(_)) | None => return Ok(Ended::HungUp),
            },
            Some(attach) = wires.shells.recv() => {
                // Nobody else reads the terminal while the shell has it.
                drop(keys);
                screen.lend()?;
                let stopped = shell(&mut state, attach, &mut wires).await;
                screen.retake()?;
                resize(&mut state);
                if stopped {
                    return Ok(Ended::Stopped);
                }
                swallow();
                keys = EventStream::new();
            }
            n = wires.actions.recv_many(&mut batch, BATCH), if !wires.actions.is_closed() || !wires.actions.is_empty() => {
                if n > 0 {
                    effects = batch.drain(..).flat_map(|action| update(&mut state, action)).collect();
                }
            }
            () = next_second() => {}
        }
        if send(&mut state, &wires.effects, effects) {
            return Ok(Ended::Left);
        }
    }
}

/// Passes effects on; whether leaving was among them.
fn send(state: &mut State, to: &mpsc::Sender<Effect>, effects: Vec<Effect>) -> bool {
    for effect in effects {
        let leaving = effect == Effect::Quit;
        if to.try_send(effect).is_err() && !leaving {
            let text = "too much is asked for at once; try again in a moment".into();
            update(state, Action::Notice { level: Level::Warning, text });
        }
        if leaving {
            return true;
        }
    }
    false
}

/// Forgets what came in while the terminal changed hands: keys meant for the shell, and a resize told late,
/// behind which crossterm would hold the next key back.
fn swallow() {
    while let Ok(true) = crossterm::event::poll(Duration::ZERO) {
        let _ = crossterm::event::read();
    }
}

fn resize(state: &mut State) {
    if let Ok((columns, rows)) = crossterm::terminal::size() {
        update(state, Action::Resized(columns, rows));
    }
}

/// Runs a shell while data goes on coming in; whether it was cut short by `stop`.
async fn shell(state: &mut State, attach: Attach, wires: &mut Wires) -> bool {
    let (lab, seat) = (attach.lab.clone(), attach.seat.clone());
    let session = passthrough(attach);
    tokio::pin!(session);
    loop {
        tokio::select! {
            end = &mut session => {
                update(state, Action::Tick(Timestamp::now()));
                update(state, Action::ShellEnded { lab, seat, end });
                return false;
            }
            () = wires.stop.cancelled() => return true,
            Some(action) = wires.actions.recv() => {
                // Effects come from keys, and no key of ours is pressed while the shell has them.
                let _ = update(state, action);
            }
        }
    }
}

/// The clock shows seconds: wakes just after the next one begins.
async fn next_second() {
    let into = u64::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0);
    tokio::time::sleep(Duration::from_nanos(1_000_500_000_u64.saturating_sub(into))).await;
}
