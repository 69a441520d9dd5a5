//! Tells pagers what an unattended screen calls for: each in turn, so that an end never overtakes its beginning.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    app::Action,
    domain::{Clean, Level, alert::Alert},
    service::{Pager, call::call},
};

/// Calls that may wait for a pager that does not answer.
const WAITING: usize = 16;

/// Starts telling; ends when nobody calls any more.
pub fn answer(pagers: Vec<Arc<dyn Pager>>, actions: mpsc::Sender<Action>) -> mpsc::Sender<Alert> {
    let mut lines = Vec::new();
    for pager in pagers {
        let (line, mut alerts) = mpsc::channel::<Alert>(WAITING);
        let actions = actions.clone();
        lines.push(line);
        tokio::spawn(async move {
            while let Some(alert) = alerts.recv().await {
                if let Err(error) = call(&*pager, &alert).await {
                    let text = Clean::new(error.to_string());
                    let _ = actions.send(Action::Notice { level: Level::Error, text }).await;
                }
            }
        });
    }
    let (calls, mut alerts) = mpsc::channel::<Alert>(WAITING);
    tokio::spawn(async move {
        while let Some(alert) = alerts.recv().await {
            // One that does not answer holds no other up.
            lines.iter().for_each(|line| drop(line.try_send(alert.clone())));
        }
    });
    calls
}
