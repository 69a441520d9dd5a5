//! What has to be read before planning, and what other labs hold: from one view and the store's rows.

use std::collections::BTreeSet;

use crate::domain::{
    LabName, NodeName, Progress, Vmid,
    class::TemplateRef,
    cluster::{ClusterView, Power},
    placement::Want,
};

/// Machines of a lab whose configuration a plan needs: those on the site, on nodes that answer.
pub fn machines_to_read(progress: &Progress, view: &ClusterView) -> Vec<(NodeName, Vmid)> {
    progress.seats.iter().filter_map(|row| guest_to_read(view, row.vmid?)).collect()
}

/// Templates a plan needs the details of.
pub fn templates_to_read(template: &TemplateRef, view: &ClusterView) -> Vec<(NodeName, Vmid)> {
    view.templates(template).filter(|g| !g.container).filter_map(|g| guest_to_read(view, g.vmid)).collect()
}

fn guest_to_read(view: &ClusterView, vmid: Vmid) -> Option<(NodeName, Vmid)> {
    let guest = view.guest(vmid)?;
    view.node(&guest.node).is_some_and(|node| node.online).then(|| (guest.node.clone(), vmid))
}

/// Numbers that the other labs of the store have set aside.
pub fn reserved(lab: &LabName, all: &[Progress]) -> BTreeSet<Vmid> {
    others(lab, all).filter_map(|row| row.vmid).collect()
}

/// What stopped machines of the other labs will take of their nodes again when they start.
pub fn commitments(lab: &LabName, all: &[Progress], view: &ClusterView) -> Vec<(NodeName, Want)> {
    let stopped = others(lab, all).filter_map(|row| {
        let guest = view.guest(row.vmid?)?;
        (guest.power != Power::Running).then(|| (guest.node.clone(), Want { cpus: 0, memory: guest.memory }))
    });
    stopped.collect()
}

fn others<'a>(
    lab: &'a LabName,
    all: &'a [Progress],
) -> impl Iterator<Item = &'a crate::domain::progress::SeatProgress> {
    all.iter().filter(move |progress| progress.lab != *lab).flat_map(|progress| &progress.seats)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planning::fixture::World;

    #[test]
    fn only_machines_that_are_there_and_can_answer_are_read() {
        let mut world = World::new();
        world.stand();
        world.vanish("ada");
        let node = world.guest_of("grace").node.to_string();
        world.take_offline(&node);
        assert_eq!(machines_to_read(&world.progress, &world.view).len(), 1);
        assert_eq!(templates_to_read(&world.class.template, &world.view).len(), 1);
    }

    #[test]
    fn other_labs_keep_their_numbers_and_the_memory_of_what_is_stopped() {
        let mut world = World::new();
        world.stand();
        world.guest_of("ada").power = Power::Stopped;
        let all = [world.progress.clone()];
        let other: LabName = "cs102".parse().unwrap();
        assert_eq!(reserved(&other, &all).len(), 3);
        assert!(reserved(&world.class.name, &all).is_empty());
        let held = commitments(&other, &all, &world.view);
        assert_eq!(held, [(NodeName::new("pve2"), Want { cpus: 0, memory: 4 << 30 })]);
    }
}
