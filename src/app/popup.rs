//! Popups: questions in front of a screen, and what has been answered so far.

use std::sync::Arc;

use tui_input::Input;

use super::{
    asked::LinePopup,
    bars::Question,
    copying::CopyPopup,
    doors::Door,
    edit::Draft,
    lab_form::{lines::Lines, options::Options},
    log_view::{LogFilter, LogView, Scope},
    palette::Palette,
    rows::Target,
    shells::TabId,
};
use crate::domain::{Clean, LabName, Level, NodeName, Plan, RunId, plan::Consent, planning::Deed};

/// The popup in front.
#[derive(Debug)]
pub enum Popup {
    Plan(PlanPopup),
    Destroy(DestroyPopup),
    Deed(DeedPopup),
    Copy(CopyPopup),
    /// Stop this run?
    Cancel {
        lab: LabName,
        run: RunId,
    },
    /// Leave although runs of this program are under way, or shells are open?
    Quit,
    /// A new key for this lab?
    Renew {
        lab: LabName,
    },
    /// Close a shell that runs? Open fewer than were meant?
    Shells(ShellsPopup),
    /// A command for seats.
    Line(LinePopup),
    /// What stands before a login.
    Bar(Question),
    Help {
        scroll: usize,
    },
    LogFilter(LogFilterPopup),
    Palette(Palette),
    /// A definition that was not taken, with the reason.
    Draft(Draft),
    /// The choices of a form's field.
    Options(Options),
    /// The list of a form's field, a name a line.
    Lines(Lines),
    /// Leave a form although what was typed is not saved?
    Unsaved,
}

/// A plan, before anything happens.
#[derive(Debug)]
pub struct PlanPopup {
    pub lab: LabName,
    pub plan: Planned,
    pub consent: Consent,
    /// The first seat shown.
    pub scroll: usize,
}

/// A plan on its way.
#[derive(Debug)]
pub enum Planned {
    Asked,
    Ready(Arc<Plan>),
    Failed(Vec<Clean>),
}

/// Why machines are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// They are not wanted any more.
    Destroy,
    /// They are made anew. Those on nodes that do not answer are given up instead.
    Rebuild { away: Vec<NodeName> },
    /// The deploy that made them is taken back.
    Rollback(RunId),
}

/// Remove machines: the lab's name has to be typed, or where they are of several labs, how many they are.
#[derive(Debug)]
pub struct DestroyPopup {
    /// Never empty.
    pub targets: Vec<Target>,
    pub why: Removal,
    /// Machines that stood when it was asked.
    pub machines: usize,
    pub typed: Input,
}

impl DestroyPopup {
    /// What has to be typed.
    pub fn wanted(&self) -> String {
        match self.targets.as_slice() {
            [target] => target.lab.to_string(),
            _ => self.machines.to_string(),
        }
    }

    /// Whether that was typed.
    pub fn confirmed(&self) -> bool {
        self.typed.value().trim() == self.wanted()
    }
}

/// Do something to machines that stand: the roll call again, power on, off, off and on.
#[derive(Debug)]
pub struct DeedPopup {
    pub targets: Vec<Target>,
    /// Absent while it is still to be chosen.
    pub deed: Option<Deed>,
}

/// A question about shells in the dashboard.
#[derive(Debug)]
pub enum ShellsPopup {
    /// This one runs still.
    End { id: TabId, door: Door },
    /// One on each of these, and on those left out none, and why.
    Open { doors: Vec<Door>, left: Vec<String> },
}

/// The log filter being edited.
#[derive(Debug)]
pub struct LogFilterPopup {
    pub lab: Input,
    pub seat: Input,
    pub level: Level,
    pub field: Field,
    /// Those there are: a view of one lab has no field for it.
    pub fields: &'static [Field],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Lab,
    Seat,
    Level,
}

impl LogFilterPopup {
    pub fn new(view: &LogView) -> Self {
        let filter = view.filter();
        let fields: &[Field] = match view.scope() {
            Scope::Everything => &[Field::Lab, Field::Seat, Field::Level],
            Scope::Lab(_) | Scope::Run(..) => &[Field::Seat, Field::Level],
            Scope::Seat(..) => &[Field::Level],
        };
        Self {
            lab: Input::new(filter.lab.clone()),
            seat: Input::new(filter.seat.clone()),
            level: filter.level,
            field: fields[0],
            fields,
        }
    }

    pub fn filter(&self) -> LogFilter {
        LogFilter {
            lab: self.lab.value().trim().to_owned(),
            seat: self.seat.value().trim().to_owned(),
            level: self.level,
        }
    }

    /// Moves to the field `by` further, round and round.
    pub fn turn(&mut self, by: isize) {
        let at = self.fields.iter().position(|f| *f == self.field).unwrap_or(0) as isize;
        self.field = self.fields[(at + by).rem_euclid(self.fields.len() as isize) as usize];
    }

    /// Louder (+1) or quieter (−1), to the ends.
    pub fn shift(&mut self, by: isize) {
        let at = Level::ALL.iter().position(|l| *l == self.level).unwrap_or(0);
        let to = at.saturating_add_signed(by).min(Level::ALL.len() - 1);
        self.level = Level::ALL[to];
    }

    /// The text field in front, if one is.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self.field {
            Field::Lab => Some(&mut self.lab),
            Field::Seat => Some(&mut self.seat),
            Field::Level => None,
        }
    }
}
