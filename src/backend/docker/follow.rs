//! What happens to containers, as the engine tells it.

use std::collections::HashMap;

use bollard::{
    Docker,
    errors::Error,
    models::{EventMessage, EventMessageTypeEnum},
    query_parameters::EventsOptionsBuilder,
};
use futures_util::{TryStreamExt, stream};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::known::Known;
use crate::{
    domain::{Clean, label::OURS},
    port::containers::Happening,
};

/// What is worth a look; commands run inside, which the engine tells as well, are not.
const KINDS: [&str; 10] =
    ["create", "start", "die", "oom", "destroy", "rename", "pause", "unpause", "restart", "update"];
/// The same of networks.
const OF_NETWORKS: [&str; 2] = ["connect", "disconnect"];

/// Tells of every change of ours until the connection breaks or nobody listens.
pub async fn follow(docker: &Docker, tell: mpsc::Sender<Happening>, known: &Known) -> Result<(), Error> {
    // By the engine's own clock: what happens between this question and the next is told again.
    let since = docker.info().await?.system_time.and_then(|time| time.parse::<Timestamp>().ok());
    let since = seconds(since.unwrap_or_else(Timestamp::now));
    if tell.send(Happening::Listening).await.is_err() {
        return Ok(());
    }
    let _following = known.follow();
    let listen = |filters| docker.events(Some(EventsOptionsBuilder::new().since(&since).filters(&filters).build()));
    // What happens to a network carries no labels, whose it is.
    let mut events = Box::pin(stream::select(listen(filters(&KINDS)), listen(of_networks())));
    loop {
        let event = tokio::select! {
            event = events.try_next() => event?,
            () = tell.closed() => return Ok(()),
        };
        // The engine ends the list when it stops.
        let Some(event) = event else { return Ok(()) };
        let actor = event.actor.unwrap_or_default();
        let name = actor.attributes.and_then(|about| about.get("name").cloned()).unwrap_or_default();
        if event.typ == Some(EventMessageTypeEnum::NETWORK) {
            if !known.is_our_network(&name) {
                continue;
            }
        } else if let Some(id) = &actor.id {
            known.forget(id);
        }
        let what = Clean::new(event.action.unwrap_or_default());
        if tell.send(Happening::Changed { container: Clean::new(name), what }).await.is_err() {
            return Ok(());
        }
    }
}

/// Containers of ours in which something was lately killed for want of memory, by name: the engine remembers its last
/// few hundred events.
pub async fn out_of_memory(docker: &Docker, until: Timestamp) -> HashMap<String, Timestamp> {
    let options = EventsOptionsBuilder::new().since("0").until(&seconds(until)).filters(&filters(&["oom"])).build();
    let mut events = Box::pin(docker.events(Some(options)));
    let mut found = HashMap::new();
    // An engine that does not tell is no reason to see nothing.
    while let Ok(Some(event)) = events.try_next().await {
        if let Some((name, at)) = named(event) {
            found.insert(name, at);
        }
    }
    found
}

fn named(event: EventMessage) -> Option<(String, Timestamp)> {
    let name = event.actor?.attributes?.get("name")?.clone();
    let at = match (event.time_nano, event.time) {
        (Some(nanos), _) => Timestamp::from_nanosecond(i128::from(nanos)).ok()?,
        (None, time) => Timestamp::from_second(time?).ok()?,
    };
    Some((name, at))
}

fn of_networks() -> HashMap<String, Vec<String>> {
    let kinds = OF_NETWORKS.iter().map(|kind| (*kind).to_owned()).collect();
    HashMap::from([("type".to_owned(), vec!["network".to_owned()]), ("event".to_owned(), kinds)])
}

fn filters(kinds: &[&str]) -> HashMap<String, Vec<String>> {
    let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    HashMap::from([
        ("type".to_owned(), vec!["container".to_owned()]),
        ("label".to_owned(), vec![OURS.to_owned()]),
        ("event".to_owned(), kinds),
    ])
}

/// As the engine reads times: `1700000000.000000001`.
fn seconds(at: Timestamp) -> String {
    format!("{}.{:09}", at.as_second(), at.subsec_nanosecond().max(0))
}
