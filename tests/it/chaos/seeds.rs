//! Many stories, and what of each must hold.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use super::{
    standing,
    story::{End, tell},
};
use crate::hand::Habit;

/// Stories told in every run of the tests; more with `HOMEROOM_CHAOS_SEEDS`.
const SEEDS: u64 = 500;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("HOMEROOM_CHAOS_FIRST").unwrap_or(0);
    first..first + number("HOMEROOM_CHAOS_SEEDS").unwrap_or(SEEDS)
}

/// Tells the stories of these seeds on every processor; those that end badly, in words.
pub fn failures_of(seeds: Range<u64>, tell: impl Fn(u64) -> End + Sync) -> Vec<String> {
    let next = AtomicU64::new(seeds.start);
    thread::scope(|scope| {
        let tellers: Vec<_> = (0..thread::available_parallelism().map_or(1, usize::from))
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= seeds.end {
                            return failures;
                        }
                        let end = tell(seed);
                        if !end.broken.is_empty() {
                            let (broken, acts) = (end.broken.join("\n  "), end.acts.join("\n    "));
                            failures.push(format!("seed {seed}:\n  {broken}\n    {acts}"));
                        }
                    }
                })
            })
            .collect();
        tellers.into_iter().flat_map(|teller| teller.join().unwrap()).collect()
    })
}

#[test]
fn whatever_happens_every_seat_has_one_machine_in_the_end_and_nothing_is_left_after_a_destroy() {
    let seeds = seeds();
    let (advised, rests) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = failures_of(seeds.clone(), |seed| {
        let end = tell(seed, Habit::Good, false);
        advised.fetch_add(end.advice.len() as u64, Ordering::Relaxed);
        rests.fetch_add(end.rests as u64, Ordering::Relaxed);
        end
    });
    let many = failures.len();
    let few: Vec<String> = failures.into_iter().take(10).collect();
    let (advised, rests) = (advised.into_inner(), rests.into_inner());
    println!("{advised} commands were advised, each where node SSH was shut; {rests} dead removals were ended");
    assert!(few.is_empty(), "{many} of {} stories end badly:\n{}", seeds.end - seeds.start, few.join("\n"));
    // Of the stories always told, some must have needed hands, or nothing is known of what was printed for them.
    // The same of removals that died half-way.
    assert!(seeds != (0..SEEDS) || (advised > 0 && rests > 0), "{advised} commands, {rests} rests");
}

/// Stories told twice, of each kind.
const TWICE: u64 = 25;

#[test]
fn a_story_told_twice_is_the_same_request_for_request_and_line_for_line() {
    let differs = failures_of(0..2 * TWICE, |seed| {
        // Those of the deploys, and those of the other verbs.
        let once = || if seed < TWICE { tell(seed * 7, Habit::Good, false) } else { standing::tell(seed) };
        let (first, second) = (once(), once());
        let lines = |end: &End| end.requests.iter().chain(&end.journal).cloned().collect::<Vec<_>>();
        let (a, b) = (lines(&first), lines(&second));
        let at = a.iter().zip(&b).position(|(a, b)| a != b);
        let broken = match at {
            Some(n) => vec![format!("line {n}:\n    {}\n    {}", a[n], b[n])],
            None if a.len() != b.len() => vec![format!("{} lines, then {}", a.len(), b.len())],
            None => Vec::new(),
        };
        End { broken, acts: Vec::new(), ..first }
    });
    assert!(differs.is_empty(), "{}", differs.join("\n"));
}
