//! Readiness: what a stored proof is worth now, and how a lab stands as a whole.
//!
//! A proof is held against one look at the site. Ready is only what nothing contradicts; everything else
//! has its reason in words. Pure: the look and the time come in as arguments.

use std::{collections::BTreeMap, fmt, net::IpAddr, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Clean, Definition, MachineState, NodeName, Progress, Role, SeatName, StepName, StepState,
    cluster::{ClusterView, GuestView, Power},
    event::RunKind,
    progress::SeatProgress,
};

/// How old a guest's power and uptime may be within one look: Proxmox broadcasts every 10 s and caches twice.
const BROADCAST: Duration = Duration::from_secs(15);
/// The same, for a machine whose roll call already outlived most of it.
const AFTER_ROLL_CALL: Duration = Duration::from_secs(5);
/// Clocks of nodes and of this host differ; an uptime shorter by less than this is no restart.
const CLOCKS: Duration = Duration::from_secs(30);

/// How a lab stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabState {
    /// No machine of it exists.
    Absent,
    Deploying,
    /// Every seat of the definition is proven.
    Ready,
    /// Some seats are ready, or wait for a roll call.
    Partial,
    /// No seat is ready and at least one failed.
    Failed,
    /// Its machines are there and off.
    Stopped,
    Destroying,
}

impl LabState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Deploying => "deploying",
            Self::Ready => "ready",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Destroying => "destroying",
        }
    }
}

impl fmt::Display for LabState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one look at the site showed of one machine.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// `None`: not on the site.
    pub guest: Option<&'a GuestView>,
    pub node_online: bool,
    /// Since when the node has not answered, where somebody watched.
    pub offline_since: Option<Timestamp>,
    /// When the look was taken.
    pub at: Timestamp,
}

impl<'a> Look<'a> {
    /// The machine of a seat in a view; `None` where the seat has none, or the view proves nothing about it.
    pub fn of(view: &'a ClusterView, row: &SeatProgress) -> Option<Self> {
        let guest = view.guest(row.vmid?);
        let node = guest.map(|g| &g.node).or(row.node.as_ref())?;
        let node_online = view.node(node).is_some_and(|node| node.online);
        // Without quorum a guest that is not listed may still be there.
        (guest.is_some() || view.quorate != Some(false)).then_some(Self {
            guest,
            node_online,
            offline_since: None,
            at: view.at,
        })
    }

    /// Where the machine is: where it was seen, else where it was put. A clone is made on its template's node.
    pub fn node<'b>(&self, row: &'b SeatProgress) -> Option<&'b NodeName>
    where
        'a: 'b,
    {
        self.guest.map(|guest| &guest.node).or(row.node.as_ref())
    }
}

/// The node of a seat's machine, which stands as told. What has another's number by now is somewhere else.
pub fn seen_on<'a>(row: &'a SeatProgress, look: Option<Look<'a>>, state: MachineState) -> Option<&'a NodeName> {
    match look.filter(|_| state != MachineState::Gone) {
        Some(look) => look.node(row),
        None => row.node.as_ref(),
    }
}

/// How a machine stands now, and why. `look` is `None` while nobody has seen the site; `alive`: a run works on
/// the lab at this moment.
pub fn current_state(
    row: &SeatProgress,
    look: Option<Look<'_>>,
    alive: bool,
    now: Timestamp,
    max_age: Duration,
) -> (MachineState, Option<Clean>) {
    let stored = match row.state {
        MachineState::Planned | MachineState::Working if !alive => without_run(row),
        _ => (row.state, row.reason.clone()),
    };
    if matches!(stored.0, MachineState::Planned | MachineState::Working) {
        return stored;
    }
    // A look from before the last thing that happened to the seat says nothing about it.
    let look = look.filter(|look| row.last_change() < Some(look.at));
    if let Some((state, reason)) = look.and_then(|look| contradiction(row, stored.0, look)) {
        // What failed stays failed with its own reason, unless the machine is out of sight.
        let hidden = matches!(state, MachineState::Unknown | MachineState::Gone);
        if stored.0 == MachineState::Failed && !(hidden && was_made(row)) {
            return stored;
        }
        return (state, Some(reason.into()));
    }
    match stored.0 {
        MachineState::Ready => match row.proven_at {
            Some(proven) if elapsed(proven, now) > max_age => {
                let (age, limit) = (hours(elapsed(proven, now)), hours(max_age));
                (MachineState::Stale, Some(format!("proven {age} ago, a proof counts for {limit}").into()))
            }
            _ => (MachineState::Ready, None),
        },
        // It was off, and runs again: whoever started it, its roll call is due. What was broadcast before
        // it went off still says that it runs.
        MachineState::Stopped
            if look.is_some_and(|look| {
                let settled = row.last_change().is_none_or(|at| elapsed(at, look.at) > BROADCAST);
                settled && look.guest.is_some_and(|guest| guest.power == Power::Running)
            }) =>
        {
            (MachineState::Stale, Some("started again, not proven since".into()))
        }
        _ => stored,
    }
}

