//! The first line (where we are, what is wrong, how old the data is) and the last (news, or what the keys do).

use jiff::SignedDuration;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{format, pen::Page, theme::Tone};
use crate::{
    app::{
        Command, Context, Screen, State, commands::Entry, engines::Engine, labs::ClassRow, pointer::Spot, shown::Labs,
        sites::Site, state::Typing,
    },
    domain::{Clean, Level, MachineState, SiteName, readiness::Phase},
};

type Piece = (String, Tone);

/// The first line.
pub fn top(page: &mut Page<'_>, area: Rect, state: &State, labs: &Labs<'_>) {
    let right = right(page, state, labs, area.width < NARROW);
    let taken: usize = right.iter().map(|(text, _)| text.width()).sum();
    let mut pen = page.line(area, 0);
    pen.skip(1).put("homeroom", Tone::Accent);
    let room = pen.room().saturating_sub(taken + 3);
    let mut told = left(state, labs, area.width >= 100);
    // What matters least goes first where room is short.
    while told.iter().map(Told::width).sum::<usize>() > room {
        let Some(least) = (0..told.len()).min_by_key(|n| told[*n].rank) else { break };
        told.remove(least);
    }
    for told in told {
        pen.skip(3);
        for (text, tone) in told.pieces {
            pen.put(&text, tone);
        }
    }
    pen.right(&right);
}

/// Something told from the left, and how much it matters.
struct Told {
    rank: u8,
    pieces: Vec<Piece>,
}

impl Told {
    fn new(rank: u8, text: impl Into<String>, tone: Tone) -> Self {
        Self { rank, pieces: vec![(text.into(), tone)] }
    }

    fn width(&self) -> usize {
        3 + self.pieces.iter().map(|(text, _)| text.width()).sum::<usize>()
    }
}

fn left(state: &State, labs: &Labs<'_>, wide: bool) -> Vec<Told> {
    let mut told = Vec::new();
    if state.settings.read_only {
        told.push(Told::new(5, "read-only", Tone::Warn));
    }
    let engines: Vec<_> = state.engines.iter().collect();
    match (state.sites.iter().collect::<Vec<_>>().as_slice(), engines.as_slice()) {
        ([], []) if state.welcome().is_some() => told.push(Told::new(4, "first run", Tone::Dim)),
        // Engines that whoever runs it may not look at.
        ([], []) if state.kiosk.is_some() => told.push(Told::new(4, "no site is looked at from here", Tone::Warn)),
        ([], []) => told.push(Told::new(4, "no site configured", Tone::Warn)),
        ([(name, site)], []) => one_site(&mut told, name, site),
        ([], [(name, engine)]) => one_engine(&mut told, name, engine),
        (sites, engines) => {
            let lost = sites.iter().filter(|(_, site)| site.lost.is_some()).count()
                + engines.iter().filter(|(_, engine)| engine.lost.is_some()).count();
            let tone = if lost > 0 { Tone::Bad } else { Tone::Text };
            let lost = if lost > 0 { format!(", {lost} not answering") } else { String::new() };
            told.push(Told::new(4, format!("{} sites{lost}", sites.len() + engines.len()), tone));
        }
    }
    let counts = labs.all().filter(|row| row.phase != Phase::ABSENT).map(ClassRow::ready);
    let (ready, all) = counts.fold((0, 0), |(ready, all), (r, a)| (ready + r, all + a));
    if all > 0 {
        let text = if wide { format!("{ready} of {all} seats ready") } else { format!("{ready}/{all} ready") };
        told.push(Told::new(3, text, Tone::Text));
    }
    told
}

fn named(name: &SiteName, environment: &Clean) -> Told {
    let tone = if environment.as_str() == "prod" { Tone::Warn } else { Tone::Dim };
    Told { rank: 4, pieces: vec![(format!("{name} "), Tone::Title), (environment.to_string(), tone)] }
}

fn one_engine(told: &mut Vec<Told>, name: &SiteName, engine: &Engine) {
    told.push(named(name, &engine.environment));
    if let Some(view) = &engine.view {
        told.push(Told::new(0, format!("docker {}", view.version), Tone::Dim));
    }
}

fn one_site(told: &mut Vec<Told>, name: &SiteName, site: &Site) {
    told.push(named(name, &site.environment));
    let Some(view) = &site.view else { return };
    let version = view.version.as_str();
    // 9.2.11: the third number matters to nobody at a glance.
    let short = version.match_indices('.').nth(1).map_or(version, |(at, _)| &version[..at]);
    told.push(Told::new(0, format!("pve {short}"), Tone::Dim));
    let online = view.nodes.iter().filter(|node| node.online).count();
    told.push(match (online, view.nodes.len()) {
        (on, all) if on == all => Told::new(1, format!("{all} nodes"), Tone::Dim),
        (on, all) => Told::new(2, format!("{on} of {all} nodes"), Tone::Warn),
    });
    if view.quorate == Some(false) {
        told.push(Told::new(6, "no quorum", Tone::Bad));
    }
}

