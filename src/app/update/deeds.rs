//! What is done to machines that stand, one or many at once: the roll call again, power, and taking them away.
//! What disturbs or removes is asked about first, once, with everything named.

use std::collections::BTreeSet;

use tui_input::Input;

use super::{
    acts::{count, lab, no},
    say,
};
use crate::{
    app::{
        Context, Effect, State,
        marks::Marks,
        popup::{DeedPopup, DestroyPopup, Popup, Removal},
        rows::Target,
    },
    domain::{
        Definition, LabName, Level, NodeName, RunId, SeatName, cluster::GuestView, event::RunState,
        machine::machine_name, planning::Deed,
    },
};

/// What of the targets stands, and how many machines that is. Labs of which nothing stands are left out.
fn standing(state: &State, targets: Vec<Target>) -> (Vec<Target>, usize) {
    let mut machines = 0;
    let targets = targets.into_iter().filter_map(|target| {
        let row = state.class(&target.lab)?;
        let made: Vec<SeatName> = row.standing().map(|seat| seat.seat.clone()).collect();
        let seats: Vec<_> = target.seats.iter().filter(|seat| made.contains(seat)).cloned().collect();
        let whole = target.seats.is_empty();
        let n = if whole { made.len() } else { seats.len() };
        machines += n;
        (n > 0).then_some(Target { lab: target.lab, seats })
    });
    let targets = targets.collect();
    (targets, machines)
}

/// What the command is about, as far as it stands; or why there is nothing.
fn chosen(state: &mut State, deed: &str) -> Option<(Vec<Target>, usize)> {
    let targets = state.targets();
    if targets.is_empty() {
        let why = match (state.base_context(), lab(state)) {
            (Context::Node, _) | (_, Ok(_)) => "that machine is no seat of a lab",
            (_, Err(why)) => why,
        };
        no(state, why);
        return None;
    }
    let named = match targets.as_slice() {
        [Target { lab, seats }] => match seats.as_slice() {
            [seat] => format!("{lab}/{seat} is not made yet, so there is nothing to {deed}"),
            _ => nothing_stands(state, lab, deed),
        },
        _ => format!("nothing of it stands, so there is nothing to {deed}"),
    };
    let (targets, machines) = standing(state, targets);
    if targets.is_empty() {
        no(state, named);
        return None;
    }
    Some((targets, machines))
}

/// That the store knows of no machine of a lab; where the site shows some by its names, it may have been lost.
fn nothing_stands(state: &State, lab: &LabName, deed: &str) -> String {
    let nothing = format!("{lab}: nothing stands, so there is nothing to {deed}");
    let Some(Definition::Class(class)) = state.definition(lab) else { return nothing };
    let Some(view) = state.sites.get(&class.site).and_then(|site| site.view.as_ref()) else { return nothing };
    let names: BTreeSet<String> = class.seats().iter().map(|(seat, _)| machine_name(lab, seat)).collect();
    let named = |guest: &&GuestView| guest.name.as_ref().is_some_and(|name| names.contains(name.as_str()));
    match view.guests.iter().filter(named).count() {
        0 => nothing,
        1 => format!("{lab}: a machine of its name stands and is not known here: homeroom adopt {}", class.site),
        n => format!("{lab}: {n} machines of its names stand and are not known here: homeroom adopt {}", class.site),
    }
}

/// Whether rows are marked: then even what disturbs nobody is named before it is done.
fn marked(state: &State) -> bool {
    state.marks().is_some_and(|marks| !marks.is_empty())
}

/// `c`: the roll call again, of the lab, of the seat under the cursor, or of all that is marked.
pub(super) fn check(state: &mut State) -> Vec<Effect> {
    let Some((targets, _)) = chosen(state, "check") else { return Vec::new() };
    if marked(state) {
        state.popup = Some(Popup::Deed(DeedPopup { targets, deed: Some(Deed::Check) }));
        return Vec::new();
    }
    if let [Target { lab, seats }] = targets.as_slice() {
        let whom = if seats.is_empty() { "every seat".to_owned() } else { count(seats) };
        say(state, Level::Info, format!("{lab}: roll call of {whom}"));
    }
    carry(targets, Deed::Check)
}

/// `p`, or a deed by its name: asks, with everything named.
pub(super) fn ask(state: &mut State, deed: Option<Deed>) -> Vec<Effect> {
    let verb = deed.map_or("start or stop", word);
    if let Some((targets, _)) = chosen(state, verb) {
        if let Some(why) = cannot(state, &targets, deed) {
            return no(state, why);
        }
        state.popup = Some(Popup::Deed(DeedPopup { targets, deed }));
    }
    Vec::new()
}

/// Why a deed is none for what was chosen: workshops run until their end, and in a cloud they start by themselves.
fn cannot(state: &State, targets: &[Target], deed: Option<Deed>) -> Option<String> {
    let rows = targets.iter().filter_map(|target| state.class(&target.lab));
    let workshops: Vec<_> = rows.filter(|row| row.workshop.is_some()).collect();
    if let Some(row) = workshops.iter().find(|row| state.is_in_cloud(row)) {
        return Some(format!("{}: its instance starts its seats by itself; d starts what stands still", row.lab));
    }
    let row = workshops.first().filter(|_| deed == Some(Deed::Stop))?;
    Some(format!("{} is a workshop: it runs until its end, or until x destroys it", row.lab))
}

/// A deed: in its popup it is carried out, elsewhere it is asked about.
pub(super) fn choose(state: &mut State, deed: Deed) -> Vec<Effect> {
    match state.popup.take() {
        Some(Popup::Deed(popup)) if popup.deed.is_none() => match cannot(state, &popup.targets, Some(deed)) {
            Some(why) => {
                state.popup = Some(Popup::Deed(popup));
                no(state, why)
            }
            None => done(state, popup.targets, deed),
        },
        Some(popup) => {
            state.popup = Some(popup);
            Vec::new()
        }
        None => ask(state, Some(deed)),
    }
}

