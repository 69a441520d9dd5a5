//! Which commands make sense at this moment: what hints and the palette offer. A command that is not offered
//! still says why it does nothing when its key is pressed.

use super::{Command, Context, State, lab_form::LabForm, labs::ClassRow, seats::SeatRow};
use crate::domain::{MachineState, SeatName, event::RunState};

/// What every answer about one moment rests on, found once: a frame asks after each command.
pub struct Offering<'a> {
    state: &'a State,
    context: Context,
    /// The lab a command would be about.
    row: Option<ClassRow<'a>>,
    seat: Option<SeatName>,
    /// Whether the list in front has a row at all.
    rows: bool,
}

impl Offering<'_> {
    /// Whether the command would do something here and now.
    pub fn has(&self, command: Command) -> bool {
        let state = self.state;
        let acts = matches!(
            command,
            Command::Deploy
                | Command::Destroy
                | Command::Retry
                | Command::Check
                | Command::Power
                | Command::Start
                | Command::Stop
                | Command::Restart
                | Command::Cancel
                | Command::Extend
                | Command::Rebuild
                | Command::Rollback
                | Command::ShellsOfAll
                | Command::RenewKey
                | Command::SeatLog
                | Command::Output
                | Command::Runs
        );
        match command {
            Command::Answers => return state.asking.newest.is_some(),
            Command::GiveUp => return state.asking.is_under_way(),
            // There its key asks for the seat first, which `open` does as well.
            Command::Shell | Command::ShellTab if matches!(self.context, Context::Classes | Context::Workshops) => {
                return false;
            }
            Command::Shell if self.context == Context::Shells => return false,
            Command::Shell | Command::ShellTab => return state.door_here().is_ok(),
            Command::Console => return state.console_here().is_ok(),
            Command::Exec if self.context == Context::Answers => return !state.asking.is_under_way(),
            Command::Exec if matches!(self.context, Context::Classes | Context::Workshops | Context::Board) => {
                return self.row.as_ref().is_some_and(|row| row.seats.iter().any(SeatRow::can_be_entered));
            }
            Command::Exec => return state.asked_here().is_ok(),
            _ => {}
        }
        if command == Command::Shells {
            return !state.shells.tabs.is_empty();
        }
        if !acts {
            return match (command, self.context) {
                (Command::Mark | Command::MarkRange | Command::MarkAll, _) => self.rows,
                (Command::Open, Context::Classes | Context::Workshops) => self.rows,
                (Command::Edit, _) | (Command::EditText, Context::Classes | Context::Workshops | Context::Board) => {
                    self.row.as_ref().is_some_and(ClassRow::is_defined)
                }
                (Command::OpenOptions, Context::LabForm) => {
                    state.lab_form.as_ref().is_some_and(|form| form.has_options() || form.is_list())
                }
                (Command::ShowText, _) => !LabForm::shows_both(state.size.0),
                (Command::Open, Context::Nodes) => state.chosen_node().is_some(),
                (Command::Open, Context::Node) => state.chosen_guest().is_some(),
                (Command::Open, Context::Board) => self.seat.is_some(),
                _ => true,
            };
        }
        if let Some((_, run)) = state.chosen_run().filter(|_| matches!(command, Command::Cancel | Command::Rollback)) {
            let under_way = run.state == RunState::Running && !state.orphaned.contains(&run.id);
            return match command {
                Command::Cancel => matches!(run.state, RunState::Running | RunState::Interrupted),
                _ => run.kind.makes() && !under_way,
            };
        }
        if self.context == Context::Node {
            return !state.targets().is_empty();
        }
        self.row.as_ref().is_some_and(|row| state.offers_of(command, row, self.seat.as_ref()))
    }
}

impl State {
    /// Whether the command would do something here and now.
    pub fn offers(&self, command: Command) -> bool {
        self.offering().has(command)
    }

    /// The answers to that for this moment.
    pub fn offering(&self) -> Offering<'_> {
        let row = self.target_lab().and_then(|lab| self.class(&lab));
        let seat = self.target_seat().map(|(_, seat)| seat);
        let context = self.base_context();
        // In a list of labs the one under the cursor is a row of it.
        let of_labs = matches!(context, Context::Classes | Context::Workshops);
        let rows = if of_labs { row.is_some() } else { !self.row_keys().is_empty() };
        Offering { state: self, context, row, seat, rows }
    }

    /// The same, for a class as a whole.
    pub fn offers_for(&self, command: Command, row: &ClassRow<'_>) -> bool {
        self.offers_of(command, row, None)
    }

    /// Whether an instance in a cloud carries it, which starts its seats by itself.
    pub(super) fn is_in_cloud(&self, row: &ClassRow<'_>) -> bool {
        row.workshop.is_some_and(|workshop| self.engines.get(&workshop.site).is_some_and(|engine| engine.is_cloud))
    }

    fn offers_of(&self, command: Command, row: &ClassRow<'_>, seat: Option<&SeatName>) -> bool {
        let seat = seat.and_then(|seat| row.seats.iter().find(|known| known.seat == *seat));
        match command {
            Command::Deploy => row.is_defined() && !row.is_worked_on(),
            Command::Rebuild => {
                row.workshop.is_none() && row.is_defined() && !row.is_worked_on() && seat.is_some_and(SeatRow::is_made)
            }
            Command::Destroy => row.standing().count() > 0,
            Command::Retry => row.count(MachineState::Failed) > 0 && !row.is_worked_on(),
            Command::Check => !row.is_worked_on() && seat.map_or(row.standing().count() > 0, SeatRow::is_made),
            Command::Power | Command::Start | Command::Stop | Command::Restart => {
                let may = match command {
                    Command::Stop => row.workshop.is_none(),
                    _ => !self.is_in_cloud(row),
                };
                may && !row.is_worked_on() && row.standing().count() > 0
            }
            Command::Cancel => row.is_worked_on(),
            Command::Extend => row.life().is_some(),
            Command::RenewKey => {
                row.workshop.is_none() && row.is_defined() && !row.is_worked_on() && row.standing().count() > 0
            }
            Command::ShellsOfAll => row.seats.iter().any(SeatRow::can_be_entered),
            Command::Output => row.workshop.is_some(),
            Command::SeatLog => seat.is_some_and(|seat| seat.progress.is_some()),
            Command::Runs => row.progress.is_some_and(|progress| progress.run.is_some()),
            _ => true,
        }
    }
}
