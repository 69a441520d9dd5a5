//! port: traits for what the core needs from outside.
