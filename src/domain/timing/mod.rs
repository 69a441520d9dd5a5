//! Where a run's time went: per seat and step, waiting apart from working; and what held it up.
//!
//! Computed from the run's events alone. Times are the wall's, counted from the beginning of the run.

mod cause;
#[cfg(test)]
pub mod fixture;
mod ruler;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

pub use ruler::{Bar, Ruler};

use super::{
    Change, Event, NodeName, Plan, RunId, SeatName, StepName,
    class::{Order, Profile},
    event::RunState,
};

/// A run in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    pub run: RunId,
    pub began: Timestamp,
    /// How long it took; absent while it goes on.
    pub took: Option<Duration>,
    pub state: RunState,
    /// In the order of the run.
    pub seats: Vec<SeatTiming>,
    /// When anything was written down last.
    last: Duration,
    /// What seats can wait for, as the plan has it.
    storages: BTreeMap<SeatName, String>,
    order: Order,
    /// One machine is proven after the other.
    strict: bool,
    /// For how long agents are left to settle, in modelled time: that is no work of theirs.
    settle: Duration,
    /// When nobody carried it out.
    breaks: Vec<(Duration, Duration)>,
    /// Clones that were asked for and of which nothing was heard.
    silence: Silence,
}

/// One seat's share.
#[derive(Debug, Clone, PartialEq)]
pub struct SeatTiming {
    pub seat: SeatName,
    pub node: Option<NodeName>,
    /// By their beginning. Proofs may overlap; waiting never overlaps anything.
    pub spans: Vec<Span>,
    pub end: SeatEnd,
}

/// How a seat's part in the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatEnd {
    Open,
    Well(Duration),
    Failed(Duration),
}

/// A stretch of time of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub step: StepName,
    pub kind: SpanKind,
    pub from: Duration,
    /// Absent while it goes on.
    pub to: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Ready to begin, and not let in yet.
    Waiting,
    Working,
    /// Between an attempt that failed and the next.
    Pausing,
    Failed,
    /// Nobody carried the run out: it was broken off, and went on later.
    BrokenOff,
}

impl SpanKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "working",
            Self::Pausing => "pausing",
            Self::Failed => "failed",
            Self::BrokenOff => "broken-off",
        }
    }
}

impl Span {
    /// How long it lasted; nothing while it goes on.
    pub fn lasted(&self) -> Duration {
        self.to.map_or(Duration::ZERO, |to| to.saturating_sub(self.from))
    }
}

/// Shorter than this is no waiting, but the journal's own time.
const NOTICED: Duration = Duration::from_millis(60);

/// A Proxmox node answers or refuses within this, or it does not answer.
const UNANSWERED: Duration = Duration::from_secs(30);

impl Timing {
    /// Reads a run's events, in their order. `plan` names what is waited for. None without the run's beginning.
    pub fn of(events: &[Event], plan: Option<&Plan>) -> Option<Self> {
        let first = events.iter().find(|event| matches!(event.change, Change::RunStarted { .. }))?;
        let sources = plan.into_iter().flat_map(|plan| &plan.seats);
        let storages = sources.filter_map(|s| Some((s.seat.clone(), s.source.as_ref()?.limit_storage.clone())));
        let mut timing = Self {
            run: first.run,
            began: first.at,
            took: None,
            state: RunState::Running,
            seats: Vec::new(),
            last: Duration::ZERO,
            storages: storages.collect(),
            order: plan.map_or(Order::Parallel, |plan| plan.order),
            strict: plan.is_some_and(|plan| plan.rollcall.profile == Profile::Strict),
            settle: plan.map_or(Duration::ZERO, |plan| plan.rollcall.settle),
            breaks: Vec::new(),
            silence: Silence::default(),
        };
        for event in events.iter().filter(|event| event.run == first.run) {
            timing.take(event);
        }
        Some(timing)
    }

    /// How long nobody carried it out.
    pub fn away(&self) -> Duration {
        self.breaks.iter().map(|(from, to)| to.saturating_sub(*from)).sum()
    }

    /// How long a seat took to its end, without the time in which nobody carried the run out: never longer than the run.
    pub fn lasted(&self, seat: &SeatTiming) -> Option<Duration> {
        let end = seat.end.at()?;
        let away = self.breaks.iter().map(|(from, to)| (*to).min(end).saturating_sub((*from).min(end)));
        Some(end.saturating_sub(away.sum()))
    }

