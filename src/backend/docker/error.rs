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
    let what = shortened(what);
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            let words = Clean::new(shortened(&message));
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

/// Ids as Docker's own client shows them: twelve of their sixty-four digits.
fn shortened(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        // What is no digit is one character, however many bytes that has.
        let end = if digits > 0 { digits } else { rest.chars().next().map_or(rest.len(), char::len_utf8) };
        let (piece, after) = rest.split_at(end);
        out.push_str(if digits == ID { piece.get(..SHORT).unwrap_or(piece) } else { piece });
        rest = after;
    }
    out
}

/// Digits of an id, and of what is shown of it.
const ID: usize = 64;
const SHORT: usize = 12;

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
    fn ids_are_shown_as_dockers_own_client_does() {
        let id = "a234f4e95db0bdf88a5bbcc07bf51595a21cfffc9021aee9b3060930c51998e1";
        assert_eq!(
            shortened(&format!("network intro-host id {id} has «é»")),
            "network intro-host id a234f4e95db0 has «é»"
        );
        assert_eq!(shortened("a face"), "a face");
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
