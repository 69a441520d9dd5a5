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
    shell::Ways,
};
pub use crate::port::copy::{Copied, Direction, Transfer};
use crate::{
    domain::{Clean, LabName, SeatName},
    port::{copy::CopyError, shell::ShellTarget},
};

/// Stands for the seat's name in a path on this computer.
pub const SEAT: &str = "{seat}";

/// What is to be copied, for each seat alike.
#[derive(Debug, Clone)]
pub struct Order {
    /// `{seat}` in a path here is the seat's name.
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
    pub site: Arc<Site>,
    pub seats: Vec<SeatName>,
    pub heard: mpsc::Receiver<Outcome>,
}

/// Starts copying for the seats named, or for all of a lab.
pub async fn copy(home: &Homeroom, lab: &LabName, named: &[SeatName], order: Order) -> Result<Running, ServiceError> {
    let ways = Ways::of(home, lab).await?;
    let seats = ways.seats(named)?;
    if !ways.has_machines() {
        return Err(ServiceError::NotNow(format!("{lab} has no machines; `homeroom deploy {lab}` makes them")));
    }
    let one_place = |transfer: &&Transfer| {
        transfer.direction == Direction::Down && !transfer.local.to_string_lossy().contains(SEAT)
    };
    if let Some(transfer) = order.transfers.iter().find(one_place).filter(|_| seats.len() > 1) {
        return Err(ServiceError::Refused(format!(
            "{} seats would write to {}; put {SEAT} into the path, which stands for the seat's name",
            seats.len(),
            transfer.local.display()
        )));
    }
    let (telling, heard) = mpsc::channel(16);
    let turns = Arc::new(Semaphore::new(order.at_once.max(1)));
    let mut all = JoinSet::new();
    for seat in &seats {
        let target = ways.target(seat).map_err(|error| Clean::new(error.to_string()));
        let transfers: Vec<_> = order.transfers.iter().map(|transfer| of_seat(transfer, seat)).collect();
        let (site, seat, turns, telling) = (ways.site.clone(), seat.clone(), turns.clone(), telling.clone());
        all.spawn(async move {
            let Ok(_turn) = turns.acquire().await else { return };
            let outcome = one(&site, seat, target, &transfers).await;
            let _ = telling.send(outcome).await;
        });
    }
    tokio::spawn(async move {
        tokio::select! {
            () = async { while all.join_next().await.is_some() {} } => {}
            () = telling.closed() => {}
        }
    });
    Ok(Running { site: ways.site, seats, heard })
}

fn of_seat(transfer: &Transfer, seat: &SeatName) -> Transfer {
    Transfer { local: named_for(&transfer.local, seat), ..transfer.clone() }
}

fn named_for(path: &Path, seat: &SeatName) -> PathBuf {
    match path.to_str() {
        Some(text) => text.replace(SEAT, seat.as_str()).into(),
        None => path.to_owned(),
    }
}

async fn one(site: &Site, seat: SeatName, target: Result<ShellTarget, Clean>, transfers: &[Transfer]) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome { seat, copied: Copied::default(), failure: None, took: Duration::ZERO };
    match target {
        Err(why) => outcome.failure = Some(End::Failed(why)),
        Ok(target) => {
            for transfer in transfers {
                match site.shell.copy(&target, transfer).await {
                    Ok(copied) => {
                        outcome.copied.files += copied.files;
                        outcome.copied.bytes += copied.bytes;
                        outcome.copied.skipped.extend(copied.skipped);
                    }
                    Err(error) => {
                        outcome.failure = Some(match &error {
                            CopyError::Shell(error) => super::exec::failure(&target, error),
                            _ => End::Failed(Clean::new(error.to_string())),
                        });
                        break;
                    }
                }
            }
        }
    }
    outcome.took = began.elapsed();
    outcome
}
