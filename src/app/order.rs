//! How lists are ordered: by which of their columns, and which way round. Chosen per kind of list, and kept
//! while the program runs.

use std::cmp::{Ordering, Reverse};

use super::{Context, Screen, State, labs::ClassRow, seats::SeatRow, sites::NodeRow};
use crate::domain::{
    LabName, MachineState, SiteName, StepName, cluster::GuestView, progress::RunProgress, timing::SeatEnd,
    timing::SeatTiming,
};

/// A column rows can be ordered by. The first of a list is the order it has by itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    /// The largest, or the worst, comes first.
    pub falls: bool,
}

const fn rises(name: &'static str) -> Column {
    Column { name, falls: false }
}

const fn falls(name: &'static str) -> Column {
    Column { name, falls: true }
}

/// The columns of a list, if it has any to be ordered by.
pub fn columns(context: Context) -> &'static [Column] {
    const CLASSES: &[Column] = &[rises("name"), falls("state"), falls("ready"), falls("seats"), rises("up")];
    const NODES: &[Column] = &[rises("name"), falls("cpu"), falls("memory"), falls("machines")];
    const WORKSHOPS: &[Column] = &[rises("name"), falls("seats"), rises("site"), rises("ends")];
    // Of steps the slowest comes first: that is what one looks for.
    const BOARD: &[Column] = &[
        rises("seat"),
        rises("node"),
        rises("vmid"),
        falls("clone"),
        falls("config"),
        falls("start"),
        rises("address"),
        falls("agent"),
        falls("exec"),
        falls("verify"),
        falls("ssh"),
        falls("state"),
    ];
    const GUESTS: &[Column] =
        &[rises("vmid"), rises("machine"), rises("state"), falls("cpu"), falls("memory"), falls("up"), rises("seat")];
    const RUNS: &[Column] = &[falls("run"), rises("what"), rises("state"), falls("took"), rises("by")];
    const RUN: &[Column] = &[rises("seat"), falls("end")];
    match context {
        Context::Classes => CLASSES,
        Context::Nodes => NODES,
        Context::Workshops => WORKSHOPS,
        Context::Board => BOARD,
        Context::Node => GUESTS,
        Context::Runs => RUNS,
        Context::Run => RUN,
        _ => &[],
    }
}

/// The step a column of the board is about.
fn step_of(column: &str) -> Option<StepName> {
    Some(match column {
        "clone" => StepName::Clone,
        "config" => StepName::Configure,
        "start" => StepName::Start,
        "agent" => StepName::Agent,
        "exec" => StepName::Exec,
        "verify" => StepName::Verify,
        "ssh" => StepName::Ssh,
        _ => return None,
    })
}

/// The order chosen for a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// Which of its columns.
    column: usize,
    reversed: bool,
}

impl State {
    /// The column a list is ordered by, and whether it falls. None while it has the order it has by itself.
    pub fn ordered(&self, context: Context) -> Option<(&'static str, bool)> {
        let order = self.orders.get(&context).copied().unwrap_or_default();
        let column = columns(context).get(order.column)?;
        (order != Order::default()).then_some((column.name, column.falls != order.reversed))
    }

    /// Orders the list in front by its next column.
    pub(super) fn order_next(&mut self) {
        let context = self.base_context();
        let columns = columns(context);
        let at = self.orders.get(&context).map_or(0, |order| order.column);
        let next = columns.iter().enumerate().skip(at + 1).find(|(_, column)| self.shows(column));
        if !columns.is_empty() {
            let column = next.map_or(0, |(column, _)| column);
            self.orders.insert(context, Order { column, reversed: false });
        }
    }

    /// Whether the list in front has such a column: containers have neither a node nor a number of their own.
    fn shows(&self, column: &Column) -> bool {
        let Screen::Board(board) = self.screen() else { return true };
        let workshop = self.definition(&board.lab).is_some_and(|definition| definition.kind() == "workshop");
        !workshop || matches!(column.name, "seat" | "state")
    }

    /// Turns the order of the list in front round.
    pub(super) fn order_reverse(&mut self) {
        let context = self.base_context();
        if !columns(context).is_empty() {
            let order = self.orders.entry(context).or_default();
            order.reversed = !order.reversed;
        }
    }

    /// Orders rows, those that are equal as they were.
    fn arrange<T>(&self, context: Context, rows: &mut [T], compare: impl Fn(&T, &T, &str) -> Ordering) {
        self.arrange_known(context, rows, |_, _| true, compare);
    }

    /// The same; those of which nothing is `known` in that column stay last, whichever way round.
    fn arrange_known<T>(
        &self,
        context: Context,
        rows: &mut [T],
        known: impl Fn(&T, &str) -> bool,
        compare: impl Fn(&T, &T, &str) -> Ordering,
    ) {
        let order = self.orders.get(&context).copied().unwrap_or_default();
        let Some(column) = columns(context).get(order.column) else { return };
        if order.column > 0 {
            rows.sort_by(|a, b| {
                let way = compare(a, b, column.name);
                let way = if column.falls != order.reversed { way.reverse() } else { way };
                known(b, column.name).cmp(&known(a, column.name)).then(way)
            });
        } else if order.reversed {
            rows.reverse();
        }
    }

