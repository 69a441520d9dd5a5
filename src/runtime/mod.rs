//! runtime: turns app effects into service calls and their results into actions.
