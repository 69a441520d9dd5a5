//! Whether a run could log in with its lab's own key: a run asks nobody for a passphrase, and neither does a process
//! that goes on with one. Opens no key by itself.

use super::{Homeroom, ServiceError};
use crate::{
    domain::{LabName, MachineState, Plan, Progress, RunId, SeatName, StepName, progress::SeatProgress},
    port::{
        KeyRing, RemoteShell,
        keys::{Kept, LabKey, Lock},
    },
};

fn locked(before: &str, key: &LabKey, lock: Lock) -> ServiceError {
    let why = match lock {
        Lock::NoPassphrase => {
            "which is encrypted with a passphrase; give it as `key_passphrase` under `[store]` in the configuration"
        }
        Lock::WrongPassphrase => {
            "which the `key_passphrase` under `[store]` in the configuration does not open; correct it there"
        }
    };
    ServiceError::NotNow(format!("{before}, {}, {why}", key.private.display()))
}

/// Makes sure, before anyone logs in, that a passphrase that is configured is not the wrong one. Where none is, a
/// login may do without the key, or somebody may be asked.
pub(super) fn is_not_mistaken(lab: &LabName, key: &LabKey, shell: &dyn RemoteShell) -> Result<(), ServiceError> {
    match key.locked {
        Some(Lock::WrongPassphrase) if !shell.is_unlocked(&key.private) => Err(locked(
            &format!("nothing was begun on {lab}: homeroom logs in with {lab}'s own key"),
            key,
            Lock::WrongPassphrase,
        )),
        _ => Ok(()),
    }
}

/// The lab's key, as far as there is one: for what neither logs in nor gives it to a machine.
pub(super) async fn kept(home: &Homeroom, lab: &LabName) -> Result<Option<LabKey>, ServiceError> {
    match home.keys.kept_key(lab).await? {
        Kept::Pair(key) => Ok(Some(key)),
        Kept::Damaged(_) | Kept::Nothing => Ok(None),
    }
}

/// The lab's key for a plan that is to be carried out: made where it is needed and no machine could miss another.
pub(super) async fn for_plan(home: &Homeroom, plan: &Plan) -> Result<Option<LabKey>, ServiceError> {
    let needs = |step: &StepName| matches!(step, StepName::Configure | StepName::Ssh);
    if !plan.seats.iter().any(|seat| seat.steps.iter().any(needs)) {
        return kept(home, &plan.lab).await;
    }
    let (progress, _) = home.store.progress(&plan.lab).await?;
    known(home, &plan.lab, &progress).await.map(Some)
}

/// The lab's key for a login, for a machine, or to be shown: made only where no machine could miss another.
pub async fn known(home: &Homeroom, lab: &LabName, progress: &Progress) -> Result<LabKey, ServiceError> {
    let stands = |row: &SeatProgress| row.vmid.is_some() && row.state != MachineState::Gone;
    match home.keys.kept_key(lab).await? {
        Kept::Pair(key) => Ok(key),
        Kept::Damaged(error) => Err(lost(lab, &error)),
        Kept::Nothing if progress.seats.iter().any(stands) => Err(lost(lab, &format!("the key of {lab} is not there"))),
        Kept::Nothing => Ok(home.keys.lab_key(lab).await?),
    }
}

fn lost(lab: &LabName, why: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::NotNow(format!(
        "{why}; `homeroom key {lab} --renew` makes a new one and gives it to the machines through their guest agents, \
         and `homeroom exec {lab} --via agent` needs none"
    ))
}

/// Of a workshop's instance, whose key nobody renews.
pub(super) fn of_instance(lab: &LabName) -> ServiceError {
    ServiceError::NotNow(format!(
        "the key of {lab} is not there, and its instance lets no other in: bring its file back, or `homeroom destroy \
         {lab}` and deploy it anew"
    ))
}

/// That a renewal of a lab's key has not come to its end, for which seats, and what goes on with it.
pub fn unfinished(lab: &LabName, key: &LabKey) -> Option<String> {
    let renewal = key.renewal.as_ref()?;
    let seats: Vec<&str> = renewal.seats.iter().map(SeatName::as_str).collect();
    let whose = if seats.is_empty() { String::new() } else { format!(" for {}", seats.join(", ")) };
    Some(format!(
        "the renewal of {lab}'s key is not finished{whose}: the old key and the new one both log in until \
         `homeroom key {lab} --renew` has gone on with it"
    ))
}

/// The same by the lab's name: the seats, and the words for it.
pub(super) async fn unfinished_of(home: &Homeroom, lab: &LabName) -> Option<(Vec<SeatName>, String)> {
    let Ok(Kept::Pair(key)) = home.keys.kept_key(lab).await else { return None };
    let words = unfinished(lab, &key)?;
    Some((key.renewal?.seats, words))
}

/// Removes the key of a workshop whose instance is gone, with everything made of it. One that cannot be removed opens
/// nothing any more.
pub(super) async fn forget(keys: &dyn KeyRing, lab: &LabName) {
    if let Err(error) = keys.forget(lab).await {
        tracing::warn!(%lab, %error, "the key of a workshop that is gone stays");
    }
}

fn logs_in(plan: &Plan) -> bool {
    plan.seats.iter().any(|seat| seat.steps.contains(&StepName::Ssh))
}

/// Makes sure, before anything is begun, that a plan that logs in with the lab's own key can open it here.
pub(super) fn can_open(plan: &Plan, key: Option<&LabKey>, shell: &dyn RemoteShell) -> Result<(), ServiceError> {
    let needed = key.filter(|key| logs_in(plan) && !shell.is_unlocked(&key.private));
    match needed.and_then(|key| Some((key, key.locked?))) {
        None => Ok(()),
        Some((key, lock)) => {
            let lab = &plan.lab;
            Err(locked(&format!("nothing was begun on {lab}: its roll call logs in with {lab}'s own key"), key, lock))
        }
    }
}

/// Makes sure that another process could go on with a run: what was typed in here is kept nowhere.
pub async fn can_leave(home: &Homeroom, run: RunId) -> Result<(), ServiceError> {
    let (row, plan) = home.store.run(run).await?;
    if logs_in(&plan) {
        let key = kept(home, &row.lab).await?;
        if let Some((key, lock)) = key.as_ref().and_then(|key| Some((key, key.locked?))) {
            return Err(locked(&format!("no other process can log in with {}'s own key", row.lab), key, lock));
        }
    }
    Ok(())
}
