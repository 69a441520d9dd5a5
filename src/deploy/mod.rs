//! deploy: the engine and its catalogues of steps; no UI.
