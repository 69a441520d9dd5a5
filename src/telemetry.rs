//! telemetry: the log file, and what must never stand in it.
//!
//! `tracing` goes to a file a day in the state folder, never to the screen. Secrets are kept out by
//! their types; what slips through all the same is cut from the bytes before they are written
//! ([`Secrets`]). How faults of the program itself are told is settled here too.

mod file;
mod secrets;

use std::path::{Path, PathBuf};

use color_eyre::config::HookBuilder;
use thiserror::Error;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

pub use file::{DailyFile, Readers};
pub use secrets::Secrets;

/// The variable that sets what is logged, in the syntax of `tracing`'s `EnvFilter`.
pub const FILTER_VARIABLE: &str = "HOMEROOM_LOG";
/// The older one, with one word: `DEBUG`, `INFO`, `SUCCESS`, `WARNING` or `ERROR`.
pub const LEVEL_VARIABLE: &str = "PROXMOX_LOG_LEVEL";

/// Days of log kept.
const DAYS: usize = 14;

#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("log folder {folder}: {why}; the log needs a folder this user can write")]
    Folder { folder: PathBuf, why: std::io::Error },
    #[error("{FILTER_VARIABLE}={value:?} is no filter: {why}; write a level such as debug, or target=level,…")]
    Filter { value: String, why: String },
    #[error("{LEVEL_VARIABLE}={value:?} is none of DEBUG, INFO, SUCCESS, WARNING, ERROR")]
    Level { value: String },
    #[error("the log is started already")]
    Started,
}

/// Keeps the log open; what is still in memory is written when it is dropped.
#[must_use = "the log ends when this is dropped"]
pub struct Guard {
    _worker: WorkerGuard,
}

/// What to log, from the values of the two variables; the first wins, and without either it is info
/// for homeroom and warnings for the libraries below.
///
/// # Errors
/// A value that cannot be read, named with its variable.
pub fn filter(homeroom_log: Option<&str>, proxmox_log_level: Option<&str>) -> Result<EnvFilter, TelemetryError> {
    if let Some(value) = homeroom_log.filter(|value| !value.trim().is_empty()) {
        return EnvFilter::try_new(value)
            .map_err(|e| TelemetryError::Filter { value: value.to_owned(), why: e.to_string() });
    }
    let level = match proxmox_log_level.map(|value| value.trim().to_ascii_uppercase()).as_deref() {
        None | Some("" | "INFO" | "SUCCESS") => "info",
        Some("TRACE") => "trace",
        Some("DEBUG") => "debug",
        Some("WARNING" | "WARN") => "warn",
        Some("ERROR") => "error",
        Some(_) => {
            return Err(TelemetryError::Level { value: proxmox_log_level.unwrap_or_default().to_owned() });
        }
    };
    let below = if level == "error" { "error" } else { "warn" };
    Ok(EnvFilter::new(format!("{below},homeroom={level}")))
}

/// Lines that may wait for the disk. Their places are taken at the start: the usual number of them is four megabytes.
const WAITING: usize = 8_192;

/// Starts the log of the whole process in `folder`, made for these readers if missing.
///
/// # Errors
/// A folder that cannot be written; a log started before.
pub fn start(folder: &Path, filter: EnvFilter, secrets: Secrets, readers: Readers) -> Result<Guard, TelemetryError> {
    let (subscriber, guard) = build(folder, filter, secrets, readers)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Started)?;
    Ok(guard)
}

fn build(
    folder: &Path,
    filter: EnvFilter,
    secrets: Secrets,
    readers: Readers,
) -> Result<(impl tracing::Subscriber + Send + Sync, Guard), TelemetryError> {
    let file = DailyFile::open(folder, "homeroom", DAYS, secrets, readers)
        .map_err(|why| TelemetryError::Folder { folder: folder.to_owned(), why })?;
    // Lossy: a disk that hangs must not stop the program. Each event arrives at the file in one piece.
    let lines = NonBlockingBuilder::default().buffered_lines_limit(WAITING);
    let (writer, worker) = lines.thread_name("log").finish(file);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).finish();
    Ok((subscriber, Guard { _worker: worker }))
}

/// Settles how errors at the edge and faults of the program are told: plain words without places in
/// the source; a fault goes to the log with its backtrace and to standard error in two lines.
/// A screen that must be restored first wraps the panic hook set here.
///
/// # Errors
/// When called twice.
pub fn install_reports(secrets: Secrets) -> Result<(), TelemetryError> {
    let (_, reports) = HookBuilder::blank()
        .display_location_section(false)
        .display_env_section(false)
        .try_into_hooks()
        .map_err(|_| TelemetryError::Started)?;
    reports.install().map_err(|_| TelemetryError::Started)?;
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload_as_str().unwrap_or("no words");
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(%place, backtrace = %std::backtrace::Backtrace::force_capture(), "fault: {said}");
        eprintln!("{}", fault(&secrets.redact(said), &place));
    }));
    Ok(())
}

fn fault(said: &str, place: &str) -> String {
    format!(
        "homeroom met a fault of its own at {place}: {said}\n\
         What was written down is safe: `homeroom status` shows where things stand. The log has the details."
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn log_of(filter: EnvFilter, secrets: Secrets, act: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().unwrap();
        let (subscriber, guard) = build(folder.path(), filter, secrets, Readers::Owner).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        drop(guard);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        std::fs::read_to_string(&files[0]).unwrap()
    }

    #[test]
    fn lines_reach_the_file_without_colours_and_without_secrets() {
        let secrets = Secrets::default();
        secrets.add("hunter2-hunter2");
        let log = log_of(filter(None, None).unwrap(), secrets, || {
            tracing::info!(password = "hunter2-hunter2", "logging in with {:?}", "hunter2-hunter2");
            tracing::debug!("too quiet");
        });
        assert!(log.contains("INFO") && log.contains("logging in with") && log.contains("‹secret›"), "{log}");
        assert!(!log.contains("hunter2") && !log.contains("too quiet") && !log.contains('\x1b'), "{log}");
    }

    #[test]
    fn the_first_variable_wins_and_the_older_one_knows_five_words() {
        assert_eq!(filter(None, None).unwrap().to_string(), "homeroom=info,warn");
        assert_eq!(filter(None, Some("SUCCESS")).unwrap().to_string(), "homeroom=info,warn");
        assert_eq!(filter(None, Some("debug")).unwrap().to_string(), "homeroom=debug,warn");
        assert_eq!(filter(None, Some("ERROR")).unwrap().to_string(), "homeroom=error,error");
        assert_eq!(filter(Some("trace"), Some("ERROR")).unwrap().to_string(), "trace");
        assert_eq!(filter(Some(""), Some("WARNING")).unwrap().to_string(), "homeroom=warn,warn");
    }

    #[test]
    fn a_value_that_cannot_be_read_is_named_with_its_variable() {
        let error = filter(None, Some("LOUD")).unwrap_err().to_string();
        assert!(error.contains("PROXMOX_LOG_LEVEL") && error.contains("LOUD") && error.contains("WARNING"), "{error}");
        let error = filter(Some("homeroom=loud"), None).unwrap_err().to_string();
        assert!(error.contains("HOMEROOM_LOG") && error.contains("homeroom=loud"), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = build(&file.join("log"), EnvFilter::new("info"), Secrets::default(), Readers::Owner)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("log folder"), "{error}");
    }

    #[test]
    fn a_fault_is_told_in_two_lines() {
        let text = fault("index out of bounds", "src/x.rs:1:2");
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("index out of bounds") && text.contains("src/x.rs:1:2"));
    }
}
