//! Rules: the templates of the defined labs, room, numbers, networks.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Findings, keys, listed,
    look::{Lab, Look},
};
use crate::{
    domain::{
        NodeName,
        class::{CloneMode, IpSource, Profile},
        cluster::{ClusterView, TemplateView},
        plan::Verb,
        size::Size,
    },
    service::ServiceError,
};

pub fn findings(look: &Look, out: &mut Findings) {
    let Ok(view) = &look.view else { return };
    for lab in &look.labs {
        let before = out.list.len();
        templates(view, lab, out);
        keys::findings(lab, out);
        let told = out.list[before..].iter().any(|finding| finding.grade == super::Grade::Error);
        match &lab.plan {
            Err(ServiceError::Problems { problems, .. }) if !told => {
                for problem in problems {
                    let (what, mend) = problem.split_once("; ").unwrap_or((problem, ""));
                    let check = if what.starts_with("storage ") { "room" } else { "plan" };
                    let what = format!("{}: {what}", lab.class.name);
                    out.error(check, what, format!("{} cannot be deployed as it is defined", lab.class.name), mend);
                }
            }
            Err(ServiceError::Problems { .. }) => {}
            Err(error) if !told => out.warning(
                "plan",
                format!("{}: {error}", lab.class.name),
                "what a deploy would do cannot be told",
                format!("`homeroom plan {}` when that is mended", lab.class.name),
            ),
            _ => {}
        }
    }
    room(look, view, out);
    vmids(look, out);
    networks(look, out);
}

fn templates(view: &ClusterView, lab: &Lab, out: &mut Findings) {
    let (name, wanted) = (&lab.class.name, &lab.class.template);
    if view.templates(wanted).all(|guest| guest.container) {
        let mut there: Vec<String> = view
            .guests
            .iter()
            .filter(|guest| guest.template && !guest.container)
            .map(|guest| match &guest.name {
                Some(name) => format!("{name} ({})", guest.vmid),
                None => guest.vmid.to_string(),
            })
            .collect();
        there.sort();
        out.error(
            "template",
            format!("{name}: the site has no template {wanted}"),
            "there is nothing to clone the machines from",
            format!(
                "name one of those there ({}), make it with `qm template`, or let homeroom see it (VM.Audit)",
                listed(there)
            ),
        );
        return;
    }
    for template in &lab.templates {
        details(lab, template, out);
    }
}

fn details(lab: &Lab, template: &TemplateView, out: &mut Findings) {
    let (name, id) = (&lab.class.name, template.vmid);
    let label = format!("{name}: template {} ({id} on {})", template.name, template.node);
    let mut good = true;
    let proves = lab.class.rollcall.profile != Profile::Off;
    if proves && !template.agent {
        good = false;
        out.warning(
            "template",
            format!("{label} has the guest agent off"),
            "the roll call asks the agent; it is switched on in each machine, but must be installed in the template",
            format!("install qemu-guest-agent in it, then `qm set {id} --agent 1`"),
        );
    }
    if !template.cloud_init {
        good = false;
        let what = format!("{label} has no cloud-init drive");
        let mend = format!("`qm set {id} --ide2 STORAGE:cloudinit`");
        let range = lab.class.resolve().iter().any(|spec| matches!(spec.cloud_init.ip, Some(IpSource::Range { .. })));
        if range || (proves && lab.class.rollcall.ssh) {
            let why = "user, keys and addresses do not reach the machines, and their SSH proof fails";
            out.error("template", what, why, mend);
        } else {
            out.warning("template", what, "[cloud_init] reaches nobody", mend);
        }
    }
    let disk = template.disks.first().map_or(0, |disk| disk.size);
    let smaller = lab.class.resolve().into_iter().filter_map(|spec| spec.machine.disk).find(|size| size.bytes() < disk);
    if let Some(size) = smaller {
        good = false;
        out.warning(
            "template",
            format!("{label} has {} of disk, and {} is asked for", Size(disk).human(), size.human()),
            "a disk is never made smaller: the machines get the template's",
            "take machine.disk out of the definition, or use a smaller template",
        );
    }
    let elsewhere = lab.class.machine.storage.is_some() || lab.class.machine.format.is_some();
    if lab.class.clone == CloneMode::Linked && !template.linked {
        good = false;
        let storage = template.disks.first().map(|disk| disk.storage.to_string()).unwrap_or_default();
        out.error(
            "template",
            format!("{label} cannot be cloned linked: {storage} does not copy on write"),
            "clone = \"linked\" is asked for",
            "set clone = \"auto\" or \"full\", or move the template's disk to a storage that can",
        );
    }
    if good {
        let linked = match (lab.class.clone, template.linked && !elsewhere) {
            (CloneMode::Full, _) | (_, false) => "full clones",
            (_, true) => "linked clones",
        };
        let storage = template.disks.first().map(|disk| format!(" on {}", disk.storage)).unwrap_or_default();
        out.ok("template", format!("{label}: agent, cloud-init drive, {}{storage}, {linked}", Size(disk).human()));
    }
}

