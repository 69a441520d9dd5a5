//! Machines on nodes that do not answer and of which the store knows nothing. Any of them may be the machine of a seat
//! whose store was lost: nothing is made for such a seat before somebody says so.

use std::collections::BTreeMap;

use super::{PlanInput, Problem};
use crate::domain::{
    NodeName, SeatName, Vmid,
    cluster::{ClusterView, GuestView},
    machine::machine_name,
    name::VmidRange,
};

/// The guests on silent nodes that may be machines of homeroom's and that `is_known` does not know: those with our tag
/// or a number of the site's. A silent node shows no mark, and after a while no names.
pub fn silent(view: &ClusterView, vmids: VmidRange, is_known: impl Fn(Vmid) -> bool) -> Vec<GuestView> {
    let away = |guest: &&GuestView| view.node(&guest.node).is_none_or(|node| !node.online);
    let worth = |guest: &&GuestView| guest.is_tagged() || vmids.contains(guest.vmid);
    let open = view.guests.iter().filter(|guest| !guest.template && !guest.container && !is_known(guest.vmid));
    open.filter(away).filter(worth).cloned().collect()
}

/// `9102 and 9105 on pve3`
pub fn on_nodes<'a>(guests: impl IntoIterator<Item = &'a GuestView>) -> String {
    let mut nodes: BTreeMap<&NodeName, Vec<Vmid>> = BTreeMap::new();
    for guest in guests {
        nodes.entry(&guest.node).or_default().push(guest.vmid);
    }
    let told = nodes.into_iter().map(|(node, mut numbers)| {
        numbers.sort_unstable();
        format!("{} on {node}", joined(&numbers.iter().map(ToString::to_string).collect::<Vec<_>>()))
    });
    joined(&told.collect::<Vec<_>>())
}

/// `9102`, `9102 and 9105`, `9102, 9105 and 9107`
fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Which seats would get a machine although one of these may be theirs.
struct Doubt<'a> {
    seats: Vec<SeatName>,
    guests: Vec<&'a GuestView>,
}

impl<'a> Doubt<'a> {
    /// Seats that the store has no number for, and the machines that may be theirs: of another name they are not.
    fn of(input: &PlanInput<'a>) -> Option<Self> {
        let asked = |seat: &SeatName| input.rebuild.seats.is_empty() || input.rebuild.seats.contains(seat);
        let unknown = |seat: &SeatName| input.progress.seat(seat).is_none_or(|row| row.vmid.is_none());
        let seats: Vec<SeatName> =
            input.class.seats().into_iter().map(|(seat, _)| seat).filter(|seat| asked(seat) && unknown(seat)).collect();
        let names: Vec<String> = seats.iter().map(|seat| machine_name(&input.class.name, seat)).collect();
        let may_be = |guest: &&GuestView| {
            guest.name.as_ref().is_none_or(|name| names.iter().any(|wanted| wanted == name.as_str()))
        };
        let guests: Vec<&GuestView> = input.silent.iter().filter(may_be).collect();
        (!seats.is_empty() && !guests.is_empty()).then_some(Self { seats, guests })
    }

    fn whose(&self) -> String {
        let (machine, seats) = match self.seats.as_slice() {
            [one] => ("the machine", one.to_string()),
            _ => ("machines", super::listed(&self.seats.iter().map(ToString::to_string).collect::<Vec<_>>())),
        };
        format!("may be {machine} of {seats}")
    }
}

/// What stands in the way of new machines as long as nobody gave those up.
pub(super) fn silent_problem(input: &PlanInput<'_>) -> Option<Problem> {
    let doubt = Doubt::of(input).filter(|_| !input.rebuild.abandon)?;
    let (lab, site) = (&input.class.name, &input.class.site);
    let (them, its, they_are, another) = match doubt.guests.len() {
        1 => ("it", "its", "it is", "another"),
        _ => ("them", "their", "they are", "others"),
    };
    let command = match input.rebuild.seats {
        [] => format!("homeroom deploy {lab}"),
        [one, ..] => format!("homeroom rebuild {lab}/{one}"),
    };
    Some(Problem::new(
        format!("{}, offline and not known to this store, {}", on_nodes(doubt.guests.iter().copied()), doubt.whose()),
        format!(
            "nothing is made beside {them}: bring {its} node back, and `homeroom adopt {site}` says whose {they_are}; \
             `{command} --abandon-old` makes {another} all the same",
        ),
    ))
}

/// What is to be known of those that were given up.
pub(super) fn given_up_note(input: &PlanInput<'_>) -> Option<String> {
    let doubt = Doubt::of(input).filter(|_| input.rebuild.abandon)?;
    Some(format!(
        "{} {}, and what is asked for is made all the same: when the node is back, `homeroom adopt {}` says whose is \
         whose; two machines of one seat must not run beside each other",
        on_nodes(doubt.guests.iter().copied()),
        doubt.whose(),
        input.class.site
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::planning::{Rebuild, fixture::World, plan_deploy};

    /// A store that knows nothing of the machine of `ada`, whose node is away.
    fn world() -> World {
        let mut world = World::new();
        world.stand();
        let (ada, node) = (world.vmid("ada"), world.guest_of("ada").node.clone());
        world.guest_of("ada").name = None;
        world.progress.seats.retain(|row| row.seat.as_str() != "ada");
        world.take_offline(node.as_str());
        world.silent =
            silent(&world.view, world.site.vmids, |vmid| world.progress.seats.iter().any(|row| row.vmid == Some(vmid)));
        assert_eq!(world.silent.iter().map(|guest| guest.vmid).collect::<Vec<_>>(), [ada]);
        world
    }

    #[test]
    fn no_machine_is_made_for_an_unknown_seat_beside_one_on_a_silent_node() {
        let world = world();
        let number = world.silent[0].vmid;
        let refusal = world.refusal().join("\n");
        assert!(refusal.contains(&format!("{number} on ")) && refusal.contains("the machine of ada"), "{refusal}");
        assert!(refusal.contains("`homeroom deploy cs101 --abandon-old`"), "{refusal}");
        let rebuild = Rebuild { seats: &[], abandon: true };
        let plan = world.with(|input| plan_deploy(&PlanInput { rebuild, ..*input })).unwrap();
        assert!(plan.notes.iter().any(|note| note.contains(&number.to_string())), "{:?}", plan.notes);
        assert_eq!(plan.kind, crate::domain::event::RunKind::Deploy);
        assert!(plan.rebuilds.is_some_and(|asked| asked.abandon), "a run that goes on knows that they were given up");
    }

    #[test]
    fn machines_with_other_names_and_seats_that_are_known_hold_nobody_up() {
        let mut world = world();
        world.silent[0].name = Some("web1".into());
        assert!(world.with(plan_deploy).is_ok());
        world.silent[0].name = Some("cs101-ada".into());
        assert!(world.with(plan_deploy).is_err());
        world.class.students = crate::domain::class::Students::Named(vec!["grace".parse().unwrap()]);
        assert!(world.with(plan_deploy).is_ok());
    }

    #[test]
    fn what_is_silent_is_told_by_node() {
        let mut world = World::new();
        for (number, node) in [(9105, "pve3"), (9102, "pve3"), (9103, "pve2"), (500, "pve3")] {
            world.view.guests.push(crate::domain::planning::fixture::guest(number, node));
        }
        world.take_offline("pve3");
        let of = |known: u32| silent(&world.view, world.site.vmids, |vmid| vmid.get() == known);
        assert_eq!(on_nodes(&of(1)), "9102 and 9105 on pve3");
        assert_eq!(on_nodes(&of(9105)), "9102 on pve3");
    }
}
