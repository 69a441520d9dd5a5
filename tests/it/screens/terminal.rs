//! The dashboard in a real pseudo-terminal: taken, lent to a shell, resized, given back however it ends.
//!
//! The test binary runs itself inside the pseudo-terminal: `inside` is what runs there.

use std::{
    io::{Read, Write},
    sync::mpsc as std_mpsc,
    time::{Duration, Instant},
};

use homeroom::{
    app::{
        Effect,
        attach::{Attach, FromShell, ToShell},
    },
    tui::{Depth, Glyphs, Look, TuiError, Wires, run},
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::world::{lab, seat, world};

const INSIDE: &str = "HOMEROOM_TEST_INSIDE";
const PATIENCE: Duration = Duration::from_secs(30);

/// What runs inside: the sample world, and a runtime that answers a refresh as it is told to.
#[test]
fn inside() {
    let Ok(on_refresh) = std::env::var(INSIDE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let (_actions, actions) = mpsc::channel(8);
        let (effects, mut wishes) = mpsc::channel(8);
        let (shells, opened) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let wires = Wires { actions, effects, shells: opened, stop: stop.clone() };
        let answer = async {
            while let Some(wish) = wishes.recv().await {
                match wish {
                    Effect::OpenShell { .. } => shells.send(echo()).await.unwrap(),
                    Effect::Refresh if on_refresh == "panic" => panic!("on purpose"),
                    Effect::Refresh if on_refresh == "elsewhere" => {
                        let _ = tokio::spawn(async { panic!("a worker, on purpose") }).await;
                    }
                    Effect::Refresh => stop.cancel(),
                    _ => {}
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            ended = run(world(80, 24), Look::new(Depth::Indexed, Glyphs::UNICODE), wires) => ended,
            never = answer => never,
        }
    });
    println!("ended: {}", ended.map_or_else(|error| error.to_string(), |ended| format!("{ended:?}")));
}

/// A shell that tells the bytes it is sent, and ends with ctrl-d.
fn echo() -> Attach {
    let (to, mut inbox) = mpsc::channel(8);
    let (outbox, from) = mpsc::channel(8);
    tokio::spawn(async move {
        let say = |text: String| outbox.send(FromShell::Bytes(text.into_bytes()));
        say("\x1b[?1000h\x1b[?2004hhello\r\n".into()).await.unwrap();
        while let Some(given) = inbox.recv().await {
            match given {
                ToShell::Resize(columns, rows) => say(format!("size {columns}x{rows}\r\n")).await.unwrap(),
                ToShell::Bytes(bytes) if bytes.contains(&4) => return outbox.send(FromShell::Exit(3)).await.unwrap(),
                ToShell::Bytes(bytes) => say(format!("got {}\r\n", bytes.escape_ascii())).await.unwrap(),
            }
        }
    });
    Attach { lab: lab("cs101"), seat: seat("teacher"), to, from }
}

/// The pseudo-terminal and what it shows.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: std_mpsc::Receiver<Vec<u8>>,
    shown: vt100::Parser,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Terminal {
    fn start(on_refresh: &str) -> Self {
        let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
        command.args(["screens::terminal::inside", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(INSIDE, on_refresh);
        command.env("TERM", "xterm-256color");
        command.env("RUST_BACKTRACE", "0");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (send, output) = std_mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { master: pair.master, keys, child, output, shown: vt100::Parser::new(24, 80, 0) }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
        self.shown.screen_mut().set_size(rows, columns);
    }

    /// Reads until the screen shows the text.
    fn until(&mut self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown.screen().contents().contains(wanted) {
            // The clock goes on writing: what counts is the whole wait.
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("{wanted:?} never came; shown was:\n{}", self.shown.screen().contents());
            };
            self.shown.process(&bytes);
        }
    }

    /// Reads until the program has ended, and looks whether the terminal is as it was.
    fn assert_given_back(&mut self) {
        self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.shown.process(&bytes);
        }
        let screen = self.shown.screen();
        assert!(!screen.alternate_screen(), "still on the second screen");
        assert!(!screen.bracketed_paste(), "still marks what is pasted");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        let modes = format!("{:?}", self.master.get_termios().unwrap().local_flags);
        assert!(modes.contains("ICANON") && modes.contains("ECHO"), "still raw: {modes}");
    }
}

#[test]
fn leaving_gives_the_terminal_back() {
    let mut terminal = Terminal::start("stop");
    terminal.until("cs102");
    assert!(terminal.shown.screen().alternate_screen() && terminal.shown.screen().bracketed_paste());
    terminal.press("q");
    terminal.until("Under way here");
    terminal.press("\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let mut terminal = Terminal::start("stop");
    terminal.until("cs102");
    terminal.press("\x12");
    terminal.until("ended: Stopped");
    terminal.assert_given_back();
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_reported_after_that() {
    let mut terminal = Terminal::start("panic");
    terminal.until("cs102");
    terminal.press("\x12");
    terminal.until("on purpose");
    terminal.assert_given_back();
}

#[test]
fn a_panic_elsewhere_leaves_the_screen_alone() {
    let mut terminal = Terminal::start("elsewhere");
    terminal.until("cs102");
    terminal.press("\x12");
    terminal.until("asking every site");
    terminal.press("1");
    terminal.until("pve1");
    assert!(!terminal.shown.screen().contents().contains("on purpose"));
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let mut terminal = Terminal::start("stop");
    terminal.until("3 workshops 2");
    terminal.resize(120, 40);
    terminal.until("┤");
    terminal.resize(20, 5);
    terminal.until("needs 60×14");
    terminal.resize(80, 24);
    terminal.until("3 workshops 2");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_shell_has_the_whole_terminal_byte_for_byte() {
    let mut terminal = Terminal::start("stop");
    terminal.until("cs102");
    terminal.press("j\rs");
    terminal.until("hello");
    terminal.until("size 80x24");
    assert!(!terminal.shown.screen().alternate_screen());
    // A paste and a click, as a program inside would be sent them.
    terminal.press("\x1b[200~two\rlines\x1b[201~");
    terminal.until("got \\x1b[200~two\\rlines\\x1b[201~");
    terminal.press("\x1b[M !!");
    terminal.until("got \\x1b[M !!");
    terminal.press("q");
    terminal.until("got q");
    terminal.resize(100, 30);
    terminal.until("size 100x30");
    terminal.press("\x04");
    terminal.until("shell ended with exit status 3");
    assert!(terminal.shown.screen().alternate_screen());
    assert_eq!(terminal.shown.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    terminal.until("student-10");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_shell_that_hangs_can_be_left() {
    let mut terminal = Terminal::start("stop");
    terminal.until("cs102");
    terminal.press("j\rs");
    terminal.until("hello");
    terminal.press("\r");
    terminal.until("got \\r");
    terminal.press("~.");
    terminal.until("shell ended");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn without_a_terminal_it_says_so() {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_actions, actions) = mpsc::channel(1);
    let (effects, _wishes) = mpsc::channel(1);
    let (_shells, shells) = mpsc::channel(1);
    let wires = Wires { actions, effects, shells, stop: CancellationToken::new() };
    let error = runtime.block_on(run(world(80, 24), Look::new(Depth::None, Glyphs::ASCII), wires)).unwrap_err();
    assert!(matches!(error, TuiError::NoTerminal(_)));
    assert!(error.to_string().contains("homeroom status"));
}
