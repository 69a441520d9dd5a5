//! config: files, environment and flags become settings; secrets stay wrapped.
