//! Rollback, adopt and the removal of one seat, each cut off at every point between two effects, and asked again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use homeroom::{
    domain::{RunId, SeatName, StepName, event::RunState},
    service::{
        Homeroom, ServiceError,
        adopt::{Request as Wishes, adopt},
        check::{Deed, carry_out},
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
        plan::Back,
        rebuild::{self, rollback},
    },
    sim::{Fault, FaultKind, Scenario},
};

use super::promises::{self, Portrait};
use crate::hand::{Disk, Habit, House, Over, SITE, house_lab};

const CLASS: &str = "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\ncount = 2\n\
                     teacher = false\n[machine]\ncores = 1\n[cloud_init]\nuser = \"student\"\n[rollcall]\nvia = \"api\"\n";

/// A class that stands, and what stood before it.
struct Ground {
    house: House,
    before: BTreeMap<u32, Portrait>,
}

async fn ended(outcome: Outcome) -> RunState {
    match outcome {
        Outcome::Begun(handle) => handle.ended.await.unwrap().unwrap_or(RunState::Interrupted),
        Outcome::NothingToDo(_) => RunState::Done,
    }
}

fn seat(n: u32) -> SeatName {
    SeatName::student(n)
}

impl Ground {
    fn deployed() -> Self {
        let mut scenario = Scenario::default_world().unwrap();
        scenario.guests.retain(|guest| guest.template);
        let house = House::new(&scenario, 7, Habit::Good, Disk::new(false));
        house.define(CLASS);
        let before = house.stage.world(|world| promises::portraits(world));
        let ground = Self { house, before };
        ground.deploys();
        ground
    }

    fn deploys(&self) {
        let home = self.house.homeroom();
        let state = self
            .house
            .stage
            .live(None, async { ended(deploy(&home, &house_lab(), &Request::default()).await.unwrap()).await });
        assert_eq!(state, Ok(RunState::Done));
    }

    /// Number and making of each machine of the class, by its name.
    fn births(&self) -> BTreeMap<String, (u32, u64)> {
        self.house.stage.world(|world| {
            let ours = world.guests.values().filter(|vm| vm.name().starts_with("cs101-"));
            ours.map(|vm| (vm.name(), (vm.vmid, vm.birth))).collect()
        })
    }

    /// The journal's last lines, for people.
    fn said(&self) -> String {
        let told = self.house.disk.told();
        told.iter().rev().take(20).rev().map(|event| format!("\n  {}", event.message)).collect()
    }

    fn promises_hold(&self, when: &str, stands: &[SeatName]) {
        let key = self.house.lab_key(&house_lab());
        let told: Vec<String> = self.house.disk.told().iter().map(|event| event.message.to_string()).collect();
        let broken = self.house.stage.world(|world| {
            let mut broken = promises::always(world, &self.before, &house_lab());
            match stands {
                [] => broken.extend(promises::destroyed(world, &self.before, &told)),
                seats => broken.extend(promises::deployed(world, &house_lab(), seats, &key)),
            }
            broken
        });
        assert!(broken.is_empty(), "{when}: {broken:#?}");
    }
}

/// Cuts `verb` off at each point that differs, lets it be asked again as often as a patient admin would, and has `check`
/// look. Every life begins on ground that `prepare` made; the first is not cut off, and tells the points.
fn at_every_point<F>(prepare: impl Fn() -> Ground, verb: impl Fn(Arc<Homeroom>) -> F, check: impl Fn(&Ground, &str))
where
    F: Future<Output = Result<RunState, ServiceError>>,
{
    let mut points = vec![None];
    let mut next = 0;
    while let Some(die_at) = points.get(next).copied() {
        let ground = prepare();
        let stage = &ground.house.stage;
        let life = stage.live(die_at, verb(ground.house.homeroom()));
        if die_at.is_none() {
            points.extend(stage.telling_points().into_iter().map(Some));
        }
        next += 1;
        stage.world(|world| world.faults.clear());
        stage.rest(Duration::from_secs(60));
        let when = format!("cut off at {die_at:?}");
        let last = match life {
            Ok(end) => end.map_err(|error| error.to_string()),
            Err(Over::Stuck) => panic!("{when}: it hangs"),
            Err(Over::Killed) => {
                let again = || match stage.live(None, verb(ground.house.homeroom())) {
                    Ok(end) => end.map_err(|error| error.to_string()),
                    Err(over) => panic!("{when}: asked again it is {over:?}"),
                };
                let end = again();
                if end == Ok(RunState::Done) { end } else { again() }
            }
        };
        assert_eq!(last, Ok(RunState::Done), "{when}");
        check(&ground, &when);
    }
}

