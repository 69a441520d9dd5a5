//! What a token's privileges mean for a plan: clones sent into their pool, and numbers of guests it cannot see.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{ServiceError, Site};
use crate::domain::{Plan, Progress, Vmid, class::ClassDefinition, cluster::ClusterView};

/// Numbers asked about at once.
const AT_ONCE: usize = 8;
/// Free numbers made sure of beyond what the class needs: somebody else may be quicker.
const BEYOND: usize = 8;

/// How the class's new machines have to be asked for.
#[derive(Debug, Default)]
pub struct Allowed {
    /// Machines may only be made inside this pool, so the clone itself names it.
    pool: Option<String>,
    /// Numbers that guests have which nobody shows us.
    pub unseen: BTreeSet<Vmid>,
}

impl Allowed {
    /// Asks what may be done on the numbers new machines will get; nothing if none will be made.
    pub async fn ask(
        site: &Site,
        class: &ClassDefinition,
        view: &ClusterView,
        progress: &Progress,
        reserved: &BTreeSet<Vmid>,
    ) -> Result<Self, ServiceError> {
        let missing = class.seats().len().saturating_sub(progress.seats.iter().filter(|s| s.vmid.is_some()).count());
        let range = class.placement.vmids.unwrap_or(site.rules.vmids);
        let free = || range.iter().filter(|id| view.guest(*id).is_none() && !reserved.contains(id));
        let Some(first) = free().next().filter(|_| missing > 0) else { return Ok(Self::default()) };
        let held = site.inspect.privileges(&format!("/vms/{first}")).await?;
        let pool = match &class.pool {
            Some(pool) if !held.contains("VM.Allocate") => {
                let inside = site.inspect.privileges(&format!("/pool/{pool}")).await?;
                inside.contains("VM.Allocate").then(|| pool.clone())
            }
            _ => None,
        };
        let mut unseen = BTreeSet::new();
        if !held.contains("VM.Audit") {
            let mut answers = stream::iter(free())
                .map(|id| async move { site.inspect.is_free(id).await.map(|is_free| (id, is_free)) })
                .buffered(AT_ONCE);
            let mut sure = 0;
            while let Some((id, is_free)) = answers.try_next().await? {
                if is_free {
                    sure += 1;
                } else {
                    unseen.insert(id);
                }
                if sure >= missing + BEYOND {
                    break;
                }
            }
        }
        Ok(Self { pool, unseen })
    }

    /// An error, before anything is set aside, where the token may not do what the plan's clones take. A token that
    /// may not ask what it may do is let try.
    pub async fn covers(&self, site: &Site, plan: &Plan) -> Result<(), ServiceError> {
        let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
        for seat in &plan.seats {
            let Some(source) = &seat.source else { continue };
            asked.insert((format!("/vms/{}", source.template), "VM.Clone".to_owned()));
            asked.insert((format!("/storage/{}", source.limit_storage), "Datastore.AllocateSpace".to_owned()));
        }
        if let Some(first) = plan.seats.iter().find(|seat| seat.source.is_some()).and_then(|seat| seat.vmid) {
            let place = self.pool.as_ref().map_or_else(|| format!("/vms/{first}"), |pool| format!("/pool/{pool}"));
            asked.insert((place, "VM.Allocate".to_owned()));
        }
        let asked = asked.into_iter().map(|(path, wanted)| async move {
            let held = site.inspect.privileges(&path).await;
            (path, wanted, held)
        });
        let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).collect().await;
        let missing: Vec<String> = answers
            .into_iter()
            .filter(|(_, wanted, held)| held.as_ref().is_ok_and(|held| !held.contains(wanted)))
            .map(|(path, wanted, _)| {
                format!("the token lacks {wanted} on {path}; `homeroom doctor {}` says how to grant it", site.name)
            })
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ServiceError::Problems { lab: plan.lab.clone(), problems: missing })
    }

    /// Has the plan's clones name their pool, where it must be so.
    pub fn apply(&self, plan: &mut Plan) {
        for source in plan.seats.iter_mut().filter_map(|seat| seat.source.as_mut()) {
            source.pool.clone_from(&self.pool);
        }
    }
}
