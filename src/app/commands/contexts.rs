//! What each context is, said once, and from that where commands are offered alike.

use super::Context;

use Context as C;

/// Something that holds in several contexts; one bit each.
type Trait = u32;

/// A pane of the overview.
const PANE: Trait = 1;
/// Whatever is not a popup, a form or a shell that has the keys.
const OPEN: Trait = 1 << 1;
/// A list that is moved in.
const SCROLLED: Trait = 1 << 2;
/// Rows that `/` narrows.
const NARROWED: Trait = 1 << 3;
/// Rows with columns to be ordered by.
const ORDERLY: Trait = 1 << 4;
/// A row has something to copy.
const COPIES: Trait = 1 << 5;
/// Rows are marked.
const MARKS: Trait = 1 << 6;
/// It is about a lab.
const LAB: Trait = 1 << 7;
/// It is about machines of labs.
const MADE: Trait = 1 << 8;
/// The same, of classes alone where labs are listed.
const POWERED: Trait = 1 << 9;
/// A row may have a shell. In a log the key looks for a text.
const ENTERABLE: Trait = 1 << 10;
const LOG: Trait = 1 << 11;
/// Ctrl-C leaves the program, and means nothing else.
const LEFT: Trait = 1 << 12;
/// Fields to be turned to.
const FORM: Trait = 1 << 13;
/// Rows to choose from while letters are typed.
const TYPED: Trait = 1 << 14;
/// Esc closes it, and no other key does.
const CLOSED: Trait = 1 << 15;

/// Every context, with what holds there.
const ALL: &[(Context, Trait)] = &[
    (C::Nodes, PANE | LIST | NARROWED | ORDERLY | COPIES | ENTERABLE),
    (C::Classes, PANE | LIST | NARROWED | ORDERLY | COPIES | ENTERABLE | MARKS | LAB | MADE | POWERED),
    (C::Workshops, PANE | LIST | NARROWED | ORDERLY | COPIES | ENTERABLE | MARKS | LAB | MADE),
    (C::Log, PANE | LIST | NARROWED | COPIES | LOG),
    (C::Board, LIST | NARROWED | ORDERLY | COPIES | ENTERABLE | MARKS | LAB | MADE | POWERED),
    (C::LogScreen, LIST | NARROWED | COPIES | LOG),
    (C::Runs, LIST | NARROWED | ORDERLY | COPIES | ENTERABLE),
    (C::Run, LIST | NARROWED | ORDERLY | ENTERABLE),
    (C::Shells, LIST | ENTERABLE),
    (C::Answers, LIST | ENTERABLE),
    (C::Typing, 0),
    (C::Opening, 0),
    (C::Hushed, 0),
    (C::Node, LIST | NARROWED | ORDERLY | COPIES | ENTERABLE | MARKS | MADE | POWERED),
    (C::Machine, OPEN | LEFT | COPIES | ENTERABLE | MADE | POWERED),
    (C::Welcome, LEFT),
    (C::Form, LEFT | FORM),
    (C::Filter, LEFT | CLOSED),
    (C::PlanPopup, LEFT | CLOSED | SCROLLED),
    (C::DestroyPopup, LEFT | CLOSED),
    (C::DeedPopup, LEFT | CLOSED),
    (C::CopyPopup, LEFT | CLOSED | SCROLLED),
    (C::CancelPopup, LEFT | CLOSED),
    // There a second Ctrl-C is the answer.
    (C::QuitPopup, CLOSED),
    (C::ShellsPopup, LEFT | CLOSED),
    (C::RenewPopup, LEFT | CLOSED),
    (C::LinePopup, LEFT | CLOSED),
    (C::TrustPopup, LEFT | CLOSED),
    (C::PassphrasePopup, LEFT | CLOSED),
    (C::HelpPopup, LEFT | SCROLLED),
    (C::LogFilterPopup, LEFT | CLOSED | FORM),
    (C::PalettePopup, LEFT | CLOSED | TYPED),
    (C::DraftPopup, LEFT | CLOSED),
    (C::LabForm, LEFT | FORM),
    (C::OptionsPopup, LEFT | CLOSED | TYPED),
    (C::LinesPopup, LEFT | CLOSED | TYPED),
    (C::UnsavedPopup, LEFT | CLOSED),
];

/// What most have in common.
const LIST: Trait = OPEN | SCROLLED | LEFT;

const fn count(wanted: Trait) -> usize {
    let (mut n, mut at) = (0, 0);
    while at < ALL.len() {
        n += (ALL[at].1 & wanted != 0) as usize;
        at += 1;
    }
    n
}

const fn all<const N: usize>(wanted: Trait) -> [Context; N] {
    let (mut found, mut n, mut at) = ([C::Nodes; N], 0, 0);
    while at < ALL.len() {
        if ALL[at].1 & wanted != 0 {
            found[n] = ALL[at].0;
            n += 1;
        }
        at += 1;
    }
    found
}

macro_rules! where_it_holds {
    ($($name:ident = $wanted:ident;)*) => {
        $(pub(super) const $name: &[Context] = &all::<{ count($wanted) }>($wanted);)*
    };
}

where_it_holds! {
    OVERVIEW = PANE;
    LISTS = OPEN;
    SCROLLS = SCROLLED;
    FILTERED = NARROWED;
    ORDERED = ORDERLY;
    COPIED = COPIES;
    MARKED = MARKS;
    LABS = LAB;
    STANDING = MADE;
    MACHINES = POWERED;
    ENTERED = ENTERABLE;
    LOGS = LOG;
    ANYWHERE = LEFT;
    FIELDS = FORM;
    CHOICES = TYPED;
    POPUPS = CLOSED;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::TABLE, *};

    #[test]
    fn every_context_is_told_of_once_and_has_a_command() {
        let told: HashSet<_> = ALL.iter().map(|(context, _)| *context).collect();
        assert_eq!(told.len(), ALL.len());
        for entry in TABLE {
            assert!(entry.on.iter().all(|on| told.contains(on)), "{:?}", entry.command);
        }
        assert!(told.iter().all(|context| TABLE.iter().any(|entry| entry.on.contains(context))));
    }
}
