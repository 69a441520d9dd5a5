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
    typed::Typed,
};
use crate::{
    app::{
        Action, Command, Context, Effect, State,
        attach::{Attach, ToShell},
        shells::Way,
        update,
    },
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
    let mut typed = Typed::default();
    let mut spots = Spots::default();
    loop {
        // Here and not only by its timer, so that a flood of data cannot hold the clock up.
        let due = tick(&mut state);
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
        let raw = state.context() == Context::Typing;
        if !raw {
            typed = Typed::default();
        }
        let mut effects = Vec::new();
        let mut lent = None;
        tokio::select! {
            biased;
            () = wires.stop.cancelled() => return Ok(Ended::Stopped),
            came = input.come(raw) => match came {
                Some(Came::Raw(bytes)) => {
                    let rest;
                    (effects, rest) = pass_on(&mut state, &tabs, &mut typed, &bytes);
                    input.hear(&rest);
                }
                Some(Came::Heard(heard)) => {
                    effects = tick(&mut state);
                    if let Some(action) = input::action(&state, &mut spots, heard) {
                        effects.extend(update(&mut state, action));
                    }
                }
                None => return Ok(Ended::HungUp),
            },
            _ = resized.recv() => resize(&mut state),
            _ = continued.recv() => {
                screen.again()?;
                resize(&mut state);
            }
            Some(attach) = wires.shells.recv() => (effects, lent) = took(&mut state, &mut tabs, attach),
            n = wires.actions.recv_many(&mut batch, BATCH), if !wires.actions.is_closed() || !wires.actions.is_empty() => {
                if n > 0 {
                    effects = tick(&mut state);
                    effects.extend(batch.drain(..).flat_map(|action| update(&mut state, action)));
                }
            }
            said = tabs.next() => {
                effects = tick(&mut state);
                effects.extend(said.into_iter().flat_map(|action| update(&mut state, action)));
            }
            () = next_second() => {}
            () = tokio::time::sleep(SOON), if state.waits_for_quiet() => {}
        }
        tabs.follow(&state);
        let mut own = send(&mut state, &wires.effects, &tabs, effects);
        if let Some(attach) = lent {
            // Nobody else reads the terminal while the shell has it; what was typed for it comes first.
            type_ahead(&attach, input.stop());
            screen.lend()?;
            let door = attach.door.clone();
            let session = passthrough(attach);
            let Some((end, later)) = beside(&mut state, &mut tabs, &mut wires, session).await else {
                screen.retake()?;
                return Ok(Ended::Stopped);
            };
            screen.retake()?;
            resize(&mut state);
            let mut due = tick(&mut state);
            due.extend(update(&mut state, Action::ShellEnded { door, end: end.into() }));
            own = own.or(send(&mut state, &wires.effects, &tabs, due));
            own = own.or(later);
            Input::forget();
            input = listen()?;
        }
        match own {
            None => {}
            Some(Own::Leave) => return Ok(Ended::Left),
            Some(Own::Edit { lab, text }) => {
                drop(input);
                super::terminal::restore();
                let left = beside(&mut state, &mut tabs, &mut wires, super::editor::edit(&text)).await;
                screen.again()?;
                resize(&mut state);
                match left {
                    None => return Ok(Ended::Stopped),
                    Some((Ok(edited), _)) => {
                        let asked = update(&mut state, Action::TextEdited { lab, before: text, text: edited });
                        send(&mut state, &wires.effects, &tabs, asked);
                    }
                    Some((Err(error), _)) => {
                        update(&mut state, Action::Notice { level: Level::Error, text: error.to_string().into() });
                    }
                }
                Input::forget();
                input = listen()?;
            }
            Some(Own::Repaint) => {
                screen.repaint()?;
                drawn = None;
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

/// A terminal was opened: it is a tab, is lent the screen, or nobody waits for it any more and it is closed.
/// What was typed for one that is lent the screen is on its way to it.
fn took(state: &mut State, tabs: &mut Tabs, attach: Attach) -> (Vec<Effect>, Option<Attach>) {
    let id = attach.id;
    match state.shells.awaited(id) {
        None => (Vec::new(), None),
        Some(Way::Pane) => {
            tabs.open(attach);
            (update(state, Action::TabOpened { id }), None)
        }
        Some(Way::Whole) => {
            for effect in update(state, Action::ShellOpened { id }) {
                if let Effect::Answer { bytes, .. } = effect {
                    type_ahead(&attach, bytes);
                }
            }
            (Vec::new(), Some(attach))
        }
    }
}

/// Types into a terminal that nobody has typed into yet. The first thing it is told is its size.
fn type_ahead(attach: &Attach, bytes: Vec<u8>) {
    if !bytes.is_empty() {
        if let Ok((columns, rows)) = crossterm::terminal::size() {
            let _ = attach.to.try_send(ToShell::Resize(columns, rows));
        }
        let _ = attach.to.try_send(ToShell::Bytes(bytes));
    }
}

/// Typed while a shell has the keys. With it what came behind the key that takes them back.
fn pass_on(state: &mut State, tabs: &Tabs, typed: &mut Typed, bytes: &[u8]) -> (Vec<Effect>, Vec<u8>) {
    let (on, rest) = typed.take(bytes, std::time::Instant::now());
    if !tabs.type_in(state, &on) {
        let text = "the shell takes no more keys for now; some were lost".into();
        update(state, Action::Notice { level: Level::Warning, text });
    }
    match rest {
        Some(rest) => (update(state, Action::Do(Command::LetGo)), rest),
        None => (Vec::new(), Vec::new()),
    }
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
    Edit {
        lab: Option<LabName>,
        text: String,
    },
    Suspend,
    /// Others may have written over what is shown.
    Repaint,
}

/// Passes effects on, up to one of its own.
fn send(state: &mut State, to: &mpsc::Sender<Effect>, tabs: &Tabs, effects: Vec<Effect>) -> Option<Own> {
    let mut anew = None;
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
                anew = anew.or((effect == Effect::Refresh).then_some(Own::Repaint));
                if to.try_send(effect).is_err() {
                    let text = "too much is asked for at once; try again in a moment".into();
                    update(state, Action::Notice { level: Level::Warning, text });
                }
            }
        }
    }
    anew
}

fn resize(state: &mut State) {
    if let Ok((columns, rows)) = crossterm::terminal::size() {
        update(state, Action::Resized(columns, rows));
    }
}

/// The time, before something that happens now is taken in: for how long nobody typed is told by it.
fn tick(state: &mut State) -> Vec<Effect> {
    update(state, Action::Tick(Timestamp::now()))
}

/// How often it is looked whether somebody still types, while that matters.
const SOON: Duration = Duration::from_millis(100);

/// Waits for a program that has the terminal, while everything else goes on: data comes in, shells in tabs are read
/// and answered, and what nobody at the screen has to do is done. With it what is left for whoever owns the terminal
/// to do afterwards. None when `stop` came first.
async fn beside<T>(
    state: &mut State,
    tabs: &mut Tabs,
    wires: &mut Wires,
    program: impl Future<Output = T>,
) -> Option<(T, Option<Own>)> {
    tokio::pin!(program);
    let mut batch = Vec::with_capacity(BATCH);
    let mut later = None;
    loop {
        let mut effects = tick(state);
        tokio::select! {
            biased;
            () = wires.stop.cancelled() => return None,
            done = &mut program => return Some((done, later)),
            Some(attach) = wires.shells.recv() => effects.extend(took(state, tabs, attach).0),
            n = wires.actions.recv_many(&mut batch, BATCH), if !wires.actions.is_closed() || !wires.actions.is_empty() => {
                if n > 0 {
                    effects.extend(batch.drain(..).flat_map(|action| update(state, action)));
                }
            }
            said = tabs.next() => effects.extend(said.into_iter().flat_map(|action| update(state, action))),
            () = next_second() => {}
        }
        tabs.follow(state);
        later = send(state, &wires.effects, tabs, effects).or(later);
    }
}

/// The clock shows seconds: wakes just after the next one begins.
async fn next_second() {
    let into = u64::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0);
    tokio::time::sleep(Duration::from_nanos(1_000_500_000_u64.saturating_sub(into))).await;
}
