//! One command on many seats at once.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};

use super::{
    EngineSite, Homeroom, ServiceError, Site,
    container::{Container, Found},
    inside::{self, Inside},
    instance,
    kept::Kept,
    meet::of_any,
    run::agent_for,
    shell::Ways,
};
pub use crate::domain::answers::{Answer, Bar, Block, End, fold, shown};
use crate::{
    domain::{Clean, LabName, NodeName, SeatName, Vmid, class::Via},
    port::{
        GuestAgent, RemoteShell,
        agent::AgentError,
        shell::{ShellError, ShellInput, ShellOutput, ShellSession, ShellTarget},
    },
};

/// Pieces of output on their way to whoever reads.
const PIECES: usize = 64;
/// What is told of a command that the guest agent was asked for and that ran out of time.
const STILL_RUNS: &str = "it may still be running there: a guest agent ends nothing it began\n";
/// Standard input goes to the seats in pieces of this size.
const CHUNK: usize = 16 << 10;

/// How the command gets into a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By SSH, or by the agent where the definition says that there is no SSH (`rollcall.ssh = false`).
    Auto,
    Ssh,
    /// By the guest agent, as root, without standard input.
    Agent,
}

/// Logins to one instance at once: its SSH server turns others away while ten are not through.
const ON_ONE_INSTANCE: usize = 6;

/// What is to be run, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// One word is a line for the shell there; several are a command and its words.
    pub command: Vec<String>,
    /// Standard input of every seat's command.
    pub input: Arc<[u8]>,
    /// For each seat, the login included. Wall time; modelled time by way of the agent.
    pub within: Duration,
    /// Seats at work at once.
    pub at_once: usize,
    pub way: Way,
}

/// What is heard while it runs.
#[derive(Debug)]
pub enum Heard {
    /// A piece of standard output or standard error, as it came.
    Piece { seat: SeatName, stderr: bool, bytes: Vec<u8> },
    /// A seat's command has come to its end.
    Ended(Answer),
}

/// A command under way. Dropping `heard` gives it up on every seat.
pub struct Running {
    /// Whose machines are logged in to; none where the engine of a workshop runs the command.
    pub site: Option<Arc<Site>>,
    /// By whom they are logged in to; none where an engine runs the command.
    pub shell: Option<Arc<dyn RemoteShell>>,
    pub seats: Vec<SeatName>,
    /// Ends once every seat has answered.
    pub heard: mpsc::Receiver<Heard>,
}

/// Starts a command on the seats named, or on all of a lab. A seat that cannot be reached is one of the answers.
pub async fn exec(home: &Homeroom, lab: &LabName, named: &[SeatName], order: Order) -> Result<Running, ServiceError> {
    if let Some(inside) = Inside::of(home, lab).await? {
        return in_containers(&inside, named, order);
    }
    if let Some(ways) = instance::Way::all(home, lab, named).await? {
        return on_instance(lab, ways, order);
    }
    let ways = Ways::of(home, lab).await?;
    let seats = ways.seats(named)?;
    if !ways.has_machines() {
        return Err(ServiceError::NotNow(format!("{lab} has no machines; `homeroom deploy {lab}` makes them")));
    }
    let by_agent = match order.way {
        Way::Agent => true,
        Way::Ssh => false,
        Way::Auto => !ways.class.rollcall.ssh,
    };
    if by_agent && !order.input.is_empty() {
        return Err(ServiceError::NotNow(format!(
            "standard input cannot be given by way of the guest agent, and {lab} is reached by nothing else; \
             put what the command needs into the command"
        )));
    }
    let site = ways.site.clone();
    if by_agent && ways.class.rollcall.via == Via::Ssh {
        site.know_nodes().await?;
    }
    let place = |seat| if by_agent { ways.machine(seat).map(Place::machine) } else { Ok(Place::Login) };
    let place = |seat| place(seat).map_err(|why| why.folded(lab));
    let jobs = seats.iter().map(|seat| (seat.clone(), place(seat))).collect();
    let agent = agent_for(&site, ways.class.rollcall.via);
    Ok(begin(Hands::Site { agent, ways: Box::new(ways) }, Some(site), seats, jobs, order))
}

/// The same in the containers of a workshop: of all its seats where none is named.
fn in_containers(inside: &Inside, named: &[SeatName], order: Order) -> Result<Running, ServiceError> {
    if order.way != Way::Auto {
        return Err(ServiceError::NotNow(format!(
            "{} is a workshop: its engine runs the command in the seats' containers; leave --via out",
            inside.workshop.name
        )));
    }
    let mut seats = inside.rows(named)?;
    if named.is_empty() {
        // The proxy is no seat; it is asked by name.
        seats.retain(|seat| *seat != SeatName::host());
    }
    let place = |seat| inside.running(seat).map(|container| Place::Container(container.id.clone()));
    let lab = &inside.workshop.name;
    // In words that are the same for every seat with the same trouble.
    let told = |seat: &SeatName, error: ServiceError| {
        Clean::new(error.to_string().replace(&format!("{lab}/{seat}"), &format!("{lab}/SEAT")))
    };
    let jobs = seats.iter().map(|seat| (seat.clone(), place(seat).map_err(|error| told(seat, error)))).collect();
    Ok(begin(Hands::Engine(inside.engine.clone()), None, seats, jobs, order))
}

