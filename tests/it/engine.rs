//! The engine through the real program, against the simulated cluster over real sockets. What it did is
//! judged by the cluster's own listing.

mod change;
mod cloning;
mod dead;
mod everyday;
mod faults;
mod guards;
mod half;
mod identity;
mod journal;
mod midway;
mod order;
mod outage;
mod stopping;
mod strangers;
