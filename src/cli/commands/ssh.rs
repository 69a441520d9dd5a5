//! `ssh`: one command on a seat, by SSH or in a workshop's container. Its input, output and standard error pass
//! through byte for byte, as they come.

use std::{
    io::{self, ErrorKind, Read as _},
    sync::Arc,
    thread,
};

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
};

use super::{Context, exec::SETTLE};
use crate::{
    cli::{
        Stopper,
        ask::Asker,
        exit::{CliError, Exit},
    },
    domain::Clean,
    service::{
        RemoteShell, ServiceError, ShellInput, ShellOutput, ShellSession, Site,
        container::{Container, named},
        exec::line,
        inside::{Inside, words},
        instance::Way,
        shell,
    },
};

/// Standard input goes on in pieces of this size, in bytes.
const CHUNK: usize = 16 << 10;
/// The most that is gathered for `--json`, both streams together, in bytes.
const MOST_GATHERED: usize = 4 << 20;
/// How a program ends that writes to where nobody reads: 128 and SIGPIPE.
const NOBODY_READS: u8 = 141;

/// What was asked for on the command line.
pub struct Asked {
    pub what: String,
    /// Nothing is read from standard input.
    pub no_input: bool,
    pub command: Vec<String>,
}

/// `ssh LAB/SEAT -- CMD`, or `SITE/VMID` for a container: what the command prints, and its exit code.
pub async fn run(context: &Context, asked: Asked) -> Result<Exit, CliError> {
    let Begun { place, host, session: ShellSession { input, output }, shell } = match named(&asked.what) {
        Some((site, vmid)) => {
            let container = Container::of(&context.home, site, vmid).await?;
            let session = begun(context, &container.site, async || container.start(&asked.command).await).await?;
            let place = json!({"site": container.site.name, "vmid": vmid});
            Begun { place, host: asked.what.clone(), session, shell: Some(container.site.shell.clone()) }
        }
        None => in_seat(context, &asked).await?,
    };
    let mut stopper = Stopper::new()?;
    if asked.no_input {
        let _ = input.send(ShellInput::Eof).await;
    } else {
        feed(input).map_err(|source| CliError::Io { doing: "cannot read standard input".to_owned(), source })?;
    }
    if !context.out.json {
        let ended = tokio::select! {
            ended = pass_on(&host, output) => ended,
            () = stopper.stopped() => Ok(Exit::Interrupted),
        };
        if matches!(ended, Ok(Exit::Interrupted | Exit::Command(NOBODY_READS))) {
            left(shell).await;
        }
        return ended;
    }
    let gathered = tokio::select! {
        gathered = gather(&host, output) => gathered.map(Some),
        () = stopper.stopped() => Ok(None),
    };
    if !matches!(gathered, Ok(Some(_))) {
        left(shell).await;
    }
    let Some((code, stdout, stderr)) = gathered? else { return Ok(Exit::Interrupted) };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut object = place;
    object["code"] = json!(code);
    object["stdout"] = json!(text(stdout));
    object["stderr"] = json!(text(stderr));
    context.out.object(object);
    Ok(ended(code))
}

/// A command under way.
struct Begun {
    /// How it is told in JSON where it runs.
    place: Value,
    /// What the machine is called by.
    host: String,
    session: ShellSession,
    /// By whom its machine is logged in to; none where an engine runs it.
    shell: Option<Arc<dyn RemoteShell>>,
}

/// Sees to it that a command nobody waits for any more comes to its end.
async fn left(shell: Option<Arc<dyn RemoteShell>>) {
    if let Some(shell) = shell {
        shell.settle(SETTLE).await;
    }
}

