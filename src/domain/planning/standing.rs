//! What becomes of a seat that already has a number: kept, gone on with, proven, changed, or left alone.

use super::{
    GuestFacts, PlanInput, Removal,
    destroy::unseen,
    difference::{Difference, MADE_OF, difference, fields},
    steps::Target,
};
use crate::domain::{
    LabName, MachineState, NodeName, StepName, StepState, Vmid,
    class::{Profile, SeatSpec},
    cluster::{GuestView, Power},
    mark::Ownership,
    plan::{FieldChange, POOL, Verb},
    progress::SeatProgress,
    readiness::{Hand, Look, current_state, was_made},
    verify::{is_on, needs_stop},
};

/// What is to happen, before places and numbers are given out.
#[derive(Debug)]
pub(super) enum Fate {
    /// A new number and a new place; the reason where the seat had one before.
    New { because: Option<String> },
    /// Cloned under the number and on the node it already has; `reserve`: the journal does not say yet that
    /// these are set aside; `rest`: what a removal left there goes first.
    Again { home: Home, verb: Verb, reserve: bool, rest: bool, why: String },
    /// Removed and cloned anew under its number.
    Replace { home: Home, stop: bool, changes: Vec<FieldChange>, why: String },
    /// Nothing is cloned.
    Settled { home: Home, verb: Verb, changes: Vec<FieldChange>, steps: Vec<StepName>, why: String },
}

/// Where a seat's machine is, or is to be.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub node: NodeName,
    pub vmid: Vmid,
}

/// Whether the machine read under a seat's number carries the seat's mark.
pub(super) fn is_ours(input: &PlanInput<'_>, row: &SeatProgress, facts: &GuestFacts) -> bool {
    matches!(&facts.ownership, Ownership::Ours(mark) if mark.lab == input.progress.lab && mark.seat == row.seat)
}

/// That nothing proves whose a half removed machine is, and what to do.
pub(super) fn unproven(guest: &GuestView, name: &str, why: &str) -> String {
    let (vmid, node) = (guest.vmid, &guest.node);
    format!(
        "{name} ({vmid} on {node}) is half removed (lock: destroyed) and shows no mark any more, and {why}; if nobody is \
         removing it and nobody needs it, `qm unlock {vmid} && qm destroy {vmid}` on {node} ends it"
    )
}

/// Whether a machine is by all appearances the seat's own and carries no mark any more: nobody may touch it then.
pub(super) fn lost_its_mark(input: &PlanInput<'_>, row: &SeatProgress, guest: &GuestView, facts: &GuestFacts) -> bool {
    estranged(&input.progress.lab, row, guest, &facts.ownership) == Some(Estranged::LostMark)
}

/// That a machine lost its mark, and what to do.
pub(super) fn mark_gone(input: &PlanInput<'_>, row: &SeatProgress, guest: &GuestView) -> String {
    let (vmid, lab, site) = (guest.vmid, &input.progress.lab, &input.class.site);
    format!(
        "{} ({vmid} on {}) looks like ours and its mark is gone from the description: it is neither used, replaced nor \
         removed; `homeroom adopt {site} {lab}/{}={vmid}` puts the mark back, or rename the machine",
        row.name, guest.node, row.seat
    )
}

/// A clone of ours that Proxmox still writes, or that died: no mark can be seen yet.
pub(super) fn is_half_cloned(row: &SeatProgress, guest: &GuestView) -> bool {
    let cloned = row.step(StepName::Clone).is_some_and(|step| step.state == StepState::Ok);
    guest.lock.as_ref().is_some_and(|lock| lock.as_str() == "clone") && !cloned
}

fn is_done(row: &SeatProgress, step: StepName) -> bool {
    row.step(step).is_some_and(|step| matches!(step.state, StepState::Ok | StepState::Skipped))
}

/// What a mark that is not the seat's own means for the seat: the same for a plan and for whoever only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Estranged {
    /// It looks like the seat's own and carries no mark any more: it is left alone.
    LostMark,
    /// Another store has it now, for the same lab: nothing is deployed beside it.
    TakenOver,
    /// It is another machine: the seat gets a new number.
    Stranger,
}

