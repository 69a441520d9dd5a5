//! How a machine differs from its definition, and what of that stays as it is.

use super::{GuestFacts, PlanInput, standing::is_ours, steps::roll_call};
use crate::domain::{
    class::{Password, SeatSpec, TemplateRef},
    machine::machine_name,
    plan::FieldChange,
    size::Size,
    verify::{
        Wanted, boot_disk, config_changes, config_unwanted, config_wanted, has_another_lab_key, has_key, key_it_has,
        left_standing, properties,
    },
};

/// How a machine differs from its definition.
pub(super) struct Difference {
    pub changes: Vec<FieldChange>,
    /// Its disk is to grow.
    pub grow: bool,
    /// Something in it cannot be changed in place.
    pub replace: bool,
    /// It was cloned from another template, or to another storage, than the definition names: nobody but the
    /// definition did that.
    pub made_of: bool,
    /// It lets another key in than the lab's, which a guest learns when it starts.
    pub strange_key: bool,
}

/// How a machine differs from its definition, and what of it was brought about once and undone by somebody else.
pub(super) fn difference(input: &PlanInput<'_>, spec: &SeatSpec, facts: &GuestFacts) -> Difference {
    let mut now = differing(input, spec, facts);
    now.strange_key = has_strange_key(input, spec, facts) && now.changes.iter().any(|change| change.field == "sshkeys");
    if let Some(applied) = input.applied.get(&spec.seat).filter(|applied| applied.whole) {
        let before = differing(input, &applied.spec, facts).changes;
        let by_none = |field: &str| MADE_OF.contains(&field) || (now.strange_key && field == "sshkeys");
        for change in now.changes.iter_mut().filter(|change| !by_none(&change.field)) {
            let Some(known) = before.iter().find(|known| known.field == change.field) else { continue };
            change.drift = known.to == change.to;
            change.was = (!change.drift).then(|| known.to.clone());
        }
    }
    // A guest that was installed under one firmware may not start under another; back to its own it will.
    now.replace |= now.changes.iter().any(|change| change.field == "bios" && !change.drift);
    now
}

/// Whether the lab's key is not in the guest: its settings show another of the lab, or nobody put one in yet.
fn has_strange_key(input: &PlanInput<'_>, spec: &SeatSpec, facts: &GuestFacts) -> bool {
    let Some(ours) = key_of(input, facts) else { return false };
    let known = facts.config.get("sshkeys").map(String::as_str).unwrap_or_default();
    let never = !input.applied.contains_key(&spec.seat) && !has_key(known, ours);
    never || has_another_lab_key(known, &input.class.name, ours)
}

/// The lab's key, as far as this machine is concerned: while it is renewed, the one it has.
fn key_of<'a>(input: &PlanInput<'a>, facts: &GuestFacts) -> Option<&'a str> {
    let ours = input.lab_key?;
    Some(key_it_has(&facts.config, input.other_keys.iter().map(String::as_str)).unwrap_or(ours))
}

