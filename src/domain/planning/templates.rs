//! Templates: which one a machine is cloned from on a node, linked or full, and whether there is room.

use std::collections::BTreeMap;

use super::{PlanInput, Problem, count, listed};
use crate::domain::{
    NodeName,
    class::{CloneMode, MachineSpec, SeatSpec, TemplateRef},
    cluster::{ClusterView, TemplateView},
    nearest::meant,
    plan::CloneSource,
    size::Size,
};

/// What a linked clone takes at once: an empty overlay's tables and a cloud-init drive.
const LINKED_BYTES: u64 = 36 << 20;

/// The templates the class may clone from.
pub(super) fn candidates<'a>(input: &PlanInput<'a>) -> Result<Vec<&'a TemplateView>, Problem> {
    let wanted = &input.class.template;
    let known: Vec<_> = input.view.templates(wanted).filter(|g| !g.container).collect();
    if known.is_empty() {
        return Err(missing(input));
    }
    for (n, guest) in known.iter().enumerate() {
        if let Some(twin) = known[..n].iter().find(|twin| twin.node == guest.node) {
            return Err(Problem::new(
                format!(
                    "template {wanted} is ambiguous: {} and {} on {} are both called so",
                    twin.vmid, guest.vmid, guest.node
                ),
                format!("write the number of one of them: template = {}", twin.vmid),
            ));
        }
    }
    let mut found: Vec<&TemplateView> =
        input.templates.iter().filter(|t| known.iter().any(|g| g.vmid == t.vmid && input.online(&g.node))).collect();
    found.sort_by_key(|t| t.vmid);
    if found.is_empty() {
        let places: Vec<String> = known.iter().map(|g| format!("{} on {}", g.vmid, g.node)).collect();
        return Err(Problem::new(
            format!("template {wanted} ({}) cannot be read: no node it lies on answers", places.join(", ")),
            "bring that node back, or name a template on another node",
        ));
    }
    Ok(found)
}

/// Nothing by that name: what there is instead.
fn missing(input: &PlanInput<'_>) -> Problem {
    let wanted = &input.class.template;
    if let TemplateRef::Vmid(vmid) = wanted
        && let Some(guest) = input.view.guest(*vmid)
    {
        let name = guest.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        return Problem::new(
            format!("{vmid}{name} on {} is a machine, not a template", guest.node),
            format!("turn it into one with `qm template {vmid}`, or name another template"),
        );
    }
    let mut there: Vec<(String, String)> = (input.view.guests.iter())
        .filter(|g| g.template && !g.container)
        .map(|g| {
            let name = g.name.as_ref().map_or_else(|| g.vmid.to_string(), ToString::to_string);
            (format!("{name} ({})", g.vmid), name)
        })
        .collect();
    there.sort();
    let away: Vec<String> =
        input.view.nodes.iter().filter(|node| !node.online).map(|node| node.node.to_string()).collect();
    let unnamed = input.view.guests.iter().filter(|guest| guest.name.is_none()).count();
    let what = match (away.as_slice(), unnamed) {
        ([], 0) => format!("site {} has no template {wanted}", input.class.site),
        ([], n) => format!(
            "site {} shows no template {wanted}, and {} without a name, as they are for some seconds after a node starts",
            input.class.site,
            count(n, "machine")
        ),
        (away, _) => format!(
            "site {} shows no template {wanted}; what lies on {}, which does not answer, cannot be told",
            input.class.site,
            listed(away)
        ),
    };
    if there.is_empty() {
        return Problem::new(
            what,
            "no template is visible there: make one with `qm template`, or let the token see it (VM.Audit)",
        );
    }
    let wanted = wanted.to_string();
    let near = meant(&wanted, there.iter().map(|(_, name)| name.as_str()));
    let hint = near.map(|name| format!("did you mean {name}? ")).unwrap_or_default();
    let there: Vec<String> = there.into_iter().map(|(label, _)| label).collect();
    Problem::new(what, format!("{hint}it has {}", there.join(", ")))
}

