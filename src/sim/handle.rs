//! Drives a world by the clock and gives everybody the same one: HTTP, node SSH, guest SSH, tests.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::api::{Answer, Request};
use super::clock::SimClock;
use super::guest::{Output, Session, line};
use super::world::guests::GuestFacts;
use super::world::{CallId, Job, Ms, Op, PipeKey, Purpose, World};

struct State {
    world: World,
    waiting: HashMap<CallId, oneshot::Sender<Answer>>,
    calls: CallId,
}

/// A cloneable way to one simulated world.
#[derive(Clone)]
pub struct WorldHandle {
    state: Arc<Mutex<State>>,
    clock: SimClock,
    changed: Arc<Notify>,
}

impl WorldHandle {
    /// Puts a world under a clock. Call [`Self::drive`] in a task of its own.
    pub fn new(world: World, clock: SimClock) -> Self {
        let state = State { world, waiting: HashMap::new(), calls: 0 };
        Self { state: Arc::new(Mutex::new(state)), clock, changed: Arc::new(Notify::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.world.advance(self.clock.now());
        state
    }

    /// The clock.
    pub fn clock(&self) -> SimClock {
        self.clock
    }

    /// Modelled milliseconds since the world began.
    pub fn now(&self) -> Ms {
        self.lock().world.now()
    }

    /// Looks at the world, or changes it behind the API's back.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut state = self.lock();
        let found = look(&mut state.world);
        hand_out(&mut state);
        drop(state);
        self.changed.notify_one();
        found
    }

    /// Makes a call and waits for its answer.
    pub async fn call(&self, request: Request) -> Answer {
        let receiver = {
            let mut state = self.lock();
            state.calls += 1;
            let id = state.calls;
            let (sender, receiver) = oneshot::channel();
            state.waiting.insert(id, sender);
            state.world.submit(id, request);
            hand_out(&mut state);
            receiver
        };
        self.changed.notify_one();
        receiver.await.unwrap_or_else(|_| super::api::Fail::status(599, "the simulation has ended").answer())
    }

    /// Burns processor time of a node, as starting `qm` does.
    pub async fn burn(&self, node: &str) {
        let receiver = {
            let mut state = self.lock();
            state.calls += 1;
            let id = state.calls;
            let (sender, receiver) = oneshot::channel();
            state.waiting.insert(id, sender);
            let units = state.world.physics.qm;
            let pipe = PipeKey::Cpu(node.to_owned());
            let ops = vec![Op::Flow { pipe, units, total: None, command: String::new() }];
            state.world.start_job(Job::new(Purpose::Call(id), ops));
            hand_out(&mut state);
            receiver
        };
        self.changed.notify_one();
        let _ = receiver.await;
    }

    /// Waits for a modelled span.
    pub async fn sleep(&self, ms: Ms) {
        tokio::time::sleep(self.clock.wall(ms)).await;
    }

    /// Lets modelled time jump, whatever the clock says.
    pub fn skip(&self, ms: Ms) {
        self.world(|world| world.advance(world.now() + ms));
    }

    /// When a call waits, jumps to the next thing that happens. For a clock that stands still:
    /// a test steps until its answer is there. True when there was something to wait for.
    pub fn step(&self) -> bool {
        let waits = !self.lock().waiting.is_empty();
        if waits {
            self.world(|world| {
                if let Some(next) = world.next_wake() {
                    world.advance(next);
                }
            });
        }
        waits
    }

    /// The running guest that owns an address.
    pub fn guest_at(&self, address: Ipv4Addr) -> Option<GuestFacts> {
        self.world(|world| world.guest_at(address))
    }

    /// A running guest with an address, by its number.
    pub fn guest(&self, vmid: u32) -> Option<GuestFacts> {
        self.world(|world| world.guest_facts(vmid))
    }

    /// Runs a line in a shell inside a guest; none when the guest is gone or hangs. The caller lets
    /// `takes` pass before it shows the output.
    pub fn shell(&self, vmid: u32, session: &mut Session, text: &str, stdin: &[u8]) -> Option<Output> {
        self.world(|world| {
            let unix = world.unix();
            let vm = world.guests.get(&vmid)?;
            vm.run.as_ref().filter(|run| !run.hung && !run.paused)?;
            session.uptime = world.since_up(vm)? + 8000;
            session.unix = unix;
            session.settled = world.cloud_init_done(vm);
            let inside = world.guests.get_mut(&vmid)?.inside.as_mut()?;
            Some(line(inside, session, text, stdin))
        })
    }

    /// Lets things happen when they are due, for ever.
    pub async fn drive(self) {
        loop {
            let next = {
                let mut state = self.lock();
                hand_out(&mut state);
                state.world.next_wake()
            };
            match next {
                Some(at) => {
                    let until = tokio::time::Instant::from_std(self.clock.at(at));
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        () = self.changed.notified() => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }
}

fn hand_out(state: &mut State) {
    for (call, answer) in state.world.take_answers() {
        if let Some(sender) = state.waiting.remove(&call) {
            // who hung up does not want the answer any more
            let _ = sender.send(answer);
        }
    }
}
