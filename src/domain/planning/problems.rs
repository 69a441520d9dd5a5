//! What stands in the way of a deploy, and what its reader should know: in words, with the way out.

use std::collections::BTreeMap;

use super::{
    PlanInput, Problem, count, listed,
    silent::silent_problem,
    standing::Fate,
    steps::roll_call,
    templates::{self, Room, growth},
};
use crate::domain::{
    NodeName, SeatName, StepName,
    class::{CloudInit, IpSource, SeatSpec},
    cluster::{GuestView, TemplateView},
    machine::machine_name,
    mark::Ownership,
    progress::SeatProgress,
    size::Size,
};

/// What can be said against a definition by looking at the site's nodes and names.
pub(super) fn definition_problems(input: &PlanInput<'_>) -> Vec<Problem> {
    let mut out = Vec::new();
    let seats = input.class.seats();
    if seats.is_empty() {
        out.push(Problem::new(format!("{} has no seats", input.class.name), "name students, or set teacher = true"));
    }
    let students = seats.len() - usize::from(input.class.teacher);
    if students > input.site.max_seats as usize {
        let (class, most) = (input.class, input.site.max_seats);
        out.push(Problem::new(
            format!("{} has {} and site {} takes {most} in a lab", class.name, count(students, "student"), class.site),
            "take students out or raise max_seats of the site",
        ));
    }
    let known: Vec<String> = input.view.nodes.iter().map(|node| node.node.to_string()).collect();
    for node in &input.class.placement.nodes {
        if input.view.node(node).is_none() {
            out.push(Problem::new(
                format!("placement.nodes names {node}, which site {} does not have", input.class.site),
                format!("it has {}", known.join(", ")),
            ));
        }
    }
    out.extend(twin_problem(input));
    out.extend(silent_problem(input));
    out.extend(other_store_problem(input));
    out
}

/// Machines of this lab that another store has taken over since, or made under numbers of ours: whoever deploys
/// beside them makes a second machine for the same seat.
fn other_store_problem(input: &PlanInput<'_>) -> Option<Problem> {
    let lab = &input.class.name;
    let taken = |row: &&SeatProgress| {
        let facts = row.vmid.and_then(|vmid| input.observed.get(&vmid));
        facts.is_some_and(|facts| matches!(&facts.ownership, Ownership::OtherStore(mark) if mark.lab == *lab))
    };
    let rows: Vec<_> = input.progress.seats.iter().filter(taken).collect();
    let first = rows.first()?;
    let vmid = first.vmid?;
    let node = input.view.guest(vmid).map(|guest| format!(" on {}", guest.node)).unwrap_or_default();
    let more = if rows.len() > 1 { format!(" and {} more", rows.len() - 1) } else { String::new() };
    Some(Problem::new(
        format!(
            "{} ({vmid}{node}){more} {} to another homeroom store now, for the same lab",
            first.name,
            if rows.len() > 1 { "belong" } else { "belongs" }
        ),
        format!(
            "whoever has that store looks after them; `homeroom adopt {} --take-over` takes them over, or give this lab \
             another name",
            input.class.site
        ),
    ))
}

/// Machines that have the name of one of ours and are not known here: a second one is never made.
fn twin_problem(input: &PlanInput<'_>) -> Option<Problem> {
    let twins: Vec<_> = (input.class.seats().iter())
        .filter_map(|(seat, _)| {
            let name = machine_name(&input.class.name, seat);
            let named = |g: &&GuestView| g.name.as_ref().is_some_and(|n| n.as_str() == name);
            // A seat that has its machine is not held up by another of that name.
            let made = input.progress.seat(seat).is_some_and(|row| row.vmid.is_some());
            // One on a node that does not answer may be given up, and most are told of elsewhere.
            let told = |g: &GuestView| input.rebuild.abandon || input.silent.iter().any(|silent| silent.vmid == g.vmid);
            let mut beside = input.view.guests.iter().filter(|g| input.online(&g.node) || !told(g));
            beside.find(named).filter(|_| !made)
        })
        .collect();
    let first = twins.first()?;
    let (name, vmid) = (first.name.as_ref()?, first.vmid);
    let more = if twins.len() > 1 { format!(" and {} more", twins.len() - 1) } else { String::new() };
    Some(Problem::new(
        format!(
            "{name} ({vmid} on {}){more} {} already there, not known to this store",
            first.node,
            if twins.len() > 1 { "are" } else { "is" }
        ),
        format!(
            "nothing is made beside it: `homeroom adopt {}` says whose it is and takes back what is ours; or rename or \
             remove what is there, or give the lab another name",
            input.class.site
        ),
    ))
}

pub(super) fn cluster_notes(input: &PlanInput<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if input.view.quorate == Some(false) {
        notes.push("the cluster has no quorum: it changes nothing until enough of its nodes are back".to_owned());
    }
    notes
}

