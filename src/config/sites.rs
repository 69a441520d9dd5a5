//! `[sites.NAME]`: places machines live.

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    ConfigError,
    proxmox::{self, Context, ProxmoxSite},
    reader::{Node, Table},
};
use crate::domain::{SiteName, address::host_of, price::Prices};

/// One place machines live.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    pub name: SiteName,
    pub environment: Environment,
    /// The most students or workshop seats a lab here may have; the teacher is not counted.
    pub max_seats: u32,
    pub kind: SiteKind,
}

/// What is at stake: on `prod`, destroying asks for the lab's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    Dev,
    Staging,
    Prod,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a handful exist, for as long as the process")]
pub enum SiteKind {
    Proxmox(ProxmoxSite),
    Docker(DockerSite),
    Gce(GceSite),
}

/// `kind = "docker"`
#[derive(Debug, Clone, PartialEq)]
pub struct DockerSite {
    /// `unix://…`, `ssh://user@host` or `tcp://host:port`
    pub host: String,
    /// By what name or address people reach the engine's host, as it stands in a link; `[…]` around IPv6.
    pub address: Option<String>,
    /// For `tcp://`, which is always TLS.
    pub tls: Option<DockerTls>,
    /// For `ssh://`: the private key to log in with; the user's ssh-agent is asked too.
    pub ssh_key: PathBuf,
    /// What a workshop there costs an hour; 0 where that is nobody's business.
    pub price_per_hour: f64,
    /// What that is in, such as `EUR`.
    pub currency: String,
}

/// How a remote engine and homeroom prove themselves to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerTls {
    pub ca_file: PathBuf,
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// `kind = "gce"`
#[derive(Debug, Clone, PartialEq)]
pub struct GceSite {
    pub project: String,
    /// In order of preference.
    pub zones: Vec<String>,
    /// Where images come from, such as `europe-west3-docker.pkg.dev/lab/images`.
    pub registry: Option<String>,
    /// What the instances run as; the project's default when absent.
    pub service_account: Option<String>,
    /// Unless a workshop says otherwise.
    pub spot: bool,
    /// What machines cost there, for estimates.
    pub prices: Option<Prices>,
    /// Takes the place of Google's own; only a simulated project on this host has one.
    pub endpoint: Option<String>,
    /// Where instances answer by SSH; other than 22 only in a simulated project.
    pub ssh_port: u16,
}

const DOCKER_KEYS: &[&str] = &[
    "kind",
    "environment",
    "max_seats",
    "host",
    "address",
    "ca_file",
    "cert_file",
    "key_file",
    "ssh_key",
    "price_per_hour",
    "currency",
];
const GCE_KEYS: &[&str] = &[
    "kind",
    "environment",
    "max_seats",
    "project",
    "zones",
    "registry",
    "service_account",
    "spot",
    "prices",
    "endpoint",
    "ssh_port",
];
pub(super) const PRICE_KEYS: &[&str] = &["date", "currency", "machines", "spot", "disk_gb_month", "address"];

#[derive(Clone, Copy)]
enum Kind {
    Proxmox,
    Docker,
    Gce,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Staging => "staging",
            Self::Prod => "prod",
        }
    }
}

impl Site {
    pub fn proxmox(&self) -> Option<&ProxmoxSite> {
        match &self.kind {
            SiteKind::Proxmox(site) => Some(site),
            _ => None,
        }
    }

    /// `proxmox`, `docker` or `gce`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            SiteKind::Proxmox(_) => "proxmox",
            SiteKind::Docker(_) => "docker",
            SiteKind::Gce(_) => "gce",
        }
    }

    /// Whether all there is of the site answers on this very host by TCP, as simulated ones do.
    pub fn is_loopback(&self) -> bool {
        match &self.kind {
            SiteKind::Proxmox(site) => site.is_loopback(),
            SiteKind::Gce(site) => site.endpoint.is_some(),
            SiteKind::Docker(_) => false,
        }
    }
}

