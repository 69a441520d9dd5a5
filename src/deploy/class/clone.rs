//! `clone`: the machine comes into being, marked as ours by the very call that makes it.
//!
//! A lost answer is never taken for a failure and "already exists" never for success: the mark on the
//! machine with our VMID decides. Asking twice with one VMID cannot make two machines.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    dead::{Half, clear, half_cloned},
    destroy::{may_be_late, removal_goes_on, tell_leftovers},
    rest::{Rest, rest},
    seat::{Facts, Seat},
    site::{OVERDUE, Site},
};
use crate::{
    deploy::{
        limits::Observed,
        step::{Action, Check, StepContext, StepError},
    },
    domain::{
        Change, Clean, Level, NodeName,
        mark::{Mark, Ownership, ownership},
        plan::CloneSource,
    },
    port::{
        SiteError,
        cluster::{CloneRequest, TaskState, Upid},
    },
};

pub struct CloneMachine {
    pub site: Arc<Site>,
    pub seat: Arc<Seat>,
    pub source: CloneSource,
}

/// An earlier clone's copy is waited for this long: its own task can no longer be told from others'.
const LONGEST_COPY: Duration = Duration::from_secs(3600);

/// What stands at the seat's VMID.
enum Found {
    Nothing,
    /// Ours and whole.
    Ours,
    /// Being cloned right now.
    Cloning,
    /// Ours, and being removed right now.
    Going,
    /// Left locked by a clone whose task is gone; why that is known, or why it is not ours to clear.
    Dead(NodeName, Result<Clean, Clean>),
    /// Somebody else's.
    Foreign,
}

#[async_trait]
impl Action for CloneMachine {
    async fn check(&self, context: &StepContext) -> Result<Check, StepError> {
        if self.seat.facts().fresh && context.attempt == 1 {
            return Ok(Check::Needed);
        }
        let mut told = false;
        let began = self.site.clock.monotonic();
        loop {
            match self.find(context).await? {
                Found::Nothing => {
                    // Whoever removed what was here may have died before saying which disks stayed.
                    if self.seat.facts().unsaid {
                        tell_leftovers(&self.site, &self.seat, context, &self.source.node).await?;
                    }
                    self.leave_a_left_disk_its_number(context).await?;
                    return Ok(Check::Needed);
                }
                Found::Ours => return Ok(Check::Done("already there, with our mark".to_owned())),
                Found::Foreign => {
                    let taken = self.seat.facts().vmid;
                    if !self.take_another_vmid(context, "was taken by somebody else").await? {
                        return Err(StepError::fatal(format!(
                            "VMID {taken} was taken by somebody else and the range has no other free; widen \
                             placement.vmids or the site's vmids"
                        )));
                    }
                    return Ok(Check::Needed);
                }
                Found::Dead(node, known) => {
                    if self.bury(context, &node, known, &mut told).await? {
                        self.leave_a_left_disk_its_number(context).await?;
                        return Ok(Check::Needed);
                    }
                }
                Found::Going => context.sleep(self.site.tuning.task_poll).await?,
                Found::Cloning => {
                    if !told {
                        context
                            .note(Level::Info, "an earlier clone of this machine is still at work; waiting for it")
                            .await?;
                        told = true;
                    }
                    if self.site.clock.monotonic().saturating_sub(began) > LONGEST_COPY {
                        let facts = self.seat.facts();
                        return Err(StepError::fatal(format!(
                            "VM {} on {} has been locked by a clone for {} min; look at the tasks of {}, then deploy again",
                            facts.vmid,
                            facts.node,
                            LONGEST_COPY.as_secs() / 60,
                            self.source.node
                        )));
                    }
                    context.sleep(self.site.tuning.task_poll).await?;
                }
            }
        }
    }

