//! tui: draws the state and turns keys into actions; never sees a backend.
