//! telemetry: the log file, and what must never stand in it.
