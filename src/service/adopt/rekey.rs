//! A new key for a lab whose old one is lost or known to others: made, and given to each machine through its agent.
//!
//! The old one is kept until no machine needs it, and both are offered at every login meanwhile: wherever this ends,
//! nobody is locked out, and asked for again it goes on with the same new key.

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use tokio_util::sync::CancellationToken;

use super::inside::{Account, Guest};
use crate::{
    deploy::{class::rekeyed, recorder::Entry},
    domain::{
        Change, LabName, Level, MachineState, Progress, SeatName, StepName, StepState,
        class::{ClassDefinition, SeatSpec, Via},
        cluster::ClusterView,
        progress::SeatProgress,
    },
    port::keys::Kept,
    service::{
        Homeroom, ServiceError, Site, journal,
        run::{agent_for, lock_for},
    },
};

/// Machines at work at once.
const AT_ONCE: usize = 4;

/// How it went for one seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rekeyed {
    pub seat: SeatName,
    /// Why it is not through: it has not got the new key, or lets the old one in too.
    pub outcome: Result<(), String>,
    /// The old key still logs in there, as far as its settings or what was done to it tell.
    pub old_logs_in: bool,
}

/// Makes a new key for the lab and gives it to every machine, in place of the old one. A machine that could not be
/// given it now (off, its agent silent, `stop` called before its turn) is named. The old key is kept and logs in there
/// until asking again has given the new one to the last of them. Where no machine can be given it, nothing is changed.
pub async fn rekey(home: &Homeroom, lab: &LabName, stop: &CancellationToken) -> Result<Vec<Rekeyed>, ServiceError> {
    let (mut class, site) = home.class(lab).await?;
    class.cloud_init.user.get_or_insert_with(|| site.rules.user.clone());
    let held = lock_for(home, lab, "renewal of its key").await?;
    let kept = home.keys.kept_key(lab).await?;
    let opens = matches!(kept, Kept::Pair(_));
    let (progress, _) = home.store.progress(lab).await?;
    let view = site.cluster.view().await?;
    if class.rollcall.via == Via::Ssh {
        site.know_nodes().await?;
    }
    let mut turns = turns(home, &site, &class, &progress, &view);
    let seats: Vec<SeatName> = turns.iter().map(|turn| turn.seat.clone()).collect();
    each(&mut turns, stop, Work::Look).await;
    // A key that is lost opens nothing: of that, the new one takes the place whoever gets it.
    if opens && !turns.is_empty() && turns.iter().all(|turn| turn.failed.is_some()) {
        return Err(nothing_changed(lab, &turns));
    }
    let pair = home.keys.begin_renewal(lab, &seats).await?;
    let (old, new) = (pair.old.as_deref(), pair.new.as_str());
    // A new instance of cloud-init, which this makes of each machine, makes host keys anew at its next boot.
    let now = home.clock.now();
    home.store.learn(&site.name, &[(rekeyed(lab), now.as_duration().as_secs_f64())], now).await?;
    each(&mut turns, stop, Work::Give { new }).await;
    if !opens || turns.is_empty() || turns.iter().any(|turn| turn.failed.is_none()) {
        home.keys.put_in_place(lab).await?;
    }
    // Those that have it are not left half-way, also where somebody calls it off.
    let never = CancellationToken::new();
    each(&mut turns, &never, Work::TakeOut { old, new }).await;
    let owed: Vec<SeatName> = turns.iter().filter(|turn| turn.failed.is_some()).map(|turn| turn.seat.clone()).collect();
    match owed.is_empty() {
        true => home.keys.end_renewal(lab).await?,
        false => home.keys.owe(lab, &owed).await?,
    }
    let told = no_longer_shut_out(&progress, &turns);
    if !told.is_empty() {
        journal::write(home, &*held, told).await?;
    }
    let olds: Vec<String> = match &kept {
        Kept::Pair(key) => key.publics().map(str::to_owned).filter(|public| public != new).collect(),
        Kept::Nothing | Kept::Damaged(_) => Vec::new(),
    };
    let mut rekeyed = Vec::new();
    for turn in turns {
        let old_logs_in = turn.lets_in(&olds).await;
        rekeyed.push(Rekeyed { seat: turn.seat, outcome: turn.failed.map_or(Ok(()), Err), old_logs_in });
    }
    Ok(rekeyed)
}