    async fn act(&self, context: &StepContext) -> Result<String, StepError> {
        let began = self.site.clock.monotonic();
        let facts = self.seat.facts();
        let mark = Mark {
            store: self.site.store.clone(),
            lab: self.site.lab.clone(),
            seat: self.seat.name().clone(),
            run: context.recorder.run(),
            vmid: facts.vmid,
        };
        let mut request = CloneRequest {
            template: self.source.template,
            node: self.source.node.clone(),
            vmid: facts.vmid,
            target: (facts.node != self.source.node).then(|| facts.node.clone()),
            name: self.seat.plan.name.clone(),
            description: mark.text(),
            full: !self.source.linked || facts.full,
            storage: self.source.storage.clone(),
            format: self.source.format.clone(),
            pool: self.source.pool.clone(),
        };
        self.seat.learn(|facts| facts.fresh = false);
        let asked_at = self.site.clock.now();
        let upid = match self.ask(context, &mut request).await {
            Ok(Some(upid)) => upid,
            Ok(None) => {
                self.seat.learn(|facts| facts.cloned_at = Some(self.site.clock.monotonic()));
                let (kind, template) = (kind(&request), &self.source.template_name);
                return Ok(format!("{kind} clone of {template}; the site never answered, and it stands"));
            }
            Err(error) => {
                if matches!(error, StepError::Unreachable(_)) {
                    self.seat.learn(|facts| facts.asked_at = Some(asked_at));
                }
                return Err(error);
            }
        };
        context.record(Level::Debug, format!("task {}", upid.0), Change::TaskStarted { upid: upid.0.clone() }).await?;
        match self.site.tasks.wait(context, &upid).await? {
            TaskState::Ok { .. } => {
                self.seat.learn(|facts| facts.cloned_at = Some(self.site.clock.monotonic()));
                let made = CloneSource { linked: !request.full, ..self.source.clone() };
                self.site.cloned(&made, began);
                let took = self.site.clock.monotonic().saturating_sub(began);
                context.observe(Observed::Took(took));
                let took = took.as_secs_f64();
                Ok(format!("{} clone of {} in {took:.1} s", kind(&request), self.source.template_name))
            }
            TaskState::Failed(words) if says_taken(&words) => Err(StepError::Conflict(words)),
            TaskState::Failed(words) if is_lock_timeout(&words) => Err(StepError::Locked(words)),
            TaskState::Failed(words) => Err(StepError::Fatal(words)),
            TaskState::Died(words) => {
                Err(StepError::Unreachable(Clean::new(format!("the clone's worker ended without a word: {words}"))))
            }
            TaskState::Running => Err(StepError::Interrupted),
        }
    }

    async fn give_up(&self, context: &StepContext) -> Result<(), StepError> {
        let mut told = false;
        while let Found::Dead(node, known) = self.find(context).await? {
            if self.bury(context, &node, known, &mut told).await? {
                break;
            }
        }
        Ok(())
    }
}

impl CloneMachine {
    /// Clears a dead clone away and names the disks it left. False, after a while, where its copy still writes;
    /// `told`: that it does was said.
    async fn bury(
        &self,
        context: &StepContext,
        node: &NodeName,
        known: Result<Clean, Clean>,
        told: &mut bool,
    ) -> Result<bool, StepError> {
        if clear(&self.site, &self.seat, context, node, ("clone", known)).await? {
            tell_leftovers(&self.site, &self.seat, context, node).await?;
            return Ok(true);
        }
        if !std::mem::replace(told, true) {
            context.note(Level::Info, super::dead::STILL_COPYING).await?;
        }
        context.sleep(self.site.tuning.task_poll).await?;
        Ok(false)
    }

    /// Asks for the clone; where a linked one is refused and the plan allows it, for a full copy. The refused
    /// request had no effect, so the intent on disk covers both. None where the answer never came and the machine
    /// stands.
    async fn ask(&self, context: &StepContext, request: &mut CloneRequest) -> Result<Option<Upid>, StepError> {
        let words = match self.put(context, request).await? {
            Ok(upid) => return Ok(upid),
            Err(SiteError::Refused { words, .. }) if says_taken(&words) => {
                return Err(StepError::Conflict(Clean::new(format!("VMID {} is taken: {words}", request.vmid))));
            }
            Err(SiteError::Refused { words, .. }) if !request.full && says_not_linkable(&words) => words,
            Err(error) => return Err(error.into()),
        };
        if !self.source.full_fallback {
            return Err(StepError::fatal(format!(
                "{words}; full copies were not part of the plan: set clone = \"full\" and deploy again"
            )));
        }
        context.go_on()?;
        context.note(Level::Warning, format!("{words}; making a full copy, as the plan allows")).await?;
        self.seat.learn(|facts| facts.full = true);
        request.full = true;
        Ok(self.put(context, request).await??)
    }

    /// Puts the request. While its answer is overdue, it is looked whether it was carried out all the same: a
    /// connection that went silent holds nobody up. Only where its end was seen is it not waited for any more.
    async fn put(
        &self,
        context: &StepContext,
        request: &CloneRequest,
    ) -> Result<Result<Option<Upid>, SiteError>, StepError> {
        tokio::select! {
            biased;
            answer = self.site.cluster.clone_guest(request) => Ok(answer.map(Some)),
            seen = self.seen_to_end(context) => seen.map(|()| Ok(None)),
        }
    }

    /// Waits until a clone whose answer does not come is seen to have come to its end: it stands, or left nothing that
    /// could still become a machine.
    async fn seen_to_end(&self, context: &StepContext) -> Result<(), StepError> {
        self.site.clock.sleep(OVERDUE).await;
        let mut began = false;
        loop {
            let ended = |how: &str| {
                let words = format!("the site never answered, and the clone {how}");
                Err(StepError::Unreachable(Clean::new(words)))
            };
            match self.find(context).await {
                Ok(Found::Ours) => return Ok(()),
                Ok(Found::Cloning) => began = true,
                Ok(Found::Dead(..)) => return ended("died"),
                Ok(Found::Nothing) if began => return ended("came to nothing"),
                // Not seen yet, or nobody's who can be asked: the answer may still come.
                Ok(Found::Nothing | Found::Going | Found::Foreign) | Err(_) => {}
            }
            self.site.clock.sleep(self.site.tuning.task_poll).await;
        }
    }

