//! Rules: what the labs need to be allowed, where, why, and the command that allows it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Grade, listed, look::Look};
use crate::domain::{
    class::{ClassDefinition, Profile, Via},
    size::Size,
};

/// One thing to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Any one of these will do; the first is what is asked for.
    pub privileges: Vec<&'static str>,
    /// Holding it on any one of these paths will do.
    pub asked_on: Vec<String>,
    /// Where it is best given.
    pub given_on: String,
    pub why: &'static str,
    pub lab: Option<String>,
    /// Work is possible without.
    pub optional: bool,
}

/// Where new machines come to be: any path that may allow something on them, and where to allow it.
struct Machines {
    asked_on: Vec<String>,
    given_on: String,
}

/// Everything the site's labs need.
pub fn needs(look: &Look) -> Vec<Need> {
    let mut needs = vec![Need {
        privileges: vec!["Sys.Audit"],
        asked_on: vec!["/".to_owned()],
        given_on: "/".to_owned(),
        why: "to see quorum, and the nodes' load, memory and clock",
        lab: None,
        optional: true,
    }];
    for lab in &look.labs {
        lab_needs(look, &lab.class, &lab.template_nics, &mut needs);
        for template in &lab.templates {
            for (privilege, why) in
                [("VM.Clone", "to clone machines from the template"), ("VM.Audit", "to read the template's settings")]
            {
                let path = format!("/vms/{}", template.vmid);
                needs.push(Need {
                    privileges: vec![privilege],
                    asked_on: vec![path.clone()],
                    given_on: path,
                    why,
                    lab: Some(lab.class.name.to_string()),
                    optional: false,
                });
            }
            let wanted = lab.class.machine.storage.as_deref();
            let storages: BTreeSet<&str> = match wanted {
                Some(storage) => BTreeSet::from([storage]),
                None => template.disks.iter().map(|disk| disk.storage.as_str()).collect(),
            };
            for storage in storages {
                let path = format!("/storage/{storage}");
                for (privilege, why, optional) in [
                    ("Datastore.AllocateSpace", "to put the machines' disks there", false),
                    ("Datastore.Audit", "to see how much room is left, and that removed disks are gone", true),
                ] {
                    needs.push(Need {
                        privileges: vec![privilege],
                        asked_on: vec![path.clone()],
                        given_on: path.clone(),
                        why,
                        lab: Some(lab.class.name.to_string()),
                        optional,
                    });
                }
            }
        }
    }
    needs
}

