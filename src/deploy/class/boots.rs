//! When a guest's agent is worth asking.
//!
//! A question to an agent that is not up yet costs its node half a second of CPU and three seconds of
//! waiting, just while the node is busy booting. So one machine of each node goes ahead and is asked;
//! what its boot took tells when the others are due. What a template took is kept for the next run.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::domain::{NodeName, SeatName, Vmid};

/// What is known of boots in one run.
#[derive(Debug)]
pub struct Boots {
    /// From a start to the first question, where nothing is known.
    first_ask: Duration,
    /// Between questions to a machine that is due.
    poll: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the latest boot on a node took.
    by_node: HashMap<NodeName, Duration>,
    /// The shortest boot of a template seen in this run.
    by_template: HashMap<Vmid, Duration>,
    /// The same, from earlier runs.
    learned: HashMap<Vmid, Duration>,
    /// Who is asked first on a node.
    leaders: HashMap<NodeName, SeatName>,
}

/// A machine that is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub seat: &'a SeatName,
    pub node: &'a NodeName,
    pub template: Option<Vmid>,
    /// Since its start.
    pub elapsed: Duration,
}

/// How much earlier than the last boot the next one is expected to be done at best.
const EARLY: f64 = 0.92;
/// A leader that takes this many times the first question's wait is no measure any more.
const HOPELESS: f64 = 4.0;
/// Unanswered questions are put further and further apart, up to this many polls.
const SPARSEST: f64 = 4.0;

impl Boots {
    /// `learned` holds what templates took in earlier runs, in seconds, as [`Boots::learned`] writes it.
    pub fn new(first_ask: Duration, poll: Duration, learned: &HashMap<String, f64>) -> Self {
        let known = learned.iter().filter_map(|(key, seconds)| {
            let template = Vmid::new(key.strip_prefix(KEY)?.parse().ok()?).ok()?;
            Some((template, Duration::try_from_secs_f64(*seconds).ok()?))
        });
        let state = State { learned: known.collect(), ..State::default() };
        Self { first_ask, poll, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait before the next question; zero: ask now. To be asked again after waiting.
    pub fn wait(&self, machine: Waiting<'_>) -> Duration {
        let mut state = self.state();
        if let Some(boot) = state.expected(machine) {
            return boot.mul_f64(EARLY).saturating_sub(machine.elapsed);
        }
        let leads = {
            let leader = state.leaders.entry(machine.node.clone()).or_insert_with(|| machine.seat.clone());
            leader == machine.seat
        };
        let hopeless = self.first_ask.mul_f64(HOPELESS);
        if leads || machine.elapsed >= hopeless {
            return self.first_ask.saturating_sub(machine.elapsed);
        }
        self.poll.min(hopeless.saturating_sub(machine.elapsed)).max(Duration::from_millis(100))
    }

    /// How long to wait after a question that was not answered.
    pub fn pause(&self, asked: u32) -> Duration {
        self.poll.mul_f64(1.3f64.powi(asked.min(16) as i32).min(SPARSEST))
    }

    /// A machine answered for the first time.
    pub fn answered(&self, machine: Waiting<'_>) {
        let mut state = self.state();
        state.by_node.insert(machine.node.clone(), machine.elapsed);
        if let Some(template) = machine.template {
            let best = state.by_template.entry(template).or_insert(machine.elapsed);
            *best = (*best).min(machine.elapsed);
        }
    }

    /// What is worth keeping: the shortest boot of each template, in seconds.
    pub fn learned(&self) -> Vec<(String, f64)> {
        let state = self.state();
        state.by_template.iter().map(|(template, boot)| (format!("{KEY}{template}"), boot.as_secs_f64())).collect()
    }
}

/// What learned boots are kept under: `boot/9000`.
const KEY: &str = "boot/";

impl State {
    /// What this machine's boot should take: as the last one on its node, else as its template took before.
    fn expected(&self, machine: Waiting<'_>) -> Option<Duration> {
        let template = machine.template.as_ref();
        self.by_node.get(machine.node).or_else(|| template.and_then(|template| self.learned.get(template))).copied()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FIRST: Duration = Duration::from_secs(8);
    const POLL: Duration = Duration::from_secs(3);

    fn waiting<'a>(seat: &'a SeatName, node: &'a NodeName, seconds: u64) -> Waiting<'a> {
        let template = Some(Vmid::new(9000).unwrap());
        Waiting { seat, node, template, elapsed: Duration::from_secs(seconds) }
    }

    #[test]
    fn one_machine_of_a_node_goes_ahead_and_the_others_follow_its_measure() {
        let boots = Boots::new(FIRST, POLL, &HashMap::new());
        let (ada, bob, node) = (SeatName::new("ada").unwrap(), SeatName::new("bob").unwrap(), NodeName::new("pve1"));
        assert_eq!(boots.wait(waiting(&ada, &node, 8)), Duration::ZERO);
        assert!(boots.wait(waiting(&bob, &node, 9)) > Duration::ZERO);
        boots.answered(waiting(&ada, &node, 20));
        assert!(boots.wait(waiting(&bob, &node, 10)) > Duration::from_secs(8));
        assert_eq!(boots.wait(waiting(&bob, &node, 19)), Duration::ZERO);
    }

    #[test]
    fn a_leader_that_never_answers_holds_nobody_up_for_ever() {
        let boots = Boots::new(FIRST, POLL, &HashMap::new());
        let (ada, bob, node) = (SeatName::new("ada").unwrap(), SeatName::new("bob").unwrap(), NodeName::new("pve1"));
        assert_eq!(boots.wait(waiting(&ada, &node, 30)), Duration::ZERO);
        assert_eq!(boots.wait(waiting(&bob, &node, 32)), Duration::ZERO);
    }

    #[test]
    fn what_a_template_took_is_known_to_the_next_run() {
        let boots = Boots::new(FIRST, POLL, &HashMap::new());
        let (ada, node) = (SeatName::new("ada").unwrap(), NodeName::new("pve1"));
        boots.answered(waiting(&ada, &node, 25));
        let next = Boots::new(FIRST, POLL, &boots.learned().into_iter().collect());
        assert!(next.wait(waiting(&ada, &node, 8)) > Duration::from_secs(14));
    }
}
