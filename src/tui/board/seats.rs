//! The rows of a workshop: how far its host and each seat have come, where they are reached, who sits there.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::matrix::{last, told};
use crate::{
    app::{Context, State, labs::ClassRow, seats::SeatRow},
    domain::{Role, SeatName, StepName, workshop::WorkshopDefinition},
    tui::{
        panes::heading,
        pen::{Page, Pen},
        theme::Tone,
    },
};

/// The columns with a step each: what it is to a seat, to the host on an engine, and to one in a cloud.
const STEPS: [(StepName, StepName, StepName, &str); 3] = [
    (StepName::Create, StepName::Network, StepName::Create, "made"),
    (StepName::Start, StepName::Proxy, StepName::Engine, "started"),
    (StepName::Health, StepName::Health, StepName::Health, "answers"),
];

/// Widths that all rows share.
pub struct Columns {
    wide: bool,
    gap: usize,
    seat: usize,
    cell: usize,
    ports: usize,
    /// For who sits there; none while nobody does.
    who: usize,
}

impl Columns {
    pub fn fit(row: &ClassRow<'_>, width: usize, state: &State) -> Self {
        let wide = width >= 112;
        let gap = if wide { 2 } else { 1 };
        let seat = row.seats.iter().map(|seat| seat.seat.as_str().width()).max().unwrap_or(0);
        let ports = row.workshop.map_or(0, |shop| if shop.browser.is_some() { 14 } else { 9 });
        let people = state.people.get(row.lab).into_iter().flatten().map(|(_, name)| name.as_str().width());
        let who = people.max().map_or(0, |widest| widest.clamp(4, if wide { 24 } else { 12 }) + gap);
        Self { wide, gap, who, seat: seat.clamp(4, 12) + gap, cell: 8, ports: ports.max(5) + gap }
    }
}

pub fn titles(page: &mut Page<'_>, area: Rect, columns: &Columns, state: &State) {
    let mut pen = page.line(area, 0);
    let glyphs = pen.glyphs();
    let heading = |name| heading(glyphs, state, Context::Board, name);
    pen.skip(1).col(&heading("seat"), columns.seat, Tone::Dim);
    if columns.who > 0 {
        pen.col("who", columns.who, Tone::Dim);
    }
    pen.col("ports", columns.ports, Tone::Dim);
    for (.., title) in STEPS {
        pen.col(title, columns.cell, Tone::Dim);
    }
    pen.skip(2).put(&heading("state"), Tone::Dim);
}

pub fn row(pen: &mut Pen<'_>, workshop: &WorkshopDefinition, seat: &SeatRow<'_>, columns: &Columns, state: &State) {
    let host = seat.role == Role::Host;
    pen.cell(seat.seat.as_str(), columns.seat, columns.gap, Tone::Text);
    if columns.who > 0 {
        let who = state.sitting(&workshop.name, &seat.seat).map_or("", |who| who.as_str());
        pen.cell(who, columns.who, columns.gap, Tone::Text);
    }
    pen.cell(&ports(workshop, &seat.seat), columns.ports, columns.gap, Tone::Dim);
    // An instance starts its seats by itself, from its own start on.
    let in_cloud = seat.progress.is_some_and(|row| row.step(StepName::Engine).is_some());
    for (of_seat, on_engine, of_instance, _) in STEPS {
        let step = match (host, in_cloud) {
            (false, _) => of_seat,
            (true, false) => on_engine,
            (true, true) => of_instance,
        };
        let (text, tone) = told(pen, seat, step, columns.wide, state);
        pen.cell(&text, columns.cell, 1, tone);
    }
    last(pen, seat, state);
}

/// Where it is found on the engine's host.
fn ports(workshop: &WorkshopDefinition, seat: &SeatName) -> String {
    match seat.number() {
        Some(number) => {
            let ports = workshop.published(number).into_iter().map(|(.., port)| port.to_string());
            ports.collect::<Vec<_>>().join(" ")
        }
        None => workshop.proxy.port.to_string(),
    }
}
