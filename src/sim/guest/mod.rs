//! What lives inside a guest: its names, users, files and processes, and what cloud-init makes of
//! them at boot. Used by the agent and by the guest's SSH server alike. Pure.

mod cloud;
mod files;
mod lexer;
mod programs;
mod shell;
mod system;
mod text;
pub mod tree;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub use files::{absolute, read_file};
pub use shell::{Exit, Missing, Output, Session, exec, line};

/// The inside of a guest: survives reboots, made at the first boot.
#[derive(Clone, Debug)]
pub struct Inside {
    /// The image the disk was made from.
    pub image: String,
    /// The host name now.
    pub hostname: String,
    /// Thirty-two hex digits.
    pub machine_id: String,
    /// The seed of the ed25519 host key.
    pub host_key: [u8; 32],
    /// Users by name.
    pub users: BTreeMap<String, Login>,
    /// The address of the first network card and its prefix length.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Hardware address of the first network card, lower case.
    pub mac: String,
    /// Processors.
    pub cores: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Files somebody wrote.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Their modes, and those of folders, where somebody changed them.
    pub modes: BTreeMap<String, u32>,
    /// Processes started through the agent, by pid.
    pub running: BTreeMap<u32, Process>,
    /// Size of the boot disk in bytes.
    pub disk: u64,
    /// Which machine this was last: a clone's disk remembers another.
    pub birth: u64,
    pids: u32,
    /// Has cloud-init anything to do?
    pub cloud_init: bool,
}

/// A user of a guest.
#[derive(Clone)]
pub struct Login {
    /// Login name.
    pub name: String,
    /// Numeric id.
    pub uid: u32,
    /// Home folder.
    pub home: String,
    /// Lines of `authorized_keys`.
    pub keys: Vec<String>,
    /// The password, when set.
    pub password: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("name", &self.name).field("uid", &self.uid).finish_non_exhaustive()
    }
}

/// A process started through the agent.
#[derive(Clone, Debug)]
pub struct Process {
    /// What it will have said.
    pub output: Output,
    /// When it ends, in modelled time.
    pub ends: u64,
}

/// Does this image carry a guest agent?
pub fn has_agent(image: &str) -> bool {
    !image.is_empty() && image != "blank"
}

impl Inside {
    /// A freshly installed system.
    pub fn new(image: &str, machine_id: [u8; 32], host_key: [u8; 32]) -> Self {
        let mut inside = Self {
            image: image.into(),
            hostname: image.split('-').next().filter(|name| !name.is_empty()).unwrap_or("localhost").into(),
            machine_id: machine_id.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
            host_key,
            users: BTreeMap::new(),
            address: None,
            mac: String::new(),
            cores: 1,
            memory: 512 << 20,
            files: BTreeMap::new(),
            modes: BTreeMap::new(),
            running: BTreeMap::new(),
            disk: 0,
            birth: 0,
            pids: 330,
            cloud_init: false,
        };
        inside.add_user("root");
        inside
    }

    /// The user cloud-init makes when none is named.
    pub fn default_user(&self) -> &'static str {
        if self.image.starts_with("ubuntu") { "ubuntu" } else { "debian" }
    }

    /// A user, made when it is not there.
    pub fn add_user(&mut self, name: &str) -> &mut Login {
        let next = 1000 + self.users.len().saturating_sub(1) as u32;
        self.users.entry(name.to_owned()).or_insert_with(|| Login {
            name: name.to_owned(),
            uid: if name == "root" { 0 } else { next },
            home: if name == "root" { "/root".into() } else { format!("/home/{name}") },
            keys: Vec::new(),
            password: None,
        })
    }

    /// A process id for something that starts.
    pub fn next_pid(&mut self) -> u32 {
        self.pids += 2;
        self.pids
    }

    /// Everything that runs ends.
    pub fn halt(&mut self) {
        self.running.clear();
        self.pids = 330;
    }

    /// The public half of the host key, as in `/etc/ssh/ssh_host_ed25519_key.pub`.
    pub fn host_key_line(&self) -> String {
        let pair = ssh_key::private::Ed25519Keypair::from_seed(&self.host_key);
        let key =
            ssh_key::PublicKey::new(ssh_key::public::KeyData::Ed25519(pair.public), format!("root@{}", self.hostname));
        key.to_openssh().unwrap_or_default()
    }

    /// Name, version and kernel of the system.
    pub fn system(&self) -> System {
        if self.image.starts_with("ubuntu") {
            System {
                id: "ubuntu",
                name: "Ubuntu",
                version: "22.04.5 LTS (Jammy Jellyfish)",
                version_id: "22.04",
                pretty: "Ubuntu 22.04.5 LTS",
                kernel: "5.15.0-126-generic",
                build: "#136-Ubuntu SMP Wed Nov 6 10:38:22 UTC 2024",
            }
        } else {
            System {
                id: "debian",
                name: "Debian GNU/Linux",
                version: "12 (bookworm)",
                version_id: "12",
                pretty: "Debian GNU/Linux 12 (bookworm)",
                kernel: "6.1.0-28-cloud-amd64",
                build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)",
            }
        }
    }

    /// The link-local address of the first card.
    pub fn link_local(&self) -> String {
        let bytes: Vec<u8> = self.mac.split(':').filter_map(|part| u8::from_str_radix(part, 16).ok()).collect();
        match bytes[..] {
            [a, b, c, d, e, f] => format!(
                "fe80::{:x}:{:x}:{:x}:{:x}",
                u16::from_be_bytes([a ^ 2, b]),
                u16::from_be_bytes([c, 0xff]),
                u16::from_be_bytes([0xfe, d]),
                u16::from_be_bytes([e, f]),
            ),
            _ => "fe80::1".into(),
        }
    }
}

/// What `/etc/os-release` and `uname` say.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// `debian`.
    pub id: &'static str,
    /// Long name.
    pub name: &'static str,
    /// Version with its code name.
    pub version: &'static str,
    /// Version number.
    pub version_id: &'static str,
    /// Name and version.
    pub pretty: &'static str,
    /// Kernel release.
    pub kernel: &'static str,
    /// Kernel version.
    pub build: &'static str,
}
