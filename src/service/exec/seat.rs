//! One seat's part of a command on many: from its turn to its answer, whichever way leads to it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use super::{Answer, Bar, End, Heard, Order};
use crate::{
    domain::{Clean, NodeName, SeatName, Vmid},
    port::{
        GuestAgent,
        agent::AgentError,
        shell::{ShellError, ShellInput, ShellOutput, ShellSession, ShellTarget},
    },
    service::{
        EngineSite, ServiceError,
        container::Container,
        inside, instance,
        kept::Kept,
        meet::of_any,
        shell::{NoWay, Ways},
    },
};

/// What is told of a command that the guest agent was asked for and that ran out of time.
const STILL_RUNS: &str = "it may still be running there: a guest agent ends nothing it began\n";
/// Standard input goes to the seats in pieces of this size.
const CHUNK: usize = 16 << 10;

/// Where a seat's command runs.
pub(super) enum Place {
    /// Its address and host keys may have to be asked for first.
    Login,
    Machine(NodeName, Vmid),
    /// By its id.
    Container(String),
    /// Through its node.
    Attached(Container),
    /// Through the instance it is on.
    OnInstance(instance::Way),
}

impl Place {
    pub(super) fn machine((node, vmid): (NodeName, Vmid)) -> Self {
        Self::Machine(node, vmid)
    }
}

/// What reaches the seats.
pub(super) enum Hands {
    Site {
        ways: Box<Ways>,
        agent: Arc<dyn GuestAgent>,
    },
    Engine(Arc<EngineSite>),
    /// Each place knows its way.
    Own,
}

/// What the seats' tasks share.
pub(super) struct Work {
    pub(super) hands: Hands,
    pub(super) order: Order,
    pub(super) line: String,
    pub(super) turns: Semaphore,
    pub(super) telling: mpsc::Sender<Heard>,
}

/// One seat, from its turn to its answer.
pub(super) async fn one(work: Arc<Work>, seat: SeatName, place: Result<Place, Clean>) {
    let Ok(_turn) = work.turns.acquire().await else { return };
    let began = Instant::now();
    let mut answer = Answer {
        seat,
        by_agent: matches!(place, Ok(Place::Machine(..))),
        end: End::TimedOut(work.order.within),
        stdout: String::new(),
        stderr: String::new(),
        cut: false,
        took: Duration::ZERO,
    };
    match (place, &work.hands) {
        (Err(why), _) => answer.end = End::Failed(why),
        (Ok(Place::Login), Hands::Site { ways, .. }) => {
            let seat = answer.seat.clone();
            let going = async {
                let target = ways.target(&seat).await.map_err(|why| (why.end(&ways.class.name), true))?;
                let started = ways.site.shell.start(&target, &work.line).await;
                let error = |error: ShellError| error.of_lab(&ways.class.name);
                started.map_err(error).map_err(|error| (failure(&target, &error), error.is_passing()))
            };
            let starting = async {
                let off = |why: NoWay| (why.end(&ways.class.name), false);
                let passing = |(end, passing): &(End, bool)| *passing && end.bar().is_none();
                ways.unless_off(&seat, going, passing, off).await.map_err(|(end, _)| end)
            };
            by_session(&work, starting, &mut answer).await;
        }
        (Ok(Place::Machine(node, vmid)), Hands::Site { ways, agent }) => {
            // An agent runs commands as root.
            let asked = tokio::time::timeout(work.order.within, ways.agents_own(&answer.seat, (&node, vmid))).await;
            match asked {
                Ok(Ok(())) => {
                    let left = work.order.within.saturating_sub(began.elapsed());
                    by_agent(&work, agent, (&node, vmid), left, &mut answer).await;
                }
                Ok(Err(why)) => answer.end = End::Failed(why),
                Err(_) => {}
            }
            if matches!(answer.end, End::Failed(_))
                && let Some(why) = ways.is_off(&answer.seat).await
            {
                answer.end = why.end(&ways.class.name);
            }
        }
        (Ok(Place::Container(id)), Hands::Engine(engine)) => {
            let command = inside::words(&work.order.command);
            let starting = async {
                let started = engine.containers.exec(&id, &command, None).await;
                started.map_err(|error| End::Failed(Clean::new(error.to_string())))
            };
            by_session(&work, starting, &mut answer).await;
        }
        (Ok(Place::OnInstance(way)), Hands::Own) => {
            let starting = async {
                let started = way.shell.start(&way.target, &way.line(&work.line)).await;
                started.map_err(|error| failure(&way.target, &error))
            };
            by_session(&work, starting, &mut answer).await;
        }
        (Ok(Place::Attached(container)), Hands::Own) => {
            let starting = async {
                let started = container.start(&work.order.command).await;
                started.map_err(|error| match error {
                    ServiceError::Shell(error) => failure(&container.target, &error),
                    error => End::Failed(Clean::new(error.to_string())),
                })
            };
            by_session(&work, starting, &mut answer).await;
        }
        // The places of a lab are all of its own kind.
        _ => answer.end = End::Failed("there is no way to it".into()),
    }
    answer.took = began.elapsed();
    let _ = work.telling.send(Heard::Ended(answer)).await;
}