/// What it means that a listed machine carries this; `None` where it is the seat's own.
pub fn estranged(lab: &LabName, row: &SeatProgress, guest: &GuestView, owner: &Ownership) -> Option<Estranged> {
    let named = guest.name.as_ref().is_some_and(|name| name.as_str() == row.name);
    match owner {
        Ownership::Ours(mark) if mark.lab == *lab && mark.seat == row.seat => None,
        Ownership::OtherStore(mark) if mark.lab == *lab => Some(Estranged::TakenOver),
        Ownership::Foreign if named || guest.is_tagged() => Some(Estranged::LostMark),
        _ => Some(Estranged::Stranger),
    }
}

/// Whose a machine is that is not ours, for people.
pub(super) fn stranger(guest: &GuestView, facts: Option<&GuestFacts>) -> String {
    whose(guest, facts.map(|facts| &facts.ownership))
}

/// The same by what it carries.
pub fn whose(guest: &GuestView, owner: Option<&Ownership>) -> String {
    let name = guest.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let whose = match owner {
        Some(Ownership::OtherStore(mark)) => format!("made by another homeroom store for {}/{}", mark.lab, mark.seat),
        Some(Ownership::Ours(mark)) => format!("the machine of {}/{}", mark.lab, mark.seat),
        _ => "not ours".to_owned(),
    };
    format!("{}{name} on {} is {whose}", guest.vmid, guest.node)
}

/// What becomes of a seat of the definition.
pub(super) fn fate(input: &PlanInput<'_>, spec: &SeatSpec, notes: &mut Vec<String>) -> Fate {
    let Some((row, vmid)) = input.progress.seat(&spec.seat).and_then(|row| Some((row, row.vmid?))) else {
        return Fate::New { because: None };
    };
    let guest = input.view.guest(vmid);
    let reserve = !is_done(row, StepName::Reserve);
    let Some(node) = guest.map(|g| g.node.clone()).or_else(|| row.node.clone()) else {
        return Fate::New { because: None };
    };
    let home = Home { node: node.clone(), vmid };
    let leave =
        |why: String| Fate::Settled { home: home.clone(), verb: Verb::Leave, changes: vec![], steps: vec![], why };
    let rebuild = input.rebuild.seats.contains(&spec.seat);
    if !input.online(&node) {
        if rebuild && input.rebuild.abandon {
            notes.push(format!(
                "{} ({vmid}) on {node} is given up, not removed: it still carries our mark; when {node} is back, \
                 `homeroom doctor` names it, and it must not run beside the new one",
                row.name
            ));
            return Fate::New { because: Some(format!("{vmid} on {node}, which is offline, is given up")) };
        }
        if rebuild {
            notes.push(format!("{node} is offline: --abandon-old gives {vmid} up and makes another machine"));
        }
        return leave(format!("left alone: {node} is offline, nothing is known of {vmid}"));
    }
    let Some(guest) = guest else {
        if input.view.quorate == Some(false) {
            return leave(format!("left alone: without quorum {vmid} may exist unseen"));
        }
        if was_made(row) && input.unseen.contains(&vmid) {
            notes.push(unseen(row, vmid));
            return leave(format!("left alone: {vmid} exists and may not be seen"));
        }
        return if was_made(row) {
            Fate::Again {
                home,
                verb: Verb::Create,
                reserve,
                rest: false,
                why: format!("{vmid} is no longer on the site; made anew on {node}"),
            }
        } else {
            Fate::Again {
                home,
                verb: Verb::Resume,
                reserve,
                rest: false,
                why: format!("run {} set aside {vmid} on {node}", row.run),
            }
        };
    };
    let facts = input.observed.get(&vmid);
    if is_half_cloned(row, guest) {
        let why = format!("run {} began to clone {vmid} on {node}", row.run);
        // Until its clone is done a machine lies where its template does.
        let home = Home { node: row.node.clone().unwrap_or(node), vmid };
        return Fate::Again { home, verb: Verb::Resume, reserve, rest: false, why };
    }
    let Some(facts) = facts else {
        return leave(format!("left alone: the settings of {vmid} on {node} could not be read"));
    };
    match &facts.removal {
        Removal::Ours => {
            let why = format!("a removal of {vmid} on {node} was begun and is ended; then it is made anew");
            return Fate::Again { home, verb: Verb::Resume, reserve, rest: true, why };
        }
        Removal::Unproven(why) => {
            notes.push(unproven(guest, &row.name, why));
            let because = format!("{vmid} on {node} is half removed, and nothing proves it ours");
            return Fate::New { because: Some(because) };
        }
        Removal::None => {}
    }
    if !is_ours(input, row, facts) {
        if lost_its_mark(input, row, guest, facts) {
            notes.push(mark_gone(input, row, guest));
            return leave(format!("left alone: the mark of {vmid} is gone"));
        }
        let whose = stranger(guest, Some(facts));
        notes.push(format!("{whose}; {} gets a new number and that machine is left alone", spec.seat));
        return Fate::New { because: Some(whose) };
    }
    let fate = if rebuild {
        let stop = guest.power != Power::Stopped;
        Fate::Replace { home: home.clone(), stop, changes: Vec::new(), why: "made anew, as asked".to_owned() }
    } else {
        of_ours(input, spec, row, guest, facts, home.clone())
    };
    if matches!(fate, Fate::Replace { .. }) && is_on(facts.config.get("protection").map(String::as_str)) {
        notes.push(format!("{} ({vmid}) is protected: `qm set {vmid} --protection 0` on {node} first", row.name));
        return leave("left alone: protected".to_owned());
    }
    if let Some(lock) = &guest.lock
        && !matches!(&fate, Fate::Settled { verb: Verb::Keep, .. })
    {
        notes.push(format!(
            "{} ({vmid}) is locked ({lock}) on {node}: what is to be done to it waits or fails",
            row.name
        ));
    }
    fate
}

