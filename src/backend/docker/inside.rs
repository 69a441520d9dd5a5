//! Commands and terminals inside containers, and what containers print.

use std::time::Duration;

use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
    query_parameters::LogsOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use crate::{
    domain::Clean,
    port::shell::{ShellInput, ShellOutput, ShellSession, Tty},
};

/// Pieces waiting in one direction.
const PIECES: usize = 32;
/// The most that comes in one piece, in bytes.
const PIECE: usize = 16 << 10;
/// Between looks for the exit status of a command whose output has ended, and how often: wall time.
const STATUS_EVERY: Duration = Duration::from_millis(50);
const STATUS_LOOKS: usize = 40;

/// Starts a command, in a terminal if one is given.
pub async fn open(docker: &Docker, id: &str, command: &[String], tty: Option<&Tty>) -> Result<ShellSession, Error> {
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(tty.is_some()),
        env: tty.map(environment),
        cmd: Some(command.to_vec()),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec(id, options).await?.id;
    let start = StartExecOptions { detach: false, tty: tty.is_some(), output_capacity: Some(PIECE) };
    let StartExecResults::Attached { output, input: mut to_command } = docker.start_exec(&exec, Some(start)).await?
    else {
        return Err(Error::IOError {
            err: std::io::Error::other("the command was started without a connection to it"),
        });
    };
    if let Some(tty) = tty {
        // It has begun; a terminal of another size is better than none.
        let _ = resize(docker, &exec, tty.size).await;
    }
    let (input, mut typed) = mpsc::channel(PIECES);
    let (shown, from_command) = mpsc::channel(PIECES);
    let docker = docker.clone();
    tokio::spawn(async move {
        let inward = async {
            while let Some(given) = typed.recv().await {
                let well = match given {
                    ShellInput::Bytes(bytes) => {
                        to_command.write_all(&bytes).await.is_ok() && to_command.flush().await.is_ok()
                    }
                    ShellInput::Resize(columns, rows) => {
                        let _ = resize(&docker, &exec, (columns, rows)).await;
                        true
                    }
                    ShellInput::Eof => to_command.shutdown().await.is_ok(),
                };
                if !well {
                    // What it last said is still on its way out.
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let outward = async {
            let mut output = output;
            let end = loop {
                let piece = match output.next().await {
                    Some(Ok(piece)) => piece,
                    Some(Err(error)) => break ShellOutput::Lost(Clean::new(error.to_string())),
                    None => break status(&docker, &exec).await,
                };
                if shown.send(said(piece)).await.is_err() {
                    return;
                }
            };
            let _ = shown.send(end).await;
        };
        tokio::select! {
            () = inward => {}
            () = outward => {}
            () = shown.closed() => {}
        }
    });
    Ok(ShellSession { input, output: from_command })
}

/// What a command in a terminal is told of it.
fn environment(tty: &Tty) -> Vec<String> {
    let colours = tty.colours.as_ref().map(|colours| format!("COLORTERM={colours}"));
    std::iter::once(format!("TERM={}", tty.term)).chain(colours).collect()
}

async fn resize(docker: &Docker, exec: &str, (width, height): (u16, u16)) -> Result<(), Error> {
    docker.resize_exec(exec, ResizeExecOptions { width, height }).await
}

fn said(piece: LogOutput) -> ShellOutput {
    match piece {
        LogOutput::StdErr { message } => ShellOutput::Stderr(message.to_vec()),
        LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
            ShellOutput::Bytes(message.to_vec())
        }
    }
}

/// The exit status of a command whose output has ended: the engine notes it a moment later.
async fn status(docker: &Docker, exec: &str) -> ShellOutput {
    for _ in 0..STATUS_LOOKS {
        match docker.inspect_exec(exec).await {
            Ok(seen) if seen.running == Some(true) => tokio::time::sleep(STATUS_EVERY).await,
            Ok(seen) => {
                let code = seen.exit_code.and_then(|code| i32::try_from(code).ok());
                return code.map_or_else(
                    || ShellOutput::Lost(Clean::new("the engine does not tell how it ended")),
                    ShellOutput::Exit,
                );
            }
            Err(error) => return ShellOutput::Lost(Clean::new(error.to_string())),
        }
    }
    ShellOutput::Lost(Clean::new("its output has ended, and it runs on"))
}

/// Tells what a container printed, and with `follow` what it prints until it ends.
pub async fn printed(
    docker: &Docker,
    id: &str,
    lines: u32,
    follow: bool,
    tell: mpsc::Sender<ShellOutput>,
) -> Result<(), Error> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).follow(follow).tail(&lines.to_string()).build();
    let mut pieces = docker.logs(id, Some(options));
    while let Some(piece) = pieces.try_next().await? {
        if tell.send(said(piece)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