/// Reads one site. `env` gives the environment's variables.
pub(super) fn read(
    node: &Node<'_>,
    name: &str,
    env: &dyn Fn(&str) -> Option<String>,
    context: &mut Context<'_>,
) -> Result<Site, ConfigError> {
    let name = SiteName::new(name).map_err(|e| node.complain(e))?;
    let kind = node
        .entries()?
        .into_iter()
        .find(|(_, key)| *key == "kind")
        .ok_or_else(|| node.complain(format!("{}.kind is missing; write kind = \"proxmox\"", node.path())))?
        .0
        .choice(&[("proxmox", Kind::Proxmox), ("docker", Kind::Docker), ("gce", Kind::Gce)])?;
    let table = node.table_of(match kind {
        Kind::Proxmox => proxmox::KEYS,
        Kind::Docker => DOCKER_KEYS,
        Kind::Gce => GCE_KEYS,
    })?;
    let environments = [("dev", Environment::Dev), ("staging", Environment::Staging), ("prod", Environment::Prod)];
    Ok(Site {
        name,
        environment: table.or("environment", Environment::Prod, |n| n.choice(&environments))?,
        max_seats: table.or("max_seats", 50, |n| n.integer(1..=50))?,
        kind: match kind {
            Kind::Proxmox => SiteKind::Proxmox(proxmox::read(&table, context)?),
            Kind::Docker => SiteKind::Docker(read_docker(&table, context)?),
            Kind::Gce => SiteKind::Gce(read_gce(&table, env)?),
        },
    })
}

