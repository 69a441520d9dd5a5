//! What several tests need.

pub mod child;
pub mod lab;
pub mod seen;
