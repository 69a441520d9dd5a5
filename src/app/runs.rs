//! The runs of a lab, and one run in time.

use std::sync::Arc;

use super::{Effect, Screen, State, cursor::Cursor};
use crate::domain::{Change, Clean, Event, LabName, RunId, progress::RunProgress, timing::Timing};

/// The runs of a lab, newest first.
#[derive(Debug)]
pub struct RunList {
    pub lab: LabName,
    pub cursor: Cursor,
    /// Absent while they are asked for.
    pub runs: Option<Result<Vec<RunProgress>, Clean>>,
}

impl RunList {
    pub fn keys(&self) -> Vec<String> {
        match &self.runs {
            Some(Ok(runs)) => runs.iter().map(|run| run.id.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    /// The run under the cursor.
    pub fn chosen(&self) -> Option<&RunProgress> {
        let at = self.cursor.position(&self.keys())?;
        self.runs.as_ref()?.as_ref().ok()?.get(at)
    }
}

/// Where one run's time went.
#[derive(Debug)]
pub struct RunBoard {
    pub lab: LabName,
    pub run: RunProgress,
    pub cursor: Cursor,
    pub timing: Option<Result<Arc<Timing>, Clean>>,
    /// It is asked for and not here yet.
    pub(super) asked: bool,
    /// More happened since it was asked for.
    pub(super) behind: bool,
}

impl RunBoard {
    pub fn keys(&self) -> Vec<String> {
        match &self.timing {
            Some(Ok(timing)) => timing.seats.iter().map(|seat| seat.seat.to_string()).collect(),
            _ => Vec::new(),
        }
    }
}

impl State {
    /// Opens the runs of a lab.
    pub(super) fn open_runs(&mut self, lab: LabName) -> Vec<Effect> {
        self.screens.push(Screen::Runs(RunList { lab: lab.clone(), cursor: Cursor::default(), runs: None }));
        vec![Effect::LoadRuns { lab }]
    }

    /// Opens the run under the cursor of the list in front.
    pub(super) fn open_run(&mut self) -> Vec<Effect> {
        let Some(Screen::Runs(list)) = self.screens.last() else { return Vec::new() };
        let Some(run) = list.chosen().cloned() else { return Vec::new() };
        let (lab, id) = (list.lab.clone(), run.id);
        let cursor = Cursor::default();
        self.screens.push(Screen::Run(RunBoard { lab, run, cursor, timing: None, asked: true, behind: false }));
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
