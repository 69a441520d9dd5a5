//! What several tests need.

pub mod big;
pub mod child;
pub mod engine;
pub mod lab;
pub mod seen;
pub mod session;
pub mod terminal;
