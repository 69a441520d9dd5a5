//! Following what happens: the one way every reader sees a run, whichever process carries it out.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::ServiceError;
use crate::port::{
    Store,
    store::{EventFilter, StoredEvent},
};

/// Between looks at the store's version: wall time.
const POLL: Duration = Duration::from_millis(100);
/// What another process writes is to be seen within half a second, the reading and drawing of it included.
const _: () = assert!(POLL.as_millis() <= 250);

/// Events that may wait for their reader; the follower then waits too.
const QUEUE: usize = 1_024;

/// Sends the events that match `filter`, those already there first, until the receiver is dropped.
pub fn follow(store: Arc<dyn Store>, filter: EventFilter) -> mpsc::Receiver<Result<StoredEvent, ServiceError>> {
    let (tell, hear) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut filter = filter;
        let mut version = None;
        loop {
            let now = store.version().await;
            let changed = match &now {
                Ok(now) => Some(*now) != version,
                Err(_) => true,
            };
            if changed {
                match store.events(&filter).await {
                    Ok(events) => {
                        for event in events {
                            filter.after = Some(event.position);
                            if tell.send(Ok(event)).await.is_err() {
                                return;
                            }
                        }
                        filter.last = None;
                        version = now.ok();
                    }
                    Err(error) => {
                        if tell.send(Err(error.into())).await.is_err() {
                            return;
                        }
                    }
                }
            }
            tokio::select! {
                () = tell.closed() => return,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    });
    hear
}
