//! `destroy`: the machine goes. Its mark is read again right before; without it nothing is touched.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    clone::is_lock_timeout,
    dead::{Half, STILL_COPYING, clear, half_cloned},
    rest::{Rest, rest},
    seat::{Facts, Seat},
    site::{OVERDUE, Site},
};
use crate::{
    deploy::step::{Action, Check, StepContext, StepError},
    domain::{
        Change, Clean, Level, NodeName, Vmid,
        mark::{Ownership, ownership},
    },
    port::{
        SiteError,
        cluster::{GuestConfig, PowerAction, TaskState},
    },
};

pub struct Destroy {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
}

/// A clone that was asked for has appeared after this long, or never will: Proxmox gives a silent connection up
/// after 30 s, and a clone's worker waits a second for its locks.
const LATEST_CLONE: Duration = Duration::from_secs(45);
/// A clone that still copies is waited for this long before the machine is removed: modelled time.
const LONGEST_COPY: Duration = Duration::from_secs(3600);

/// Whose the machine at the seat's VMID is, and where it lies now.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    Nothing,
    Ours,
    /// Ours, and a removal has locked it: its worker is at it, or died. How it is known to be ours.
    HalfGone(Clean),
    /// In the middle of a clone of ours: no mark yet, and not to be touched until it ends.
    Cloning,
}

/// Reads the mark of the seat's machine; an error unless the machine is ours or not there.
pub async fn standing(site: &Site, seat: &Seat, context: &StepContext) -> Result<Standing, StepError> {
    let facts = seat.facts();
    let view = site.look().await?;
    let Some(guest) = view.guest(facts.vmid) else {
        return match view.node(&facts.node) {
            Some(node) if !node.online => Err(StepError::fatal(format!(
                "{} is offline: whether VM {} is still there cannot be seen; bring the node back, then destroy again",
                facts.node, facts.vmid
            ))),
            _ => not_listed(site, seat).await,
        };
    };
    let config = match site.cluster.config(&guest.node, guest.vmid).await {
        Ok(config) => config,
        Err(SiteError::Missing { .. }) => return Ok(Standing::Nothing),
        Err(error) => return Err(error.into()),
    };
    let owner = ownership(&site.store, guest.vmid, guest.template, &config.description);
    let ours = matches!(&owner, Ownership::Ours(mark) if seat.is_marked_by(mark, &site.lab));
    let is_hollow = owner == Ownership::Foreign && config.get("name").is_none();
    if config.get("lock") == Some("destroyed") && (ours || is_hollow) {
        let standing = half_gone(site, seat, context, (&guest.node, guest.vmid), &config, ours).await?;
        seat.learn(|facts| facts.node = guest.node.clone());
        return Ok(standing);
    }
    match owner {
        _ if ours => {
            seat.learn(|facts| facts.node = guest.node.clone());
            Ok(Standing::Ours)
        }
        _ if config.get("lock") == Some("clone") => Ok(Standing::Cloning),
        _ => Err(StepError::fatal(format!(
            "VM {} on {} does not carry the mark of {}/{}: it is not ours and is left alone",
            guest.vmid,
            guest.node,
            site.lab,
            seat.name()
        ))),
    }
}

/// What stands under the lock of a removal; an error unless it is proven to be the rest of the seat's machine.
async fn half_gone(
    site: &Site,
    seat: &Seat,
    context: &StepContext,
    (node, vmid): (&NodeName, Vmid),
    config: &GuestConfig,
    ours: bool,
) -> Result<Standing, StepError> {
    let progress = context.recorder.progress();
    let removal = progress.seat(seat.name()).and_then(|row| row.removal.as_ref());
    match rest(&*site.cluster, removal, node, vmid, config, ours).await? {
        Rest::Ours(known) => Ok(Standing::HalfGone(known)),
        Rest::Gone => Ok(Standing::Nothing),
        Rest::Whole => Ok(Standing::Ours),
        Rest::Unproven(why) => Err(StepError::fatal(format!(
            "VM {vmid} on {node} is half removed (lock: destroyed), shows no mark any more and is left alone, because \
             {why}; if nobody is removing it and nobody needs it, run `qm unlock {vmid} && qm destroy {vmid}` on {node}, \
             then try again"
        ))),
    }
}

/// A machine nobody lists is gone only if its configuration is: a token may not see all there is.
async fn not_listed(site: &Site, seat: &Seat) -> Result<Standing, StepError> {
    let facts = seat.facts();
    match site.cluster.config(&facts.node, facts.vmid).await {
        Err(SiteError::Missing { .. }) => Ok(Standing::Nothing),
        Ok(_) => Err(StepError::Unreachable(Clean::new(format!("VM {} is there but not listed yet", facts.vmid)))),
        Err(error) => Err(error.into()),
    }
}

