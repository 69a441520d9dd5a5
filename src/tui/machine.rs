//! The machine of one seat: what was wanted beside what is, and its log.

use ratatui::layout::Rect;

use super::{
    chart, container, format,
    node::{size, span, word},
    panes::{self, empty, sign},
    pen::Page,
    theme::Tone,
};
use crate::{
    app::{State, machines::MachineBoard, seats::SeatRow},
    domain::{class::SeatSpec, cluster::GuestView, progress::SeatProgress, size::Size},
};

pub fn draw(page: &mut Page<'_>, area: Rect, state: &State, board: &MachineBoard) {
    let row = state.class(&board.lab);
    let seat = row.as_ref().and_then(|row| row.seats.iter().find(|seat| seat.seat == board.seat));
    if let Some(row) = row.as_ref().filter(|row| row.workshop.is_some()) {
        return container::draw(page, area, state, board, row);
    }
    title(page, area, board, seat);
    let Some(seat) = seat else {
        return empty(page, area, &["is no seat of the lab any more; esc goes back"]);
    };
    let guest = seat.progress.and_then(|row| state.sites.get(&row.site)?.guest(row.vmid?));
    let rows = rows(state.wanted_of(board).as_ref(), seat.progress, guest, state);
    let site = seat.progress.map(|row| &row.site);
    told(page, area, &rows, site.and_then(|site| panes::nodes::aged(state, site)));
    let mut top = below(area, &rows);
    // Its last hour and its tasks, as far as the log below keeps some lines.
    let room = area.height.saturating_sub(top);
    if guest.is_some() && room >= chart::LEAST + 4 {
        let height = if room > 18 { chart::LEAST + 2 } else { chart::LEAST };
        chart::draw(page, Rect { y: area.y + top, height, ..area }, &board.past);
        top += height + 1;
    }
    if let Some(Ok(seen)) = &board.past.seen
        && guest.is_some()
        && area.height.saturating_sub(top) > 9
        && !seen.tasks.is_empty()
    {
        let height = u16::try_from(seen.tasks.len()).unwrap_or(u16::MAX).min((area.height - top) / 3);
        page.rule(Rect { y: area.y + top, height: 1, ..area }, 0, chart::tasks_heading(state));
        chart::tasks(page, Rect { y: area.y + top + 1, height, ..area }, state, seen);
        top += height + 1;
    }
    if area.height > top + 2 {
        log(page, Rect { y: area.y + top, height: area.height - top, ..area }, state, board);
    }
}

/// Its name, and how it stands.
pub(super) fn title(page: &mut Page<'_>, area: Rect, board: &MachineBoard, seat: Option<&SeatRow<'_>>) {
    let mut pen = page.line(area, 0);
    pen.skip(1).put(&format!("{}/{}", board.lab, board.seat), Tone::Title);
    let Some(seat) = seat else { return };
    let (glyph, tone) = sign(pen.glyphs(), seat);
    pen.skip(3).put(glyph, tone).put(" ", tone).put(seat.word(), tone);
    if let Some(reason) = &seat.reason {
        pen.skip(3).put(reason.as_str(), tone);
    }
}

/// Narrower than this, two columns are none.
const NARROW: u16 = 64;

/// The first line below what is told.
pub(super) fn below(area: Rect, rows: &[Told]) -> u16 {
    let heading = if area.width < NARROW { 0 } else { 1 };
    u16::try_from(rows.len() + 3 + heading).unwrap_or(u16::MAX)
}

/// What was wanted beside what is, below the title.
pub(super) fn told(page: &mut Page<'_>, area: Rect, rows: &[Told], aged: Option<String>) {
    if let Some(aged) = &aged {
        page.line(Rect { y: area.y + 1, height: 1, ..area }, 0).right(&[(aged.clone(), Tone::Warn)]);
    }
    if area.width < NARROW {
        return narrow(page, area, rows);
    }
    let mut pen = page.line(area, 2);
    pen.skip(1).col("", LABEL, Tone::Dim).col("wanted", WANTED, Tone::Dim).put("as last seen", Tone::Dim);
    for (n, told) in rows.iter().enumerate() {
        let mut pen = page.line(area, 3 + n);
        let tone = if told.differs() { Tone::Warn } else { Tone::Text };
        pen.skip(1).cell(told.what, LABEL, 1, Tone::Dim).cell(&told.wanted, WANTED, 2, Tone::Text).put(&told.is, tone);
    }
}