/// Linked or full, and why where that needs saying.
pub(super) fn mode(
    clone: CloneMode,
    machine: &MachineSpec,
    template: &TemplateView,
) -> Result<(bool, Option<String>), Problem> {
    let elsewhere = elsewhere(machine, template);
    let cannot = || {
        let storage = template.disks.first().map(|d| d.storage.to_string()).unwrap_or_default();
        format!("{storage} cannot make linked clones")
    };
    match clone {
        CloneMode::Full => Ok((false, None)),
        CloneMode::Auto => Ok(match elsewhere {
            Some(why) => (false, Some(format!("full clone: {why}"))),
            None if template.linked => (true, None),
            None => (false, Some(format!("full clone: {}", cannot()))),
        }),
        CloneMode::Linked => match elsewhere {
            Some(why) => Err(Problem::new(
                format!("clone = \"linked\" keeps the disks of {}, but {why}", template.name),
                "take storage and format out of the definition, or set clone = \"full\"",
            )),
            None if template.linked => Ok((true, None)),
            None => Err(Problem::new(
                format!("clone = \"linked\" is not possible for {}: {}", template.name, cannot()),
                "set clone = \"auto\" or \"full\", or move the template to a storage that can",
            )),
        },
    }
}

/// Why storage or format ask for something other than the template's own disks.
fn elsewhere(machine: &MachineSpec, template: &TemplateView) -> Option<String> {
    if let Some(storage) = &machine.storage
        && let Some(disk) = template.disks.iter().find(|disk| disk.storage.as_str() != storage)
    {
        return Some(format!("storage is {storage} and the template's {} lies on {}", disk.slot, disk.storage));
    }
    let wanted = machine.format.as_deref()?;
    // A disk without a format lies on a block storage: raw.
    let format =
        |disk: &crate::domain::cluster::DiskView| disk.format.as_ref().map_or("raw".to_owned(), |f| f.to_string());
    let disk = template.disks.iter().find(|disk| format(disk) != wanted)?;
    Some(format!("format is {wanted} and the template's {} is {}", disk.slot, format(disk)))
}