    /// What of a seat's time on its agent was spent waiting that it settles, in modelled time. `speed` is that of the
    /// modelled world.
    pub fn settled(&self, seat: &SeatTiming, speed: f64) -> Duration {
        let answered =
            |span: &Span| span.step == StepName::Agent && span.kind == SpanKind::Working && span.to.is_some();
        if !seat.spans.iter().any(answered) {
            return Duration::ZERO;
        }
        let worked = seat.worked(StepName::Agent).as_secs_f64() * speed;
        self.settle.min(Duration::try_from_secs_f64(worked).unwrap_or_default())
    }

    /// Working time on a step in modelled time, over all attempts; settling is told apart.
    pub fn seconds(&self, seat: &SeatTiming, step: StepName, speed: f64) -> Duration {
        let worked = seat.worked(step).as_secs_f64() * speed;
        let worked = Duration::try_from_secs_f64(worked).unwrap_or_default();
        if step == StepName::Agent { worked.saturating_sub(self.settled(seat, speed)) } else { worked }
    }

    fn take(&mut self, event: &Event) {
        let at = Duration::try_from(event.at.duration_since(self.began)).unwrap_or_default();
        match &event.change {
            Change::RunEnded { state } => {
                self.state = *state;
                self.took = Some(at);
                return;
            }
            // It was broken off, and goes on.
            Change::RunStarted { .. } => {
                (self.state, self.took) = (RunState::Running, None);
                let last = std::mem::replace(&mut self.last, at);
                if at > Duration::ZERO {
                    self.breaks.push((last, at));
                }
                self.seats.iter_mut().for_each(|seat| seat.broken_off(last, at));
                self.silence.asked.clear();
                return;
            }
            _ => {}
        }
        self.last = self.last.max(at);
        let Some(seat) = &event.seat else { return };
        if event.step == Some(StepName::Clone) {
            self.silence.take(seat, &event.change, at);
        }
        let place = self.seats.iter().position(|row| row.seat == *seat).unwrap_or_else(|| {
            let (seat, spans) = (seat.clone(), Vec::new());
            self.seats.push(SeatTiming { seat, node: None, spans, end: SeatEnd::Open });
            self.seats.len() - 1
        });
        self.seats[place].take(event, at);
    }
}

/// Clones whose request had no answer: a site that makes machines by tasks names the task in its answer.
#[derive(Debug, Clone, Default, PartialEq)]
struct Silence {
    /// Since when each seat's request is on its way.
    asked: BTreeMap<SeatName, Duration>,
    /// The longest of those given up.
    longest: Option<(Duration, SeatName)>,
    /// Some answer named a task.
    has_tasks: bool,
}

impl Silence {
    fn take(&mut self, seat: &SeatName, change: &Change, at: Duration) {
        match change {
            Change::StepStarted { .. } => {
                self.asked.insert(seat.clone(), at);
            }
            Change::StepRetry { .. } | Change::StepFailed { .. } => {
                let lasted = self.asked.remove(seat).map(|from| at.saturating_sub(from));
                let longest = lasted.filter(|lasted| *lasted >= UNANSWERED).map(|lasted| (lasted, seat.clone()));
                self.longest = self.longest.take().max(longest);
            }
            Change::TaskStarted { .. } => {
                self.has_tasks = true;
                self.asked.remove(seat);
            }
            _ => {}
        }
    }
}

impl SeatEnd {
    /// When, if it has ended.
    pub fn at(self) -> Option<Duration> {
        match self {
            Self::Open => None,
            Self::Well(at) | Self::Failed(at) => Some(at),
        }
    }
}

impl SeatTiming {
    /// Working time on a step, over all attempts.
    pub fn worked(&self, step: StepName) -> Duration {
        let works = |span: &&Span| span.step == step && matches!(span.kind, SpanKind::Working | SpanKind::Failed);
        self.spans.iter().filter(works).map(Span::lasted).sum()
    }

    /// Working time on attempts of a step that failed and were followed by another.
    fn in_vain(&self, step: StepName) -> Duration {
        let pauses = |at: Duration| {
            self.spans.iter().any(|span| span.kind == SpanKind::Pausing && span.step == step && span.from == at)
        };
        let vain = |span: &&Span| span.step == step && span.kind == SpanKind::Working && span.to.is_some_and(pauses);
        self.spans.iter().filter(vain).map(Span::lasted).sum()
    }

