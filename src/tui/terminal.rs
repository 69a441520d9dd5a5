//! The terminal itself: taken over, given back, lent to a shell. However the program ends, it is given back.

use std::{
    io::{self, BufWriter, IsTerminal, Stdout, Write},
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::ThreadId,
};

use crossterm::{
    cursor::{Hide, Show},
    event::{DisableBracketedPaste, EnableBracketedPaste},
    execute,
    style::ResetColor,
    terminal::{
        Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use ratatui::Terminal;
use thiserror::Error;
use vt100::MouseProtocolMode;

use super::{
    draw::{Look, drawn},
    sparing::Sparing,
    spots::Spots,
    switch_off,
};
use crate::app::State;

/// Why the dashboard cannot be shown.
#[derive(Debug, Error)]
pub enum TuiError {
    #[error("the dashboard needs a terminal, and {0} is none; homeroom status and the other commands do without")]
    NoTerminal(&'static str),
    #[error("terminal: cannot {doing}: {source}")]
    Io { doing: &'static str, source: io::Error },
}

impl TuiError {
    /// Whether it says that the terminal is no longer there.
    pub(super) fn is_gone(&self) -> bool {
        use rustix::io::Errno;
        matches!(self, Self::Io { source, .. }
            if matches!(Errno::from_io_error(source), Some(Errno::IO | Errno::PIPE | Errno::NXIO | Errno::BADF)))
    }

    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}

/// Whether the terminal is in our hands.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether it is in our hands for a shell that no dashboard is around.
static RAW: AtomicBool = AtomicBool::new(false);
/// The thread that draws.
static OWNER: OnceLock<ThreadId> = OnceLock::new();

/// Whether the terminal went away for good.
static GONE: AtomicBool = AtomicBool::new(false);

/// Standard output in large pieces. Once the terminal is gone it takes everything and keeps nothing: ratatui
/// reports what it cannot undo to standard error, which is gone as well, and that would be a panic.
struct Out(BufWriter<Stdout>);

impl Out {
    fn unless_gone<T>(
        &mut self,
        done: T,
        write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<T>,
    ) -> io::Result<T> {
        if GONE.load(Ordering::SeqCst) { Ok(done) } else { write(&mut self.0) }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_gone(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_gone((), Write::flush)
    }
}

/// The terminal in our hands; given back when dropped.
pub struct Screen {
    terminal: Terminal<Sparing<Out>>,
    /// What it tells of the mouse.
    mouse: MouseProtocolMode,
}

impl Screen {
    /// Takes the terminal over. Call it on the thread that draws: a panic there gives the terminal back first.
    pub fn take() -> Result<Self, TuiError> {
        if !io::stdin().is_terminal() {
            return Err(TuiError::NoTerminal("standard input"));
        }
        if !io::stdout().is_terminal() {
            return Err(TuiError::NoTerminal("standard output"));
        }
        hook();
        enter()?;
        Ok(Self { terminal: blank()?, mouse: MouseProtocolMode::None })
    }

    /// Draws the state; only cells that differ are sent, in one piece where the terminal can.
    /// Tells what of it can be pointed at.
    pub fn draw(&mut self, state: &State, look: &Look) -> Result<Spots, TuiError> {
        let mut spots = Spots::default();
        self.terminal.draw(|frame| spots = drawn(frame, state, look)).map_err(TuiError::io("draw"))?;
        Ok(spots)
    }

    /// Asks the terminal to tell of the mouse what a program in a pane wants to hear, or nothing.
    pub fn tell_mouse(&mut self, mode: MouseProtocolMode) -> Result<(), TuiError> {
        if self.mouse == mode {
            return Ok(());
        }
        self.mouse = mode;
        let asked: &[u8] = match mode {
            MouseProtocolMode::None => b"",
            MouseProtocolMode::Press | MouseProtocolMode::PressRelease => b"\x1b[?1000h\x1b[?1006h",
            MouseProtocolMode::ButtonMotion => b"\x1b[?1002h\x1b[?1006h",
            MouseProtocolMode::AnyMotion => b"\x1b[?1003h\x1b[?1006h",
        };
        let out = self.terminal.backend_mut();
        let told =
            out.write_all(switch_off::MOUSE).and_then(|()| out.write_all(asked)).and_then(|()| Write::flush(out));
        told.map_err(TuiError::io("ask it for the mouse"))
    }

    /// Lends the terminal out: the ordinary screen, still raw, so that every byte goes through.
    pub fn lend(&mut self) -> Result<(), TuiError> {
        self.tell_mouse(MouseProtocolMode::None)?;
        let mut out = io::stdout();
        execute!(out, DisableBracketedPaste, LeaveAlternateScreen, ResetColor, Show)
            .and_then(|()| out.write_all(switch_off::KEEP_TITLE))
            .and_then(|()| out.flush())
            .map_err(TuiError::io("lend it"))
    }

    /// Gives it back and stops the program, with all that runs in it, until the shell continues it.
    pub fn suspend(&mut self) -> Result<(), TuiError> {
        restore();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)
            .map_err(|errno| TuiError::Io { doing: "stop for the shell", source: errno.into() })
    }

    /// Takes it over again as if for the first time: somebody may have changed its modes meanwhile.
    pub fn again(&mut self) -> Result<(), TuiError> {
        self.mouse = MouseProtocolMode::None;
        restore();
        enter()?;
        self.terminal = blank()?;
        Ok(())
    }

    /// Draws everything anew, whatever stands there by now.
    pub fn repaint(&mut self) -> Result<(), TuiError> {
        execute!(io::stdout(), Clear(ClearType::All)).map_err(TuiError::io("clear it"))?;
        self.terminal = blank()?;
        Ok(())
    }

    /// Takes it back after whatever was left switched on in it, to be drawn anew.
    pub fn retake(&mut self) -> Result<(), TuiError> {
        let mut out = io::stdout();
        let reset = out.write_all(&switch_off::all()).and_then(|()| out.write_all(switch_off::TITLE_BACK));
        reset.map_err(TuiError::io("reset it"))?;
        enter()?;
        // On this screen too, which programs of the shell had before.
        let keys = out.write_all(switch_off::LONG_KEYS).and_then(|()| out.flush());
        keys.map_err(TuiError::io("reset its keyboard"))?;
        // Begun anew rather than cleared: that would ask the terminal where its cursor is and wait for the answer.
        self.terminal = blank()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if give_back().is_err() {
            GONE.store(true, Ordering::SeqCst);
        }
    }
}

/// The terminal for a shell without a dashboard: every byte goes through, until dropped.
pub struct Raw;

impl Raw {
    /// Takes it. Call it on the thread that waits for the shell, as with [`Screen::take`].
    pub fn take() -> Result<Self, TuiError> {
        hook();
        RAW.store(true, Ordering::SeqCst);
        enable_raw_mode().map_err(TuiError::io("make it raw"))?;
        // A terminal that does not know this ignores it.
        let _ = io::stdout().write_all(switch_off::KEEP_TITLE);
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// A terminal on which nothing is drawn yet.
fn blank() -> Result<Terminal<Sparing<Out>>, TuiError> {
    let backend = Sparing::new(Out(BufWriter::with_capacity(1 << 16, io::stdout())));
    Terminal::new(backend).map_err(TuiError::io("ask for its size"))
}

fn enter() -> Result<(), TuiError> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode().map_err(TuiError::io("read single keys"))?;
    execute!(io::stdout(), EnterAlternateScreen, Clear(ClearType::All), EnableBracketedPaste, Hide)
        .map_err(TuiError::io("open its second screen"))
}

/// Gives the terminal back as it was; does nothing when it is not in our hands. For every way out.
pub fn restore() {
    // The terminal may be gone: then there is nothing to restore and nobody to tell.
    let _ = give_back();
}

fn give_back() -> io::Result<()> {
    if RAW.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let reset = out.write_all(&switch_off::all()).and_then(|()| out.write_all(switch_off::TITLE_BACK));
        let reset = reset.and_then(|()| execute!(out, ResetColor, Show));
        return reset.and(disable_raw_mode());
    }
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let mut out = io::stdout();
    // A shell may have had it until now.
    let quiet = out.write_all(switch_off::UNFINISHED).and_then(|()| out.write_all(switch_off::MOUSE));
    let shown = execute!(out, EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, ResetColor, Show);
    quiet.and(shown).and(disable_raw_mode())
}

/// A panic on the drawing thread gives the terminal back before it is reported. One elsewhere goes to the
/// log only: its words would land in the middle of the screen.
fn hook() {
    static ONCE: Once = Once::new();
    let owner = *OWNER.get_or_init(|| std::thread::current().id());
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == owner {
                restore();
            }
            if TAKEN.load(Ordering::SeqCst) || RAW.load(Ordering::SeqCst) {
                tracing::error!("{panic}");
            } else {
                report(panic);
            }
        }));
    });
}
