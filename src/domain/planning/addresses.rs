//! Addresses from a range: a machine that stands keeps its own, new seats take what is free.
//!
//! Without this, taking one student off the list would move everybody below to another address.

use std::{collections::BTreeMap, net::IpAddr};

use super::{PlanInput, Problem};
use crate::domain::{
    SeatName,
    class::{IpSource, SeatSpec, StaticAddress},
    verify::static_address,
};

/// The class's seats resolved, with their addresses settled.
pub(super) fn settle(input: &PlanInput<'_>) -> Result<Vec<SeatSpec>, Problem> {
    let mut specs = input.class.resolve();
    let held = held(input);
    // First what stands and what a seat has for itself, then the rest in order.
    let mut taken: BTreeMap<IpAddr, SeatName> = BTreeMap::new();
    let mut open = Vec::new();
    for (n, spec) in specs.iter_mut().enumerate() {
        let Some(IpSource::Range { first, last, prefix, gateway }) = spec.cloud_init.ip.clone() else { continue };
        let own = held.get(&spec.seat).filter(|ip| (first..=last).contains(*ip) && !taken.contains_key(*ip));
        match own {
            Some(ip) => {
                taken.insert(*ip, spec.seat.clone());
                spec.address = Some(StaticAddress { ip: *ip, prefix, gateway });
            }
            None => open.push(n),
        }
    }
    // Machines on their way out still answer on theirs.
    for (seat, ip) in &held {
        if !specs.iter().any(|spec| &spec.seat == seat) {
            taken.entry(*ip).or_insert_with(|| seat.clone());
        }
    }
    for n in open {
        let spec = &mut specs[n];
        let Some(IpSource::Range { first, last, prefix, gateway }) = spec.cloud_init.ip.clone() else { continue };
        let natural = spec.address.as_ref().map(|a| a.ip).filter(|ip| (first..=last).contains(ip));
        let free = |ip: &IpAddr| !taken.contains_key(ip) && Some(*ip) != gateway;
        let ip = natural.filter(free).or_else(|| range(first, last).find(free)).ok_or_else(|| {
            Problem::new(
                format!("cloud_init.ip {first}-{last} has no address left for {}", spec.seat),
                "widen the range: every seat needs an address of its own",
            )
        })?;
        taken.insert(ip, spec.seat.clone());
        spec.address = Some(StaticAddress { ip, prefix, gateway });
    }
    Ok(specs)
}

/// The addresses that machines of the lab were given, as their configuration says, else as it was deployed.
fn held(input: &PlanInput<'_>) -> BTreeMap<SeatName, IpAddr> {
    let address = |seat: &crate::domain::progress::SeatProgress| {
        let facts = seat.vmid.and_then(|vmid| input.observed.get(&vmid));
        let configured = facts.and_then(|facts| static_address(facts.config.get("ipconfig0")?));
        let deployed = || input.applied.get(&seat.seat)?.spec.address.as_ref().map(|a| a.ip);
        seat.vmid?;
        // A clone still carries its template's address until it is configured.
        let configured = configured.filter(|_| crate::domain::readiness::was_configured(seat));
        Some((seat.seat.clone(), configured.or_else(deployed)?))
    };
    input.progress.seats.iter().filter_map(address).collect()
}

fn range(first: IpAddr, last: IpAddr) -> Box<dyn Iterator<Item = IpAddr>> {
    match (first, last) {
        (IpAddr::V4(a), IpAddr::V4(b)) => Box::new((u32::from(a)..=u32::from(b)).map(|ip| IpAddr::V4(ip.into()))),
        (IpAddr::V6(a), IpAddr::V6(b)) => Box::new((u128::from(a)..=u128::from(b)).map(|ip| IpAddr::V6(ip.into()))),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{class::Students, planning::fixture::World};

    fn world(last: &str) -> World {
        let mut world = World::new();
        world.class.cloud_init.ip = Some(IpSource::Range {
            first: "10.1.0.20".parse().unwrap(),
            last: last.parse().unwrap(),
            prefix: 24,
            gateway: "10.1.0.1".parse().ok(),
        });
        world
    }

    fn addresses(world: &World) -> Vec<String> {
        let specs = world.with(settle).unwrap();
        specs.iter().map(|s| format!("{} {}", s.seat, s.address.as_ref().unwrap().ip)).collect()
    }

    #[test]
    fn a_new_class_takes_addresses_in_the_order_of_its_seats() {
        assert_eq!(addresses(&world("10.1.0.60")), ["teacher 10.1.0.20", "ada 10.1.0.21", "grace 10.1.0.22"]);
    }

    #[test]
    fn nobody_moves_when_a_student_leaves_and_a_new_one_does_not_take_a_standing_address() {
        let mut world = world("10.1.0.60");
        world.stand();
        world.class.students = Students::Named(["grace", "lin"].map(|s| s.parse().unwrap()).to_vec());
        assert_eq!(addresses(&world), ["teacher 10.1.0.20", "grace 10.1.0.22", "lin 10.1.0.23"]);
    }

    #[test]
    fn a_range_too_small_names_the_seat_without_an_address() {
        let problem = world("10.1.0.21").with(settle).unwrap_err().to_string();
        assert_eq!(
            problem,
            "cloud_init.ip 10.1.0.20-10.1.0.21 has no address left for grace; \
             widen the range: every seat needs an address of its own"
        );
    }
}