    /// Time in which nothing was done for it that could have been.
    pub fn waited(&self) -> Duration {
        let idle = |span: &&Span| matches!(span.kind, SpanKind::Waiting | SpanKind::Pausing);
        self.spans.iter().filter(idle).map(Span::lasted).sum()
    }

    fn take(&mut self, event: &Event, at: Duration) {
        match (&event.change, event.step) {
            (Change::Reserved { node, .. }, _) => self.node = Some(node.clone()),
            (Change::SeatReady | Change::SeatGone | Change::SeatStopped | Change::SeatStale, _) => {
                // Stale is what an adopt leaves, and a run without a roll call.
                self.end = SeatEnd::Well(at);
            }
            (Change::SeatFailed, _) => self.end = SeatEnd::Failed(at),
            (Change::StepStarted { .. }, Some(step)) => self.begin(step, at),
            (Change::StepRetry { .. }, Some(step)) => {
                // A look before the first attempt that failed is an attempt as well.
                if !self.spans.iter().any(|span| span.step == step && span.to.is_none()) {
                    self.begin(step, at);
                }
                self.close(step, at, SpanKind::Working);
                self.spans.push(Span { step, kind: SpanKind::Pausing, from: at, to: None });
            }
            (Change::StepDone { .. } | Change::StepSkipped, Some(step)) => self.close(step, at, SpanKind::Working),
            (Change::StepFailed { .. }, Some(step)) => self.close(step, at, SpanKind::Failed),
            _ => {}
        }
    }

    /// The run's process died at `last`, and another went on at `now`.
    fn broken_off(&mut self, last: Duration, now: Duration) {
        if self.end != SeatEnd::Open {
            return;
        }
        // One that was not begun yet had waited until then.
        let begun = self.spans.last().map(|span| span.step);
        let step = begun.unwrap_or(StepName::Reserve);
        if begun.is_none() && last >= NOTICED {
            self.spans.push(Span { step, kind: SpanKind::Waiting, from: Duration::ZERO, to: Some(last) });
        }
        for span in self.spans.iter_mut().filter(|span| span.to.is_none()) {
            span.to = Some(last.max(span.from));
        }
        self.spans.push(Span { step, kind: SpanKind::BrokenOff, from: last, to: Some(now) });
    }

    fn begin(&mut self, step: StepName, at: Duration) {
        let again = self.spans.iter().any(|span| span.step == step && span.to.is_none());
        self.close(step, at, SpanKind::Working);
        // Since the last thing that was done for the seat ended, it has waited.
        let busy = self.spans.iter().any(|span| span.to.is_none());
        let idle = self.spans.iter().filter_map(|span| span.to).max().unwrap_or_default();
        if !again && !busy && at.saturating_sub(idle) >= NOTICED {
            self.spans.push(Span { step, kind: SpanKind::Waiting, from: idle, to: Some(at) });
        }
        self.spans.push(Span { step, kind: SpanKind::Working, from: at, to: None });
    }