/// Below this what is wrong and how old it is has room, and no clock.
const NARROW: u16 = 60;

/// What is told at the right end: failures, runs, the time, the data's age.
fn right(page: &Page<'_>, state: &State, labs: &Labs<'_>, narrow: bool) -> Vec<Piece> {
    let glyphs = &page.look.glyphs;
    let mut pieces = Vec::new();
    let failed: usize = labs.all().map(|row| row.count(MachineState::Failed)).sum();
    if failed > 0 {
        pieces.push((format!("{} {failed} failed   ", glyphs.failed), Tone::Bad));
    }
    match state.running() {
        0 => {}
        1 => pieces.push((format!("{} 1 run   ", glyphs.working), Tone::Busy)),
        n => pieces.push((format!("{} {n} runs   ", glyphs.working), Tone::Busy)),
    }
    let open = state.shells.open();
    if open > 0 && !matches!(state.screen(), Screen::Shells) {
        let key = state.commands.iter().find(|entry| entry.command == Command::Shells).and_then(|e| e.keys.first());
        let key = key.map(|key| format!("{key} ")).unwrap_or_default();
        let s = if open == 1 { "" } else { "s" };
        pieces.push((format!("{key}{open} shell{s}   "), Tone::Accent));
    }
    if state.settings.speed != 1.0 {
        pieces.push((format!("{}{}   ", glyphs.times, state.settings.speed), Tone::Dim));
    }
    if !narrow {
        pieces.push((format!("{}   ", format::clock(state.now, &state.settings.zone)), Tone::Dim));
    }
    if state.welcome().is_none() {
        pieces.push(freshness(state));
    }
    pieces
}

/// The age of what was seen of the sites, once it is one.
pub fn age(state: &State) -> Option<Piece> {
    let oldest = state.sites.values().filter_map(|site| site.view.as_ref()).map(|view| view.at).min()?;
    let old = state.now.duration_since(oldest) >= OLD || state.sites.values().any(|site| site.lost.is_some());
    old.then(|| (format!("seen {} ", format::ago(state.now.duration_since(oldest))), Tone::Warn))
}

/// What is older is no longer called live.
const OLD: SignedDuration = SignedDuration::from_secs(20);

/// The age of the oldest data on the screen.
fn freshness(state: &State) -> Piece {
    let lost = state.sites.values().filter_map(|site| site.lost.as_ref());
    let lost = lost.chain(state.engines.values().filter_map(|engine| engine.lost.as_ref()));
    if let Some(lost) = lost.min_by_key(|lost| lost.since) {
        let since = format::moment(lost.since, state.now, &state.settings.zone);
        return (format!("no answer since {since} "), Tone::Bad);
    }
    let seen: Option<Vec<_>> = state
        .sites
        .values()
        .map(|site| site.view.as_ref().map(|view| view.at))
        // A cloud is looked at seldom, on purpose: what it says of its age stands on its workshops' boards.
        .chain(
            state.engines.values().filter(|engine| engine.cloud.is_none()).map(|engine| Some(engine.view.as_ref()?.at)),
        )
        .collect();
    // Only clouds, and each was seen.
    if seen.as_ref().is_some_and(Vec::is_empty) && !state.engines.is_empty() {
        return ("live ".into(), Tone::Ok);
    }
    if state.kiosk.is_some() && state.sites.is_empty() && state.engines.is_empty() {
        return ("store only ".into(), Tone::Warn);
    }
    let Some(oldest) = seen.and_then(|seen| seen.into_iter().min()) else {
        return ("connecting ".into(), Tone::Busy);
    };
    let age = state.now.duration_since(oldest);
    match age {
        age if age < OLD => ("live ".into(), Tone::Ok),
        age if age < SignedDuration::from_secs(60) => (format!("{} old ", format::span(age)), Tone::Warn),
        age => (format!("{} old ", format::span(age)), Tone::Bad),
    }
}

/// How much it matters that a command is told of. Those of the row under the cursor and those that find one's way
/// outweigh what is done seldom and stands in the help.
fn weight(command: Command) -> u8 {
    match command {
        Command::Quit | Command::New | Command::CopyRow => 0,
        Command::Edit | Command::Runs | Command::Mark | Command::Power => 1,
        Command::LogFilter | Command::Palette | Command::Back => 1,
        Command::SeatLog | Command::Check => 2,
        _ => 3,
    }
}

/// A key, what it does, and the command behind it.
struct Hint {
    key: String,
    does: String,
    command: Command,
}

impl Hint {
    fn of(entry: &Entry) -> Option<Self> {
        Self::told(entry, entry.hint.to_owned())
    }

    fn told(entry: &Entry, does: String) -> Option<Self> {
        Some(Self { key: entry.keys.first()?.to_string(), does, command: entry.command })
    }
}

