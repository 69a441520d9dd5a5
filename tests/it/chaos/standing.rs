//! Stories of machines that stand: rebuilt, replaced, restarted, started and shut down in bad weather, broken off
//! anywhere and gone on with. What was asked for is done, to whom it was asked, and no more.

use std::{collections::BTreeMap, time::Duration};

use homeroom::{
    domain::{Definition, SeatName, class::TemplateRef, mark::Mark},
    sim::World,
};

use super::{
    seeds::failures_of,
    story::{Act, End, Story},
    weather,
};
use crate::hand::Habit;

/// Stories told in every run of the tests.
const SEEDS: u64 = 150;

/// What a seat's machine is, seen from the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Machine {
    /// Another one has another.
    birth: u64,
    image: String,
    /// Which start of it runs.
    start: Option<u64>,
}

fn machines(world: &World, story: &Story) -> BTreeMap<SeatName, Machine> {
    let ours = world.guests.values().filter_map(|vm| {
        let mark = Mark::parse(vm.config.get("description")?)?;
        let own = mark.lab == story.lab && mark.vmid.get() == vm.vmid && !vm.template();
        let start = vm.run.as_ref().map(|run| run.id);
        own.then(|| (mark.seat, Machine { birth: vm.birth, image: vm.image.clone(), start }))
    });
    ours.collect()
}

/// How the world knows a template's system.
fn image(template: &TemplateRef) -> &'static str {
    match template {
        TemplateRef::Name(name) if name.starts_with("debian") => "debian",
        _ => "ubuntu",
    }
}

pub fn tell(seed: u64) -> End {
    let mut story = Story::begin(seed, Habit::Good, false);
    story.settle("deploy", &Act::Deploy);
    story.stands();
    let mut asked_before: Vec<SeatName> = Vec::new();
    for _ in 0..story.dice.from(1, 3) {
        let act = next_act(&mut story);
        let asked = match &act {
            Act::Change => story.seats(),
            Act::Rebuild(seat) => vec![seat.clone()],
            _ => Vec::new(),
        };
        let before = story.house.stage.world(|world| machines(world, &story));
        let newest = story.newest_run();
        let end = act_out(&mut story, &act);
        // Killed before it began: what was gone on with was another.
        let done = end == "Done" && story.newest_run() > newest;
        // A run that never began leaves the one before it to be gone on with.
        let may_go = asked.iter().chain(&asked_before);
        let kept = before.keys().filter(|seat| !may_go.clone().any(|asked| asked == *seat)).cloned().collect();
        compare(&mut story, &act, &before, kept, done);
        asked_before = asked;
    }
    story.calm_down();
    story.settle("deploy, with every yes", &Act::Change);
    story.stands();
    let wanted = image(&story.class.template);
    let now = story.house.stage.world(|world| machines(world, &story));
    let others: Vec<_> = now.iter().filter(|(_, machine)| !machine.image.contains(wanted)).collect();
    let others = (!others.is_empty()).then(|| format!("not of {wanted}: {others:?}"));
    story.broken.extend(others);
    story.goes()
}

fn next_act(story: &mut Story) -> Act {
    let seats = story.seats();
    match story.dice.from(0, 6) {
        0 | 1 => Act::Rebuild(story.dice.pick(&seats)),
        2 => {
            let other = if image(&story.class.template) == "debian" { "ubuntu-22.04" } else { "debian-12" };
            story.class.template = TemplateRef::Name(other.to_owned());
            story.house.put(&Definition::Class(story.class.clone()));
            Act::Change
        }
        3 | 4 => Act::Restart,
        5 => Act::Stop,
        _ => Act::Start,
    }
}

/// The act in bad weather, perhaps cut off; gone on with in bad weather, and then in calm. How that ended.
fn act_out(story: &mut Story, act: &Act) -> String {
    story.house.stage.world(|world| weather::faults(&mut story.dice).into_iter().for_each(|f| world.inject(f)));
    let mut end = story.stormy(act);
    while !is_over(&end) && story.dice.chance(50) {
        end = story.stormy(&Act::Resume);
    }
    story.calm_down();
    if !is_over(&end) && story.dice.chance(70) {
        for _ in 0..3 {
            end = story.play(&Act::Resume, None, None);
            story.acts.push(format!("Resume in calm weather: {end}"));
            if is_over(&end) {
                break;
            }
            story.house.stage.rest(Duration::from_secs(30));
        }
    }
    end
}

fn is_over(end: &str) -> bool {
    matches!(end, "Done" | "Failed" | "nothing to do") || end.starts_with("refused")
}

/// Whether what was asked for was done, where the run says so, and whether nobody else was touched.
fn compare(story: &mut Story, act: &Act, before: &BTreeMap<SeatName, Machine>, kept: Vec<SeatName>, done: bool) {
    let now = story.house.stage.world(|world| machines(world, story));
    let mut broken = Vec::new();
    for seat in kept {
        if now.get(&seat).map(|machine| machine.birth) != before.get(&seat).map(|machine| machine.birth) {
            broken.push(format!("{act:?}: {seat} lost its machine, and nobody asked for that"));
        }
    }
    for (seat, was) in before.iter().filter(|_| done) {
        let Some(is) = now.get(seat) else { continue };
        let wrong = match act {
            Act::Rebuild(asked) if asked == seat => is.birth == was.birth,
            Act::Change => is.birth == was.birth && !is.image.contains(image(&story.class.template)),
            Act::Stop => is.start.is_some(),
            // A node that went down since took its machines with it: that one is off says nothing.
            Act::Restart => is.start.is_some() && is.start == was.start,
            _ => false,
        };
        if wrong {
            broken.push(format!("{act:?} is called done, and {seat} was {was:?}, is {is:?}"));
        }
    }
    story.broken.extend(broken);
}

#[test]
fn whatever_breaks_a_rebuild_a_replacement_or_a_restart_off_it_does_what_was_asked_and_no_more() {
    let failures = failures_of(0..SEEDS, tell);
    assert!(
        failures.is_empty(),
        "{} of {SEEDS} stories end badly:\n{}",
        failures.len(),
        failures[..failures.len().min(10)].join("\n")
    );
}