fn lab_needs(
    look: &Look,
    class: &ClassDefinition,
    template_nics: &BTreeSet<(String, Option<u16>)>,
    needs: &mut Vec<Need>,
) {
    let lab = Some(class.name.to_string());
    let new = look.free_vmid().map(|id| format!("/vms/{id}")).unwrap_or_else(|| "/vms".to_owned());
    let machines = match &class.pool {
        Some(pool) => Machines { asked_on: vec![new, format!("/pool/{pool}")], given_on: format!("/pool/{pool}") },
        None => Machines { asked_on: vec![new], given_on: "/vms".to_owned() },
    };
    let mut on_machines = |privileges: &[&'static str], why: &'static str| {
        needs.push(Need {
            privileges: privileges.to_vec(),
            asked_on: machines.asked_on.clone(),
            given_on: machines.given_on.clone(),
            why,
            lab: lab.clone(),
            optional: false,
        });
    };
    on_machines(&["VM.Allocate"], "to make machines, and to remove them");
    on_machines(&["VM.Audit"], "to see the machines");
    on_machines(&["VM.Config.Options"], "to mark the machines as homeroom's");
    on_machines(&["VM.PowerMgmt"], "to start and stop them");
    on_machines(&["VM.Config.Cloudinit", "VM.Config.Network"], "to give them the lab's key by cloud-init");
    let specs = class.resolve();
    let any = |wants: &dyn Fn(&crate::domain::class::MachineSpec) -> bool| specs.iter().any(|s| wants(&s.machine));
    if any(&|m| m.cores.is_some() || m.sockets.is_some() || m.cpu.is_some()) {
        on_machines(&["VM.Config.CPU"], "to set cores, sockets or cpu");
    }
    if any(&|m| m.memory.is_some()) {
        on_machines(&["VM.Config.Memory"], "to set memory");
    }
    if any(&|m| m.disk.map(Size::bytes).is_some() || m.firmware.is_some()) {
        on_machines(&["VM.Config.Disk"], "to grow the disk");
    }
    if any(&|m| m.firmware.is_some() || m.secure_boot.is_some()) {
        on_machines(&["VM.Config.HWType"], "to set the firmware");
    }
    if any(&|m| !m.nic.is_empty()) {
        on_machines(&["VM.Config.Network"], "to set the network cards");
    }
    let proves = class.rollcall.profile != Profile::Off;
    if proves && class.rollcall.via == Via::Api {
        if look.major() == Some(8) {
            on_machines(&["VM.Monitor"], "to ask the guest agent (rollcall.via = \"api\")");
        } else {
            on_machines(&["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"], "to ask the guest agent for addresses");
            on_machines(&["VM.GuestAgent.Unrestricted"], "to run commands through the guest agent");
        }
    }
    if let Some(pool) = &class.pool {
        let path = format!("/pool/{pool}");
        let exists = look.pools.iter().any(|known| known.as_str() == pool);
        needs.push(Need {
            privileges: vec!["Pool.Audit"],
            asked_on: vec![path.clone()],
            given_on: path.clone(),
            why: "to see which machines are in the pool",
            lab: lab.clone(),
            optional: true,
        });
        if !exists {
            needs.push(Need {
                privileges: vec!["Pool.Allocate"],
                asked_on: vec![path.clone()],
                given_on: path,
                why: "to make the pool, which is not there yet (or make it: `pveum pool add`)",
                lab: lab.clone(),
                optional: false,
            });
        }
    }
    let own: BTreeSet<(String, Option<u16>)> =
        specs.iter().flat_map(|s| &s.machine.nic).map(|nic| (nic.bridge.clone(), nic.vlan)).collect();
    for (bridge, vlan) in own.union(template_nics) {
        let is_vnet = look.bridges.iter().filter_map(|(_, bridges)| bridges.as_ref().ok()).flatten();
        if is_vnet.into_iter().any(|known| known.is_vnet && known.name.as_str() == bridge) {
            continue;
        }
        let path = format!("/sdn/zones/localnetwork/{bridge}");
        let asked = vlan.map(|vlan| format!("{path}/{vlan}")).unwrap_or_else(|| path.clone());
        needs.push(Need {
            privileges: vec!["SDN.Use"],
            asked_on: vec![asked],
            given_on: path,
            why: "to plug machines into the bridge",
            lab: lab.clone(),
            optional: false,
        });
    }
}

/// Whether one of the privileges is held on one of the paths.
fn held(look: &Look, need: &Need) -> bool {
    need.asked_on.iter().any(|path| {
        look.held.get(path).is_some_and(|held| need.privileges.iter().any(|privilege| held.contains(*privilege)))
    })
}

pub fn findings(look: &Look, out: &mut Findings) {
    if let Some(error) = &look.unasked {
        out.warning(
            "privileges",
            error.to_string(),
            "whether the labs can be made is not known",
            "run doctor again later",
        );
        return;
    }
    let needs = needs(look);
    let (mut missing, mut fine): (BTreeMap<(bool, String), Vec<&Need>>, usize) = (BTreeMap::new(), 0);
    for need in &needs {
        if held(look, need) {
            fine += 1;
        } else {
            missing.entry((need.optional, need.given_on.clone())).or_default().push(need);
        }
    }
    let who = match &look.caller.token {
        Some(token) => format!("{}!{token}", look.caller.user),
        None => look.caller.user.clone(),
    };
    for ((optional, path), lacking) in &missing {
        let names: BTreeSet<&str> = lacking.iter().filter_map(|need| need.privileges.first().copied()).collect();
        let labs: BTreeSet<&String> = lacking.iter().filter_map(|need| need.lab.as_ref()).collect();
        let mut why: Vec<String> = Vec::new();
        for need in lacking {
            let line = format!("{} {}", need.privileges.first().unwrap_or(&""), need.why);
            if !why.contains(&line) {
                why.push(line);
            }
        }
        let of = if labs.is_empty() { String::new() } else { format!(" (for {})", listed(labs)) };
        let grade = if *optional { Grade::Warning } else { Grade::Error };
        let what = format!("{who} lacks {} on {path}{of}", listed(&names));
        // An entry on a path takes the place of what comes from above it, so it has to give all that is
        // needed there and below, not the missing alone.
        let below = format!("{}/", path.trim_end_matches('/'));
        let all = needs.iter().filter(|need| need.given_on == *path || need.given_on.starts_with(&below));
        let all: BTreeSet<&str> = all.filter_map(|need| need.privileges.first().copied()).collect();
        out.add("privileges", grade, what, why.join("\n"), grant(look, path, &all));
    }
    if missing.is_empty() {
        let labs: Vec<_> = look.labs.iter().map(|lab| lab.class.name.to_string()).collect();
        let what = match labs.as_slice() {
            [] => format!("{who} may look; no lab is defined here yet"),
            _ => format!("{who} holds all that {} need ({fine} checked)", listed(labs)),
        };
        out.ok("privileges", what);
    }
}

/// The commands that give privileges on a path: by a role that has them and little more, or a new one.
fn grant(look: &Look, path: &str, names: &BTreeSet<&str>) -> String {
    let major = look.major();
    let harmless: BTreeSet<&str> = everything(major).into_iter().collect();
    let fits = |role: &&crate::port::inspect::RoleRow| {
        names.iter().all(|name| role.privileges.contains(*name))
            && role.privileges.iter().all(|privilege| harmless.contains(privilege.as_str()))
    };
    let role = look.roles.iter().filter(fits).min_by_key(|role| role.privileges.len());
    // A token with privileges of its own has no more than its user: both need it.
    let whom = match &look.caller.token {
        Some(token) => format!("--users '{0}' --tokens '{0}!{token}'", look.caller.user),
        None => format!("--users '{}'", look.caller.user),
    };
    let name = role.map_or_else(|| role_name(path), |role| role.name.to_string());
    let give = format!("pveum acl modify {path} {whom} --roles {name}");
    match role {
        Some(_) => give,
        None => {
            let list = names.iter().copied().collect::<Vec<_>>().join(",");
            let exists = look.roles.iter().any(|known| known.name.as_str() == name);
            let make = if exists {
                format!("pveum role modify {name} --append 1 --privs {list}")
            } else {
                format!("pveum role add {name} --privs {list}")
            };
            format!("{make}\n{give}")
        }
    }
}

/// `HomeroomVms`, `HomeroomStorage`, …: a role for each kind of path.
fn role_name(path: &str) -> String {
    let mut kind = path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    if kind.is_empty() {
        kind = "root".to_owned();
    }
    let mut letters = kind.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase()).into_iter();
    format!("Homeroom{}", first.chain(letters).collect::<String>())
}

/// All that homeroom ever asks for, on a major version.
fn everything(major: Option<u32>) -> Vec<&'static str> {
    let mut all = vec![
        "Datastore.AllocateSpace",
        "Datastore.Audit",
        "Pool.Allocate",
        "Pool.Audit",
        "SDN.Audit",
        "SDN.Use",
        "Sys.Audit",
        "VM.Allocate",
        "VM.Audit",
        "VM.Clone",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Cloudinit",
        "VM.Config.Disk",
        "VM.Config.HWType",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.Options",
        "VM.Console",
        "VM.PowerMgmt",
        "VM.Snapshot",
        "VM.Snapshot.Rollback",
    ];
    match major {
        Some(8) => all.push("VM.Monitor"),
        _ => all.extend([
            "VM.GuestAgent.Audit",
            "VM.GuestAgent.FileRead",
            "VM.GuestAgent.FileWrite",
            "VM.GuestAgent.Unrestricted",
        ]),
    }
    all
}
