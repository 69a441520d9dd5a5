//! The loop: keys, time and data become actions; actions become effects; the newest state is drawn.

use std::{io::Write as _, time::Duration};

use jiff::Timestamp;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use vt100::MouseProtocolMode;

use super::{
    draw::Look,
    input::{self, Came, Input},
    passthrough::passthrough,
    spots::Spots,
    tabs::Tabs,
    terminal::{Screen, TuiError},
};
use crate::{
    app::{Action, Command, Context, Effect, State, attach::Attach, shells::mouse::Report, update},
    domain::{LabName, Level},
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
pub async fn run(state: State, look: Look, wires: Wires) -> Result<Ended, TuiError> {
    let screen = Screen::take()?;
    match on(screen, state, look, wires).await {
        // Nobody to tell it to, and what is under way has to go on.
        Err(error) if error.is_gone() => Ok(Ended::HungUp),
        ended => ended,
    }
}

async fn on(mut screen: Screen, mut state: State, look: Look, mut wires: Wires) -> Result<Ended, TuiError> {
    resize(&mut state);
    let mut input = listen()?;
    let mut resized = hear(SignalKind::window_change())?;
    let mut continued = hear(SignalKind::from_raw(CONTINUED))?;
    let mut drawn = None;
    let mut batch = Vec::with_capacity(BATCH);
    let mut tabs = Tabs::new();
    let mut half = Vec::new();
    let mut spots = Spots::default();
    loop {
        // Here and not only by its timer, so that a flood of data cannot hold the clock up.
        let due = update(&mut state, Action::Tick(Timestamp::now()));
        send(&mut state, &wires.effects, &tabs, due);
        if drawn != Some(state.revision()) {
            spots.renew(screen.draw(&state, &look)?);
            drawn = Some(state.revision());
            let heard = match state.context() {
                Context::Typing => state.shells.mouse(),
                _ if look.mouse => MouseProtocolMode::ButtonMotion,
                _ => MouseProtocolMode::None,
            };
            screen.tell_mouse(heard)?;
        }
        let mut effects = Vec::new();
        tokio::select! {
            biased;
            () = wires.stop.cancelled() => return Ok(Ended::Stopped),
            came = input.come(state.context() == Context::Typing) => match came {
                Some(Came::Raw(typed)) => effects = pass_on(&mut state, &tabs, &mut half, &typed),
                Some(Came::Heard(heard)) => {
                    if let Some(action) = input::action(&state, &mut spots, heard) {
                        effects = update(&mut state, action);
                    }
                }
                None => return Ok(Ended::HungUp),
            },
            _ = resized.recv() => resize(&mut state),
            _ = continued.recv() => {
                screen.again()?;
                resize(&mut state);
            }
            Some(attach) = wires.shells.recv() => {
                if state.shells.is_awaited(&attach.lab, &attach.seat) {
                    let (lab, seat) = (attach.lab.clone(), attach.seat.clone());
                    tabs.open(state.shells.next(), attach);
                    update(&mut state, Action::TabOpened { lab, seat });
                    tabs.follow(&state);
                    continue;
                }
                // Nobody else reads the terminal while the shell has it.
                drop(input);
                screen.lend()?;
                let stopped = shell(&mut state, attach, &mut wires).await;
                screen.retake()?;
                resize(&mut state);
                if stopped {
                    return Ok(Ended::Stopped);
                }
                Input::forget();
                input = listen()?;
            }
            n = wires.actions.recv_many(&mut batch, BATCH), if !wires.actions.is_closed() || !wires.actions.is_empty() => {
                if n > 0 {
                    effects = batch.drain(..).flat_map(|action| update(&mut state, action)).collect();
                }
            }
            said = tabs.next() => effects = said.into_iter().flat_map(|action| update(&mut state, action)).collect(),
            () = next_second() => {}
        }
        tabs.follow(&state);
        match send(&mut state, &wires.effects, &tabs, effects) {
            None => {}
            Some(Own::Leave) => return Ok(Ended::Left),
            Some(Own::Edit { lab, text }) => {
                drop(input);
                super::terminal::restore();
                let left = edit(&mut state, &text, &mut wires).await;
                screen.again()?;
                resize(&mut state);
                match left {
                    None => return Ok(Ended::Stopped),
                    Some(Ok(edited)) => {
                        let asked = update(&mut state, Action::TextEdited { lab, before: text, text: edited });
                        send(&mut state, &wires.effects, &tabs, asked);
                    }
                    Some(Err(error)) => {
                        update(&mut state, Action::Notice { level: Level::Error, text: error.to_string().into() });
                    }
                }
                Input::forget();
                input = listen()?;
            }
            Some(Own::Suspend) => {
                drop(input);
                suspend(&mut screen, &mut continued).await?;
                resize(&mut state);
                input = listen()?;
            }
        }
    }
}

/// The key that takes the keys back from a shell: Ctrl-].
const LET_GO: u8 = 0x1d;

/// Typed while a shell has the keys. `half` is what of a report of the mouse has come so far.
fn pass_on(state: &mut State, tabs: &Tabs, half: &mut Vec<u8>, typed: &[u8]) -> Vec<Effect> {
    let mut typed = [std::mem::take(half).as_slice(), typed].concat();
    if let Some(at) = Report::begun(&typed) {
        *half = typed.split_off(at);
    }
    let end = typed.iter().position(|byte| *byte == LET_GO);
    if !tabs.type_in(state, &typed[..end.unwrap_or(typed.len())]) {
        let text = "the shell takes no more keys for now; some were lost".into();
        update(state, Action::Notice { level: Level::Warning, text });
    }
    if end.is_some() { update(state, Action::Do(Command::LetGo)) } else { Vec::new() }
}

/// Hands a text to the terminal, which puts it into its clipboard (OSC 52).
fn copy(text: &str) {
    use base64::Engine as _;
    let coded = base64::engine::general_purpose::STANDARD.encode(text);
    let mut out = std::io::stdout();
    let _ = write!(out, "\x1b]52;c;{coded}\x07").and_then(|()| out.flush());
}

/// Rings the terminal's bell.
fn ring() {
    let mut out = std::io::stdout();
    let _ = out.write_all(b"\x07").and_then(|()| out.flush());
}

/// SIGCONT, for which tokio has no name.
const CONTINUED: i32 = rustix::process::Signal::CONT.as_raw();
/// A stop that is ignored, as where there is no shell to go back to, is noticed after this.
const NOT_STOPPED: Duration = Duration::from_millis(300);

fn listen() -> Result<Input, TuiError> {
    Input::start().map_err(TuiError::io("read it"))
}

fn hear(kind: SignalKind) -> Result<Signal, TuiError> {
    signal(kind).map_err(TuiError::io("follow its signals"))
}

/// Stops the whole program until it is continued, then takes the terminal over again.
async fn suspend(screen: &mut Screen, continued: &mut Signal) -> Result<(), TuiError> {
    screen.suspend()?;
    // The stop may reach this thread a moment later than the others.
    let _ = tokio::time::timeout(NOT_STOPPED, continued.recv()).await;
    screen.again()
}

/// An effect that the loop carries out itself.
enum Own {
    Leave,
    Edit { lab: Option<LabName>, text: String },
    Suspend,
}

/// Passes effects on, up to one of its own.
fn send(state: &mut State, to: &mpsc::Sender<Effect>, tabs: &Tabs, effects: Vec<Effect>) -> Option<Own> {
    for effect in effects {
        match effect {
            Effect::Quit | Effect::TryDemo | Effect::OpenDashboard => {
                let _ = to.try_send(effect);
                return Some(Own::Leave);
            }
            Effect::Suspend => return Some(Own::Suspend),
            Effect::EditText { lab, text } => return Some(Own::Edit { lab, text }),
            Effect::Copy(text) => copy(&text),
            Effect::Ring => ring(),
            Effect::Answer { id, bytes } => tabs.answer(id, bytes),
            effect => {
                if to.try_send(effect).is_err() {
                    let text = "too much is asked for at once; try again in a moment".into();
                    update(state, Action::Notice { level: Level::Warning, text });
                }
            }
        }
    }
    None
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

/// Runs the editor while data goes on coming in; none when `stop` came first.
async fn edit(state: &mut State, text: &str, wires: &mut Wires) -> Option<std::io::Result<String>> {
    let editor = super::editor::edit(text);
    tokio::pin!(editor);
    loop {
        tokio::select! {
            left = &mut editor => return Some(left),
            () = wires.stop.cancelled() => return None,
            Some(action) = wires.actions.recv() => {
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