    async fn find(&self, context: &StepContext) -> Result<Found, StepError> {
        let facts = self.seat.facts();
        let view = self.site.look().await?;
        let Some(guest) = view.guest(facts.vmid) else { return Ok(Found::Nothing) };
        let config = match self.site.cluster.config(&guest.node, guest.vmid).await {
            Ok(config) => config,
            // It went, or moved to its target node, between the two reads: look again.
            Err(SiteError::Missing { .. }) => return Ok(Found::Cloning),
            Err(error) => return Err(error.into()),
        };
        let owner = ownership(&self.site.store, guest.vmid, guest.template, &config.description);
        let ours = matches!(&owner, Ownership::Ours(mark) if self.seat.is_marked_by(mark, &self.site.lab));
        if config.get("lock") == Some("clone") {
            return Ok(match half_cloned(&self.site, &self.seat, context, guest).await? {
                Half::Cloning => Found::Cloning,
                Half::Dead(known) => Found::Dead(guest.node.clone(), known),
            });
        }
        let is_hollow = owner == Ownership::Foreign && config.get("name").is_none();
        if config.get("lock") == Some("destroyed") && (ours || is_hollow) {
            let progress = context.recorder.progress();
            let removal = progress.seat(self.seat.name()).and_then(|row| row.removal.as_ref());
            return match rest(&*self.site.cluster, removal, &guest.node, guest.vmid, &config, ours).await? {
                Rest::Ours(known) => {
                    self.seat.learn(|facts| facts.node = guest.node.clone());
                    removal_goes_on(&self.site, &self.seat, context, known).await?;
                    Ok(Found::Going)
                }
                Rest::Gone => Ok(Found::Nothing),
                Rest::Whole | Rest::Unproven(_) => Ok(Found::Foreign),
            };
        }
        if ours {
            self.seat.learn(|facts| facts.node = guest.node.clone());
            return Ok(Found::Ours);
        }
        Ok(Found::Foreign)
    }

    /// Where a disk stayed under the seat's number, the machine gets another: what was said to remove the disk by hand
    /// must never meet a living machine's. Not while an earlier request for this number may still arrive: under one
    /// number it cannot make a second machine.
    async fn leave_a_left_disk_its_number(&self, context: &StepContext) -> Result<(), StepError> {
        let Facts { vmid, left, .. } = self.seat.facts();
        if !left {
            return Ok(());
        }
        let why = match may_be_late(&self.site, &self.seat) {
            Some(_) => "an earlier request for it may still arrive",
            None if self.take_another_vmid(context, "is left to the disk that stayed there").await? => return Ok(()),
            None => "the range has no other free",
        };
        self.seat.learn(|facts| facts.left = false);
        let line = format!(
            "the new machine gets VMID {vmid} again, because {why}: before any `pvesm free`, look in `qm config {vmid}` \
             whether the disk is its by now"
        );
        context.note(Level::Warning, line).await
    }

    /// Gives the seat a VMID nobody has, because of its own something is so (`why`). False where none is free.
    async fn take_another_vmid(&self, context: &StepContext, why: &str) -> Result<bool, StepError> {
        let old = self.seat.facts().vmid;
        let Some(vmid) = self.site.spare_vmid().await? else { return Ok(false) };
        let node = self.seat.plan.node.clone();
        let reserved = Change::Reserved { node: node.clone(), vmid };
        context.record(Level::Warning, format!("VMID {old} {why}; using {vmid}"), reserved).await?;
        self.seat.learn(|facts| {
            facts.vmid = vmid;
            facts.node = node;
            facts.unsaid = false;
            facts.left = false;
        });
        Ok(true)
    }
}

/// How the disks are made, in a word.
fn kind(request: &CloneRequest) -> &'static str {
    if request.full { "full" } else { "linked" }
}

/// Proxmox's words for an id that exists: in the answer, or in the task (facts: races on the new id).
fn says_taken(words: &Clean) -> bool {
    ["already exists", "File exists"].iter().any(|text| words.as_str().contains(text))
}

/// Proxmox's words for disks that can only be copied.
fn says_not_linkable(words: &Clean) -> bool {
    let words = words.as_str().to_ascii_lowercase();
    words.contains("linked clone")
}

/// Proxmox's words for a lock that was not had in time.
pub fn is_lock_timeout(words: &Clean) -> bool {
    ["got timeout", "got lock request timeout", "VM is locked"].iter().any(|text| words.as_str().contains(text))
}
