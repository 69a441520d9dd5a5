//! Runs without a terminal: `--detach` starts the same command again in a session of its own, which no hang-up
//! reaches, and leaves as soon as that one has its run under way.
//!
//! The one that was started prints its answer into a pipe and ends it with [`HANDED_OVER`]; from then on it writes
//! nowhere but the journal and the log. Without that byte it has refused or had nothing to do, and its end is the
//! answer.

use std::{
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncReadExt, process::Command};

use super::exit::{CliError, Exit};
use crate::domain::RunId;

/// The flag by which the one that was started knows what it is. Not for people.
pub const FLAG: &str = "--detached";
/// Ends the answer of one that goes on by itself: a byte no answer has.
const HANDED_OVER: u8 = 6;

/// In the one that was started, before anything else: away from the terminal.
pub fn begin_session() -> Result<(), CliError> {
    let io = |source: rustix::io::Errno| CliError::Io {
        doing: "cannot leave the terminal".to_owned(),
        source: source.into(),
    };
    rustix::process::setsid().map(drop).map_err(io)
}

/// Starts this command again, detached, and waits for its answer.
pub async fn start_again() -> Result<Exit, CliError> {
    let io = |source| CliError::Io { doing: "cannot start homeroom once more".to_owned(), source };
    let words: Vec<OsString> = std::env::args_os().skip(1).filter(|word| word != "--detach").collect();
    let mut child = Command::new(own_program().map_err(io)?)
        .arg(FLAG)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let mut answer = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_end(&mut answer).await.map_err(io)?;
    }
    let handed_over = answer.pop_if(|last| *last == HANDED_OVER).is_some();
    // Whoever reads may have gone; the run goes on all the same.
    let _ = std::io::stdout().write_all(&answer);
    let _ = std::io::stdout().flush();
    if handed_over {
        return Ok(Exit::Done);
    }
    let status = child.wait().await.map_err(io)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(Exit::Failed, Exit::Command))
}

/// Starts one that goes on with a run of the dashboard that this is, as soon as the dashboard lets it go. Nothing it
/// says is heard; what it does stands in the journal.
pub fn carry_on(run: RunId) -> std::io::Result<()> {
    let mut command = std::process::Command::new(own_program()?);
    // Whatever the dashboard was started with: which configuration, how loud.
    command.arg(FLAG).args(std::env::args_os().skip(1));
    command.args(["resume", "--once-free", "--run", &run.to_string()]);
    // Its end is nobody's to wait for: either it outlives this process, or this process is stopped.
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    // Until it has a session of its own, what stops this one's processes stops it too.
    let pid = rustix::process::Pid::from_child(&child);
    for _ in 0..LOOKS.0 {
        if rustix::process::getsid(Some(pid)).is_ok_and(|session| session == pid) {
            break;
        }
        std::thread::sleep(LOOKS.1);
    }
    Ok(())
}

/// Looks whether a process that was started has a session of its own, and the wait between two.
const LOOKS: (u32, Duration) = (1000, Duration::from_millis(2));

/// The running program itself, even if another has been installed in its place.
fn own_program() -> std::io::Result<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Ok(own.to_owned()) } else { std::env::current_exe() }
}

/// In the one that was started: the answer is out, and nothing more will be said here.
pub fn let_go() -> Result<(), CliError> {
    let io = |source| CliError::Io { doing: "cannot let go of the terminal".to_owned(), source };
    let nowhere = std::fs::File::options().write(true).open("/dev/null").map_err(io)?;
    {
        let mut out = std::io::stdout().lock();
        // Whoever waited may have been interrupted.
        let _ = out.write_all(&[HANDED_OVER]).and_then(|()| out.flush());
    }
    rustix::stdio::dup2_stdout(&nowhere).map_err(|e| io(e.into()))?;
    rustix::stdio::dup2_stderr(&nowhere).map_err(|e| io(e.into()))
}
