//! What stands in the way of a workshop on a container engine.

use std::collections::{BTreeMap, BTreeSet};

use super::{WorkshopInput, own};
use crate::domain::{
    LabName, Role, SeatName,
    label::{Owner, owner},
    machine::machine_name,
    planning::{Problem, listed},
    size::Size,
    stray,
    workshop::browser_name,
};

/// What stands in the way, all of it, before anything is made.
pub(super) fn obstacles(input: &WorkshopInput<'_>) -> Vec<Problem> {
    let workshop = input.workshop;
    let mut out = Vec::new();
    if workshop.seats > input.max_seats {
        let what = format!("{} seats, and {} takes {}", workshop.seats, workshop.site, input.max_seats);
        out.push(Problem::new(what, "lower seats, or raise max_seats of the site"));
    }
    if workshop.seat.cpus > f64::from(input.view.cpus) {
        let what =
            format!("a seat may use {} CPUs, and {} has {}", workshop.seat.cpus, input.view.host, input.view.cpus);
        out.push(Problem::new(what, "lower seat.cpus"));
    }
    // An engine may keep what it has to itself.
    if workshop.seat.memory.0 > input.view.memory && input.view.memory > 0 {
        let (wanted, has) = (workshop.seat.memory.human(), Size(input.view.memory).human());
        let what = format!("a seat may use {wanted} of memory, and {} has {has}", input.view.host);
        out.push(Problem::new(what, "lower seat.memory"));
    }
    if !input.view.unlimited.is_empty() {
        let what = input.view.unlimited.iter().map(ToString::to_string).collect::<Vec<_>>();
        let what = format!("the engine on {} cannot limit {} of a seat", input.view.host, listed(&what));
        out.push(Problem::new(what, "turn the kernel's cgroup controllers for it on, or use another engine"));
    }
    for (image, why) in input.unfit {
        out.push(Problem::new(format!("the image {image} {why}"), "give another image, or build it anew"));
    }
    let makes = workshop.rows().iter().any(|(seat, _)| own(input, seat, &machine_name(&workshop.name, seat)).is_none());
    if let Some(free) = input.view.free.filter(|free| makes && *free < LEAST_FREE) {
        let (free, host) = (Size(free).human(), &input.view.host);
        out.push(Problem::new(
            format!("the engine on {host} has {free} left on its disk"),
            "make room there (`docker system df` shows what takes it), or use another engine",
        ));
    }
    out.extend(names(input));
    out.extend(ports(input));
    out
}

/// With less than this left on the engine's disk, containers come up that cannot write a thing.
const LEAST_FREE: u64 = 128 << 20;

/// Names that somebody else's containers or networks have; all that one has are told at once.
fn names(input: &WorkshopInput<'_>) -> Vec<Problem> {
    let lab = &input.workshop.name;
    let mut by_whom: BTreeMap<Option<String>, Taken> = BTreeMap::new();
    let whose = |owner: Owner| match owner {
        Owner::OtherStore(label) => Some(label.store.to_string()),
        _ => None,
    };
    for (seat, role) in input.workshop.rows() {
        let name = machine_name(lab, &seat);
        let browser = input.workshop.browser.as_ref().filter(|_| role == Role::Seat).map(|_| browser_name(lab, &seat));
        for name in std::iter::once(name.clone()).chain(browser) {
            if let Some(found) = input.view.container(&name)
                && own(input, &seat, &name).is_none()
            {
                let taken = by_whom.entry(whose(owner(input.store, &name, &found.labels))).or_default();
                taken.containers.push(name);
            }
        }
        if role == Role::Host
            && let Some(network) = input.view.network(&name)
        {
            match owner(input.store, &name, &network.labels) {
                Owner::Ours(label) if &label.lab == lab => {}
                other => by_whom.entry(whose(other)).or_default().network = Some(name),
            }
        }
    }
    by_whom.iter().map(|(store, taken)| taken.problem(store.as_deref(), lab.as_str())).collect()
}

/// What somebody else has under names of ours.
#[derive(Default)]
struct Taken {
    containers: Vec<String>,
    network: Option<String>,
}

