//! Progress: what the events of a lab add up to. `fold` is the only writer.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Change, Clean, Event, LabName, MachineState, NodeName, Role, RunId, SeatName, SiteName, StepName, StepState, Vmid,
    event::{RunKind, RunState},
    lent::Lent,
    life::{self, Life},
    machine::machine_name,
    price::{Stood, Used},
};

/// How a lab stands, seat by seat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub lab: LabName,
    /// The newest run.
    pub run: Option<RunProgress>,
    /// In the order of the definition: the teacher first.
    pub seats: Vec<SeatProgress>,
    /// Of a workshop that was deployed: its code and its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<Life>,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    pub id: RunId,
    pub kind: RunKind,
    pub state: RunState,
    pub owner: Clean,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// How long nobody carried it out, between its beginning and its end.
    #[serde(default)]
    pub away: Duration,
    /// The last event folded in.
    pub seq: u64,
}

/// How a seat's machine stands. One row of `machines` in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatProgress {
    pub seat: SeatName,
    pub role: Role,
    /// Name of the machine.
    pub name: String,
    pub site: SiteName,
    /// Set aside or used by this seat; with `vmid`, what we look for on the site.
    pub node: Option<NodeName>,
    pub vmid: Option<Vmid>,
    pub state: MachineState,
    pub ip: Option<IpAddr>,
    /// SSH host keys of the guest, read through the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_keys: Vec<String>,
    /// The request under which an instance was asked for at `node`, while nobody knows what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Clean>,
    /// The same of its firewall rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_request: Option<Clean>,
    /// What the proxy on its instance shows, in the words of [`crate::domain::planning::MadeOf`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// What was used of instances that are gone, while the workshop stood on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<Used>,
    /// The instance that stands, or that stood and is not among those yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stood: Option<Stood>,
    /// A removal of the machine that was begun and not seen to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    pub reason: Option<Clean>,
    pub proven_at: Option<Timestamp>,
    /// When a container of it last ended unasked, by the engine's clock, of those ends that were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The run whose plan the machine was last brought to, all of it: every step of it that makes or changes a machine
    /// was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<RunId>,
    /// The pool the machine was put into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What the machine had before anything was written to it.
    #[serde(default, skip_serializing_if = "Lent::is_empty")]
    pub lent: Lent,
    /// The run that touched it last.
    pub run: RunId,
    pub steps: Vec<StepProgress>,
}

/// That a machine was to be removed, written down before it was asked for. Proxmox takes the mark off a machine before
/// it is wholly gone: from then on this says that its rest is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The number it was asked for.
    pub vmid: Vmid,
    /// When it was first meant.
    pub since: Timestamp,
    /// The site's latest task for it, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upid: Option<Clean>,
    /// It was asked for as root on its node, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_node: bool,
}

/// How one step of a seat stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepProgress {
    pub step: StepName,
    pub state: StepState,
    /// Attempts begun.
    pub attempts: u32,
    /// When the latest attempt began.
    pub began_at: Option<Timestamp>,
    /// When it last changed.
    pub at: Option<Timestamp>,
    /// Working time over all attempts, known once it ended.
    pub took: Option<Duration>,
    /// The site's task that carries it out.
    pub upid: Option<Clean>,
    /// Between two attempts: how the next one comes about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
    /// The run whose intent this is.
    pub run: RunId,
}

/// A step that waits for its next attempt, from `StepProgress::at` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Modelled time.
    pub wait: Duration,
    /// Attempts at most; 0 where it is not known.
    pub of: u32,
}

impl StepProgress {
    /// Whether it was never done here: the machine was found with it done.
    pub fn was_found(&self) -> bool {
        self.state == StepState::Ok && self.attempts == 0
    }

    fn waiting(step: StepName, run: RunId) -> Self {
        Self {
            step,
            state: StepState::Waiting,
            attempts: 0,
            began_at: None,
            at: None,
            took: None,
            upid: None,
            again: None,
            run,
        }
    }
}

