//! The unattended dashboard: which board is shown, what is wrong in words, and when somebody is called.
//!
//! Rotates through the boards that matter, stays where it is red, and leaves the screen alone for a while
//! once somebody presses a key. Changes nothing but what is shown.

mod wrong;

use jiff::{SignedDuration, Timestamp};

pub use wrong::{About, Wrong};

use super::{
    Effect, Screen, State,
    cursor::Cursor,
    labs::ClassRow,
    log_view::{LogView, Scope},
    shown::Labs,
    state::{Board, List},
};
use crate::domain::{
    Clean, LabName,
    alert::{Alert, Grade, Hysteresis},
    readiness::Phase,
};

/// How an unattended dashboard behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// For how long each board is shown.
    pub rotate: SignedDuration,
    /// Data older than this is red.
    pub stale: SignedDuration,
    pub bell: bool,
    /// When to call, and when to say that it is over.
    pub calls: Hysteresis,
}

/// How long whoever pressed a key has the screen to themselves.
const HANDS_ON: SignedDuration = SignedDuration::from_secs(60);
/// Things that are wrong, told by name; the rest is counted.
const TOLD: usize = 20;

/// A board on the round.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stop {
    Overview,
    Lab(LabName),
}

/// What the unattended dashboard remembers.
#[derive(Debug)]
pub struct Kiosk {
    rules: Rules,
    /// All that is wrong now, the worst first.
    wrong: Vec<Wrong>,
    at: Stop,
    /// Since when that board is shown.
    since: Timestamp,
    /// Which board of how many, from 1.
    place: (usize, usize),
    /// Somebody pressed a key and has the screen until then.
    hands_on: Option<Timestamp>,
    /// When the program began: before the first look nothing is old.
    began: Timestamp,
    /// What the above was made from.
    made_of: Option<(u64, i64)>,
}

impl Kiosk {
    pub fn new(rules: Rules, now: Timestamp) -> Self {
        Self {
            rules,
            wrong: Vec::new(),
            at: Stop::Overview,
            since: now,
            place: (1, 1),
            hands_on: None,
            began: now,
            made_of: None,
        }
    }

    /// All that is wrong now, the worst first.
    pub fn wrong(&self) -> &[Wrong] {
        &self.wrong
    }

    /// How bad the worst of it is.
    pub fn grade(&self) -> Grade {
        self.wrong.first().map_or(Grade::Calm, |wrong| wrong.grade)
    }

    /// Whether somebody is called for at this moment.
    pub fn is_called(&self) -> bool {
        self.rules.calls.is_called()
    }

    /// Which board of how many, from 1.
    pub fn place(&self) -> (usize, usize) {
        self.place
    }

    /// Whether nobody has the screen to themselves.
    pub fn rotates(&self) -> bool {
        self.hands_on.is_none()
    }

    /// Somebody pressed a key: the screen is theirs for a while.
    pub(super) fn touched(&mut self, now: Timestamp) {
        self.hands_on = now.checked_add(HANDS_ON).ok();
    }

    fn alert(&self, red: bool, headline: Clean, now: Timestamp) -> Alert {
        let wrong = self.wrong.iter().filter(|wrong| wrong.grade == Grade::Red);
        Alert { at: now, red, headline, wrong: wrong.take(TOLD).map(|wrong| wrong.text.clone()).collect() }
    }
}

/// Data older than this is wrong on a screen that nobody has said otherwise of.
const STALE: SignedDuration = SignedDuration::from_secs(60);

impl State {
    /// All that is wrong, the worst first.
    pub fn wrong(&self, labs: &Labs<'_>) -> Vec<Wrong> {
        match &self.kiosk {
            Some(kiosk) => kiosk.wrong.clone(),
            None => wrong::of(self, labs, STALE, self.settings.now),
        }
    }

    /// The worst of what is wrong; how well it goes when nothing is.
    pub fn headline(&self) -> Clean {
        let Some(kiosk) = &self.kiosk else { return Clean::default() };
        if let Some(worst) = kiosk.wrong.first() {
            return worst.text.clone();
        }
        if self.sites.values().any(|site| site.view.is_none()) || !self.definitions_known {
            return Clean::from("waiting for the first look");
        }
        let labs = self.labs();
        let worked_on: Vec<_> = labs.all().filter(|row| row.is_worked_on()).collect();
        let ready: usize = labs.all().map(|row| row.ready().0).sum();
        match worked_on.as_slice() {
            [] => Clean::from(format!("all well, {ready} {} ready", if ready == 1 { "seat" } else { "seats" })),
            [row] => {
                let (ready, all) = row.ready();
                Clean::from(format!("all well, {} is worked on, {ready} of {all} ready", row.lab))
            }
            rows => Clean::from(format!("all well, {} labs are worked on", rows.len())),
        }
    }
}

