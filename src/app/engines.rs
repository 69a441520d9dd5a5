//! What is known of the container engines and clouds: the latest look, and whether they answer.

use std::sync::Arc;

use jiff::Timestamp;

use super::sites::Lost;
use crate::domain::{
    Clean, StoreId, cloud::CloudView, engine::EngineView, planning::InstanceShape, price::Prices,
    workshop::WorkshopDefinition,
};

/// One container engine, or cloud, on the screen.
#[derive(Debug)]
pub struct Engine {
    /// dev, staging or prod, as configured.
    pub environment: Clean,
    /// What its containers' labels say if they are ours.
    pub store: StoreId,
    /// What a workshop costs there; 0 where it costs nothing.
    pub per_hour: f64,
    pub currency: Clean,
    /// A cloud's price table, and whether its machines are spot ones unless a workshop says otherwise.
    pub prices: Option<(Prices, bool)>,
    /// The latest look at a cloud.
    pub cloud: Option<Arc<CloudView>>,
    /// Whether it is one.
    pub is_cloud: bool,
    /// The latest look, and kept when the engine no longer answers.
    pub view: Option<Arc<EngineView>>,
    pub lost: Option<Lost>,
}

impl Engine {
    pub fn new(environment: Clean, store: StoreId, (per_hour, currency): (f64, Clean)) -> Self {
        let (prices, cloud) = (None, None);
        Self { environment, store, per_hour, currency, prices, cloud, is_cloud: false, view: None, lost: None }
    }

    /// A cloud, where instances carry the seats.
    pub fn in_cloud(environment: Clean, store: StoreId, prices: Option<(Prices, bool)>) -> Self {
        Self { prices, is_cloud: true, ..Self::new(environment, store, (0.0, Clean::default())) }
    }

    /// What a workshop costs there an hour, and in what; `None` where nobody says.
    pub fn price(&self, workshop: &WorkshopDefinition) -> Option<(f64, String)> {
        match &self.prices {
            Some((prices, spot)) => {
                let shape = InstanceShape::of(workshop, *spot);
                let hour = prices.running(&shape.machine_type, shape.spot, shape.disk_gb)?;
                Some((hour.total(), hour.currency))
            }
            None => (self.per_hour > 0.0).then(|| (self.per_hour, self.currency.to_string())),
        }
    }

    /// Whether it was ever looked at.
    pub fn was_seen(&self) -> bool {
        self.view.is_some() || self.cloud.is_some()
    }

    /// Takes in a look.
    pub fn seen_cloud(&mut self, view: Arc<CloudView>) {
        self.lost = None;
        self.cloud = Some(view);
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
