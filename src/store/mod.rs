//! store: what must survive: definitions, machines, runs, events, and who works on which lab.
//!
//! `port::Store` on SQLite. Plain SQL with numbered parameters, so that another database can stand
//! beside it. It decides nothing: what an event means is `domain::progress::fold`'s business, and
//! whether a definition may go is the caller's.

mod error;
mod folder;
mod lock;
mod network;
mod read;
mod schema;
mod seats;
mod sqlite;
mod writer;

pub use schema::NEWEST as SCHEMA;
pub use sqlite::{Options, SqliteStore};
