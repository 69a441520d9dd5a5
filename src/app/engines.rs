//! What is known of the container engines: the latest look, and whether they answer.

use std::sync::Arc;

use jiff::Timestamp;

use super::sites::Lost;
use crate::domain::{Clean, StoreId, engine::EngineView};

/// One container engine on the screen.
#[derive(Debug)]
pub struct Engine {
    /// dev, staging or prod, as configured.
    pub environment: Clean,
    /// What its containers' labels say if they are ours.
    pub store: StoreId,
    /// What a workshop costs there; 0 where it costs nothing.
    pub per_hour: f64,
    pub currency: Clean,
    /// The latest look, and kept when the engine no longer answers.
    pub view: Option<Arc<EngineView>>,
    pub lost: Option<Lost>,
}

impl Engine {
    pub fn new(environment: Clean, store: StoreId, (per_hour, currency): (f64, Clean)) -> Self {
        Self { environment, store, per_hour, currency, view: None, lost: None }
    }

    /// Takes in a look.
    pub fn seen(&mut self, view: Arc<EngineView>) {
        self.lost = None;
        self.view = Some(view);
    }

    /// Notes that it does not answer; the first time counts. Whether that is news.
    pub fn lost(&mut self, why: Clean, now: Timestamp) -> bool {
        let news = self.lost.as_ref().is_none_or(|lost| lost.why != why);
        let since = self.lost.as_ref().map_or(now, |lost| lost.since);
        self.lost = Some(Lost { why, since });
        news
    }
}