    pub(super) fn arrange_classes(&self, rows: &mut [&ClassRow<'_>]) {
        let worst = |row: &ClassRow<'_>| row.seats.iter().map(trouble).max();
        let known = |row: &&ClassRow<'_>, column: &str| column != "up" || row.up.is_some();
        self.arrange_known(Context::Classes, rows, known, |a, b, column| match column {
            "state" => worst(a).cmp(&worst(b)),
            "ready" => a.count(MachineState::Ready).cmp(&b.count(MachineState::Ready)),
            "seats" => a.seats.len().cmp(&b.seats.len()),
            _ => a.up.cmp(&b.up),
        });
    }

    /// Nodes stay before storages.
    pub(super) fn arrange_nodes(&self, rows: &mut [NodeRow<'_>]) {
        let share = |used: u64, whole: u64| if whole == 0 { 0.0 } else { used as f64 / whole as f64 };
        let load = |row: &NodeRow<'_>, column: &str| match (row, column) {
            (NodeRow::Node { node, .. }, "cpu") => node.cpu,
            (NodeRow::Node { node, .. }, "memory") => share(node.memory_used, node.memory),
            (NodeRow::Node { machines, .. }, _) => *machines as f64,
            (NodeRow::Storage { used, total, .. }, _) => share(*used, *total),
        };
        self.arrange(Context::Nodes, rows, |a, b, column| load(a, column).total_cmp(&load(b, column)));
        rows.sort_by_key(|row| matches!(row, NodeRow::Storage { .. }));
    }

    pub(super) fn arrange_workshops(&self, rows: &mut [&ClassRow<'_>]) {
        let site = |row: &ClassRow<'_>| row.site().map(ToString::to_string);
        // What stands ends at a time, what is only defined would last so long.
        let ends = |row: &ClassRow<'_>| (row.life().map(|life| life.ends_at), row.workshop.map(|shop| shop.ends_after));
        let known = |row: &&ClassRow<'_>, column: &str| column != "ends" || row.life().is_some();
        self.arrange_known(Context::Workshops, rows, known, |a, b, column| match column {
            "seats" => a.seats.len().cmp(&b.seats.len()),
            "site" => site(a).cmp(&site(b)),
            _ => ends(a).cmp(&ends(b)),
        });
    }

    pub(super) fn arrange_seats(&self, rows: &mut [SeatRow<'_>]) {
        let of = |row: &SeatRow<'_>| {
            let progress = row.progress;
            (row.node.cloned(), progress.and_then(|p| p.vmid), progress.and_then(|p| p.ip))
        };
        let took = |row: &SeatRow<'_>, column: &str| row.progress?.step(step_of(column)?)?.took;
        let known = |row: &SeatRow<'_>, column: &str| match column {
            "node" => row.node.is_some(),
            "vmid" => of(row).1.is_some(),
            "address" => of(row).2.is_some(),
            "state" => true,
            step => took(row, step).is_some(),
        };
        self.arrange_known(Context::Board, rows, known, |a, b, column| match column {
            "node" => of(a).0.cmp(&of(b).0),
            "vmid" => of(a).1.cmp(&of(b).1),
            "address" => of(a).2.cmp(&of(b).2),
            "state" => trouble(a).cmp(&trouble(b)),
            step => took(a, step).cmp(&took(b, step)),
        });
    }

    pub(super) fn arrange_guests(&self, site: &SiteName, rows: &mut [&GuestView]) {
        let seat = |guest: &GuestView| -> Option<(LabName, String)> {
            self.seat_of(site, guest).map(|(lab, seat)| (lab.clone(), seat.to_string()))
        };
        let known = |guest: &&GuestView, column: &str| column != "seat" || seat(guest).is_some();
        self.arrange_known(Context::Node, rows, known, |a, b, column| match column {
            "machine" => a.name.cmp(&b.name),
            "state" => (a.template, a.power as u8).cmp(&(b.template, b.power as u8)),
            "cpu" => a.cpu.total_cmp(&b.cpu),
            "memory" => a.memory_used.cmp(&b.memory_used),
            "up" => a.uptime.cmp(&b.uptime),
            _ => seat(a).cmp(&seat(b)),
        });
    }

    pub(super) fn arrange_runs(&self, rows: &mut [&RunProgress]) {
        let took = |run: &RunProgress| self.lasted(run);
        self.arrange(Context::Runs, rows, |a, b, column| match column {
            "what" => a.kind.as_str().cmp(b.kind.as_str()),
            "state" => a.state.as_str().cmp(b.state.as_str()),
            "took" => took(a).cmp(&took(b)),
            _ => a.owner.cmp(&b.owner),
        });
    }

    pub(super) fn arrange_timing(&self, rows: &mut [&SeatTiming]) {
        let end = |seat: &SeatTiming| match seat.end {
            SeatEnd::Open => None,
            SeatEnd::Well(at) | SeatEnd::Failed(at) => Some(Reverse(at)),
        };
        // What goes on takes longest.
        self.arrange(Context::Run, rows, |a, b, _| end(b).cmp(&end(a)));
    }
}

/// How much a seat wants to be looked at.
fn trouble(seat: &SeatRow<'_>) -> u8 {
    match seat.state {
        _ if seat.cut.is_some() => 7,
        MachineState::Failed => 8,
        MachineState::Unknown => 6,
        MachineState::Stale => 5,
        MachineState::Working => 4,
        MachineState::Planned => 3,
        MachineState::Stopped => 2,
        MachineState::Ready => 1,
        MachineState::Gone => 0,
    }
}
