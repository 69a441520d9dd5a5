//! Writing a guest's configuration: at once when it is stopped, partly pending when it runs.

use std::collections::BTreeMap;

use super::allocate::{allocate, wants_allocation};
use super::qemu::{digest_of, guest};
use super::{Call, Fail, Params, Reply, permit, plain};
use crate::sim::world::storage::split_volid;
use crate::sim::world::vm::{is_drive, volid};
use crate::sim::world::{Op, Vm, Who, World};

/// Parameters of the call that are no configuration.
const NOT_CONFIG: [&str; 11] = [
    "node",
    "vmid",
    "digest",
    "delete",
    "revert",
    "skiplock",
    "force",
    "background_delay",
    "import-working-storage",
    "pool",
    "start",
];
/// What a running guest takes at once.
const AT_ONCE: [&str; 15] = [
    "description",
    "name",
    "onboot",
    "protection",
    "tags",
    "startup",
    "hookscript",
    "ciuser",
    "cipassword",
    "citype",
    "ciupgrade",
    "sshkeys",
    "nameserver",
    "searchdomain",
    "cicustom",
];

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Keys to set.
    pub set: BTreeMap<String, String>,
    /// Keys to delete.
    pub delete: Vec<String>,
    /// Pending keys to forget.
    pub revert: Vec<String>,
}

