//! What the screens ask the rest of the program to do. Each maps to one use case.

use std::{sync::Arc, time::Duration};

use super::{
    asked::AskId,
    bars::{At, Passphrase},
    closer::Whose,
    doors::Door,
    edit::Tool,
    shells::{TabId, Way},
    welcome::NewSite,
};
use crate::domain::{
    LabName, Plan, RunId, SeatName, SiteName,
    alert::Alert,
    answers::{Answer, Bar},
    plan::Consent,
    planning::Deed,
};

/// A wish; whoever carries it out answers with actions.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask every site now instead of at the next poll. Answers: `SiteSeen`, `SiteLost`.
    Refresh,
    /// Plan a deploy of the lab, with what somebody else changed put right or left. Answer: `PlanReady`.
    MakePlan { lab: LabName, fix_drift: bool },
    /// Carry out the plan that was shown. Answer: `RunStarted` or `RunRefused`, then `EventsArrived`.
    Deploy { plan: Arc<Plan>, consent: Consent },
    /// Remove the machines of these seats; of all when the list is empty. It was confirmed by typing. Answers as
    /// for `Deploy`.
    Destroy { lab: LabName, seats: Vec<SeatName> },
    /// Start, shut down, restart or check the machines of these seats; of all when the list is empty. Answers as
    /// for `Deploy`.
    Carry { lab: LabName, seats: Vec<SeatName>, deed: Deed },
    /// Try again what failed on these seats, and nothing that would stop or remove a machine.
    /// Answers as for `Deploy`.
    RetryFailed { lab: LabName, seats: Vec<SeatName> },
    /// Stop the run once what is in flight has ended. Answer: `EventsArrived` with its end.
    CancelRun { lab: LabName, run: RunId },
    /// Put the end of a workshop off. Answer: a `Notice`, and `EventsArrived` with its new end.
    Extend { lab: LabName, by: Duration },
    /// Open a terminal: an `Attach` of the same `id` by its own channel, `Barred`, or `NotOpened` with the reason.
    /// `size` is what it is to have from the start, in columns and rows; it is told again as soon as it is shown.
    OpenShell { id: TabId, door: Door, way: Way, size: (u16, u16) },
    /// Make a new key for a class and give it to its machines. It was confirmed. Answer: a `Notice`.
    RenewKey { lab: LabName },
    /// Run a line on these seats, on all of the lab when the list is empty; some may have answered already.
    /// Answers: `Said` and `Told` as they come, `Answered` at the end.
    Exec { id: AskId, lab: LabName, seats: Vec<SeatName>, line: String, so_far: Vec<Answer> },
    /// Wait for no more answers to that line. Answer: `Answered`.
    GiveUpExec { id: AskId },
    /// Do away with what stands before logins to machines of the lab or nodes of the site: the person said yes, or
    /// gave the passphrase. Answer: `Lifted`.
    Lift { at: At, bar: Bar, passphrase: Option<Passphrase>, then: Vec<Effect> },
    /// The runs of a lab, newest first. Answer: `RunsLoaded`.
    LoadRuns { lab: LabName },
    /// Where a run's time went. Answer: `TimingLoaded`.
    LoadTiming { run: RunId },
    /// What the container of a workshop's seat printed last. Answer: `OutputRead`.
    ReadOutput { lab: LabName, seat: SeatName },
    /// What the site remembers of a node or a machine. Answer: `PastSeen`.
    LookBack(Whose),
    /// Write these lines to a new file of this name in the folder the program was started in. Answer: `Notice`.
    SaveLog { name: String, lines: Vec<String> },
    /// Remove the machines of these seats and make them anew; with `abandon`, give those up that lie on nodes which
    /// do not answer. It was confirmed by typing. Answers as for `Deploy`.
    Rebuild { lab: LabName, seats: Vec<SeatName>, abandon: bool },
    /// Which machines taking a deploy back would remove. Answer: `RollbackSeen`.
    SurveyRollback { lab: LabName, run: RunId },
    /// Remove the machines that a deploy made. It was confirmed by typing. Answers as for `Deploy`.
    Rollback { lab: LabName, run: RunId },
    /// Have another process go on with every run of this one. Answer: `HandedOver`.
    HandOver,
    /// Give a text to the terminal's clipboard. Whoever owns the terminal does it.
    Copy(String),
    /// Ring the terminal's bell. Whoever owns the terminal does it.
    Ring,
    /// Call somebody, or tell them that it is over. Answer: a `Notice` where nobody could be told.
    Call(Alert),
    /// Send a shell the answer a terminal gives, or what was typed before it was open. Whoever owns the terminal
    /// does it.
    Answer { id: TabId, bytes: Vec<u8> },
    /// Give the terminal back and stop until continued. Whoever owns the terminal does it.
    Suspend,
    /// A lab's definition as text, for a form or an editor. Answer: `DefinitionPrinted`.
    PrintDefinition { lab: LabName, tool: Tool },
    /// Read and check a text as `Define` does, and take nothing in. Answer: `DefinitionChecked`.
    CheckDefinition { text: String },
    /// Which bridges the nodes of a site have. Answer: `BridgesSeen`, where they may be seen.
    LookAtBridges { site: SiteName },
    /// Lend the terminal to the person's editor with this text. Whoever owns the terminal does it. Answer: `TextEdited`.
    EditText { lab: Option<LabName>, text: String },
    /// Take a definition in as `apply` does; one of another name than `lab` is refused. Answer: `Defined`.
    Define { lab: Option<LabName>, text: String },
    /// Try a site out as it was typed in; nothing is changed or kept. Answer: `SiteTried`.
    TrySite(NewSite),
    /// Write the first configuration, with this site. Answer: `SiteWritten`, or a `Notice`.
    WriteSite(NewSite),
    /// Leave the first run for the demo.
    TryDemo,
    /// Leave the first run for the dashboard.
    OpenDashboard,
    /// Leave the program.
    Quit,
}
