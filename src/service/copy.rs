//! Files to and from seats.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::Instant,
};

use super::{
    Homeroom, ServiceError, Site,
    exec::{Bar, End},
    instance::Way,
    shell::{NoWay, Ways},
};
pub use crate::port::copy::{Copied, Direction, Transfer};
use crate::{
    domain::{Clean, LabName, SeatName},
    port::{copy::CopyError, shell::ShellTarget},
};

/// Stands for the seat's name in a path, here and there.
pub const SEAT: &str = "{seat}";

/// What is to be copied, for each seat alike.
#[derive(Debug, Clone)]
pub struct Order {
    /// `{seat}` in a path, here or there, is the seat's name.
    pub transfers: Vec<Transfer>,
    /// Seats at work at once.
    pub at_once: usize,
}

/// How it ended for one seat.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seat: SeatName,
    /// What was copied until then, whatever the end.
    pub copied: Copied,
    /// None when all of it went well.
    pub failure: Option<End>,
    /// Wall time.
    pub took: Duration,
}

impl Outcome {
    /// What stood before the login, if anything a person could do away with: nothing was copied then.
    pub fn bar(&self) -> Option<&Bar> {
        self.failure.as_ref().and_then(End::bar)
    }
}

/// A copy under way. Dropping `heard` ends it.
pub struct Running {
    /// Whose machines are logged in to; none for a workshop's.
    pub site: Option<Arc<Site>>,
    pub seats: Vec<SeatName>,
    pub heard: mpsc::Receiver<Outcome>,
}

/// Copies to one instance at once: each is a login, and all share its disk.
const ON_ONE_INSTANCE: usize = 4;

/// Where a seat's files are.
enum Place {
    /// Its address and host keys may have to be asked for first.
    Machine(Arc<Ways>),
    OnInstance(Way),
}

impl Place {
    /// Where to log in to, or how it ends where nobody knows.
    async fn target(&self, seat: &SeatName) -> Result<ShellTarget, End> {
        match self {
            Self::Machine(ways) => ways.target(seat).await.map_err(|why| why.end(&ways.class.name)),
            Self::OnInstance(way) => Ok(way.target.clone()),
        }
    }

    async fn copy(&self, target: &ShellTarget, transfer: &Transfer) -> Result<Copied, CopyError> {
        match self {
            Self::Machine(ways) => {
                let copied = ways.site.shell.copy(target, transfer).await;
                copied.map_err(|error| match error {
                    CopyError::Shell(error) => error.of_lab(&ways.class.name).into(),
                    other => other,
                })
            }
            Self::OnInstance(way) => way.copy(transfer).await,
        }
    }
}

/// Starts copying for the seats named, or for all of a lab.
pub async fn copy(home: &Homeroom, lab: &LabName, named: &[SeatName], order: Order) -> Result<Running, ServiceError> {
    if let Some(ways) = Way::all(home, lab, named).await? {
        let places = ways.into_iter().map(|(seat, way)| (seat, Place::OnInstance(way))).collect();
        let order = Order { at_once: order.at_once.min(ON_ONE_INSTANCE), ..order };
        return begin(None, places, &order);
    }
    let ways = Arc::new(Ways::of(home, lab).await?);
    let seats = ways.seats(named)?;
    if !ways.has_machines() {
        return Err(ServiceError::NotNow(format!("{lab} has no machines; `homeroom deploy {lab}` makes them")));
    }
    let places = seats.into_iter().map(|seat| (seat, Place::Machine(ways.clone()))).collect();
    begin(Some(ways.site.clone()), places, &order)
}

/// Each seat and where its files are.
type Places = Vec<(SeatName, Place)>;

fn begin(site: Option<Arc<Site>>, places: Places, order: &Order) -> Result<Running, ServiceError> {
    let seats: Vec<SeatName> = places.iter().map(|(seat, _)| seat.clone()).collect();
    if let Some(clash) = order.transfers.iter().find_map(clash).filter(|_| seats.len() > 1) {
        return Err(ServiceError::Refused(format!("{} seats would write to {clash}", seats.len())));
    }
    // What is not here is told once, before anybody is logged in to.
    for Transfer { local, .. } in order.transfers.iter().filter(|transfer| transfer.direction == Direction::Up) {
        if !local.to_string_lossy().contains(SEAT)
            && let Err(error) = std::fs::metadata(local)
        {
            let text = error.to_string();
            let why = text.split(" (os error").next().unwrap_or(&text);
            return Err(ServiceError::NotNow(format!("cannot read {}: {why}", local.display())));
        }
    }
    let (telling, heard) = mpsc::channel(16);
    let turns = Arc::new(Semaphore::new(order.at_once.max(1)));
    let mut all = JoinSet::new();
    for (seat, place) in places {
        let transfers: Vec<_> = order.transfers.iter().map(|transfer| of_seat(transfer, &seat)).collect();
        let (turns, telling) = (turns.clone(), telling.clone());
        all.spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            let outcome = one(seat, place, &transfers).await;
            let _ = telling.send(outcome).await;
        });
    }
    tokio::spawn(async move {
        tokio::select! {
            () = async { while all.join_next().await.is_some() {} } => {}
            () = telling.closed() => {}
        }
    });
    Ok(Running { site, seats, heard })
}

