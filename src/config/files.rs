//! Where files lie: the user's folders, `~`, and paths relative to the file that names them.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use etcetera::BaseStrategy;

use super::ConfigError;

/// The user's folders by the XDG rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    pub home: PathBuf,
    /// `~/.config`
    pub config: PathBuf,
    /// `~/.local/share`
    pub data: PathBuf,
}

impl Folders {
    /// Those of the user who runs this process.
    pub fn of_user() -> Result<Self, ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::NoHome)?;
        Ok(Self { home: base.home_dir().to_owned(), config: base.config_dir(), data: base.data_dir() })
    }

    /// The usual folders under `home`.
    pub fn under(home: &Path) -> Self {
        Self { home: home.to_owned(), config: home.join(".config"), data: home.join(".local/share") }
    }

    /// The configuration file when neither flag nor environment names one.
    pub fn config_file(&self) -> PathBuf {
        self.config.join("homeroom/config.toml")
    }

    /// `written` with `~` expanded; what is relative lies in `folder`.
    pub(super) fn locate(&self, written: &str, folder: &Path) -> PathBuf {
        match written.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(rest.trim_start_matches('/')),
            _ => {
                let path = folder.join(written);
                std::path::absolute(&path).unwrap_or(path)
            }
        }
    }
}

/// Reads a text file of at most `most` bytes.
pub fn read_text(path: &Path, most: u64) -> Result<String, ConfigError> {
    let failed = |why: String| ConfigError::Unreadable { path: path.to_owned(), why };
    let file = File::open(path).map_err(|e| failed(words(&e)))?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|e| failed(words(&e)))?;
    if bytes.len() as u64 > most {
        return Err(failed(format!("it is larger than {} KiB", most / 1024)));
    }
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))
}

/// An I/O error without Rust's numbers.
pub(super) fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
