//! When a guest's agent is worth asking.
//!
//! A question to an agent that is not up yet costs its node half a second of CPU and three seconds of
//! waiting, just while the node is busy booting. So one machine of each node goes ahead and is asked;
//! what its boot took tells when the others are due. What a template took is kept for the next run.
//!
//! Boots on a node share its processors, so a boot's length says little without its company. It is
//! therefore counted in *progress*: seconds of a boot that has all the processor time it can use. Of
//! `n` boots on a node that bears `k`, each makes `k / n` of progress a second.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::domain::{
    NodeName, SeatName, Vmid,
    paces::{Paces, Stretches, boot_key, boots_key},
};

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
    nodes: HashMap<NodeName, Node>,
    /// The shortest boot of a template seen in this run, in progress.
    by_template: HashMap<Vmid, f64>,
    /// The same, from earlier runs.
    learned: Paces,
    /// When machines booted, by node.
    stretches: Stretches,
}

/// A node's boots.
#[derive(Debug, Default)]
struct Node {
    /// Boots it bears at full speed, if that is known.
    borne: Option<f64>,
    /// When `progress` was brought up to date.
    at: Duration,
    /// What a boot that began with the run would have come to.
    progress: f64,
    /// Machines under way.
    booting: HashMap<SeatName, Boot>,
    /// What the latest boot took until it had its address, in progress.
    latest: Option<f64>,
    /// What it took until its agent answered, address or not; at most.
    latest_up: Option<f64>,
    /// From an agent's first answer to the address.
    behind: Option<Duration>,
    /// Machines that came up.
    came_up: usize,
    /// Who is asked first.
    leader: Option<SeatName>,
}

#[derive(Debug, Clone, Copy)]
struct Boot {
    /// The node's progress when it began.
    from: f64,
    began: Duration,
    /// Its own progress when it was last asked in vain.
    missed: Option<f64>,
    /// Its own progress, and the time, when its agent was first found up, without an address yet.
    up: Option<(f64, Duration)>,
}

/// A machine that is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub seat: &'a SeatName,
    pub node: &'a NodeName,
    pub template: Option<Vmid>,
    /// On the modelled clock.
    pub now: Duration,
}

/// How much earlier than the last boot the next one is expected to be done, where the last was asked
/// only once: it may have been up before.
const EARLY: f64 = 0.98;
/// Where between the last question in vain and the answer a boot is taken to have ended. A question too early
/// costs more time than one too late: a silent agent is waited for.
const LATE: f64 = 0.75;
/// A machine that takes this many times the first question's wait, or what is expected, is no measure any more.
const HOPELESS: f64 = 4.0;
/// Of a poll: the pause behind the first question in vain. Each further one is longer by half.
const SOON: f64 = 0.1;
/// Unanswered questions are put further and further apart, up to this many polls.
const SPARSEST: f64 = 4.0;
/// Boots a node bears at full speed, where nothing is known of its processors.
const BORNE: f64 = 4.0;
/// Questions to a leader before they are put further apart.
const PATIENT: u32 = 8;
/// So many times what a node bears, and more, show what it takes for each of many.
const MANY: f64 = 2.0;
/// Less than this is not waited for.
const AT_LEAST: Duration = Duration::from_millis(200);
/// Between looks at whether a processor is idle.
const LOOK: Duration = Duration::from_millis(500);

