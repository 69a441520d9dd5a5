//! monitor: polling into immutable snapshots and short histories.
