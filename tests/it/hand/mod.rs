//! The engine on a clock advanced by hand: an adaptor from the ports straight to `sim::world`.
//!
//! No socket, no thread, no waiting: everything runs on one current-thread runtime, and modelled time
//! jumps to the next wake-up only when no task can go on. The same seed gives the same requests in the
//! same order. A life (`Stage::live`) is one process: it can be cut off between any two effects.

#![allow(dead_code, unused_imports, reason = "tests and the bench each use a part of it")]

mod agent;
mod cloud;
mod cluster;
mod decode;
mod engine;
mod house;
mod inspect;
mod shell;
mod stage;
mod store;

pub use cloud::{Cloud, CloudHabit, ZONES};
pub use cluster::Habit;
pub use engine::Hall;
pub use house::{House, LAB, SITE, lab as house_lab};
pub use stage::{Calls, EPOCH, Over, Stage};
pub use store::Disk;
