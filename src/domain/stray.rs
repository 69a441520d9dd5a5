//! What carries our labels on an engine and should not be there: pure rules over one look and the store's rows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Clean, LabName, Progress, StoreId,
    engine::EngineView,
    label::{Label, OURS, Owner, owner},
};

/// Something with our labels that nobody looks after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// `container` or `network`; `workshop` for all that one past its end has there.
    pub what: &'static str,
    pub name: Clean,
    /// Containers and networks it stands for.
    pub things: usize,
    /// The lab its labels name.
    pub lab: Option<LabName>,
    pub why: Why,
}

/// Why nobody looks after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Made by this store, which knows of it no more.
    NotInStore,
    /// Of a workshop that stands, whose definition has nothing of that name any more.
    NotDefined,
    /// Its workshop should be gone since.
    PastEnd(Timestamp),
    /// Made by homeroom from another store.
    OtherStore(StoreId),
    /// Its labels name something else: they were copied, as an image made of a seat lends them.
    Copied,
}

/// Everything on an engine that carries our labels and is not a standing workshop's of this store; what one past its end
/// has there is told as one. `defined` are the names of what each definition wants.
pub fn strays(
    store: &StoreId,
    view: &EngineView,
    labs: &BTreeMap<LabName, Progress>,
    defined: &BTreeMap<LabName, BTreeSet<String>>,
    now: Timestamp,
) -> Vec<Stray> {
    let containers = view.containers.iter().map(|it| ("container", &it.name, &it.labels));
    let networks = view.networks.iter().map(|it| ("network", &it.name, &it.labels));
    let all: Vec<Stray> = containers
        .chain(networks)
        .filter(|(.., labels)| labels.contains_key(OURS))
        .filter_map(|(what, name, labels)| {
            let (lab, why) = match owner(store, name.as_str(), labels) {
                Owner::Ours(label) => {
                    (Some(label.lab.clone()), of_ours(labs.get(&label.lab), defined.get(&label.lab), &label, now)?)
                }
                Owner::OtherStore(label) => (Some(label.lab), Why::OtherStore(label.store)),
                Owner::Foreign => (None, Why::Copied),
            };
            Some(Stray { what, name: name.clone(), things: 1, lab, why })
        })
        .collect();
    let mut told: Vec<Stray> = Vec::new();
    for stray in all {
        let Stray { lab: Some(lab), why: Why::PastEnd(_), .. } = &stray else {
            told.push(stray);
            continue;
        };
        match told.iter_mut().find(|known| known.what == WORKSHOP && known.lab.as_ref() == Some(lab)) {
            Some(known) => known.things += 1,
            None => told.push(Stray { what: WORKSHOP, name: Clean::new(lab.as_str()), ..stray }),
        }
    }
    told
}

/// What comes before anything is done to what another store's homeroom has made.
pub const OTHER_STORE: &str = "ask whoever has that store before anything is done to it";

/// What a stray is that stands for all of one.
pub const WORKSHOP: &str = "workshop";

fn of_ours(lab: Option<&Progress>, defined: Option<&BTreeSet<String>>, label: &Label, now: Timestamp) -> Option<Why> {
    match lab {
        Some(progress) if progress.seat(&label.seat).is_some() => match &progress.life {
            Some(life) if life.is_over(now) => Some(Why::PastEnd(life.ends_at)),
            _ => defined.is_some_and(|names| !names.contains(&label.name)).then_some(Why::NotDefined),
        },
        _ => Some(Why::NotInStore),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::{
        NodeName, Role, RunId, SeatName,
        code::JoinCode,
        engine::{ContainerState, ContainerView},
        life::Life,
        progress::SeatProgress,
    };

    fn label(store: u8, lab: &str, name: &str) -> BTreeMap<String, String> {
        Label {
            store: StoreId::from_bytes([store; 8]),
            lab: LabName::new(lab).unwrap(),
            seat: SeatName::new("seat-01").unwrap(),
            run: RunId(1),
            name: name.to_owned(),
            made_of: String::new(),
        }
        .to_labels()
    }

    fn container(name: &str, labels: BTreeMap<String, String>) -> ContainerView {
        ContainerView {
            id: name.to_owned(),
            name: Clean::new(name),
            image: Clean::new("workspace:1"),
            state: ContainerState::Running,
            status: Clean::new("Up"),
            labels,
            published: Vec::new(),
            networks: Vec::new(),
            limits: None,
            ending: None,
            out_of_memory: None,
        }
    }

    fn lab(name: &str, ends_at: i64) -> (LabName, Progress) {
        let lab = LabName::new(name).unwrap();
        let mut progress = Progress::new(lab.clone());
        progress.life = Some(Life {
            code: JoinCode::read("K7M3QX").unwrap(),
            born_at: Timestamp::UNIX_EPOCH,
            ends_at: Timestamp::from_second(ends_at).unwrap(),
            warned: None,
            hindered: None,
        });
        let (seat, site) = (SeatName::new("seat-01").unwrap(), crate::domain::SiteName::new("local").unwrap());
        progress.seats.push(SeatProgress {
            state: crate::domain::MachineState::Ready,
            ..SeatProgress::planned(seat, Role::Seat, format!("{name}-seat-01"), site, RunId(1))
        });
        (lab, progress)
    }

    #[test]
    fn what_carries_our_labels_and_is_nobodys_is_found_and_nothing_else() {
        let view = EngineView {
            host: NodeName::new("jump"),
            version: Clean::new("20.10"),
            cpus: 2,
            memory: 0,
            architecture: Clean::default(),
            free: None,
            unlimited: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
            containers: vec![
                container("intro-seat-01", label(7, "intro", "intro-seat-01")),
                container("intro-seat-01-browser", label(7, "intro", "intro-seat-01-browser")),
                container("late-seat-01", label(7, "late", "late-seat-01")),
                container("late-seat-02", label(7, "late", "late-seat-02")),
                container("lost-seat-01", label(7, "lost", "lost-seat-01")),
                container("other-seat-01", label(8, "other", "other-seat-01")),
                container("copy", label(7, "intro", "intro-seat-01")),
                container("shop", BTreeMap::new()),
            ],
            networks: Vec::new(),
        };
        let labs = BTreeMap::from([lab("intro", 2_000), lab("late", 900)]);
        let defined = BTreeMap::from([(LabName::new("intro").unwrap(), BTreeSet::from(["intro-seat-01".to_owned()]))]);
        let found =
            strays(&StoreId::from_bytes([7; 8]), &view, &labs, &defined, Timestamp::from_second(1_000).unwrap());
        let things: Vec<_> = found.iter().map(|stray| stray.things).collect();
        assert_eq!(things, [1, 2, 1, 1, 1]);
        let found: Vec<_> = found.into_iter().map(|stray| (stray.name.to_string(), stray.why)).collect();
        let why = |name: &str, why| (name.to_owned(), why);
        assert_eq!(
            found,
            [
                why("intro-seat-01-browser", Why::NotDefined),
                why("late", Why::PastEnd(Timestamp::from_second(900).unwrap())),
                why("lost-seat-01", Why::NotInStore),
                why("other-seat-01", Why::OtherStore(StoreId::from_bytes([8; 8]))),
                why("copy", Why::Copied),
            ]
        );
    }
}
