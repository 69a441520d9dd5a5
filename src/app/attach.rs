//! An open terminal on a seat, a container or a node, handed to whoever owns the screen: bytes both ways by
//! bounded channels.

use tokio::sync::mpsc;

use super::{doors::Door, shells::TabId};
use crate::domain::Clean;

/// What goes to the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToShell {
    Bytes(Vec<u8>),
    /// Columns, rows.
    Resize(u16, u16),
}

/// What comes from the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromShell {
    Bytes(Vec<u8>),
    /// Ended, with its exit status.
    Exit(i32),
    /// The connection broke.
    Lost(Clean),
}

/// A terminal that is open. Dropping it closes the connection.
#[derive(Debug)]
pub struct Attach {
    /// Which wish it answers; 0 where no screens asked for it.
    pub id: TabId,
    pub door: Door,
    pub to: mpsc::Sender<ToShell>,
    pub from: mpsc::Receiver<FromShell>,
}

/// How a terminal ended: its exit status, or why the connection broke.
pub type ShellEnd = Result<i32, Clean>;
