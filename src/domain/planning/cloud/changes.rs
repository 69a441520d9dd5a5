//! What of a standing instance is changed where it stands: who may connect, what it is called, what its
//! proxy shows, what becomes of its disk.

use super::CloudInput;
use crate::domain::{
    Progress, SeatName, StepName,
    cloud::{InstanceView, RuleView},
    machine::machine_name,
    plan::FieldChange,
    planning::{
        MADE_OF, MadeOf, Problem,
        workshop::{in_words, proven_by},
    },
    workshop::WorkshopDefinition,
};

/// What a workshop is called in DNS, and what it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Published with our mark.
    pub ours: Vec<String>,
    /// As the definition asks for; none where it asks for none, or for a code nobody has given yet.
    pub wanted: Option<String>,
    /// Why the name cannot be had.
    pub problem: Option<Problem>,
}

impl Names {
    /// Whether a name of a workshop's is, or may be, in DNS: one is asked for, or was published before.
    pub fn may_be(workshop: &WorkshopDefinition, progress: &Progress) -> bool {
        let row = progress.seat(&SeatName::host());
        let began = row.is_some_and(|row| row.steps.iter().any(|it| it.step == StepName::Dns && it.attempts > 0));
        began || workshop.gce.dns.is_some()
    }

    /// The name as it would be under a code that nobody has given yet.
    pub fn example(workshop: &WorkshopDefinition) -> Option<String> {
        workshop.published_name(Some("code"))
    }

    /// Whether what is published is not what is asked for.
    fn differ(&self) -> bool {
        match (self.ours.as_slice(), &self.wanted) {
            ([], None) => false,
            ([one], Some(wanted)) => !one.eq_ignore_ascii_case(wanted),
            _ => true,
        }
    }
}

/// A change, and what it means in words.
pub(super) type Told = (FieldChange, String);

/// What differs on an instance that was made before, and can be put right without touching a seat.
pub(super) fn in_place(input: &CloudInput<'_>, instance: &InstanceView) -> Vec<Told> {
    let mut out = Vec::new();
    let (workshop, made) = (input.workshop, input.begun(&SeatName::host()));
    if made && rule(input).is_none_or(|rule| !rule.admits(&ranges(workshop))) {
        let was = rule(input).map(|rule| rule.ranges.join(",")).unwrap_or_default();
        let change = FieldChange::new("gce.source_ranges", was, ranges(workshop).join(","));
        out.push((change, "who may connect changes".to_owned()));
    }
    // One that was never brought so far gets its name in the course of things.
    let names = input.names;
    if names.differ() && (!names.ours.is_empty() || input.proven(&SeatName::host())) {
        let wanted = names.wanted.clone().unwrap_or_default();
        let change = FieldChange::new("gce.dns", names.ours.join(","), wanted.clone());
        let words = match (names.ours.as_slice(), wanted.as_str()) {
            ([], wanted) => format!("it gets the name {wanted}"),
            (old, "") => format!("{} is taken out of DNS", old.join(" and ")),
            (_, wanted) => format!("it is called {wanted} from now on"),
        };
        out.push((change, words));
    }
    out.extend(shown(input));
    let keeps = workshop.gce.keep_disk;
    if instance.keeps_disk != keeps {
        let change = FieldChange::new("gce.keep_disk", instance.keeps_disk.to_string(), keeps.to_string());
        let words = if keeps { "its disk is to outlive it" } else { "its disk is to go with it" };
        out.push((change, words.to_owned()));
    }
    out
}

/// What the definition asks for by now and the instance has not, each with what carries it out: a check changes nothing
/// of it.
pub(super) fn drifts(input: &CloudInput<'_>) -> Vec<String> {
    let Some(instance) = input.instances().first().copied() else { return Vec::new() };
    let lab = input.lab();
    let told = |change: &FieldChange| {
        let word = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        format!("{}: {} stands, {} is defined", change.field, word(&change.from), word(&change.to))
    };
    let made = instance.metadata.get(MADE_OF).map_or("", String::as_str);
    let anew = input.shape().made_of(input.workshop).differs_from(made);
    let anew = anew.iter().map(|change| {
        let mend = format!("`homeroom deploy {lab} --yes --allow-replace` makes another instance, with all its seats");
        format!("{}; {mend}", told(change))
    });
    let here = in_place(input, instance)
        .into_iter()
        .map(|(change, _)| format!("{}; `homeroom deploy {lab} --yes` changes it where it stands", told(&change)));
    let name = input.names.problem.iter().map(|problem| format!("{}; {}", problem.what, problem.next));
    anew.chain(here).chain(name).collect()
}

/// What its proxy is to show instead of what it shows. One that was made before that was written down is taken to show
/// what it should, until it is given its routes the next time.
fn shown(input: &CloudInput<'_>) -> Vec<Told> {
    let host = input.stored(&SeatName::host());
    let Some(shows) = host.and_then(|row| row.proxy.as_deref()) else { return Vec::new() };
    let code = input.progress.life.as_ref().map(|life| life.code.as_str().to_ascii_lowercase());
    let workshop = input.workshop.as_published(code.as_deref());
    let mark = proven_by(&workshop, input.certificate, shows);
    let changes = MadeOf::shown(&workshop, mark).differs_from(shows);
    let words = |change: &FieldChange| match (change.field.as_str(), change.to.as_str()) {
        ("proxy.name", "") => "its proxy speaks plain HTTP from now on".to_owned(),
        ("proxy.name", name) => format!("its proxy is called {name} from now on"),
        (_, "") => "its proxy proves its name by a certificate of its own making".to_owned(),
        _ => "its proxy proves its name by another certificate".to_owned(),
    };
    let told = changes.into_iter().map(|mut change| {
        let words = words(&change);
        in_words(std::slice::from_mut(&mut change));
        (change, words)
    });
    told.collect()
}

/// Who may connect: everybody, where nothing is said.
pub fn ranges(workshop: &WorkshopDefinition) -> Vec<String> {
    match workshop.gce.source_ranges.is_empty() {
        true => vec!["0.0.0.0/0".to_owned()],
        false => workshop.gce.source_ranges.clone(),
    }
}

/// The workshop's firewall rule, where there is one.
pub(super) fn rule<'a>(input: &CloudInput<'a>) -> Option<&'a RuleView> {
    let name = machine_name(input.lab(), &SeatName::host());
    input.view.rules.iter().find(|rule| rule.name == name)
}
