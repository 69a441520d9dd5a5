//! What whoever agrees to a workshop in a cloud should know: the cost before all, and what no deploy changes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    super::birth::{stands_in, unborn},
    CloudInput,
};
use crate::domain::{
    cloud::lacking,
    life::{Life, later},
    plan::Verb,
    workshop::WorkshopDefinition,
};

/// So many missing permissions are named.
const NAMED: usize = 5;

/// What whoever agrees should know: the cost before all.
pub(super) fn notes(input: &CloudInput<'_>, verb: Verb) -> Vec<String> {
    let (shape, workshop) = (input.shape(), input.workshop);
    let mut notes = Vec::new();
    // What never stood gets its time with this deploy.
    let life = input
        .progress
        .life
        .as_ref()
        .filter(|_| !unborn(input.progress, stands_in(input.store, &workshop.name, input.view)));
    notes.extend(life.and_then(|life| end_stays(workshop, life)));
    notes.extend(server_ends(input));
    if verb == Verb::Keep {
        return notes;
    }
    match input.prices {
        None => notes.push("what it costs is not known: the site's configuration has no prices".to_owned()),
        Some(prices) => match prices.running(&shape.machine_type, shape.spot, shape.disk_gb) {
            Some(hour) => notes.push(format!(
                "about {hour}, {:.2} {} until it ends, {:.2} {} at most; prices of {}",
                hour.times(ahead(input, workshop.ends_after, |life| life.ends_at)),
                hour.currency,
                hour.times(ahead(input, workshop.max_life, |life| life.ceiling(workshop.max_life))),
                hour.currency,
                prices.date,
            )),
            None => notes.push(format!(
                "what it costs is not known: the price table of {} has no {}{}",
                prices.date,
                if shape.spot { "spot " } else { "" },
                shape.machine_type
            )),
        },
    }
    if let Some(prices) = input.prices {
        notes.extend(prices.incomplete());
        notes.extend(prices.stale(input.view.at));
    }
    if input.registry.is_none() && !workshop.image.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':'])) {
        notes.push(format!("{} comes from Docker Hub: neither it nor the site names a registry", workshop.image));
    }
    notes.extend(permissions(input));
    if verb != Verb::Update {
        let passed = input.unfit.values().map(|why| format!("{why}: it is passed over"));
        notes.extend(passed);
    }
    if shape.spot {
        notes.push(
            "a spot machine may be taken away at any time; the next deploy starts it again, with what its seats wrote"
                .to_owned(),
        );
    }
    if workshop.gce.source_ranges.is_empty() {
        notes.push("everybody may connect to it: gce.source_ranges names nobody".to_owned());
    }
    if input.workshop.as_published(Some("code")).proxy.name.is_none() {
        notes.push(
            "it speaks plain HTTP: what its seats' links open, and what is typed there, can be read on the way; gce.dns with \
             `proxy = { port = 443 }` encrypts it"
                .to_owned(),
        );
    }
    notes.extend(self_made(input));
    if workshop.gce.keep_disk {
        notes.push("its disk outlives it, and goes on costing until it is removed by hand".to_owned());
    }
    notes
}

/// How long there is still to go, of one that stands; the whole of it, of one that does not.
fn ahead(input: &CloudInput<'_>, whole: Duration, until: impl Fn(&Life) -> Timestamp) -> Duration {
    let left = |life: &Life| Duration::try_from(until(life).duration_since(input.view.at)).unwrap_or_default();
    input.progress.life.as_ref().map_or(whole, left)
}

/// What the account may not do, before anything is made. What is granted elsewhere than on the project is not seen, so
/// that stops nothing.
fn permissions(input: &CloudInput<'_>) -> Option<String> {
    let named = input.workshop.gce.dns.is_some();
    match input.held? {
        Ok(held) => {
            let lacking = lacking(named, held);
            let (told, rest) = lacking.split_at(lacking.len().min(NAMED));
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" and {more} more (`homeroom doctor` names them)"),
            };
            (!told.is_empty()).then(|| {
                format!(
                    "the account lacks {}{more} on the project: what needs that will fail, unless it is granted elsewhere; \
                     ask for a role with it",
                    told.join(", "),
                )
            })
        }
        Err(why) => Some(format!("what the account may do is not known before it is tried: {why}")),
    }
}

/// Browsers warn of a certificate that nobody they know vouches for.
fn self_made(input: &CloudInput<'_>) -> Option<String> {
    let name = input.workshop.as_published(Some("code")).proxy.name?;
    input.workshop.proxy.certificate.is_none().then(|| {
        let name = if input.workshop.proxy.name.is_some() { name } else { "its name".to_owned() };
        format!("the proxy proves {name} by a certificate of its own making: browsers warn of it; proxy.cert_file gives it another")
    })
}

/// The end is set by the first deploy; a definition that says another by now changes nothing of it.
fn end_stays(workshop: &WorkshopDefinition, life: &Life) -> Option<String> {
    let (ends_at, asked) = (life.ends_at, later(life.born_at, workshop.ends_after));
    // Both are of the same moment, and not to the second.
    if asked.duration_since(ends_at).abs() < SignedDuration::from_mins(1) {
        return None;
    }
    let (end, lab) = (minute(ends_at), &workshop.name);
    Some(match asked > ends_at {
        true => format!(
            "it ends at {end}, whatever ends_after says: that counts for the next first deploy; `homeroom extend {lab} 1h` \
             puts this end off"
        ),
        false => format!(
            "it ends at {end}, later than ends_after says: it was put off, or deployed when that was longer; `homeroom \
             destroy {lab}` ends it before"
        ),
    })
}

/// The server's own end is part of how the instance was made, and comes before what `max_life` allows by now.
fn server_ends(input: &CloudInput<'_>) -> Option<String> {
    let ends = input.instances().first()?.ends?;
    let ceiling = input.progress.life.as_ref()?.ceiling(input.workshop.max_life);
    (ends < ceiling).then(|| {
        format!(
            "the server itself ends its instance at {}, as it was made to; a longer max_life counts for the next instance",
            minute(ends)
        )
    })
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
