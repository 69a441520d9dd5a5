//! A class made out again from its machines, where its definition is lost: what their marks and settings say.
//! Pure. What cannot be told stays open, so that nothing is changed by it, and is named.

mod common;
mod hardware;
mod lent;
mod logins;

use std::collections::{BTreeMap, BTreeSet};

pub use self::lent::{Source, is_as_defined, lent};
use self::{hardware::hardware, logins::cloud_init};
use super::{
    LabName, Role, SeatName, SiteName, Vmid,
    class::{ClassDefinition, CloneMode, Override, Placement, RollCall, Rollout, Students, TemplateRef},
    cluster::ClusterView,
    name::VmidRange,
};

/// A machine of the class, as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Regained {
    pub seat: SeatName,
    pub vmid: Vmid,
    /// By Proxmox's keys; `sshkeys` plain.
    pub config: BTreeMap<String, String>,
}

/// What role a seat's name gives it.
pub fn role(seat: &SeatName) -> Role {
    if *seat == SeatName::teacher() { Role::Teacher } else { Role::Student }
}

/// What machines were cloned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub vmid: Vmid,
    pub template: TemplateRef,
    /// Their disks stand on it. Otherwise it is only one that is there.
    pub told: bool,
}

/// The definition that the machines show, and what could not be told. None where there is no machine of a
/// student. `template`: the settings of what they were cloned from, where they could be read; `made`: passwords were
/// made for the lab here, and can be made again.
pub fn class_of(
    lab: &LabName,
    site: &SiteName,
    machines: &[Regained],
    (origin, template): (&Origin, Option<&BTreeMap<String, String>>),
    view: &ClusterView,
    vmids: VmidRange,
    made: bool,
) -> Option<(ClassDefinition, Vec<String>)> {
    let mut open = Vec::new();
    let teacher = machines.iter().any(|machine| role(&machine.seat) == Role::Teacher);
    let seats: BTreeSet<&SeatName> =
        machines.iter().map(|machine| &machine.seat).filter(|seat| role(seat) == Role::Student).collect();
    if seats.is_empty() {
        return None;
    }
    if !origin.told {
        open.push(format!(
            "which template {lab} was copied from cannot be told; {} stands in its definition for new seats: \
             `homeroom edit {lab}` corrects it",
            origin.template
        ));
    }
    let pools: BTreeSet<Option<&str>> = machines
        .iter()
        .map(|machine| view.guest(machine.vmid).and_then(|guest| guest.pool.as_ref()).map(|pool| pool.as_str()))
        .collect();
    let pool = if pools.len() == 1 { pools.into_iter().next().flatten().map(str::to_owned) } else { None };
    let inside = machines.iter().all(|machine| vmids.contains(machine.vmid));
    if !inside {
        open.push(format!("some machines of {lab} have numbers outside the site's vmids; they keep them"));
    }
    let (machine, hardware) = hardware(machines, template);
    let (cloud_init, logins) = cloud_init(machines, made);
    open.extend(passwords(lab, machines, made));
    let mut own: BTreeMap<SeatName, Override> = BTreeMap::new();
    for (seat, machine) in hardware {
        own.entry(seat).or_default().machine = machine;
    }
    for (seat, cloud_init) in logins {
        own.entry(seat).or_default().cloud_init = cloud_init;
    }
    if !own.is_empty() {
        let names: Vec<&str> = own.keys().map(SeatName::as_str).collect();
        open.push(format!(
            "settings that only {} of {lab} had stand under [machines] in its definition",
            names.join(", ")
        ));
    }
    let class = ClassDefinition {
        name: lab.clone(),
        site: site.clone(),
        template: origin.template.clone(),
        clone: CloneMode::Auto,
        students: students(&seats),
        teacher,
        pool,
        machine,
        cloud_init,
        machines: own,
        placement: Placement::default(),
        rollout: Rollout::default(),
        rollcall: RollCall::default(),
    };
    Some((class, open))
}

/// What no machine shows, and stands in definitions made out from them as it is where nobody says anything.
pub fn unseen(labs: &[&LabName]) -> String {
    let labs: Vec<&str> = labs.iter().map(|lab| lab.as_str()).collect();
    format!(
        "what no machine shows is as by default in the definition of {}: clone, storage and format of new disks, \
         secure_boot, [placement], [rollout] and [rollcall]; seats that had no machine are not in it",
        labs.join(", ")
    )
}

