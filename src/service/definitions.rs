//! Definitions: put in, listed, taken out. Nothing here touches a machine.

use super::{Homeroom, ServiceError, run::lock};
use crate::{
    domain::{Definition, LabName, MachineState, event::RunKind, progress::SeatProgress},
    port::store::StoredDefinition,
};

/// Runs of a lab that are looked through for what an adopt said.
const RUNS_READ: u32 = 100;

/// What putting a definition in came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    Created,
    Changed,
    Unchanged,
}

impl Applied {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What whoever reads a definition should know of it: where it was made out from machines and nobody changed it since,
/// what could not be told.
pub async fn remarks(home: &Homeroom, stored: &StoredDefinition) -> Result<Vec<String>, ServiceError> {
    let lab = stored.definition.name();
    for row in home.store.runs(Some(lab), RUNS_READ).await? {
        if row.kind == RunKind::Adopt && row.started_at >= stored.applied_at {
            let (_, plan) = home.store.run(row.id).await?;
            if !plan.notes.is_empty() {
                return Ok(plan.notes);
            }
        }
    }
    Ok(Vec::new())
}

/// The same as comments, to stand before the definition's text.
pub async fn remarked(home: &Homeroom, stored: &StoredDefinition) -> Result<String, ServiceError> {
    Ok(remarks(home, stored).await?.iter().map(|remark| format!("# {remark}\n")).collect())
}

/// Stores a definition. A lab with machines keeps its kind and its site.
pub async fn apply(home: &Homeroom, definition: &Definition) -> Result<Applied, ServiceError> {
    if let Definition::Class(class) = definition {
        home.site(&class.site)?;
    }
    let known = home.store.definitions().await?;
    let known = known.into_iter().find(|stored| stored.definition.name() == definition.name());
    let outcome = match &known {
        None => Applied::Created,
        Some(stored) if stored.definition == *definition => return Ok(Applied::Unchanged),
        Some(_) => Applied::Changed,
    };
    let mut held = None;
    if let Some(stored) = known {
        let moves = stored.definition.site() != definition.site() || stored.definition.kind() != definition.kind();
        if moves {
            held = Some(lock(home, definition.name(), RunKind::Deploy).await?);
        }
        if moves && has_machines(home, definition.name()).await? {
            return Err(ServiceError::Refused(format!(
                "{} has machines as a {} on {}; destroy it before it moves to another site or kind",
                definition.name(),
                stored.definition.kind(),
                stored.definition.site()
            )));
        }
    }
    home.store.put_definition(definition, home.clock.now()).await?;
    drop(held);
    Ok(outcome)
}

/// Forgets a definition and the lab's keys. Refused while the lab has machines.
pub async fn delete(home: &Homeroom, lab: &LabName) -> Result<(), ServiceError> {
    home.definition(lab).await?;
    // A run that is being planned has set nothing aside yet, and would make machines of a lab nobody knows.
    let _held = lock(home, lab, RunKind::Destroy).await?;
    if has_machines(home, lab).await? {
        return Err(ServiceError::Refused(format!(
            "{lab} still has machines; `homeroom destroy {lab} --yes` removes them first"
        )));
    }
    // The keys first: where they cannot be removed, the lab is still there to be asked again about.
    home.keys.forget(lab).await?;
    home.store.delete_definition(lab).await?;
    Ok(())
}

/// Whether the store knows of machines of the lab, or of VMIDs set aside for it.
async fn has_machines(home: &Homeroom, lab: &LabName) -> Result<bool, ServiceError> {
    let (progress, _) = home.store.progress(lab).await?;
    // A workshop's rows have no numbers: one that was ever begun counts until it is seen gone.
    let made = |seat: &SeatProgress| seat.vmid.is_some() || seat.steps.iter().any(|step| step.attempts > 0);
    Ok(progress.seats.iter().any(|seat| made(seat) && seat.state != MachineState::Gone))
}
