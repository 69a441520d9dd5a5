//! What is wrong, in words: sites that do not answer, nodes that are down, seats that failed or went off.
//!
//! What somebody switched off on purpose is not wrong, nor what a run has in hand.

use jiff::{SignedDuration, Timestamp};

use crate::{
    app::{
        State,
        engines::Engine,
        labs::ClassRow,
        seats::{self, SeatRow},
        shown::Labs,
        sites::{Lost, Site},
    },
    domain::{
        Clean, LabName, MachineState, Role, SeatName, SiteName,
        alert::Grade,
        planning::costing,
        readiness::{Phase, ago},
    },
};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub grade: Grade,
    pub about: About,
    /// A sentence without its end.
    pub text: Clean,
}

/// Where it can be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Store,
    Site(SiteName),
    /// A lab, and the worst of its seats.
    Lab(LabName, Option<SeatName>),
}

/// All that is wrong, the worst first; of equals, what explains the others comes first.
pub(super) fn of(state: &State, labs: &Labs<'_>, stale: SignedDuration, began: Timestamp) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if let Some(lost) = &state.store_lost {
        wrong.push(Wrong { grade: Grade::Red, about: About::Store, text: told("the store cannot be read", &lost.why) });
    }
    for (name, site) in &state.sites {
        of_site(&mut wrong, name, site, state, stale, began);
    }
    for row in &labs.classes {
        of_class(&mut wrong, row);
    }
    of_workshops(&mut wrong, state, &labs.workshops);
    of_clouds(&mut wrong, state);
    wrong.sort_by_key(|wrong| std::cmp::Reverse(wrong.grade));
    wrong
}

/// Off on purpose: every machine there is was shut down as asked, or found off by a roll call that somebody wanted.
pub(super) fn is_planned_off(row: &ClassRow<'_>) -> bool {
    let mut standing = row.standing().peekable();
    standing.peek().is_some() && standing.all(is_off_on_purpose)
}

/// The store itself says that it is off. One that only a look shows to be off went off by itself.
fn is_off_on_purpose(seat: &SeatRow<'_>) -> bool {
    seat.state == MachineState::Stopped && is_recorded(seat)
}

/// Whether homeroom brought the state about, or somebody has been told of it.
fn is_recorded(seat: &SeatRow<'_>) -> bool {
    seat.progress.is_some_and(|known| known.state == seat.state) && !seat.went_off()
}

fn of_site(
    wrong: &mut Vec<Wrong>,
    name: &SiteName,
    site: &Site,
    state: &State,
    stale: SignedDuration,
    began: Timestamp,
) {
    let now = state.now;
    let mut say = |grade, text: Clean| wrong.push(Wrong { grade, about: About::Site(name.clone()), text });
    let seen = site.view.as_ref().map_or(began, |view| view.at);
    let old = now.duration_since(seen) >= stale;
    match &site.lost {
        Some(lost) if old || site.view.is_none() && site.silent_for(now, state.settings.idle).is_some() => {
            return say(Grade::Red, silent(name, lost, state));
        }
        None if old => return say(Grade::Red, Clean::from(format!("{name} has not been seen for {}", age(now, seen)))),
        Some(lost) => say(Grade::Watch, silent(name, lost, state)),
        // It explains what is said of its seats.
        None if site.silent_for(now, state.settings.idle).is_some() => {
            say(Grade::Watch, Clean::from(format!("{name} has not been seen for {}", age(now, seen))));
        }
        None => {}
    }
    let Some(view) = &site.view else { return };
    if view.quorate == Some(false) {
        say(Grade::Red, Clean::from(format!("{name} has no quorum")));
    }
    let mut down: Vec<_> = view.nodes.iter().filter(|node| !node.online).map(|node| node.node.as_str()).collect();
    down.sort_unstable();
    match down.as_slice() {
        [] => {}
        [node] => say(Grade::Red, Clean::from(format!("node {node} is offline"))),
        nodes => say(Grade::Red, Clean::from(format!("{} nodes are offline: {}", nodes.len(), nodes.join(", ")))),
    }
}

/// In steps: a banner that counts seconds would never be still.
fn age(now: Timestamp, seen: Timestamp) -> String {
    ago(now.duration_since(seen).try_into().unwrap_or_default())
}

