//! An open terminal, or a command that was started: carries the caller's channels to the session's thread and wakes it.

use tokio::sync::mpsc;

use super::{failed, link::Link};
use crate::{
    domain::Clean,
    port::shell::{ShellError, ShellInput, ShellOutput, ShellSession, Tty},
};

/// Chunks of at most 16 KiB waiting on the way there.
const CHUNKS: usize = 32;
/// The same on each leg of the way back: few, as what waits there still comes after Ctrl-C.
const SHOWN: usize = 4;

pub(super) async fn open(
    link: Link,
    host: &str,
    tty: Option<&Tty>,
    command: Option<&str>,
) -> Result<ShellSession, ShellError> {
    let (to_thread, from_caller) = mpsc::channel(CHUNKS);
    let (to_caller, from_thread) = mpsc::channel(SHOWN);
    link.shell(tty, command, from_caller, to_caller).await.map_err(|mishap| failed(host, mishap))?;

    let (input, typed) = mpsc::channel(CHUNKS);
    let (shown, output) = mpsc::channel(SHOWN);
    let input_carried = tokio::spawn(carry_input(link.clone(), typed, to_thread));
    tokio::spawn(async move {
        carry_output(&link, from_thread, shown).await;
        // Whoever types without looking any more types for nobody; the connection ends with both.
        input_carried.abort();
        let _ = input_carried.await;
        link.wake();
    });
    Ok(ShellSession { input, output })
}

async fn carry_input(link: Link, mut typed: mpsc::Receiver<ShellInput>, thread: mpsc::Sender<ShellInput>) {
    loop {
        let input = tokio::select! {
            input = typed.recv() => input,
            () = thread.closed() => None,
        };
        let Some(input) = input else { return };
        if thread.send(input).await.is_err() {
            return;
        }
        link.wake();
    }
}

async fn carry_output(link: &Link, mut thread: mpsc::Receiver<ShellOutput>, shown: mpsc::Sender<ShellOutput>) {
    loop {
        let output = tokio::select! {
            output = thread.recv() => output,
            () = shown.closed() => break,
        };
        // The thread has room again.
        link.wake();
        let last = !matches!(output, Some(ShellOutput::Bytes(_) | ShellOutput::Stderr(_)));
        let output = output.unwrap_or_else(|| ShellOutput::Lost(Clean::new("the connection was closed")));
        if shown.send(output).await.is_err() || last {
            break;
        }
    }
    // Closed before the last wake, so that the thread sees it and closes the terminal.
    drop(thread);
    link.wake();
}
