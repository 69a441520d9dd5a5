//! A definition as the TOML a user would have written: documented order, defaults left out.

use std::fmt::Write;

use toml::Value;

use super::{class::rollcall_of, cloud_init::print_ip};
use crate::{
    config::duration,
    domain::{
        Definition,
        class::{
            ClassDefinition, CloneMode, CloudInit, Firmware, MachineSpec, Nic, Order, Password, Placement,
            PlacementPolicy, Profile, RollCall, Rollout, Students, TemplateRef, Via,
        },
        workshop::{
            Certificate, GceSpec, Proxy, SeatLimits, SeatPorts, SeatsOn, WorkshopDefinition, default_ends_after,
            default_max_life,
        },
    },
};

/// Longer lists are broken, one value a line.
const WIDTH: usize = 100;

/// The TOML of a definition. Reading it back gives the same definition.
pub fn to_toml(definition: &Definition) -> String {
    let mut out = Printer(String::new());
    match definition {
        Definition::Class(class) => out.class(class),
        Definition::Workshop(workshop) => out.workshop(workshop),
    }
    out.0
}

/// Tables begin with a blank line, and only when they have something to say.
struct Printer(String);

/// `key = value` lines of one table, gathered before it is known whether it is needed.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        let line = format!("{key} = {value}");
        // Writing to a string cannot fail.
        let _ = match &value {
            Value::Array(items) if line.len() > WIDTH => {
                let items: String = items.iter().map(|item| format!("    {item},\n")).collect();
                writeln!(self.0, "{key} = [\n{items}]")
            }
            _ => writeln!(self.0, "{line}"),
        };
        self
    }

    fn maybe<T: Into<Value>>(&mut self, key: &str, value: Option<T>) -> &mut Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    /// Unless it is the default.
    fn differing<T: PartialEq, V: Into<Value>>(&mut self, key: &str, v: T, default: T, show: fn(T) -> V) -> &mut Self {
        if v == default { self } else { self.put(key, show(v)) }
    }
}

fn strings(items: Vec<String>) -> Value {
    Value::Array(items.into_iter().map(Value::String).collect())
}

fn table(entries: Vec<(&str, Value)>) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn whole(n: u32) -> i64 {
    n.into()
}

fn itself<T>(value: T) -> T {
    value
}

impl Printer {
    fn head(&mut self, write: impl FnOnce(&mut Lines)) {
        let mut lines = Lines::default();
        write(&mut lines);
        self.0.push_str(&lines.0);
    }

    fn section(&mut self, header: &str, always: bool, write: impl FnOnce(&mut Lines)) {
        let mut lines = Lines::default();
        write(&mut lines);
        if always || !lines.0.is_empty() {
            self.0.push_str(&format!("\n{header}\n{}", lines.0));
        }
    }

    fn class(&mut self, class: &ClassDefinition) {
        self.head(|l| {
            l.put("kind", "class").put("name", class.name.as_str()).put("site", class.site.as_str());
            match &class.template {
                TemplateRef::Name(name) => l.put("template", name.as_str()),
                TemplateRef::Vmid(vmid) => l.put("template", i64::from(vmid.get())),
            };
            l.differing("clone", class.clone, CloneMode::Auto, clone_word);
            match &class.students {
                Students::Named(names) => l.put("students", strings(names.iter().map(|n| n.to_string()).collect())),
                Students::Count(count) => l.put("count", i64::from(*count)),
            };
            l.differing("teacher", class.teacher, false, itself).maybe("pool", class.pool.as_deref());
        });
        self.machine("machine", &class.machine, false);
        self.section("[cloud_init]", false, |l| cloud_init(l, &class.cloud_init));
        for (seat, own) in &class.machines {
            self.machine(&format!("machines.{seat}"), &own.machine, true);
            self.section(&format!("[machines.{seat}.cloud_init]"), false, |l| cloud_init(l, &own.cloud_init));
        }
        self.section("[placement]", false, |l| placement(l, &class.placement));
        self.section("[rollout]", false, |l| rollout(l, &class.rollout));
        self.section("[rollcall]", false, |l| rollcall(l, &class.rollcall));
    }

    fn machine(&mut self, path: &str, machine: &MachineSpec, always: bool) {
        self.section(&format!("[{path}]"), always, |l| {
            l.maybe("cores", machine.cores.map(whole))
                .maybe("sockets", machine.sockets.map(whole))
                .maybe("cpu", machine.cpu.as_deref())
                .maybe("memory", machine.memory.map(String::from))
                .maybe("disk", machine.disk.map(String::from))
                .maybe("storage", machine.storage.as_deref())
                .maybe("format", machine.format.as_deref())
                .maybe("firmware", machine.firmware.map(firmware_word))
                .maybe("secure_boot", machine.secure_boot)
                .maybe("onboot", machine.onboot)
                .maybe("protection", machine.protection)
                .maybe("tags", machine.tags.clone().map(strings));
        });
        for nic in &machine.nic {
            let Nic { bridge, vlan } = nic;
            self.section(&format!("[[{path}.nic]]"), true, |l| {
                l.put("bridge", bridge.as_str()).maybe("vlan", vlan.map(i64::from));
            });
        }
    }

