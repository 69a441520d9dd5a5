//! A class: its students, where and how their machines come to be, and what proves them.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    Context, check_seats,
    cloud_init::{self, check_addresses},
    machine,
};
use crate::{
    config::{
        ConfigError, duration,
        reader::{Node, Schema, Table, nearest, shorten},
    },
    domain::{
        LabName, NodeName, SeatName, SiteName, Vmid,
        class::{
            ClassDefinition, CloneMode, Firmware, MachineSpec, Order, Override, Placement, PlacementPolicy, Profile,
            RollCall, Rollout, Students, TemplateRef, Via,
        },
        name::VmidRange,
    },
};

pub(super) const SCHEMA: Schema = &[
    (
        "",
        &[
            "kind",
            "name",
            "site",
            "template",
            "clone",
            "students",
            "count",
            "teacher",
            "pool",
            "machine",
            "cloud_init",
            "machines",
            "placement",
            "rollout",
            "rollcall",
        ],
    ),
    ("machine", machine::KEYS),
    ("machine.nic", machine::NIC_KEYS),
    ("cloud_init", cloud_init::KEYS),
    ("machines.*", machine::OVERRIDE_KEYS),
    ("machines.*.nic", machine::NIC_KEYS),
    ("machines.*.cloud_init", cloud_init::KEYS),
    ("placement", &["policy", "cpu", "memory", "nodes", "vmids"]),
    ("rollout", &["order", "delay"]),
    ("rollcall", &["profile", "via", "address_within", "cidr", "pings", "settle", "exec", "checks", "ssh"]),
];

pub(super) fn read(
    root: &Table<'_>,
    name: LabName,
    site: SiteName,
    context: &Context<'_>,
) -> Result<ClassDefinition, ConfigError> {
    let clones = [("auto", CloneMode::Auto), ("linked", CloneMode::Linked), ("full", CloneMode::Full)];
    let pool = |n: Node<'_>| {
        n.word(|c| c.is_ascii_alphanumeric() || "-_./".contains(c), "a pool's name: letters, digits, -, _, . and /")
    };
    let class = ClassDefinition {
        template: read_template(&root.need("template", "\"ubuntu-22.04\"")?)?,
        clone: root.or("clone", CloneMode::Auto, |n| n.choice(&clones))?,
        students: read_students(root, context)?,
        teacher: root.or("teacher", false, |n| n.boolean())?,
        pool: root.optional("pool", pool)?,
        machine: root.or("machine", Default::default(), |n| machine::read(&n.table()?))?,
        cloud_init: root.or("cloud_init", Default::default(), |n| cloud_init::read(&n, context))?,
        machines: root.or("machines", BTreeMap::new(), |n| read_overrides(&n, context))?,
        placement: root.or("placement", Placement::default(), |n| read_placement(&n, context))?,
        rollout: root.or("rollout", Rollout::default(), |n| read_rollout(&n))?,
        rollcall: root.or("rollcall", RollCall::default(), |n| read_rollcall(&n))?,
        name,
        site,
    };
    check_override_names(root, &class)?;
    check_firmware(root, &class)?;
    check_addresses(root, &class)?;
    check_vmids(root, &class, context)?;
    Ok(class)
}

fn read_template(node: &Node<'_>) -> Result<TemplateRef, ConfigError> {
    let number = |id: u64| Vmid::new(id).map(TemplateRef::Vmid).map_err(|e| node.complain(format!("template: {e}")));
    if node.is_integer() {
        return number(node.integer(0..=u64::MAX)?);
    }
    let text = node.text().map_err(|_| node.refuse("a template's name in quotes, or its VMID"))?;
    match text.parse() {
        Ok(id) => number(id),
        Err(_) => {
            let shaped = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            node.word(shaped, "a template's name (letters, digits, - and .) or its VMID").map(TemplateRef::Name)
        }
    }
}

