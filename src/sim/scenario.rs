//! Scenario files: what a simulated cluster consists of. An unknown key is an error.
//!
//! `extends = "default"` takes the default world and adds to it: lists grow, tables are laid over,
//! single values are replaced.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::SimError;
use super::world::Fault;

/// The scenario that is used when none is named.
pub const DEFAULT: &str = include_str!("../../assets/scenarios/default.toml");

/// A cluster to simulate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The cluster's name.
    #[serde(default = "default_name")]
    pub name: String,
    /// Proxmox VE's version: `9.2`, `8.4`, or with a third number.
    #[serde(default = "default_version")]
    pub version: String,
    /// How long things take.
    #[serde(default)]
    pub physics: PhysicsSpec,
    /// Nodes.
    pub nodes: Vec<NodeSpec>,
    /// Storages.
    #[serde(default)]
    pub storages: Vec<StorageSpec>,
    /// Pools.
    #[serde(default)]
    pub pools: Vec<PoolSpec>,
    /// Roles beside those of Proxmox.
    #[serde(default)]
    pub roles: BTreeMap<String, Vec<String>>,
    /// Users and their tokens.
    #[serde(default)]
    pub users: Vec<UserSpec>,
    /// The access list.
    #[serde(default)]
    pub acls: Vec<AclSpec>,
    /// Templates and guests.
    #[serde(default)]
    pub guests: Vec<GuestSpec>,
    /// LXC containers.
    #[serde(default)]
    pub containers: Vec<ContainerSpec>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The token handed out as the full one.
    #[serde(default)]
    pub token: Option<String>,
    /// The token handed out as the read-only one.
    #[serde(default)]
    pub monitor_token: Option<String>,
}

fn default_name() -> String {
    "sim".into()
}

fn default_version() -> String {
    "9.2".into()
}

/// Seconds and rates; what is absent keeps its default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhysicsSpec {
    /// A start task, without the boot.
    pub start_seconds: f64,
    /// From the start task's end to the agent's first answer, on an idle node.
    pub boot_seconds: f64,
    /// Cores a boot keeps busy: more boots than the node has cores for take longer.
    pub boot_cores: f64,
    /// From the agent's first answer to the address.
    pub address_seconds: f64,
    /// From the agent's first answer to the end of cloud-init and the SSH server.
    pub cloud_init_seconds: f64,
    /// A shutdown through the agent.
    pub shutdown_seconds: f64,
    /// Processor time of one `qm` call.
    pub qm_seconds: f64,
    /// Between two broadcasts of statistics.
    pub broadcast_seconds: f64,
}

impl Default for PhysicsSpec {
    fn default() -> Self {
        Self {
            start_seconds: 1.2,
            boot_seconds: 12.0,
            boot_cores: 2.0,
            address_seconds: 2.0,
            cloud_init_seconds: 3.0,
            shutdown_seconds: 3.0,
            qm_seconds: 0.55,
            broadcast_seconds: 10.0,
        }
    }
}

/// A node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Processor cores.
    #[serde(default = "eight")]
    pub cores: u64,
    /// Memory in GiB.
    #[serde(default = "sixty_four")]
    pub memory_gib: u64,
    /// The address the cluster shows for it.
    #[serde(default)]
    pub ip: Option<String>,
    /// Bridges.
    #[serde(default)]
    pub bridges: Vec<String>,
    /// Switched on at the beginning?
    #[serde(default = "yes")]
    pub online: bool,
}

fn eight() -> u64 {
    8
}

fn sixty_four() -> u64 {
    64
}

fn yes() -> bool {
    true
}

/// A storage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageSpec {
    /// Its id.
    pub id: String,
    /// `dir`, `nfs`, `lvm`, `lvmthin`, `rbd`, `zfspool`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is mounted; Proxmox's usual place when absent.
    #[serde(default)]
    pub path: Option<String>,
    /// One for all nodes?
    #[serde(default)]
    pub shared: bool,
    /// What it may hold.
    #[serde(default = "images")]
    pub content: Vec<String>,
    /// Size in GiB.
    pub size_gib: u64,
    /// In use already, in GiB.
    #[serde(default)]
    pub used_gib: u64,
    /// Copy bandwidth in MiB per second.
    #[serde(default = "two_hundred")]
    pub bandwidth_mib: f64,
    /// How long the storage lock is held to allocate a disk.
    #[serde(default = "allocate")]
    pub allocate_seconds: f64,
    /// Other files on it: name and MiB.
    #[serde(default)]
    pub files: BTreeMap<String, u64>,
}

fn images() -> Vec<String> {
    vec!["images".into()]
}

fn two_hundred() -> f64 {
    200.0
}

fn allocate() -> f64 {
    0.4
}

/// A pool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// Its id.
    pub id: String,
    /// Free text.
    #[serde(default)]
    pub comment: String,
    /// Guests in it.
    #[serde(default)]
    pub vms: Vec<u32>,
}

/// A user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// `name@realm`.
    pub id: String,
    /// For tickets; without one there are none.
    #[serde(default)]
    pub password: Option<String>,
    /// API tokens.
    #[serde(default)]
    pub tokens: Vec<TokenSpec>,
}

/// An API token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSpec {
    /// The part after the `!`.
    pub name: String,
    /// Made up at the start when absent.
    #[serde(default)]
    pub secret: Option<String>,
    /// Limited to its own access lists?
    #[serde(default)]
    pub privsep: bool,
}

