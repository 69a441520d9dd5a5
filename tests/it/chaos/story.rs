//! One story: acts in bad weather, each perhaps cut off, then calm, a deploy, the promises, a
//! destroy, and the promises again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use homeroom::{
    config::definition::parse,
    domain::{
        Definition, Event, LabName, Level, RunId, SeatName,
        class::{ClassDefinition, Via},
        event::RunState,
        plan::Consent,
    },
    service::{
        Homeroom, ServiceError,
        adopt::adopt,
        check::{Deed, carry_out as carry},
        deploy::{Outcome, Request, deploy},
        destroy::{Confirmation, destroy},
        plan::Back,
        rebuild::{rebuild, rollback},
        runs::{latest, resume},
    },
    sim::{Fault, FaultKind, Scenario},
};

use super::{
    came_of,
    promises::{self, Portrait},
    weather::{self, Dice},
};
use crate::hand::{Disk, Habit, House, SITE, house_lab};

/// How a story ended.
pub struct End {
    /// Promises not kept, in words.
    pub broken: Vec<String>,
    /// Every request, in order.
    pub requests: Vec<String>,
    /// Every line of the journal, in order, with all that is in it.
    pub journal: Vec<String>,
    /// What was done to it, for people.
    pub acts: Vec<String>,
    /// Commands homeroom printed, and somebody ran.
    pub advice: Vec<String>,
    /// Removals that died half-way and were ended over node SSH.
    pub rests: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Deploy,
    /// A deploy that may restart and replace.
    Change,
    Check,
    Start,
    Stop,
    Restart,
    Rebuild(SeatName),
    DestroyAll,
    Destroy(SeatName),
    /// Of the last deploy.
    Rollback,
    Adopt,
    /// Going on with whatever was begun last.
    Resume,
}

pub struct Story {
    pub house: House,
    pub dice: Dice,
    pub lab: LabName,
    pub class: ClassDefinition,
    before: BTreeMap<u32, Portrait>,
    pub acts: Vec<String>,
    pub broken: Vec<String>,
    /// Nodes let nobody in by SSH, in calm weather too.
    shut: bool,
    advice: Vec<String>,
}

/// Tells the story of a seed with an engine of this habit.
pub fn tell(seed: u64, habit: Habit, forgets_intents: bool) -> End {
    let mut story = Story::begin(seed, habit, forgets_intents);
    story.shut_nodes();
    story.house.stage.world(|world| {
        for fault in weather::faults(&mut story.dice) {
            story.acts.push(format!("{fault:?}"));
            world.inject(fault);
        }
    });
    for n in 0..story.dice.from(1, 4) {
        let act = story.next_act(n);
        story.stormy(&act);
    }
    story.calm_down();
    story.settle("deploy", &Act::Deploy);
    story.stands();
    if story.dice.chance(50) {
        story.house.stage.world(|world| weather::faults(&mut story.dice).into_iter().for_each(|f| world.inject(f)));
        story.stormy(&Act::DestroyAll);
        story.calm_down();
    }
    story.goes()
}

impl Story {
    /// After a deploy in calm weather: every seat has its machine.
    pub fn stands(&mut self) {
        self.look("after the deploy", |story| {
            let key = story.house.lab_key(&story.lab);
            story.house.stage.world(|world| promises::deployed(world, &story.lab, &story.seats(), &key))
        });
    }

    /// The end of every story: nothing is left.
    pub fn goes(mut self) -> End {
        self.settle("destroy", &Act::DestroyAll);
        self.look("after the destroy", |story| {
            let told: Vec<String> = story.house.disk.told().iter().map(|event| event.message.to_string()).collect();
            story.house.stage.world(|world| promises::destroyed(world, &story.before, &told))
        });
        let journal = self.house.disk.told().iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let requests = self.house.stage.journal();
        let ended = |event: &&Event| event.message.as_str().contains("is what a dead removal left");
        let rests = self.house.disk.told().iter().filter(ended).count();
        End { broken: self.broken, requests, journal, acts: self.acts, advice: self.advice, rests }
    }

    pub fn seats(&self) -> Vec<SeatName> {
        self.class.seats().into_iter().map(|(seat, _)| seat).collect()
    }

    /// The run that was begun last.
    pub fn newest_run(&self) -> Option<RunId> {
        self.house.disk.told().iter().map(|event| event.run).max()
    }

