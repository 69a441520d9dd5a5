//! What held a run up, in one sentence: of all that cost somebody time, what would have made it shortest had it not been.

use std::{collections::BTreeSet, fmt, time::Duration};

use super::{NOTICED, SeatTiming, Span, SpanKind, Timing};
use crate::domain::{Clean, NodeName, SeatName, StepName, class::Order, event::RunState};

impl Timing {
    /// When the seat that ended last did; else when the run did.
    fn length(&self, without: impl Fn(&SeatTiming) -> Duration) -> Duration {
        let ends = self.seats.iter().filter_map(|seat| Some(seat.end.at()?.saturating_sub(without(seat))));
        ends.max().unwrap_or_default()
    }

    /// How long it would have been without a cause. Where one seat waits for the one before, what one loses all lose.
    fn without(&self, cause: &Cause) -> Duration {
        if self.hands_down(cause) {
            let lost: Duration = self.seats.iter().map(|seat| self.lost(seat, cause)).sum();
            self.length(|_| Duration::ZERO).saturating_sub(lost)
        } else {
            self.length(|seat| self.lost(seat, cause))
        }
    }

    /// Whether a seat that is held up by it holds up those behind it.
    fn hands_down(&self, cause: &Cause) -> bool {
        match cause {
            Cause::Away | Cause::Order | Cause::Strict => false,
            _ if self.order == Order::Sequential => true,
            Cause::Again(step) | Cause::Slow(_, step) => self.strict && step.is_proof(),
            Cause::Clones(_) | Cause::Boots(_) | Cause::Turn(_) => false,
        }
    }

    /// One sentence on what held the run up, once it has ended. `speed` is that of the modelled world.
    ///
    /// The rule: of everything that was waited for, tried again, or slower on one seat than on the others,
    /// what would have made the run shortest had it not been.
    pub fn held_up_by(&self, speed: f64) -> Option<Clean> {
        self.took?;
        // Of one that did not come to its end nobody can tell.
        if !matches!(self.state, RunState::Done | RunState::Failed) {
            return None;
        }
        let whole = self.length(|_| Duration::ZERO);
        let say = |time: Duration| seconds(time, speed);
        let best = self.causes().into_iter().map(|cause| (self.without(&cause), cause)).min_by(|a, b| a.0.cmp(&b.0));
        let noticeable = (whole / 20).max(NOTICED);
        match best {
            Some((without, cause)) if whole.saturating_sub(without) >= noticeable => {
                let lost: Vec<_> =
                    self.seats.iter().map(|seat| self.lost(seat, &cause)).filter(|t| !t.is_zero()).collect();
                let longest = lost.iter().max().copied().unwrap_or_default();
                let how = match &cause {
                    Cause::Slow(_, step) => format!("{} longer than {step} took elsewhere", say(longest)),
                    Cause::Again(_) if lost.len() == 1 => format!("1 seat, {}", say(longest)),
                    Cause::Again(_) => format!("{} seats, the longest {}", lost.len(), say(longest)),
                    _ if lost.len() == 1 => format!("1 seat waited {}", say(longest)),
                    _ => format!("{} seats waited, the longest {}", lost.len(), say(longest)),
                };
                let clones = matches!(cause, Cause::Again(StepName::Clone) | Cause::Clones(_));
                let told = format!("{cause} ({how}); without it about {}", say(without));
                Some(Clean::new(match self.unanswered(noticeable, speed).filter(|_| clones) {
                    Some(silence) => format!("{silence}, and {told}"),
                    None => told,
                }))
            }
            _ => self.unanswered(noticeable, speed).map(Clean::new).or_else(|| self.longest(speed)),
        }
    }

    /// The clone that was waited for longest and never answered for. It keeps its place on the storage, so others wait
    /// for it, too: between their own attempts, or for their turn.
    fn unanswered(&self, noticeable: Duration, speed: f64) -> Option<String> {
        let (lasted, seat) = self.silence.longest.as_ref().filter(|_| self.silence.has_tasks)?;
        let silence = format!("a clone without an answer ({seat}, {})", seconds(*lasted, speed));
        (*lasted >= noticeable).then_some(silence)
    }

    /// The longest step of the seat that ended last, where nothing else stands out.
    fn longest(&self, speed: f64) -> Option<Clean> {
        let seat = self.seats.iter().max_by_key(|seat| seat.end.at())?;
        let span = seat.spans.iter().filter(|span| span.kind == SpanKind::Working).max_by_key(|span| span.lasted())?;
        let settled = if span.step == StepName::Agent { self.settled(seat, speed) } else { Duration::ZERO };
        let settled = match settled.is_zero() {
            true => String::new(),
            false => format!(", {} of it left to settle", seconds(settled, 1.0)),
        };
        Some(Clean::new(format!(
            "nothing in particular; the longest step of {}, the last, was {} with {}{settled}",
            seat.seat,
            span.step,
            seconds(span.lasted(), speed)
        )))
    }

