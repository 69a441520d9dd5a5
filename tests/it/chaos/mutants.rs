//! The suite notices an engine that is broken on purpose.

use super::story::tell;
use crate::hand::Habit;

/// Stories within which each mistake must show.
const WITHIN: u64 = 60;

/// The first seed whose story ends badly, with what is said then.
fn noticed(habit: Habit, forgets_intents: bool) -> Option<(u64, Vec<String>)> {
    (0..WITHIN).find_map(|seed| {
        let broken = tell(seed, habit, forgets_intents).broken;
        (!broken.is_empty()).then_some((seed, broken))
    })
}

#[test]
fn an_engine_that_writes_no_intents_down_is_noticed() {
    assert!(noticed(Habit::Good, true).is_some());
}

#[test]
fn an_engine_that_marks_nothing_is_noticed() {
    assert!(noticed(Habit::SkipsTheMark, false).is_some());
}

#[test]
fn an_engine_that_takes_already_exists_for_its_own_success_is_noticed() {
    assert!(noticed(Habit::TrustsAlreadyExists, false).is_some());
}

#[test]
fn an_engine_that_takes_the_start_of_a_task_for_its_success_is_noticed() {
    assert!(noticed(Habit::TrustsTheStart, false).is_some());
}

#[test]
fn an_engine_that_asks_again_under_another_number_when_an_answer_is_lost_is_noticed() {
    assert!(noticed(Habit::RepeatsBlindly, false).is_some());
}
