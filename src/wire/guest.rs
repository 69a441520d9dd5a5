//! A container engine of this host for somebody who only tries homeroom out: it is made a site of, and whatever was
//! made there goes again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::WallClock;
use crate::{
    backend::docker::{Address, Engine, Guest},
    domain::{SiteName, engine::EngineView},
    port::{Containers, EngineError},
    service::{EngineSite, Price},
};

pub use crate::backend::docker::{Brought, Part};

/// An engine answers at once or is not there for guests.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What was begun a moment before may still come to be while all is cleared away.
const CLEARED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The engine at a socket, and in whose name things are made there.
pub struct Stay {
    socket: String,
    mark: String,
    engine: Arc<Engine>,
}

impl Stay {
    pub fn at(socket: &str, mark: &str, images: Vec<Brought>) -> Self {
        let guest = Guest { mark: mark.to_owned(), images };
        let engine = Arc::new(Engine::for_guest(Address::Unix(socket.to_owned()), guest));
        Self { socket: socket.to_owned(), mark: mark.to_owned(), engine }
    }

    /// The same with images that are brought.
    pub fn bringing(self, images: Vec<Brought>) -> Self {
        Self::at(&self.socket, &self.mark, images)
    }

    /// What the engine runs and is, or why nobody can stay there.
    pub async fn look(&self) -> Result<EngineView, String> {
        match tokio::time::timeout(ANSWER_WITHIN, self.engine.view()).await {
            Ok(seen) => seen.map_err(|error| error.to_string()),
            Err(_) => Err(format!("it did not answer within {} s", ANSWER_WITHIN.as_secs())),
        }
    }

    /// Whether the engine has an image from which containers can be started.
    pub async fn has(&self, image: &str, view: &EngineView, own_command: bool) -> bool {
        let found = self.engine.image(image).await.ok().flatten();
        found.is_some_and(|found| found.unfit(view, own_command).is_none())
    }

    /// The marks of all guests of whom something is there.
    pub async fn guests(&self) -> Result<BTreeSet<String>, EngineError> {
        self.engine.guests().await
    }

    /// Whether anything made in this name is there, as far as the engine tells.
    pub async fn made_something(&self) -> bool {
        self.guests().await.is_ok_and(|marks| marks.contains(&self.mark))
    }

    /// As a site. What it runs is real, and so is its time.
    pub fn site(&self, name: &SiteName, max_seats: u32) -> EngineSite {
        EngineSite {
            name: name.clone(),
            environment: "dev".to_owned(),
            max_seats,
            address: None,
            price: Price::default(),
            containers: self.engine.clone(),
            login: None,
            clock: Some(Arc::new(WallClock::new(1.0))),
        }
    }

    /// Removes all that was made in this name, or in another's who has gone without.
    ///
    /// # Errors
    /// In words, where something is left.
    pub async fn clear(&self, mark: &str) -> Result<usize, String> {
        let began = tokio::time::Instant::now();
        let mut gone = 0;
        loop {
            let cleared = async {
                gone += self.engine.clear(mark).await?;
                Ok::<bool, EngineError>(!self.guests().await?.contains(mark))
            };
            match tokio::time::timeout(CLEARED_WITHIN, cleared).await {
                Ok(Ok(true)) => return Ok(gone),
                Ok(Err(error)) if began.elapsed() > CLEARED_WITHIN => return Err(error.to_string()),
                Err(_) => return Err("the engine does not answer".to_owned()),
                _ if began.elapsed() > CLEARED_WITHIN => return Err("the engine still has some of it".to_owned()),
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// The same for what was made here.
    pub async fn leave(&self) -> Result<usize, String> {
        self.clear(&self.mark).await
    }
}
