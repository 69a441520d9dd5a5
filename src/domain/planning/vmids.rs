//! VMIDs: one block of free numbers for a run.

use std::collections::BTreeSet;

use super::{PlanInput, Problem, count};
use crate::domain::{Vmid, name::VmidRange};

/// The numbers for `needed` new machines: the lowest unbroken block of free ones, else the lowest free ones.
pub(super) fn block(input: &PlanInput<'_>, needed: usize) -> Result<Vec<Vmid>, Problem> {
    let range = allowed(input)?;
    if needed == 0 {
        return Ok(Vec::new());
    }
    let taken: BTreeSet<Vmid> = (input.view.guests.iter().map(|guest| guest.vmid))
        .chain(input.reserved.iter().copied())
        .chain(input.progress.seats.iter().filter_map(|seat| seat.vmid))
        .collect();
    let free = || range.iter().filter(|id| !taken.contains(id));
    let mut run: Vec<Vmid> = Vec::new();
    for id in free() {
        if run.last().is_some_and(|last| last.get() + 1 != id.get()) {
            run.clear();
        }
        run.push(id);
        if run.len() == needed {
            return Ok(run);
        }
    }
    let free: Vec<Vmid> = free().take(needed).collect();
    if free.len() == needed {
        return Ok(free);
    }
    let key = if input.class.placement.vmids.is_some() { "placement.vmids" } else { "the site's vmids" };
    Err(Problem::new(
        format!(
            "{key} {range} has {} free and {} needed ({} of {} taken)",
            count(free.len(), "VMID"),
            if needed == 1 { "1 is".to_owned() } else { format!("{needed} are") },
            range.len() as usize - free.len(),
            range.len()
        ),
        format!("widen {key} or remove machines in it"),
    ))
}

/// The class's range, which must lie within the site's.
fn allowed(input: &PlanInput<'_>) -> Result<VmidRange, Problem> {
    let site = input.site.vmids;
    match input.class.placement.vmids {
        None => Ok(site),
        Some(own) if site.contains(own.first) && site.contains(own.last) => Ok(own),
        Some(own) => Err(Problem::new(
            format!("placement.vmids {own} lies outside {site}, the range of site {}", input.class.site),
            "choose numbers within the site's range, or widen it in the configuration",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planning::fixture::{World, guest};

    fn ids(world: &World, n: usize) -> Result<Vec<u32>, String> {
        world
            .with(|input| block(input, n).map(|ids| ids.iter().map(|id| id.get()).collect()).map_err(|p| p.to_string()))
    }

    #[test]
    fn new_machines_get_one_unbroken_block() {
        let mut world = World::new();
        world.class.placement.vmids = "9100-9199".parse().ok();
        assert_eq!(ids(&world, 3), Ok(vec![9100, 9101, 9102]));
        world.view.guests.push(guest(9102, "pve1"));
        assert_eq!(ids(&world, 3), Ok(vec![9103, 9104, 9105]));
    }

    #[test]
    fn numbers_set_aside_in_the_store_are_not_free() {
        let mut world = World::new();
        world.reserved.insert(Vmid::new(9100).unwrap());
        assert_eq!(ids(&world, 1), Ok(vec![9101]));
    }

    #[test]
    fn scattered_free_numbers_are_used_when_no_block_is_left() {
        let mut world = World::new();
        world.class.placement.vmids = "9100-9103".parse().ok();
        world.view.guests.push(guest(9101, "pve1"));
        assert_eq!(ids(&world, 3), Ok(vec![9100, 9102, 9103]));
    }

    #[test]
    fn a_range_too_small_says_how_many_are_free_and_needed() {
        let mut world = World::new();
        world.class.placement.vmids = "9100-9103".parse().ok();
        world.view.guests.extend([guest(9100, "pve1"), guest(9101, "pve1")]);
        assert_eq!(
            ids(&world, 5),
            Err("placement.vmids 9100-9103 has 2 VMIDs free and 5 are needed (2 of 4 taken); \
                 widen placement.vmids or remove machines in it"
                .to_owned())
        );
    }

    #[test]
    fn a_range_outside_the_sites_is_refused() {
        let mut world = World::new();
        world.class.placement.vmids = "200-300".parse().ok();
        assert!(ids(&world, 1).unwrap_err().starts_with("placement.vmids 200-300 lies outside 9100-9999"));
    }
}