    pub fn begin(seed: u64, habit: Habit, forgets_intents: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mut scenario = Scenario::default_world().unwrap();
        scenario.nodes.truncate(2);
        // Two machines of others in the midst of our range, with our tag and no mark.
        scenario.guests.retain(|guest| guest.node != "pve3" && guest.vmid != 9103);
        let house = House::new(&scenario, seed, habit, Disk::new(forgets_intents));
        let class = class(&mut dice);
        house.put(&Definition::Class(class.clone()));
        let before = house.stage.world(|world| promises::portraits(world));
        // A roll call by SSH could prove nothing then.
        let shut = class.rollcall.via == Via::Api && seed % 2 == 1;
        let acts = vec![format!("{} seats, {:?}", class.seats().len(), class.template)];
        Self { house, dice, lab: house_lab(), class, before, acts, broken: Vec::new(), shut, advice: Vec::new() }
    }

    fn next_act(&mut self, n: u64) -> Act {
        let seats = self.seats();
        match self.dice.from(0, 9) {
            _ if n == 0 => Act::Deploy,
            0..=5 => Act::Deploy,
            6 => Act::Check,
            7 => match self.dice.from(0, 3) {
                0 => Act::Rollback,
                1 => Act::Adopt,
                _ => Act::DestroyAll,
            },
            _ => Act::Destroy(self.dice.pick(&seats)),
        }
    }

    /// One act with everything that may come over it.
    pub fn stormy(&mut self, act: &Act) -> String {
        weather::events(&mut self.dice, &self.house.stage);
        if self.dice.chance(15) {
            let first = self.dice.from(1, 150);
            *self.house.disk.full.lock().unwrap() = first..first + self.dice.from(1, 40);
        }
        let die_at = self.dice.chance(60).then(|| {
            let most = self.dice.pick(&[30, 150, 400, 900]);
            self.dice.from(1, most)
        });
        let interrupt = self.dice.chance(10).then(|| self.dice.seconds(0, 60));
        let end = self.play(act, die_at, interrupt);
        self.acts.push(format!("{act:?} until {die_at:?}, stopped {interrupt:?}: {end}"));
        *self.house.disk.full.lock().unwrap() = 0..0;
        let pause = self.dice.seconds(0, 60);
        self.house.stage.rest(pause);
        end
    }

    /// One life: the act in words, and how it ended.
    pub fn play(&mut self, act: &Act, die_at: Option<u64>, interrupt: Option<Duration>) -> String {
        let home = self.house.homeroom();
        let work = carry_out(&home, &self.lab, act, interrupt);
        came_of(self.house.stage.live(die_at, work), act, &mut self.broken)
    }

    /// Everything works again, and what was under way ends.
    pub fn calm_down(&self) {
        self.house.stage.call_off();
        self.house.stage.world(|world| {
            world.faults.clear();
            world.set_quorate(true);
            for node in ["pve1", "pve2"] {
                world.set_node_online(node, true);
            }
        });
        self.shut_nodes();
        self.house.stage.rest(Duration::from_secs(300));
    }

    fn shut_nodes(&self) {
        if self.shut {
            self.house.stage.world(|world| world.inject(Fault::every("SSH /nodes/*/ssh", FaultKind::Cut)));
        }
    }

    /// Asks in calm weather until there is nothing left to do, as a patient admin would.
    pub fn settle(&mut self, what: &str, act: &Act) {
        let mut given = Vec::new();
        for _ in 0..4 {
            let told = self.house.disk.told().len();
            let end = self.play(act, None, None);
            self.acts.push(format!("{what} in calm weather: {end}"));
            let done = end == "nothing to do" || end == "Done";
            if done {
                break;
            }
            let errors: Vec<String> = (self.house.disk.told().iter().skip(told))
                .filter(|event| event.level >= Level::Warning)
                .map(|event| format!("  {}: {}", event.seat.as_ref().map_or("", SeatName::as_str), event.message))
                .collect();
            self.acts.extend(errors);
            self.follow_advice(told, &mut given);
            self.house.stage.rest(Duration::from_secs(30));
        }
    }

