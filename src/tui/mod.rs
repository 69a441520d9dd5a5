//! Draws the state and turns keys into actions. One file a pane or screen.
//!
//! May know the domain, the configuration and the app, and never sees a backend.

mod answers;
mod board;
mod chart;
mod container;
mod draw;
mod editor;
mod escape;
mod form;
mod format;
mod gantt;
mod glyphs;
mod header;
mod input;
mod keyboard;
mod keymap;
mod keys;
mod kiosk;
mod lab_form;
mod machine;
mod matters;
mod node;
mod overview;
mod panes;
mod passthrough;
mod pen;
mod popups;
mod run;
mod runs;
mod shells;
mod sparing;
mod spots;
mod switch_off;
mod tabs;
mod terminal;
mod theme;
mod typed;
mod welcome;

pub use draw::{Look, draw};
pub use glyphs::Glyphs;
pub use keymap::rekeyed;
pub use passthrough::{Parting, borrow};
pub use run::{Ended, Wires, run};
pub use sparing::Sparing;
pub use terminal::{TuiError, restore};
pub use theme::{Depth, Theme};
