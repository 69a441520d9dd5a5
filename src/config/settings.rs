//! The settings: from the configuration file to typed values.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, EngineSettings, Folders, KioskSettings, Secret, Site, UiSettings, Warning, engine,
    error::Place,
    files::read_text,
    kiosk,
    proxmox::{self, Context},
    reader::{Document, Node, Schema, nearest},
    sites, ui, whole,
};
use crate::domain::SiteName;

/// The environment variable that names the configuration file.
const FILE_VAR: &str = "HOMEROOM_CONFIG";
/// No configuration is larger.
const LONGEST: u64 = 1 << 20;

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The file they came from, or would come from if there were one.
    pub file: PathBuf,
    pub sites: BTreeMap<SiteName, Site>,
    pub store: StoreSettings,
    pub clock: Clock,
    pub engine: EngineSettings,
    pub kiosk: KioskSettings,
    pub ui: UiSettings,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq)]
pub struct StoreSettings {
    pub path: PathBuf,
    /// What the labs' own keys are encrypted with when they are made.
    pub key_passphrase: Option<Secret>,
    /// For a team of Unix users: a setgid 2770 folder, 0660 files.
    pub shared: bool,
}

/// `[clock]`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    /// How many modelled seconds pass in one: above 1 only where every site is this very host.
    pub speed: f64,
}

const SCHEMA: Schema = &[
    ("", &["sites", "store", "clock", "engine", "ui", "keys", "kiosk"]),
    ("store", &["path", "shared", "key_passphrase"]),
    ("clock", &["speed"]),
    ("engine", engine::KEYS),
    ("ui", ui::KEYS),
    ("kiosk", kiosk::KEYS),
    ("sites.*", proxmox::KEYS),
    ("sites.*.token", proxmox::TOKEN_KEYS),
    ("sites.*.login", proxmox::LOGIN_KEYS),
    ("sites.*.monitor_token", proxmox::TOKEN_KEYS),
    ("sites.*.ssh", proxmox::SSH_KEYS),
    ("sites.*.nodes.*", proxmox::NODE_KEYS),
    ("sites.*.prices", sites::PRICE_KEYS),
];

impl StoreSettings {
    /// The folder of the store, its keys and its known hosts.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// SSH host keys homeroom was told to trust.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder().join("known_hosts")
    }

    /// Certificates homeroom was told to trust.
    pub fn certificates(&self) -> PathBuf {
        self.folder().join("certificates.toml")
    }

    /// What those two files allow: their owner alone, or the team.
    pub fn trust_mode(&self) -> u32 {
        if self.shared { 0o660 } else { 0o600 }
    }

    /// The folder of the labs' private keys.
    pub fn keys(&self) -> PathBuf {
        self.folder().join("keys")
    }
}

impl Settings {
    /// What holds when nothing is configured.
    pub fn defaults(folders: &Folders) -> Self {
        Self {
            file: folders.config_file(),
            sites: BTreeMap::new(),
            store: StoreSettings {
                path: folders.data.join("homeroom/homeroom.db"),
                key_passphrase: None,
                shared: false,
            },
            clock: Clock { speed: 1.0 },
            engine: EngineSettings::default(),
            kiosk: KioskSettings::default(),
            ui: UiSettings::default(),
        }
    }

    /// The site of that name.
    pub fn site(&self, name: &str) -> Result<&Site, ConfigError> {
        let found = self.sites.iter().find(|(site, _)| site.as_str() == name);
        found.map(|(_, site)| site).ok_or_else(|| ConfigError::NoSite(self.no_site(name)))
    }

    /// The site meant when none is named: the only one.
    pub fn only_site(&self) -> Result<&Site, ConfigError> {
        let mut sites = self.sites.values();
        match (sites.next(), sites.next()) {
            (Some(site), None) => Ok(site),
            (None, _) => Err(ConfigError::NoSite(self.none_configured())),
            _ => Err(ConfigError::NoSite(format!("there are several sites; name one by --site: {}", self.names()))),
        }
    }

    pub(super) fn no_site(&self, name: &str) -> String {
        if self.sites.is_empty() {
            return self.none_configured();
        }
        let name_quoted = super::reader::shorten(name);
        match nearest(name, self.sites.keys().map(SiteName::as_str)) {
            Some(near) => format!("no site is called {name_quoted}; did you mean {near:?}?"),
            None => format!("no site is called {name_quoted}; configured are {}", self.names()),
        }
    }

    /// Whether nobody has configured anything yet: there is no file either.
    pub fn is_first_run(&self) -> bool {
        self.sites.is_empty() && !self.file.try_exists().unwrap_or(true)
    }

    /// An error while there is no site at all.
    pub fn has_sites(&self) -> Result<(), ConfigError> {
        if self.sites.is_empty() { Err(ConfigError::NoSite(self.none_configured())) } else { Ok(()) }
    }

    fn none_configured(&self) -> String {
        format!("no site is configured yet; write one into {}, or try `homeroom demo`", self.file.display())
    }

