//! Few logins at once on one machine: OpenSSH turns newcomers away once some are under way (`MaxStartups`, 10 by
//! default), and each costs the machine its share of CPU. Knows nothing of what is done once one is in.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::{login::TURNED_AWAY, name_of};
use crate::port::shell::{ShellError, ShellTarget};

/// Logins at once on one machine, until it turns one away.
const AT_ONCE: usize = 6;
/// How often a login that was turned away is tried in all, and the wait before the second try; each further one is
/// twice as long.
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_millis(100);

/// The gates, by where they stand.
#[derive(Debug, Default)]
pub(super) struct Gates(Mutex<HashMap<String, Arc<Gate>>>);

#[derive(Debug)]
pub(super) struct Gate {
    turns: Semaphore,
    /// How many may be under way now: fewer once the machine turned one away.
    width: Mutex<usize>,
    /// The last login that found nobody there: who waited for its turn meanwhile shares its answer.
    nobody: Mutex<Option<(Instant, ShellError)>>,
}

impl Gates {
    pub(super) fn of(&self, target: &ShellTarget) -> Arc<Gate> {
        let way = std::iter::successors(Some(target), |target| target.via.as_deref());
        let key = way.map(|target| name_of(&target.host, target.port)).collect::<Vec<_>>().join(" by ");
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = || Gate { turns: Semaphore::new(AT_ONCE), width: Mutex::new(AT_ONCE), nobody: Mutex::default() };
        Arc::clone(gates.entry(key).or_insert_with(|| Arc::new(gate())))
    }
}

impl Gate {
    /// Logs in when it is our turn, and again after a while where the machine has too many at once.
    pub(super) async fn pass<T, F>(&self, log_in: impl Fn() -> F) -> Result<T, ShellError>
    where
        F: Future<Output = Result<T, ShellError>>,
    {
        let asked = Instant::now();
        let mut wait = WAIT;
        let mut tries_left = TRIES;
        loop {
            tries_left -= 1;
            let turn = self.turns.acquire().await;
            if let Some((at, error)) = self.nobody.lock().unwrap_or_else(PoisonError::into_inner).clone()
                && at >= asked
            {
                return Err(error);
            }
            match log_in().await {
                Err(error) if turned_away(&error) && tries_left > 0 => {
                    self.narrow(turn.ok());
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                outcome => {
                    if let Err(error @ (ShellError::Unreachable { .. } | ShellError::TimedOut { .. })) = &outcome {
                        let now = Some((Instant::now(), error.clone()));
                        *self.nobody.lock().unwrap_or_else(PoisonError::into_inner) = now;
                    }
                    return outcome;
                }
            }
        }
    }

    /// One fewer at once from now on, but one always.
    fn narrow(&self, turn: Option<tokio::sync::SemaphorePermit<'_>>) {
        let mut width = self.width.lock().unwrap_or_else(PoisonError::into_inner);
        if *width > 1
            && let Some(turn) = turn
        {
            *width -= 1;
            turn.forget();
        }
    }
}

fn turned_away(error: &ShellError) -> bool {
    matches!(error, ShellError::Broken { why, .. } if why.as_str() == TURNED_AWAY)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;
    use crate::port::shell::HostKey;

    fn gate() -> Arc<Gate> {
        let (host, user) = ("pve1".to_owned(), "root".to_owned());
        let target =
            ShellTarget { host, port: 22, user, keys: vec![], ask_agent: false, host_key: HostKey::Known, via: None };
        Gates::default().of(&target)
    }

    fn broken(why: &str) -> ShellError {
        ShellError::Broken { host: "pve1".into(), why: why.into() }
    }

    #[tokio::test]
    async fn a_machine_that_lets_few_in_at_once_lets_all_in_one_after_another() {
        let (gate, inside, turned) = (gate(), AtomicUsize::new(0), AtomicUsize::new(0));
        let log_in = || async {
            if inside.fetch_add(1, Ordering::SeqCst) >= 2 {
                inside.fetch_sub(1, Ordering::SeqCst);
                turned.fetch_add(1, Ordering::SeqCst);
                return Err(broken(TURNED_AWAY));
            }
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        };
        let all = join_all((0..30).map(|_| gate.pass(&log_in))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
        assert!(turned.into_inner() <= AT_ONCE * 2, "it learns how many there may be");
    }

    #[tokio::test]
    async fn who_waited_for_a_machine_that_is_not_there_shares_the_first_answer() {
        let (gate, tried, patience) = (gate(), AtomicUsize::new(0), Semaphore::new(0));
        let log_in = || async {
            tried.fetch_add(1, Ordering::SeqCst);
            let _ = patience.acquire().await;
            Err::<(), _>(ShellError::TimedOut { host: "pve1".into(), within: WAIT })
        };
        let giving_up = async {
            // Once all have asked, those before them find nobody.
            tokio::task::yield_now().await;
            patience.close();
        };
        let (all, ()) = tokio::join!(join_all((0..30).map(|_| gate.pass(&log_in))), giving_up);
        assert!(all.iter().all(|it| matches!(it, Err(ShellError::TimedOut { .. }))), "{all:?}");
        assert_eq!(tried.into_inner(), AT_ONCE, "nobody waits a second time");
        assert!(gate.pass(|| async { Ok(()) }).await.is_ok(), "who comes later tries anew");
    }

    #[tokio::test]
    async fn only_who_was_turned_away_before_anything_began_tries_again() {
        let (gate, tries) = (gate(), AtomicUsize::new(0));
        let log_in = || async {
            tries.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(broken("it broke off"))
        };
        assert!(gate.pass(&log_in).await.is_err());
        assert_eq!(tries.swap(0, Ordering::SeqCst), 1);
        let away = || async {
            tries.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(broken(TURNED_AWAY))
        };
        assert_eq!(gate.pass(&away).await, Err(broken(TURNED_AWAY)));
        assert_eq!(tries.into_inner(), TRIES as usize);
    }
}
