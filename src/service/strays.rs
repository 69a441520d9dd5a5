//! What carries our labels on the engines and is not a standing workshop's: told, never touched.

use std::collections::{BTreeMap, BTreeSet};

use super::{EngineSite, Homeroom, ServiceError, ends::shown};
use crate::domain::{
    Definition, LabName, SiteName,
    stray::{OTHER_STORE, Stray, Why, strays as judge},
};

/// A stray, where it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub site: SiteName,
    pub stray: Stray,
    /// Whether the lab it names is defined here.
    pub defined: bool,
    /// Whether more time can still be given to it.
    pub can_be_kept: bool,
    /// How Docker's own client is told which engine: `docker --host …`.
    pub client: String,
}

impl Found {
    /// What it is and why nobody looks after it.
    pub fn what(&self) -> String {
        let Stray { what, name, why, things, .. } = &self.stray;
        if let Why::PastEnd(at) = why {
            let s = if *things == 1 { "" } else { "s" };
            return format!(
                "the {what} {name} is past its end, which was {}, and has {things} thing{s} on the engine",
                shown(*at)
            );
        }
        let lab = self.stray.lab.as_ref().map(|lab| format!(" of {lab}")).unwrap_or_default();
        let why = match why {
            Why::NotDefined => "is no longer in the definition".to_owned(),
            Why::NotInStore | Why::PastEnd(_) => "carries our labels, and the store knows nothing of it".to_owned(),
            Why::OtherStore(store) => format!("was made by homeroom from another store ({store})"),
            Why::Copied => "carries labels copied from another container".to_owned(),
        };
        format!("the {what} {name}{lab} {why}")
    }

    /// What it means that it is there.
    pub fn meaning(&self) -> &'static str {
        match &self.stray.why {
            Why::OtherStore(_) => "it may be somebody's workshop, with people in it",
            Why::PastEnd(_) => "it takes room and ports, and should be gone",
            Why::NotDefined => "it takes room and ports of a workshop that does without it",
            Why::NotInStore | Why::Copied => "it takes room and ports, and no workshop known here needs it",
        }
    }

    /// What to do.
    pub fn mend(&self) -> String {
        let by_hand = match self.stray.what {
            "network" => format!("`{} network rm {}`", self.client, self.stray.name),
            _ => format!("`{} rm --force {}`", self.client, self.stray.name),
        };
        match (&self.stray.why, &self.stray.lab) {
            (Why::PastEnd(_), Some(lab)) => {
                let keeps =
                    if self.can_be_kept { format!(", `homeroom extend {lab} 1h` keeps it") } else { String::new() };
                format!("`homeroom expire --yes` removes it{keeps}")
            }
            (Why::NotInStore, Some(lab)) if self.defined => format!("`homeroom destroy {lab} --yes` removes it"),
            (Why::NotDefined, Some(lab)) => format!("`homeroom deploy {lab} --yes --allow-remove` removes it"),
            (Why::OtherStore(_), _) => {
                format!("{OTHER_STORE}; if nobody has: {by_hand}")
            }
            _ => format!("if nobody needs it: {by_hand}"),
        }
    }
}

/// The strays of every engine, or of one site. An engine that does not answer is named with the reason.
pub async fn strays(
    home: &Homeroom,
    only: Option<&SiteName>,
) -> Result<Vec<(SiteName, Result<Vec<Found>, ServiceError>)>, ServiceError> {
    let mut out = Vec::new();
    for engine in home.engines.values().filter(|engine| only.is_none_or(|only| *only == engine.name)) {
        out.push((engine.name.clone(), on(home, engine).await));
    }
    Ok(out)
}

/// The strays of one engine.
pub async fn on(home: &Homeroom, engine: &EngineSite) -> Result<Vec<Found>, ServiceError> {
    // The engine first: what is made in between is known to the store before it exists.
    let view = engine.containers.view().await?;
    let (labs, _) = home.store.all_progress().await?;
    let labs: BTreeMap<_, _> = labs.into_iter().map(|progress| (progress.lab.clone(), progress)).collect();
    let definitions = home.store.definitions().await?;
    let wanted: BTreeMap<_, BTreeSet<String>> = definitions
        .iter()
        .filter_map(|stored| match &stored.definition {
            Definition::Workshop(workshop) => Some((workshop.name.clone(), workshop.names().into_iter().collect())),
            Definition::Class(_) => None,
        })
        .collect();
    let can_be_kept = |lab: &LabName| {
        let life = labs.get(lab).and_then(|progress| progress.life.as_ref());
        let max_life = definitions.iter().find_map(|stored| match &stored.definition {
            Definition::Workshop(workshop) if &workshop.name == lab => Some(workshop.max_life),
            _ => None,
        });
        life.zip(max_life).is_some_and(|(life, most)| life.can_be_put_off(most, home.clock.now()))
    };
    let client = format!("docker --host {}", engine.containers.address());
    let found = judge(home.store.id(), &view, &labs, &wanted, home.clock.now()).into_iter().map(|stray| {
        let named = |lab| definitions.iter().any(|stored| stored.definition.name() == lab);
        Found {
            site: engine.name.clone(),
            client: client.clone(),
            defined: stray.lab.as_ref().is_some_and(named),
            can_be_kept: stray.lab.as_ref().is_some_and(can_be_kept),
            stray,
        }
    });
    Ok(found.collect())
}
