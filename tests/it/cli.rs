//! The command line, through the real binary: words, exit codes and JSON fields are what other programs hold on to.

pub mod desk;

mod adopt;
mod containers;
mod cp;
mod definitions;
mod detach;
mod exec;
mod followers;
mod help;
mod keys;
mod pipes;
mod rebuild;
mod renewal;
mod report;
mod runs;
mod silent;
mod sim;
mod terminal;
mod work;
