//! The live ends of the shells in the dashboard: what they say comes by one bounded channel, what is typed
//! goes to each by its own.

use std::collections::BTreeMap;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::app::{
    Action, State,
    attach::{Attach, FromShell, ToShell},
    shells::{Tab, TabId},
};

/// Pieces of output on their way, of all shells together: a flood waits in SSH's own window, and a key for no more than
/// these to be taken in.
const QUEUE: usize = 8;

struct Live {
    to: mpsc::Sender<ToShell>,
    size: (u16, u16),
    carrier: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}

/// All open shells. Dropping it closes them.
pub struct Tabs {
    live: BTreeMap<TabId, Live>,
    said: mpsc::Receiver<(TabId, FromShell)>,
    saying: mpsc::Sender<(TabId, FromShell)>,
}

impl Tabs {
    pub fn new() -> Self {
        let (saying, said) = mpsc::channel(QUEUE);
        Self { live: BTreeMap::new(), said, saying }
    }

    /// Takes an open terminal as the tab it was asked for.
    pub fn open(&mut self, attach: Attach) {
        let Attach { id, to, mut from, .. } = attach;
        let saying = self.saying.clone();
        let carrier = tokio::spawn(async move {
            loop {
                let said = from.recv().await.unwrap_or_else(|| FromShell::Lost("the connection was closed".into()));
                let last = !matches!(said, FromShell::Bytes(_));
                if saying.send((id, said)).await.is_err() || last {
                    return;
                }
            }
        });
        self.live.insert(id, Live { to, size: (0, 0), carrier });
    }

    /// What some shells said, up to what is waiting. May be called off.
    pub async fn next(&mut self) -> Vec<Action> {
        let mut said = Vec::with_capacity(QUEUE);
        self.said.recv_many(&mut said, QUEUE).await;
        let action = |(id, said)| match said {
            FromShell::Bytes(bytes) => Action::ShellSaid { id, bytes },
            FromShell::Exit(code) => Action::TabEnded { id, end: Ok(code) },
            FromShell::Lost(why) => Action::TabEnded { id, end: Err(why) },
        };
        said.into_iter().map(action).collect()
    }

    /// Closes what the screens have closed, and tells the others their size.
    pub fn follow(&mut self, state: &State) {
        let tabs = &state.shells.tabs;
        self.live.retain(|id, _| tabs.iter().any(|tab| tab.id == *id && tab.end.is_none()));
        for tab in tabs {
            if let Some(live) = self.live.get_mut(&tab.id)
                && live.size != tab.size()
                && live.to.try_send(ToShell::Resize(tab.size().0, tab.size().1)).is_ok()
            {
                live.size = tab.size();
            }
        }
    }

    /// Sends a guest an answer; one that takes nothing gets none.
    pub fn answer(&self, id: TabId, bytes: Vec<u8>) {
        self.give(id, bytes);
    }

    /// False where a shell takes no more.
    fn give(&self, id: TabId, bytes: Vec<u8>) -> bool {
        self.live.get(&id).is_none_or(|live| live.to.try_send(ToShell::Bytes(bytes)).is_ok())
    }

    /// Passes on what was typed; false where a shell takes no more.
    pub fn type_in(&self, state: &State, typed: &[u8]) -> bool {
        let places = state.shells.places(state.size);
        let send = |tab: &Tab| {
            let place = places.iter().find(|(at, _)| state.shells.tabs.get(*at).is_some_and(|t| t.id == tab.id));
            let keys = tab.keys(typed, place.map(|(_, place)| *place));
            keys.is_empty() || self.give(tab.id, keys)
        };
        // Every one of them, whatever the others say.
        state.shells.typed_into().filter(|tab| !send(tab)).count() == 0
    }
}