impl Boots {
    /// `learned` holds what earlier runs took.
    pub fn new(first_ask: Duration, poll: Duration, learned: Paces) -> Self {
        let state = State { learned, ..State::default() };
        Self { first_ask, poll, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node bears so many boots at full speed.
    pub fn bears(&self, node: &NodeName, boots: f64) {
        self.state().nodes.entry(node.clone()).or_default().borne = Some(boots.max(1.0));
    }

    /// A machine is started.
    pub fn begins(&self, machine: Waiting<'_>) {
        let mut state = self.state();
        let node = state.node(machine.node, machine.now);
        let boot = Boot { from: node.progress, began: machine.now, missed: None, up: None };
        node.booting.insert(machine.seat.clone(), boot);
    }

    /// How long to wait before the next question; zero: ask now. To be asked again after waiting.
    pub fn wait(&self, machine: Waiting<'_>) -> Duration {
        let mut state = self.state();
        let expected = state.expected(machine);
        let node = state.node(machine.node, machine.now);
        let Some(boot) = node.booting.get(machine.seat).copied() else { return Duration::ZERO };
        let elapsed = machine.now.saturating_sub(boot.began);
        if let (Some((_, up)), Some(behind)) = (boot.up, node.behind) {
            return (up + behind).saturating_sub(machine.now);
        }
        let left = |expected: f64| {
            // At full speed: it may be alone by then.
            Duration::try_from_secs_f64((boot.from + expected - node.progress).max(0.0)).unwrap_or_default()
        };
        // Where a processor is idle, a question to an agent that has no address yet costs nobody anything, and the
        // machine begins to settle with its answer.
        let early = node.latest_up.filter(|_| boot.up.is_none()).map(left);
        let early = match early {
            // As soon as a processor is idle, if that comes about.
            Some(Duration::ZERO) if !node.is_idle() => expected.map(|_| LOOK),
            early => early,
        };
        if let Some(left) = [expected.map(left), early].into_iter().flatten().min() {
            return if left.is_zero() { left } else { left.max(AT_LEAST) };
        }
        let leads = node.leader.get_or_insert_with(|| machine.seat.clone()) == machine.seat;
        if leads || elapsed >= self.first_ask.mul_f64(HOPELESS) {
            let left = self.first_ask.as_secs_f64() - (node.progress - boot.from);
            let left = Duration::try_from_secs_f64(left.max(0.0)).unwrap_or_default();
            return if left.is_zero() { left } else { left.max(AT_LEAST) };
        }
        // Until the leader is up; looking costs nobody anything.
        AT_LEAST
    }

    /// How long to wait after a question that was not answered; `asked` have been before it. Others wait for what
    /// a leader tells: it may be asked often.
    pub fn pause(&self, machine: Waiting<'_>, asked: u32) -> Duration {
        let mut state = self.state();
        let node = state.node(machine.node, machine.now);
        let leads = node.latest.is_none() && node.leader.as_ref() == Some(machine.seat);
        let asked = if leads { asked.saturating_sub(PATIENT) } else { asked };
        self.poll.mul_f64((SOON * 1.5f64.powi(asked.min(16) as i32)).min(SPARSEST))
    }

    /// A question put to the machine at `put` did not find it up. False if it is not taken for booting (any more):
    /// it hangs, or has no agent, or was not started by this run.
    pub fn missed(&self, machine: Waiting<'_>, put: Duration) -> bool {
        let mut state = self.state();
        let hopeless = state.hopeless(machine, self.first_ask);
        let node = state.node(machine.node, machine.now);
        let progress = node.progress;
        let rate = node.rate();
        let Some(boot) = node.booting.get_mut(machine.seat) else { return false };
        let since = machine.now.saturating_sub(put).as_secs_f64() * rate;
        boot.missed = Some((progress - since - boot.from).max(0.0));
        if machine.now.saturating_sub(boot.began) > hopeless {
            node.booting.remove(machine.seat);
            node.leader.take_if(|leader| *leader == *machine.seat);
            return false;
        }
        true
    }

    /// A question put to the machine at `put` found its agent up, and no address yet. False as for [`Self::missed`].
    pub fn heard(&self, machine: Waiting<'_>, put: Duration) -> bool {
        let goes_on = self.missed(machine, put);
        let mut state = self.state();
        let node = state.node(machine.node, machine.now);
        if let Some(boot) = node.booting.get_mut(machine.seat) {
            boot.up = boot.up.or(boot.missed.map(|missed| (missed, put)));
            node.latest_up = boot.up.map(|(up, _)| up);
        }
        goes_on
    }

    /// A question put to the machine at `put` found it up.
    pub fn answered(&self, machine: Waiting<'_>, put: Duration) {
        let mut state = self.state();
        let node = state.node(machine.node, machine.now);
        let rate = node.rate();
        let Some(boot) = node.booting.remove(machine.seat) else { return };
        let since = machine.now.saturating_sub(put).as_secs_f64() * rate;
        let took = (node.progress - since - boot.from).max(0.0);
        // Somewhere between the last question in vain and this one.
        let took = boot.missed.map_or(took * EARLY, |missed| missed + (took - missed) * LATE);
        node.latest = Some(took);
        if let Some((_, at)) = boot.up {
            let behind = put.saturating_sub(at);
            node.behind = Some(node.behind.map_or(behind, |known| known.min(behind)));
        }
        node.came_up += 1;
        state.stretches.add(boots_key(machine.node), boot.began, machine.now);
        if let Some(template) = machine.template {
            let best = state.by_template.entry(template).or_insert(took);
            *best = best.min(took);
        }
    }

    /// What is worth keeping: the shortest boot of each template, and what a node took for each of many; in seconds.
    pub fn learned(&self) -> Vec<(String, f64)> {
        let state = self.state();
        let boots = state.by_template.iter().map(|(template, boot)| (boot_key(*template), *boot));
        let had_many = |key: &str| {
            let many = |node: &Node| node.came_up as f64 >= MANY * node.borne.unwrap_or(BORNE);
            state.nodes.iter().any(|(name, node)| boots_key(name) == key && many(node))
        };
        let each = state.stretches.each().into_iter().filter(|(key, _)| had_many(key));
        let each = each.map(|(key, new)| {
            let blended = state.learned.blended(&key, new);
            (key, blended)
        });
        boots.chain(each).collect()
    }
}

impl State {
    /// The node, its progress brought up to date.
    fn node(&mut self, name: &NodeName, now: Duration) -> &mut Node {
        let node = self.nodes.entry(name.clone()).or_default();
        let passed = now.saturating_sub(node.at).as_secs_f64();
        node.progress += passed * node.rate();
        node.at = now;
        node
    }

    /// What this machine's boot should take: as the last one on its node, else as its template took before.
    fn expected(&self, machine: Waiting<'_>) -> Option<f64> {
        let latest = self.nodes.get(machine.node).and_then(|node| node.latest);
        latest.or_else(|| self.learned.boot(machine.template?))
    }

    /// After this long a machine is not taken for booting any more.
    fn hopeless(&self, machine: Waiting<'_>, first_ask: Duration) -> Duration {
        let expected = self.expected(machine).and_then(|expected| Duration::try_from_secs_f64(expected).ok());
        expected.unwrap_or_default().max(first_ask).mul_f64(HOPELESS)
    }
}

impl Node {
    /// Whether one of its boots, once it is done, leaves half of its processor time or more that no other can use.
    fn is_idle(&self) -> bool {
        self.booting.len() as f64 - 0.5 <= self.borne.unwrap_or(BORNE)
    }

    /// Progress a second of each boot under way.
    fn rate(&self) -> f64 {
        (self.borne.unwrap_or(BORNE) / self.booting.len().max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FIRST: Duration = Duration::from_secs(8);
    const POLL: Duration = Duration::from_secs(3);

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn waiting<'a>(seat: &'a SeatName, node: &'a NodeName, seconds: f64) -> Waiting<'a> {
        Waiting { seat, node, template: Some(Vmid::new(9000).unwrap()), now: at(seconds) }
    }

    fn names() -> (SeatName, SeatName, NodeName) {
        (SeatName::new("ada").unwrap(), SeatName::new("bob").unwrap(), NodeName::new("pve1"))
    }

    fn none(borne: u32) -> Boots {
        let boots = Boots::new(FIRST, POLL, Paces::default());
        boots.bears(&NodeName::new("pve1"), f64::from(borne));
        boots
    }

    #[test]
    fn one_machine_of_a_node_goes_ahead_and_the_others_follow_its_measure() {
        let (boots, (ada, bob, node)) = (none(4), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.begins(waiting(&bob, &node, 5.0));
        assert_eq!(boots.wait(waiting(&ada, &node, 8.0)), Duration::ZERO);
        assert!(boots.wait(waiting(&bob, &node, 14.0)) > Duration::ZERO);
        boots.answered(waiting(&ada, &node, 20.0), at(20.0));
        assert!(boots.wait(waiting(&bob, &node, 20.5)) > at(3.5));
        assert_eq!(boots.wait(waiting(&bob, &node, 24.7)), Duration::ZERO);
    }

    #[test]
    fn a_leader_that_never_answers_holds_nobody_up_for_ever() {
        let (boots, (ada, bob, node)) = (none(4), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.begins(waiting(&bob, &node, 0.0));
        assert_eq!(boots.wait(waiting(&ada, &node, 30.0)), Duration::ZERO);
        assert_eq!(boots.wait(waiting(&bob, &node, 32.0)), Duration::ZERO);
    }

    #[test]
    fn what_a_template_took_is_known_to_the_next_run() {
        let (boots, (ada, bob, node)) = (none(4), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.answered(waiting(&ada, &node, 25.0), at(25.0));
        let next = Boots::new(FIRST, POLL, Paces::of(boots.learned()));
        next.begins(waiting(&bob, &node, 0.0));
        assert!(next.wait(waiting(&bob, &node, 8.0)) > at(14.0));
    }

    #[test]
    fn of_more_boots_than_a_node_bears_each_takes_longer_and_is_asked_later() {
        let (boots, (ada, bob, node)) = (none(1), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.answered(waiting(&ada, &node, 10.0), at(10.0));
        boots.begins(waiting(&ada, &node, 20.0));
        boots.begins(waiting(&bob, &node, 20.0));
        // Ten seconds alone are twenty of two.
        assert!(boots.wait(waiting(&bob, &node, 31.0)) > at(3.0));
        assert_eq!(boots.wait(waiting(&bob, &node, 40.0)), Duration::ZERO);
    }

    #[test]
    fn a_boot_lies_between_the_last_question_in_vain_and_the_first_answer() {
        let (boots, (ada, bob, node)) = (none(4), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.missed(waiting(&ada, &node, 12.0), at(10.0));
        boots.answered(waiting(&ada, &node, 14.0), at(14.0));
        boots.begins(waiting(&bob, &node, 20.0));
        assert_eq!(boots.wait(waiting(&bob, &node, 20.0)), at(13.0));
    }

    #[test]
    fn a_leader_that_never_gets_an_address_holds_nobody_up_for_ever() {
        let (boots, (ada, bob, node)) = (none(1), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.begins(waiting(&bob, &node, 0.0));
        boots.heard(waiting(&ada, &node, 16.0), at(15.0));
        assert_eq!(boots.wait(waiting(&bob, &node, 32.0)), Duration::ZERO);
    }

    #[test]
    fn a_machine_that_is_up_without_an_address_tells_when_others_begin_to_settle_where_processors_are_idle() {
        let (ada, bob, node) = names();
        let up_at_16 = |borne| {
            let boots = none(borne);
            boots.begins(waiting(&ada, &node, 0.0));
            boots.begins(waiting(&bob, &node, 4.0));
            boots.heard(waiting(&ada, &node, 16.5), at(16.0));
            boots
        };
        let boots = up_at_16(2);
        assert!(boots.wait(waiting(&bob, &node, 19.9)) > Duration::ZERO);
        assert_eq!(boots.wait(waiting(&bob, &node, 20.1)), Duration::ZERO);
        // It has answered: nothing is asked of it again before an address is due.
        boots.answered(waiting(&ada, &node, 18.5), at(18.0));
        boots.heard(waiting(&bob, &node, 20.6), at(20.1));
        assert_eq!(boots.wait(waiting(&bob, &node, 20.6)), at(1.5));
        // With one processor's worth for both, a question holds the boots up.
        assert!(up_at_16(1).wait(waiting(&bob, &node, 20.1)) > Duration::ZERO);
    }

    #[test]
    fn a_machine_that_never_comes_up_slows_nobody_s_reckoning_for_ever() {
        let (boots, (ada, bob, node)) = (none(1), names());
        boots.begins(waiting(&ada, &node, 0.0));
        boots.missed(waiting(&ada, &node, 40.0), at(37.0));
        boots.begins(waiting(&bob, &node, 40.0));
        boots.answered(waiting(&bob, &node, 50.0), at(50.0));
        let (_, took) = boots.learned()[0].clone();
        assert!((9.0..=10.0).contains(&took), "{took}");
    }
}