impl SeatProgress {
    /// One of which nothing is known but that a run means to make it.
    pub fn planned(seat: SeatName, role: Role, name: String, site: SiteName, run: RunId) -> Self {
        Self {
            seat,
            role,
            name,
            site,
            node: None,
            vmid: None,
            state: MachineState::Planned,
            ip: None,
            host_keys: Vec::new(),
            request: None,
            rule_request: None,
            proxy: None,
            used: Vec::new(),
            stood: None,
            removal: None,
            reason: None,
            proven_at: None,
            ended_at: None,
            brought: None,
            pool: None,
            lent: Lent::default(),
            run,
            steps: Vec::new(),
        }
    }

    pub fn step(&self, step: StepName) -> Option<&StepProgress> {
        self.steps.iter().find(|s| s.step == step)
    }

    /// When the journal last said anything about its steps or its proof.
    pub fn last_change(&self) -> Option<Timestamp> {
        self.steps.iter().filter_map(|step| step.at).chain(self.proven_at).max()
    }

    /// The step under way, or the one that failed.
    pub fn current(&self) -> Option<&StepProgress> {
        self.steps
            .iter()
            .find(|s| s.state == StepState::Running)
            .or_else(|| self.steps.iter().find(|s| s.state == StepState::Failed))
    }
}

impl Progress {
    pub fn new(lab: LabName) -> Self {
        Self { lab, run: None, seats: Vec::new(), life: None }
    }

    pub fn seat(&self, seat: &SeatName) -> Option<&SeatProgress> {
        self.seats.iter().find(|s| &s.seat == seat)
    }
}

/// Adds one event. Events of an older run than the newest seen are ignored, and so is an event
/// already folded in (`seq`), so that a reader may begin anywhere and overlap.
pub fn fold(progress: &mut Progress, event: &Event) {
    match (&event.change, &progress.run) {
        (_, Some(run)) if event.run < run.id || (event.run == run.id && event.seq <= run.seq) => return,
        // It was broken off, and goes on.
        (Change::RunStarted { owner, .. }, Some(run)) if run.id == event.run => {
            // What was written down last before it: its end, or else what befell a seat.
            let last = run.ended_at.or_else(|| progress.seats.iter().filter_map(SeatProgress::last_change).max());
            let away = last.and_then(|last| Duration::try_from(event.at.duration_since(last)).ok()).unwrap_or_default();
            let (state, owner, away) = (RunState::Running, owner.clone(), run.away + away);
            let again = RunProgress { state, owner, ended_at: None, away, ..run.clone() };
            progress.run = Some(again);
        }
        (Change::RunStarted { kind, owner, .. }, _) => {
            progress.run = Some(RunProgress {
                id: event.run,
                kind: *kind,
                state: RunState::Running,
                owner: owner.clone(),
                started_at: event.at,
                ended_at: None,
                away: Duration::ZERO,
                seq: event.seq,
            });
        }
        _ => {}
    }
    if let Some(run) = progress.run.as_mut().filter(|run| run.id == event.run) {
        run.seq = event.seq;
        if let Change::RunEnded { state } = event.change {
            run.state = state;
            run.ended_at = Some(event.at);
        }
    }
    life::fold(&mut progress.life, event);
    let Some(seat) = &event.seat else { return };
    if let Change::SeatPlanned { role, site, steps } = &event.change {
        plan_seat(progress, event, seat, (*role, site), steps);
        return;
    }
    if let Some(row) = progress.seats.iter_mut().find(|s| &s.seat == seat) {
        row.run = event.run;
        fold_seat(row, event);
    }
    progress.seats.retain(|s| s.state != MachineState::Gone);
    // With the last of a workshop its life ends, and its code with it.
    if matches!(event.change, Change::SeatGone) && progress.seats.is_empty() {
        progress.life = None;
    }
}