    fn causes(&self) -> BTreeSet<Cause> {
        let mut causes = BTreeSet::new();
        for seat in &self.seats {
            for span in &seat.spans {
                match span.kind {
                    SpanKind::Waiting => causes.extend([self.awaited(seat, span)]),
                    SpanKind::Pausing => causes.extend([Cause::Again(span.step)]),
                    SpanKind::BrokenOff => causes.extend([Cause::Away]),
                    SpanKind::Working | SpanKind::Failed => causes.extend([Cause::Slow(seat.seat.clone(), span.step)]),
                }
            }
        }
        causes
    }

    /// What a seat waits for. The order holds it back before it begins, the strict roll call before its first proof;
    /// whatever it waits for besides has other causes.
    fn awaited(&self, seat: &SeatTiming, span: &Span) -> Cause {
        let first = seat.spans.iter().all(|other| other.from >= span.from);
        let proven = seat.spans.iter().any(|other| other.step.is_proof() && other.from < span.from);
        match (span.step, &seat.node, self.storages.get(&seat.seat)) {
            _ if first && self.order != Order::Parallel => Cause::Order,
            (step, ..) if self.strict && step.is_proof() && !proven => Cause::Strict,
            (StepName::Clone, _, Some(storage)) => Cause::Clones(storage.clone()),
            (StepName::Start, Some(node), _) => Cause::Boots(node.clone()),
            (step, ..) => Cause::Turn(step),
        }
    }

    /// What a seat lost to a cause.
    fn lost(&self, seat: &SeatTiming, cause: &Cause) -> Duration {
        let sum = |of: &dyn Fn(&Span) -> bool| -> Duration {
            seat.spans.iter().filter(|span| of(span)).map(Span::lasted).sum()
        };
        match cause {
            Cause::Away => sum(&|span| span.kind == SpanKind::BrokenOff),
            // The attempt before each pause was in vain, too.
            Cause::Again(step) => {
                sum(&|span| span.kind == SpanKind::Pausing && span.step == *step) + seat.in_vain(*step)
            }
            // What was tried in vain has a cause of its own.
            Cause::Slow(who, step) if *who == seat.seat => {
                let worked = seat.worked(*step).saturating_sub(seat.in_vain(*step));
                self.usual(who, *step).map_or(Duration::ZERO, |usual| worked.saturating_sub(usual))
            }
            Cause::Slow(..) => Duration::ZERO,
            waited => sum(&|span| span.kind == SpanKind::Waiting && self.awaited(seat, span) == *waited),
        }
    }

    /// What a step took on the other seats: their median. None where there are fewer than two.
    fn usual(&self, but: &SeatName, step: StepName) -> Option<Duration> {
        let others = self.seats.iter().filter(|seat| seat.seat != *but);
        let others = others.map(|seat| seat.worked(step).saturating_sub(seat.in_vain(step)));
        let mut times: Vec<_> = others.filter(|time| !time.is_zero()).collect();
        times.sort();
        (times.len() >= 2).then(|| times[times.len() / 2])
    }
}

/// What can hold a run up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    Away,
    Order,
    Strict,
    Clones(String),
    Boots(NodeName),
    Again(StepName),
    Slow(SeatName, StepName),
    Turn(StepName),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("a break in which nobody carried it out"),
            Self::Order => f.write_str("the order its definition asks for"),
            Self::Strict => f.write_str("the strict roll call, which proves one machine after the other"),
            Self::Clones(storage) => write!(f, "clones on {storage}"),
            Self::Boots(node) => write!(f, "boots on {node}"),
            Self::Again(step) => write!(f, "attempts of {step} that failed"),
            Self::Slow(seat, step) => write!(f, "{step} of {seat}"),
            Self::Turn(StepName::Configure) => f.write_str("the rest that a clone is given before it is configured"),
            Self::Turn(StepName::Reserve) => {
                f.write_str("the beginning of the run, before anything was asked of the site")
            }
            Self::Turn(StepName::Destroy) => f.write_str("removals, of which only a few go at once"),
            Self::Turn(step) => write!(f, "the pause before {step}"),
        }
    }
}

/// `0.4 s`, `12 s`
fn seconds(time: Duration, speed: f64) -> String {
    let seconds = time.as_secs_f64() * speed;
    if seconds < 10.0 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}
