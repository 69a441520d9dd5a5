//! The real program in bad weather, over real sockets: killed two hundred times, asked for things while
//! requests fail and answers are lost, stopped and woken. What came of it is read from the cluster's own listing.
//!
//! Many small lives on a few clusters that are used again and again. Takes minutes; `.ci/run` runs it by itself.

mod faults;
mod ground;
mod kills;
mod stopped;
