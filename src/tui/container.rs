//! The containers of one seat of a workshop: what was wanted beside what is, what its own one printed, and its log.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use super::{
    format,
    machine::{self, Told},
    panes::{empty, nodes},
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{State, engines::Engine, labs::ClassRow, machines::MachineBoard, seats::SeatRow},
    domain::{
        Role,
        label::{Owner, owner},
        machine::machine_name,
        planning::{InstanceShape, MadeOf, limits_of, said},
        workshop::{WorkshopDefinition, browser_name},
    },
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, board: &MachineBoard, row: &ClassRow<'_>) {
    let seat = row.seats.iter().find(|seat| seat.seat == board.seat);
    machine::title(page, area, board, seat);
    let (Some(seat), Some(workshop)) = (seat, row.workshop) else {
        return empty(page, area, &["is no seat of the lab any more; esc goes back"]);
    };
    let mut top = 2;
    if !board.output.whole {
        let engine = state.engines.get(&workshop.site);
        let told = rows(state, workshop, seat, engine);
        machine::told(page, area, &told, nodes::aged(state, &workshop.site));
        top = machine::below(area, &told);
    }
    let left = area.height.saturating_sub(top);
    if left < 3 {
        return;
    }
    // What there is, and half of what is left at most, so that the log keeps as much.
    let lines = board.output.lines.as_ref().and_then(|lines| lines.as_ref().ok()).map_or(1, |lines| lines.len().max(1));
    let wanted = u16::try_from(lines + 2).unwrap_or(u16::MAX);
    let height = if board.output.whole { left } else { wanted.min(left / 2) };
    let in_cloud = state.engines.get(&workshop.site).is_some_and(|engine| engine.is_cloud);
    let title = if in_cloud && seat.role == Role::Host { "serial port" } else { "output" };
    output(page, Rect { y: area.y + top, height, ..area }, board, title);
    if !board.output.whole && left - height > 2 {
        machine::log(page, Rect { y: area.y + top + height, height: left - height, ..area }, state, board);
    }
}

fn output(page: &mut Page<'_>, area: Rect, board: &MachineBoard, title: &str) {
    page.rule(area, 0, title);
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let say = |page: &mut Page<'_>, text: &str, tone| {
        page.line(below, 0).skip(1).put(text, tone);
    };
    match &board.output.lines {
        None => say(page, "not read yet", Tone::Dim),
        Some(Err(why)) => say(page, why.as_str(), Tone::Warn),
        Some(Ok(lines)) if lines.is_empty() => say(page, "it has printed nothing", Tone::Dim),
        Some(Ok(lines)) => {
            let first = lines.len().saturating_sub(usize::from(below.height));
            for (n, line) in lines.iter().skip(first).enumerate() {
                page.line(below, n).skip(1).put(line.as_str(), Tone::Text);
            }
        }
    }
}

fn rows(state: &State, workshop: &WorkshopDefinition, seat: &SeatRow<'_>, engine: Option<&Engine>) -> Vec<Told> {
    let name = machine_name(&workshop.name, &seat.seat);
    let number = seat.seat.number().unwrap_or_default();
    let mut told = match seat.role {
        Role::Host if engine.is_some_and(|engine| engine.is_cloud) => instance(name, workshop, engine),
        Role::Host => container(name, &MadeOf::proxy(workshop, None, &BTreeMap::new()), engine),
        _ => container(name, &MadeOf::seat(workshop, number), engine),
    };
    if seat.role == Role::Seat
        && let Some(made_of) = MadeOf::browser(workshop)
    {
        told.extend(container(browser_name(&workshop.name, &seat.seat), &made_of, engine));
    }
    let fact = |what, is: Option<String>| is.map(|is| Told { what, wanted: String::new(), is, apart: true });
    let row = seat.progress;
    told.extend(fact("site", Some(workshop.site.to_string())));
    told.extend(fact("address", row.and_then(|row| row.ip).map(|ip| ip.to_string())));
    told.extend(fact("sits there", state.sitting(&workshop.name, &seat.seat).map(ToString::to_string)));
    let proven = row.and_then(|row| row.proven_at).map(|at| format::ago(state.now.duration_since(at)));
    told.extend(fact("proven", proven));
    told
}

/// The instance of a workshop in a cloud: how it is, and what it is made of.
fn instance(name: String, workshop: &WorkshopDefinition, engine: Option<&Engine>) -> Vec<Told> {
    let seen = engine.and_then(|engine| Some((engine, engine.cloud.as_deref()?)));
    let found = seen.and_then(|(engine, view)| view.own(&engine.store, &workshop.name).next());
    let is = match (found, seen) {
        (Some(found), _) => format!("{} in {}", found.status, found.zone),
        (None, Some(_)) => "not in the project".to_owned(),
        (None, None) => String::new(),
    };
    let shape = InstanceShape::of(workshop, found.is_some_and(|it| it.spot));
    let mut told = vec![Told { what: "instance", wanted: name, is, apart: true }];
    let mut row = |what, wanted: String, is: Option<String>| {
        told.push(Told { what, wanted, is: is.unwrap_or_default(), apart: false });
    };
    row("machine", shape.machine_type, found.map(|it| it.machine_type.clone()));
    row("disk", format!("{}G", shape.disk_gb), found.map(|it| format!("{}G", it.disk_gb)));
    if workshop.gce.spot.is_some() {
        row("spot", shape.spot.to_string(), found.map(|it| it.spot.to_string()));
    }
    told
}

/// A container: whether it is there and how it is, then all it is made of.
fn container(name: String, made_of: &MadeOf, engine: Option<&Engine>) -> Vec<Told> {
    let view = engine.and_then(|engine| engine.view.as_deref());
    let found = view.and_then(|view| view.container(&name));
    let label = found.zip(engine).and_then(|(found, engine)| match owner(&engine.store, &name, &found.labels) {
        Owner::Ours(label) => Some(label.made_of),
        _ => None,
    });
    let state = match (found, view) {
        (Some(found), _) if label.is_none() => format!("{}, and not ours", found.status),
        (Some(found), _) if found.ending.is_some() => found.why_down(),
        (Some(found), _) => found.status.to_string(),
        (None, Some(_)) => "not on the engine".to_owned(),
        (None, None) => String::new(),
    };
    let mut told = vec![Told { what: "container", wanted: name, is: state, apart: true }];
    // What the engine holds it to may be changed while it runs; the rest is as its label says.
    let held = found.filter(|_| label.is_some()).and_then(|found| found.limits.as_ref()).map(limits_of);
    let held = held.unwrap_or_default();
    let is = |key: &str| {
        let held = held.iter().find(|(known, _)| *known == key).map(|(_, value)| match value.as_str() {
            "0" => "no limit",
            value => value,
        });
        held.or_else(|| said(label.as_deref().unwrap_or_default(), key)).map(str::to_owned)
    };
    told.extend(made_of.0.iter().map(|(key, wanted)| Told {
        what: key,
        wanted: wanted.clone(),
        is: is(key).unwrap_or_default(),
        apart: false,
    }));
    told
}