/// A site that does not answer, and since when, named once: of the error what comes behind its name, which is the cause.
fn silent(name: &SiteName, lost: &Lost, state: &State) -> Clean {
    let why = lost.why.as_str();
    let day = state.now.duration_since(lost.since) >= SignedDuration::from_hours(24);
    let since = lost.since.to_zoned(state.settings.zone.clone());
    let since = since.strftime(if day { "%d %b %H:%M" } else { "%H:%M" });
    let named = why.match_indices(name.as_str()).filter_map(|(at, _)| {
        let before = why[..at].chars().next_back();
        before.is_none_or(|c| c == ' ').then(|| &why[at + name.as_str().len()..])
    });
    let behind = named.map(|rest| (rest.strip_prefix(": "), rest.strip_prefix(' '))).last();
    let says = match behind {
        Some((Some(cause), _)) => format!("does not answer: {}", unaddressed(cause)),
        Some((_, Some(says))) => says.to_owned(),
        _ => format!("does not answer: {}", unaddressed(why)),
    };
    // The time goes before the cause, which is what is cut where there is little room.
    Clean::from(match says.split_once(": ") {
        Some((what, cause)) => format!("{name} {what}, since {since}: {cause}"),
        None => format!("{name} {says}, since {since}"),
    })
}

/// A cause without the addresses that were asked: they stand in the log, and would leave no room for it in a line.
fn unaddressed(cause: &str) -> String {
    let mut kept = String::new();
    for word in cause.split(' ') {
        if word.trim_start_matches('(').starts_with("https://") {
            // What stood behind it still parts two sentences.
            kept.extend(word.ends_with(';').then_some(';'));
            continue;
        }
        kept.extend((!kept.is_empty()).then_some(' '));
        kept.push_str(word);
    }
    kept
}

fn told(what: &str, why: &Clean) -> Clean {
    Clean::from(format!("{what}: {why}"))
}

/// How seats are wrong, the worst first: what is said of one, what of several, and how bad it is. The words are those of
/// the states wherever they make a sentence.
const WRONG: [(MachineState, &str, Grade); 4] = [
    (MachineState::Failed, "failed", Grade::Red),
    (MachineState::Gone, "gone", Grade::Red),
    (MachineState::Stopped, "went off", Grade::Red),
    (MachineState::Unknown, "unknown", Grade::Watch),
];

/// What is wrong with so many seats of a lab, of which this is the first. A workshop's host is no seat, and always the
/// first.
fn of_seats(count: usize, word: &str, lab: &LabName, (first, role): (&SeatName, Role), reason: &str) -> String {
    let host = role == Role::Host;
    match (host, count) {
        (true, 1) => format!("the host of {lab} {word}: {reason}"),
        (true, _) => format!("{} {word} in {lab}: {reason}", counted(host, count)),
        (false, 1) => format!("1 seat {word}: {lab} {first}: {reason}"),
        (false, _) => format!("{} {word} in {lab}: {first}: {reason}", counted(host, count)),
    }
}

/// So many rows of a lab, the first of them a workshop's host or not: `the host and 3 seats`.
fn counted(host: bool, count: usize) -> String {
    match (host, count - usize::from(host)) {
        (true, 0) => "the host".to_owned(),
        (true, 1) => "the host and 1 seat".to_owned(),
        (true, n) => format!("the host and {n} seats"),
        (false, 1) => "1 seat".to_owned(),
        (false, n) => format!("{n} seats"),
    }
}

fn of_class(wrong: &mut Vec<Wrong>, row: &ClassRow<'_>) {
    let lab = row.lab;
    let mut say = |grade, seat: Option<&SeatName>, text: String| {
        wrong.push(Wrong { grade, about: About::Lab(lab.clone(), seat.cloned()), text: Clean::from(text) });
    };
    for (state, word, grade) in WRONG {
        // A run is about to change what is off or gone; what failed in it has failed.
        if row.is_worked_on() && state != MachineState::Failed {
            continue;
        }
        let meant = |seat: &SeatRow<'_>| state != MachineState::Failed && is_recorded(seat);
        let mut seats = row.seats.iter().filter(|seat| seat.state == state && seat.cut.is_none() && !meant(seat));
        let Some(first) = seats.next() else { continue };
        let count = 1 + seats.count();
        let reason = first.cause().unwrap_or_else(|| "no reason is known".to_owned());
        say(grade, Some(&first.seat), of_seats(count, word, lab, (&first.seat, first.role), &reason));
    }
    if let Some((seat, text)) = left_undone(row) {
        say(Grade::Watch, seat, text);
    }
    if let Some(stale) = row.seats.iter().find(|seat| seat.state == MachineState::Stale) {
        let reason = stale.reason.as_ref().map_or("", |reason| reason.as_str());
        let count = row.count(MachineState::Stale).max(1);
        let text = of_seats(count, "stale", lab, (&stale.seat, stale.role), reason);
        say(Grade::Watch, Some(&stale.seat), text);
    }
}