/// Brings a seat into the run: what it owns stays, the steps before it wait.
fn plan_seat(
    progress: &mut Progress,
    event: &Event,
    seat: &SeatName,
    (role, site): (Role, &SiteName),
    steps: &[StepName],
) {
    let at = progress.seats.iter().position(|s| &s.seat == seat).unwrap_or_else(|| {
        let name = event.machine.as_ref().map_or_else(|| machine_name(&event.lab, seat), |name| name.to_string());
        progress.seats.push(SeatProgress::planned(seat.clone(), role, name, site.clone(), event.run));
        progress.seats.len() - 1
    });
    let row = &mut progress.seats[at];
    row.role = role;
    row.run = event.run;
    row.reason = None;
    clear_leftovers(row, steps);
    for step in steps {
        match row.steps.iter_mut().find(|s| s.step == *step) {
            Some(known) => *known = StepProgress { upid: known.upid.take(), ..StepProgress::waiting(*step, event.run) },
            None => row.steps.push(StepProgress::waiting(*step, event.run)),
        }
    }
    row.steps.sort_by_key(|s| s.step);
    if steps.iter().any(|s| s.is_proof()) {
        row.state = MachineState::Planned;
    }
}

/// What a broken-off run left under way, and this one does not take up, is not under way any more. A shutdown or
/// removal is no part of a machine's chain: beyond its own run it says nothing.
fn clear_leftovers(row: &mut SeatProgress, steps: &[StepName]) {
    row.steps.retain(|s| steps.contains(&s.step) || s.step.leads_to_ready());
    for left in row.steps.iter_mut().filter(|s| s.state == StepState::Running && !steps.contains(&s.step)) {
        left.state = StepState::Waiting;
    }
}

/// What an event says about one seat.
fn fold_seat(row: &mut SeatProgress, event: &Event) {
    match &event.change {
        Change::Note
        | Change::RunStarted { .. }
        | Change::Opened { .. }
        | Change::EndsAt { .. }
        | Change::EndWarned { .. }
        | Change::EndHindered { .. }
        | Change::Closed
        | Change::SeatPlanned { .. }
        | Change::LeftBehind { .. }
        | Change::RunEnded { .. } => {}
        Change::Reserved { node, vmid } => {
            row.node = Some(node.clone());
            row.vmid = Some(*vmid);
            row.removal = row.removal.take().filter(|removal| removal.vmid == *vmid);
        }
        Change::RemovalOnNode => begin_removal(row, event, true),
        Change::Requested { node, request } => {
            row.node = Some(node.clone());
            row.request = Some(request.clone());
        }
        Change::RequestSettled { node } => {
            row.node = node.clone().or(row.node.take());
            row.request = None;
        }
        Change::RuleRequested { request } => row.rule_request = Some(request.clone()),
        Change::RuleSettled => row.rule_request = None,
        Change::InstanceSeen { stood } => row.stood = Some(stood.clone()),
        Change::Used { used } => {
            row.used.push(used.clone());
            row.stood = None;
        }
        Change::ProxyShows { made_of } => row.proxy = Some(made_of.clone()),
        Change::AddressSeen { ip } => row.ip = Some(*ip),
        Change::HostKeysSeen { keys } => row.host_keys.clone_from(keys),
        Change::PoolJoined { pool } => row.pool = Some(pool.clone()),
        Change::Lent { lent } => row.lent = lent.clone(),
        Change::SeatReady => settle(row, MachineState::Ready, None, event),
        Change::SeatFailed => settle(row, MachineState::Failed, Some(event.message.clone()), event),
        Change::SeatStale => settle(row, MachineState::Stale, Some(event.message.clone()), event),
        // What it means for the seat is judged by whoever looks at its engine.
        Change::ContainerEnded { ended_at } => row.ended_at = Some(*ended_at),
        Change::SeatStopped => settle(row, MachineState::Stopped, Some(event.message.clone()), event),
        Change::SeatGone => settle(row, MachineState::Gone, None, event),
        Change::StepStarted { .. }
        | Change::TaskStarted { .. }
        | Change::StepRetry { .. }
        | Change::StepDone { .. }
        | Change::StepSkipped
        | Change::StepFailed { .. } => fold_step(row, event),
    }
}

