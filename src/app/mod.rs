//! The screens' state machine: `update(&mut State, Action) -> Vec<Effect>`; synchronous and pure.
//!
//! Time enters only as `Action::Tick`, data only as actions, and what is to be done leaves as effects.
//! May know nothing but the domain: no terminal, no backend, no clock.

pub mod action;
pub mod asked;
pub mod attach;
pub mod bars;
mod called;
pub mod closer;
pub mod commands;
pub mod copying;
pub mod cursor;
pub mod doors;
pub mod edit;
pub mod effect;
pub mod engines;
pub mod form;
pub mod fuzzy;
pub mod key;
pub mod kiosk;
pub mod lab_form;
pub mod labs;
pub mod log;
pub mod log_view;
pub mod machines;
pub mod marks;
pub mod offers;
pub mod order;
pub mod output;
pub mod palette;
pub mod pointer;
pub mod popup;
pub mod rows;
pub mod runs;
pub mod seats;
pub mod shells;
pub mod shown;
pub mod sites;
pub mod state;
pub mod update;
pub mod welcome;
pub mod workshops;

pub use action::Action;
pub use commands::{Command, Context, action_for};
pub use effect::Effect;
pub use key::Key;
pub use state::{Pane, Screen, Settings, State};
pub use update::update;