/// The fate of a machine that is there and ours.
fn of_ours(
    input: &PlanInput<'_>,
    spec: &SeatSpec,
    row: &SeatProgress,
    guest: &GuestView,
    facts: &GuestFacts,
    home: Home,
) -> Fate {
    let rollcall = &input.class.rollcall;
    let Difference { mut changes, grow, replace, made_of, strange_key } = difference(input, spec, facts);
    changes.extend(joins(input, row, guest));
    // What somebody else changed is told, and done something about only where that is asked for.
    let acting: Vec<FieldChange> = changes.iter().filter(|c| !c.drift || input.fix_drift).cloned().collect();
    let running = guest.power == Power::Running;
    let done = |step| is_done(row, step);
    // Steps are asked for until the journal says they are done: each looks first whether there is anything to do.
    let owed = |step| row.step(step).is_some() && !done(step);
    let settled = |verb, changes, target: Target, why| Fate::Settled {
        home: home.clone(),
        verb,
        changes,
        steps: target.steps(rollcall),
        why,
    };
    let replaced = |changes: Vec<FieldChange>| {
        // What else changes goes along with it.
        let forces = |change: &&FieldChange| {
            MADE_OF.contains(&change.field.as_str()) || change.field == "bios" || (change.field == "disk" && !grow)
        };
        let forcing: Vec<_> = changes.iter().filter(forces).cloned().collect();
        let why = format!("{} cannot be changed in place", fields(&forcing));
        Fate::Replace { home: home.clone(), stop: guest.power != Power::Stopped, changes, why }
    };
    // Whatever a later run set out to do and did not, this much was done.
    let whole = input.applied.get(&spec.seat).is_some_and(|applied| applied.whole);
    if made_of {
        return replaced(changes);
    }
    if row.proven_at.is_none() && !whole && !done(StepName::Clone) {
        let why = format!("run {} cloned it and could not write that down", row.run);
        return Fate::Again { home, verb: Verb::Resume, reserve: !done(StepName::Reserve), rest: false, why };
    }
    let written = whole || done(StepName::Configure);
    if row.proven_at.is_none() && !(written && done(StepName::Start)) {
        let configure = !written || acting.iter().any(is_setting);
        let start = !running || !done(StepName::Start);
        let target =
            Target { configure, resize: grow || owed(StepName::Resize), start, proofs: true, ..Target::default() };
        return settled(Verb::Resume, changes, target, format!("run {} cloned it and went no further", row.run));
    }
    if acting.iter().all(|change| change.field == POOL) && (acting.is_empty() || acting.len() < changes.len()) {
        return left_as_it_is(input, row, running, (changes, acting), home);
    }
    if replace {
        return replaced(changes);
    }
    let configure = acting.iter().any(is_setting);
    let stop = running && (strange_key || acting.iter().any(|change| change.field != POOL && needs_stop(change)));
    let off = if stop || running { "" } else { "; it is off and is started" };
    let why = format!("{}{off}", told(&changes, input.fix_drift));
    let target = Target { configure, resize: grow, start: stop || !running, proofs: true, ..Target::default() };
    if !stop {
        return settled(Verb::Update, changes, target, why);
    }
    let mut steps = vec![StepName::Stop];
    steps.extend(target.steps(rollcall));
    let or_else = match strange_key {
        true => format!(", or `homeroom adopt {} --rekey {}`, which needs none", input.class.site, input.class.name),
        false => String::new(),
    };
    Fate::Settled { home, verb: Verb::Restart, changes, steps, why: format!("{why}; needs a stop{or_else}") }
}