/// An error unless the machine carries this seat's mark now.
pub async fn prove_ours(site: &Site, seat: &Seat, context: &StepContext) -> Result<(), StepError> {
    match standing(site, seat, context).await? {
        Standing::Ours | Standing::HalfGone(_) => Ok(()),
        Standing::Nothing => Err(StepError::fatal("the machine is no longer there")),
        Standing::Cloning => Err(StepError::Locked(Clean::new("the machine is still being cloned"))),
    }
}

/// Whether the removal of the seat's half removed machine is at work, or has just ended. Otherwise its worker
/// died, and what it left is removed here; `known`: how it is known to be ours.
pub async fn removal_goes_on(site: &Site, seat: &Seat, context: &StepContext, known: Clean) -> Result<(), StepError> {
    let facts = seat.facts();
    let running = site.tasks.running(&facts.node, site.clock.monotonic()).await?;
    let id = facts.vmid.to_string();
    if running.iter().any(|task| task.kind.as_str() == "qmdestroy" && task.id.as_str() == id) {
        return Ok(());
    }
    // It may have ended between the two reads.
    let lock = site.look().await?.guest(facts.vmid).and_then(|guest| guest.lock.clone());
    if lock.is_none_or(|lock| lock.as_str() != "destroyed") {
        return Ok(());
    }
    let known = Ok(Clean::new(format!("{known}, and no removal of it is at work")));
    clear(site, seat, context, &facts.node, ("removal", known)).await.map(drop)
}

#[async_trait]
impl Action for Destroy {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        let waiting_since = self.site.clock.monotonic();
        let late = may_be_late(&self.site, &self.seat);
        let mut told = false;
        loop {
            let waited = self.site.clock.monotonic().saturating_sub(waiting_since);
            match standing(&self.site, &self.seat, context).await? {
                Standing::Nothing if late.is_some_and(|late| waited < late) => {
                    if !told {
                        let line = "a clone of it was asked for and not seen to end; looking whether it still comes";
                        context.note(Level::Info, line).await?;
                        told = true;
                    }
                    context.sleep(self.site.tuning.task_poll * 3).await?;
                }
                Standing::Nothing => {
                    tell_leftovers(&self.site, &self.seat, context, &self.seat.facts().node).await?;
                    return Ok(Check::Done("already gone".to_owned()));
                }
                Standing::Ours => return Ok(Check::Needed),
                Standing::HalfGone(known) => {
                    removal_goes_on(&self.site, &self.seat, context, known).await?;
                    context.sleep(self.site.tuning.task_poll).await?;
                }
                Standing::Cloning => {
                    if let Some(words) = self.clear_dead_clone(context, &mut told).await? {
                        return Ok(Check::Done(words));
                    }
                    if self.site.clock.monotonic().saturating_sub(waiting_since) > LONGEST_COPY {
                        let facts = self.seat.facts();
                        return Err(StepError::fatal(format!(
                            "VM {id} on {node} has been locked by a clone for {} min; look at the tasks of {node}, then \
                             destroy again",
                            LONGEST_COPY.as_secs() / 60,
                            id = facts.vmid,
                            node = facts.node
                        )));
                    }
                    context.sleep(self.site.tuning.task_poll).await?;
                }
            }
        }
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let facts = self.seat.facts();
        if context.attempt > 1 {
            self.is_off(context).await?;
        }
        let answer = tokio::select! {
            biased;
            answer = self.site.cluster.remove(&facts.node, facts.vmid) => answer,
            () = self.seen_gone(context) => {
                tell_leftovers(&self.site, &self.seat, context, &facts.node).await?;
                return Ok(format!("VM {} is gone from {}; the site never answered", facts.vmid, facts.node));
            }
        };
        let upid = match answer {
            Ok(upid) => upid,
            Err(SiteError::Refused { words, .. }) if says_running(&words) => return Err(StepError::Conflict(words)),
            Err(error) => return Err(error.into()),
        };
        context.record(Level::Debug, format!("task {}", upid.0), Change::TaskStarted { upid: upid.0.clone() }).await?;
        match self.site.tasks.wait(context, &upid).await? {
            TaskState::Ok { .. } => {
                // A disk that could not be removed does not fail the task: only its log tells.
                match self.site.cluster.task_log(&upid, 0).await {
                    Ok(lines) => {
                        for line in lines.iter().filter(|line| line.as_str().contains(NOT_REMOVED)) {
                            match volume_of(line) {
                                Some(volume) => {
                                    let words = format!("left behind: {line}");
                                    tell_left(&self.seat, context, &facts.node, &words, volume).await?;
                                }
                                None => context.note(Level::Warning, format!("left behind: {line}")).await?,
                            }
                        }
                    }
                    Err(_) => tell_leftovers(&self.site, &self.seat, context, &facts.node).await?,
                }
                Ok(format!("VM {} removed from {}", facts.vmid, facts.node))
            }
            TaskState::Failed(words) if is_lock_timeout(&words) => Err(StepError::Locked(words)),
            TaskState::Failed(words) if says_running(&words) => Err(StepError::Conflict(words)),
            TaskState::Failed(words) => Err(StepError::Fatal(words)),
            TaskState::Died(words) => {
                Err(StepError::Unreachable(Clean::new(format!("the removal's worker ended without a word: {words}"))))
            }
            TaskState::Running => Err(StepError::Interrupted),
        }
    }
}