/// The same on a workshop's instance in a cloud, and in the containers there.
fn on_instance(lab: &LabName, ways: Vec<(SeatName, instance::Way)>, order: Order) -> Result<Running, ServiceError> {
    if order.way == Way::Agent {
        return Err(ServiceError::NotNow(format!(
            "{lab} is a workshop in a cloud: its instance is logged in to by SSH; leave --via out"
        )));
    }
    let seats = ways.iter().map(|(seat, _)| seat.clone()).collect();
    let shell = ways.first().map(|(_, way)| way.shell.clone());
    let jobs = ways.into_iter().map(|(seat, way)| (seat, Ok(Place::OnInstance(way)))).collect();
    let order = Order { at_once: order.at_once.min(ON_ONE_INSTANCE), ..order };
    Ok(Running { shell, ..begin(Hands::Own, None, seats, jobs, order) })
}

/// The same in LXC containers of one site, which are called `ct-VMID` in the answers.
pub fn in_lxc(site: Arc<Site>, containers: Vec<Found>, order: Order) -> Result<Running, ServiceError> {
    if order.way != Way::Auto {
        let text = "a container is entered by `pct` on its node; leave --via out";
        return Err(ServiceError::NotNow(text.to_owned()));
    }
    let jobs: Vec<Job> = containers
        .into_iter()
        .map(|(seat, container)| (seat, container.map(Place::Attached).map_err(|down| down.folded())))
        .collect();
    let seats = jobs.iter().map(|(seat, _)| seat.clone()).collect();
    Ok(begin(Hands::Own, Some(site), seats, jobs, order))
}

type Job = (SeatName, Result<Place, Clean>);

fn begin(hands: Hands, site: Option<Arc<Site>>, seats: Vec<SeatName>, jobs: Vec<Job>, order: Order) -> Running {
    let (telling, heard) = mpsc::channel(PIECES);
    let work = Arc::new(Work {
        hands,
        line: line(&order.command),
        turns: Semaphore::new(order.at_once.max(1)),
        order,
        telling,
    });
    tokio::spawn(async move {
        let mut all: JoinSet<()> = jobs.into_iter().map(|(seat, place)| one(work.clone(), seat, place)).collect();
        let telling = work.telling.clone();
        drop(work);
        // Nobody listens any more: what is under way is given up with its connections.
        tokio::select! {
            () = async { while all.join_next().await.is_some() {} } => {}
            () = telling.closed() => {}
        }
    });
    let shell = site.as_ref().map(|site| site.shell.clone());
    Running { site, shell, seats, heard }
}

/// Words as a line for a POSIX shell. One word is a line already, as OpenSSH has it.
pub fn line(command: &[String]) -> String {
    match command {
        [line] => line.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

/// A word as one POSIX shell word; plain ones stay as they are.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Where a seat's command runs.
enum Place {
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
    fn machine((node, vmid): (NodeName, Vmid)) -> Self {
        Self::Machine(node, vmid)
    }
}

/// What reaches the seats.
enum Hands {
    Site {
        ways: Box<Ways>,
        agent: Arc<dyn GuestAgent>,
    },
    Engine(Arc<EngineSite>),
    /// Each place knows its way.
    Own,
}

/// What the seats' tasks share.
struct Work {
    hands: Hands,
    order: Order,
    line: String,
    turns: Semaphore,
    telling: mpsc::Sender<Heard>,
}

/// One seat, from its turn to its answer.
async fn one(work: Arc<Work>, seat: SeatName, place: Result<Place, Clean>) {
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
            let starting = async {
                let target = ways.target(&seat).await.map_err(|why| why.end(&ways.class.name))?;
                ways.site.shell.start(&target, &work.line).await.map_err(|error| failure(&target, &error))
            };
            by_session(&work, starting, &mut answer).await;
        }
        (Ok(Place::Machine(node, vmid)), Hands::Site { ways, agent }) => {
            // An agent runs commands as root.
            match ways.ours(&answer.seat, (&node, vmid)).await {
                Ok(()) => by_agent(&work, agent, &node, vmid, &mut answer).await,
                Err(why) => answer.end = End::Failed(why),
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

async fn by_agent(work: &Work, agent: &Arc<dyn GuestAgent>, node: &NodeName, vmid: Vmid, answer: &mut Answer) {
    let words = match work.order.command.as_slice() {
        [line] => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        words => words.to_vec(),
    };
    let within = work.order.within;
    match agent.exec(node, vmid, &words, within).await {
        Ok(output) => {
            answer.end = match output.code {
                Some(code) => End::Exit(code),
                None if output.timed_out => End::TimedOut(within),
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
pub(super) fn failure(target: &ShellTarget, error: &ShellError) -> End {
    let text = error.to_string();
    let words = text.strip_prefix(&format!("{}: ", target.host)).unwrap_or(&text);
    barred(Clean::new(words), error.bar())
}

/// How it ended that did not begin.
pub(super) fn barred(why: Clean, bar: Option<Bar>) -> End {
    match bar {
        Some(bar) => End::Barred(why, bar),
        None => End::Failed(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_words_are_a_command_and_one_is_a_line() {
        let words = |words: &[&str]| line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["echo $HOME; exit 3"]), "echo $HOME; exit 3");
        assert_eq!(words(&["echo", "a  b", "", "it's"]), r"echo 'a  b' '' 'it'\''s'");
    }
}
