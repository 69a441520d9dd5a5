//! The one integration-test binary: every module drives the program through its public doors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod auth;
mod bad_input;
mod chaos;
mod cli;
mod cloud;
mod config;
mod definition;
mod definition_printing;
mod docker;
mod doctor;
mod engine;
mod foreign;
mod fuzz;
mod gce;
mod hand;
mod kill;
mod load;
mod planning;
mod program;
mod proxmox;
mod reading;
mod recordings;
mod requests;
mod screens;
mod secrets;
mod sim;
mod sim_ssh;
mod sim_world;
mod ssh;
mod sshd;
mod store;
mod storm;
mod support;
mod workshop;
