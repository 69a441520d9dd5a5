//! One frame: the screen in front, then the popup in front of it.

use ratatui::{
    Frame,
    layout::{Position, Rect},
};

use super::{
    Depth, Glyphs, Theme, answers, board, gantt, header, kiosk, lab_form, machine, node, overview, panes,
    pen::Page,
    popups, runs, shells,
    spots::Spots,
    theme::{Tone, is_bright},
    welcome,
};
use crate::{
    app::{Screen, State},
    config::{ConfigError, GlyphChoice, UiSettings},
};

/// Colours and signs, chosen once at the start.
#[derive(Debug, Clone)]
pub struct Look {
    pub theme: Theme,
    pub glyphs: Glyphs,
    /// The mouse is the dashboard's.
    pub mouse: bool,
}

impl Look {
    pub fn new(depth: Depth, glyphs: Glyphs) -> Self {
        Self { theme: Theme::new(depth), glyphs, mouse: false }
    }

    /// As the configuration says, and the environment where that leaves it open. Reads the user's theme.
    pub fn chosen(ui: &UiSettings, var: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let glyphs = match ui.glyphs {
            GlyphChoice::Auto => Glyphs::from_env(&var),
            GlyphChoice::Unicode => Glyphs::UNICODE,
            GlyphChoice::Ascii => Glyphs::ASCII,
        };
        let palette = ui.palette(is_bright(&var))?;
        Ok(Self { theme: Theme::of(Depth::from_env(&var), palette), glyphs, mouse: ui.mouse })
    }
}

/// Below this nothing can be read.
const SMALLEST: (u16, u16) = (40, 12);

/// Draws the whole state.
pub fn draw(frame: &mut Frame<'_>, state: &State, look: &Look) {
    drawn(frame, state, look);
}

/// The same, telling what can be pointed at.
pub(super) fn drawn(frame: &mut Frame<'_>, state: &State, look: &Look) -> Spots {
    let area = frame.area();
    let turning = state.kiosk.as_ref().filter(|kiosk| kiosk.rotates());
    let without = turning.map(|_| kiosk::without_cursor(look));
    let look = without.as_ref().unwrap_or(look);
    let mut page = Page::new(frame.buffer_mut(), look);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut page, area);
        return Spots::default();
    }
    let (top, mut middle, bottom) = split(area);
    if matches!(state.screen(), Screen::Shells) && state.shells.zoomed && state.popup.is_none() {
        shells::draw(&mut page, area, state);
        opening(&mut page, middle, state);
        let cursor = page.cursor;
        place_cursor(frame, cursor);
        return Spots::default();
    }
    let labs = state.labs();
    header::top(&mut page, top, state, &labs);
    if let Some(kiosk) = &state.kiosk {
        middle = kiosk::banner(&mut page, middle, state, kiosk);
    }
    match state.screen() {
        Screen::Overview => overview::draw(&mut page, middle, state, &labs),
        Screen::Board(board) => board::draw(&mut page, middle, state, board),
        Screen::Log(_) => panes::log::screen(&mut page, middle, state),
        Screen::Runs(list) => runs::draw(&mut page, middle, state, list),
        Screen::Node(node) => node::draw(&mut page, middle, state, node),
        Screen::Machine(board) => machine::draw(&mut page, middle, state, board),
        Screen::LabForm => lab_form::draw(&mut page, middle, state),
        Screen::Welcome(first) => welcome::draw(&mut page, middle, first),
        Screen::Run(run) => gantt::draw(&mut page, middle, state, run),
        Screen::Shells => shells::draw(&mut page, middle, state),
        Screen::Answers => answers::draw(&mut page, middle, state),
    }
    match turning.filter(|_| state.popup.is_none() && state.toast.is_none()) {
        Some(kiosk) => kiosk::bottom(&mut page, bottom, kiosk),
        None => header::bottom(&mut page, bottom, state),
    }
    page.settle();
    if let Some(popup) = &state.popup {
        page.fade(middle);
        popups::draw(&mut page, middle, state, popup);
        page.settle();
    }
    opening(&mut page, middle, state);
    let (cursor, spots) = (page.cursor, page.spots);
    place_cursor(frame, cursor);
    spots
}

/// The shell that is being opened, unless something stands before it that has to be answered.
fn opening(page: &mut Page<'_>, area: Rect, state: &State) {
    if let Some(opening) = state.shells.opening.as_ref().filter(|_| state.popup.is_none()) {
        page.cursor = None;
        popups::opening::draw(page, area, state, opening);
    }
}

fn place_cursor(frame: &mut Frame<'_>, cursor: Option<Position>) {
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// The first line, the last line, and what is between.
fn split(area: Rect) -> (Rect, Rect, Rect) {
    let line = Rect { height: 1, ..area };
    let middle = Rect { y: area.y + 1, height: area.height - 2, ..area };
    (line, middle, Rect { y: area.bottom() - 1, ..line })
}

/// One clear line, shorter where even that does not fit.
fn too_small(page: &mut Page<'_>, area: Rect) {
    let times = page.look.glyphs.times;
    let (wide, high) = SMALLEST;
    let needs = format!("{wide}{times}{high}");
    let long = format!("homeroom needs {needs}; this is {}{times}{}", area.width, area.height);
    let text = if long.chars().count() <= usize::from(area.width) { long } else { format!("needs {needs}") };
    page.line(area, usize::from(area.height / 2)).put(&text, Tone::Warn);
}