/// A moment passed, or something came in: what is wrong now, which board is shown, who is called.
pub(super) fn tick(state: &mut State) -> Vec<Effect> {
    let Some(mut kiosk) = state.kiosk.take() else { return Vec::new() };
    let now = state.now;
    let made_of = (state.revision, now.as_second());
    if kiosk.made_of == Some(made_of) {
        state.kiosk = Some(kiosk);
        return Vec::new();
    }
    let wrong = wrong::of(state, &state.labs(), kiosk.rules.stale, kiosk.began);
    if wrong != kiosk.wrong {
        kiosk.wrong = wrong;
        state.revision += 1;
    }
    if kiosk.hands_on.is_some_and(|until| until <= now) {
        kiosk.hands_on = None;
        kiosk.since = now;
        leave_alone(state, &mut kiosk);
    }
    if kiosk.hands_on.is_none() {
        rotate(state, &mut kiosk);
    }
    let red = kiosk.grade() == Grade::Red;
    let turned = kiosk.rules.calls.take(red, now);
    kiosk.made_of = Some((state.revision, now.as_second()));
    state.kiosk = Some(kiosk);
    turned.map_or_else(Vec::new, |red| call(state, red))
}

/// What a call, or its end, sets off.
fn call(state: &mut State, red: bool) -> Vec<Effect> {
    state.revision += 1;
    let headline = state.headline();
    let Some(kiosk) = &state.kiosk else { return Vec::new() };
    let alert = kiosk.alert(red, headline, state.now);
    let bell = kiosk.rules.bell.then_some(Effect::Ring);
    bell.into_iter().chain([Effect::Call(alert)]).collect()
}

/// Nobody is there any more: what they left open is closed.
fn leave_alone(state: &mut State, kiosk: &mut Kiosk) {
    state.popup = None;
    state.typing = None;
    for list in [&mut state.nodes, &mut state.classes, &mut state.workshops] {
        *list = List::default();
    }
    state.log_view = LogView::new(Scope::Everything, &state.log);
    state.focus = super::Pane::Classes;
    state.screens.truncate(1);
    kiosk.at = Stop::Overview;
    state.revision += 1;
}

/// Turns to the next board when its time has come, and at once to what turned red.
fn rotate(state: &mut State, kiosk: &mut Kiosk) {
    let stops = stops(state, kiosk);
    let here = stops.iter().position(|stop| *stop == kiosk.at);
    let due = state.now.duration_since(kiosk.since) >= kiosk.rules.rotate;
    let next = match here {
        Some(at) if due => (at + 1) % stops.len(),
        Some(at) => at,
        None => 0,
    };
    if due || here.is_none() {
        kiosk.since = state.now;
    }
    let place = (next + 1, stops.len());
    if kiosk.place != place {
        kiosk.place = place;
        state.revision += 1;
    }
    if let Some(stop) = stops.into_iter().nth(next)
        && (stop != kiosk.at || !is_shown(state, &stop))
    {
        show(state, &stop, kiosk);
        kiosk.at = stop;
    }
    follow(state, kiosk);
}

fn is_shown(state: &State, stop: &Stop) -> bool {
    match (stop, state.screen()) {
        (Stop::Overview, Screen::Overview) => true,
        (Stop::Lab(lab), Screen::Board(board)) => board.lab == *lab,
        _ => false,
    }
}

/// The round: where it is red, if it is red anywhere; else the overview and every lab with machines that are
/// not off on purpose.
fn stops(state: &State, kiosk: &Kiosk) -> Vec<Stop> {
    let labs = state.labs();
    let rows: Vec<_> = labs.all().collect();
    let matters = |row: &&&ClassRow<'_>| row.phase != Phase::ABSENT && !wrong::is_planned_off(row);
    if kiosk.grade() == Grade::Red {
        let red = |lab: &LabName| {
            kiosk
                .wrong
                .iter()
                .any(|wrong| wrong.grade == Grade::Red && matches!(&wrong.about, About::Lab(l, _) if l == lab))
        };
        let mut stops: Vec<_> = rows.iter().filter(|row| red(row.lab)).map(|row| Stop::Lab(row.lab.clone())).collect();
        // What is wrong with a site or the store is told on the overview.
        let elsewhere = |wrong: &Wrong| {
            wrong.grade == Grade::Red
                && !matches!(&wrong.about, About::Lab(lab, _) if rows.iter().any(|row| row.lab == lab))
        };
        if stops.is_empty() || kiosk.wrong.iter().any(elsewhere) {
            stops.insert(0, Stop::Overview);
        }
        return stops;
    }
    let labs = rows.iter().filter(matters).map(|row| Stop::Lab(row.lab.clone()));
    [Stop::Overview].into_iter().chain(labs).collect()
}

fn show(state: &mut State, stop: &Stop, kiosk: &Kiosk) {
    state.screens.truncate(1);
    if let Stop::Lab(lab) = stop {
        let cursor = worst_seat(kiosk, lab).map_or_else(Cursor::default, Cursor::on);
        let mut board = Board::new(lab.clone(), &state.log);
        board.cursor = cursor;
        state.screens.push(Screen::Board(board));
    }
    state.revision += 1;
}

/// On a board, the seat that is explained is the worst one.
fn follow(state: &mut State, kiosk: &Kiosk) {
    if let Some(Screen::Board(board)) = state.screens.last_mut()
        && let Some(seat) = worst_seat(kiosk, &board.lab)
    {
        let cursor = Cursor::on(seat);
        if board.cursor != cursor {
            board.cursor = cursor;
            state.revision += 1;
        }
    }
}

fn worst_seat(kiosk: &Kiosk, lab: &LabName) -> Option<String> {
    kiosk.wrong.iter().find_map(|wrong| match &wrong.about {
        About::Lab(known, Some(seat)) if known == lab => Some(seat.to_string()),
        _ => None,
    })
}
