//! What the screens know: sites, labs, the log, and where the person at the screen is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tui_input::Input;

use super::{
    asked::Asking,
    bars::Bars,
    commands::{Commands, Context},
    cursor::Cursor,
    engines::Engine,
    fuzzy,
    kiosk::{Kiosk, Rules},
    lab_form::LabForm,
    log::Log,
    log_view::{LogView, Scope},
    machines::{MachineBoard, NodeBoard},
    marks::Marks,
    order::Order,
    pointer::Split,
    popup::Popup,
    runs::{RunBoard, RunList},
    shells::Shells,
    sites::{Lost, NodeRow, Site},
    welcome::{Step, Welcome},
};
use crate::domain::{
    Clean, Definition, LabName, Level, Progress, RunId, SeatName, SiteName, answers::Bar, event::RunState,
    progress::RunProgress,
};

/// What is fixed for the life of the program.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sites as configured, with their environment.
    pub sites: Vec<(SiteName, Clean)>,
    /// No command that changes anything exists.
    pub read_only: bool,
    /// Nobody sits here: boards take turns, and no command reaches beyond the screen.
    pub kiosk: Option<Rules>,
    /// For clock times on the screen.
    pub zone: TimeZone,
    /// Another process can go on with this one's runs: on a site that outlives it.
    pub hands_over: bool,
    /// How fast the modelled world runs; 1 for a real site.
    pub speed: f64,
    /// How long a proof counts.
    pub proof_max_age: std::time::Duration,
    /// How often a site is looked at when nothing is done.
    pub idle: std::time::Duration,
    pub now: Timestamp,
}

/// A pane of the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pane {
    Nodes,
    Classes,
    Workshops,
    Log,
}

impl Pane {
    pub const ALL: [Pane; 4] = [Self::Nodes, Self::Classes, Self::Workshops, Self::Log];

    /// Where keys go while it has them.
    pub fn context(self) -> Context {
        match self {
            Self::Nodes => Context::Nodes,
            Self::Classes => Context::Classes,
            Self::Workshops => Context::Workshops,
            Self::Log => Context::Log,
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Classes => "classes",
            Self::Workshops => "workshops",
            Self::Log => "log",
        }
    }
}

/// A screen on the back stack.
#[derive(Debug)]
pub enum Screen {
    Overview,
    Board(Board),
    /// The log: as its pane shows it, or by a view of its own that ends with the screen.
    Log(Option<LogView>),
    Runs(RunList),
    Run(RunBoard),
    /// Shells in the dashboard.
    Shells,
    /// What seats answered to a command.
    Answers,
    Node(NodeBoard),
    Machine(MachineBoard),
    /// A definition being filled in.
    LabForm,
    /// The first run: nothing is configured yet.
    Welcome(Welcome),
}

/// The roll-call board of a class.
#[derive(Debug)]
pub struct Board {
    pub lab: LabName,
    pub cursor: Cursor,
    pub filter: Input,
    pub marks: Marks,
    /// The log of the class, below the seats.
    pub log: LogView,
}

impl Board {
    /// The board of a lab, its cursor on the first seat.
    pub(super) fn new(lab: LabName, log: &Log) -> Self {
        let log = LogView::new(Scope::Lab(lab.clone()), log);
        Self { lab, cursor: Cursor::default(), filter: Input::default(), marks: Marks::default(), log }
    }
}

/// What is being typed in the bottom line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// The `/` filter of the list in front.
    Filter,
    /// What is looked for in the log in front.
    Search,
}

/// How lines of the log are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStyle {
    /// Long lines go on in the next.
    pub wrapped: bool,
    /// Ages instead of times of day.
    pub relative: bool,
}

/// A line of news in the bottom line, for a while.
#[derive(Debug, Clone)]
pub struct Toast {
    pub level: Level,
    pub text: Clean,
    pub(super) until: Timestamp,
}

/// A list of the overview: its cursor, its `/` filter and its marks.
#[derive(Debug, Default)]
pub struct List {
    pub cursor: Cursor,
    pub filter: Input,
    pub marks: Marks,
}

