//! One command on many seats at once.

mod seat;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use self::seat::{Hands, Place, Work, one};
pub(super) use self::seat::{barred, failure};
use super::{Homeroom, ServiceError, Site, container::Found, inside::Inside, instance, run::agent_for, shell::Ways};
pub use crate::domain::answers::{Answer, Bar, Block, End, fold, shown};
use crate::{
    domain::{Clean, LabName, SeatName, engine::ContainerView},
    port::RemoteShell,
};

/// Pieces of output on their way to whoever reads.
const PIECES: usize = 64;

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
    // Where the seats are may have to be asked for: that is part of a seat's time.
    let within = order.within;
    let begun = tokio::time::timeout(within, found(home, lab, named, order)).await;
    begun.unwrap_or_else(|_| {
        let within = within.as_secs_f64();
        Err(ServiceError::NotNow(format!(
            "{lab}: its site did not tell within {within} s where the seats are; nothing was run"
        )))
    })
}

async fn found(home: &Homeroom, lab: &LabName, named: &[SeatName], order: Order) -> Result<Running, ServiceError> {
    if let Some(inside) = Inside::of(home, lab).await? {
        return in_containers(&inside, named, order);
    }
    if let Some(ways) = instance::Way::all(home, lab, named).await? {
        return on_instance(lab, ways, order);
    }
    let by_agent = match order.way {
        Way::Agent => true,
        Way::Ssh => false,
        Way::Auto => !home.class(lab).await?.0.rollcall.ssh,
    };
    let ways = if by_agent { Ways::by_agent(home, lab).await? } else { Ways::of(home, lab).await? };
    let seats = ways.seats(named)?;
    if !ways.has_machines() {
        return Err(ServiceError::NotNow(format!("{lab} has no machines; `homeroom deploy {lab}` makes them")));
    }
    if by_agent && !order.input.is_empty() {
        return Err(ServiceError::NotNow(format!(
            "standard input cannot be given by way of the guest agent, and {lab} is reached by nothing else; \
             put what the command needs into the command"
        )));
    }
    let site = ways.site.clone();
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
        // The proxy is no seat; it is asked by name. Nor is anybody where nobody has come.
        seats.retain(|seat| *seat != SeatName::host() && !inside.is_nobodys(seat));
        if seats.is_empty() {
            let lab = &inside.workshop.name;
            return Err(ServiceError::NotNow(format!("nobody has a seat of {lab} yet: they are made as people join")));
        }
    }
    let places: Vec<_> = seats.iter().map(|seat| (seat, inside.running(seat))).collect();
    let lab = &inside.workshop.name;
    // In words that are the same for every seat with the same trouble.
    let alike = |seat: &SeatName, error: &ServiceError| {
        let (own, words) = (format!("{lab}/{seat}"), error.to_string());
        let each = words.strip_prefix(&format!("{own} ")).map(|rest| format!("each {rest}"));
        each.unwrap_or(words).replace(&own, &format!("{lab}/SEAT"))
    };
    let troubles: Vec<String> =
        places.iter().filter_map(|(seat, place)| Some(alike(seat, place.as_ref().err()?))).collect();
    let told = |seat: &SeatName, error: ServiceError| {
        let words = alike(seat, &error);
        let several = troubles.iter().filter(|other| **other == words).count() > 1;
        Clean::new(if several { words } else { error.to_string() })
    };
    let place = |container: &ContainerView| Place::Container(container.id.clone());
    let jobs = places.into_iter().map(|(seat, found)| (seat.clone(), found.map(place).map_err(|e| told(seat, e))));
    let jobs = jobs.collect();
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