/// Ends a seat's part in the run. Only being ready is a proof, and only a proof has a time.
fn settle(row: &mut SeatProgress, state: MachineState, reason: Option<Clean>, event: &Event) {
    row.state = state;
    row.reason = reason;
    if state == MachineState::Ready {
        row.proven_at = Some(event.at);
        row.removal = None;
    }
}

/// The seat's machine is about to be removed.
fn begin_removal(row: &mut SeatProgress, event: &Event, on_node: bool) {
    let Some(vmid) = row.vmid else { return };
    let removal = row.removal.get_or_insert(Removal { vmid, since: event.at, upid: None, on_node });
    removal.on_node |= on_node;
}

/// What an event says about one step of a seat.
fn fold_step(row: &mut SeatProgress, event: &Event) {
    let Some(name) = event.step else { return };
    if !row.steps.iter().any(|s| s.step == name) {
        row.steps.push(StepProgress::waiting(name, event.run));
        row.steps.sort_by_key(|s| s.step);
    }
    let Some(step) = row.steps.iter_mut().find(|s| s.step == name) else { return };
    step.at = Some(event.at);
    step.run = event.run;
    if !matches!(event.change, Change::TaskStarted { .. }) {
        step.again = None;
    }
    match &event.change {
        Change::StepStarted { attempt } => {
            step.state = StepState::Running;
            step.attempts = *attempt;
            step.began_at = Some(event.at);
            row.state = MachineState::Working;
            row.reason = None;
            if name == StepName::Destroy {
                begin_removal(row, event, false);
            }
            if is_given_up(row, name, event.run) {
                // From here on it is nobody's way to the seat.
                row.ip = None;
            }
        }
        Change::TaskStarted { upid } => {
            step.upid = Some(upid.clone());
            if let Some(removal) = row.removal.as_mut().filter(|_| name == StepName::Destroy) {
                removal.upid = Some(upid.clone());
            }
        }
        Change::StepRetry { wait, of } => {
            step.again = Some(Again { wait: *wait, of: *of });
            row.reason = Some(event.message.clone());
        }
        Change::StepDone { took } => {
            step.state = StepState::Ok;
            step.took = Some(*took);
            row.reason = None;
            if matches!(name, StepName::Clone | StepName::Configure) {
                // Another machine, or one whose cloud-init makes keys anew: what it shows next is its own doing.
                row.host_keys.clear();
            }
            if matches!(name, StepName::Clone | StepName::Destroy) {
                // What was to be removed is gone.
                row.removal = None;
            }
            if name == StepName::Clone || (name == StepName::Destroy && row.step(StepName::Clone).is_some()) {
                // What was known is known of another machine.
                (row.ip, row.proven_at, row.pool) = (None, None, None);
                row.lent = Lent::default();
            }
            note_brought(row, name, event.run);
        }
        Change::StepSkipped => {
            step.state = StepState::Skipped;
            note_brought(row, name, event.run);
        }
        Change::StepFailed { took } => {
            step.state = StepState::Failed;
            step.took = Some(*took);
            row.reason = Some(event.message.clone());
        }
        _ => {}
    }
}

/// Whether a step of the run takes a machine away that the same run makes anew.
fn is_given_up(row: &SeatProgress, name: StepName, run: RunId) -> bool {
    let anew = row.step(StepName::Clone).is_some_and(|step| step.run == run && step.state == StepState::Waiting);
    let removed = row.step(StepName::Destroy).is_some_and(|step| step.run == run);
    matches!(name, StepName::Stop | StepName::Destroy) && anew && removed
}

/// Once the last step of the run that makes or changes the machine is done, the machine is what the run's plan says.
fn note_brought(row: &mut SeatProgress, name: StepName, run: RunId) {
    let makes = |step: StepName| matches!(step, StepName::Clone | StepName::Configure | StepName::Resize);
    let of_run = |step: &&StepProgress| step.run == run && makes(step.step);
    let is_done = |step: &StepProgress| matches!(step.state, StepState::Ok | StepState::Skipped);
    if makes(name) && row.steps.iter().filter(of_run).all(is_done) {
        row.brought = Some(run);
    }
}

#[cfg(test)]
mod tests;