/// Everything the screens are drawn from. Only `update` writes it.
#[derive(Debug)]
pub struct State {
    pub settings: Settings,
    pub now: Timestamp,
    /// When somebody last pressed a key.
    pub(super) touched: Timestamp,
    /// The keys came back from a shell by themselves: whoever typed may be typing still. No key is a command before
    /// nothing was typed for a moment.
    pub hushed: bool,
    /// Columns, rows.
    pub size: (u16, u16),
    pub commands: Commands,
    pub sites: BTreeMap<SiteName, Site>,
    /// The store cannot be read.
    pub store_lost: Option<Lost>,
    pub engines: BTreeMap<SiteName, Engine>,
    /// Who sits where, by workshop.
    pub people: BTreeMap<LabName, BTreeMap<SeatName, Clean>>,
    pub definitions: Vec<Definition>,
    pub definitions_known: bool,
    /// The definition being filled in, whether in sight or not.
    pub lab_form: Option<LabForm>,
    /// Bridges of sites, once they were asked for; none until they are told.
    pub bridges: BTreeMap<SiteName, Option<Vec<Clean>>>,
    pub progress: BTreeMap<LabName, Progress>,
    /// Estimates of the plans carried out here.
    pub estimates: BTreeMap<LabName, std::time::Duration>,
    pub orphaned: BTreeSet<RunId>,
    /// Runs begun by this program, until they end.
    pub own_runs: BTreeMap<RunId, LabName>,
    pub log: Log,
    /// The log pane's view.
    pub log_view: LogView,
    /// The one in front last; never empty.
    pub(super) screens: Vec<Screen>,
    pub focus: Pane,
    /// By which column each kind of list is ordered.
    pub(super) orders: HashMap<Context, Order>,
    pub nodes: List,
    pub classes: List,
    pub workshops: List,
    /// Shells in the dashboard, whether in sight or not.
    pub shells: Shells,
    /// The command asked of seats last.
    pub asking: Asking,
    /// What stands before logins, and waits for its turn to be asked.
    pub bars: Bars,
    pub popup: Option<Popup>,
    /// What is being typed in the bottom line, if anything is.
    pub typing: Option<Typing>,
    /// Where lines between panes were dragged to.
    pub split: Split,
    /// How lines of the log are drawn, in every view.
    pub log_style: LogStyle,
    pub toast: Option<Toast>,
    pub kiosk: Option<Kiosk>,
    pub(super) revision: u64,
}

impl State {
    pub fn new(settings: Settings) -> Self {
        let sites = settings.sites.iter().map(|(name, env)| (name.clone(), Site::new(env.clone()))).collect();
        Self {
            now: settings.now,
            touched: Timestamp::MIN,
            hushed: false,
            size: (80, 24),
            commands: if settings.kiosk.is_some() { Commands::of_kiosk() } else { Commands::new(settings.read_only) },
            sites,
            store_lost: None,
            engines: BTreeMap::new(),
            people: BTreeMap::new(),
            definitions: Vec::new(),
            definitions_known: false,
            lab_form: None,
            bridges: BTreeMap::new(),
            progress: BTreeMap::new(),
            estimates: BTreeMap::new(),
            orphaned: BTreeSet::new(),
            own_runs: BTreeMap::new(),
            log: Log::default(),
            log_view: LogView::default(),
            screens: vec![Screen::Overview],
            focus: Pane::Classes,
            orders: HashMap::new(),
            nodes: List::default(),
            classes: List::default(),
            workshops: List::default(),
            shells: Shells::default(),
            asking: Asking::default(),
            bars: Bars::default(),
            popup: None,
            typing: None,
            split: Split::default(),
            log_style: LogStyle::default(),
            toast: None,
            kiosk: settings.kiosk.clone().map(|rules| Kiosk::new(rules, settings.now)),
            revision: 0,
            settings,
        }
    }

    /// Rises with every change worth drawing.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The screen in front.
    pub fn screen(&self) -> &Screen {
        self.screens.last().unwrap_or(&Screen::Overview)
    }

    /// Where keys go.
    pub fn context(&self) -> Context {
        match (&self.popup, self.screen()) {
            (Some(Popup::Plan(_)), _) => Context::PlanPopup,
            (Some(Popup::Destroy(_)), _) => Context::DestroyPopup,
            (Some(Popup::Deed(_)), _) => Context::DeedPopup,
            (Some(Popup::Copy(_)), _) => Context::CopyPopup,
            (Some(Popup::Cancel { .. }), _) => Context::CancelPopup,
            (Some(Popup::Quit), _) => Context::QuitPopup,
            (Some(Popup::Renew { .. }), _) => Context::RenewPopup,
            (Some(Popup::Shells(_)), _) => Context::ShellsPopup,
            (Some(Popup::Line(_)), _) => Context::LinePopup,
            (Some(Popup::Bar(question)), screen) => match question.bar {
                // Who types ahead goes on doing so.
                Bar::Stranger { .. } if !question.awake && self.context_of(screen) == Context::Opening => {
                    Context::Opening
                }
                Bar::Stranger { .. } => Context::TrustPopup,
                Bar::Locked { .. } => Context::PassphrasePopup,
            },
            (Some(Popup::Help { .. }), _) => Context::HelpPopup,
            (Some(Popup::LogFilter(_)), _) => Context::LogFilterPopup,
            (Some(Popup::Palette(_)), _) => Context::PalettePopup,
            (Some(Popup::Draft(_)), _) => Context::DraftPopup,
            (Some(Popup::Options(_)), _) => Context::OptionsPopup,
            (Some(Popup::Lines(_)), _) => Context::LinesPopup,
            (Some(Popup::Unsaved), _) => Context::UnsavedPopup,
            (None, _) if self.hushed => Context::Hushed,
            (None, _) if self.typing.is_some() => Context::Filter,
            (None, screen) => self.context_of(screen),
        }
    }

    /// Where keys go once popups and filters are out of the way.
    pub fn base_context(&self) -> Context {
        self.context_of(self.screen())
    }