#[test]
fn a_rollback_cut_off_anywhere_takes_the_whole_deploy_back_when_asked_again() {
    at_every_point(
        Ground::deployed,
        |home| async move {
            match rollback(&home, RunId(1), true, &Confirmation::default()).await? {
                Back::This(outcome) => Ok(ended(outcome).await),
                Back::Nothing(_) => Ok(RunState::Done),
            }
        },
        |ground, when| ground.promises_hold(when, &[]),
    );
}

#[test]
fn a_removal_of_one_seat_cut_off_anywhere_ends_with_that_machine_gone_and_the_other_untouched() {
    at_every_point(
        Ground::deployed,
        |home| async move { Ok(ended(destroy(&home, &house_lab(), &[seat(1)], &Confirmation::default()).await?).await) },
        |ground, when| {
            let left = ground.births();
            assert_eq!(left.keys().collect::<Vec<_>>(), ["cs101-student-02"], "{when}");
            ground.promises_hold(when, &[seat(2)]);
        },
    );
}

/// A class whose machines are off, as the cluster's list says, one of which was told to start when homeroom was cut off.
fn cut_off_while_starting(die_at: u64) -> (Ground, Result<RunState, Over>) {
    let ground = Ground::deployed();
    let stage = &ground.house.stage;
    let power = |deed: Deed, die_at| {
        let home = ground.house.homeroom();
        let seats = [seat(1)];
        stage.live(die_at, async { ended(carry_out(&home, &house_lab(), &seats, deed).await.unwrap()).await })
    };
    assert_eq!(power(Deed::Stop, None), Ok(RunState::Done));
    stage.rest(Duration::from_secs(60));
    let end = power(Deed::Start, Some(die_at));
    (ground, end)
}

#[test]
fn a_machine_is_made_anew_though_the_list_does_not_show_yet_that_it_was_started() {
    let mut began_anew = 0;
    for die_at in (1..).step_by(3) {
        let (ground, end) = cut_off_while_starting(die_at);
        let (before, home) = (ground.births(), ground.house.homeroom());
        let seats = [seat(1)];
        let plan =
            ground.house.stage.live(None, async { rebuild::look(&home, &house_lab(), &seats, false).await.unwrap() });
        let plan = plan.unwrap();
        let runs = ground.house.stage.world(|world| world.guests[&before["cs101-student-01"].0].run.is_some());
        assert_eq!(plan.seats[0].steps.contains(&StepName::Stop), runs, "cut off at {die_at}: {:?}", plan.seats[0]);
        let again = ground.house.stage.live(None, async {
            ended(rebuild::rebuild(&home, &house_lab(), &seats, false, &Confirmation::default()).await.unwrap()).await
        });
        assert_eq!(again, Ok(RunState::Done), "cut off at {die_at}: {}", ground.said());
        assert_ne!(ground.births(), before, "cut off at {die_at}");
        began_anew += 1;
        if end.is_ok() {
            break;
        }
    }
    assert!(began_anew > 5, "{began_anew}");
}

