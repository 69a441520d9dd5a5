//! Plain data and pure rules: labs, seats, machines, placement, plans, readiness.
//!
//! No I/O, no clock, no async: time and randomness come in as arguments.

pub mod address;
pub mod alert;
pub mod answers;
pub mod class;
pub mod clean;
pub mod cloud;
pub mod cluster;
pub mod code;
pub mod definition;
pub mod engine;
pub mod event;
pub mod guesses;
pub mod hindsight;
pub mod hosting;
pub mod image;
pub mod label;
pub mod lent;
pub mod life;
pub mod machine;
pub mod mark;
pub mod name;
pub mod nearest;
pub mod paces;
pub mod person;
pub mod placement;
pub mod plan;
pub mod planning;
pub mod price;
pub mod progress;
pub mod readiness;
pub mod regain;
pub mod retry;
pub mod seating;
pub mod sh;
pub mod shared;
pub mod size;
pub mod step;
pub mod stray;
pub mod timing;
pub mod told;
pub mod verify;
pub mod workshop;

pub use clean::Clean;
pub use definition::Definition;
pub use event::{Change, Event, Level, RunId};
pub use machine::{MachineState, Role};
pub use name::{LabName, NodeName, SeatName, SiteName, StoreId, Vmid};
pub use plan::Plan;
pub use progress::Progress;
pub use step::{StepName, StepState};
