//! What went wrong, sorted by what it means for whoever asked.

use bollard::errors::Error;

use crate::{domain::Clean, port::containers::EngineError};

/// A question failed: whatever was lost, nothing has happened.
pub fn asking(what: &str, engine: &str, error: Error) -> EngineError {
    match doing(what, engine, error) {
        EngineError::Lost { what, why } => EngineError::Unreachable { what, engine: engine.to_owned(), why },
        error => error,
    }
}

/// An effect was asked for and no success came back.
pub fn doing(what: &str, engine: &str, error: Error) -> EngineError {
    let what = what.to_owned();
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            let words = Clean::new(message);
            match status_code {
                404 => EngineError::Missing { what, words },
                409 => EngineError::Conflict { what, words },
                _ => EngineError::Refused { what, words },
            }
        }
        Error::DockerStreamError { error } => EngineError::Refused { what, words: Clean::new(error) },
        Error::SocketNotFoundError(path) => {
            let why = Clean::new(format!("there is no socket {path}"));
            EngineError::Unreachable { what, engine: engine.to_owned(), why }
        }
        Error::HyperLegacyError { err } if err.is_connect() => {
            EngineError::Unreachable { what, engine: engine.to_owned(), why: Clean::with_causes(&err) }
        }
        error => EngineError::Lost { what, why: Clean::with_causes(&error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_question_lost_has_not_happened_and_what_an_effect_lost_may_have() {
        let lost = || Error::RequestTimeoutError;
        assert!(matches!(asking("looking", "unix:///x", lost()), EngineError::Unreachable { .. }));
        assert!(matches!(doing("making", "unix:///x", lost()), EngineError::Lost { .. }));
    }

    #[test]
    fn the_engine_is_quoted_and_a_name_that_is_taken_is_told_apart() {
        let said = |status_code| Error::DockerResponseServerError { status_code, message: "Conflict.\u{1b}[0m".into() };
        let error = doing("making the container a", "unix:///x", said(409));
        assert!(matches!(error, EngineError::Conflict { .. }));
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
        assert!(doing("removing", "unix:///x", said(404)).is_missing());
    }
}
