//! The engine through the real program, against the simulated cluster over real sockets. What it did is
//! judged by the cluster's own listing.

mod change;
mod everyday;
mod faults;
mod order;
mod stopping;
mod strangers;
