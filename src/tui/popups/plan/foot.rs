//! What stands under the seats of a plan: what it takes, what is to be known, and what needs a yes of its own.

use jiff::SignedDuration;

use crate::{
    app::{Command, State},
    domain::{
        Plan,
        plan::{Consent, Verb},
        size::Size,
    },
    tui::{
        format,
        pen::{Page, wrap},
        theme::Tone,
    },
};

/// Lines that stand still where there are few.
const STAY: usize = 2;

/// The parts, each text in one piece.
pub(super) struct Foot {
    /// What the deploy takes, or that nothing is done.
    takes: (String, Tone),
    known: Vec<(String, Tone)>,
    /// What needs a yes, and what can be put right.
    asks: Vec<(String, Tone)>,
}

/// Lines of a foot, each with its tone.
type Lines = Vec<(String, Tone)>;

impl Foot {
    /// All of it, in lines of `width` columns.
    pub fn lines(self, width: usize) -> Lines {
        let told = [self.takes].into_iter().chain(self.known);
        let wrapped = |(text, tone): (String, Tone)| wrap(&text, width).into_iter().map(move |line| (line, tone));
        told.chain(self.asks).flat_map(wrapped).collect()
    }

    /// What stays where there are few lines, a line each, and what is scrolled. What is asked always stays.
    pub fn small(self, width: usize) -> (Lines, Lines) {
        let (mut stays, mut scrolls) = (Vec::new(), Vec::new());
        let whole = wrap(&self.takes.0, width).len() <= 1;
        if self.asks.len() < STAY && !self.takes.0.is_empty() {
            stays.push(self.takes.clone());
        }
        if !self.takes.0.is_empty() && (stays.is_empty() || !whole) {
            scrolls.push(self.takes);
        }
        stays.extend(self.asks);
        scrolls.extend(self.known);
        (stays, scrolls)
    }
}

/// The foot of a plan; with `short`, what is asked fits a narrow line.
pub(super) fn of(page: &Page<'_>, plan: &Plan, consent: Consent, state: &State, short: bool) -> Foot {
    let mut known: Vec<_> =
        plan.skipped_nodes.iter().map(|(node, why)| (format!("{node} takes none: {why}"), Tone::Warn)).collect();
    known.extend(plan.notes.iter().map(|note| (note.clone(), Tone::Warn)));
    let mut asks: Vec<_> = fix(page, plan, consent, state, short).into_iter().collect();
    asks.extend(yeses(page, plan, consent, state, short));
    Foot { takes: takes(plan), known, asks }
}

fn takes(plan: &Plan) -> (String, Tone) {
    let (drifted, left) = (plan.drifted().count(), plan.count(Verb::Leave));
    if plan.is_empty() && left > 0 {
        let machines = format::count(left, "machine");
        return (format!("nothing can be done; {machines} left alone"), Tone::Warn);
    }
    if plan.is_empty() && drifted > 0 {
        return ("nothing to do: the definition is as it was deployed".to_owned(), Tone::Text);
    }
    if plan.is_empty() {
        return ("it stands as defined; there is nothing to do".to_owned(), Tone::Ok);
    }
    let mut takes = Vec::new();
    if let Some(time) = plan.estimate.and_then(|time| SignedDuration::try_from(time).ok()) {
        takes.push(format!("about {}", format::timer(time)));
    }
    takes.extend(plan.room.iter().map(|(storage, bytes)| format!("{} on {storage}", Size(*bytes).human())));
    let memory: Vec<_> =
        plan.memory_after.iter().map(|(node, share)| format!("{node} {}", format::percent(*share))).collect();
    if !memory.is_empty() {
        takes.push(format!("memory after: {}", memory.join(", ")));
    }
    (takes.join("; "), Tone::Text)
}

/// Whether what somebody else changed is put right, and the key that turns it.
fn fix(page: &Page<'_>, plan: &Plan, consent: Consent, state: &State, short: bool) -> Option<(String, Tone)> {
    let n = plan.drifted().count();
    let key = key_of(Command::FixDrift, state)?;
    let glyphs = &page.look.glyphs;
    let machines = if n == 1 { "1 machine was".to_owned() } else { format!("{n} machines were") };
    match (consent.fix_drift, n) {
        (true, _) if short => Some((format!("{} changes put right ({key}: not)", glyphs.done), Tone::Warn)),
        (false, 1..) if short => Some((format!("{} {n} changed elsewhere: {key} rights it", glyphs.stale), Tone::Warn)),
        (true, _) => {
            let text = format!("{} what someone else changed is put right ({key} takes that back)", glyphs.done);
            Some((text, Tone::Warn))
        }
        (false, 0) => None,
        (false, _) => {
            Some((format!("{} {machines} changed by someone else: {key} puts that right", glyphs.stale), Tone::Warn))
        }
    }
}

/// The key of a command of this popup.
fn key_of(command: Command, state: &State) -> Option<String> {
    let context = state.context();
    let entry = state.commands.iter().find(|e| e.command == command && e.on.contains(&context))?;
    entry.keys.first().map(ToString::to_string)
}

/// One line for each kind of step that needs a yes of its own.
fn yeses(page: &Page<'_>, plan: &Plan, consent: Consent, state: &State, short: bool) -> Vec<(String, Tone)> {
    let kinds = [
        (Verb::Restart, consent.restart, Command::AllowRestart, "be restarted"),
        (Verb::Replace, consent.replace, Command::AllowReplace, "be replaced"),
        (Verb::Remove, consent.remove, Command::AllowRemove, "be removed"),
    ];
    kinds
        .into_iter()
        .map(|(verb, given, command, what)| {
            // A seat that is only forgotten needs nobody's yes.
            let n = if verb == Verb::Remove { plan.removals() + plan.reduced() } else { plan.count(verb) };
            (verb, given, command, what, n)
        })
        .filter(|(.., n)| *n > 0)
        .filter_map(|(verb, given, command, what, n)| {
            let key = key_of(command, state)?;
            // Of a seat that stays a part goes; where others go altogether, theirs is what is asked for first.
            let parts = if verb == Verb::Remove { plan.reduced() } else { 0 };
            let (reduced, besides) = (parts == n, if parts < n { parts } else { 0 });
            let n = if reduced { n } else { n - parts };
            let machines = if n == 1 { "1 machine".to_owned() } else { format!("{n} machines") };
            let what = match (reduced, short) {
                (false, _) => what,
                (true, true) => "be reduced",
                (true, false) => "lose a part and stay",
            };
            let machines = match (reduced, n) {
                (false, _) => machines,
                (true, 1) => "1 seat".to_owned(),
                (true, n) => format!("{n} seats"),
            };
            let lost = match (verb, n) {
                (Verb::Restart, _) => "",
                _ if reduced => "",
                (_, 1) => ", with everything on it",
                _ => ", with everything on them",
            };
            let lost = match besides {
                0 => lost.to_owned(),
                1 => format!("{lost}, and 1 seat lose a part"),
                more => format!("{lost}, and {more} seats lose a part"),
            };
            Some(if short && given {
                (format!("{} {n} may {what} ({key}: not)", page.look.glyphs.done), Tone::Warn)
            } else if short {
                (format!("{} {n} to {what}: {key} allows it", page.look.glyphs.failed), Tone::Bad)
            } else if given {
                (format!("{} {machines} may {what}{lost} ({key} takes that back)", page.look.glyphs.done), Tone::Warn)
            } else {
                (
                    format!("{} {machines} would have to {what}{lost}: {key} allows it", page.look.glyphs.failed),
                    Tone::Bad,
                )
            })
        })
        .collect()
}
