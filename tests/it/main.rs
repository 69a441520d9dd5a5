//! The one integration-test binary: every module drives the program through its public doors.

mod store;
mod support;
