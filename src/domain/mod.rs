//! domain: plain data and pure rules; no I/O, no clock, no async.