impl Change {
    /// Reads a change from the parameters of a call.
    pub fn of(params: &Params) -> Self {
        let names = |key: &str| -> Vec<String> {
            let text = params.get(key).map(plain).unwrap_or_default();
            text.split([',', ';', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let set = params
            .iter()
            .filter(|(key, _)| !NOT_CONFIG.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect();
        Self { set, delete: names("delete"), revert: names("revert") }
    }

    fn empty(&self) -> bool {
        self.set.is_empty() && self.delete.is_empty() && self.revert.is_empty()
    }

    fn keys(&self) -> impl Iterator<Item = &String> {
        self.set.keys().chain(&self.delete).chain(&self.revert)
    }
}

/// PUT config: waits for the lock and writes.
pub fn put(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let ops = prepare(world, call, true)?;
    Ok(Reply::Work(ops))
}

/// POST config: the same as a task.
pub fn post(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let mut ops = prepare(world, call, false)?;
    let vmid = call.vmid();
    let mut words = String::new();
    for (key, value) in Change::of(&call.params).set {
        let value = if key == "cipassword" { "<hidden>".into() } else { value };
        words.push_str(&format!(" -{key} {value}"));
    }
    ops.insert(0, Op::Log(format!("update VM {vmid}:{words}")));
    let upid = world.spawn(&call.node(), "qmconfig", &vmid.to_string(), &call.who.id(), "", ops);
    Ok(Reply::Late(world.physics.spawn, upid.into()))
}

/// PUT unlink: takes drives away, as `delete` does.
pub fn unlink(world: &mut World, call: &Call) -> Result<Reply, Fail> {
    let mut call = call.clone();
    if let Some(list) = call.params.remove("idlist") {
        call.params.insert("delete".into(), list);
    }
    put(world, &call)
}

fn prepare(world: &mut World, call: &Call, sync: bool) -> Result<Vec<Op>, Fail> {
    let change = Change::of(&call.params);
    if change.empty() {
        return Err("no options specified".into());
    }
    check_rights(world, &call.who, call.vmid(), &change)?;
    check_values(world, &change)?;
    let (vmid, digest) = (call.vmid(), call.text("digest"));
    let vm = guest(world, call)?;
    if sync {
        unlocked(vm)?;
    }
    same(vm, digest.as_deref())?;
    Ok(vec![
        Op::config_lock(vmid),
        Op::Pause(20),
        Op::run(move |world, _| {
            let vm = world.guests.get(&vmid).ok_or("VM vanished")?;
            unlocked(vm)?;
            same(vm, digest.as_deref())?;
            writable(world, vmid)?;
            apply(world, vmid, &change)
        }),
    ])
}

/// Refuses a locked guest.
pub fn unlocked(vm: &Vm) -> Result<(), Fail> {
    match &vm.lock {
        Some(lock) => Err(format!("VM is locked ({lock})").into()),
        None => Ok(()),
    }
}

/// Without a majority nothing can be written.
pub fn writable(world: &mut World, vmid: u32) -> Result<(), Fail> {
    if world.quorate {
        return Ok(());
    }
    let pid = world.fresh_pid();
    let node = world.guests.get(&vmid).map(|vm| vm.node.clone()).unwrap_or_default();
    Err(format!("unable to open file '/etc/pve/nodes/{node}/qemu-server/{vmid}.conf.tmp.{pid}' - Permission denied")
        .into())
}

fn same(vm: &Vm, digest: Option<&str>) -> Result<(), Fail> {
    match digest {
        Some(digest) if digest != digest_of(vm) => Err("checksum mismatch (file change by other user?)".into()),
        _ => Ok(()),
    }
}

/// Refuses values that name what is not there.
pub fn check_values(world: &World, change: &Change) -> Result<(), Fail> {
    for value in change.set.iter().filter(|(key, _)| is_drive(key)).map(|(_, value)| value) {
        if let Some((store, _)) = split_volid(volid(value))
            && !world.storages.contains_key(store)
        {
            return Err(format!("storage '{store}' does not exist").into());
        }
    }
    let number = |key: &str| change.set.get(key).and_then(|text| text.parse::<u64>().ok());
    if let (Some(balloon), Some(memory)) = (number("balloon"), number("memory"))
        && balloon > memory
    {
        let why = "balloon value too large (must be smaller than assigned memory)";
        return Err(why.into());
    }
    if let Some(keys) = change.set.get("sshkeys")
        && !valid_keys(keys)
    {
        return Err("SSH public key validation error".into());
    }
    Ok(())
}

fn valid_keys(text: &str) -> bool {
    let plain =
        text.replace("%0A", "\n").replace("%20", " ").replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
    plain.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).all(|line| {
        line.split(' ').any(|word| word.starts_with("ssh-") || word.starts_with("ecdsa-") || word.starts_with("sk-"))
            && line.contains(' ')
    })
}

/// Privileges for each key that is written.
pub fn check_rights(world: &World, who: &Who, vmid: u32, change: &Change) -> Result<(), Fail> {
    let path = format!("/vms/{vmid}");
    let need = |wanted: &[&str], any: bool| permit::privileges(world, who, &path, wanted, any);
    for key in change.keys() {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let value = change.set.get(key).map_or("", String::as_str);
        if matches!(key.as_str(), "lock" | "args") && !who.is_root() {
            return Err(format!("only root can set '{key}' config").into());
        }
        match stem {
            "cores" | "sockets" | "cpu" | "vcpus" | "cpulimit" | "cpuunits" | "numa" | "affinity" | "smp" => {
                need(&["VM.Config.CPU"], false)?;
            }
            "memory" | "balloon" | "shares" | "hugepages" => need(&["VM.Config.Memory"], false)?,
            "net" => {
                need(&["VM.Config.Network"], false)?;
                if !value.is_empty() {
                    check_bridge(world, who, value)?;
                }
            }
            "ipconfig" | "nameserver" | "searchdomain" | "ciuser" | "cipassword" | "citype" | "ciupgrade"
            | "sshkeys" | "cicustom" => need(&["VM.Config.Cloudinit", "VM.Config.Network"], true)?,
            "scsi" | "ide" | "sata" | "virtio" | "efidisk" | "tpmstate" | "unused" => {
                if value.contains("cloudinit") {
                    need(&["VM.Config.Cloudinit", "VM.Config.CDROM"], false)?;
                } else if value.contains("media=cdrom") {
                    need(&["VM.Config.CDROM"], false)?;
                } else {
                    need(&["VM.Config.Disk"], false)?;
                }
                if let Some((store, rest)) = split_volid(volid(value))
                    && (rest == "cloudinit" || rest.parse::<f64>().is_ok())
                {
                    let path = format!("/storage/{store}");
                    permit::privileges(world, who, &path, &["Datastore.AllocateSpace"], false)?;
                }
            }
            "boot" | "bootdisk" | "vmstatestorage" => need(&["VM.Config.Disk"], false)?,
            "acpi" | "hotplug" | "kvm" | "machine" | "scsihw" | "smbios" | "tablet" | "vga" | "watchdog" | "audio"
            | "rng" | "vmgenid" | "serial" | "usb" | "parallel" | "hostpci" | "arch" => {
                need(&["VM.Config.HWType"], false)?
            }
            _ => need(&["VM.Config.Options"], false)?,
        }
    }
    Ok(())
}

/// The bridge of a network card must be allowed to be used.
pub fn check_bridge(world: &World, who: &Who, net: &str) -> Result<(), Fail> {
    let property = |name: &str| crate::sim::world::vm::property(net, name);
    let Some(bridge) = property("bridge") else { return Ok(()) };
    let mut path = format!("/sdn/zones/localnetwork/{bridge}");
    if let Some(tag) = property("tag") {
        path.push_str(&format!("/{tag}"));
    }
    permit::privileges(world, who, &path, &["SDN.Use"], false)
}

/// Writes the change; what must be allocated first comes back as operations.
pub fn apply(world: &mut World, vmid: u32, change: &Change) -> Result<Vec<Op>, Fail> {
    let vm = world.guests.get(&vmid).ok_or("VM vanished")?;
    let running = vm.run.is_some();
    let mut ops = Vec::new();
    for key in &change.revert {
        if let Some(vm) = world.guests.get_mut(&vmid) {
            vm.pending.remove(key);
        }
    }
    for key in &change.delete {
        remove(world, vmid, key, running)?;
    }
    for (key, value) in &change.set {
        let value = straight(world, vmid, key, value);
        if is_drive(key) && wants_allocation(&value) {
            allocate(world, vmid, key, &value, &mut ops)?;
        } else {
            write(world, vmid, key, value, running);
        }
    }
    Ok(ops)
}

/// Writes one key: at once, or pending where a running guest cannot take it.
pub fn write(world: &mut World, vmid: u32, key: &str, value: String, running: bool) {
    let Some(vm) = world.guests.get_mut(&vmid) else { return };
    let at_once = AT_ONCE.contains(&key) || key.starts_with("ipconfig");
    let plugged = key.starts_with("net") || is_drive(key);
    if running && !at_once && !plugged {
        if vm.config.get(key) == Some(&value) {
            vm.pending.remove(key);
        } else {
            vm.pending.insert(key.to_owned(), Some(value));
        }
        return;
    }
    if plugged && let Some(run) = vm.run.as_mut() {
        run.config.insert(key.to_owned(), value.clone());
    }
    vm.pending.remove(key);
    vm.config.insert(key.to_owned(), value);
}

fn remove(world: &mut World, vmid: u32, key: &str, running: bool) -> Result<(), Fail> {
    let Some(vm) = world.guests.get_mut(&vmid) else { return Ok(()) };
    let at_once = AT_ONCE.contains(&key) || key.starts_with("ipconfig") || key.starts_with("unused");
    if running && !at_once && vm.config.contains_key(key) {
        vm.pending.insert(key.to_owned(), None);
        return Ok(());
    }
    vm.pending.remove(key);
    let Some(old) = vm.config.remove(key) else { return Ok(()) };
    if is_drive(key) && !old.contains("media=cdrom") && split_volid(volid(&old)).is_some() {
        let free = (0..).map(|n| format!("unused{n}")).find(|name| !vm.config.contains_key(name)).unwrap_or_default();
        vm.config.insert(free, volid(&old).to_owned());
    } else if (key.starts_with("unused") || old.contains("cloudinit"))
        && let Some((store, name)) = split_volid(volid(&old))
        && let Some(storage) = world.storages.get_mut(store)
    {
        storage.volumes.remove(name);
    }
    Ok(())
}

/// Values as Proxmox stores them: sorted tags, a hardware address for every card.
fn straight(world: &mut World, vmid: u32, key: &str, value: &str) -> String {
    match key {
        "tags" => {
            let mut tags: Vec<String> =
                value.split([',', ';', ' ']).filter(|tag| !tag.is_empty()).map(str::to_ascii_lowercase).collect();
            tags.sort();
            tags.dedup();
            tags.join(";")
        }
        "description" => value.trim_end().to_owned(),
        _ if key.starts_with("net") => {
            let has = value.split(',').any(|part| part.split_once('=').is_some_and(|(_, mac)| mac.len() == 17));
            match value.split_once(',') {
                Some((model, rest)) if !has && !model.contains('=') => {
                    format!("{model}={},{rest}", world.mac(&vmid.to_string()))
                }
                None if !has => format!("{value}={}", world.mac(&vmid.to_string())),
                _ => value.to_owned(),
            }
        }
        _ => value.to_owned(),
    }
}
