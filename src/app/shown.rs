//! Labs as one moment shows them: judged once for all that is drawn of it, and by name alone where that is enough.

use super::{Context, Pane, State, labs::ClassRow};
use crate::domain::{Definition, LabName};

/// Every class and every workshop, by name.
pub struct Labs<'a> {
    pub classes: Vec<ClassRow<'a>>,
    pub workshops: Vec<ClassRow<'a>>,
}

impl<'a> Labs<'a> {
    /// Classes, then workshops.
    pub fn all(&self) -> impl Iterator<Item = &ClassRow<'a>> {
        self.classes.iter().chain(&self.workshops)
    }

    /// Those of a pane that its filter lets through, as ordered.
    pub fn shown(&self, state: &State, pane: Pane) -> Vec<&ClassRow<'a>> {
        let text = state.filter_text(pane);
        let rows = if pane == Pane::Workshops { &self.workshops } else { &self.classes };
        let mut rows: Vec<_> = rows.iter().filter(|row| row.matches(&text)).collect();
        if pane == Pane::Workshops {
            state.arrange_workshops(&mut rows)
        } else {
            state.arrange_classes(&mut rows)
        }
        rows
    }
}

impl State {
    /// Every lab, judged by what is known now. That is work for each of their seats: once a frame, and handed on.
    pub fn labs(&self) -> Labs<'_> {
        Labs { classes: self.classes(), workshops: self.workshops() }
    }

    /// The names of the labs a pane shows, in their order.
    pub fn shown_names(&self, pane: Pane) -> Vec<&LabName> {
        let context = if pane == Pane::Workshops { Context::Workshops } else { Context::Classes };
        let plain = self.filter_text(pane).is_empty() && self.ordered(context).is_none();
        match (plain, pane) {
            (false, _) => self.labs().shown(self, pane).into_iter().map(|row| row.lab).collect(),
            (true, Pane::Workshops) => {
                let workshops = self.definitions.iter().filter(|definition| definition.kind() == "workshop");
                workshops.map(Definition::name).collect()
            }
            (true, _) => self.class_names(),
        }
    }
}
