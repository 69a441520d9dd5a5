//! Questions before something is taken away: machines, a run, the program itself.

use ratatui::layout::Rect;

use super::{field, frame, keys};
use crate::app::edit::Draft;
use crate::{
    app::{
        Command, State,
        popup::{DestroyPopup, Removal},
        rows::Target,
    },
    domain::{LabName, RunId, SeatName, progress::SeatProgress},
    tui::{
        pen::{Page, wrap},
        theme::Tone,
    },
};

/// Every machine that goes, and what to type.
pub fn destroy(page: &mut Page<'_>, area: Rect, state: &State, popup: &DestroyPopup) {
    let Going { machines, forgotten, away } = Going::of(state, popup);
    let mut told = told(popup);
    told.extend(besides(
        &forgotten,
        "forgotten, as nothing of it is on the site",
        "forgotten, as nothing of them is on the site",
    ));
    told.extend(besides(&away, "left alone, as its node does not answer", "left alone, as their nodes do not answer"));
    let listed = machines.len().min(usize::from(area.height).saturating_sub(9 + told.len())).min(14);
    let more = machines.len() - listed;
    let lines = listed + usize::from(more > 0) + told.len() + 6;
    let width = usize::from(area.width).saturating_sub(6).min(72);
    let title = match &popup.why {
        Removal::Destroy => format!("destroy {}?", named(&popup.targets)),
        Removal::Rebuild { .. } => format!("rebuild {}?", named(&popup.targets)),
        Removal::Rollback(run) => format!("take run {run} of {} back?", lab_of(&popup.targets)),
    };
    let inner = frame(page, area, width, lines, &title, Tone::Bad);
    let count = match machines.len() {
        0 => "no machine is removed:".to_owned(),
        1 => "1 machine is removed, with everything on it:".to_owned(),
        n => format!("{n} machines are removed, with everything on them:"),
    };
    page.line(inner, 0).put(&count, Tone::Bad);
    list(page, Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner }, &machines, listed);
    for (n, line) in told.iter().enumerate() {
        page.line(inner, 1 + listed + usize::from(more > 0) + n).put(line, Tone::Warn);
    }
    let ask = lines - 4;
    let prod = |target: &Target| {
        let row = state.class(&target.lab);
        let site = row.as_ref().and_then(|row| row.site());
        let environment = |site| {
            let cluster = state.sites.get(site).map(|site| &site.environment);
            cluster.or(state.engines.get(site).map(|engine| &engine.environment))
        };
        site.and_then(environment).is_some_and(|environment| environment.as_str() == "prod")
    };
    if popup.targets.iter().any(prod) {
        page.line(inner, ask).put("this is a production site", Tone::Warn);
    }
    let label = match popup.targets.len() {
        1 => format!("type {} to go on:", popup.wanted()),
        // All that was asked for counts, whatever becomes of it.
        _ if !(forgotten.is_empty() && away.is_empty()) => {
            format!("type {}, the number of seats, to go on:", popup.wanted())
        }
        _ => format!("type {}, the number of machines, to go on:", popup.wanted()),
    };
    field(page, inner, ask + 1, &label, &popup.typed, true);
    let verb = match popup.why {
        Removal::Destroy => "destroy",
        Removal::Rebuild { .. } => "rebuild",
        Removal::Rollback(_) => "take back",
    };
    let commands: &[_] = if popup.confirmed() { &[(Command::ConfirmDestroy, verb)] } else { &[] };
    keys(page, inner, usize::from(inner.height).saturating_sub(1), state, commands);
}

/// What becomes of the seats that something is to be removed of, by the latest look.
struct Going {
    machines: Vec<SeatProgress>,
    /// Of which the site lists nothing.
    forgotten: Vec<SeatProgress>,
    /// Which nobody can see.
    away: Vec<SeatProgress>,
}