/// Proxmox's words, in the log of a removal that ends well, before the volume that stayed, in quotes.
const NOT_REMOVED: &str = "Could not remove disk";

/// The volume of such a line.
fn volume_of(line: &Clean) -> Option<Clean> {
    let volume = line.as_str().split('\'').nth(1)?;
    volume.contains(':').then(|| Clean::new(volume))
}

/// Proxmox's words for a machine that is not off.
fn says_running(words: &Clean) -> bool {
    words.as_str().contains("is running - destroy failed")
}

impl Destroy {
    /// A machine that was seen off may run by now: a start that nobody waited for was still under way.
    async fn is_off(&self, context: &StepContext) -> Result<(), StepError> {
        let Facts { node, vmid, .. } = self.seat.facts();
        if !self.site.cluster.status(&node, vmid).await?.running {
            return Ok(());
        }
        context.note(Level::Info, "it was started meanwhile, and is switched off to be removed").await?;
        let upid = self.site.cluster.power(&node, vmid, PowerAction::Stop).await?;
        // Whether it worked, the removal tells.
        self.site.tasks.wait(context, &upid).await.map(drop)
    }

    /// Waits until the machine is seen to be gone, once the answer to its removal is overdue.
    async fn seen_gone(&self, context: &StepContext) {
        self.site.clock.sleep(OVERDUE).await;
        while !matches!(standing(&self.site, &self.seat, context).await, Ok(Standing::Nothing)) {
            self.site.clock.sleep(self.site.tuning.task_poll).await;
        }
    }

    /// Clears the machine away if its clone is dead, and says so; `told`: that its copy still writes was said.
    async fn clear_dead_clone(&self, context: &StepContext, told: &mut bool) -> Result<Option<String>, StepError> {
        let (site, seat) = (&self.site, &self.seat);
        let view = site.look().await?;
        let Some(guest) = view.guest(seat.facts().vmid) else { return Ok(None) };
        let Half::Dead(known) = half_cloned(site, seat, context, guest).await? else { return Ok(None) };
        if !clear(site, seat, context, &guest.node, ("clone", known)).await? {
            if !std::mem::replace(told, true) {
                context.note(Level::Info, STILL_COPYING).await?;
            }
            return Ok(None);
        }
        tell_leftovers(site, seat, context, &guest.node).await?;
        Ok(Some(format!("what a dead clone left of VM {} is removed from {}", guest.vmid, guest.node)))
    }
}

/// How long a clone of the machine may still appear, if one was asked for and its end was not seen: the request may
/// have been on its way, or its worker about to begin.
pub fn may_be_late(site: &Site, seat: &Seat) -> Option<Duration> {
    let age = site.clock.now().duration_since(seat.facts().asked_at?);
    let left = LATEST_CLONE.saturating_sub(Duration::try_from(age).unwrap_or_default());
    (!left.is_zero()).then_some(left)
}

/// A machine that went unseen (its removal was begun by a process that did not see its end, or its clone died)
/// may have left disks behind, and nobody has read the log that says so.
pub async fn tell_leftovers(site: &Site, seat: &Seat, context: &StepContext, node: &NodeName) -> Result<(), StepError> {
    let vmid = seat.facts().vmid;
    let view = site.look().await?;
    let storages = view.storages.iter().filter(|storage| storage.node == *node && storage.images);
    for storage in storages {
        let name = storage.storage.as_str();
        if !storage.available {
            let line = format!("{name} on {node} does not answer: whether VM {vmid} left a disk there is not known");
            context.note(Level::Warning, line).await?;
            continue;
        }
        for volume in site.cluster.volumes(node, name, vmid).await? {
            let words = format!("left behind by VM {vmid}: {volume}");
            tell_left(seat, context, node, &words, volume).await?;
        }
    }
    seat.learn(|facts| facts.unsaid = false);
    Ok(())
}

/// Says that a volume stayed, and how it is removed; written down for whoever looks for free numbers.
async fn tell_left(
    seat: &Seat,
    context: &StepContext,
    node: &NodeName,
    words: &str,
    volume: Clean,
) -> Result<(), StepError> {
    let line = format!("{words}; `pvesm free {volume}` on {node} removes it");
    let left = Change::LeftBehind { vmid: seat.facts().vmid, node: node.clone(), volume };
    context.record(Level::Warning, line, left).await?;
    seat.learn(|facts| facts.left = true);
    Ok(())
}