/// The fate of a machine whose settings stay: kept or proven. `drift` is what somebody else changed; `own`, that it is
/// still to join the lab's pool, which touches nothing of the machine's.
fn left_as_it_is(
    input: &PlanInput<'_>,
    row: &SeatProgress,
    running: bool,
    (drift, own): (Vec<FieldChange>, Vec<FieldChange>),
    home: Home,
) -> Fate {
    let rollcall = &input.class.rollcall;
    let drifted = match drift.iter().any(|change| change.drift) {
        true => format!("; {}, --fix-drift puts it right", told(&drift, true)),
        false => String::new(),
    };
    let hand = Hand::nobodys(input.progress);
    // Its mark was read.
    let look = Look::of(input.view, row).map(|look| Look { ours: Some(true), ..look });
    let stand = current_state(row, look, hand, input.now, input.site.proof_max_age);
    let settled = |verb, changes, steps, why| Fate::Settled { home, verb, changes, steps, why };
    if stand.state == MachineState::Ready {
        let verb = if own.is_empty() { Verb::Keep } else { Verb::Update };
        return settled(verb, drift, Vec::new(), format!("ready{drifted}"));
    }
    // With the roll call off, a look at its power is all the proof there is.
    let start = !running || rollcall.profile == Profile::Off;
    let reason = stand.reason.map_or_else(|| "not proven yet".to_owned(), |reason| reason.to_string());
    let target = Target { start, proofs: true, ..Target::default() };
    settled(Verb::Prove, drift, target.steps(rollcall), format!("{reason}{drifted}"))
}

/// What changes, told apart from what somebody else changed: `cores; changed by someone else: memory`.
fn told(changes: &[FieldChange], fixed: bool) -> String {
    let (drift, own): (Vec<_>, Vec<_>) = changes.iter().cloned().partition(|change| change.drift);
    let left = if fixed { "" } else { " and left so" };
    let by_others = (!drift.is_empty()).then(|| format!("changed by someone else{left}: {}", fields(&drift)));
    let own = (!own.is_empty()).then(|| fields(&own));
    own.into_iter().chain(by_others).collect::<Vec<_>>().join("; ")
}

/// Whether a change is written to the machine's settings.
fn is_setting(change: &FieldChange) -> bool {
    change.field != "disk" && change.field != POOL
}

/// The machine's way into the lab's pool, if it stands outside. It is drift only once it was seen in there.
fn joins(input: &PlanInput<'_>, row: &SeatProgress, guest: &GuestView) -> Option<FieldChange> {
    let to = input.class.pool.clone()?;
    let from = guest.pool.as_ref().map(ToString::to_string).unwrap_or_default();
    let drift = row.pool.as_ref() == Some(&to);
    (from != to)
        .then(|| FieldChange { drift, ..FieldChange::new(POOL, if from.is_empty() { "none" } else { &from }, &to) })
}
