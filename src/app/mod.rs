//! app: the screens' state machine: synchronous and pure.
