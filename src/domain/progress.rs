//! Progress: what the events of a lab add up to. `fold` is the only writer.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Change, Clean, Event, LabName, MachineState, NodeName, Role, RunId, SeatName, SiteName, StepName, StepState, Vmid,
    event::{RunKind, RunState},
    life::{self, Life},
    machine::machine_name,
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
    /// A removal of the machine that was begun and not seen to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    pub reason: Option<Clean>,
    pub proven_at: Option<Timestamp>,
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
            let again = RunProgress { state: RunState::Running, owner: owner.clone(), ended_at: None, ..run.clone() };
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
        progress.seats.push(SeatProgress {
            seat: seat.clone(),
            role,
            name: event.machine.as_ref().map_or_else(|| machine_name(&event.lab, seat), |name| name.to_string()),
            site: site.clone(),
            node: None,
            vmid: None,
            state: MachineState::Planned,
            ip: None,
            host_keys: Vec::new(),
            request: None,
            removal: None,
            reason: None,
            proven_at: None,
            run: event.run,
            steps: Vec::new(),
        });
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
        | Change::Closed
        | Change::SeatPlanned { .. }
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
        Change::AddressSeen { ip } => row.ip = Some(*ip),
        Change::HostKeysSeen { keys } => row.host_keys.clone_from(keys),
        Change::SeatReady => settle(row, MachineState::Ready, None, event),
        Change::SeatFailed => settle(row, MachineState::Failed, Some(event.message.clone()), event),
        Change::SeatStale => settle(row, MachineState::Stale, Some(event.message.clone()), event),
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
        }
        Change::StepSkipped => step.state = StepState::Skipped,
        Change::StepFailed { took } => {
            step.state = StepState::Failed;
            step.took = Some(*took);
            row.reason = Some(event.message.clone());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Level;

    const SEATS: [&str; 3] = ["teacher", "ada", "grace"];

    fn event(run: i64, seq: u64, seat: Option<&str>, step: Option<StepName>, change: Change) -> Event {
        Event {
            at: Timestamp::from_second(1_000_000 * run + i64::try_from(seq).unwrap()).unwrap(),
            seq,
            run: RunId(run),
            lab: LabName::new("cs101").unwrap(),
            seat: seat.map(|seat| SeatName::new(seat).unwrap()),
            machine: None,
            step,
            level: Level::Info,
            message: Clean::new(format!("event {seq} of run {run}")),
            change,
        }
    }

    fn site() -> SiteName {
        SiteName::new("sim").unwrap()
    }

    fn started() -> Change {
        Change::RunStarted { kind: RunKind::Deploy, site: site(), owner: Clean::new("ada") }
    }

    fn planned(steps: &[StepName]) -> Change {
        Change::SeatPlanned { role: Role::Student, site: site(), steps: steps.to_vec() }
    }

    fn reserved() -> Change {
        Change::Reserved { node: NodeName::new("pve1"), vmid: Vmid::new(9101).unwrap() }
    }

    fn folded(events: &[Event]) -> Progress {
        let mut progress = Progress::new(LabName::new("cs101").unwrap());
        events.iter().for_each(|event| fold(&mut progress, event));
        progress
    }

    /// Anything that can happen to a seat, whether or not it makes sense there.
    fn change() -> impl Strategy<Value = Change> {
        let took = Duration::from_secs(3);
        prop_oneof![
            Just(Change::Note),
            Just(planned(&StepName::CLASS)),
            Just(planned(&[StepName::Stop, StepName::Destroy])),
            Just(reserved()),
            (1u32..4).prop_map(|attempt| Change::StepStarted { attempt }),
            Just(Change::TaskStarted { upid: Clean::new("UPID:pve1:1") }),
            Just(Change::StepRetry { wait: Duration::from_secs(2), of: 5 }),
            Just(Change::StepDone { took }),
            Just(Change::StepSkipped),
            Just(Change::StepFailed { took }),
            (1u8..9).prop_map(|n| Change::AddressSeen { ip: IpAddr::from([10, 0, 0, n]) }),
            Just(Change::HostKeysSeen { keys: vec!["ssh-ed25519 AAAA".into()] }),
            Just(Change::SeatReady),
            Just(Change::SeatFailed),
            Just(Change::SeatStale),
            Just(Change::SeatStopped),
            Just(Change::SeatGone),
        ]
    }

    /// The events of up to three runs of one lab, in the order they were written.
    fn history() -> impl Strategy<Value = Vec<Event>> {
        let line = (0..SEATS.len(), 0..StepName::CLASS.len(), change());
        let run = (prop::collection::vec(line, 0..25), any::<bool>());
        prop::collection::vec(run, 1..4).prop_map(|runs| {
            let mut events = Vec::new();
            for (id, (lines, ended)) in (1..).zip(runs) {
                let mut changes = vec![(None, None, started())];
                changes.extend(SEATS.map(|seat| (Some(seat), None, planned(&StepName::CLASS))));
                changes.extend(
                    lines
                        .into_iter()
                        .map(|(seat, step, change)| (Some(SEATS[seat]), Some(StepName::CLASS[step]), change)),
                );
                if ended {
                    changes.push((None, None, Change::RunEnded { state: RunState::Done }));
                }
                events.extend((1..).zip(changes).map(|(seq, (seat, step, change))| event(id, seq, seat, step, change)));
            }
            events
        })
    }

    proptest! {
        #[test]
        fn a_reader_that_begins_again_before_its_place_ends_where_one_that_read_once_does(
            events in history(), stop in any::<prop::sample::Index>(), back in any::<prop::sample::Index>()
        ) {
            let whole = folded(&events);
            let stop = stop.index(events.len() + 1);
            let again = back.index(stop + 1);
            let mut progress = folded(&events[..stop]);
            events[again..].iter().for_each(|event| fold(&mut progress, event));
            prop_assert_eq!(progress, whole);
        }

        #[test]
        fn progress_that_was_stored_and_read_goes_on_as_if_it_had_not_been(
            events in history(), stop in any::<prop::sample::Index>()
        ) {
            let stop = stop.index(events.len() + 1);
            let stored = serde_json::to_string(&folded(&events[..stop])).unwrap();
            let mut progress: Progress = serde_json::from_str(&stored).unwrap();
            events[stop..].iter().for_each(|event| fold(&mut progress, event));
            prop_assert_eq!(progress, folded(&events));
        }

        #[test]
        fn an_event_changes_only_its_own_seat(events in history()) {
            let mut progress = Progress::new(LabName::new("cs101").unwrap());
            for event in &events {
                let before = progress.clone();
                fold(&mut progress, event);
                for row in before.seats.iter().filter(|row| Some(&row.seat) != event.seat.as_ref()) {
                    prop_assert_eq!(progress.seat(&row.seat), Some(row));
                }
            }
        }
    }

    #[test]
    fn what_a_broken_off_run_left_under_way_is_not_under_way_in_the_next() {
        let begun = |run, seq, step| event(run, seq, Some("ada"), Some(step), Change::StepStarted { attempt: 1 });
        let progress = folded(&[
            event(1, 1, None, None, started()),
            event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
            begun(1, 3, StepName::Address),
            event(2, 1, None, None, started()),
            event(2, 2, Some("ada"), None, planned(&[StepName::Stop, StepName::Destroy])),
            begun(2, 3, StepName::Stop),
            event(3, 1, None, None, started()),
            event(3, 2, Some("ada"), None, planned(&[StepName::Start, StepName::Ssh])),
            begun(3, 3, StepName::Start),
        ]);
        let ada = &progress.seats[0];
        assert_eq!(ada.current().map(|step| step.step), Some(StepName::Start));
        assert_eq!(ada.step(StepName::Address).map(|step| step.state), Some(StepState::Waiting));
        assert_eq!(ada.step(StepName::Stop), None);
    }

    #[test]
    fn a_second_run_keeps_what_a_seat_owns_and_lets_its_steps_wait_again() {
        let done = |step, seq| event(1, seq, Some("ada"), Some(step), Change::StepDone { took: Duration::ZERO });
        let progress = folded(&[
            event(1, 1, None, None, started()),
            event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
            event(1, 3, Some("ada"), Some(StepName::Reserve), reserved()),
            event(1, 4, Some("ada"), Some(StepName::Clone), Change::StepStarted { attempt: 1 }),
            event(1, 5, Some("ada"), Some(StepName::Clone), Change::TaskStarted { upid: Clean::new("UPID:1") }),
            done(StepName::Configure, 6),
            event(2, 1, None, None, started()),
            event(2, 2, Some("ada"), None, planned(&[StepName::Clone, StepName::Ssh])),
        ]);
        let ada = progress.seat(&SeatName::new("ada").unwrap()).unwrap();
        assert_eq!((ada.vmid, ada.run), (Some(Vmid::new(9101).unwrap()), RunId(2)));
        let clone = ada.step(StepName::Clone).unwrap();
        assert_eq!((clone.state, clone.attempts, clone.run), (StepState::Waiting, 0, RunId(2)));
        assert_eq!(clone.upid, Some(Clean::new("UPID:1")), "the task may still be under way");
        assert_eq!(ada.step(StepName::Configure).unwrap().state, StepState::Ok, "not part of the second run");
    }

    #[test]
    fn a_seat_that_is_gone_is_forgotten_and_can_come_back() {
        let mut events = vec![
            event(1, 1, None, None, started()),
            event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
            event(1, 3, Some("ada"), Some(StepName::Reserve), reserved()),
            event(1, 4, Some("ada"), None, Change::SeatGone),
        ];
        assert_eq!(folded(&events).seats, []);
        events.push(event(2, 1, None, None, started()));
        events.push(event(2, 2, Some("ada"), None, planned(&StepName::CLASS)));
        assert_eq!(folded(&events).seats[0].vmid, None, "the old machine's number is not its own");
    }

    #[test]
    fn the_time_of_a_proof_outlives_what_takes_the_proof_away() {
        let ready = event(1, 3, Some("ada"), None, Change::SeatReady);
        let progress = folded(&[
            event(1, 1, None, None, started()),
            event(1, 2, Some("ada"), None, planned(&StepName::CLASS)),
            ready.clone(),
            event(1, 4, Some("ada"), None, Change::SeatStale),
        ]);
        let ada = &progress.seats[0];
        assert_eq!((ada.state, ada.proven_at), (MachineState::Stale, Some(ready.at)));
        assert_eq!(ada.reason.as_ref().map(Clean::as_str), Some("event 4 of run 1"));
    }
}
