//! Time on a line of cells: which cells are whose, and where the ticks are. For every drawing of a run.

use std::time::Duration;

use super::{SeatTiming, Span, SpanKind, Timing};

/// So much time on so many cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ruler {
    pub whole: Duration,
    pub width: usize,
}

/// The cells of one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar<'a> {
    pub span: &'a Span,
    pub from: usize,
    pub width: usize,
}

impl Timing {
    /// How much time there is to show: until the run's end, or of one that was broken off, until the last thing that
    /// was written down. None while it goes on.
    pub fn shown(&self, broken_off: bool) -> Option<Duration> {
        let spans = self.seats.iter().flat_map(|seat| &seat.spans);
        let last = spans.filter_map(|span| span.to.or(Some(span.from))).max();
        self.took.or(last.filter(|_| broken_off))
    }
}

impl Ruler {
    pub fn new(whole: Duration, width: usize) -> Self {
        Self { whole: whole.max(Duration::from_millis(1)), width: width.max(1) }
    }

    /// The cell in which an instant lies.
    pub fn column(&self, at: Duration) -> usize {
        let share = at.as_secs_f64() / self.whole.as_secs_f64();
        ((share * self.width as f64) as usize).min(self.width)
    }

    /// What of a seat's time is seen on one line, from left to right and without overlap. Even the shortest work is
    /// seen; waiting that fills no cell is not.
    pub fn bars<'a>(&self, seat: &'a SeatTiming) -> Vec<Bar<'a>> {
        let mut free = 0;
        let mut bars = Vec::new();
        for span in &seat.spans {
            let from = self.column(span.from).max(free);
            let to = span.to.map_or(self.width, |to| self.column(to)).max(from);
            let shown = if span.kind == SpanKind::Waiting { to - from } else { (to - from).max(1) };
            let hidden = to <= free && free > 0 && self.column(span.from) < free;
            if from >= self.width || shown == 0 || hidden {
                continue;
            }
            let width = shown.min(self.width - from);
            bars.push(Bar { span, from, width });
            free = from + width;
        }
        bars
    }

    /// The cells of a span on a line of its own.
    pub fn bar<'a>(&self, span: &'a Span) -> Bar<'a> {
        let from = self.column(span.from).min(self.width - 1);
        let to = span.to.map_or(self.width, |to| self.column(to)).max(from + 1);
        Bar { span, from, width: to - from }
    }

    /// Instants of a round length in modelled seconds, at least ten cells apart, each with its cell. `speed` is that
    /// of the modelled world.
    pub fn ticks(&self, speed: f64) -> Vec<(usize, Duration)> {
        const ROUND: [u64; 14] = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600, 7_200, 21_600];
        const LABEL: usize = 6;
        let wall = |seconds: u64| Duration::from_secs_f64(seconds as f64 / speed.max(0.001));
        let step = ROUND.into_iter().find(|step| self.column(wall(*step)) >= 10).unwrap_or(86_400);
        (0..)
            .map(|n| (wall(n * step), Duration::from_secs(n * step)))
            .take_while(|(at, _)| *at <= self.whole && self.column(*at) + LABEL <= self.width)
            .map(|(at, modelled)| (self.column(at), modelled))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{SeatName, StepName, timing::SeatEnd};

    fn seat(spans: Vec<Span>) -> SeatTiming {
        SeatTiming { seat: SeatName::teacher(), node: None, spans, end: SeatEnd::Open }
    }

    fn span(kind: SpanKind, from: u64, to: Option<u64>) -> Span {
        let ms = Duration::from_millis;
        Span { step: StepName::Start, kind, from: ms(from), to: to.map(ms) }
    }

    #[test]
    fn work_is_seen_however_short_and_waiting_only_where_it_fills_a_cell() {
        let row = seat(vec![
            span(SpanKind::Waiting, 0, Some(10)),
            span(SpanKind::Working, 10, Some(20)),
            span(SpanKind::Waiting, 20, Some(5_000)),
            span(SpanKind::Working, 5_000, None),
        ]);
        let ruler = Ruler::new(Duration::from_secs(10), 20);
        let bars: Vec<_> = ruler.bars(&row).iter().map(|bar| (bar.span.kind, bar.from, bar.width)).collect();
        let (work, wait) = (SpanKind::Working, SpanKind::Waiting);
        assert_eq!(bars, [(work, 0, 1), (wait, 1, 9), (work, 10, 10)]);
    }

    #[test]
    fn ticks_are_round_in_the_modelled_world_and_never_crowd() {
        let ruler = Ruler::new(Duration::from_secs(5), 60);
        let ticks: Vec<_> = ruler.ticks(10.0).iter().map(|(cell, at)| (*cell, at.as_secs())).collect();
        assert_eq!(ticks, [(0, 0), (12, 10), (24, 20), (36, 30), (48, 40)]);
    }

    proptest! {
        #[test]
        fn bars_lie_within_the_line_and_beside_each_other(
            times in prop::collection::vec((0u64..20_000, prop::option::of(0u64..5_000), 0u8..4), 0..20),
            width in 1usize..200,
        ) {
            let kinds = [SpanKind::Waiting, SpanKind::Working, SpanKind::Pausing, SpanKind::Failed];
            let mut spans: Vec<_> = times
                .into_iter()
                .map(|(from, lasted, kind)| span(kinds[usize::from(kind)], from, lasted.map(|ms| from + ms)))
                .collect();
            spans.sort_by_key(|span| span.from);
            let row = seat(spans);
            let ruler = Ruler::new(Duration::from_secs(20), width);
            let mut free = 0;
            for bar in ruler.bars(&row) {
                prop_assert!(bar.from >= free && bar.width > 0 && bar.from + bar.width <= width);
                free = bar.from + bar.width;
            }
            for span in &row.spans {
                let bar = ruler.bar(span);
                prop_assert!(bar.width > 0 && bar.from + bar.width <= width);
            }
        }
    }
}