impl Going {
    fn of(state: &State, popup: &DestroyPopup) -> Self {
        let (mut going, mut forgotten, mut away) = (Vec::new(), Vec::new(), Vec::new());
        let given_up = matches!(popup.why, Removal::Rebuild { .. });
        for row in machines(state, &popup.targets) {
            let view = state.sites.get(&row.site).and_then(|site| site.view.as_ref());
            // A look from before the last thing that happened to the seat says nothing about it.
            let Some((view, vmid)) = view.filter(|view| row.last_change() < Some(view.at)).zip(row.vmid) else {
                going.push(row);
                continue;
            };
            let guest = view.guest(vmid);
            let node = guest.map(|guest| &guest.node).or(row.node.as_ref()).and_then(|node| view.node(node));
            let hidden = node.is_some_and(|node| !node.online) || (guest.is_none() && view.quorate == Some(false));
            match (given_up, hidden, guest.is_some()) {
                (true, ..) | (false, false, true) => going.push(row),
                (false, true, _) => away.push(row),
                (false, false, false) => forgotten.push(row),
            }
        }
        Self { machines: going, forgotten, away }
    }
}

/// `ada is forgotten, as nothing of it is on the site`
fn besides(rows: &[SeatProgress], one: &str, several: &str) -> Option<String> {
    let names: Vec<&str> = rows.iter().map(|row| row.seat.as_str()).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(format!("{name} is {one}")),
        [first, rest @ ..] => Some(format!("{first} and {} more are {several}", rest.len())),
    }
}

/// What is to be known before machines go for this reason.
fn told(popup: &DestroyPopup) -> Vec<String> {
    match &popup.why {
        Removal::Destroy => Vec::new(),
        Removal::Rebuild { away } if away.is_empty() => vec!["then it is made anew from its definition".to_owned()],
        Removal::Rebuild { away } => {
            let nodes = away.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            vec![
                format!("{nodes} does not answer: what lies there is given up, not removed,"),
                "and must not run beside the new one once it is back".to_owned(),
            ]
        }
        Removal::Rollback(_) => vec!["also those that became ready and may be in use".to_owned()],
    }
}

fn lab_of(targets: &[Target]) -> String {
    targets.first().map(|target| target.lab.to_string()).unwrap_or_default()
}

/// A definition that was not taken: why, and that nothing typed is lost.
pub fn draft(page: &mut Page<'_>, area: Rect, state: &State, draft: &Draft) {
    let width = usize::from(area.width).saturating_sub(6).min(84);
    let why = wrap(draft.why.as_str(), width);
    let title = draft.lab.as_ref().map_or("not taken".to_owned(), |lab| format!("{lab}: not taken"));
    let inner = frame(page, area, width, why.len() + 3, &title, Tone::Bad);
    for (row, line) in why.iter().enumerate() {
        page.line(inner, row).put(line, Tone::Text);
    }
    page.line(inner, why.len()).put("What was typed is kept; going back drops it.", Tone::Dim);
    let last = usize::from(inner.height).saturating_sub(1);
    keys(page, inner, last, state, &[(Command::EditAgain, "edit again")]);
}

/// Leave a form although what was typed is not saved.
pub fn unsaved(page: &mut Page<'_>, area: Rect, state: &State) {
    let inner = frame(page, area, 64, 3, "not saved", Tone::Warn);
    page.line(inner, 0).put("What was typed here is not saved yet.", Tone::Text);
    keys(page, inner, 2, state, &[(Command::Save, "save"), (Command::Discard, "drop it")]);
}

/// The machines of some targets, as the screens know them.
pub fn machines(state: &State, targets: &[Target]) -> Vec<SeatProgress> {
    let of = |target: &Target| -> Vec<SeatProgress> {
        let Some(row) = state.class(&target.lab) else { return Vec::new() };
        let meant = |seat: &SeatName| target.seats.is_empty() || target.seats.contains(seat);
        row.standing().filter(|row| meant(&row.seat)).filter_map(|row| row.progress.cloned()).collect()
    };
    targets.iter().flat_map(of).collect()
}