/// Starts the command on a seat.
async fn in_seat(context: &Context, asked: &Asked) -> Result<Begun, CliError> {
    let (lab, seats) = context.lab_and_seats(std::slice::from_ref(&asked.what)).await?;
    let [seat] = seats.as_slice() else {
        return Err(CliError::Usage(format!("name a seat: homeroom ssh {lab}/SEAT")));
    };
    let place = json!({"lab": lab, "seat": seat});
    if let Some(inside) = Inside::of(&context.home, &lab).await? {
        let container = inside.running(seat)?;
        let session = inside.engine.containers.exec(&container.id, &words(&asked.command), None).await;
        let session = session.map_err(ServiceError::from)?;
        return Ok(Begun { place, host: container.name.to_string(), session, shell: None });
    }
    let line = line(&asked.command);
    if let Some(way) = Way::of(&context.home, &lab, seat).await? {
        let session = way.shell.start(&way.target, &way.line(&line)).await.map_err(ServiceError::from)?;
        return Ok(Begun { place, host: way.target.host, session, shell: Some(way.shell) });
    }
    let (_, site) = context.home.class(&lab).await?;
    // Already on the way to where it is, a node may show a key nobody trusted yet.
    let start = async || shell::start(&context.home, &lab, seat, &line).await;
    let (host, session) = begun(context, &site, start).await?;
    Ok(Begun { place, host, session, shell: Some(site.shell.clone()) })
}

/// Opens a session, as often as a person does away with what stands before it.
async fn begun<T>(
    context: &Context,
    site: &Site,
    start: impl AsyncFn() -> Result<T, ServiceError>,
) -> Result<T, CliError> {
    let mut asker = Asker::default();
    loop {
        match start().await {
            Ok(session) => return Ok(session),
            Err(ServiceError::Shell(error)) => match error.bar() {
                Some(bar) if !context.out.json && asker.lift(Some(site), &bar)? => {}
                _ => return Err(ServiceError::Shell(error).into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

/// The command's own exit code: 128 and the signal's number after a signal.
fn ended(code: i32) -> Exit {
    Exit::Command(u8::try_from(code).unwrap_or(u8::MAX))
}

fn lost(host: &str, why: impl AsRef<str>) -> CliError {
    CliError::Lost { host: host.to_owned(), why: Clean::new(why) }
}

/// Reads standard input on a thread of its own, which ends with the program: nobody waits for what is not typed.
fn feed(input: mpsc::Sender<ShellInput>) -> io::Result<()> {
    let reading = move || {
        let mut buffer = vec![0; CHUNK];
        loop {
            let given = match io::stdin().lock().read(&mut buffer) {
                Ok(n @ 1..) => ShellInput::Bytes(buffer[..n].to_vec()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Somebody before us left it so.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let _ = poll(&mut [PollFd::new(&io::stdin(), PollFlags::IN)], None);
                    continue;
                }
                Ok(_) | Err(_) => ShellInput::Eof,
            };
            let over = given == ShellInput::Eof;
            if input.blocking_send(given).is_err() || over {
                return;
            }
        }
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(reading).map(drop)
}

/// Both streams as they come. A reader that takes its time holds the command up; one that left ends it.
async fn pass_on(host: &str, mut output: mpsc::Receiver<ShellOutput>) -> Result<Exit, CliError> {
    let (mut out, mut err) = (tokio::io::stdout(), tokio::io::stderr());
    loop {
        match output.recv().await {
            Some(ShellOutput::Bytes(bytes)) => {
                if write(&mut out, &bytes).await.is_err() {
                    return Ok(Exit::Command(NOBODY_READS));
                }
            }
            // Where complaints cannot go, the command still does its work.
            Some(ShellOutput::Stderr(bytes)) => drop(write(&mut err, &bytes).await),
            Some(ShellOutput::Exit(code)) => return Ok(ended(code)),
            Some(ShellOutput::Lost(why)) => return Err(lost(host, why.as_str())),
            None => return Err(lost(host, "it was closed")),
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Both streams to their end, for the one object that is printed then.
async fn gather(host: &str, mut output: mpsc::Receiver<ShellOutput>) -> Result<(i32, Vec<u8>, Vec<u8>), CliError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        match output.recv().await {
            Some(ShellOutput::Bytes(bytes)) => stdout.extend(bytes),
            Some(ShellOutput::Stderr(bytes)) => stderr.extend(bytes),
            Some(ShellOutput::Exit(code)) => return Ok((code, stdout, stderr)),
            Some(ShellOutput::Lost(why)) => return Err(lost(host, why.as_str())),
            None => return Err(lost(host, "it was closed")),
        }
        if stdout.len() + stderr.len() > MOST_GATHERED {
            let most = MOST_GATHERED >> 20;
            return Err(CliError::Usage(format!(
                "{host}: the command printed more than the {most} MiB that one object holds; leave --json out"
            )));
        }
    }
}