/// What a machine on `node` is cloned from, or why none of the templates can be used there.
pub(super) fn source_on(
    view: &ClusterView,
    node: &NodeName,
    clone: CloneMode,
    machine: &MachineSpec,
    templates: &[&TemplateView],
) -> Result<CloneSource, String> {
    let near = templates.iter().filter(|t| &t.node == node);
    let far = templates.iter().filter(|t| &t.node != node);
    let mut refusal = None;
    for template in near.chain(far) {
        match source(view, node, clone, machine, template) {
            Ok(source) => return Ok(source),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(refusal.unwrap_or_else(|| "no template can be read".to_owned()))
}

fn source(
    view: &ClusterView,
    node: &NodeName,
    clone: CloneMode,
    machine: &MachineSpec,
    template: &TemplateView,
) -> Result<CloneSource, String> {
    let (linked, _) = mode(clone, machine, template).map_err(|problem| problem.what)?;
    let own = || template.disks.iter().map(|disk| disk.storage.as_str());
    let targets: Vec<&str> = match &machine.storage {
        Some(storage) if !linked => vec![storage],
        _ => own().collect(),
    };
    if &template.node != node {
        if let Some(storage) = own().find(|storage| !is_shared(view, storage)) {
            return Err(format!(
                "template {} lies on {}, on {storage}, which is not shared",
                template.name, template.node
            ));
        }
        if let Some(storage) = targets.iter().find(|storage| !is_shared(view, storage)) {
            return Err(format!("{storage} is not shared and the template lies on {}", template.node));
        }
    }
    for storage in &targets {
        usable(view, storage, node)?;
    }
    let limit_storage = targets.first().map(|storage| (*storage).to_owned()).unwrap_or_default();
    let bytes = if linked { LINKED_BYTES } else { template.disks.iter().map(|disk| disk.size).sum() };
    Ok(CloneSource {
        template: template.vmid,
        template_name: template.name.clone(),
        node: template.node.clone(),
        linked,
        full_fallback: false,
        storage: machine.storage.clone().filter(|_| !linked),
        format: machine.format.clone().filter(|_| !linked),
        storage_shared: is_shared(view, &limit_storage),
        limit_storage,
        bytes,
        pool: None,
    })
}

fn is_shared(view: &ClusterView, storage: &str) -> bool {
    view.storages.iter().any(|row| row.storage.as_str() == storage && row.shared)
}

/// Whether a node can put disks on a storage. What the token may not see is not held against it.
fn usable(view: &ClusterView, storage: &str, node: &NodeName) -> Result<(), String> {
    let mut rows = view.storages.iter().filter(|row| row.storage.as_str() == storage).peekable();
    if rows.peek().is_none() {
        return if view.storages.is_empty() { Ok(()) } else { Err(format!("there is no storage {storage}")) };
    }
    let Some(row) = rows.find(|row| &row.node == node) else {
        return Err(format!("storage {storage} is not on it"));
    };
    if !row.available {
        return Err(format!("storage {storage} is not available there"));
    }
    if !row.images {
        return Err(format!("storage {storage} may not hold VM disks"));
    }
    Ok(())
}

/// How much the first disk grows behind the clone, in bytes.
pub(super) fn growth(templates: &[&TemplateView], spec: &SeatSpec, source: &CloneSource) -> u64 {
    let own = templates.iter().find(|t| t.vmid == source.template).and_then(|t| t.disks.first()).map_or(0, |d| d.size);
    spec.machine.disk.map_or(0, |disk| disk.bytes().saturating_sub(own))
}

/// The room on each storage while a plan fills it: one pot for a shared one, one per node for a local one.
#[derive(Debug)]
pub(super) struct Room {
    left: BTreeMap<(String, Option<NodeName>), u64>,
    used: BTreeMap<String, u64>,
    thick: Vec<String>,
}

impl Room {
    pub fn new(view: &ClusterView) -> Self {
        let mut left = BTreeMap::new();
        for row in view.storages.iter().filter(|row| row.total > 0) {
            let key = (row.storage.to_string(), (!row.shared).then(|| row.node.clone()));
            left.insert(key, row.total.saturating_sub(row.used));
        }
        // Only here does growing a disk take its bytes at once.
        let thick = view.storages.iter().filter(|row| row.kind.as_str() == "lvm");
        Self { left, used: BTreeMap::new(), thick: thick.map(|row| row.storage.to_string()).collect() }
    }

    /// What a clone with a disk grown by `growth` needs.
    pub fn need(&self, source: &CloneSource, growth: u64) -> u64 {
        source.bytes + if self.thick.contains(&source.limit_storage) { growth } else { 0 }
    }

    /// What is left for a clone on a node; `None` where it is not known.
    pub fn left(&self, source: &CloneSource, node: &NodeName) -> Option<u64> {
        let shared = (source.limit_storage.clone(), None);
        let local = (source.limit_storage.clone(), Some(node.clone()));
        self.left.get(&shared).or_else(|| self.left.get(&local)).copied()
    }

    pub fn check(&self, source: &CloneSource, node: &NodeName, need: u64) -> Result<(), String> {
        match self.left(source, node) {
            Some(left) if left < need => Err(format!(
                "{} has {} left, this clone needs {}",
                source.limit_storage,
                Size(left).human(),
                Size(need).human()
            )),
            _ => Ok(()),
        }
    }

    pub fn take(&mut self, source: &CloneSource, node: &NodeName, need: u64) {
        for key in [(source.limit_storage.clone(), None), (source.limit_storage.clone(), Some(node.clone()))] {
            if let Some(left) = self.left.get_mut(&key) {
                *left = left.saturating_sub(need);
            }
        }
        *self.used.entry(source.limit_storage.clone()).or_default() += need;
    }

    /// What the plan takes, by storage.
    pub fn taken(self) -> Vec<(String, u64)> {
        self.used.into_iter().collect()
    }
}
