//! What the screens are fed with: looks at the sites, and whatever is committed to the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::watch as channel;

use super::{May, Shared};
use crate::{
    app::Action,
    domain::{Change, Clean, Definition, LabName, RunId, SeatName, event::RunState},
    service::{
        EventFilter, ServiceError, deaths,
        watch::{self, Seen},
    },
};

/// Between looks at the store's version: wall time.
const POLL: Duration = Duration::from_millis(150);
/// What another process writes is to be seen within half a second, the reading and drawing of it included.
const _: () = assert!(POLL.as_millis() <= 250);
/// Between looks whether the process behind a run is still there: wall time.
const ALIVE_POLL: Duration = Duration::from_secs(2);
/// Lines of the log loaded at start.
const LOG_AT_START: u32 = 2_000;

/// Watches every site and hands what is seen to the screens.
pub fn watch_sites(shared: &Arc<Shared>, busy: &channel::Receiver<bool>) {
    let mut hear = watch::watch_sites(&shared.home, busy, &shared.look_now);
    let shared = shared.clone();
    tokio::spawn(async move {
        let store = shared.home.store.id().clone();
        for (site, engine) in &shared.home.engines {
            let environment = Clean::new(&engine.environment);
            let price = (engine.price.per_hour, Clean::new(&engine.price.currency));
            let known = Action::EngineKnown { site: site.clone(), environment, store: store.clone(), price };
            if !shared.say(known).await {
                return;
            }
        }
        for (site, cloud) in &shared.home.clouds {
            let environment = Clean::new(&cloud.environment);
            let prices = cloud.prices.clone().map(|prices| (prices, cloud.spot));
            let known = Action::CloudKnown { site: site.clone(), environment, store: store.clone(), prices };
            if !shared.say(known).await {
                return;
            }
        }
        while let Some(seen) = hear.recv().await {
            let action = match seen {
                Seen::View { site, view } => {
                    watch::remember(&shared.home, &site, &view).await;
                    Action::SiteSeen { site, view }
                }
                Seen::Lost { site, why } => Action::SiteLost { site, why: Clean::new(why) },
                Seen::Engine { site, view } => {
                    if shared.may == May::Act
                        && let Err(error) = deaths::tell(&shared.home, &site, &view).await
                    {
                        tracing::warn!(%site, %error, "what ended there is not written down");
                    }
                    Action::EngineSeen { site, view }
                }
                Seen::Cloud { site, view } => Action::CloudSeen { site, view },
                Seen::EngineLost { site, why } => Action::EngineLost { site, why: Clean::new(why) },
            };
            if !shared.say(action).await {
                return;
            }
        }
    });
}

/// Loads what the store holds, then follows what any process commits to it, for ever.
pub async fn follow_store(shared: Arc<Shared>) {
    let mut follower =
        Follower { shared, position: None, running: BTreeSet::new(), definitions: Vec::new(), people: BTreeMap::new() };
    let mut version = None;
    let mut looked = std::time::Instant::now();
    let mut troubled = false;
    loop {
        let outcome = match follower.shared.home.store.version().await {
            Ok(now) if version == Some(now) => Ok(true),
            Ok(now) => {
                version = Some(now);
                follower.catch_up().await
            }
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(true) if troubled => {
                troubled = false;
                if !follower.shared.say(Action::StoreSeen).await {
                    return;
                }
            }
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                version = None;
                let lost = Action::StoreLost { why: Clean::new(error.to_string()) };
                if !troubled && !follower.shared.say(lost).await {
                    return;
                }
                troubled = true;
            }
        }
        if looked.elapsed() >= ALIVE_POLL {
            looked = std::time::Instant::now();
            if !follower.look_for_orphans().await {
                return;
            }
        }
        tokio::select! {
            () = follower.shared.actions.closed() => return,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

struct Follower {
    shared: Arc<Shared>,
    /// The last event told.
    position: Option<i64>,
    /// Runs recorded as under way.
    running: BTreeSet<(LabName, RunId)>,
    definitions: Vec<Definition>,
    /// Who was last told to sit where.
    people: BTreeMap<LabName, BTreeMap<SeatName, Clean>>,
}

impl Follower {
    /// Tells the screens what is new; false when there are none any more.
    async fn catch_up(&mut self) -> Result<bool, ServiceError> {
        let store = self.shared.home.store.clone();
        let definitions: Vec<_> = store.definitions().await?.into_iter().map(|stored| stored.definition).collect();
        if definitions != self.definitions || self.position.is_none() {
            self.definitions.clone_from(&definitions);
            if !self.shared.say(Action::DefinitionsLoaded(definitions.clone())).await {
                return Ok(false);
            }
        }
        if !self.seat_people(&definitions).await? {
            return Ok(false);
        }
        let filter = match self.position {
            None => {
                let (all, position) = store.all_progress().await?;
                for progress in all {
                    if let Some(run) = progress.run.as_ref().filter(|run| run.state == RunState::Running) {
                        self.running.insert((progress.lab.clone(), run.id));
                    }
                    if !self.shared.say(Action::ProgressLoaded(progress)).await {
                        return Ok(false);
                    }
                }
                self.position = Some(position);
                EventFilter { last: Some(LOG_AT_START), ..EventFilter::default() }
            }
            Some(after) => EventFilter { after: Some(after), ..EventFilter::default() },
        };
        let events = store.events(&filter).await?;
        let Some(last) = events.last() else {
            self.tell_pace();
            return Ok(true);
        };
        self.position = Some(last.position);
        for stored in &events {
            let of_run = (stored.event.lab.clone(), stored.event.run);
            match stored.event.change {
                Change::RunStarted { .. } => self.running.insert(of_run),
                Change::RunEnded { .. } => self.running.remove(&of_run),
                _ => continue,
            };
        }
        self.tell_pace();
        let events = events.into_iter().map(|stored| stored.event).collect();
        Ok(self.shared.say(Action::EventsArrived(events)).await)
    }

    /// Tells who sits where, where that has changed; false when there are no screens any more.
    async fn seat_people(&mut self, definitions: &[Definition]) -> Result<bool, ServiceError> {
        for lab in definitions.iter().filter(|definition| definition.kind() == "workshop").map(Definition::name) {
            let sittings = self.shared.home.store.sittings(lab).await?;
            let people: BTreeMap<_, _> =
                sittings.into_iter().map(|sitting| (sitting.seat, Clean::new(sitting.person.as_str()))).collect();
            if self.people.get(lab) != Some(&people) {
                self.people.insert(lab.clone(), people.clone());
                if !self.shared.say(Action::PeopleSeated { lab: lab.clone(), people }).await {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn tell_pace(&self) {
        let busy = !self.running.is_empty();
        self.shared.busy.send_if_modified(|known| std::mem::replace(known, busy) != busy);
    }

    /// A run recorded as under way whose lab nobody holds was broken off.
    async fn look_for_orphans(&mut self) -> bool {
        for (lab, run) in self.running.clone() {
            if let Ok(None) = self.shared.home.store.lab_holder(&lab).await {
                self.running.remove(&(lab.clone(), run));
                self.tell_pace();
                if !self.shared.say(Action::RunOrphaned { lab, run }).await {
                    return false;
                }
            }
        }
        true
    }
}