fn read_students(root: &Table<'_>, context: &Context<'_>) -> Result<Students, ConfigError> {
    match (root.get("students"), root.get("count")) {
        (Some(_), Some(count)) => {
            Err(count.complain("students and count exclude each other; keep the list of names or the number"))
        }
        (None, None) => Err(root
            .node()
            .lacks("students", "students is missing; write students = [\"ada\", \"grace\"], or count = 10")),
        (None, Some(count)) => {
            if !count.is_integer() {
                return Err(count.refuse("a whole number from 1 to 50"));
            }
            let n = count.integer(0..=u64::MAX).map_err(|_| count.refuse("a whole number from 1 to 50"))?;
            check_seats(&count, n, "students", context).map(Students::Count)
        }
        (Some(list), None) => {
            let mut seen = HashMap::new();
            let mut names = Vec::new();
            for item in list.list()? {
                let name: SeatName = item.parsed()?;
                if name == SeatName::teacher() {
                    return Err(item.complain(
                        "students holds \"teacher\", which is reserved for the teacher's seat; write teacher = true for one",
                    ));
                }
                if let Some(first) = seen.insert(name.clone(), item.place()) {
                    let line = first.line.map_or(String::new(), |line| format!(" (first on line {line})"));
                    return Err(item.complain(format!(
                        "students holds \"{name}\" twice{line}; every seat needs a name of its own"
                    )));
                }
                names.push(name);
            }
            check_seats(&list, names.len() as u64, "students", context)?;
            Ok(Students::Named(names))
        }
    }
}

fn read_overrides(node: &Node<'_>, context: &Context<'_>) -> Result<BTreeMap<SeatName, Override>, ConfigError> {
    let read = |(node, name): (Node<'_>, &str)| {
        let seat = SeatName::new(name).map_err(|e| node.complain(format!("{}: {e}", node.path())))?;
        let table = node.table()?;
        let cloud_init = table.or("cloud_init", Default::default(), |n| cloud_init::read(&n, context))?;
        Ok((seat, Override { machine: machine::read(&table)?, cloud_init }))
    };
    node.entries()?.into_iter().map(read).collect()
}

fn check_override_names(root: &Table<'_>, class: &ClassDefinition) -> Result<(), ConfigError> {
    let Some(node) = root.get("machines") else { return Ok(()) };
    let seats = class.seats();
    for (entry, name) in node.entries()? {
        if seats.iter().any(|(seat, _)| seat.as_str() == name) {
            continue;
        }
        let hint = match nearest(name, seats.iter().map(|(seat, _)| seat.as_str())) {
            Some(near) => format!("did you mean {near:?}?"),
            None if name == "teacher" => "write teacher = true to have one".to_owned(),
            None => "add it to students, or remove this table".to_owned(),
        };
        let name = shorten(name);
        return Err(entry.complain(format!("{} names no seat of this class: {name}; {hint}", entry.path())));
    }
    Ok(())
}

/// What the class says and what a seat says may only clash together.
fn check_firmware(root: &Table<'_>, class: &ClassDefinition) -> Result<(), ConfigError> {
    let clash = |m: &MachineSpec| m.secure_boot == Some(true) && m.firmware == Some(Firmware::Bios);
    match class.resolve().into_iter().find(|spec| clash(&spec.machine)) {
        Some(spec) => {
            let node = root.get("machines").unwrap_or_else(|| root.node().clone());
            Err(node.complain(format!(
                "{} would have secure_boot with firmware = \"bios\"; it needs firmware = \"uefi\"",
                spec.seat
            )))
        }
        None => Ok(()),
    }
}

fn read_placement(node: &Node<'_>, context: &Context<'_>) -> Result<Placement, ConfigError> {
    let table = node.table()?;
    let default = Placement::default();
    let policies = [("score", PlacementPolicy::Score), ("pin", PlacementPolicy::Pin)];
    let policy = table.or("policy", default.policy, |n| n.choice(&policies))?;
    let cpu = table.or("cpu", default.cpu, |n| n.number(0.0..=100.0))?;
    let memory = table.or("memory", default.memory, |n| n.number(0.0..=100.0))?;
    if cpu + memory <= 0.0 {
        return Err(node.complain("placement.cpu and placement.memory are both 0; one must weigh something"));
    }
    let nodes = table.or("nodes", Vec::new(), |n| read_nodes(&n))?;
    if policy == PlacementPolicy::Pin && nodes.is_empty() {
        return Err(node.complain("placement.policy is \"pin\", but placement.nodes names no node to pin to"));
    }
    let vmids = table.optional("vmids", |n| {
        let vmids: VmidRange = n.parsed()?;
        let site = context.site.and_then(|site| Some((&site.name, site.proxmox()?.vmids)));
        match site.filter(|(_, all)| !all.contains(vmids.first) || !all.contains(vmids.last)) {
            Some((site, all)) => {
                Err(n.complain(format!("{} is {vmids}, which is not within {all}, the VMIDs of site {site}", n.path())))
            }
            None => Ok(vmids),
        }
    })?;
    Ok(Placement { policy, cpu, memory, nodes, vmids })
}

