//! service: one file per use case, shared by dashboard and command line.
