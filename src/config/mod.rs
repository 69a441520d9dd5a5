//! config: files, environment and flags become settings and definitions; secrets stay wrapped.
//!
//! Reads, never writes: the user's files are the user's. (The text of the very first one is composed here.) Every complaint names file, line and key,
//! says what was given and what is allowed, and never shows a secret.

pub mod definition;
mod duration;
mod engine;
mod error;
mod files;
mod first;
mod kiosk;
mod proxmox;
mod reader;
mod secret;
mod settings;
mod sites;
mod theme;
mod ui;
mod whole;

pub use duration::parse as parse_duration;
pub use engine::EngineSettings;
pub use error::{ConfigError, Warning};
pub use files::{Folders, read_text};
pub use first::First;
pub use kiosk::KioskSettings;
pub use proxmox::{
    Credentials, Fingerprint, GuestVia, HostPort, JumpHost, Login, NodeSettings, ProxmoxSite, SshSettings, Token,
};
pub use secret::Secret;
pub use settings::{Clock, Settings, StoreSettings, load, parse};
pub use sites::{DockerSite, DockerTls, Environment, GceSite, Site, SiteKind};
pub use theme::{BUILT_IN as THEMES, Paint, Palette};
pub use ui::{GlyphChoice, KeySetting, ThemeChoice, UiSettings};

/// The complete commented sample; a test proves that it says exactly the defaults.
pub const SAMPLE: &str = include_str!("../../config/homeroom.toml");