/// All labs together must fit, not each by itself.
fn room(look: &Look, view: &ClusterView, out: &mut Findings) {
    let mut wanted: BTreeMap<&str, (u64, BTreeSet<String>)> = BTreeMap::new();
    for lab in &look.labs {
        for (storage, bytes) in lab.plan.iter().flat_map(|plan| &plan.room) {
            let entry = wanted.entry(storage).or_default();
            entry.0 += bytes;
            entry.1.insert(lab.class.name.to_string());
        }
    }
    for (storage, (bytes, labs)) in wanted {
        let rows: Vec<_> = view.storages.iter().filter(|row| row.storage.as_str() == storage).collect();
        let shared = rows.iter().any(|row| row.shared);
        let left = rows.iter().map(|row| row.total.saturating_sub(row.used));
        let left = if shared { left.max() } else { left.reduce(u64::saturating_add) };
        let (Some(left), need) = (left.filter(|left| *left > 0), Size(bytes).human()) else { continue };
        let labs = listed(labs);
        if bytes > left {
            out.error(
                "room",
                format!("{storage} has {} left; {labs} need {need}", Size(left).human()),
                "clones fail half-way, and a full storage stops the machines that write to it",
                format!("free space on {storage}, or set another storage in a definition"),
            );
        } else {
            out.ok("room", format!("{storage}: {} left, {need} needed for {labs}", Size(left).human()));
        }
    }
}

fn vmids(look: &Look, out: &mut Findings) {
    let mut wanted = 0;
    for lab in &look.labs {
        wanted += match &lab.plan {
            Ok(plan) => plan.count(Verb::Create),
            Err(_) => lab.class.seats().len().saturating_sub(lab.progress.seats.len()),
        };
    }
    let free = look.free_vmids().count();
    let what = format!("{} to {}: {free} free, {wanted} needed", look.vmids.first, look.vmids.last);
    if free < wanted {
        out.error(
            "vmids",
            what,
            "every machine needs a number of its own",
            "widen vmids in the site's configuration, or remove machines in that range",
        );
    } else {
        out.ok("vmids", what);
    }
}

fn networks(look: &Look, out: &mut Findings) {
    let mut wanted: BTreeMap<(String, Option<u16>), BTreeSet<String>> = BTreeMap::new();
    for lab in &look.labs {
        let own = lab.class.resolve().into_iter().flat_map(|spec| spec.machine.nic);
        let mut cards: BTreeSet<_> = own.map(|nic| (nic.bridge, nic.vlan)).collect();
        if cards.is_empty() {
            cards.clone_from(&lab.template_nics);
        }
        for card in cards {
            wanted.entry(card).or_default().insert(lab.class.name.to_string());
        }
    }
    let mut fine = BTreeSet::new();
    for ((bridge, vlan), labs) in &wanted {
        let allowed: BTreeSet<&NodeName> = look
            .labs
            .iter()
            .filter(|lab| labs.contains(lab.class.name.as_str()))
            .flat_map(|lab| look.bridges.iter().map(|(node, _)| node).filter(|node| places(lab, node)))
            .collect();
        let (mut without, mut cannot_tag) = (Vec::new(), Vec::new());
        for (node, bridges) in look.bridges.iter().filter(|(node, _)| allowed.contains(node)) {
            let Ok(bridges) = bridges else { continue };
            match bridges.iter().find(|known| known.name.as_str() == bridge) {
                None => without.push(node),
                Some(known) if vlan.is_some() && !known.vlan_aware && !known.has_ports && !known.is_vnet => {
                    cannot_tag.push(node);
                }
                Some(_) => {}
            }
        }
        if !without.is_empty() {
            out.error(
                "network",
                format!("there is no bridge {bridge} on {} (for {})", listed(&without), listed(labs)),
                "machines placed there do not start",
                format!("make it there, keep the lab to other nodes with placement.nodes, or allow SDN.Use on /sdn/zones/localnetwork/{bridge} if it is only hidden"),
            );
        }
        if let (false, Some(vlan)) = (cannot_tag.is_empty(), vlan) {
            out.warning(
                "network",
                format!("{bridge} on {} is not VLAN-aware and has no port", listed(&cannot_tag)),
                format!("VLAN {vlan} of {} leads nowhere there", listed(labs)),
                format!("make {bridge} VLAN-aware, or give it a port"),
            );
        }
        if without.is_empty() && cannot_tag.is_empty() {
            fine.insert(vlan.map_or_else(|| bridge.clone(), |vlan| format!("{bridge} (VLAN {vlan})")));
        }
    }
    if !fine.is_empty() {
        out.ok("network", format!("{} on every node the labs may use", listed(fine)));
    }
}

fn places(lab: &Lab, node: &NodeName) -> bool {
    let nodes = &lab.class.placement.nodes;
    nodes.is_empty() || nodes.contains(node)
}