/// Enter on a deed that was asked for.
pub(super) fn confirm(state: &mut State) -> Vec<Effect> {
    match state.popup.take() {
        Some(Popup::Deed(DeedPopup { targets, deed: Some(deed) })) => done(state, targets, deed),
        popup => {
            state.popup = popup;
            Vec::new()
        }
    }
}

/// Carries it out; the marks have served.
fn done(state: &mut State, targets: Vec<Target>, deed: Deed) -> Vec<Effect> {
    let labs: Vec<_> = targets.iter().map(|target| target.lab.to_string()).collect();
    say(state, Level::Info, format!("{}: {}", labs.join(", "), word(deed)));
    state.marks_to_change().into_iter().for_each(Marks::clear);
    carry(targets, deed)
}

fn carry(targets: Vec<Target>, deed: Deed) -> Vec<Effect> {
    targets.into_iter().map(|Target { lab, seats }| Effect::Carry { lab, seats, deed }).collect()
}

/// A deed as a verb.
pub(super) fn word(deed: Deed) -> &'static str {
    match deed {
        Deed::Check => "check",
        Deed::Start => "start",
        Deed::Stop => "shut down",
        Deed::Restart => "restart",
    }
}

/// `x`: opens the popup that wants something typed. On a board without marks the whole class is meant.
pub(super) fn ask_destroy(state: &mut State) -> Vec<Effect> {
    let whole = state.base_context() == Context::Board && !marked(state);
    let found = if whole {
        let Some(lab) = state.target_lab() else { return Vec::new() };
        let (targets, machines) = standing(state, vec![Target { lab: lab.clone(), seats: Vec::new() }]);
        if targets.is_empty() {
            let why = nothing_stands(state, &lab, "destroy");
            return no(state, why);
        }
        Some((targets, machines))
    } else {
        chosen(state, "destroy")
    };
    if let Some((targets, machines)) = found {
        ask_removal(state, targets, machines, Removal::Destroy);
    }
    Vec::new()
}

/// Opens the popup that wants something typed.
fn ask_removal(state: &mut State, targets: Vec<Target>, machines: usize, why: Removal) {
    state.popup = Some(Popup::Destroy(DestroyPopup { targets, why, machines, typed: Input::default() }));
}

/// `b`: the machine of the seat under the cursor, or of those marked, anew.
pub(super) fn ask_rebuild(state: &mut State) -> Vec<Effect> {
    let Some((targets, machines)) = chosen(state, "rebuild") else { return Vec::new() };
    let is_workshop = |target: &Target| state.class(&target.lab).is_some_and(|row| row.workshop.is_some());
    if targets.iter().any(is_workshop) {
        return no(state, "a workshop's seat is made anew by destroying it and deploying again");
    }
    let away = |target: &Target| -> Vec<NodeName> {
        let Some(row) = state.class(&target.lab) else { return Vec::new() };
        let Some(view) = row.site().and_then(|site| state.sites.get(site)?.view.as_ref()) else { return Vec::new() };
        let seats = row.standing().filter(|seat| target.seats.contains(&seat.seat));
        let nodes = seats.filter_map(|seat| seat.node.cloned());
        nodes.filter(|node| view.node(node).is_some_and(|node| !node.online)).collect()
    };
    let mut away: Vec<NodeName> = targets.iter().flat_map(away).collect();
    away.sort();
    away.dedup();
    ask_removal(state, targets, machines, Removal::Rebuild { away });
    Vec::new()
}

/// `u`: what the run under the cursor made is looked up first.
pub(super) fn ask_rollback(state: &mut State) -> Vec<Effect> {
    let Some((lab, run)) = state.chosen_run() else { return no(state, "no run here") };
    if !run.kind.makes() {
        return no(state, format!("run {} is {}; only a deploy makes machines", run.id, run.kind.a_noun()));
    }
    if run.state == RunState::Running && !state.orphaned.contains(&run.id) {
        return no(state, format!("run {} is under way; C stops it", run.id));
    }
    say(state, Level::Info, format!("{lab}: looking what run {} made", run.id));
    vec![Effect::SurveyRollback { lab, run: run.id }]
}

/// What a deploy made is known: now it can be asked about.
pub(super) fn rollback_seen(state: &mut State, lab: LabName, run: RunId, seats: Vec<SeatName>) {
    let (targets, machines) = standing(state, vec![Target { lab: lab.clone(), seats: seats.clone() }]);
    if seats.is_empty() || targets.is_empty() {
        no(state, format!("{lab}: nothing that run {run} made stands any more"));
    } else if state.popup.is_none() {
        ask_removal(state, targets, machines, Removal::Rollback(run));
    }
}

/// Enter once what is wanted stands there.
pub(super) fn destroy(state: &mut State) -> Vec<Effect> {
    let Some(Popup::Destroy(popup)) = &state.popup else { return Vec::new() };
    if !popup.confirmed() {
        let text = format!("type {} to destroy", popup.wanted());
        return no(state, text);
    }
    let (targets, why) = (popup.targets.clone(), popup.why.clone());
    state.popup = None;
    state.marks_to_change().into_iter().for_each(Marks::clear);
    let effect = |Target { lab, seats }: Target| match &why {
        Removal::Destroy => Effect::Destroy { lab, seats },
        Removal::Rebuild { away } => Effect::Rebuild { lab, seats, abandon: !away.is_empty() },
        Removal::Rollback(run) => Effect::Rollback { lab, run: *run },
    };
    targets.into_iter().map(effect).collect()
}