/// What is to be said of passwords: Proxmox tells that there is one, and never which.
fn passwords(lab: &LabName, machines: &[Regained], made: bool) -> Option<String> {
    let with = machines.iter().filter(|machine| machine.config.contains_key("cipassword"));
    let seats: Vec<&str> = with.map(|machine| machine.seat.as_str()).collect();
    let whose = if seats.len() == machines.len() { "every seat".to_owned() } else { seats.join(", ") };
    match (seats.is_empty(), made) {
        (true, _) => None,
        (false, true) => Some(format!(
            "{whose} of {lab} has a password that cannot be read back; passwords were made for {lab} here before, so \
             password = \"generate\" stands in its definition, and `homeroom roster {lab}` prints those"
        )),
        (false, false) => Some(format!(
            "{whose} of {lab} has a password that cannot be read back, and its definition has none; with password = \
             \"generate\" under [cloud_init] `homeroom deploy {lab} --yes --allow-restart` gives new ones"
        )),
    }
}

/// A count where the names are those a count gives, else the names.
fn students(seats: &BTreeSet<&SeatName>) -> Students {
    let count = u32::try_from(seats.len()).unwrap_or(u32::MAX);
    let counted = (1..=count).all(|n| seats.contains(&SeatName::student(n)));
    if counted { Students::Count(count) } else { Students::Named(seats.iter().map(|seat| (*seat).clone()).collect()) }
}

/// The template whose disks a linked clone stands on; for full copies any that is there. None where there is none.
pub fn origin(machines: &[Regained], view: &ClusterView) -> Option<Origin> {
    let based = machines.iter().find_map(|machine| {
        machine.config.values().find_map(|value| {
            let digits = value.split("base-").nth(1)?;
            let end = digits.find(|c: char| !c.is_ascii_digit())?;
            Vmid::new(digits[..end].parse().ok()?).ok()
        })
    });
    let named = |vmid: Vmid| {
        let name = view.guest(vmid).filter(|guest| guest.template)?.name.as_ref()?;
        Some(TemplateRef::Name(name.to_string()))
    };
    let of = |vmid, told| Origin { vmid, template: named(vmid).unwrap_or(TemplateRef::Vmid(vmid)), told };
    if let Some(vmid) = based {
        return Some(of(vmid, true));
    }
    let first = view.guests.iter().filter(|guest| guest.template && !guest.container).map(|guest| guest.vmid).min()?;
    Some(of(first, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{class::IpSource, planning::fixture::World};

    fn machine(seat: &str, vmid: u64, pairs: &[(&str, &str)]) -> Regained {
        let config = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Regained { seat: seat.parse().unwrap(), vmid: Vmid::new(vmid).unwrap(), config }
    }

    fn regain(machines: &[Regained]) -> Option<(ClassDefinition, Vec<String>)> {
        let world = World::new();
        let class = &world.class;
        let origin = origin(machines, &world.view)?;
        let template = [("cores", "1")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let from = (&origin, Some(&template));
        class_of(&class.name, &class.site, machines, from, &world.view, "9100-9199".parse().unwrap(), false)
    }

    #[test]
    fn a_class_is_made_out_from_its_machines_settings() {
        let disk = "fast:base-9000-disk-0/vm-9100-disk-0,size=8G";
        let keys = "ssh-ed25519 AAAA mara\nssh-ed25519 BBBB homeroom cs101";
        let pairs = |ip: &'static str| {
            [("scsi0", disk), ("ciuser", "student"), ("sshkeys", keys), ("tags", "cs;homeroom"), ("ipconfig0", ip)]
        };
        let (class, open) = regain(&[
            machine("teacher", 9100, &pairs("ip=10.1.0.20/24,gw=10.1.0.1")),
            machine("student-01", 9101, &pairs("ip=10.1.0.21/24,gw=10.1.0.1")),
            machine("student-02", 9102, &pairs("ip=10.1.0.22/24,gw=10.1.0.1")),
        ])
        .unwrap();
        assert_eq!(open, Vec::<String>::new());
        assert_eq!((class.teacher, &class.students), (true, &Students::Count(2)));
        assert_eq!(class.template, TemplateRef::Name("ubuntu-22.04".into()));
        assert_eq!(class.cloud_init.user.as_deref(), Some("student"));
        assert_eq!(class.cloud_init.ssh_keys, ["ssh-ed25519 AAAA mara"]);
        assert_eq!(class.machine.tags, Some(vec!["cs".to_owned()]));
        let Some(IpSource::Range { first, last, prefix, .. }) = class.cloud_init.ip else { panic!() };
        assert_eq!((first.to_string(), last.to_string(), prefix), ("10.1.0.20".into(), "10.1.0.22".into(), 24));
    }

    #[test]
    fn what_cannot_be_told_is_said_and_nothing_is_made_of_a_teacher_alone() {
        let (class, open) = regain(&[machine("ada", 9101, &[]), machine("grace", 9102, &[])]).unwrap();
        assert!(matches!(&class.students, Students::Named(names) if names.len() == 2));
        assert!(open[0].contains("cannot be told"), "{open:?}");
        assert_eq!(regain(&[machine("teacher", 9100, &[])]), None);
    }
}