    /// Ends what is open of a step; `kind` is what its work turns out to be.
    fn close(&mut self, step: StepName, at: Duration, kind: SpanKind) {
        for span in self.spans.iter_mut().filter(|span| span.step == step && span.to.is_none()) {
            span.to = Some(at);
            if span.kind == SpanKind::Working {
                span.kind = kind;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{fixture::event, *};
    use crate::domain::{SiteName, Vmid, event::RunKind};

    /// A run of seats, each with steps that begin and end at these milliseconds.
    type Steps<'a> = &'a [(StepName, i64, i64)];

    fn run(seats: &[(&str, Steps<'_>)]) -> Vec<Event> {
        let site = SiteName::new("sim").unwrap();
        let mut events =
            vec![event(0, None, None, Change::RunStarted { kind: RunKind::Deploy, site, owner: "ada".into() })];
        let took = Duration::ZERO;
        let mut last = 0;
        for (seat, steps) in seats {
            let node = NodeName::new("pve1");
            events.push(event(0, Some(seat), None, Change::Reserved { node, vmid: Vmid::new(9101).unwrap() }));
            for (step, from, to) in *steps {
                events.push(event(*from, Some(seat), Some(*step), Change::StepStarted { attempt: 1 }));
                events.push(event(*to, Some(seat), Some(*step), Change::StepDone { took }));
            }
            let end = steps.iter().map(|(_, _, to)| *to).max().unwrap_or(0);
            events.push(event(end, Some(seat), None, Change::SeatReady));
            last = last.max(end);
        }
        events.push(event(last, None, None, Change::RunEnded { state: RunState::Done }));
        events
    }

    fn sentence(events: &[Event]) -> String {
        Timing::of(events, None).unwrap().held_up_by(1.0).unwrap().to_string()
    }

    use StepName::{Agent, Clone as Cloned, Configure, Exec, Start};

    #[test]
    fn the_time_in_which_a_run_lay_broken_off_is_no_work_of_anybodys() {
        let mut events = run(&[("ada", &[(Cloned, 0, 400)])]);
        events.truncate(3);
        let again =
            Change::RunStarted { kind: RunKind::Deploy, site: SiteName::new("sim").unwrap(), owner: "grace".into() };
        let (begun, done) = (Change::StepStarted { attempt: 1 }, Change::StepDone { took: Duration::ZERO });
        events.push(event(900, Some("ada"), Some(Cloned), Change::TaskStarted { upid: "UPID:1".into() }));
        events.push(event(60_900, None, None, again));
        events.push(event(61_000, Some("ada"), Some(Cloned), begun));
        events.push(event(62_000, Some("ada"), Some(Cloned), done));
        events.push(event(62_000, Some("ada"), None, Change::SeatReady));
        events.push(event(62_000, None, None, Change::RunEnded { state: RunState::Done }));
        let timing = Timing::of(&events, None).unwrap();
        let spans: Vec<_> = timing.seats[0].spans.iter().map(|span| (span.kind, span.lasted().as_millis())).collect();
        assert_eq!(spans[..2], [(SpanKind::Working, 900), (SpanKind::BrokenOff, 60_000)], "{spans:?}");
        assert!(timing.seats[0].worked(Cloned) < Duration::from_secs(2));
        assert_eq!(timing.lasted(&timing.seats[0]), Some(Duration::from_secs(2)), "no row is longer than its run");
        assert!(sentence(&events).starts_with("a break in which nobody carried it out"), "{}", sentence(&events));
    }

    #[test]
    fn waiting_is_told_apart_from_working() {
        let events =
            run(&[("ada", &[(Cloned, 0, 400), (Start, 3_400, 4_000), (Agent, 4_000, 9_000), (Exec, 4_100, 4_500)])]);
        let timing = Timing::of(&events, None).unwrap();
        let kinds: Vec<_> =
            timing.seats[0].spans.iter().map(|span| (span.step, span.kind, span.lasted().as_millis())).collect();
        let work = SpanKind::Working;
        assert_eq!(
            kinds,
            [
                (Cloned, work, 400),
                (Start, SpanKind::Waiting, 3_000),
                (Start, work, 600),
                (Agent, work, 5_000),
                (Exec, work, 400)
            ]
        );
        assert_eq!(timing.took, Some(Duration::from_secs(9)));
    }

    #[test]
    fn boots_that_waited_for_their_node_held_the_run_up() {
        let events = run(&[
            ("ada", &[(Cloned, 0, 400), (Start, 400, 2_000), (Agent, 2_000, 9_000)]),
            ("bob", &[(Cloned, 0, 400), (Start, 400, 2_000), (Agent, 2_000, 9_000)]),
            ("eve", &[(Cloned, 0, 400), (Start, 6_400, 8_000), (Agent, 8_000, 15_000)]),
        ]);
        assert_eq!(sentence(&events), "boots on pve1 (1 seat waited 6.0 s); without it about 9.0 s");
    }

    #[test]
    fn one_silent_agent_is_named() {
        let usual: &[_] = &[(Cloned, 0, 400), (Agent, 400, 9_000)];
        let events = run(&[("ada", usual), ("bob", usual), ("eve", &[(Cloned, 0, 400), (Agent, 400, 31_000)])]);
        assert_eq!(sentence(&events), "agent of eve (22 s longer than agent took elsewhere); without it about 9.0 s");
    }

    #[test]
    fn attempts_that_failed_cost_their_pauses() {
        let mut events = run(&[("ada", &[(Cloned, 0, 400), (Configure, 9_400, 10_000)])]);
        let retry = Change::StepRetry { wait: Duration::from_secs(2), of: 5 };
        let at = events.iter().position(|e| e.step == Some(Configure)).unwrap();
        events.insert(at, event(5_000, Some("ada"), Some(Configure), retry));
        events.insert(at, event(400, Some("ada"), Some(Configure), Change::StepStarted { attempt: 1 }));
        assert_eq!(sentence(&events), "attempts of configure that failed (1 seat, 9.0 s); without it about 1.0 s");
        let timing = Timing::of(&events, None).unwrap();
        assert!(timing.seats[0].spans.iter().all(|span| span.kind != SpanKind::Waiting));
    }

    #[test]
    fn attempts_in_vain_are_told_before_a_step_that_was_slow_and_before_what_waited_for_less() {
        let usual: &[_] = &[(Cloned, 0, 4_000), (Agent, 4_000, 9_000)];
        let mut events =
            run(&[("ada", usual), ("bob", usual), ("eve", &[(Cloned, 0, 30_000), (Agent, 32_000, 37_000)])]);
        let at =
            events.iter().rposition(|e| matches!(e.change, Change::StepDone { .. }) && e.step == Some(Cloned)).unwrap();
        for (ms, change) in [
            (26_000, Change::StepStarted { attempt: 2 }),
            (24_000, Change::StepRetry { wait: Duration::from_secs(2), of: 5 }),
        ] {
            events.insert(at, event(ms, Some("eve"), Some(Cloned), change));
        }
        assert_eq!(sentence(&events), "attempts of clone that failed (1 seat, 26 s); without it about 11 s");
    }

    #[test]
    fn a_look_before_the_first_attempt_that_fails_is_an_attempt_in_vain() {
        let mut events = run(&[("ada", &[(Cloned, 0, 400), (Agent, 20_400, 22_000)])]);
        let at = events.iter().position(|e| e.step == Some(Agent)).unwrap();
        events.insert(
            at,
            event(10_400, Some("ada"), Some(Agent), Change::StepRetry { wait: Duration::from_secs(10), of: 5 }),
        );
        let told = sentence(&events);
        assert!(told.starts_with("attempts of agent that failed (1 seat, 10 s)"), "{told}");
    }

    #[test]
    fn a_clone_without_an_answer_is_named_as_the_cause_whatever_failed_beside_it() {
        let task = |seat| event(1_000, Some(seat), Some(Cloned), Change::TaskStarted { upid: "UPID:1".into() });
        let silent = "a clone without an answer (ada, 40 s)";
        let slow: &[_] = &[(Cloned, 0, 45_000), (Agent, 45_000, 50_000)];
        let quick: &[_] = &[(Cloned, 0, 4_000), (Agent, 4_000, 9_000)];
        // What waits for it all the while does not hide it.
        for (bob, failed) in [(slow, false), (quick, true)] {
            let mut events = run(&[("ada", slow), ("bob", bob)]);
            let done = |events: &[Event], seat: &str| {
                let of = |e: &Event| e.seat.as_ref().is_some_and(|s| s.as_str() == seat) && e.step == Some(Cloned);
                events.iter().position(|e| of(e) && matches!(e.change, Change::StepDone { .. })).unwrap()
            };
            let at = done(&events, "bob");
            events.insert(at, task("bob"));
            assert!(!sentence(&events).contains(silent), "{}", sentence(&events));
            let at = done(&events, "ada");
            let retry = Change::StepRetry { wait: Duration::from_secs(2), of: 5 };
            events.insert(at, event(40_000, Some("ada"), Some(Cloned), retry));
            let told = sentence(&events);
            assert!(told.starts_with(silent), "{told}");
            assert_eq!(told.contains(", and attempts of clone that failed"), failed, "{told}");
            // A task was named: that one was answered.
            events.insert(at, task("ada"));
            assert!(!sentence(&events).contains(silent), "{}", sentence(&events));
        }
    }

    #[test]
    fn a_run_in_which_all_went_alike_has_nobody_to_blame() {
        let usual: &[_] = &[(Cloned, 0, 400), (Agent, 400, 9_000)];
        let told = sentence(&run(&[("ada", usual), ("bob", usual), ("eve", usual)]));
        assert!(
            told.starts_with("nothing in particular; the longest step of eve, the last, was agent with 8.6 s"),
            "{told}"
        );
    }

    /// The plan of these seats, in this order, strict or not.
    fn planned(order: Order, profile: Profile, settle: u64) -> Plan {
        let mut plan = crate::domain::planning::fixture::World::new().deploy();
        plan.order = order;
        (plan.rollcall.profile, plan.rollcall.settle) = (profile, Duration::from_secs(settle));
        plan
    }

    #[test]
    fn in_a_sequential_order_only_what_is_before_a_seat_is_the_order_s_doing() {
        let plan = planned(Order::Sequential, Profile::Normal, 0);
        let events = run(&[
            ("ada", &[(Cloned, 0, 1_000), (Configure, 3_000, 4_000), (Agent, 4_000, 9_000)]),
            ("bob", &[(Cloned, 9_000, 10_000), (Configure, 12_000, 13_000), (Agent, 13_000, 18_000)]),
            ("eve", &[(Cloned, 18_000, 19_000), (Configure, 21_000, 22_000), (Agent, 22_000, 27_000)]),
        ]);
        let told = Timing::of(&events, Some(&plan)).unwrap().held_up_by(1.0).unwrap().to_string();
        let order = "the order its definition asks for (2 seats waited, the longest 18 s); without it about 9.0 s";
        assert_eq!(told, order);
    }

    #[test]
    fn where_one_waits_for_the_one_before_a_silent_agent_costs_all_of_them() {
        let plan = planned(Order::Sequential, Profile::Normal, 0);
        let mut events = run(&[
            ("ada", &[(Agent, 0, 1_000)]),
            ("bob", &[(Agent, 1_000, 2_000)]),
            ("eve", &[(Agent, 2_000, 32_000)]),
            ("lin", &[(Agent, 32_000, 33_000)]),
        ]);
        events.iter_mut().for_each(|event| event.seq = 1);
        let timing = Timing::of(&events, Some(&plan)).unwrap();
        let slow = timing.held_up_by(1.0).unwrap().to_string();
        assert!(
            slow.starts_with("agent of eve (29 s longer than agent took elsewhere); without it about 4.0 s"),
            "{slow}"
        );
    }

    #[test]
    fn a_strict_roll_call_is_named_as_what_is_waited_for_and_settling_is_no_work() {
        let plan = planned(Order::Parallel, Profile::Strict, 30);
        let events = run(&[
            ("ada", &[(Cloned, 0, 400), (Agent, 400, 32_400)]),
            ("bob", &[(Cloned, 0, 400), (Agent, 32_400, 64_400)]),
        ]);
        let timing = Timing::of(&events, Some(&plan)).unwrap();
        let ada = &timing.seats[0];
        assert_eq!((timing.seconds(ada, Agent, 1.0).as_secs(), timing.settled(ada, 1.0).as_secs()), (2, 30));
        let told = timing.held_up_by(1.0).unwrap().to_string();
        assert!(told.starts_with("the strict roll call, which proves one machine after the other (1 seat"), "{told}");
    }

    #[test]
    fn a_seat_that_was_not_begun_when_the_run_was_interrupted_did_not_wait_meanwhile() {
        let mut events = run(&[("ada", &[(Cloned, 0, 400)]), ("bob", &[(Cloned, 61_000, 62_000)])]);
        let again =
            Change::RunStarted { kind: RunKind::Deploy, site: SiteName::new("sim").unwrap(), owner: "b".into() };
        let at = events.iter().position(|e| e.at > events[0].at + Duration::from_secs(60)).unwrap();
        events.insert(at, event(60_400, None, None, again));
        let timing = Timing::of(&events, None).unwrap();
        assert_eq!(timing.away(), Duration::from_secs(60));
        let bob = timing.seats.iter().find(|seat| seat.seat.as_str() == "bob").unwrap();
        assert_eq!(bob.waited(), Duration::from_secs(1), "{:?}", bob.spans);
    }

    #[test]
    fn while_it_goes_on_nothing_is_judged() {
        let mut events = run(&[("ada", &[(Cloned, 0, 400)])]);
        events.pop();
        let timing = Timing::of(&events, None).unwrap();
        assert_eq!((timing.took, timing.held_up_by(1.0)), (None, None));
        assert_eq!(Timing::of(&events[1..], None), None);
    }
}