fn read_nodes(list: &Node<'_>) -> Result<Vec<NodeName>, ConfigError> {
    let mut nodes: Vec<NodeName> = Vec::new();
    for item in list.list()? {
        let shaped = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let node = NodeName::new(item.word(shaped, "a node's name: letters, digits and -")?);
        if nodes.contains(&node) {
            return Err(item.complain(format!("{} holds \"{node}\" twice", item.path())));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

/// Every seat needs a number.
fn check_vmids(root: &Table<'_>, class: &ClassDefinition, context: &Context<'_>) -> Result<(), ConfigError> {
    let seats = class.seats().len();
    let short = |vmids: VmidRange| u64::from(vmids.len()) < seats as u64;
    match (class.placement.vmids, context.site.and_then(|site| Some((site, site.proxmox()?.vmids)))) {
        (Some(vmids), _) if short(vmids) => {
            let node = root.get("placement").unwrap_or_else(|| root.node().clone());
            Err(node.complain(format!(
                "placement.vmids is {vmids}: {} numbers for {seats} machines; widen it",
                vmids.len()
            )))
        }
        (None, Some((site, vmids))) if short(vmids) => Err(root.node().complain(format!(
            "site {} has the VMIDs {vmids}: {} numbers for {seats} machines; widen vmids in the configuration",
            site.name,
            vmids.len()
        ))),
        _ => Ok(()),
    }
}

fn read_rollout(node: &Node<'_>) -> Result<Rollout, ConfigError> {
    let table = node.table()?;
    let default = Rollout::default();
    let orders = [("parallel", Order::Parallel), ("staggered", Order::Staggered), ("sequential", Order::Sequential)];
    Ok(Rollout {
        order: table.or("order", default.order, |n| n.choice(&orders))?,
        delay: table.or("delay", default.delay, |n| duration::read(&n, Duration::ZERO, Duration::from_secs(3600)))?,
    })
}

/// What a profile means for whatever is not written.
pub(super) fn rollcall_of(profile: Profile) -> RollCall {
    let default = RollCall { profile, ..RollCall::default() };
    match profile {
        Profile::Strict => RollCall { pings: 3, settle: Duration::from_secs(30), ..default },
        Profile::Normal | Profile::Off => default,
    }
}

fn read_rollcall(node: &Node<'_>) -> Result<RollCall, ConfigError> {
    let table = node.table()?;
    let profiles = [("normal", Profile::Normal), ("strict", Profile::Strict), ("off", Profile::Off)];
    let profile = table.or("profile", Profile::Normal, |n| n.choice(&profiles))?;
    let default = rollcall_of(profile);
    let second = Duration::from_secs(1);
    Ok(RollCall {
        profile,
        via: table.or("via", default.via, |n| n.choice(&[("ssh", Via::Ssh), ("api", Via::Api)]))?,
        address_within: table
            .or("address_within", default.address_within, |n| duration::read(&n, second, 24 * 3600 * second))?,
        cidr: table.or("cidr", default.cidr, |n| n.list()?.iter().map(cloud_init::network).collect())?,
        pings: table.or("pings", default.pings, |n| n.integer(1..=20))?,
        settle: table.or("settle", default.settle, |n| duration::read(&n, Duration::ZERO, 600 * second))?,
        exec: table.or("exec", default.exec, |n| command(&n))?,
        checks: table.or("checks", default.checks, |n| n.list()?.iter().map(command).collect())?,
        ssh: table.or("ssh", default.ssh, |n| n.boolean())?,
    })
}

/// A program and its arguments, word by word.
fn command(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    const RULE: &str = "a list of a program and its arguments, such as [\"uname\", \"-a\"]";
    if node.is_string() {
        return Err(node.refuse(RULE));
    }
    let words: Vec<_> = node.list()?.iter().map(|n| n.string().map(str::to_owned)).collect::<Result<_, _>>()?;
    match words.first() {
        Some(program) if !program.trim().is_empty() => Ok(words),
        _ => Err(node.complain(format!("{} names no program; it must be {RULE}", node.path()))),
    }
}
