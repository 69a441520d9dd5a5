//! The whole program in a pseudo-terminal: the real binary, typed at, watched and left in every way.

mod certificate;
mod demo;
mod edit;
mod ends;
mod full_screen;
mod kiosk;
mod site;
mod tour;
mod welcome;
