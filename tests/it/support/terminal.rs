//! A pseudo-terminal with a program in it, and what it shows. Waiting is for what the screen says, never for time.

use std::{
    io::{Read, Write},
    sync::mpsc,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// Wall time after which what is waited for will not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pseudo-terminal and what it shows. The program in it is killed when this is dropped.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: mpsc::Receiver<Vec<u8>>,
    pub shown: vt100::Parser,
    /// Everything written so far.
    pub raw: Vec<u8>,
    /// Its modes before the program began.
    modes: String,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows.
    pub fn start(command: CommandBuilder, size: (u16, u16)) -> Self {
        Self::start_as(command, size, "xterm-256color")
    }

    /// The same in a terminal that calls itself so.
    pub fn start_as(mut command: CommandBuilder, (cols, rows): (u16, u16), term: &str) -> Self {
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let modes = modes(&*pair.master);
        command.env("TERM", term);
        command.env("RUST_BACKTRACE", "0");
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (send, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let shown = vt100::Parser::new(rows, cols, 0);
        Self { master: pair.master, keys, child, output, shown, raw: Vec::new(), modes }
    }

    /// The program's process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().cast_signed();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// What the program holds in memory, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.process_id().unwrap())).unwrap();
        let kib =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap() << 10
    }

    pub fn press(&mut self, keys: impl AsRef<[u8]>) {
        self.keys.write_all(keys.as_ref()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.master.resize(PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }).unwrap();
        self.shown.screen_mut().set_size(rows, columns);
    }

    /// What the screen shows, line by line.
    pub fn text(&self) -> String {
        self.shown.screen().contents()
    }

    /// The screen's first line that speaks of `what`; empty when none does.
    pub fn row(&self, what: &str) -> String {
        self.text().lines().find(|line| line.contains(what)).unwrap_or_default().to_owned()
    }

    /// Reads until the screen shows the text.
    #[track_caller]
    pub fn until(&mut self, wanted: &str) {
        self.until_met(wanted, |terminal| terminal.text().contains(wanted));
    }

    /// Reads until the screen does not show the text any more.
    #[track_caller]
    pub fn until_gone(&mut self, unwanted: &str) {
        self.until_met(&format!("the end of {unwanted}"), |terminal| !terminal.text().contains(unwanted));
    }

    /// Reads until a line that speaks of `what` says `words` too, however wide the columns are.
    #[track_caller]
    pub fn until_row(&mut self, what: &str, words: &str) {
        self.until_met(&format!("{what} … {words}"), |terminal| {
            let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            terminal.text().lines().any(|line| line.contains(what) && squeezed(line).contains(words))
        });
    }

    /// Reads until a condition holds, looking after each piece that was written, but never at half a frame.
    #[track_caller]
    pub fn until_met(&mut self, what: &str, mut met: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_mid_frame() || !met(self) {
            // The clock goes on writing: what counts is the whole wait.
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.output.recv_timeout(left) else {
                panic!("{what:?} never came; shown was:\n{}", self.text());
            };
            self.take_in(&bytes);
        }
    }

    /// Whether a frame was begun and not ended yet.
    fn is_mid_frame(&self) -> bool {
        let last = |mark: &[u8]| self.raw.windows(mark.len()).rposition(|window| window == mark);
        last(b"\x1b[?2026h") > last(b"\x1b[?2026l")
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.shown.process(bytes);
        self.raw.extend_from_slice(bytes);
    }

    /// Reads until the screen is the program's own: the cursor is hidden last.
    #[track_caller]
    pub fn until_taken_over(&mut self) {
        self.until_met("a terminal taken over", |terminal| {
            let screen = terminal.shown.screen();
            screen.alternate_screen() && screen.hide_cursor() && screen.bracketed_paste()
        });
    }

    /// Reads until the terminal is asked to tell so much of the mouse.
    #[track_caller]
    pub fn until_mouse(&mut self, mode: vt100::MouseProtocolMode) {
        self.until_met("another word about the mouse", |terminal| {
            terminal.shown.screen().mouse_protocol_mode() == mode
        });
    }

    /// Reads until the second screen was opened so many times.
    #[track_caller]
    pub fn until_taken(&mut self, times: usize) {
        let opened = |raw: &[u8]| raw.windows(8).filter(|window| window == b"\x1b[?1049h").count();
        self.until_met("the second screen again", |terminal| opened(&terminal.raw) >= times);
    }

    /// Reads until the program has ended, and looks whether the terminal is as it was; the exit code.
    #[track_caller]
    pub fn assert_given_back(&mut self) -> u32 {
        let status = self.child.wait().unwrap();
        while let Ok(bytes) = self.output.recv_timeout(PATIENCE) {
            self.take_in(&bytes);
        }
        let screen = self.shown.screen();
        assert!(!screen.alternate_screen(), "still on the second screen");
        assert!(!screen.bracketed_paste(), "still marks what is pasted");
        assert!(!screen.hide_cursor(), "the cursor is still hidden");
        assert!(!screen.application_cursor() && !screen.application_keypad(), "keys are still sent otherwise");
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert_eq!(screen.fgcolor(), vt100::Color::Default);
        let modes = modes(&*self.master);
        assert!(modes.contains("ICANON") && modes.contains("ECHO"), "still raw: {modes}");
        assert_eq!(modes, self.modes, "modes were left otherwise");
        status.exit_code()
    }
}

/// How the terminal treats what goes in and out.
fn modes(master: &dyn MasterPty) -> String {
    let modes = master.get_termios().unwrap();
    format!("{:?} {:?} {:?} {:?}", modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags)
}