/// A line of the access list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AclSpec {
    /// Where.
    pub path: String,
    /// Who: a user or a token.
    pub who: String,
    /// What.
    pub role: String,
    /// Below too?
    #[serde(default = "yes")]
    pub propagate: bool,
}

/// A guest or a template.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestSpec {
    /// Its number.
    pub vmid: u32,
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// The operating system on its disk: `ubuntu-22.04`, `debian-12`, or another name.
    #[serde(default)]
    pub image: Option<String>,
    /// A template?
    #[serde(default)]
    pub template: bool,
    /// Where its disk lies; none: no disk.
    #[serde(default)]
    pub storage: Option<String>,
    /// The template it is a linked clone of.
    #[serde(default)]
    pub linked_to: Option<u32>,
    /// Disk size in GiB.
    #[serde(default = "eight")]
    pub disk_gib: u64,
    /// Image format of the disk; qcow2 where the storage keeps files.
    #[serde(default)]
    pub format: Option<String>,
    /// Written bytes of the disk in MiB.
    #[serde(default = "two_thousand")]
    pub used_mib: u64,
    /// With a cloud-init drive?
    #[serde(default = "yes")]
    pub cloud_init: bool,
    /// Cleaned of its identity before it became a template? Clones of one that was not share its
    /// machine id, and without cloud-init its host key and name.
    #[serde(default = "yes")]
    pub sealed: bool,
    /// Running, booted long ago?
    #[serde(default)]
    pub running: bool,
    /// Everything else in the configuration, as Proxmox writes it.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

/// An LXC container.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerSpec {
    /// Its number.
    pub vmid: u32,
    /// Its host name.
    pub name: String,
    /// Its node.
    pub node: String,
    /// The system in it: `ubuntu-22.04`, `debian-12`, or another name.
    #[serde(default = "debian")]
    pub image: String,
    /// Processors.
    #[serde(default = "one")]
    pub cores: u64,
    /// Memory in MiB.
    #[serde(default = "half_a_gib")]
    pub memory_mib: u64,
    /// Running since long ago?
    #[serde(default)]
    pub running: bool,
    /// Everything else in the configuration, as Proxmox writes it.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

fn debian() -> String {
    "debian-12".into()
}

fn one() -> u64 {
    1
}

fn half_a_gib() -> u64 {
    512
}

fn two_thousand() -> u64 {
    2048
}

impl Scenario {
    /// The default world.
    ///
    /// # Errors
    /// When the embedded text is broken, which a test excludes.
    pub fn default_world() -> Result<Self, SimError> {
        Self::parse(DEFAULT, "the embedded default scenario")
    }

    /// The same cluster on another version of Proxmox VE: roles name its privileges.
    #[must_use]
    pub fn at_version(mut self, version: &str) -> Self {
        self.version = version.into();
        if version.starts_with("8.") {
            for list in self.roles.values_mut() {
                let names: std::collections::BTreeSet<String> =
                    list.iter().filter_map(|name| super::world::build::in_eight(name)).collect();
                *list = names.into_iter().collect();
            }
        }
        self
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or has unknown keys.
    pub fn load(path: &Path) -> Result<Self, SimError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| SimError::Read { file: name.clone(), source })?;
        Self::parse(&text, &name)
    }

    /// Reads a scenario from text; `name` stands in errors.
    ///
    /// # Errors
    /// When it is not TOML or has unknown keys.
    pub fn parse(text: &str, name: &str) -> Result<Self, SimError> {
        let wrong = |what: String| SimError::Scenario { file: name.into(), what: what.trim().to_owned() };
        let read = |text: &str| toml::from_str::<toml::Table>(text).map_err(|error| wrong(error.to_string()));
        let mut own = read(text)?;
        match own.remove("extends").as_ref().map(toml::Value::as_str) {
            // straight from the text, so that an error shows the line
            None => toml::from_str(text).map_err(|error| wrong(error.to_string())),
            Some(Some("default")) => {
                let mut base = read(DEFAULT)?;
                for (key, value) in own {
                    match (base.get_mut(&key), value) {
                        (Some(toml::Value::Array(all)), toml::Value::Array(more)) => all.extend(more),
                        (Some(toml::Value::Table(all)), toml::Value::Table(more)) => all.extend(more),
                        (_, value) => {
                            base.insert(key, value);
                        }
                    }
                }
                base.try_into().map_err(|error: toml::de::Error| wrong(error.to_string()))
            }
            Some(other) => Err(wrong(format!("extends can only be \"default\", not {other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_world_is_readable() {
        let scenario = Scenario::default_world().unwrap();
        assert_eq!(scenario.nodes.len(), 3);
    }

    #[test]
    fn a_scenario_that_extends_the_default_adds_to_it() {
        let rough = include_str!("../../assets/scenarios/rough.toml");
        let beside = include_str!("../../assets/scenarios/containers.toml");
        assert_eq!(Scenario::parse(beside, "containers.toml").unwrap().containers.len(), 3);
        let scenario = Scenario::parse(rough, "rough.toml").unwrap();
        assert_eq!(scenario.nodes.len(), 3);
        assert!(scenario.faults.len() > 5);
        let error = Scenario::parse("extends = \"default\"\nnoodles = 3\n", "x").unwrap_err().to_string();
        assert!(error.contains("noodles"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = Scenario::parse("nodes = []\nnoodles = 3\n", "x.toml").unwrap_err().to_string();
        assert!(error.contains("noodles") && error.contains("x.toml"), "{error}");
    }
}
