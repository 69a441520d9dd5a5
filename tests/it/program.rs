//! The whole program in a pseudo-terminal: the real binary, typed at, watched and left in every way.

mod certificate;
pub mod demo;
mod edit;
mod ends;
mod form;
mod full_screen;
mod kiosk;
mod site;
mod terminals;
mod tour;
mod two;
mod welcome;
