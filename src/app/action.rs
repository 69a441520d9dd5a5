//! Everything that can happen to the screens.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tui_input::InputRequest;

use super::{
    Effect,
    asked::AskId,
    attach::ShellEnd,
    bars::At,
    closer::Whose,
    commands::Command,
    doors::Door,
    edit::Tool,
    lab_form::Fault,
    pointer::Pointed,
    shells::TabId,
    welcome::{NewSite, Tried},
};
use crate::domain::{
    Clean, Definition, Event, LabName, Level, Plan, Progress, RunId, SeatName, SiteName, StoreId, answers::Bar,
    cloud::CloudView, cluster::ClusterView, engine::EngineView, hindsight::Hindsight, price::Prices,
    progress::RunProgress, timing::Timing, told::Told,
};

/// Something that happened: time, a key, or data that came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The time of day; about once a second.
    Tick(Timestamp),
    /// The terminal has this many columns and rows.
    Resized(u16, u16),
    /// A command of the table was asked for.
    Do(Command),
    /// A key in a text field.
    Edit(InputRequest),
    /// The mouse did something.
    Pointed(Pointed),
    /// Text pasted by the terminal.
    Paste(Clean),
    /// Typed while a shell is being opened, as a terminal sends it.
    Hold(Vec<u8>),

    /// A site was looked at.
    SiteSeen { site: SiteName, view: Arc<ClusterView> },
    /// A site did not answer; what was last seen stays on the screen and ages.
    SiteLost { site: SiteName, why: Clean },
    /// The store cannot be read, and why; what was last read stays on the screen.
    StoreLost { why: Clean },
    /// The store can be read again.
    StoreSeen,
    /// A container engine of the configuration, told once, with what labels of ours name and its price per hour.
    EngineKnown { site: SiteName, environment: Clean, store: StoreId, price: (f64, Clean) },
    /// Who sits where in a workshop.
    PeopleSeated { lab: LabName, people: BTreeMap<SeatName, Clean> },
    /// A container engine was looked at.
    EngineSeen { site: SiteName, view: Arc<EngineView> },
    /// A cloud of the configuration, told once, with its price table and whether its machines are spot ones unless a
    /// workshop says otherwise.
    CloudKnown { site: SiteName, environment: Clean, store: StoreId, prices: Option<(Prices, bool)> },
    /// A cloud was looked at.
    CloudSeen { site: SiteName, view: Arc<CloudView> },
    /// A container engine, or a cloud, did not answer; what was last seen of it counts no longer.
    EngineLost { site: SiteName, why: Clean },
    /// Every definition there is.
    DefinitionsLoaded(Vec<Definition>),
    /// A lab as the store knows it. Replaces what was folded so far.
    ProgressLoaded(Progress),
    /// What happened since, in the order it was recorded. May overlap with what is known already.
    EventsArrived(Vec<Event>),
    /// A run that is recorded as running has nobody working on it: a deploy goes on from there.
    RunOrphaned { lab: LabName, run: RunId },

    /// The runs of a lab, newest first, or why they cannot be read.
    RunsLoaded { lab: LabName, runs: Result<Vec<RunProgress>, Clean> },
    /// Where a run's time went, or why it cannot be told.
    TimingLoaded { run: RunId, timing: Result<Arc<Timing>, Clean> },

    /// What a site remembers of a node or a machine, or why it cannot be told.
    PastSeen { whose: Whose, seen: Result<Arc<Hindsight>, Clean> },

    /// What the container of a seat printed last, or why it cannot be read.
    OutputRead { lab: LabName, seat: SeatName, lines: Result<Arc<Vec<Clean>>, Clean> },

    /// A plan that was asked for, or why there is none: a line for each reason.
    PlanReady { lab: LabName, plan: Result<Arc<Plan>, Vec<Clean>> },
    /// The seats whose machines taking a deploy back would remove, or why that cannot be told.
    RollbackSeen { lab: LabName, run: RunId, seats: Result<Vec<SeatName>, Clean> },
    /// Every run of this program is another's now, or why some are not.
    HandedOver(Result<(), Clean>),
    /// A run that was asked for began in this program.
    RunStarted { lab: LabName, run: RunId },
    /// A run that was asked for was not begun, and why.
    RunRefused { lab: LabName, why: Clean },
    /// A seat is still at the line it was asked, and said this last.
    Said { id: AskId, seat: SeatName, line: Clean },
    /// Those who have answered a line, of so many, and what they answered, folded.
    Told { id: AskId, answered: Vec<SeatName>, seats: usize, told: Vec<Told> },
    /// Nobody answers that line any more; why, if not because all have.
    Answered { id: AskId, why: Option<Clean> },
    /// Something stands before a login that the person could do away with; `then` is what did not succeed for it.
    Barred { at: At, bar: Bar, then: Effect },
    /// It was done away with: what did not succeed for it is tried again. Or why it still stands.
    Lifted { then: Vec<Effect>, failed: Option<Clean> },
    /// A terminal that was asked for is open, and is shown in the dashboard.
    TabOpened { id: TabId },
    /// A terminal that was asked for is open, and is lent the whole screen.
    ShellOpened { id: TabId },
    /// A terminal that was asked for could not be opened.
    NotOpened { id: TabId, door: Door, why: Clean },
    /// What a shell in the dashboard printed.
    ShellSaid { id: TabId, bytes: Vec<u8> },
    /// A shell in the dashboard ended.
    TabEnded { id: TabId, end: ShellEnd },
    /// A terminal that had the whole screen ended.
    ShellEnded { door: Door, end: ShellEnd },
    /// A lab's definition as text, or why it cannot be had.
    DefinitionPrinted { lab: LabName, tool: Tool, text: Result<String, Clean> },
    /// What is wrong with a text that is being typed.
    DefinitionChecked { text: String, faults: Vec<Fault> },
    /// The bridges of a site, over all its nodes.
    BridgesSeen { site: SiteName, bridges: Vec<Clean> },
    /// An editor was left with this text.
    TextEdited { lab: Option<LabName>, before: String, text: String },
    /// Whether an edited definition was taken: what came of it, or why not.
    Defined { lab: Option<LabName>, text: String, taken: Result<Clean, Clean> },
    /// What trying a new site out came to.
    SiteTried { site: NewSite, tried: Tried },
    /// The first configuration is written, to these files.
    SiteWritten(Vec<Clean>),
    /// A line for the person at the screen; it also stays in the log pane.
    Notice { level: Level, text: Clean },
}