    /// Runs the commands that homeroom printed, exactly: `qm unlock N && qm destroy N` on the node it names. Where node
    /// SSH is open none is needed; `given` are the machines it was done to before, which must have sufficed.
    fn follow_advice(&mut self, from: usize, given: &mut Vec<u32>) {
        let mut now: Vec<u32> = Vec::new();
        for event in self.house.disk.told().iter().skip(from) {
            let Some(advice) = event.message.as_str().split("run `").nth(1) else { continue };
            let Some((commands, rest)) = advice.split_once('`') else { continue };
            let Some(id) = commands.strip_prefix("qm unlock ").and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            let id: u32 = id.parse().unwrap();
            // The step says it, and its seat.
            if now.contains(&id) {
                continue;
            }
            now.push(id);
            assert_eq!(commands, format!("qm unlock {id} && qm destroy {id}"));
            let node = rest.strip_prefix(" on ").and_then(|rest| rest.split([',', ' ']).next()).unwrap();
            self.acts.push(format!("an admin runs {commands} on {node}"));
            if !self.shut {
                self.broken.push(format!("a command was advised where node SSH is open: {}", event.message));
            }
            if given.contains(&id) {
                self.broken.push(format!("doing as advised did not suffice: {}", event.message));
            }
            self.house.stage.world(|world| {
                let there = world.guests.get(&id).map(|vm| vm.node.clone());
                if there.as_deref() != Some(node) {
                    self.broken.push(format!("{commands} is advised on {node}, and the machine is on {there:?}"));
                }
                world.set_lock(id, None);
                world.vanish(id);
            });
            self.advice.push(commands.to_owned());
        }
        given.extend(now);
    }

    fn look(&mut self, when: &str, check: impl FnOnce(&Self) -> Vec<String>) {
        let always = self.house.stage.world(|world| promises::always(world, &self.before, &self.lab));
        let found = always.into_iter().chain(check(self)).map(|what| format!("{when}: {what}"));
        let found: Vec<String> = found.collect();
        self.broken.extend(found);
    }
}

async fn carry_out(
    home: &Arc<Homeroom>,
    lab: &LabName,
    act: &Act,
    interrupt: Option<Duration>,
) -> Result<Option<RunState>, ServiceError> {
    let outcome = match act {
        Act::Deploy => deploy(home, lab, &Request::default()).await?,
        Act::Change => {
            let consent = Consent { restart: true, replace: true, ..Consent::default() };
            deploy(home, lab, &Request { consent, ..Request::default() }).await?
        }
        Act::Check => carry(home, lab, &[], Deed::Check).await?,
        Act::Start => carry(home, lab, &[], Deed::Start).await?,
        Act::Stop => carry(home, lab, &[], Deed::Stop).await?,
        Act::Restart => carry(home, lab, &[], Deed::Restart).await?,
        Act::Rebuild(seat) => rebuild(home, lab, std::slice::from_ref(seat), false, &Confirmation::default()).await?,
        Act::Resume => resume(home, latest(home, lab).await?).await?,
        Act::DestroyAll => destroy(home, lab, &[], &Confirmation::default()).await?,
        Act::Destroy(seat) => destroy(home, lab, std::slice::from_ref(seat), &Confirmation::default()).await?,
        Act::Rollback => {
            let runs = home.store.runs(Some(lab), 50).await?;
            let Some(run) = runs.iter().find(|run| run.kind.makes()) else { return Ok(None) };
            let Back::This(outcome) = rollback(home, run.id, true, &Confirmation::default()).await? else {
                return Ok(None);
            };
            outcome
        }
        Act::Adopt => {
            adopt(home, &SITE.parse().unwrap(), &Default::default()).await?;
            return Ok(None);
        }
    };
    let Outcome::Begun(handle) = outcome else { return Ok(None) };
    if let Some(after) = interrupt {
        let (clock, stop) = (home.clock.clone(), handle.stop.clone());
        tokio::spawn(async move {
            clock.sleep(after).await;
            stop.cancel();
        });
    }
    // A run whose journal is lost is as good as killed.
    Ok(Some(handle.ended.await.unwrap().unwrap_or(RunState::Interrupted)))
}

/// A small class of one kind or another.
fn class(dice: &mut Dice) -> ClassDefinition {
    let template = dice.pick(&["ubuntu-22.04", "ubuntu-22.04", "debian-12"]);
    let mut toml = format!(
        "kind = \"class\"\nname = \"cs101\"\nsite = \"sim\"\ntemplate = \"{template}\"\ncount = {}\nteacher = {}\n",
        dice.from(1, 3),
        dice.chance(50)
    );
    if dice.chance(20) {
        toml.push_str("pool = \"lab\"\n");
    }
    if dice.chance(20) {
        toml.push_str("[machine]\ndisk = \"10G\"\n");
    }
    toml.push_str("[cloud_init]\nuser = \"student\"\npassword = \"generate\"\n");
    if dice.chance(40) {
        toml.push_str("[rollcall]\nvia = \"api\"\n");
    }
    let Definition::Class(mut class) = parse(&toml, "class.toml", std::path::Path::new("/"), None).unwrap() else {
        panic!("no class")
    };
    class.rollcall.address_within = Duration::from_secs(120);
    class
}
