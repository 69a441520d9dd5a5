//! `qm terminal`: a guest's serial port in the terminal one has on its node, with the login that waits there.

use std::time::Duration;

use super::{
    Console, Exit, Said,
    terminal::{Key, Terminal},
};

/// Ctrl-O, which socat takes for itself.
pub(super) const LEAVE: u8 = 0x0f;
/// Between looks whether the guest still runs.
const LOOK: Duration = Duration::from_secs(1);

/// What was typed at a question.
enum Answer {
    Line(String),
    /// Ctrl-O, or the client left.
    Left,
    /// The guest went away.
    Gone,
}

/// Runs until Ctrl-O, or the guest ends.
pub(super) async fn serial(terminal: &mut Terminal<'_>, console: Box<dyn Console>) -> Said {
    terminal.show(b"starting serial terminal on interface serial0 (press Ctrl+O to exit)\n").await;
    let mut first = true;
    loop {
        // What was printed before anybody listened is gone: the first Enter brings the question back.
        if first {
            match ask(terminal, &*console, "", false).await {
                Answer::Line(_) => {}
                Answer::Left | Answer::Gone => return Said::default(),
            }
            first = false;
        }
        let (issue, host) = console.issue();
        terminal.show(format!("\n{issue} {host} ttyS0\n\n").as_bytes()).await;
        let user = match ask(terminal, &*console, &format!("{host} login: "), true).await {
            Answer::Line(user) if user.is_empty() => continue,
            Answer::Line(user) => user,
            Answer::Left | Answer::Gone => return Said::default(),
        };
        let password = match ask(terminal, &*console, "Password: ", false).await {
            Answer::Line(password) => password,
            Answer::Left | Answer::Gone => return Said::default(),
        };
        match console.login(&user, &password) {
            Some(mut place) => {
                if terminal.within(&mut *place).await {
                    return Said { exit: Exit::Code(0), ..Said::default() };
                }
            }
            None => terminal.show(b"\nLogin incorrect\n").await,
        }
    }
}

async fn ask(terminal: &mut Terminal<'_>, console: &dyn Console, question: &str, echo: bool) -> Answer {
    terminal.show(question.as_bytes()).await;
    let mut line = Vec::new();
    loop {
        match terminal.key(Some(LOOK)).await {
            Key::Byte(LEAVE) | Key::End => return Answer::Left,
            Key::Byte(b'\r' | b'\n') => {
                terminal.show(b"\n").await;
                return Answer::Line(String::from_utf8_lossy(&line).into_owned());
            }
            Key::Byte(0x08 | 0x7f) => {
                if line.pop().is_some() && echo {
                    terminal.show_raw(b"\x08 \x08").await;
                }
            }
            Key::Byte(byte) if byte >= b' ' => {
                line.push(byte);
                if echo {
                    terminal.show_raw(&[byte]).await;
                }
            }
            Key::Time if !console.is_there() => return Answer::Gone,
            Key::Byte(_) | Key::Resized | Key::Time => {}
        }
    }
}
