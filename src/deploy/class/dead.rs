//! What a clone or a removal left behind whose worker died: a machine locked for ever, with no mark yet or
//! half gone. Proven to be ours and proven to be dead, it is removed over node SSH; where that way is not
//! open, the command to run is told.
//!
//! A half-made machine is never merely unlocked: between that and its removal it would look like a whole one.

use jiff::SignedDuration;

use super::{seat::Seat, site::Site};
use crate::{
    deploy::step::{StepContext, StepError},
    domain::{
        Change, Clean, Level, NodeName, StepName, Vmid,
        cluster::GuestView,
        mark::{Ownership, ownership},
    },
    port::{
        SiteError,
        cluster::{TaskRow, TaskState, Upid},
    },
};

/// Clocks of nodes and of this host differ by less than this.
const CLOCKS: SignedDuration = SignedDuration::from_mins(60);

/// While nothing can be removed yet.
pub const STILL_COPYING: &str =
    "the worker of an earlier clone of this machine died, and its copy still writes; waiting for it to end";

/// How a machine stands that is locked by a clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Half {
    /// Its clone is at work, or may be.
    Cloning,
    /// Its clone is dead. Why that is known, or why it is not ours to clear.
    Dead(Result<Clean, Clean>),
}

/// Looks after the clone that locks the seat's machine: its task, and those of the same kind beside it.
pub async fn half_cloned(
    site: &Site,
    seat: &Seat,
    context: &StepContext,
    guest: &GuestView,
) -> Result<Half, StepError> {
    let journalled = journalled(seat, context);
    let node = journalled.as_ref().and_then(Upid::node).unwrap_or_else(|| guest.node.clone());
    if let Some(upid) = &journalled {
        match site.cluster.task(upid).await {
            Ok(TaskState::Running) => return Ok(Half::Cloning),
            Ok(TaskState::Died(words)) => {
                // A later attempt, whose answer was lost, may be at work under the same number.
                for task in site.tasks.running(&node, site.clock.monotonic()).await?.iter() {
                    if task.kind.as_str() == "qmclone" && makes(site, task, guest.vmid).await? {
                        return Ok(Half::Cloning);
                    }
                }
                return dead(site, seat, Ok(Clean::new(format!("its task ended without a word ({words})")))).await;
            }
            // Of an earlier attempt, or forgotten by the node.
            Ok(_) | Err(SiteError::Missing { .. } | SiteError::Invalid { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let running = site.tasks.running(&node, site.clock.monotonic()).await?;
    if running.iter().any(|task| task.kind.as_str() == "qmclone") {
        return Ok(Half::Cloning);
    }
    let since = intent(seat, context).unwrap_or_else(|| site.clock.now()) - CLOCKS;
    for task in site.cluster.ended_tasks(&node, "qmclone", since).await? {
        if makes(site, &task, guest.vmid).await? {
            let words = format!("task {} made it and has ended", task.upid.0);
            return dead(site, seat, Ok(Clean::new(words))).await;
        }
    }
    let words = format!("no task of ours on {node} is known to have made it");
    dead(site, seat, Err(Clean::new(words))).await
}

/// Reads the lock again, after the tasks: a clone that ended in between is not dead.
async fn dead(site: &Site, seat: &Seat, known: Result<Clean, Clean>) -> Result<Half, StepError> {
    let view = site.look().await?;
    let lock = view.guest(seat.facts().vmid).and_then(|guest| guest.lock.clone());
    Ok(if lock.is_some_and(|lock| lock.as_str() == "clone") { Half::Dead(known) } else { Half::Cloning })
}

/// The task by which the seat's machine was cloned last, as far as the journal knows.
fn journalled(seat: &Seat, context: &StepContext) -> Option<Upid> {
    let progress = context.recorder.progress();
    let upid = progress.seat(seat.name())?.step(StepName::Clone)?.upid.clone()?;
    (upid.as_str().split(':').nth(5) == Some("qmclone")).then_some(Upid(upid))
}

/// When the clone was last meant to begin, as far as the journal knows.
fn intent(seat: &Seat, context: &StepContext) -> Option<jiff::Timestamp> {
    let progress = context.recorder.progress();
    let row = progress.seat(seat.name())?;
    row.step(StepName::Clone)?.began_at.or_else(|| row.step(StepName::Reserve)?.at)
}

/// Whether a clone task's log says that it makes this machine (Proxmox VE 9 does, in its first lines).
async fn makes(site: &Site, task: &TaskRow, vmid: Vmid) -> Result<bool, StepError> {
    match site.cluster.task_log(&task.upid, 0).await {
        Ok(lines) => Ok(lines.iter().take(5).any(|line| line.as_str().ends_with(&format!(" with ID {vmid}")))),
        Err(SiteError::Missing { .. } | SiteError::Invalid { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What a dead clone or removal (`what`) left of the seat's machine on `node` goes; `known` says why it is known to
/// be dead and ours. A clone works on its template's node, so the two may differ.
/// False where a copy still writes to its disks: look again later.
///
/// # Errors
/// `Fatal` with the command to run where it is not proven to be ours, or the node does not let us in.
pub async fn clear(
    site: &Site,
    seat: &Seat,
    context: &StepContext,
    node: &NodeName,
    (what, known): (&str, Result<Clean, Clean>),
) -> Result<bool, StepError> {
    let id = seat.facts().vmid;
    let by_hand = |looked, why: &dyn std::fmt::Display| StepError::fatal(advice((id, node), what, why, looked));
    let evidence = known.map_err(|why| by_hand(Looked::No, &why))?;
    match site.mend.is_copying(node, id).await {
        Ok(true) => return Ok(false),
        Ok(false) => {}
        Err(error) if error.is_passing() && context.attempt < PASSING => return Err(error.into()),
        Err(error) => return Err(by_hand(Looked::No, &error)),
    }
    still_ours(site, seat, node).await.map_err(|why| by_hand(Looked::Idle, &why))?;
    let words =
        format!("VM {id} on {node} is what a dead {what} left: {evidence}; removing it (`qm destroy --skiplock`)");
    context.record(Level::Warning, words, Change::RemovalOnNode).await?;
    context.go_on()?;
    // The answer may be lost: whoever finds it gone says what stayed.
    seat.learn(|facts| facts.unsaid = true);
    match site.mend.remove_locked(node, id).await {
        Ok(()) => {}
        // The answer may be lost and the machine gone: the next look tells.
        Err(error) if error.is_passing() && context.attempt < PASSING => return Err(error.into()),
        Err(error) => return Err(by_hand(Looked::Idle, &error)),
    }
    context.note(Level::Info, format!("what the dead {what} left of VM {id} is removed")).await?;
    Ok(true)
}

/// Whether somebody saw that no program on the node works on the machine's disks any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looked {
    Idle,
    No,
}

/// What to type on the node, and what to look at before: a copy that outlived its worker would go on writing to disks
/// that are somebody else's by then.
fn advice((id, node): (Vmid, &NodeName), what: &str, why: &dyn std::fmt::Display, looked: Looked) -> String {
    let first = match looked {
        Looked::Idle => String::new(),
        Looked::No => format!(
            "nobody could look whether a program there still works on its disks: wait until `pgrep -af vm-{id}-disk` on \
             {node} prints nothing, then "
        ),
    };
    format!(
        "VM {id} on {node} is locked by a {what} that died ({why}); {first}run `qm unlock {id} && qm destroy {id}` on \
         {node}, then try again"
    )
}

/// Attempts at a node that does not let us in just now.
const PASSING: u32 = 3;

/// The last look before the machine goes: locked, and of nobody else's name or mark.
async fn still_ours(site: &Site, seat: &Seat, node: &NodeName) -> Result<(), Clean> {
    let vmid = seat.facts().vmid;
    let config = site.cluster.config(node, vmid).await.map_err(|error| Clean::new(error.to_string()))?;
    if config.get("lock").is_none() {
        return Err(Clean::new("it is no longer locked"));
    }
    match ownership(&site.store, vmid, false, &config.description) {
        Ownership::Ours(mark) if seat.is_marked_by(&mark, &site.lab) => return Ok(()),
        Ownership::Foreign => {}
        Ownership::Ours(mark) | Ownership::OtherStore(mark) => {
            return Err(Clean::new(format!("it carries the mark of {}/{}", mark.lab, mark.seat)));
        }
    }
    // A clone in progress shows its name and no mark yet; in its first moment neither.
    match config.get("name") {
        Some(name) if name != seat.plan.name => Err(Clean::new(format!("it is called {name}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_to_be_typed_warns_of_copies_nobody_looked_for_and_only_then() {
        let (id, node) = (Vmid::new(9104).unwrap(), NodeName::new("pve1"));
        let run = "run `qm unlock 9104 && qm destroy 9104` on pve1, then try again";
        let blind = advice((id, &node), "clone", &"no key", Looked::No);
        assert!(blind.ends_with(&format!("wait until `pgrep -af vm-9104-disk` on pve1 prints nothing, then {run}")));
        let seen = advice((id, &node), "clone", &"it is called db1", Looked::Idle);
        assert_eq!(seen, format!("VM 9104 on pve1 is locked by a clone that died (it is called db1); {run}"));
    }
}
