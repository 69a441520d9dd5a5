//! sim: servers that speak the real protocols; shares no code with the backends.

pub mod ssh;
