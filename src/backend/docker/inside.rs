//! Commands and terminals inside containers, and what containers print.

use std::{pin::Pin, time::Duration};

use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
    query_parameters::LogsOptionsBuilder,
};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::{bytes::Bytes, io::ReaderStream};

use super::{door::Door, raw};
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

/// Starts a command, in a terminal if one is given. `door` is the way to the engine.
pub async fn open(
    docker: &Docker,
    door: Option<&Door>,
    id: &str,
    command: &[String],
    tty: Option<&Tty>,
) -> Result<ShellSession, Error> {
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
    let (output, mut to_command): (Output, Input) = match door.filter(|_| tty.is_some()) {
        Some(door) => {
            let version = docker.client_version().to_string();
            let stream = raw::start(door, &version, &exec).await.map_err(|err| Error::IOError { err })?;
            let (output, input) = tokio::io::split(stream);
            let pieces =
                ReaderStream::with_capacity(output, PIECE).take_while(|piece| std::future::ready(!is_over(piece)));
            (Box::pin(pieces.map(shown_raw)), Box::pin(input))
        }
        None => {
            let start = StartExecOptions { detach: false, tty: tty.is_some(), output_capacity: Some(PIECE) };
            let StartExecResults::Attached { output, input } = docker.start_exec(&exec, Some(start)).await? else {
                return Err(Error::IOError {
                    err: std::io::Error::other("the command was started without a connection to it"),
                });
            };
            (Box::pin(output.map(|piece| piece.map(said))), input)
        }
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
                if shown.send(piece).await.is_err() {
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

/// What a command says, and where to type.
type Output = Pin<Box<dyn Stream<Item = Result<ShellOutput, Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// TLS that ends without a word of farewell has ended; how the command did, the engine tells.
fn is_over(piece: &std::io::Result<Bytes>) -> bool {
    matches!(piece, Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof)
}

fn shown_raw(piece: std::io::Result<Bytes>) -> Result<ShellOutput, Error> {
    piece.map(|bytes| ShellOutput::Bytes(bytes.to_vec())).map_err(|err| Error::IOError { err })
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
