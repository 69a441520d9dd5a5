//! Classes: a machine per seat, cloned from a template.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use super::{LabName, NodeName, Role, SeatName, SiteName, Vmid, name::VmidRange, size::Size};

/// What a class should be. Everything optional means "as the template has it".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassDefinition {
    pub name: LabName,
    pub site: SiteName,
    pub template: TemplateRef,
    pub clone: CloneMode,
    pub students: Students,
    pub teacher: bool,
    pub pool: Option<String>,
    pub machine: MachineSpec,
    pub cloud_init: CloudInit,
    /// Overrides by seat; a seat named here that is not in the class is an error at parsing.
    pub machines: BTreeMap<SeatName, Override>,
    pub placement: Placement,
    pub rollout: Rollout,
    pub rollcall: RollCall,
}

/// The students, as they were written: a count stays a count when the definition is printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Students {
    Named(Vec<SeatName>),
    Count(u32),
}

/// A template by name (which may stand for one per node) or by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TemplateRef {
    Name(String),
    Vmid(Vmid),
}

impl std::fmt::Display for TemplateRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.pad(name),
            Self::Vmid(vmid) => write!(f, "{vmid}"),
        }
    }
}

/// How disks are cloned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloneMode {
    /// Linked where the storage can and nothing asks otherwise, else full.
    #[default]
    Auto,
    Linked,
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    Bios,
    Uefi,
}

/// `[machine]`: the hardware of a seat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineSpec {
    pub cores: Option<u32>,
    pub sockets: Option<u32>,
    pub cpu: Option<String>,
    pub memory: Option<Size>,
    /// The first disk is grown to this; it is never shrunk.
    pub disk: Option<Size>,
    pub storage: Option<String>,
    pub format: Option<String>,
    pub firmware: Option<Firmware>,
    pub secure_boot: Option<bool>,
    pub onboot: Option<bool>,
    pub protection: Option<bool>,
    pub tags: Option<Vec<String>>,
    /// Replaces the template's cards when not empty: the first is `net0`.
    pub nic: Vec<Nic>,
}

/// One network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    pub bridge: String,
    #[serde(default)]
    pub vlan: Option<u16>,
}

/// `[cloud_init]`: who may log in, and the network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudInit {
    pub user: Option<String>,
    pub password: Option<Password>,
    /// Public keys in OpenSSH's one-line form, read from their files when the definition was applied.
    pub ssh_keys: Vec<String>,
    pub ip: Option<IpSource>,
    pub nameserver: Option<String>,
    pub search: Option<String>,
}

/// Where a seat's password comes from. Never the password itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Password {
    /// Made per seat; `roster` prints it.
    Generate,
    Env(String),
    File(String),
    Command(String),
}

impl Password {
    /// Where it comes from, in a word, without saying more.
    pub fn origin(&self) -> &'static str {
        match self {
            Self::Generate => "generated",
            Self::Env(_) => "from a variable",
            Self::File(_) => "from a file",
            Self::Command(_) => "from a command",
        }
    }
}

/// Where a seat's address comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpSource {
    Dhcp,
    /// Addresses handed out in the order of the seats.
    Range {
        first: IpAddr,
        last: IpAddr,
        prefix: u8,
        gateway: Option<IpAddr>,
    },
}

/// `[machines.SEAT]`: what one seat has differently; lists replace lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Override {
    pub machine: MachineSpec,
    pub cloud_init: CloudInit,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    pub policy: PlacementPolicy,
    /// Weight of free CPU in the score; with `memory` it need not add up to 1.
    pub cpu: f64,
    pub memory: f64,
    /// Empty: every online node.
    pub nodes: Vec<NodeName>,
    /// Within the site's range.
    pub vmids: Option<VmidRange>,
}