/// Through a session that is being opened: standard input in, and what comes out of it.
async fn by_session(work: &Work, starting: impl Future<Output = Result<ShellSession, End>>, answer: &mut Answer) {
    let seat = answer.seat.clone();
    let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
    let running = async {
        let mut session = starting.await?;
        let given = async {
            for chunk in work.order.input.chunks(CHUNK) {
                if session.input.send(ShellInput::Bytes(chunk.to_vec())).await.is_err() {
                    break;
                }
            }
            let _ = session.input.send(ShellInput::Eof).await;
            // What was said about it is still on its way.
            std::future::pending::<()>().await;
        };
        let said = async {
            loop {
                let (kept, is_error, bytes) = match session.output.recv().await {
                    Some(ShellOutput::Bytes(bytes)) => (&mut stdout, false, bytes),
                    Some(ShellOutput::Stderr(bytes)) => (&mut stderr, true, bytes),
                    Some(ShellOutput::Exit(code)) => return Ok(End::Exit(code)),
                    Some(ShellOutput::Lost(why)) => {
                        return Err(End::Failed(Clean::new(format!("the connection was lost: {why}"))));
                    }
                    None => return Err(End::Failed("the connection was lost".into())),
                };
                if let Some(bytes) = kept.keep(bytes) {
                    let piece = Heard::Piece { seat: seat.clone(), stderr: is_error, bytes };
                    let _ = work.telling.send(piece).await;
                }
            }
        };
        tokio::select! {
            end = said => end,
            () = given => Err(End::Failed("the connection was lost".into())),
        }
    };
    if let Ok(end) = tokio::time::timeout(work.order.within, running).await {
        answer.end = end.unwrap_or_else(|end| end);
    }
    answer.cut = stdout.cut || stderr.cut;
    answer.stdout = stdout.text();
    answer.stderr = stderr.text();
}

async fn by_agent(
    work: &Work,
    agent: &Arc<dyn GuestAgent>,
    (node, vmid): (&NodeName, Vmid),
    left: Duration,
    answer: &mut Answer,
) {
    let words = match work.order.command.as_slice() {
        [line] => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        words => words.to_vec(),
    };
    match agent.exec(node, vmid, &words, left).await {
        Ok(output) => {
            answer.end = match output.code {
                Some(code) => End::Exit(code),
                None if output.timed_out => End::TimedOut(work.order.within),
                None => End::Failed("ended by a signal".into()),
            };
            let mut kept = |text: String, stderr: bool| {
                let mut kept = Kept::default();
                let bytes = kept.keep(text.into_bytes()).unwrap_or_default();
                answer.cut |= kept.cut;
                (kept.text(), Heard::Piece { seat: answer.seat.clone(), stderr, bytes })
            };
            // In words that are the same on every seat.
            let stderr = if output.timed_out { STILL_RUNS.to_owned() } else { output.stderr };
            let (stdout, said) = kept(output.stdout, false);
            let (stderr, complained) = kept(stderr, true);
            (answer.stdout, answer.stderr) = (stdout, stderr);
            for piece in [said, complained] {
                let _ = work.telling.send(piece).await;
            }
        }
        Err(error) => {
            let words = of_any(&error.to_string(), node, vmid);
            answer.end = match error {
                AgentError::Shell(error) => barred(words, error.bar()),
                _ => End::Failed(words),
            };
        }
    }
}

/// An error without the seat's own address, so that seats with the same trouble fold.
pub(in crate::service) fn failure(target: &ShellTarget, error: &ShellError) -> End {
    let text = error.to_string();
    let words = text.strip_prefix(&format!("{}: ", target.host)).unwrap_or(&text);
    barred(Clean::new(words), error.bar())
}

/// How it ended that did not begin.
pub(in crate::service) fn barred(why: Clean, bar: Option<Bar>) -> End {
    match bar {
        Some(bar) => End::Barred(why, bar),
        None => End::Failed(why),
    }
}
