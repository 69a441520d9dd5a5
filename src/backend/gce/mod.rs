//! gce: Compute Engine and Cloud DNS over their REST interfaces. Some twenty calls, written by hand for exact
//! control over request ids, long waits and what an error means.

mod compute;
mod dns;
pub mod error;
mod http;
mod tokens;
mod view;

pub use compute::Gce;
pub use http::{Line, Sent, Silence};
pub use tokens::Tokens;