/// What is done to marked rows at once, with how many of them it is done to; and the ways to mark others and none.
fn on_marked(state: &State, context: Context) -> Vec<Hint> {
    let here = |command: Command| state.commands.iter().find(|e| e.command == command && e.on.contains(&context));
    let acts = [
        (Command::Check, "check"),
        (Command::Power, "power"),
        (Command::Destroy, "destroy"),
        (Command::Exec, "run on"),
        (Command::ShellsOfAll, "shells on"),
        (Command::Rebuild, "rebuild"),
        (Command::CopyRow, "copy"),
    ];
    let counted = acts.into_iter().filter_map(|(command, does)| {
        let count = state.marked_for(command).filter(|count| *count > 0)?;
        Hint::told(here(command)?, format!("{does} {count}"))
    });
    let others = [(Command::Mark, "mark"), (Command::Back, "unmark all")];
    counted
        .chain(others.into_iter().filter_map(|(command, does)| Hint::told(here(command)?, does.to_owned())))
        .collect()
}

/// The last line: news while there is some, else what the keys do here.
pub fn bottom(page: &mut Page<'_>, area: Rect, state: &State) {
    if let Some(toast) = &state.toast {
        let tone = match toast.level {
            Level::Debug | Level::Info => Tone::Text,
            Level::Success => Tone::Ok,
            Level::Warning => Tone::Warn,
            Level::Error => Tone::Bad,
        };
        page.line(area, 0).skip(1).put(toast.text.as_str(), tone);
        return;
    }
    if let Some(typing) = state.typing {
        let mut pen = page.line(area, 0);
        let text = state.typed_text().map_or("", |input| input.value()).to_owned();
        let sign = if typing == Typing::Filter { "/" } else { "search " };
        pen.skip(1).put(sign, Tone::Accent).put(&text, Tone::Text);
        let cursor = pen.position();
        pen.skip(3)
            .put("enter", Tone::Accent)
            .put(" keep   ", Tone::Dim)
            .put("esc", Tone::Accent)
            .put(" clear", Tone::Dim);
        page.cursor = Some(cursor);
        return;
    }
    if state.popup.is_some() {
        // The popup names its own keys.
        return;
    }
    if state.hushed {
        let at_once = state.commands.iter().find(|entry| entry.command == Command::LetGo).and_then(|e| e.keys.first());
        let mut pen = page.line(area, 0);
        pen.skip(1).put("keys count after a moment's pause", Tone::Warn).skip(3);
        if let Some(key) = at_once {
            pen.put(&key.to_string(), Tone::Accent).put(" at once", Tone::Dim);
        }
        return;
    }
    let context = state.base_context();
    let offering = state.offering();
    let told = |e: &&Entry| !e.hint.is_empty() && e.on.contains(&context) && offering.has(e.command);
    let hints = || state.commands.iter().filter(told);
    // Help is always told, at the right.
    let help: Vec<_> = hints()
        .filter(|e| e.command == Command::Help)
        .filter_map(|e| e.keys.first().map(|key| (key, e.hint)))
        .flat_map(|(key, hint)| [(key.to_string(), Tone::Accent), (format!(" {hint} "), Tone::Dim)])
        .collect();
    let width: u16 = help.iter().map(|(text, _)| u16::try_from(text.width()).unwrap_or(0)).sum();
    page.line(area, 0).right(&help);
    if width > 0 {
        page.spots.add(Rect { x: area.right() - width, width, ..area }, Spot::Hint(Command::Help));
    }
    let area = Rect { width: area.width.saturating_sub(width + 2), ..area };
    let mut pen = page.line(area, 0);
    pen.skip(1);
    if let Some(marks) = state.marks().filter(|marks| !marks.is_empty()) {
        let glyphs = pen.glyphs();
        pen.put(&format!("{} {} marked", glyphs.marked, marks.len()), Tone::Accent).skip(3);
    }
    let marked = state.marks().is_some_and(|marks| !marks.is_empty());
    let mut told = if marked { on_marked(state, context) } else { hints().filter_map(Hint::of).collect() };
    told.retain(|hint| hint.command != Command::Help);
    let width = |told: &[Hint]| told.iter().map(|hint| hint.key.width() + 4 + hint.does.width()).sum::<usize>();
    // What matters least goes first where room is short, and of two alike the one that comes later. In a form where
    // letters are typed, the way out is no key to be guessed; nor is the way back from marks, which change what
    // every key does.
    let no_guess = marked || matches!(state.screen(), Screen::LabForm) && area.width < 60;
    let way_out = |command| no_guess && command == Command::Back;
    let weight = |command| if way_out(command) { u8::MAX } else { weight(command) };
    while width(&told) > pen.room() + 3 {
        let Some(least) = (0..told.len()).rev().min_by_key(|n| weight(told[*n].command)) else { break };
        told.remove(least);
    }
    let mut spots = Vec::new();
    for Hint { key, does, command } in told {
        let from = pen.position();
        pen.put(&key, Tone::Accent).put(" ", Tone::Text).put(&does, Tone::Dim);
        let to = pen.position();
        spots.push((Rect { x: from.x, y: from.y, width: to.x - from.x, height: 1 }, Spot::Hint(command)));
        pen.skip(3);
    }
    spots.into_iter().for_each(|(place, spot)| page.spots.add(place, spot));
}