/// What stays as it is although the definition does not ask for it any more, and why.
pub(super) type Stays = (String, &'static str);

/// All of that of one machine.
pub(super) fn stays(input: &PlanInput<'_>, spec: &SeatSpec) -> Vec<Stays> {
    let row = input.progress.seat(&spec.seat);
    let Some((row, vmid)) = row.and_then(|row| Some((row, row.vmid?))) else { return Vec::new() };
    let Some(facts) = input.observed.get(&vmid).filter(|facts| is_ours(input, row, facts)) else { return Vec::new() };
    let mut out = Vec::new();
    if let Some(applied) = input.applied.get(&spec.seat).filter(|applied| applied.whole) {
        let (before, now) = (&applied.spec, spec);
        let left = left_standing(before, now, &row.lent, &facts.config);
        if !left.is_empty() {
            out.push((left.join(", "), "what the template had is not known"));
        }
        let larger =
            |to: Size| boot_disk(&facts.config).and_then(|disk| disk.size).is_some_and(|size| size >= to.bytes());
        if before.machine.disk.is_some_and(larger) && now.machine.disk.is_none() {
            out.push(("disk size".to_owned(), "only a rebuild makes one smaller"));
        }
        if before.machine.storage.is_some() && now.machine.storage.is_none() {
            out.push(("storage".to_owned(), "no disk that stands is moved"));
        }
        if before.cloud_init.password.is_some() && now.cloud_init.password.is_none() {
            out.push(("password".to_owned(), "what the template had cannot be read"));
        }
    }
    if let (Some(pool), None) = (&row.pool, &input.class.pool)
        && input.view.guest(vmid).and_then(|guest| guest.pool.as_ref()).is_some_and(|is| is.as_str() == pool)
    {
        out.push((format!("pool {pool}"), "homeroom takes nobody out of one"));
    }
    out
}

/// What only a clone decides.
pub(super) const MADE_OF: [&str; 3] = ["template", "storage", SECURE_BOOT];

/// The key of the definition that Proxmox has none for: it is a matter of what the EFI disk carries.
const SECURE_BOOT: &str = "secure_boot";

fn differing(input: &PlanInput<'_>, spec: &SeatSpec, facts: &GuestFacts) -> Difference {
    let name = machine_name(&input.class.name, &spec.seat);
    let agent = !roll_call(&input.class.rollcall).is_empty();
    let lent = input.progress.seat(&spec.seat).map(|row| &row.lent);
    let wanted = Wanted { spec, name: &name, lab_key: key_of(input, facts), mark: None, agent, lent };
    let mut changes =
        config_changes(&config_wanted(&wanted, &facts.config), &config_unwanted(&wanted, &facts.config), &facts.config);
    let (mut replace, mut grow) = (false, false);
    let mut differs = |field: &str, from: String, to: String| changes.push(FieldChange::new(field, from, to));
    let applied = input.applied.get(&spec.seat);
    let disk = boot_disk(&facts.config);
    if let (Some(to), Some(from)) = (spec.machine.disk, disk.as_ref().and_then(|disk| disk.size)) {
        // A disk that grew under somebody's hands is never a reason to do anything.
        let asked = applied.is_some_and(|applied| applied.spec.machine.disk != spec.machine.disk);
        if to.bytes() > from || (to.bytes() < from && asked) {
            grow = to.bytes() > from;
            replace |= !grow;
            differs("disk", Size(from).human(), to.human());
        }
    }
    if let (Some(to), Some(disk)) = (&spec.machine.storage, &disk) {
        // Disks moved by hand stay where they are.
        let asked = applied.is_some_and(|applied| applied.spec.machine.storage != spec.machine.storage);
        if *to != disk.storage && asked {
            replace = true;
            differs("storage", disk.storage.clone(), to.clone());
        }
    }
    if let (Some(to), Some(is)) = (spec.machine.secure_boot, facts.config.get("efidisk0").map(|disk| has_keys(disk))) {
        // An EFI disk exchanged by hand stays as it is.
        let asked = applied.is_none_or(|applied| applied.spec.machine.secure_boot != spec.machine.secure_boot);
        if to != is && asked {
            replace = true;
            let said = |on: bool| if on { "on" } else { "off" }.to_owned();
            differs(SECURE_BOOT, said(is), said(to));
        }
    }
    if let (Some(to), Some(applied)) = (&spec.cloud_init.password, applied) {
        // Proxmox shows no password: only where it came from can be held against where it is to come from. One whose
        // run was broken off before it was written is still to be written.
        let from = applied.spec.cloud_init.password.as_ref();
        if from != Some(to) || !applied.whole {
            differs("cipassword", from.map_or("not set", Password::origin).to_owned(), to.origin().to_owned());
        }
    }
    if let Some((vmid, name)) = applied.and_then(|applied| applied.template.as_ref()) {
        let same = match &input.class.template {
            TemplateRef::Name(wanted) => wanted == name,
            TemplateRef::Vmid(wanted) => wanted == vmid,
        };
        if !same {
            replace = true;
            differs("template", format!("{name} ({vmid})"), input.class.template.to_string());
        }
    }
    let made_of = changes.iter().any(|change| MADE_OF.contains(&change.field.as_str()));
    Difference { changes, grow, replace, made_of, strange_key: false }
}

/// Whether an EFI disk carries Secure Boot's keys.
fn has_keys(disk: &str) -> bool {
    properties(disk).any(|(key, value)| key == "pre-enrolled-keys" && value == "1")
}

pub(super) fn fields(changes: &[FieldChange]) -> String {
    let names: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    names.join(", ")
}
