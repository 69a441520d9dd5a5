//! The roll-call board of a class, or of a workshop: a row per seat, a column per proof, and below it the row under the
//! cursor explained: what was tried, what came back, what to do next.

mod explain;
mod matrix;
mod seats;

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{
    format,
    panes::{self, classes, empty, marker, marker_tone},
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{Context, State, cursor::window, labs::ClassRow, state::Board},
    domain::{MachineState, class::CloneMode, event::RunState, workshop::WorkshopDefinition},
};

/// Lines below the matrix: a rule, who, two of reason, what next, two of proofs.
const BELOW: u16 = 7;
/// The same where there are few lines: a rule and two of reason.
const BELOW_LOW: u16 = 3;
const LOW: u16 = 13;
/// The least that is worth a log of its own: a rule and three lines.
const LOG: u16 = 4;

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, board: &Board) {
    let Some(row) = state.class(&board.lab) else {
        page.line(area, 0).skip(1).put(board.lab.as_str(), Tone::Title);
        return empty(page, area, &["is neither defined nor standing any more; esc goes back"]);
    };
    headline(page, area, state, &row);
    let seats = state.board_seats(board, state.class(&board.lab).map(|row| row.seats).unwrap_or_default());
    let keys: Vec<_> = seats.iter().map(|seat| seat.seat.as_str()).collect();
    // Below the matrix its explanation, and what is left goes to the log of this class. Air comes first where
    // there is room, and goes first where there is none.
    let below = if area.height < LOW { BELOW_LOW } else { BELOW };
    let most = area.height - 1 - below;
    let wanted = u16::try_from(seats.len().max(2) + 1).unwrap_or(most);
    let air = u16::from(most > wanted);
    let most = most - air;
    let log = most.saturating_sub(wanted);
    let log = if log < LOG { 0 } else { log };
    let table = Rect { y: area.y + 1 + air, height: most - log, ..area };
    let width = usize::from(area.width);
    let columns = match row.workshop {
        None => Columns::Class(matrix::Columns::fit(&row, width, state)),
        Some(workshop) => Columns::Workshop(workshop, seats::Columns::fit(&row, width, state)),
    };
    match &columns {
        Columns::Class(columns) => matrix::titles(page, table, columns, state),
        Columns::Workshop(_, columns) => seats::titles(page, table, columns, state),
    }
    let height = usize::from(table.height) - 1;
    let at = board.cursor.position(&keys).unwrap_or(0);
    let first = window(at, seats.len(), height);
    let body = Rect { y: table.y + 1, height: table.height - 1, ..table };
    if seats.is_empty() {
        empty(page, body, &["nothing matches"]);
    }
    let focused = state.context() == Context::Board;
    for (n, seat) in seats.iter().enumerate().skip(first).take(height) {
        if n == at {
            page.cursor_row(body, n - first);
        }
        let marked = board.marks.has(seat.seat.as_str());
        let marker = marker(&page.look.glyphs, n == at, marked);
        page.row_spot(body, n - first, 1, None, seat.seat.as_str());
        let mut pen = page.line(body, n - first);
        pen.put(marker, marker_tone(focused, marked));
        match &columns {
            Columns::Class(columns) => matrix::row(&mut pen, seat, columns, state),
            Columns::Workshop(workshop, columns) => seats::row(&mut pen, workshop, seat, columns, state),
        }
    }
    let below = Rect { y: table.bottom(), height: below, ..area };
    let hidden = seats.len().saturating_sub(height);
    let more = if hidden > 0 { format!("{height} of {} seats shown", seats.len()) } else { String::new() };
    page.rule(below, 0, &more);
    if let Some(seat) = seats.get(at) {
        explain::draw(page, below, state, &row, seat);
    }
    if log > 0 {
        let log = Rect { y: below.bottom(), height: log, ..area };
        page.rule(log, 0, "log");
        let rule = Rect { height: 1, ..log };
        page.line(rule, 0).right(&panes::log::status(state, &board.log));
        panes::log::tail(page, Rect { y: log.y + 1, height: log.height - 1, ..log }, state, &board.log);
    }
}

/// The widths of the columns, by what the lab is.
enum Columns<'a> {
    Class(matrix::Columns),
    Workshop(&'a WorkshopDefinition, seats::Columns),
}

/// Class, state, template; at the right how many are ready, and the run.
fn headline(page: &mut Page<'_>, area: Rect, state: &State, row: &ClassRow<'_>) {
    let right = right(state, row);
    let taken: usize = right.iter().map(|(text, _)| text.width()).sum();
    let mut pen = page.line(area, 0);
    pen.skip(1).put(row.lab.as_str(), Tone::Title);
    let (word, tone) = classes::word(row);
    pen.skip(3).put(word, tone);
    let (text, tone) = match row.definition {
        Some(class) => {
            let clone = match class.clone {
                CloneMode::Auto => "",
                CloneMode::Linked => ", linked",
                CloneMode::Full => ", full",
            };
            (format!("{}{clone} on {}", class.template, class.site), Tone::Dim)
        }
        None => match row.workshop {
            Some(workshop) => outlined(state, row, workshop, pen.room().saturating_sub(5 + taken)),
            None => ("no definition any more".to_owned(), Tone::Warn),
        },
    };
    // What it is made of matters less than how it stands.
    if pen.room() >= 3 + text.width() + 2 + taken {
        pen.skip(3).put(&text, tone);
    }
    pen.right(&right);
}

/// A workshop's code and time left while it stands, else what it is made of.
fn outlined(state: &State, row: &ClassRow<'_>, workshop: &WorkshopDefinition, room: usize) -> (String, Tone) {
    let Some(life) = row.life() else { return (format!("{} on {}", workshop.image, workshop.site), Tone::Dim) };
    let (left, tone) = classes::left(state, row, life);
    let cost = state.cost(row).map(|cost| format!(", {cost} so far")).unwrap_or_default();
    let whole = format!("code {}, {left}{cost}", life.code);
    let brief = format!("code {}, {left}", life.code);
    let fitting = [whole, brief].into_iter().find(|told| told.width() <= room);
    (fitting.unwrap_or(left), tone)
}

fn right(state: &State, row: &ClassRow<'_>) -> Vec<(String, Tone)> {
    let mut right = Vec::new();
    let text = state.typed_filter().map_or("", |filter| filter.value());
    if !text.is_empty() {
        right.push((format!("/{text}   "), Tone::Warn));
    }
    let failed = row.count(MachineState::Failed);
    if failed > 0 {
        right.push((format!("{failed} failed   "), Tone::Bad));
    }
    let (ready, all) = row.ready();
    right.push((format!("{ready} of {all} ready   "), Tone::Text));
    let aged = row.site().filter(|_| row.standing().next().is_some());
    right.extend(
        aged.and_then(|site| panes::nodes::aged(state, site))
            .map(|aged| (format!("{} ", aged.trim_start()), Tone::Warn)),
    );
    let Some(run) = row.progress.and_then(|progress| progress.run.as_ref()) else { return right };
    // By what a workshop is joined and how long it stands matter more than how it came about.
    if row.life().is_some() && run.state != RunState::Running {
        return right;
    }
    right.push((format!("run {} by {}   ", run.id, format::owner(run.owner.as_str())), Tone::Dim));
    if run.state != RunState::Running {
        let took = run.ended_at.map(|_| format!(" in {}", format::timer(state.lasted(run))));
        right.push((format!("{}{} ", run.state.as_str(), took.unwrap_or_default()), Tone::Dim));
    } else if row.is_worked_on() {
        right.push((format!("{} ", classes::elapsed(state, row)), Tone::Text));
    }
    right
}