impl Taken {
    fn problem(&self, store: Option<&str>, lab: &str) -> Problem {
        let containers = match self.containers.as_slice() {
            [] => None,
            [one] => Some(format!("a container called {one}")),
            several => Some(format!("containers called {}", several.join(", "))),
        };
        let network = self.network.as_ref().map(|name| format!("a network called {name}"));
        let what: Vec<String> = containers.into_iter().chain(network).collect();
        let (one, what) = (self.containers.len() + usize::from(self.network.is_some()) == 1, what.join(" and "));
        let it = if one { "it" } else { "them" };
        let (whose, next) = match (store, one) {
            (Some(store), _) => (
                format!("homeroom made {it} from another store ({store})"),
                format!("{}, or give {lab} another name", stray::OTHER_STORE),
            ),
            (None, true) => ("it is not ours".to_owned(), format!("remove or rename it, or give {lab} another name")),
            (None, false) => {
                ("they are not ours".to_owned(), format!("remove or rename them, or give {lab} another name"))
            }
        };
        Problem::new(format!("the engine has {what} already, and {whose}"), next)
    }
}

/// Ports that others hold and this workshop needs for what is still to be made.
fn ports(input: &WorkshopInput<'_>) -> Vec<Problem> {
    let workshop = input.workshop;
    let mine: BTreeSet<u16> = input
        .view
        .containers
        .iter()
        .filter(|container| {
            let whose = owner(input.store, container.name.as_str(), &container.labels);
            matches!(whose, Owner::Ours(label) if label.lab == workshop.name)
        })
        .flat_map(|container| container.published.iter().copied())
        .collect();
    // What listens on a port of something of ours that exists is it, or told by its start: a listing may be a
    // moment older than what it lists.
    let host = SeatName::host();
    let exists = |seat: &SeatName| own(input, seat, &machine_name(&workshop.name, seat)).is_some();
    let proxy = (workshop.proxy.port, exists(&host));
    let seats = (1..=workshop.seats).flat_map(|number| {
        let made = exists(&SeatName::numbered(number));
        workshop.published(number).into_iter().map(move |(.., port)| (port, made))
    });
    let inner = workshop.health_port().filter(|port| *port != workshop.proxy.port).map(|port| (port, exists(&host)));
    let needed = seats.chain([proxy]).chain(inner).filter(|(port, _)| !mine.contains(port));
    let mut by_whom: BTreeMap<Whose, Vec<u16>> = BTreeMap::new();
    for (port, made) in needed {
        let container = input.view.containers.iter().find(|container| container.published.contains(&port));
        let whom = match container {
            Some(container) => match owner(input.store, container.name.as_str(), &container.labels) {
                Owner::Ours(label) => Whose::Workshop(label.lab),
                _ => Whose::Container(container.name.to_string()),
            },
            None if !made && input.taken.contains(&port) => Whose::Program,
            None => continue,
        };
        by_whom.entry(whom).or_default().push(port);
    }
    by_whom
        .into_iter()
        .map(|(whom, ports)| {
            let by = match &whom {
                Whose::Workshop(lab) => format!("by the workshop {lab}"),
                Whose::Container(name) => format!("by the container {name}"),
                Whose::Program => format!("by a program on {}", input.view.host),
            };
            let told: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let what = match told.as_slice() {
                [one] => format!("port {one} is taken {by}"),
                several => format!("ports {} are taken {by}", several.join(", ")),
            };
            let next = match &whom {
                // It may have people in it.
                Whose::Workshop(lab) => {
                    format!("use another engine, or wait for its end (`homeroom destroy {lab} --yes` brings it about)")
                }
                _ => freed(&ports, workshop.proxy.port, workshop.health_port()),
            };
            Problem::new(what, next)
        })
        .collect()
}

/// Who has a port.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// Another one of ours.
    Workshop(LabName),
    Container(String),
    Program,
}

/// What to do about taken ports: each is another's to choose.
fn freed(ports: &[u16], proxy: u16, health: Option<u16>) -> String {
    let proxys = ports.contains(&proxy);
    let healths = ports.iter().any(|port| Some(*port) == health && *port != proxy);
    let seats = ports.len() > usize::from(proxys) + usize::from(healths);
    let ways = [
        Some("stop that"),
        proxys.then_some("set proxy.port to another"),
        healths.then_some("leave proxy.name out (only with a name does the proxy need 3009, for its health)"),
        seats.then_some("use another engine (every seat has its ports at 3000 + 10 × its number)"),
    ];
    let ways: Vec<&str> = ways.into_iter().flatten().collect();
    match ways.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{}, or {last}", rest.join(", ")),
        ways => ways.join(", "),
    }
}