#[test]
fn a_removal_whose_worker_dies_before_the_last_line_is_ended_wherever_its_process_dies_with_it() {
    at_every_point(
        || {
            let ground = Ground::deployed();
            ground.house.stage.world(|world| {
                world.inject(Fault::first("DELETE /nodes/*/qemu/*", FaultKind::AccessLock { seconds: 9.0 }));
                world.inject(Fault::first("DELETE /nodes/*/qemu/*", FaultKind::Kill { seconds: 5.0 }));
            });
            ground
        },
        |home| async move { Ok(ended(destroy(&home, &house_lab(), &[seat(1)], &Confirmation::default()).await?).await) },
        |ground, when| {
            assert_eq!(ground.births().keys().collect::<Vec<_>>(), ["cs101-student-02"], "{when}");
            ground.promises_hold(when, &[seat(2)]);
        },
    );
}

#[test]
fn an_adopt_of_a_lost_store_cut_off_anywhere_brings_every_seat_back_when_asked_again() {
    for take_over in [false, true] {
        at_every_point(
            || {
                let ground = Ground::deployed();
                ground.house.disk.is_lost(take_over);
                ground
            },
            |home| async move {
                let request = Wishes { take_over, ..Wishes::default() };
                let report = adopt(&home, &SITE.parse().unwrap(), &request).await?;
                assert_eq!(report.others, Vec::<String>::new());
                Ok(RunState::Done)
            },
            |ground, when| {
                let births = ground.births();
                assert_eq!(births.len(), 2, "{when}");
                // As the machines show, so it is defined: nothing is to be done but to prove them.
                ground.deploys();
                assert_eq!(ground.births(), births, "{when}: nothing was made or replaced");
                ground.promises_hold(when, &[seat(1), seat(2)]);
            },
        );
    }
}

/// Disks of nobody's that nothing in the journal names.
fn unsaid(ground: &Ground) -> Vec<String> {
    let told: Vec<String> = ground.house.disk.told().iter().map(|event| event.message.to_string()).collect();
    ground.house.stage.world(|world| promises::destroyed(world, &ground.before, &told))
}

/// A class whose removals leave their disks: somebody holds the storage's lock for longer than Proxmox waits.
fn leaves_disks() -> Ground {
    let ground = Ground::deployed();
    ground.house.stage.world(|world| {
        let held = FaultKind::StorageLock { storage: "fast".to_owned(), seconds: 25.0 };
        world.inject(Fault::first("DELETE /nodes/*/qemu/*", held));
    });
    ground
}

fn destroys(ground: &Ground, die_at: Option<u64>) -> Result<RunState, Over> {
    let home = ground.house.homeroom();
    let all = || async { ended(destroy(&home, &house_lab(), &[], &Confirmation::default()).await.unwrap()).await };
    ground.house.stage.live(die_at, all())
}

#[test]
fn disks_a_removal_left_are_named_though_its_log_is_not_to_be_had() {
    let ground = leaves_disks();
    ground.house.stage.world(|world| world.inject(Fault::every("GET /nodes/*/tasks/*/log", FaultKind::Cut)));
    assert_eq!(destroys(&ground, None), Ok(RunState::Done));
    let left = ground.house.stage.world(|world| world.volumes_of(9104).len() + world.volumes_of(9100).len());
    assert!(left > 0, "nothing was left: {}", ground.said());
    assert_eq!(unsaid(&ground), Vec::<String>::new(), "{}", ground.said());
}

#[test]
fn disks_a_removal_left_are_named_by_the_deploy_that_takes_its_number_again() {
    let whole = leaves_disks();
    destroys(&whole, None).unwrap();
    let points = whole.house.stage.telling_points();
    // From the first removal on.
    for die_at in points.into_iter().rev().step_by(4) {
        let ground = leaves_disks();
        let end = destroys(&ground, Some(die_at));
        ground.house.stage.world(|world| world.faults.clear());
        ground.house.stage.rest(Duration::from_secs(60));
        ground.deploys();
        assert_eq!(destroys(&ground, None), Ok(RunState::Done));
        assert_eq!(unsaid(&ground), Vec::<String>::new(), "cut off at {die_at} ({end:?}): {}", ground.said());
    }
}
