//! An open terminal on a seat, handed to whoever owns the screen: bytes both ways by bounded channels.

use tokio::sync::mpsc;

use crate::domain::{Clean, LabName, SeatName};

/// What goes to the seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToShell {
    Bytes(Vec<u8>),
    /// Columns, rows.
    Resize(u16, u16),
}

/// What comes from the seat.
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
    pub lab: LabName,
    pub seat: SeatName,
    pub to: mpsc::Sender<ToShell>,
    pub from: mpsc::Receiver<FromShell>,
}

/// How a terminal ended: its exit status, or why the connection broke.
pub type ShellEnd = Result<i32, Clean>;