/// A run of the lab that was cut off and that nobody goes on with; the first seat it left.
fn left_undone<'a>(row: &'a ClassRow<'_>) -> Option<(Option<&'a SeatName>, String)> {
    let Phase::Cut(cut) = row.phase else { return None };
    let seat = row.seats.iter().find(|seat| seat.cut.is_some());
    let run = row.run().map_or_else(|| "a run".to_owned(), |run| format!("{} {}", run.kind.noun(), run.id));
    Some((seat.map(|seat| &seat.seat), format!("{run} of {} was {}", row.lab, cut.as_str())))
}

/// Instances of ours that nobody looks after: each costs money until somebody does.
fn of_clouds(wrong: &mut Vec<Wrong>, state: &State) {
    if !state.definitions_known {
        return;
    }
    let labs: Vec<_> = state.progress.values().collect();
    for (site, engine) in &state.engines {
        let Some(view) = engine.cloud.as_deref() else { continue };
        let keeps = |lab: &LabName| state.defined_keeps_disk(lab);
        let prices = engine.prices.as_ref().map(|(prices, _)| prices);
        // A look from before the end of what a run did says nothing about what is left.
        let is_old = |lab: &LabName| {
            let run = state.progress.get(lab).and_then(|progress| progress.run.as_ref());
            run.is_some_and(|run| run.ended_at.is_none_or(|ended| ended >= view.at))
        };
        for it in costing(&engine.store, view, &labs, keeps, state.now, prices) {
            let (Some(lab), Some(zone)) = (it.lab.filter(|lab| !is_old(lab)), it.zone) else { continue };
            // One that is kept costs because somebody said so.
            if it.ours && !it.kept {
                let disk = if it.what == "disk" { "the disk " } else { "" };
                let mend = match state.definitions.iter().any(|definition| *definition.name() == lab) {
                    true => format!("`homeroom destroy {lab}` ends it"),
                    false => "`homeroom doctor` says how to end it".to_owned(),
                };
                let text = format!("{disk}{} in {zone} runs up costs: {}; {mend}", it.name, it.why);
                wrong.push(Wrong { grade: Grade::Watch, about: About::Site(site.clone()), text: Clean::from(text) });
            }
        }
    }
}

/// Workshops are looked at as classes are. Those on an engine that is not looked at from here are known by what the store
/// says of them.
fn of_workshops(wrong: &mut Vec<Wrong>, state: &State, workshops: &[ClassRow<'_>]) {
    for row in workshops {
        let (Some(workshop), Some(progress)) = (row.workshop, row.progress) else { continue };
        if let Some(why) = progress.life.as_ref().and_then(|life| life.hindered.as_ref()) {
            let text = told(&format!("{} is past its end and could not be ended", workshop.name), why);
            wrong.push(Wrong { grade: Grade::Red, about: About::Lab(workshop.name.clone(), None), text });
        }
        // Before the first look there is nothing but the store.
        if row.site().and_then(|site| state.engines.get(site)).is_some_and(Engine::was_seen) {
            of_class(wrong, row);
            continue;
        }
        if let Some((_, text)) = left_undone(row) {
            let about = About::Lab(row.lab.clone(), None);
            wrong.push(Wrong { grade: Grade::Watch, about, text: Clean::from(text) });
        }
        let mut failed = progress.seats.iter().filter(|seat| seat.state == MachineState::Failed);
        let Some(first) = failed.next() else { continue };
        let reason = first.reason.as_ref().map(|reason| seats::cause(first, reason.as_str()));
        let reason = reason.unwrap_or_else(|| "no reason is known".to_owned());
        let text = of_seats(1 + failed.count(), "failed", &workshop.name, (&first.seat, first.role), &reason);
        wrong.push(Wrong {
            grade: Grade::Red,
            about: About::Lab(workshop.name.clone(), Some(first.seat.clone())),
            text: Clean::from(text),
        });
    }
}