    fn context_of(&self, screen: &Screen) -> Context {
        match (screen, self.focus) {
            _ if self.shells.opening.is_some() => Context::Opening,
            (Screen::Board(_), _) => Context::Board,
            (Screen::Log(_), _) => Context::LogScreen,
            (Screen::Runs(_), _) => Context::Runs,
            (Screen::Run(_), _) => Context::Run,
            (Screen::Answers, _) => Context::Answers,
            (Screen::Shells, _) if self.shells.is_waiting() => Context::Opening,
            (Screen::Shells, _) if self.shells.typing => Context::Typing,
            (Screen::Shells, _) => Context::Shells,
            (Screen::Node(_), _) => Context::Node,
            (Screen::Machine(_), _) => Context::Machine,
            (Screen::LabForm, _) => Context::LabForm,
            (Screen::Welcome(Welcome { step: Step::Fill, .. }), _) => Context::Form,
            (Screen::Welcome(_), _) => Context::Welcome,
            (Screen::Overview, pane) => pane.context(),
        }
    }

    /// Keys count again as soon as nothing was typed for a moment.
    pub fn waits_for_quiet(&self) -> bool {
        self.hushed || matches!(&self.popup, Some(Popup::Bar(question)) if !question.awake)
    }

    /// The filter typed for a pane.
    pub fn filter_text(&self, pane: Pane) -> String {
        let input = match pane {
            Pane::Nodes => &self.nodes.filter,
            Pane::Classes => &self.classes.filter,
            Pane::Workshops => &self.workshops.filter,
            Pane::Log => &self.log_view.text,
        };
        input.value().to_owned()
    }

    /// The view of the log in front: the screen's own, the board's, else the pane's.
    pub fn log_in_front(&self) -> &LogView {
        match self.screen() {
            Screen::Log(Some(view))
            | Screen::Board(Board { log: view, .. })
            | Screen::Run(RunBoard { log: view, .. })
            | Screen::Machine(MachineBoard { log: view, .. }) => view,
            _ => &self.log_view,
        }
    }

    /// The log and the view of it in front.
    pub(super) fn log_to_change(&mut self) -> (&Log, &mut LogView) {
        let view = match self.screens.last_mut() {
            Some(
                Screen::Log(Some(view))
                | Screen::Board(Board { log: view, .. })
                | Screen::Run(RunBoard { log: view, .. })
                | Screen::Machine(MachineBoard { log: view, .. }),
            ) => view,
            _ => &mut self.log_view,
        };
        (&self.log, view)
    }

    /// Tells every view of the newest line.
    pub(super) fn log_grew(&mut self, id: Option<u64>) {
        let Some(line) = id.and_then(|id| self.log.line(id)) else { return };
        let oldest = self.log.oldest();
        views(&mut self.log_view, &mut self.screens).for_each(|view| view.arrived(line, oldest));
    }

    /// Puts the log in the order of its times, and tells every view.
    pub(super) fn put_log_in_order(&mut self) {
        let numbers = self.log.put_in_order();
        views(&mut self.log_view, &mut self.screens).for_each(|view| view.renumbered(&numbers, &self.log));
    }

    /// Rows of the nodes pane that the filter lets through.
    pub fn shown_nodes(&self) -> Vec<NodeRow<'_>> {
        let text = self.filter_text(Pane::Nodes);
        let rows = self.sites.iter().flat_map(|(name, site)| site.rows(name));
        let mut rows: Vec<_> = rows.filter(|row| fuzzy::narrows(&text, &[row.name()], &[])).collect();
        self.arrange_nodes(&mut rows);
        rows
    }

    /// Runs under way, wherever they were begun.
    pub fn running(&self) -> usize {
        let runs = self.progress.values().filter_map(|p| p.run.as_ref());
        runs.filter(|run| run.state == RunState::Running && !self.orphaned.contains(&run.id)).count()
    }

    /// Modelled time since an instant: what a live timer shows.
    pub fn elapsed(&self, since: Timestamp) -> SignedDuration {
        self.modelled(since, self.now)
    }

    /// How long a run took, or has been going on, in modelled time: without the time in which nobody carried it out.
    pub fn lasted(&self, run: &RunProgress) -> SignedDuration {
        let whole = self.modelled(run.started_at, run.ended_at.unwrap_or(self.now));
        let away = SignedDuration::try_from_secs_f64(run.away.as_secs_f64() * self.settings.speed).unwrap_or_default();
        (whole - away).max(SignedDuration::ZERO)
    }

    /// Modelled time between two instants.
    pub fn modelled(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        let wall = to.duration_since(from).max(SignedDuration::ZERO);
        SignedDuration::try_from_secs_f64(wall.as_secs_f64() * self.settings.speed).unwrap_or(wall)
    }
}

/// The overview's view of the log, and those of the screens that have one.
fn views<'a>(own: &'a mut LogView, screens: &'a mut [Screen]) -> impl Iterator<Item = &'a mut LogView> {
    let of_screens = screens.iter_mut().filter_map(|screen| match screen {
        Screen::Log(Some(view))
        | Screen::Board(Board { log: view, .. })
        | Screen::Run(RunBoard { log: view, .. })
        | Screen::Machine(MachineBoard { log: view, .. }) => Some(view),
        _ => None,
    });
    std::iter::once(own).chain(of_screens)
}
