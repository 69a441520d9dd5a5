//! What several tests need.

pub mod child;
