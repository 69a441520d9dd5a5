//! Lines about a lab between its runs: they join the journal of its newest run, under the lab's lock.

use super::{Homeroom, ServiceError};
use crate::{
    deploy::{Recorder, recorder::Entry},
    port::store::LabLock,
};

/// Writes lines down and waits until they are on disk. Whoever holds the lock is the only one who writes.
pub(super) async fn write(home: &Homeroom, lock: &dyn LabLock, entries: Vec<Entry>) -> Result<(), ServiceError> {
    let lab = lock.lab();
    let (progress, _) = home.store.progress(lab).await?;
    let Some(run) = progress.run.as_ref().map(|run| run.id) else {
        return Err(ServiceError::NotNow(format!("{lab} was never deployed; `homeroom deploy {lab} --yes` does it")));
    };
    let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), run, progress);
    for entry in entries {
        recorder.write(entry).await.map_err(|lost| ServiceError::NotNow(lost.to_string()))?;
    }
    drop(recorder);
    if writer.await.is_err() {
        tracing::error!(%run, "the journal's writer ended abnormally");
    }
    Ok(())
}
