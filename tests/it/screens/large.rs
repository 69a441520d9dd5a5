//! A large world on the screens: a hundred nodes, ten thousand guests, two hundred classes; and a terminal that counts
//! what it is sent.

use std::{
    cell::Cell as Counter,
    collections::BTreeSet,
    io::{self, Write},
    rc::Rc,
    sync::Arc,
};

use homeroom::{
    app::{Action, State, update},
    domain::{
        Change, Definition, NodeName, Role, Vmid,
        cluster::{ClusterView, GuestView, NodeView, Power, StorageView},
        event::RunState,
    },
    tui::{Depth, Glyphs, Look, Sparing, draw},
};
use ratatui::{
    Terminal,
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

use super::world::{Script, before, class, ready, settings, site};

pub const NODES: u64 = 100;
pub const GUESTS: u64 = 10_000;
pub const LABS: u64 = 200;
const SEATS: u64 = 10;

fn lab_name(lab: u64) -> String {
    format!("lab-{lab:03}")
}

fn seat_name(seat: u64) -> String {
    if seat == 0 { "teacher".to_owned() } else { format!("student-{seat:02}") }
}

fn vmid(lab: u64, seat: u64) -> u64 {
    20_000 + lab * SEATS + seat
}

fn node(of: u64) -> String {
    format!("n{:03}", of % NODES)
}

/// A look at the whole, taken so many seconds after the moment of the sample world.
pub fn look(after: i64) -> ClusterView {
    let nodes = (0..NODES).map(|n| NodeView {
        node: NodeName::new(node(n)),
        online: true,
        cpu: 0.3,
        cpus: 64,
        memory_used: 200 << 30,
        memory: 512 << 30,
        uptime: 864_000,
    });
    let storages = (0..NODES).map(|n| StorageView {
        storage: "fast".into(),
        node: NodeName::new(node(n)),
        available: true,
        shared: true,
        kind: "rbd".into(),
        images: true,
        used: 7 << 40,
        total: 20 << 40,
    });
    let guests = (0..GUESTS).map(|n| {
        let ours = n < LABS * SEATS;
        let name = if ours { format!("{}-{}", lab_name(n / SEATS), seat_name(n % SEATS)) } else { format!("g{n}") };
        GuestView {
            vmid: Vmid::new(20_000 + n).unwrap(),
            node: NodeName::new(node(n)),
            name: Some(name.as_str().into()),
            power: Power::Running,
            template: false,
            lock: None,
            tags: if ours { vec!["homeroom".into()] } else { Vec::new() },
            pool: None,
            uptime: 40_000,
            cpus: 2,
            cpu: 0.1,
            memory_used: 1 << 30,
            memory: 4 << 30,
            disk: 8 << 30,
            container: false,
        }
    });
    ClusterView {
        at: before(-after),
        version: "9.2.11".into(),
        quorate: Some(true),
        nodes: nodes.collect(),
        storages: storages.collect(),
        guests: guests.collect(),
    }
}

/// The large world after some minutes of looking at it: every class of it ready.
pub fn world(columns: u16, rows: u16) -> State {
    let mut state = State::new(settings(false));
    update(&mut state, Action::Resized(columns, rows));
    let classes = (0..LABS).map(|n| Definition::Class(class(&lab_name(n), "ubuntu-22.04", SEATS as u32 - 1, true)));
    update(&mut state, Action::DefinitionsLoaded(classes.collect()));
    for lab in 0..LABS {
        update(&mut state, Action::EventsArrived(deployed(lab)));
    }
    // Until the short histories beside the nodes are full.
    for n in 0..30 {
        update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(look(10 * n - 300)) });
    }
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(look(0)) });
    update(&mut state, Action::Tick(before(0)));
    state
}

/// The events of a class that was deployed a while ago.
pub fn deployed(lab: u64) -> Vec<homeroom::domain::Event> {
    let mut script = Script::new(i64::try_from(lab).unwrap() + 1, &lab_name(lab), 11_600);
    for seat in 0..SEATS {
        let role = if seat == 0 { Role::Teacher } else { Role::Student };
        let who = seat_name(seat);
        script.plan(&who, role);
        let number = vmid(lab, seat);
        ready(&mut script, &who, &node(lab * SEATS + seat), number, &format!("10.{}.{}.{seat}", lab / 250, lab % 250));
    }
    let done = Change::RunEnded { state: RunState::Done };
    script.say(None, None, homeroom::domain::Level::Success, "10 of 10 ready", done);
    script.events()
}

/// Bytes on their way to a terminal, counted and thrown away.
struct Sink(Rc<Counter<usize>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a terminal was sent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Sent {
    pub frames: usize,
    pub cells: usize,
    pub bytes: usize,
    /// Where anything was written.
    pub places: BTreeSet<(u16, u16)>,
}

/// The bytes a real terminal would get, and the cells behind them.
struct Counting {
    inner: Sparing<Sink>,
    size: Size,
    cells: Rc<Counter<usize>>,
    places: Rc<std::cell::RefCell<BTreeSet<(u16, u16)>>>,
}

impl Backend for Counting {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let content: Vec<_> = content.collect();
        self.cells.set(self.cells.get() + content.len());
        self.places.borrow_mut().extend(content.iter().map(|(x, y, _)| (*x, *y)));
        self.inner.draw(content.into_iter())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.inner.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

/// A screen that draws when the state says that there is something to draw, as the program does, and counts.
pub struct Screen {
    terminal: Terminal<Counting>,
    look: Look,
    drawn: Option<u64>,
    frames: usize,
    bytes: Rc<Counter<usize>>,
    cells: Rc<Counter<usize>>,
    places: Rc<std::cell::RefCell<BTreeSet<(u16, u16)>>>,
}

impl Screen {
    pub fn new(columns: u16, rows: u16) -> Self {
        let (bytes, cells) = (Rc::new(Counter::new(0)), Rc::new(Counter::new(0)));
        let places = Rc::new(std::cell::RefCell::new(BTreeSet::new()));
        let inner = Sparing::new(Sink(bytes.clone()));
        let size = Size { width: columns, height: rows };
        let backend = Counting { inner, size, cells: cells.clone(), places: places.clone() };
        let look = Look::new(Depth::Indexed, Glyphs::UNICODE);
        Self { terminal: Terminal::new(backend).unwrap(), look, drawn: None, frames: 0, bytes, cells, places }
    }

    /// A frame, if anything changed.
    pub fn follow(&mut self, state: &State) {
        if self.drawn != Some(state.revision()) {
            self.terminal.draw(|frame| draw(frame, state, &self.look)).unwrap();
            self.drawn = Some(state.revision());
            self.frames += 1;
        }
    }

    /// What was sent since the last time this was asked.
    pub fn sent(&mut self) -> Sent {
        Sent {
            frames: std::mem::take(&mut self.frames),
            cells: self.cells.replace(0),
            bytes: self.bytes.replace(0),
            places: self.places.take(),
        }
    }
}