fn read_docker(table: &Table<'_>, context: &Context<'_>) -> Result<DockerSite, ConfigError> {
    let host = table.or("host", "unix:///var/run/docker.sock".to_owned(), |n| {
        let text = n.text()?;
        match text.split_once("://") {
            Some(("unix" | "ssh" | "tcp", rest)) if !rest.is_empty() => Ok(text.to_owned()),
            _ => Err(n.refuse("unix:///PATH, ssh://user@host or tcp://host:port")),
        }
    })?;
    let file = |key| table.optional(key, |n: Node<'_>| Ok(context.folders.locate(n.text()?, context.folder)));
    let tls = match (file("ca_file")?, file("cert_file")?, file("key_file")?) {
        (Some(ca_file), Some(cert_file), Some(key_file)) => Some(DockerTls { ca_file, cert_file, key_file }),
        (None, None, None) => None,
        _ => {
            let node = table.node();
            return Err(node.complain(format!("{}: ca_file, cert_file and key_file go together", node.path())));
        }
    };
    if host.starts_with("tcp://") && tls.is_none() {
        let node = table.get("host").unwrap_or_else(|| table.node().clone());
        return Err(node.complain(format!(
            "{} is reached by TCP, which needs TLS: give ca_file, cert_file and key_file, or use ssh://",
            node.path()
        )));
    }
    let ssh_key = file("ssh_key")?.unwrap_or_else(|| context.folders.locate("~/.ssh/id_ed25519", context.folder));
    let address = table.optional("address", |n| {
        let text = n.text()?;
        let alone = host_of(text).or_else(|| host_of(&format!("[{text}]")));
        let has_port = !text.starts_with('[') && text.split(':').count() == 2 || text.contains("]:");
        alone
            .filter(|_| !has_port)
            .ok_or_else(|| n.refuse("a host name or address without a port, such as \"lab.example.com\""))
    })?;
    Ok(DockerSite {
        ssh_key,
        address,
        host,
        tls,
        price_per_hour: table.or("price_per_hour", 0.0, |n| n.number(0.0..=1_000_000.0))?,
        currency: table
            .or("currency", String::new(), |n| n.word(|c| c.is_alphabetic(), "a currency, such as \"EUR\""))?,
    })
}

/// Where machines are made while nobody says otherwise.
const ZONE: &str = "us-central1-a";

/// A region, a dash, and what begins with a letter: mostly it is one, but there are others, as `us-central1-ai1a`.
fn is_zone(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let end = text.rsplit_once('-').filter(|(region, _)| region.contains('-')).map(|(_, end)| end);
    text.chars().all(plain) && end.is_some_and(|end| end.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Letters, digits and dashes, of an old one with its domain before it; the project itself knows the rest.
fn is_project(text: &str) -> bool {
    let id = text.rsplit_once(':').map_or(text, |(_, id)| id);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
    text.chars().all(plain) && id.starts_with(|c: char| c.is_ascii_lowercase()) && !id.ends_with('-')
}

fn read_gce(table: &Table<'_>, env: &dyn Fn(&str) -> Option<String>) -> Result<GceSite, ConfigError> {
    // One that is set to nothing says nothing.
    let env = |var: &str| env(var).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let text = |key, var| match table.get(key) {
        Some(node) => node.text().map(|text| Some(text.to_owned())),
        None => Ok(env(var)),
    };
    let absent = |key: &str, example: &str, var: &str| {
        let node = table.node();
        node.complain(format!("{}.{key} is missing; write {key} = {example}, or set {var}", node.path()))
    };
    let zones = match table.get("zones") {
        Some(node) => node.texts()?,
        None => match env("GCP_ZONE") {
            Some(text) => text.split(',').map(|zone| zone.trim().to_owned()).collect(),
            None => vec![ZONE.to_owned()],
        },
    };
    if let Some(wrong) = zones.iter().find(|zone| !is_zone(zone)) {
        let node = table.get("zones").unwrap_or_else(|| table.node().clone());
        let from = if table.get("zones").is_some() { "zones" } else { "GCP_ZONE" };
        return Err(node.complain(format!("{from}: \"{wrong}\" is no zone; one is called europe-west3-a, say")));
    }
    // Once said is enough.
    let mut seen = std::collections::BTreeSet::new();
    let zones: Vec<String> = zones.into_iter().filter(|zone| seen.insert(zone.clone())).collect();
    if zones.is_empty() {
        return Err(absent("zones", "[\"europe-west3-a\"]", "GCP_ZONE"));
    }
    let spot = match table.get("spot") {
        Some(node) => node.boolean()?,
        None => match env("GCP_USE_SPOT").unwrap_or_default().to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => true,
            "" | "0" | "false" | "no" | "off" => false,
            other => {
                let words = format!("GCP_USE_SPOT is \"{other}\"; it is true or false");
                return Err(table.node().complain(words));
            }
        },
    };
    let endpoint = table.optional("endpoint", |n| read_endpoint(&n))?;
    let project = text("project", "GCP_PROJECT")?.ok_or_else(|| absent("project", "\"my-project\"", "GCP_PROJECT"))?;
    if !is_project(&project) {
        let wanted = "a project's id, such as \"my-project\"";
        return Err(match table.get("project") {
            Some(node) => node.refuse(wanted),
            None => table.node().complain(format!("GCP_PROJECT is \"{project}\"; it is {wanted}")),
        });
    }
    Ok(GceSite {
        project,
        zones,
        registry: text("registry", "GCP_REGISTRY")?,
        service_account: table.optional("service_account", |n| n.text().map(str::to_owned))?,
        spot,
        prices: table.optional("prices", |n| read_prices(&n))?,
        ssh_port: read_ssh_port(table, endpoint.is_some())?,
        endpoint,
    })
}

/// Nothing but a simulated project on this very host takes the place of Google's own.
fn read_endpoint(node: &Node<'_>) -> Result<String, ConfigError> {
    let text = node.text()?;
    match text.starts_with("http://") && proxmox::is_loopback(text) {
        true => Ok(text.to_owned()),
        false => Err(node.refuse("http://127.0.0.1:PORT, a simulated project on this host")),
    }
}

fn read_ssh_port(table: &Table<'_>, simulated: bool) -> Result<u16, ConfigError> {
    let Some(node) = table.get("ssh_port") else { return Ok(22) };
    match simulated {
        true => node.integer(1..=65535),
        false => Err(node.complain(format!("{} goes with endpoint, for a simulated project", node.path()))),
    }
}

fn read_prices(node: &Node<'_>) -> Result<Prices, ConfigError> {
    let table = node.table()?;
    let per_type = |key: &str| match table.get(key) {
        None => Ok(BTreeMap::new()),
        Some(node) => {
            let entries = node.entries()?.into_iter();
            entries.map(|(price, kind)| Ok((kind.to_owned(), price.number(0.0..=1_000_000.0)?))).collect()
        }
    };
    let number = |key: &str| table.or(key, 0.0, |n| n.number(0.0..=1_000_000.0));
    let date = table.need("date", "\"2026-11-01\"")?;
    if date.text()?.parse::<jiff::civil::Date>().is_err() {
        return Err(date.refuse("the day they were looked up, such as \"2026-11-01\""));
    }
    Ok(Prices {
        missing: ["disk_gb_month", "address"].into_iter().filter(|key| table.get(key).is_none()).collect(),
        date: date.text()?.to_owned(),
        currency: table.need("currency", "\"EUR\"")?.text()?.to_owned(),
        machines: per_type("machines")?,
        spot: per_type("spot")?,
        disk_gb_month: number("disk_gb_month")?,
        address: number("address")?,
    })
}