    fn workshop(&mut self, workshop: &WorkshopDefinition) {
        self.head(|l| {
            l.put("kind", "workshop").put("name", workshop.name.as_str()).put("site", workshop.site.as_str());
            l.put("seats", i64::from(workshop.seats)).put("image", workshop.image.as_str());
            let port = |port: u16| Value::from(i64::from(port));
            if workshop.ports != SeatPorts::default() {
                let SeatPorts { terminal, files } = workshop.ports;
                l.put("ports", table(vec![("terminal", port(terminal)), ("files", port(files))]));
            }
            if let Some(browser) = &workshop.browser {
                let image = Value::from(browser.image.as_str());
                l.put("browser", table(vec![("image", image), ("port", port(browser.port))]));
            }
            if workshop.proxy != Proxy::default() {
                let image = Value::from(workshop.proxy.image.as_str());
                let mut fields = vec![("image", image), ("port", port(workshop.proxy.port))];
                fields.extend(workshop.proxy.name.as_deref().map(|name| ("name", Value::from(name))));
                if let Some(Certificate { cert_file, key_file }) = &workshop.proxy.certificate {
                    let path = |path: &std::path::Path| Value::from(path.to_string_lossy().into_owned());
                    fields.extend([("cert_file", path(cert_file)), ("key_file", path(key_file))]);
                }
                l.put("proxy", table(fields));
            }
            if workshop.seat != SeatLimits::default() {
                let SeatLimits { memory, cpus, pids } = workshop.seat;
                let memory = Value::from(String::from(memory));
                l.put("seat", table(vec![("memory", memory), ("cpus", cpus.into()), ("pids", whole(pids).into())]));
            }
            l.differing("seats_on", workshop.seats_on, SeatsOn::Start, |_| "join")
                .differing("ends_after", workshop.ends_after, default_ends_after(), duration::print)
                .differing("max_life", workshop.max_life, default_max_life(), duration::print);
        });
        self.section("[gce]", false, |l| gce(l, &workshop.gce));
    }
}

fn cloud_init(l: &mut Lines, cloud_init: &CloudInit) {
    let password = cloud_init.password.as_ref().map(|password| match password {
        Password::Generate => Value::from("generate"),
        Password::Env(name) => table(vec![("env", name.as_str().into())]),
        Password::File(path) => table(vec![("file", path.as_str().into())]),
        Password::Command(line) => table(vec![("command", line.as_str().into())]),
    });
    l.maybe("user", cloud_init.user.as_deref())
        .maybe("password", password)
        .maybe("ssh_keys", (!cloud_init.ssh_keys.is_empty()).then(|| strings(cloud_init.ssh_keys.clone())))
        .maybe("ip", cloud_init.ip.as_ref().map(print_ip))
        .maybe("nameserver", cloud_init.nameserver.as_deref())
        .maybe("search", cloud_init.search.as_deref());
}

fn placement(l: &mut Lines, placement: &Placement) {
    let default = Placement::default();
    let nodes = placement.nodes.iter().map(|n| n.to_string()).collect();
    l.differing("policy", placement.policy, default.policy, policy_word)
        .differing("cpu", placement.cpu, default.cpu, itself)
        .differing("memory", placement.memory, default.memory, itself)
        .differing("nodes", nodes, Vec::new(), strings)
        .maybe("vmids", placement.vmids.map(|vmids| vmids.to_string()));
}

fn rollout(l: &mut Lines, rollout: &Rollout) {
    let default = Rollout::default();
    l.differing("order", rollout.order, default.order, order_word).differing(
        "delay",
        rollout.delay,
        default.delay,
        duration::print,
    );
}

fn rollcall(l: &mut Lines, rollcall: &RollCall) {
    let default = rollcall_of(rollcall.profile);
    let commands = |commands: Vec<Vec<String>>| Value::Array(commands.into_iter().map(strings).collect());
    l.differing("profile", rollcall.profile, Profile::Normal, profile_word)
        .differing("via", rollcall.via, default.via, via_word)
        .differing("address_within", rollcall.address_within, default.address_within, duration::print)
        .differing("cidr", rollcall.cidr.clone(), default.cidr, strings)
        .differing("pings", rollcall.pings, default.pings, whole)
        .differing("settle", rollcall.settle, default.settle, duration::print)
        .differing("exec", rollcall.exec.clone(), default.exec, strings)
        .differing("checks", rollcall.checks.clone(), default.checks, commands)
        .differing("ssh", rollcall.ssh, default.ssh, itself);
}

fn gce(l: &mut Lines, gce: &GceSpec) {
    l.maybe("machine_type", gce.machine_type.as_deref())
        .maybe("spot", gce.spot)
        .maybe("disk", gce.disk.map(String::from))
        .differing("keep_disk", gce.keep_disk, false, itself)
        .maybe("dns", gce.dns.as_deref())
        .differing("source_ranges", gce.source_ranges.clone(), Vec::new(), strings);
}

fn clone_word(mode: CloneMode) -> &'static str {
    match mode {
        CloneMode::Auto => "auto",
        CloneMode::Linked => "linked",
        CloneMode::Full => "full",
    }
}

fn firmware_word(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "bios",
        Firmware::Uefi => "uefi",
    }
}

fn policy_word(policy: PlacementPolicy) -> &'static str {
    match policy {
        PlacementPolicy::Score => "score",
        PlacementPolicy::Pin => "pin",
    }
}

fn order_word(order: Order) -> &'static str {
    match order {
        Order::Parallel => "parallel",
        Order::Staggered => "staggered",
        Order::Sequential => "sequential",
    }
}

fn profile_word(profile: Profile) -> &'static str {
    match profile {
        Profile::Normal => "normal",
        Profile::Strict => "strict",
        Profile::Off => "off",
    }
}

fn via_word(via: Via) -> &'static str {
    match via {
        Via::Ssh => "ssh",
        Via::Api => "api",
    }
}