/// A machine that a run had in hand when it ended without a word.
fn without_run(row: &SeatProgress) -> (MachineState, Option<Clean>) {
    let at = row.current().map(|step| format!(" at {}", step.step)).unwrap_or_default();
    if row.proven_at.is_some() {
        // A restart's shutdown is no part of the roll call behind it.
        let of_proofs = row.current().is_none_or(|step| step.step.is_proof());
        let what = if of_proofs { "its roll call" } else { "its run" };
        (MachineState::Stale, Some(format!("{what} was broken off{at}").into()))
    } else if row.state == MachineState::Working || was_made(row) {
        (MachineState::Failed, Some(format!("the run was broken off{at}; deploy goes on from there").into()))
    } else {
        (row.state, row.reason.clone())
    }
}

/// What a look says against a machine that was once made.
fn contradiction(row: &SeatProgress, state: MachineState, look: Look<'_>) -> Option<(MachineState, String)> {
    let node = look.node(row).map_or_else(|| "its node".to_owned(), ToString::to_string);
    if !look.node_online {
        let since = look.offline_since.map(|at| format!(" since {}", at.strftime("%H:%M UTC"))).unwrap_or_default();
        return Some((MachineState::Unknown, format!("{node} offline{since}")));
    }
    let vmid = row.vmid?;
    let Some(guest) = look.guest else {
        return Some((MachineState::Gone, format!("no longer on the site (VMID {vmid} on {node})")));
    };
    if guest.lock.as_ref().is_some_and(|lock| lock.as_str() == "destroyed") {
        let words = match row.removal.as_ref().filter(|removal| removal.vmid == vmid) {
            Some(_) => format!("its removal was begun and is not through (VMID {vmid} on {node})"),
            None => format!("half removed by somebody else, its disks are gone (VMID {vmid} on {node})"),
        };
        return Some((MachineState::Failed, words));
    }
    if let Some(name) = guest.name.as_ref().filter(|name| name.as_str() != row.name && !guest.is_tagged()) {
        return Some((MachineState::Gone, format!("VMID {vmid} is another machine now ({name})")));
    }
    let proven = row.proven_at?;
    // The broadcast may still show the time before the machine was started.
    let fresh = |slack: Duration| elapsed(proven, look.at) <= slack;
    let lag =
        if row.step(StepName::Agent).is_some_and(|s| s.state == StepState::Ok) { AFTER_ROLL_CALL } else { BROADCAST };
    match guest.power {
        // What was shut down as asked says so itself.
        Power::Stopped if !fresh(lag) && state != MachineState::Stopped => {
            return Some((MachineState::Stopped, format!("stopped since its roll call at {}", clock(proven))));
        }
        Power::Unknown if !fresh(BROADCAST + BROADCAST) => {
            return Some((MachineState::Stale, format!("{node} sends no data about it")));
        }
        _ => {}
    }
    if state != MachineState::Ready {
        return None;
    }
    if row.node.as_ref().is_some_and(|home| *home != guest.node) {
        let home = row.node.as_ref().map(ToString::to_string).unwrap_or_default();
        return Some((MachineState::Stale, format!("moved from {home} to {node} since its roll call")));
    }
    let up = Duration::from_secs(guest.uptime);
    if guest.power == Power::Running && up + CLOCKS + BROADCAST < elapsed(proven, look.at) {
        return Some((MachineState::Stale, format!("restarted since its roll call at {}", clock(proven))));
    }
    None
}

/// Whether the machine stood on the site at some time.
pub(super) fn was_made(row: &SeatProgress) -> bool {
    let made = |step: StepName| row.step(step).is_some_and(|step| step.state == StepState::Ok);
    row.proven_at.is_some() || made(StepName::Clone) || made(StepName::Create) || made(StepName::Network)
}

