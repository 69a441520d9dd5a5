//! A program in a pseudo-terminal, and what it shows.

use std::{
    io::{Read, Write},
    path::Path,
    sync::mpsc,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::Result;

/// How long a text may take to appear.
const PATIENCE: Duration = Duration::from_secs(120);
/// So long without output, a screen is whole.
const QUIET: Duration = Duration::from_millis(15);

pub struct Terminal {
    /// Closing it would hang the program up.
    _master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: mpsc::Receiver<Vec<u8>>,
    shown: vt100::Parser,
}

impl Terminal {
    /// Starts `program demo`, in real time, in a terminal of 256 colours.
    pub fn start(program: &Path, (columns, rows): (u16, u16)) -> Result<Self> {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(program);
        command.args(["demo", "--speed", "1"]);
        command.cwd(std::env::current_dir()?);
        for (name, value) in [("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("NO_COLOR", "")] {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command)?;
        let mut reader = pair.master.try_clone_reader()?;
        let (send, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        let keys = pair.master.take_writer()?;
        Ok(Self { _master: pair.master, keys, child, output, shown: vt100::Parser::new(rows, columns, 0) })
    }

    pub fn screen(&self) -> &vt100::Screen {
        self.shown.screen()
    }

    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes())?;
        Ok(self.keys.flush()?)
    }

    /// Waits until the screen is as wanted and drawn to its end.
    pub fn until(&mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.output.recv_timeout(QUIET) {
                Ok(bytes) => self.shown.process(&bytes),
                Err(mpsc::RecvTimeoutError::Timeout) if wanted(&self.screen().contents()) => return Ok(()),
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < end => {}
                Err(why) => {
                    return Err(format!("waited in vain ({why}); shown was:\n{}", self.screen().contents()).into());
                }
            }
        }
    }

    /// Leaves the dashboard, whatever is under way.
    pub fn leave(mut self) -> Result<()> {
        self.press("\x03\r")?;
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > end {
                self.child.kill()?;
                return Err("the program did not leave when asked to".into());
            }
            let _ = self.output.recv_timeout(QUIET);
        }
        Ok(())
    }
}
