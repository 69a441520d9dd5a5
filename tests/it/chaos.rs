//! The engine in bad weather, repeatably: seeded faults, lives cut off between any two effects, and
//! the promises checked through the world itself.

mod bound;
mod cloud;
mod first;
mod late;
mod mutants;
mod order;
mod promises;
mod seeds;
mod speed;
mod standing;
mod story;
mod verbs;
mod waits;
pub mod weather;