impl Default for Placement {
    fn default() -> Self {
        Self { policy: PlacementPolicy::Score, cpu: 0.6, memory: 0.4, nodes: Vec::new(), vmids: None }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacementPolicy {
    /// The best score, rescored after each machine.
    Score,
    /// The listed nodes in turn.
    Pin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rollout {
    pub order: Order,
    /// Between machines, when staggered.
    pub delay: Duration,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { order: Order::Parallel, delay: Duration::from_secs(30) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    Parallel,
    Staggered,
    Sequential,
}

/// `[rollcall]`: what proves a seat ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RollCall {
    pub profile: Profile,
    pub via: Via,
    pub address_within: Duration,
    /// Addresses must lie in one of these (`10.1.0.0/24`), if any is given.
    pub cidr: Vec<String>,
    /// Agent answers in a row.
    pub pings: u32,
    /// From the first answer to being called stable.
    pub settle: Duration,
    pub exec: Vec<String>,
    pub checks: Vec<Vec<String>>,
    pub ssh: bool,
}

impl Default for RollCall {
    fn default() -> Self {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        Self {
            profile: Profile::Normal,
            via: Via::Ssh,
            address_within: Duration::from_secs(30 * 60),
            cidr: Vec::new(),
            pings: 3,
            settle: Duration::from_secs(5),
            exec: words("uname -a"),
            checks: vec![words("cloud-init status --wait"), words("systemctl is-active qemu-guest-agent")],
            ssh: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    Normal,
    /// Three pings, 30 s settle, one machine at a time.
    Strict,
    /// Started is enough.
    Off,
}

/// How the guest agent is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// `qm guest` on the node.
    Ssh,
    /// The cluster's API.
    Api,
}

/// A seat with everything resolved: the class's settings under the seat's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeatSpec {
    pub seat: SeatName,
    pub role: Role,
    pub machine: MachineSpec,
    pub cloud_init: CloudInit,
    /// The address set aside for it, when addresses come from a range: with prefix and gateway.
    pub address: Option<StaticAddress>,
}

/// An address given to a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticAddress {
    pub ip: IpAddr,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
}

impl ClassDefinition {
    /// The seats in their order: the teacher first, then the students as written.
    pub fn seats(&self) -> Vec<(SeatName, Role)> {
        let teacher = self.teacher.then(|| (SeatName::teacher(), Role::Teacher));
        let students = match &self.students {
            Students::Named(names) => names.clone(),
            Students::Count(n) => (1..=*n).map(SeatName::student).collect(),
        };
        teacher.into_iter().chain(students.into_iter().map(|seat| (seat, Role::Student))).collect()
    }

    /// Every seat with its overrides applied and its address set aside.
    pub fn resolve(&self) -> Vec<SeatSpec> {
        self.seats().into_iter().enumerate().map(|(n, (seat, role))| self.resolve_seat(n, seat, role)).collect()
    }

    fn resolve_seat(&self, n: usize, seat: SeatName, role: Role) -> SeatSpec {
        let own = self.machines.get(&seat).cloned().unwrap_or_default();
        let machine = self.machine.overlaid(own.machine);
        let own_range = own.cloud_init.ip.is_some();
        let cloud_init = self.cloud_init.overlaid(own.cloud_init);
        let address = match &cloud_init.ip {
            Some(IpSource::Range { first, prefix, gateway, .. }) => {
                let offset = if own_range { 0 } else { n };
                nth_address(*first, offset).map(|ip| StaticAddress { ip, prefix: *prefix, gateway: *gateway })
            }
            _ => None,
        };
        SeatSpec { seat, role, machine, cloud_init, address }
    }
}

/// The n-th address after `first`.
fn nth_address(first: IpAddr, n: usize) -> Option<IpAddr> {
    match first {
        IpAddr::V4(ip) => u32::from(ip).checked_add(u32::try_from(n).ok()?).map(|ip| IpAddr::V4(ip.into())),
        IpAddr::V6(ip) => u128::from(ip).checked_add(n as u128).map(|ip| IpAddr::V6(ip.into())),
    }
}

impl MachineSpec {
    /// `own` over `self`, key by key.
    fn overlaid(&self, own: Self) -> Self {
        let base = self.clone();
        Self {
            cores: own.cores.or(base.cores),
            sockets: own.sockets.or(base.sockets),
            cpu: own.cpu.or(base.cpu),
            memory: own.memory.or(base.memory),
            disk: own.disk.or(base.disk),
            storage: own.storage.or(base.storage),
            format: own.format.or(base.format),
            firmware: own.firmware.or(base.firmware),
            secure_boot: own.secure_boot.or(base.secure_boot),
            onboot: own.onboot.or(base.onboot),
            protection: own.protection.or(base.protection),
            tags: own.tags.or(base.tags),
            nic: if own.nic.is_empty() { base.nic } else { own.nic },
        }
    }
}

impl CloudInit {
    /// `own` over `self`, key by key.
    fn overlaid(&self, own: Self) -> Self {
        let base = self.clone();
        Self {
            user: own.user.or(base.user),
            password: own.password.or(base.password),
            ssh_keys: if own.ssh_keys.is_empty() { base.ssh_keys } else { own.ssh_keys },
            ip: own.ip.or(base.ip),
            nameserver: own.nameserver.or(base.nameserver),
            search: own.search.or(base.search),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(name: &str) -> SeatName {
        SeatName::new(name).expect("well formed")
    }

    fn class() -> ClassDefinition {
        ClassDefinition {
            name: LabName::new("cs101").expect("well formed"),
            site: SiteName::new("campus").expect("well formed"),
            template: TemplateRef::Name("ubuntu".to_owned()),
            clone: CloneMode::Auto,
            students: Students::Named(vec![seat("grace"), seat("ada")]),
            teacher: true,
            pool: None,
            machine: MachineSpec { cores: Some(2), tags: Some(vec!["cs".to_owned()]), ..MachineSpec::default() },
            cloud_init: CloudInit {
                user: Some("student".to_owned()),
                ip: Some(IpSource::Range {
                    first: "10.1.0.20".parse().expect("an address"),
                    last: "10.1.0.29".parse().expect("an address"),
                    prefix: 24,
                    gateway: None,
                }),
                ..CloudInit::default()
            },
            machines: BTreeMap::new(),
            placement: Placement::default(),
            rollout: Rollout::default(),
            rollcall: RollCall::default(),
        }
    }

    #[test]
    fn the_teacher_sits_first_and_the_students_as_written() {
        let seats: Vec<_> = class().seats().into_iter().map(|(seat, _)| seat.to_string()).collect();
        assert_eq!(seats, ["teacher", "grace", "ada"]);
    }

    #[test]
    fn a_seat_has_its_own_values_over_those_of_the_class() {
        let mut class = class();
        let machine = MachineSpec { cores: Some(8), tags: Some(Vec::new()), ..MachineSpec::default() };
        class.machines.insert(seat("ada"), Override { machine, ..Override::default() });
        let seats = class.resolve();
        let cores: Vec<_> = seats.iter().map(|s| s.machine.cores).collect();
        assert_eq!(cores, [Some(2), Some(2), Some(8)]);
        assert_eq!(seats[2].machine.tags, Some(Vec::new()), "an empty list replaces the class's");
        assert_eq!(seats[2].cloud_init.user.as_deref(), Some("student"));
    }

    #[test]
    fn addresses_follow_the_seats_and_one_seats_own_moves_no_other() {
        let addresses = |class: &ClassDefinition| -> Vec<String> {
            class.resolve().iter().filter_map(|s| Some(s.address.as_ref()?.ip.to_string())).collect()
        };
        let mut class = class();
        assert_eq!(addresses(&class), ["10.1.0.20", "10.1.0.21", "10.1.0.22"]);
        let own = "10.1.0.99".parse().expect("an address");
        let ip = Some(IpSource::Range { first: own, last: own, prefix: 24, gateway: None });
        let cloud_init = CloudInit { ip, ..CloudInit::default() };
        class.machines.insert(seat("grace"), Override { cloud_init, ..Override::default() });
        assert_eq!(addresses(&class), ["10.1.0.20", "10.1.0.99", "10.1.0.22"]);
    }
}
