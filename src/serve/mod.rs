//! `serve`: workshops joined from a browser, an API and metrics, over plain HTTP.
//!
//! Whoever can reach the address may ask, so nothing here is taken without a bound: connections, headers, bodies,
//! times, and wrong codes. It may use the services and nothing below them.

mod answer;
mod form;
mod metrics;
mod page;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::metrics::Counts;
use crate::{
    domain::{
        LabName, RunId,
        event::{RunKind, RunState},
        guesses::Guesses,
    },
    service::{Homeroom, RunHandle, deaths, ends::keep_looking},
};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;
/// Bytes of a request's head, and header lines in it.
const HEAD: usize = 16 * 1024;
const HEADERS: usize = 64;
/// From the beginning of a request, or the end of the one before, until its head is there: wall time.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// A connection is not kept longer than this, however busy: wall time.
const CONNECTION_FOR: Duration = Duration::from_secs(300);
/// What is under way when it is stopped has so long to end: wall time.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// After an error of the operating system: wall time.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// Something that came about here without anybody asking for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub lab: LabName,
    pub run: RunId,
    pub kind: RunKind,
    /// How it ended; `None` as it begins.
    pub ended: Option<RunState>,
}

/// Whoever hears of it.
pub type Told = Box<dyn Fn(&News) + Send + Sync>;

/// What requests share.
struct Shared {
    home: Arc<Homeroom>,
    guesses: Mutex<Guesses<IpAddr>>,
    /// Codes are looked up one after the other: no guess is made while another's end is unknown.
    turn: tokio::sync::Mutex<()>,
    /// Proxies whose word is taken for who asks.
    trusted: Vec<IpAddr>,
    counts: Counts,
    began: Instant,
    /// Runs begun here, waited for at the end.
    runs: TaskTracker,
    /// Hears of runs that the end of a workshop, or a renewed certificate, has begun.
    told: Told,
    /// The last look at every lab, for metrics.
    looked: tokio::sync::Mutex<Option<(Instant, String)>>,
}

impl Shared {
    /// Keeps a run begun here until it has ended.
    fn keep(&self, run: RunHandle) {
        let RunHandle { run, ended, .. } = run;
        self.runs.spawn(async move {
            if let Err(fault) = ended.await {
                tracing::error!(%run, %fault, "a run ended abnormally");
            }
        });
    }

    /// The same for one that nobody asked for: it is told of as it begins and as it has ended.
    async fn keep_and_tell(self: Arc<Self>, run: RunHandle) {
        let RunHandle { run, lab, ended, .. } = run;
        let kind = match self.home.store.run(run).await {
            Ok((row, _)) => row.kind,
            Err(_) => RunKind::Destroy,
        };
        (self.told)(&News { lab: lab.clone(), run, kind, ended: None });
        match ended.await {
            Ok(Ok(state)) => (self.told)(&News { lab, run, kind, ended: Some(state) }),
            Ok(Err(lost)) => tracing::error!(%run, %lost, "a run's end is not written down"),
            Err(fault) => tracing::error!(%run, %fault, "a run ended abnormally"),
        }
    }

    /// How long this address has to wait before it may try a code.
    fn may_try(&self, who: IpAddr) -> Result<(), Duration> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).may_try(&network(who), self.began.elapsed())
    }

    /// Who asks: whoever connected, or whom a trusted proxy names, the last in the line that is no such proxy itself.
    fn asker(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let trusted = |who: &IpAddr| self.trusted.iter().any(|known| known.to_canonical() == who.to_canonical());
        if !trusted(&peer) {
            return peer;
        }
        let named = forwarded.iter().flat_map(|line| line.split(',')).rev().map(|word| word.trim().parse::<IpAddr>());
        // Behind a word that is no address nobody is to be believed.
        named.map_while(Result::ok).find(|who| !trusted(who)).unwrap_or(peer)
    }

    fn guessed_wrong(&self, who: IpAddr) {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner).wrong(&network(who), self.began.elapsed());
    }
}

/// Whoever has one address of IPv6 has all of its network's.
fn network(who: IpAddr) -> IpAddr {
    match who.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// Serves until `stop`, then ends what is under way: requests within some seconds, runs begun here to their end.
/// `trusted` are proxies in front of it, whose `X-Forwarded-For` says who asks; `told` hears of what is done here that
/// nobody asked for.
pub async fn serve(
    home: Arc<Homeroom>,
    listener: TcpListener,
    trusted: Vec<IpAddr>,
    told: Told,
    stop: CancellationToken,
) {
    let shared = Arc::new(Shared {
        home,
        guesses: Mutex::default(),
        turn: tokio::sync::Mutex::default(),
        trusted,
        counts: Counts::default(),
        began: Instant::now(),
        runs: TaskTracker::new(),
        told,
        looked: tokio::sync::Mutex::default(),
    });
    let connections = TaskTracker::new();
    let ends = {
        let shared = shared.clone();
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = deaths::keep_looking(&shared.home) => {}
                () = keep_looking(&shared.home, |run| drop(shared.runs.spawn(shared.clone().keep_and_tell(run)))) => {}
            }
        })
    };
    accept(&shared, &listener, &stop, &connections).await;
    drop(listener);
    connections.close();
    if timeout(LAST_WORDS, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections were cut: they did not end in time");
    }
    let _ = ends.await;
    shared.runs.close();
    shared.runs.wait().await;
}

async fn accept(shared: &Arc<Shared>, listener: &TcpListener, stop: &CancellationToken, connections: &TaskTracker) {
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let place = free.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accepted => accepted,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, who))) => {
                connections.spawn(connection(shared.clone(), stream, who, stop.clone(), place));
            }
            (Err(_), _) => return,
            (_, Err(error)) => {
                // Such as too many open files: it passes, and trying at once would only burn.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}

async fn connection(
    shared: Arc<Shared>,
    stream: TcpStream,
    who: SocketAddr,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer::answer(shared.clone(), who.ip(), request));
    let mut server = http1::Builder::new();
    server.max_headers(HEADERS).max_buf_size(HEAD).timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let serving = server.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = tokio::time::sleep(CONNECTION_FOR) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%who, %error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_of_one_network_guess_together() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(network(address("2001:db8:1:2::5")), network(address("2001:db8:1:2:ffff::9")));
        assert_ne!(network(address("2001:db8:1:2::5")), network(address("2001:db8:1:3::5")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
        assert_ne!(network(address("192.0.2.1")), network(address("192.0.2.2")));
    }
}
