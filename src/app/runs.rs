//! The runs of a lab, and one run in time.

use std::sync::Arc;

use tui_input::Input;

use super::{
    Effect, Screen, State,
    cursor::Cursor,
    fuzzy,
    log_view::{LogView, Scope},
};
use crate::domain::{
    Change, Clean, Event, LabName, RunId,
    progress::RunProgress,
    timing::{SeatTiming, Timing},
};

/// The runs of a lab, newest first.
#[derive(Debug)]
pub struct RunList {
    pub lab: LabName,
    pub cursor: Cursor,
    pub filter: Input,
    /// Absent while they are asked for.
    pub runs: Option<Result<Vec<RunProgress>, Clean>>,
}

/// Where one run's time went.
#[derive(Debug)]
pub struct RunBoard {
    pub lab: LabName,
    pub run: RunProgress,
    pub cursor: Cursor,
    pub filter: Input,
    pub timing: Option<Result<Arc<Timing>, Clean>>,
    /// What happened in it, as far as it is kept.
    pub log: LogView,
    /// It is asked for and not here yet.
    pub(super) asked: bool,
    /// More happened since it was asked for.
    pub(super) behind: bool,
}

impl State {
    /// The runs of a list that its filter lets through, newest first or as ordered.
    pub fn runs_of<'a>(&self, list: &'a RunList) -> Vec<&'a RunProgress> {
        let Some(Ok(runs)) = &list.runs else { return Vec::new() };
        let text = list.filter.value();
        let told = |run: &&RunProgress| {
            let texts = [run.state.as_str(), run.owner.as_str(), &run.id.to_string()].map(str::to_owned);
            fuzzy::narrows(text, &[run.kind.as_str()], &texts.each_ref().map(String::as_str))
        };
        let mut runs: Vec<_> = runs.iter().filter(told).collect();
        self.arrange_runs(&mut runs);
        runs
    }

    /// The seats of a run that its filter lets through, in the run's order or as ordered.
    pub fn timed_of<'a>(&self, board: &'a RunBoard) -> Vec<&'a SeatTiming> {
        let Some(Ok(timing)) = &board.timing else { return Vec::new() };
        let node = |seat: &SeatTiming| seat.node.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = board.filter.value();
        let told = |seat: &&SeatTiming| fuzzy::narrows(text, &[seat.seat.as_str()], &[&node(seat)]);
        let mut seats: Vec<_> = timing.seats.iter().filter(told).collect();
        self.arrange_timing(&mut seats);
        seats
    }

    pub(super) fn run_keys(&self, list: &RunList) -> Vec<String> {
        self.runs_of(list).iter().map(|run| run.id.to_string()).collect()
    }

    pub(super) fn timed_keys(&self, board: &RunBoard) -> Vec<String> {
        self.timed_of(board).iter().map(|seat| seat.seat.to_string()).collect()
    }

    /// The run a command given here is about: the one under the cursor of the list in front, or the one shown.
    pub fn chosen_run(&self) -> Option<(LabName, RunProgress)> {
        match self.screen() {
            Screen::Runs(list) => {
                let at = list.cursor.position(&self.run_keys(list))?;
                self.runs_of(list).get(at).map(|run| (list.lab.clone(), (*run).clone()))
            }
            Screen::Run(board) => Some((board.lab.clone(), board.run.clone())),
            _ => None,
        }
    }

    /// Opens the runs of a lab.
    pub(super) fn open_runs(&mut self, lab: LabName) -> Vec<Effect> {
        self.screens.push(Screen::Runs(RunList {
            lab: lab.clone(),
            cursor: Cursor::default(),
            filter: Input::default(),
            runs: None,
        }));
        vec![Effect::LoadRuns { lab }]
    }

    /// Opens the run under the cursor of the list in front.
    pub(super) fn open_run(&mut self) -> Vec<Effect> {
        let Some((lab, run)) = self.chosen_run() else { return Vec::new() };
        let id = run.id;
        let cursor = Cursor::default();
        let log = LogView::new(Scope::Run(lab.clone(), id), &self.log);
        self.screens.push(Screen::Run(RunBoard {
            lab,
            run,
            cursor,
            filter: Input::default(),
            timing: None,
            log,
            asked: true,
            behind: false,
        }));
        vec![Effect::LoadTiming { run: id }]
    }

    pub(super) fn runs_loaded(&mut self, lab: &LabName, loaded: Result<Vec<RunProgress>, Clean>) {
        for screen in &mut self.screens {
            if let Screen::Runs(list) = screen
                && list.lab == *lab
            {
                list.runs = Some(loaded);
                return;
            }
        }
    }

    /// Takes a run's timing in; asks again when more happened meanwhile.
    pub(super) fn timing_loaded(&mut self, run: RunId, loaded: Result<Arc<Timing>, Clean>) -> Vec<Effect> {
        let Some(Screen::Run(board)) = self.screens.last_mut() else { return Vec::new() };
        if board.run.id != run {
            return Vec::new();
        }
        if let Ok(timing) = &loaded {
            board.run.state = timing.state;
            board.run.ended_at = timing.took.and_then(|took| timing.began.checked_add(took).ok());
        }
        board.timing = Some(loaded);
        board.asked = std::mem::take(&mut board.behind);
        if board.asked { vec![Effect::LoadTiming { run }] } else { Vec::new() }
    }

    /// What the screens on the stack have to ask for after these events.
    pub(super) fn runs_behind(&mut self, events: &[Event]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for screen in &mut self.screens {
            match screen {
                Screen::Run(board) if events.iter().any(|event| event.run == board.run.id) => {
                    board.behind = board.asked;
                    if !std::mem::replace(&mut board.asked, true) {
                        effects.push(Effect::LoadTiming { run: board.run.id });
                    }
                }
                Screen::Runs(list) => {
                    let turn = |change: &Change| matches!(change, Change::RunStarted { .. } | Change::RunEnded { .. });
                    if events.iter().any(|event| event.lab == list.lab && turn(&event.change)) {
                        effects.push(Effect::LoadRuns { lab: list.lab.clone() });
                    }
                }
                _ => {}
            }
        }
        effects
    }
}
