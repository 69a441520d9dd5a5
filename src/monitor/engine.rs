//! A container engine: a look whenever it tells that something happened to a container of ours, and now and
//! then without. A connection that breaks is made again; while there is none, nothing is known.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    task::{JoinHandle, JoinSet},
};

use super::{Pace, Seen};
use crate::{
    domain::SiteName,
    port::{Clock, Containers, EngineError, containers::Happening},
};

/// Happenings that may wait; many at once are answered by one look.
const QUEUE: usize = 64;
/// At least so long between two looks, however much happens: wall time.
const APART: Duration = Duration::from_millis(100);
/// After something happened, looks are taken again so much later: an engine tells that a container died a moment
/// before its own listing shows it. Wall time.
const AND_AGAIN: [Duration; 3] = [Duration::from_millis(150), Duration::from_millis(400), Duration::from_secs(1)];
/// Between tries to reach an engine that does not answer: wall time. One that is restarted is back in seconds.
const AGAIN: Duration = Duration::from_secs(1);
/// After so many tries in vain they come less often, up to this far apart.
const PATIENT_AFTER: u32 = 30;
const LONGEST: Duration = Duration::from_secs(15);

/// One watched engine.
pub struct EngineWatch {
    pub site: SiteName,
    pub containers: Arc<dyn Containers>,
    pub clock: Arc<dyn Clock>,
    pub pace: Pace,
    /// Rung by whoever wants to see the engine now.
    pub now: Arc<Notify>,
    pub tell: mpsc::Sender<Seen>,
}

/// Looks at the engine for ever; ends when nobody listens.
pub fn watch_engine(watch: EngineWatch) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut failures = 0;
        loop {
            let why = match watch.while_connected(&mut failures).await {
                Ended::Deaf => return,
                Ended::Lost(why) => why,
            };
            failures += 1;
            let lost = Seen::EngineLost { site: watch.site.clone(), why };
            if watch.tell.send(lost).await.is_err() {
                return;
            }
            let wait = if failures < PATIENT_AFTER { AGAIN } else { LONGEST };
            tokio::select! {
                () = watch.tell.closed() => return,
                () = tokio::time::sleep(wait) => {}
                () = watch.now.notified() => {}
            }
        }
    })
}

/// Why a connection was given up.
enum Ended {
    /// Nobody listens any more.
    Deaf,
    Lost(String),
}

impl EngineWatch {
    /// Follows what happens, and looks each time, until the connection breaks.
    async fn while_connected(&self, failures: &mut u32) -> Ended {
        let (tell, mut happened) = mpsc::channel(QUEUE);
        let containers = self.containers.clone();
        // Ended with this connection, whatever it is at.
        let mut following = JoinSet::new();
        following.spawn(async move { containers.follow(tell).await });
        // What happens from here on is told: only then is a look worth taking.
        if happened.recv().await != Some(Happening::Listening) {
            return Ended::Lost(broken(following.join_next().await));
        }
        // Which of the looks after something happened comes next.
        let mut after = AND_AGAIN.len();
        loop {
            let view = match self.containers.view().await {
                Ok(view) => view,
                Err(error) => return Ended::Lost(error.to_string()),
            };
            *failures = 0;
            if self.tell.send(Seen::Engine { site: self.site.clone(), view: Arc::new(view) }).await.is_err() {
                return Ended::Deaf;
            }
            let later = async {
                match AND_AGAIN.get(after) {
                    Some(wait) => tokio::time::sleep(*wait).await,
                    None => self.clock.sleep(self.pace.idle).await,
                }
            };
            tokio::select! {
                () = self.tell.closed() => return Ended::Deaf,
                happening = happened.recv() => {
                    if happening.is_none() {
                        return Ended::Lost(broken(following.join_next().await));
                    }
                    after = 0;
                    tokio::time::sleep(APART).await;
                    while happened.try_recv().is_ok() {}
                }
                () = later => after = (after + 1).min(AND_AGAIN.len()),
                () = self.now.notified() => {}
            }
        }
    }
}

/// Why following has ended.
fn broken(ended: Option<Result<Result<(), EngineError>, tokio::task::JoinError>>) -> String {
    match ended {
        Some(Ok(Err(error))) => error.to_string(),
        _ => "the engine has ended the connection".to_owned(),
    }
}