/// Lines for seats whose last roll call ended at a login: what it came to is of a key they did not have, and says nothing
/// any more.
fn no_longer_shut_out(progress: &Progress, turns: &[Turn<'_>]) -> Vec<Entry> {
    let shut_out = |seat: &SeatName| {
        let row = progress.seat(seat)?;
        let at_login = row.step(StepName::Ssh).is_some_and(|step| step.state == StepState::Failed);
        (at_login && row.state == MachineState::Failed).then_some(())
    };
    let given = turns.iter().filter(|turn| turn.given && shut_out(&turn.seat).is_some());
    let words = "was given the lab's new key, not proven since";
    given.map(|turn| Entry::seat(&turn.seat, Level::Info, words, Change::SeatStale)).collect()
}

/// A seat's machine, as far as it has come.
struct Turn<'a> {
    seat: SeatName,
    /// None where it is not to be seen.
    guest: Option<Guest<'a>>,
    account: Option<Account>,
    /// It has the new key.
    given: bool,
    /// Why it goes no further.
    failed: Option<String>,
}

/// One thing that is done to each machine.
#[derive(Clone, Copy)]
enum Work<'k> {
    Look,
    Give { new: &'k str },
    TakeOut { old: Option<&'k str>, new: &'k str },
}

impl Turn<'_> {
    async fn go(&mut self, work: Work<'_>) -> Result<(), String> {
        let Some(guest) = &self.guest else { return Ok(()) };
        match (work, &self.account) {
            (Work::Look, _) => self.account = Some(guest.look().await?),
            (Work::Give { new }, Some(account)) => {
                guest.give(account, new).await?;
                self.given = true;
            }
            (Work::TakeOut { old, new }, Some(account)) => {
                let out = guest.take_out(account, old, new).await;
                out.map_err(|why| format!("the old key is still in it, beside the new one: {why}"))?;
            }
            (_, None) => {}
        }
        Ok(())
    }

    /// Whether one that did not get through lets one of these keys in. What has the new key beside them has its settings
    /// written already; what never had any of ours never let one in.
    async fn lets_in(&self, olds: &[String]) -> bool {
        let Some(guest) = self.guest.as_ref().filter(|_| self.failed.is_some()) else { return false };
        !olds.is_empty() && (self.given || guest.has_one_of(olds).await)
    }
}

/// Has each machine that came so far do one thing more.
async fn each(turns: &mut [Turn<'_>], stop: &CancellationToken, work: Work<'_>) {
    let mut all: Vec<BoxFuture<'_, ()>> = Vec::new();
    for turn in turns.iter_mut().filter(|turn| turn.failed.is_none()) {
        let one = async move {
            let done = match stop.is_cancelled() {
                true => Err("it was called off before its turn".to_owned()),
                false => turn.go(work).await,
            };
            turn.failed = done.err();
        };
        all.push(one.boxed());
    }
    stream::iter(all).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// The machines that may have the lab's key: those of the definition in its order, and those it does not name any more.
fn turns<'a>(
    home: &'a Homeroom,
    site: &'a Site,
    class: &'a ClassDefinition,
    progress: &'a Progress,
    view: &ClusterView,
) -> Vec<Turn<'a>> {
    let specs = class.resolve();
    let stands = |row: &&SeatProgress| row.vmid.is_some() && row.state != MachineState::Gone;
    let defined = specs.iter().filter_map(|spec| progress.seat(&spec.seat)).filter(stands);
    let others = progress.seats.iter().filter(stands).filter(|row| !specs.iter().any(|spec| spec.seat == row.seat));
    let turn = |row: &SeatProgress| {
        let spec: Option<SeatSpec> = specs.iter().find(|spec| spec.seat == row.seat).cloned();
        let user = spec.as_ref().map_or(&class.cloud_init.user, |spec| &spec.cloud_init.user).clone();
        let seen = row.vmid.and_then(|vmid| Some((view.guest(vmid)?.node.clone(), vmid)));
        let guest = seen.map(|(node, vmid)| Guest {
            home,
            site,
            lab: &class.name,
            seat: row.seat.clone(),
            spec,
            user: user.unwrap_or_else(|| site.rules.user.clone()),
            agent: agent_for(site, class.rollcall.via),
            node,
            vmid,
        });
        let failed = match (&guest, row.vmid) {
            (None, Some(vmid)) => Some(format!("VM {vmid} is not among the machines that {} shows", site.name)),
            _ => None,
        };
        Turn { seat: row.seat.clone(), guest, account: None, given: false, failed }
    };
    defined.chain(others).map(turn).collect()
}

fn nothing_changed(lab: &LabName, turns: &[Turn<'_>]) -> ServiceError {
    let mut whys: Vec<(&str, Vec<&str>)> = Vec::new();
    for turn in turns {
        let why = turn.failed.as_deref().unwrap_or_default();
        match whys.iter_mut().find(|(known, _)| *known == why) {
            Some((_, seats)) => seats.push(turn.seat.as_str()),
            None => whys.push((why, vec![turn.seat.as_str()])),
        }
    }
    let whys: String = whys.iter().map(|(why, seats)| format!("\n  {}: {why}", seats.join(", "))).collect();
    ServiceError::NotNow(format!(
        "nothing was changed on {lab}: its key is renewed through the machines' guest agents, and none of them could be \
         asked:{whys}"
    ))
}