/// The same in one column: what was seen, what matters most first, and what was wanted where that is another.
fn narrow(page: &mut Page<'_>, area: Rect, rows: &[Told]) {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|told| match told.what {
        "address" | "instance" => 0,
        "state" => 1,
        "proven" | "sits there" => 2,
        _ => 3,
    });
    for (n, told) in rows.into_iter().enumerate() {
        let (text, tone) = match (told.is.as_str(), told.wanted.as_str()) {
            ("", wanted) => (format!("{wanted} wanted"), Tone::Dim),
            (is, wanted) if told.apart && !wanted.is_empty() => (format!("{is}, {wanted}"), Tone::Text),
            (is, wanted) if told.differs() => (format!("{is}, not {wanted}"), Tone::Warn),
            (is, _) => (is.to_owned(), Tone::Text),
        };
        page.line(area, 2 + n).skip(1).cell(told.what, LABEL, 1, Tone::Dim).put(&text, tone);
    }
}

/// Its log, under a rule.
pub(super) fn log(page: &mut Page<'_>, area: Rect, state: &State, board: &MachineBoard) {
    page.rule(area, 0, "log");
    page.line(Rect { height: 1, ..area }, 0).right(&panes::log::status(state, &board.log));
    panes::log::tail(page, Rect { y: area.y + 1, height: area.height - 1, ..area }, state, &board.log);
}

const LABEL: usize = 12;
const WANTED: usize = 26;

/// One setting.
pub(super) struct Told {
    pub what: &'static str,
    /// Empty where the definition leaves it to the template.
    pub wanted: String,
    pub is: String,
    /// What is said of it is no other value of the same.
    pub apart: bool,
}

impl Told {
    fn differs(&self) -> bool {
        !self.apart && !self.wanted.is_empty() && !self.is.is_empty() && self.wanted != self.is
    }
}

fn rows(wanted: Option<&SeatSpec>, row: Option<&SeatProgress>, guest: Option<&GuestView>, state: &State) -> Vec<Told> {
    let machine = wanted.map(|spec| &spec.machine);
    let seen = |tell: &dyn Fn(&GuestView) -> String| guest.map(tell).unwrap_or_default();
    let text = |wanted: Option<String>| wanted.unwrap_or_default();
    let told = |what, wanted: Option<String>, is: String| Told { what, wanted: text(wanted), is, apart: false };
    let cores = machine.and_then(|m| m.cores).map(|cores| {
        let all = cores.saturating_mul(machine.and_then(|m| m.sockets).unwrap_or(1));
        format::count(usize::try_from(all).unwrap_or(0), "core")
    });
    let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    let node = row.and_then(|row| row.node.as_ref()).and_then(|node| named(node.as_str()));
    let load =
        |g: &GuestView| format!("cpu {}, memory {}", format::percent(g.cpu), format::part(g.memory_used, g.memory));
    let proven = row.and_then(|row| row.proven_at).map(|at| format::ago(state.now.duration_since(at)));
    let power = |g: &GuestView| {
        let lock = g.lock.as_ref().map_or(String::new(), |lock| format!(", locked: {lock}"));
        let up = if g.uptime > 0 { format!(", up {}", span(g.uptime)) } else { String::new() };
        format!("{}{up}{lock}", word(g).0)
    };
    let all = vec![
        told(
            "machine",
            row.map(|row| row.name.clone()),
            seen(&|g| g.name.as_ref().map_or(String::new(), ToString::to_string)),
        ),
        told("vmid", row.and_then(|row| row.vmid).map(|vmid| vmid.to_string()), seen(&|g| g.vmid.to_string())),
        told("node", node, seen(&|g| g.node.to_string())),
        told("state", None, if guest.is_some() { seen(&power) } else { "not on the site".to_owned() }),
        told("address", None, row.and_then(|row| row.ip).map(|ip| ip.to_string()).unwrap_or_default()),
        told("proven", None, proven.unwrap_or_default()),
        told("cores", cores, seen(&|g| format::count(usize::try_from(g.cpus).unwrap_or(0), "core"))),
        told("memory", machine.and_then(|m| m.memory).map(Size::human), seen(&|g| size(g.memory))),
        told("disk", machine.and_then(|m| m.disk).map(Size::human), seen(&|g| size(g.disk))),
        told("storage", machine.and_then(|m| m.storage.clone()), String::new()),
        told("tags", None, seen(&|g| g.tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))),
        told("load", None, seen(&load)),
    ];
    // What nobody asked for and nobody has seen is not worth a line.
    all.into_iter().filter(|told| !(told.wanted.is_empty() && told.is.is_empty())).collect()
}
