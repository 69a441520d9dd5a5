//! store: what must survive: definitions, machines, runs, events.
