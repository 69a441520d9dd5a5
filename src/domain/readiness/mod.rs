//! Readiness: what a stored proof is worth now, and how a lab stands as a whole.
//!
//! A proof is held against one look at the site. Ready is only what nothing contradicts; everything else
//! has its reason in words. The words of states are made here and nowhere else: the command line, the dashboard, the
//! kiosk and the metrics all show `Stand::word` and `Phase::word`. Pure: the look and the time come in as arguments.

mod hand;
mod identity;
mod lab;
mod look;
mod seat;
mod stand;
#[cfg(test)]
mod tests;

pub(super) use hand::is_in_hand;
pub use hand::{Cut, Hand};
pub use identity::{Identity, duplicates};
pub use lab::{LabState, Phase, lab_state};
pub use look::{Look, seen_on};
pub use seat::current_state;
pub(super) use seat::{was_configured, was_made};
pub use stand::{OFF, Stand, ago, word};
