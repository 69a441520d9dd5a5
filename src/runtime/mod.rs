//! Turns the screens' effects into service calls, and what comes of them into actions.
//!
//! Runs begun here are carried out here; how they go is read back from the store like everybody
//! else's, so that this dashboard sees its own runs exactly as another admin's does.

mod asking;
mod calls;
mod define;
mod effects;
mod ends;
mod feed;
mod shells;

pub use shells::{attach, attach_console, attach_container};

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{Action, Effect, asked::AskId, attach::Attach},
    domain::{Clean, Definition, LabName, Level, RunId, alert::Alert},
    service::{Halt, Homeroom, Pager, RunHandle, own_key::can_leave},
};

/// Actions that may wait for the screens.
const QUEUE: usize = 512;

/// The screens' ends of the channels.
pub struct Ends {
    pub actions: mpsc::Receiver<Action>,
    pub effects: mpsc::Sender<Effect>,
    pub shells: mpsc::Receiver<Attach>,
}

/// What the parts of the runtime share.
pub(crate) struct Shared {
    home: Arc<Homeroom>,
    actions: mpsc::Sender<Action>,
    shells: mpsc::Sender<Attach>,
    /// Rung to look at every site now.
    look_now: Vec<Arc<Notify>>,
    /// Whether any lab has a run under way.
    busy: watch::Sender<bool>,
    runs: Mutex<BTreeMap<RunId, OwnRun>>,
    /// Calls off the command that seats are asked.
    asked: Mutex<Option<(AskId, CancellationToken)>>,
    successor: Successor,
    /// Whether effects that change anything are carried out.
    may: May,
    /// How definitions are read and written.
    desk: Option<Desk>,
    /// Where news for pagers go.
    calls: Option<mpsc::Sender<Alert>>,
}

/// Reads and checks the text of a definition, or says what is wrong with it.
type Read = dyn Fn(&str) -> Result<Definition, String> + Send + Sync;

/// Everything that is wrong with a text: about which key, and what.
type Check = dyn Fn(&str) -> Vec<(String, String)> + Send + Sync;

/// How definitions are read and written, which is a matter of the configuration.
#[derive(Clone)]
pub struct Desk {
    /// Reads and checks a text, as `apply` does.
    pub read: Arc<Read>,
    /// Tells everything that is wrong with a text.
    pub check: Arc<Check>,
    /// Writes a definition so that it can be read again.
    pub write: fn(&Definition) -> String,
}

/// What a runtime carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    Act,
    /// Looking only, whatever the screens ask for.
    Look,
}

/// A run this process carries out.
pub(crate) struct OwnRun {
    lab: LabName,
    halt: Halt,
}

/// Starts a process that goes on with a run as soon as this one lets it go.
pub type Successor = Box<dyn Fn(RunId) -> std::io::Result<()> + Send + Sync>;

/// The runtime of a dashboard.
pub struct Runtime {
    shared: Arc<Shared>,
    wishes: JoinHandle<()>,
}

impl Runtime {
    /// Starts watching sites and store, and carrying effects out.
    pub fn start(home: Arc<Homeroom>, successor: Successor, desk: Option<Desk>) -> (Self, Ends) {
        Self::begin(home, May::Act, Vec::new(), successor, desk)
    }

    /// The same for a screen nobody sits at: nothing that changes anything is carried out, and `pagers` are told
    /// what it calls for.
    pub fn start_kiosk(home: Arc<Homeroom>, pagers: Vec<Arc<dyn Pager>>) -> (Self, Ends) {
        // It never has a run in hand.
        Self::begin(home, May::Look, pagers, Box::new(|_| Ok(())), None)
    }