/// Clone mode and disk size against the template, once per distinct complaint.
pub(super) fn clone_problems(
    input: &PlanInput<'_>,
    fates: &[(SeatSpec, Fate)],
    templates: &[&TemplateView],
) -> Vec<Problem> {
    let mut out: Vec<Problem> = Vec::new();
    let mut add = |problem: Problem| {
        if !out.contains(&problem) {
            out.push(problem);
        }
    };
    for (spec, _) in fates.iter().filter(|(_, fate)| !matches!(fate, Fate::Settled { .. })) {
        for template in templates {
            if let Err(problem) = templates::mode(input.class.clone, &spec.machine, template) {
                add(problem);
            }
            if let (Some(wanted), Some(enrolled)) = (spec.machine.secure_boot, template.enrolled)
                && wanted != enrolled
            {
                let (has, one) = if enrolled { ("", "without") } else { ("no ", "with") };
                add(Problem::new(
                    format!("secure_boot = {wanted}, but {} has {has}Secure Boot keys in its EFI disk", template.name),
                    format!(
                        "its EFI disk is cloned as it is: make a template {one} pre-enrolled-keys, or leave secure_boot out"
                    ),
                ));
            }
            let own = template.disks.first().map_or(0, |disk| disk.size);
            if let Some(disk) = spec.machine.disk.filter(|disk| disk.bytes() < own) {
                add(Problem::new(
                    format!("disk = \"{disk}\" is smaller than the {} of {}", Size(own).human(), template.name),
                    "disks are never shrunk: ask for at least as much, or leave disk out",
                ));
            }
        }
        if let Some(storage) = &spec.machine.storage
            && !input.view.storages.is_empty()
            && !input.view.storages.iter().any(|row| row.storage.as_str() == storage)
        {
            let mut there: Vec<&str> =
                input.view.storages.iter().filter(|row| row.images).map(|row| row.storage.as_str()).collect();
            there.sort_unstable();
            there.dedup();
            add(Problem::new(
                format!("site {} has no storage {storage}", input.class.site),
                format!("for VM disks it has {}", there.join(", ")),
            ));
        }
    }
    out
}

/// Shared storages that cannot hold all the new machines together.
pub(super) fn room_problems(
    input: &PlanInput<'_>,
    fates: &[(SeatSpec, Fate)],
    templates: &[&TemplateView],
) -> Vec<Problem> {
    let room = Room::new(input.view);
    let mut needs: BTreeMap<String, (u64, u64, usize)> = BTreeMap::new();
    for (spec, _) in fates.iter().filter(|(_, fate)| !matches!(fate, Fate::Settled { .. })) {
        let mut open = input.view.nodes.iter().filter(|node| node.online).map(|node| &node.node);
        let source = open.find_map(|node| {
            let source = templates::source_on(input.view, node, input.class.clone, &spec.machine, templates).ok()?;
            Some((room.left(&source, node)?, source))
        });
        if let Some((left, source)) = source.filter(|(_, source)| source.storage_shared) {
            let need = needs.entry(source.limit_storage.clone()).or_insert((left, 0, 0));
            need.1 += room.need(&source, growth(templates, spec, &source));
            need.2 += 1;
        }
    }
    needs.retain(|_, (left, need, _)| need > left);
    let problem = |(storage, (left, need, n)): (String, (u64, u64, usize))| {
        let (left, need) = (Size(left).human(), Size(need).human());
        let verb = if n == 1 { "needs" } else { "need" };
        Problem::new(
            format!("storage {storage} has {left} left and {} {verb} {need}", count(n, "new machine")),
            format!("free space on {storage}, or set another storage in the definition"),
        )
    };
    needs.into_iter().map(problem).collect()
}

/// What a template lacks for the roll call that is asked for.
pub(super) fn template_notes(
    input: &PlanInput<'_>,
    templates: &[&TemplateView],
    problems: &mut Vec<Problem>,
    notes: &mut Vec<String>,
) {
    let proofs = roll_call(&input.class.rollcall);
    let cloud = &input.class.cloud_init;
    for template in templates {
        let label = format!("template {} ({})", template.name, template.vmid);
        if !proofs.is_empty() && !template.agent {
            notes.push(format!(
                "{label} has the guest agent off: it is switched on in each machine, but qemu-guest-agent must be \
                 installed in it, or the roll call waits in vain"
            ));
        }
        if template.cloud_init {
            continue;
        }
        let drive = format!("add one with `qm set {} --ide2 STORAGE:cloudinit`", template.vmid);
        if matches!(cloud.ip, Some(IpSource::Range { .. })) {
            problems
                .push(Problem::new(format!("{label} has no cloud-init drive, so cloud_init.ip reaches nobody"), drive));
        } else if proofs.contains(&StepName::Ssh) {
            notes.push(format!(
                "{label} has no cloud-init drive: the lab's key does not reach the guests and the ssh proof fails; \
                 {drive}, or set rollcall.ssh = false"
            ));
        } else if cloud != &CloudInit::default() {
            notes.push(format!("{label} has no cloud-init drive: [cloud_init] reaches nobody; {drive}"));
        }
    }
}

/// Why each node cannot take a machine.
pub(super) type Reasons = Vec<(NodeName, String)>;

/// Seats that no node can take, with each node's reason; the same reasons are told once.
pub(super) fn unplaced_problems(unplaced: &[(SeatName, Reasons)]) -> Vec<Problem> {
    let mut groups: Vec<(&Reasons, Vec<String>)> = Vec::new();
    for (seat, reasons) in unplaced {
        match groups.iter_mut().find(|(known, _)| *known == reasons) {
            Some((_, seats)) => seats.push(seat.to_string()),
            None => groups.push((reasons, vec![seat.to_string()])),
        }
    }
    let problem = |(reasons, seats): (&Reasons, Vec<String>)| {
        let why = match reasons.as_slice() {
            [] => "the site shows no nodes".to_owned(),
            // A full shared storage is one fact, not one per node.
            [(_, one), rest @ ..] if rest.iter().all(|(_, other)| other == one) => format!("on every node: {one}"),
            _ => reasons.iter().map(|(node, why)| format!("{node}: {why}")).collect::<Vec<_>>().join(", "),
        };
        Problem::new(
            format!("no node can take {} ({why})", listed(&seats)),
            "free what is short, or change storage, memory or placement in the definition",
        )
    };
    groups.into_iter().map(problem).collect()
}