/// Whether its settings were written at some time.
pub(super) fn was_configured(row: &SeatProgress) -> bool {
    row.proven_at.is_some() || row.step(StepName::Configure).is_some_and(|step| step.state == StepState::Ok)
}

/// Time from `from` to `to`, nothing if it lies the other way round.
fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from).max(SignedDuration::ZERO)).unwrap_or_default()
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M UTC").to_string()
}

/// `13 h`, `45 min`.
fn hours(age: Duration) -> String {
    match age.as_secs() {
        s if s >= 3600 && (s % 3600 == 0 || s >= 10 * 3600) => format!("{} h", s / 3600),
        s if s >= 3600 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s if s >= 60 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// How a lab stands as a whole. `alive`: a run works on it at this moment.
pub fn lab_state(
    definition: &Definition,
    progress: &Progress,
    view: Option<&ClusterView>,
    alive: bool,
    now: Timestamp,
    max_age: Duration,
) -> LabState {
    lab_state_by(definition, progress, |row| view.and_then(|view| Look::of(view, row)), alive, now, max_age)
}

/// The same for whoever finds a seat's machine faster than by going through all there are.
pub fn lab_state_by<'v>(
    definition: &Definition,
    progress: &'v Progress,
    look: impl Fn(&'v SeatProgress) -> Option<Look<'v>>,
    alive: bool,
    now: Timestamp,
    max_age: Duration,
) -> LabState {
    if let Some(state) = worked_on(progress, alive) {
        return state;
    }
    let made = progress.seats.iter().filter(|row| row.vmid.is_some() || matches!(row.role, Role::Host | Role::Seat));
    let states = made.map(|row| (&row.seat, current_state(row, look(row), alive, now, max_age).0)).collect();
    let defined = match definition {
        Definition::Class(class) => class.seats(),
        Definition::Workshop(workshop) => workshop.rows(),
    };
    sum_up(&defined, &states)
}

/// What a run at work on the lab makes of it.
pub(super) fn worked_on(progress: &Progress, alive: bool) -> Option<LabState> {
    match progress.run.as_ref().filter(|_| alive)?.kind {
        RunKind::Deploy => Some(LabState::Deploying),
        RunKind::Destroy => Some(LabState::Destroying),
        RunKind::Check | RunKind::Start | RunKind::Stop | RunKind::Restart | RunKind::Adopt => None,
    }
}

/// What the states of a lab's rows come to.
pub(super) fn sum_up(defined: &[(SeatName, Role)], states: &BTreeMap<&SeatName, MachineState>) -> LabState {
    let count = |wanted: MachineState| states.values().filter(|state| **state == wanted).count();
    if states.is_empty() || count(MachineState::Gone) == states.len() {
        return LabState::Absent;
    }
    if defined.iter().all(|(seat, _)| states.get(seat) == Some(&MachineState::Ready)) {
        LabState::Ready
    } else if count(MachineState::Stopped) == states.len() {
        LabState::Stopped
    } else if count(MachineState::Ready) == 0 && count(MachineState::Failed) > 0 {
        LabState::Failed
    } else {
        LabState::Partial
    }
}

/// What must be one machine's own within a lab.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub seat: &'a SeatName,
    pub ip: Option<IpAddr>,
    /// `/etc/machine-id`.
    pub machine_id: Option<&'a str>,
    /// Each `TYPE BASE64`.
    pub host_keys: &'a [String],
}

/// Seats that share an address, a machine-id or a host key: every seat concerned, with a sentence that names
/// the others.
pub fn duplicates(seats: &[Identity<'_>]) -> Vec<(SeatName, String)> {
    let mut out = Vec::new();
    for one in seats {
        let others = |same: &dyn Fn(&Identity<'_>) -> bool| {
            let names: Vec<String> =
                seats.iter().filter(|o| o.seat != one.seat && same(o)).map(|o| o.seat.to_string()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        if let Some(ip) = one.ip
            && let Some(names) = others(&|other| other.ip == Some(ip))
        {
            out.push((one.seat.clone(), format!("shares the address {ip} with {names}")));
        }
        if let Some(id) = one.machine_id.map(str::trim).filter(|id| !id.is_empty())
            && let Some(names) = others(&|other| other.machine_id.map(str::trim) == Some(id))
        {
            let cure = "empty /etc/machine-id in the template";
            out.push((one.seat.clone(), format!("shares its machine-id with {names}; {cure}")));
        }
        let key = |key: &str| key.split_whitespace().nth(1).unwrap_or(key).to_owned();
        let own: Vec<String> = one.host_keys.iter().map(|k| key(k)).collect();
        if let Some(names) = others(&|other| other.host_keys.iter().any(|k| own.contains(&key(k)))) {
            let cure = "remove /etc/ssh/ssh_host_* from the template";
            out.push((one.seat.clone(), format!("shares an SSH host key with {names}; {cure}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planning::fixture::{World, now};

    const DAY: Duration = Duration::from_secs(12 * 3600);

    fn world() -> World {
        let mut world = World::new();
        world.stand();
        world
    }

    /// How `ada` stands, with the reason.
    fn ada(world: &World) -> (MachineState, String) {
        let row = world.progress.seats.iter().find(|row| row.seat.as_str() == "ada").unwrap();
        let (state, reason) = current_state(row, Look::of(&world.view, row), false, now(), DAY);
        (state, reason.map(|r| r.to_string()).unwrap_or_default())
    }

    fn lab(world: &World, alive: bool) -> LabState {
        let definition = Definition::Class(world.class.clone());
        lab_state(&definition, &world.progress, Some(&world.view), alive, now(), DAY)
    }

    #[test]
    fn a_proof_that_nothing_contradicts_is_ready() {
        assert_eq!(ada(&world()), (MachineState::Ready, String::new()));
    }

    #[test]
    fn a_machine_that_is_off_is_stopped_and_one_that_was_is_stale() {
        let mut world = world();
        world.guest_of("ada").power = Power::Stopped;
        assert_eq!(ada(&world), (MachineState::Stopped, "stopped since its roll call at 11:00 UTC".into()));
        world.guest_of("ada").power = Power::Running;
        world.guest_of("ada").uptime = 60;
        assert_eq!(ada(&world), (MachineState::Stale, "restarted since its roll call at 11:00 UTC".into()));
    }

    #[test]
    fn an_uptime_a_few_seconds_short_is_no_restart() {
        let mut world = world();
        world.guest_of("ada").uptime = 3600 - 40;
        assert_eq!(ada(&world).0, MachineState::Ready);
    }

    #[test]
    fn a_broadcast_from_before_the_start_does_not_outweigh_a_fresh_proof() {
        let mut world = world();
        world.row("ada").proven_at = Some(now() - SignedDuration::from_secs(3));
        world.guest_of("ada").power = Power::Stopped;
        world.guest_of("ada").uptime = 0;
        assert_eq!(ada(&world).0, MachineState::Ready);
        world.guest_of("ada").power = Power::Unknown;
        assert_eq!(ada(&world).0, MachineState::Ready);
    }

    #[test]
    fn a_machine_on_another_node_is_stale() {
        let mut world = world();
        let home = world.guest_of("ada").node.clone();
        let away = if home.as_str() == "pve3" { "pve1" } else { "pve3" };
        world.guest_of("ada").node = crate::domain::NodeName::new(away);
        assert_eq!(ada(&world), (MachineState::Stale, format!("moved from {home} to {away} since its roll call")));
    }

    #[test]
    fn data_that_stays_away_makes_a_machine_stale() {
        let mut world = world();
        world.guest_of("ada").power = Power::Unknown;
        assert!(ada(&world).1.ends_with("sends no data about it"));
    }

    #[test]
    fn an_old_proof_is_stale_and_says_how_old() {
        let mut world = world();
        world.row("ada").proven_at = Some(now() - SignedDuration::from_hours(13));
        world.guest_of("ada").uptime = 100_000;
        assert_eq!(ada(&world), (MachineState::Stale, "proven 13 h ago, a proof counts for 12 h".into()));
    }

    #[test]
    fn a_node_that_does_not_answer_makes_its_machines_unknown_and_never_gone() {
        let mut world = world();
        let node = world.guest_of("ada").node.to_string();
        world.take_offline(&node);
        assert_eq!(ada(&world), (MachineState::Unknown, format!("{node} offline")));
        world.vanish("ada");
        assert_eq!(ada(&world).0, MachineState::Unknown);
        let row = world.row("ada").clone();
        let look = Look { guest: None, node_online: false, offline_since: Some(now()), at: now() };
        let (_, reason) = current_state(&row, Some(look), false, now(), DAY);
        assert_eq!(reason.unwrap().as_str(), format!("{node} offline since 12:00 UTC"));
    }

    #[test]
    fn a_machine_missing_from_a_complete_view_is_gone_but_not_without_quorum() {
        let mut world = world();
        let (vmid, node) = (world.vmid("ada"), world.guest_of("ada").node.clone());
        world.vanish("ada");
        assert_eq!(ada(&world), (MachineState::Gone, format!("no longer on the site (VMID {vmid} on {node})")));
        world.view.quorate = Some(false);
        assert_eq!(ada(&world).0, MachineState::Ready);
    }

    #[test]
    fn a_number_taken_by_another_machine_is_gone() {
        let mut world = world();
        let guest = world.guest_of("ada");
        (guest.name, guest.tags) = (Some("db1".into()), Vec::new());
        assert!(ada(&world).1.contains("is another machine now (db1)"));
    }

    #[test]
    fn work_without_a_living_run_was_broken_off() {
        let mut world = world();
        let row = world.row("ada");
        (row.state, row.proven_at) = (MachineState::Working, None);
        row.steps.iter_mut().find(|s| s.step == StepName::Agent).unwrap().state = StepState::Running;
        let reason = "the run was broken off at agent; deploy goes on from there";
        assert_eq!(ada(&world), (MachineState::Failed, reason.into()));
        let row = world.row("ada").clone();
        assert_eq!(current_state(&row, None, true, now(), DAY).0, MachineState::Working);
    }

    #[test]
    fn a_proven_machine_whose_check_was_broken_off_is_stale_and_no_failure() {
        let mut world = world();
        world.row("ada").state = MachineState::Planned;
        assert_eq!(ada(&world), (MachineState::Stale, "its roll call was broken off".into()));
        world.guest_of("ada").power = Power::Stopped;
        assert_eq!(ada(&world).0, MachineState::Stopped);
    }

    #[test]
    fn a_lab_is_as_its_seats_are() {
        let mut world = World::new();
        assert_eq!(lab(&world, false), LabState::Absent);
        world.stand();
        assert_eq!(lab(&world, false), LabState::Ready);
        world.guest_of("ada").power = Power::Stopped;
        assert_eq!(lab(&world, false), LabState::Partial);
        for guest in &mut world.view.guests {
            guest.power = Power::Stopped;
        }
        assert_eq!(lab(&world, false), LabState::Stopped);
        world.row("ada").state = MachineState::Failed;
        assert_eq!(lab(&world, false), LabState::Failed);
        for seat in ["teacher", "ada", "grace"] {
            world.vanish(seat);
        }
        assert_eq!(lab(&world, false), LabState::Absent);
    }

    #[test]
    fn a_seat_added_to_the_definition_makes_a_ready_lab_partial() {
        let mut world = world();
        world.class.students =
            crate::domain::class::Students::Named(["ada", "grace", "lin"].map(|s| s.parse().unwrap()).to_vec());
        assert_eq!(lab(&world, false), LabState::Partial);
    }

    #[test]
    fn seats_that_share_an_identity_are_all_named() {
        let seats: Vec<SeatName> = ["a", "b", "c"].iter().map(|s| s.parse().unwrap()).collect();
        let keys = |key: &str| vec![format!("ssh-ed25519 {key}")];
        let (one, two, three) = (keys("K1"), keys("K2"), keys("K1"));
        let identity = |n: usize, ip: &str, id, host_keys| Identity {
            seat: &seats[n],
            ip: ip.parse().ok(),
            machine_id: Some(id),
            host_keys,
        };
        let found = duplicates(&[
            identity(0, "10.0.0.1", "m1\n", &one),
            identity(1, "10.0.0.1", "m2", &two),
            identity(2, "10.0.0.3", "m1", &three),
        ]);
        let lines: Vec<String> = found.iter().map(|(seat, why)| format!("{seat} {why}")).collect();
        assert_eq!(
            lines,
            [
                "a shares the address 10.0.0.1 with b",
                "a shares its machine-id with c; empty /etc/machine-id in the template",
                "a shares an SSH host key with c; remove /etc/ssh/ssh_host_* from the template",
                "b shares the address 10.0.0.1 with a",
                "c shares its machine-id with a; empty /etc/machine-id in the template",
                "c shares an SSH host key with a; remove /etc/ssh/ssh_host_* from the template",
            ]
        );
    }
}