    fn names(&self) -> String {
        self.sites.keys().map(SiteName::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// Reads the configuration of this process: `file` (from `--config`), else `HOMEROOM_CONFIG`, else the
/// user's own, which may be absent. The second value is what should be looked at, for standard error.
pub fn load(file: Option<&Path>) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let folders = Folders::of_user()?;
    let Some(path) = choose(file, std::env::var_os(FILE_VAR), &folders) else {
        return Ok((Settings::defaults(&folders), Vec::new()));
    };
    let text = read_text(&path, LONGEST)?;
    let (settings, mut warnings) = parse(&text, &path, &folders, &|name| std::env::var(name).ok())?;
    if !warnings.is_empty() && is_readable_by_others(&path) {
        let place = Place { origin: path.display().to_string(), line: None };
        let message = "others may read this file and the secrets in it; `chmod 600` it".to_owned();
        warnings.push(Warning { place, message });
    }
    Ok((settings, warnings))
}

/// Whether users outside the file's group may read it.
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

/// The file to read: the flag's, else the environment's, else the user's own if there is one.
fn choose(flag: Option<&Path>, env: Option<OsString>, folders: &Folders) -> Option<PathBuf> {
    let env = env.filter(|value| !value.is_empty()).map(PathBuf::from);
    // One that exists but cannot be looked at is for the reader to complain about.
    let own = || Some(folders.config_file()).filter(|path| path.try_exists().unwrap_or(true));
    flag.map(Path::to_owned).or(env).or_else(own)
}

/// Reads a configuration from text. `file` names it in complaints, and its folder is where relative paths begin;
/// `env` gives the environment's variables that fill a Compute Engine site.
pub fn parse(
    text: &str,
    file: &Path,
    folders: &Folders,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let mut document = Document::parse(text, &file.display().to_string(), SCHEMA)?;
    whole::read(&mut document, &mend, |document| read(document, file, folders, env))
}

/// So that a complaint about a site does not lead to others that are none.
fn mend(root: &mut DeTable<'_>, key: &str) -> bool {
    let Some((site, key)) = key.strip_prefix("sites.").and_then(|path| path.split_once('.')) else { return false };
    let Some(DeValue::Table(sites)) = root.get_mut("sites").map(Spanned::get_mut) else { return false };
    match key {
        // Which keys it may have is not known.
        "kind" => sites.remove(site).is_some(),
        "token" => {
            let Some(DeValue::Table(site)) = sites.get_mut(site).map(Spanned::get_mut) else { return false };
            let Ok(token) = DeValue::parse(proxmox::TOKEN) else { return false };
            site.remove("login");
            whole::put(site, "token", token.into_inner());
            true
        }
        // Whether it is a simulated one is not known.
        "api" => {
            if let Some(DeValue::Table(clock)) = root.get_mut("clock").map(Spanned::get_mut) {
                clock.remove("speed");
            }
            false
        }
        _ => false,
    }
}

fn read(
    document: &Document<'_>,
    file: &Path,
    folders: &Folders,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let root = document.root().table()?;
    let mut settings = Settings::defaults(folders);
    settings.file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = settings.file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut warnings = Vec::new();
    let mut context = Context { folders, folder: &folder, warnings: &mut warnings };
    if let Some(node) = root.get("sites") {
        for (site, name) in node.entries()? {
            let site = sites::read(&site, name, env, &mut context)?;
            settings.sites.insert(site.name.clone(), site);
        }
    }
    if let Some(node) = root.get("kiosk") {
        settings.kiosk = kiosk::read(&node, &mut context)?;
    }
    if let Some(node) = root.get("store") {
        let table = node.table()?;
        let path = |n: Node<'_>| Ok(folders.locate(n.text()?, &folder));
        settings.store.path = table.or("path", settings.store.path.clone(), path)?;
        if let Some(node) = table.get("key_passphrase") {
            settings.store.key_passphrase = Some(Secret::read(node, folders, &folder, &mut warnings)?);
        }
        settings.store.shared = table.or("shared", false, |n| n.boolean())?;
    }
    let clock = root.optional("clock", |n| n.table())?;
    if let Some(node) = clock.and_then(|table| table.get("speed")) {
        settings.clock.speed = node.number(0.01..=10_000.0)?;
        check_speed(&node, &settings)?;
    }
    if let Some(node) = root.get("engine") {
        settings.engine = engine::read(&node)?;
    }
    settings.ui = ui::read(&root, &folder)?;
    Ok((settings, warnings))
}

/// Real machines keep real time.
fn check_speed(node: &Node<'_>, settings: &Settings) -> Result<(), ConfigError> {
    match settings.sites.values().find(|site| !site.is_loopback()) {
        Some(site) if settings.clock.speed != 1.0 => Err(node.complain(format!(
            "clock.speed is {}, but site {} is not a simulated cluster on this host; leave the key out",
            node.given(),
            site.name
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_file_that_all_may_read_is_warned_of_twice() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.toml");
        let text = "[sites.a]\nkind = \"proxmox\"\napi = \"https://pve1:8006\"\n\
                    token = { id = \"a@pve!b\", secret = \"hunter2\" }";
        std::fs::write(&file, text).expect("written");
        for (mode, count) in [(0o644, 2), (0o600, 1)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("changed");
            assert_eq!(load(Some(&file)).expect("right").1.len(), count, "{mode:o}");
        }
    }

    #[test]
    fn the_flag_goes_before_the_environment_and_that_before_the_own_file() {
        let home = tempfile::tempdir().expect("a folder");
        let folders = Folders::under(home.path());
        let env = || Some(OsString::from("/env.toml"));
        assert_eq!(choose(Some(Path::new("/flag.toml")), env(), &folders), Some("/flag.toml".into()));
        assert_eq!(choose(None, env(), &folders), Some("/env.toml".into()));
        assert_eq!(choose(None, Some(OsString::new()), &folders), None, "there is no file yet");
        let own = home.path().join(".config/homeroom/config.toml");
        std::fs::create_dir_all(own.parent().expect("a folder")).expect("made");
        std::fs::write(&own, "").expect("written");
        assert_eq!(choose(None, None, &folders), Some(own));
    }
}