/// The place here that several seats would write to, and what tells them apart.
fn clash(transfer: &Transfer) -> Option<String> {
    let here = transfer.local.to_string_lossy();
    if transfer.direction == Direction::Up || here.contains(SEAT) {
        return None;
    }
    let name = transfer.remote.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let into_folder = transfer.local.is_dir() || here.ends_with('/');
    match (into_folder, name.contains(SEAT)) {
        // Each comes under its own name.
        (true, true) => None,
        (false, true) => Some(format!(
            "the one file or folder {here}; name a folder that is there, or end it with a slash, and each comes under \
             its own name; or put {SEAT} into it"
        )),
        (true, false) => {
            let sep = if here.ends_with('/') { "" } else { "/" };
            let name = if matches!(name, "" | "~" | ".") { "the name of the user's home" } else { name };
            Some(format!(
                "{here}{sep}{name}; put {SEAT} into the path here, which stands for the seat's name, as in '{here}{sep}{SEAT}/'"
            ))
        }
        (false, false) => Some(format!("{here}; put {SEAT} into the path, which stands for the seat's name")),
    }
}

fn of_seat(transfer: &Transfer, seat: &SeatName) -> Transfer {
    let remote = transfer.remote.replace(SEAT, seat.as_str());
    Transfer { local: named_for(&transfer.local, seat), remote, ..transfer.clone() }
}

fn named_for(path: &Path, seat: &SeatName) -> PathBuf {
    match path.to_str() {
        Some(text) => text.replace(SEAT, seat.as_str()).into(),
        None => path.to_owned(),
    }
}

async fn one(seat: SeatName, place: Place, transfers: &[Transfer]) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome { seat, copied: Copied::default(), failure: None, took: Duration::ZERO };
    let name = outcome.seat.clone();
    let going = async {
        let target = place.target(&name).await.map_err(|end| (end, true))?;
        for transfer in transfers {
            let copied = place.copy(&target, transfer).await.map_err(|error| match &error {
                CopyError::Shell(error) => (super::exec::failure(&target, error), error.is_passing()),
                _ => (End::Failed(Clean::new(error.to_string())), false),
            })?;
            outcome.copied.files += copied.files;
            outcome.copied.bytes += copied.bytes;
            outcome.copied.skipped.extend(copied.skipped);
            outcome.copied.failed.extend(copied.failed);
            outcome.copied.failures += copied.failures;
        }
        match partly(&outcome.copied) {
            Some(why) => Err((End::Failed(why), false)),
            None => Ok(()),
        }
    };
    let ended = match &place {
        Place::Machine(ways) => {
            let off = |why: NoWay| (why.end(&ways.class.name), false);
            ways.unless_off(&name, going, |(end, passing)| *passing && end.bar().is_none(), off).await
        }
        Place::OnInstance(_) => going.await,
    };
    outcome.failure = ended.err().map(|(end, _)| end);
    outcome.took = began.elapsed();
    outcome
}

/// Reasons that are told in full.
const REASONS: usize = 5;

/// What is said of a copy that left some files behind.
fn partly(copied: &Copied) -> Option<Clean> {
    let told = copied.failed.len().min(REASONS);
    let reasons = copied.failed[..told].iter().map(Clean::as_str).collect::<Vec<_>>().join("; ");
    let more = match copied.failures.saturating_sub(told as u64) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let (files, failures) = (copied.files, copied.failures);
    (failures > 0).then(|| Clean::new(format!("{files} copied, {failures} not: {reasons}{more}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn several_seats_write_to_one_place_only_where_nothing_tells_them_apart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().display().to_string();
        let clash = |remote: &str, local: &str| {
            let (local, remote) = (PathBuf::from(local), remote.to_owned());
            super::clash(&Transfer { direction: Direction::Down, local, remote, recursive: false })
        };
        for (remote, local) in
            [("notes", "{seat}.txt"), ("/tmp/{seat}.txt", folder.as_str()), ("of-{seat}/", "new/"), ("x", "a/{seat}/")]
        {
            assert_eq!(clash(remote, local), None, "{remote} {local}");
        }
        assert!(clash("/home/{seat}/work", &folder).unwrap().starts_with(&format!("{folder}/work; put {{seat}} into")));
        assert!(clash("notes-{seat}", "notes").unwrap().contains("name a folder that is there"));
        assert!(clash("notes", "notes").unwrap().contains("put {seat} into the path"));
        assert!(clash("~", "new/").unwrap().starts_with("new/the name of the user's home"));
    }

    #[test]
    fn the_seats_name_stands_in_paths_here_and_there_both_ways() {
        for direction in [Direction::Up, Direction::Down] {
            let (local, remote) = (PathBuf::from("out/{seat}.txt"), "/tmp/{seat}/{seat}.txt".to_owned());
            let transfer = Transfer { direction, local, remote, recursive: false };
            let own = of_seat(&transfer, &SeatName::new("ada").unwrap());
            assert_eq!((own.local.to_str().unwrap(), own.remote.as_str()), ("out/ada.txt", "/tmp/ada/ada.txt"));
        }
    }
}
