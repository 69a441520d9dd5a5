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

use std::fmt::Debug;

use homeroom::{domain::event::RunState, service::ServiceError};

use crate::hand::Over;

/// What came of what one life was to do, in a word; one that hangs breaks a promise.
fn came_of(
    lived: Result<Result<Option<RunState>, ServiceError>, Over>,
    act: &impl Debug,
    broken: &mut Vec<String>,
) -> String {
    match lived {
        Ok(Ok(Some(state))) => format!("{state:?}"),
        Ok(Ok(None)) => "nothing to do".to_owned(),
        Ok(Err(error)) => format!("refused: {error}"),
        Err(Over::Killed) => "killed".to_owned(),
        Err(Over::Stuck) => {
            broken.push(format!("{act:?} hung"));
            "stuck".to_owned()
        }
    }
}