/// A line for each machine, and how many there are besides.
pub fn list(page: &mut Page<'_>, area: Rect, machines: &[SeatProgress], listed: usize) {
    for (n, machine) in machines.iter().take(listed).enumerate() {
        let mut pen = page.line(area, n);
        pen.col("-", 2, Tone::Bad).cell(&machine.name, 34, 2, Tone::Text);
        pen.cell(machine.node.as_ref().map_or("", |node| node.as_str()), 8, 2, Tone::Dim);
        pen.col(&machine.vmid.map_or(String::new(), |vmid| format!("vmid {vmid}")), 12, Tone::Dim);
        pen.put(&machine.ip.map_or(String::new(), |ip| ip.to_string()), Tone::Dim);
    }
    if machines.len() > listed {
        page.line(area, listed).skip(2).put(&format!("and {} more", machines.len() - listed), Tone::Dim);
    }
}

/// What is meant, in few words: `cs101`, `cs101/ada`, `3 seats of cs101`, `2 labs`.
pub fn named(targets: &[Target]) -> String {
    match targets {
        [Target { lab, seats }] => match seats.as_slice() {
            [] => lab.to_string(),
            [seat] => format!("{lab}/{seat}"),
            seats => format!("{} seats of {lab}", seats.len()),
        },
        targets if targets.iter().all(|target| target.seats.is_empty()) => format!("{} labs", targets.len()),
        targets => {
            let seats: usize = targets.iter().map(|target| target.seats.len()).sum();
            format!("{seats} seats of {} labs", targets.len())
        }
    }
}

/// Stop a run.
pub fn cancel(page: &mut Page<'_>, area: Rect, state: &State, lab: &LabName, run: RunId) {
    let inner = frame(page, area, 64, 4, &format!("stop run {run} of {lab}?"), Tone::Warn);
    page.line(inner, 0).put("What is in flight is finished, nothing new is begun.", Tone::Text);
    page.line(inner, 1).put("The machines stay; a deploy plans anew from what is there.", Tone::Text);
    keys(page, inner, 3, state, &[(Command::ConfirmCancel, "stop the run")]);
}

/// A new key.
pub fn renew(page: &mut Page<'_>, area: Rect, state: &State, lab: &LabName) {
    const TOLD: &str = "Every machine that runs gets it through its guest agent, in place of the old one, which lets \
                        nobody in there any more. Shells that are open stay open. Machines that could not be given it \
                        are named, and take the old one until they are.";
    let lines = wrap(TOLD, usize::from(area.width).saturating_sub(4).min(64));
    let inner = frame(page, area, 64, lines.len() + 2, &format!("a new SSH key for {lab}?"), Tone::Warn);
    for (n, line) in lines.iter().enumerate() {
        page.line(inner, n).put(line, Tone::Text);
    }
    keys(page, inner, lines.len() + 1, state, &[(Command::ConfirmRenew, "renew it")]);
}

/// Leave in the middle of a run, or with shells open.
pub fn quit(page: &mut Page<'_>, area: Rect, state: &State) {
    let runs: Vec<_> = state.own_runs.iter().map(|(run, lab)| format!("run {run} of {lab}")).collect();
    let mut lines = Vec::new();
    if !runs.is_empty() {
        lines.push(format!("Under way here: {}.", runs.join(", ")));
        lines.push("Only the screen is left: on a real site the run is carried on".to_owned());
        lines.push("without it until it has ended (a demo ends with its screen).".to_owned());
    }
    match state.shells.open() {
        0 => {}
        1 => lines.push("A shell is open in here (T shows it), and ends with the screen.".to_owned()),
        n => lines.push(format!("{n} shells are open in here (T), and end with the screen.")),
    }
    if state.is_unsaved() {
        lines.push("A definition is being filled in, and is not saved.".to_owned());
    }
    let inner = frame(page, area, 64, lines.len() + 2, "leave?", Tone::Warn);
    for (n, line) in lines.iter().enumerate() {
        page.line(inner, n).put(line, Tone::Text);
    }
    keys(page, inner, lines.len() + 1, state, &[(Command::ConfirmQuit, "leave")]);
}
