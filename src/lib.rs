//! homeroom: deploys and watches the machines of a training lab.
//!
//! The rooms, and which may know which, are listed in `CONTRIBUTING.md`;
//! `tests/it/architecture.rs` holds every `crate::room` path to that list.

pub mod app;
pub mod backend;
pub mod cli;
pub mod config;
pub mod demo;
pub mod deploy;
pub mod domain;
pub mod monitor;
pub mod port;
pub mod runtime;
pub mod serve;
pub mod service;
pub mod sim;
pub mod store;
pub mod telemetry;
pub mod tui;
pub mod wire;