    fn begin(
        home: Arc<Homeroom>,
        may: May,
        pagers: Vec<Arc<dyn Pager>>,
        successor: Successor,
        desk: Option<Desk>,
    ) -> (Self, Ends) {
        let (actions, screen) = mpsc::channel(QUEUE);
        let (effects, wishes) = mpsc::channel(QUEUE);
        let (shells, opened) = mpsc::channel(1);
        let (busy, is_busy) = watch::channel(false);
        let look_now: Vec<_> =
            (0..home.sites.len() + home.engines.len() + home.clouds.len()).map(|_| Arc::new(Notify::new())).collect();
        let calls = (!pagers.is_empty()).then(|| calls::answer(pagers, actions.clone()));
        let (runs, asked) = (Mutex::default(), Mutex::default());
        let shared =
            Arc::new(Shared { home, actions, shells, look_now, busy, runs, asked, successor, may, desk, calls });
        feed::watch_sites(&shared, &is_busy);
        tokio::spawn(feed::follow_store(shared.clone()));
        if may == May::Act {
            ends::look_for_ends(&shared);
        }
        let wishes = tokio::spawn(effects::take_wishes(shared.clone(), wishes));
        (Self { shared, wishes }, Ends { actions: screen, effects, shells: opened })
    }

    /// Says a line once something has come to its end.
    pub fn tell_after(&self, ends: JoinHandle<()>, text: Clean) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if ends.await.is_ok() {
                shared.say(Action::Notice { level: Level::Info, text }).await;
            }
        });
    }

    /// Waits, once the screens are gone, until every run they asked for has begun or was refused.
    pub async fn settled(&mut self) {
        if let Err(fault) = (&mut self.wishes).await {
            tracing::error!(%fault, "a wish ended abnormally");
        }
    }

    /// Runs this process carries out, still under way.
    pub fn runs_in_hand(&self) -> Vec<(RunId, LabName)> {
        let runs = self.shared.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().map(|(run, own)| (*run, own.lab.clone())).collect()
    }

    /// Winds all of them down and waits until each has come to rest between two effects.
    pub async fn wind_down(&self) {
        for own in self.shared.runs.lock().unwrap_or_else(PoisonError::into_inner).values() {
            own.halt.stop.cancel();
        }
        while !self.runs_in_hand().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

impl Runtime {
    /// Has another process go on with every run, and lets each go once its request in flight is answered. What
    /// could not be handed over stays in hand.
    pub async fn hand_over(&self) {
        self.shared.hand_over().await;
    }
}

impl Shared {
    fn in_hand(&self) -> Vec<RunId> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Hands every run over; those that could not be, with the reason.
    async fn hand_over(&self) -> Vec<(RunId, std::io::Error)> {
        let mut kept = Vec::new();
        let mut given = Vec::new();
        let mut bound = BTreeMap::new();
        for run in self.in_hand() {
            if let Err(error) = can_leave(&self.home, run).await {
                bound.insert(run, std::io::Error::other(error.to_string()));
            }
        }
        {
            let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            for (run, own) in runs.iter() {
                match bound.remove(run).map_or_else(|| (self.successor)(*run), Err) {
                    Ok(()) => {
                        own.halt.hand_over();
                        given.push(*run);
                    }
                    Err(error) => {
                        tracing::error!(%run, %error, "no other process goes on with it");
                        kept.push((*run, error));
                    }
                }
            }
        }
        let in_hand = |run: &RunId| self.runs.lock().unwrap_or_else(PoisonError::into_inner).contains_key(run);
        while given.iter().any(in_hand) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        kept
    }

    /// Says something to the screens; false when there are none any more.
    async fn say(&self, action: Action) -> bool {
        self.actions.send(action).await.is_ok()
    }

    /// Keeps a run begun here until it has ended.
    fn keep(self: &Arc<Self>, handle: RunHandle) {
        let RunHandle { run, lab, halt, ended, .. } = handle;
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(run, OwnRun { lab, halt });
        let shared = self.clone();
        tokio::spawn(async move {
            if let Err(fault) = ended.await {
                tracing::error!(%run, %fault, "a run ended abnormally");
            }
            shared.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        });
    }
}
