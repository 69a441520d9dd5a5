//! `[kiosk]`: what the unattended dashboard shows for how long, and whom it calls when.

use std::time::Duration;

use super::{ConfigError, Secret, duration, proxmox::Context, reader::Node};

/// How an unattended dashboard behaves. All times are wall time.
#[derive(Debug, Clone, PartialEq)]
pub struct KioskSettings {
    /// For how long each board is shown.
    pub rotate: Duration,
    /// Red has to last so long before anybody is called.
    pub after: Duration,
    /// And has to be over for so long before that is told.
    pub clear: Duration,
    /// Data older than this is red.
    pub stale: Duration,
    /// Ring the terminal's bell.
    pub bell: bool,
    /// A program to start, and its arguments; no shell is involved. Empty for none.
    pub command: Vec<String>,
    /// Where to send news by POST. Whoever knows the address can send there, so it is a secret.
    pub webhook: Option<Secret>,
}

impl Default for KioskSettings {
    fn default() -> Self {
        Self {
            rotate: Duration::from_secs(15),
            after: Duration::from_secs(30),
            clear: Duration::from_secs(60),
            stale: Duration::from_secs(60),
            bell: true,
            command: Vec::new(),
            webhook: None,
        }
    }
}

pub(super) const KEYS: &[&str] = &["rotate", "after", "clear", "stale", "bell", "command", "webhook"];

pub(super) fn read(node: &Node<'_>, context: &mut Context<'_>) -> Result<KioskSettings, ConfigError> {
    let table = node.table()?;
    let default = KioskSettings::default();
    let time = |key: &str, default, least, most| {
        let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
        table.or(key, default, |n| duration::read(&n, least, most))
    };
    let webhook = match table.get("webhook") {
        None => None,
        Some(node) => Some(Secret::read(node, context.folders, context.folder, context.warnings)?),
    };
    Ok(KioskSettings {
        rotate: time("rotate", default.rotate, 2, 3600)?,
        after: time("after", default.after, 0, 3600)?,
        clear: time("clear", default.clear, 0, 3600)?,
        stale: time("stale", default.stale, 15, 3600)?,
        bell: table.or("bell", default.bell, |n| n.boolean())?,
        command: table.or("command", default.command, |n| n.texts())?,
        webhook,
    })
}
