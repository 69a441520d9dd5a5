//! The stage: the world, the clock and the end of a process's life.

use std::{
    collections::BTreeMap,
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    port::Clock,
    sim::{
        SimClock, World, WorldHandle,
        api::{Answer, Request},
        gce,
        world::Ms,
    },
};
use jiff::Timestamp;

/// Unix seconds at which every world begins.
pub const EPOCH: i64 = 1_790_000_000;
/// Modelled time a life may last: whatever takes longer hangs.
const LONGEST: Ms = 6 * 3_600_000;

/// Why a life ended before its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// At the point it was told to die at.
    Killed,
    /// Nothing could go on, or it went on for hours.
    Stuck,
}

/// What was asked of the site, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Lists of tasks, states of tasks, looks at the cluster: they grow with nodes and time.
    pub polls: u64,
    /// Reads of one guest.
    pub reads: u64,
    /// Reads of a template: they belong to a plan, however many machines it is for.
    pub plans: u64,
    /// Requests that change something.
    pub writes: u64,
    /// Questions to guest agents, and logins.
    pub asks: u64,
}

type Deed = Box<dyn FnOnce(&mut World) + Send>;
type CloudDeed = Box<dyn FnOnce(&mut gce::World) + Send>;

struct State {
    now: Ms,
    /// When this life began.
    born: Ms,
    order: u64,
    sleepers: BTreeMap<(Ms, u64), Waker>,
    script: BTreeMap<(Ms, u64), Deed>,
    cloud_script: BTreeMap<(Ms, u64), CloudDeed>,
    points: u64,
    /// Requests that change something and what was written down, so far and when each point of this life was passed.
    changes: u64,
    changes_at: Vec<u64>,
    die_at: Option<u64>,
    over: Option<Over>,
    mourner: Option<Waker>,
    journal: Vec<String>,
    calls: Calls,
}

/// One world under one clock that moves when told to.
pub struct Stage {
    handle: WorldHandle,
    /// A project of Compute Engine's beside the world, under the same clock.
    project: Mutex<Option<gce::World>>,
    state: Mutex<State>,
    woken: Arc<AtomicBool>,
}

impl Stage {
    pub fn new(world: World) -> Arc<Self> {
        let state = State {
            now: 0,
            born: 0,
            order: 0,
            sleepers: BTreeMap::new(),
            script: BTreeMap::new(),
            cloud_script: BTreeMap::new(),
            points: 0,
            changes: 0,
            changes_at: Vec::new(),
            die_at: None,
            over: None,
            mourner: None,
            journal: Vec::new(),
            calls: Calls::default(),
        };
        let handle = WorldHandle::new(world, SimClock::new(0.0));
        Arc::new(Self { handle, project: Mutex::default(), state: Mutex::new(state), woken: Arc::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Looks at the world, or changes it behind the API's back.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        self.handle.world(look)
    }

    pub fn put_project(&self, project: gce::World) {
        *self.project.lock().unwrap() = Some(project);
    }

    /// Looks at the project, or changes it behind the API's back.
    pub fn project<T>(&self, look: impl FnOnce(&mut gce::World) -> T) -> T {
        let now = self.now_ms();
        let mut project = self.project.lock().unwrap();
        let world = project.as_mut().unwrap();
        world.advance(now);
        look(world)
    }

    /// Has something happen in the project, `after` from now.
    pub fn at_project(&self, after: Duration, deed: impl FnOnce(&mut gce::World) + Send + 'static) {
        let mut state = self.state();
        state.order += 1;
        let key = (state.now + ms(after), state.order);
        state.cloud_script.insert(key, Box::new(deed));
    }

    pub fn handle(&self) -> &WorldHandle {
        &self.handle
    }

    /// Modelled milliseconds since the world began.
    pub fn now_ms(&self) -> Ms {
        self.state().now
    }

    /// Has something happen in the world, `after` from now.
    pub fn at(&self, after: Duration, deed: impl FnOnce(&mut World) + Send + 'static) {
        let mut state = self.state();
        state.order += 1;
        let key = (state.now + ms(after), state.order);
        state.script.insert(key, Box::new(deed));
    }

    /// Forgets what was still to happen.
    pub fn call_off(&self) {
        self.state().script.clear();
    }

    /// Everything asked so far, one line a request.
    pub fn journal(&self) -> Vec<String> {
        self.state().journal.clone()
    }

    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    /// Points passed in the last life: how many places there were to die at.
    pub fn points(&self) -> u64 {
        self.state().points
    }

    /// The points of the last life that differ for whoever finds what it left: behind each change, and before the next.
    /// Between them only time passes, of which every fifth point is a sample.
    pub fn telling_points(&self) -> Vec<u64> {
        let state = self.state();
        let at = &state.changes_at;
        let differs = |a: usize, b: usize| at.get(a) != at.get(b);
        let tells = |n: &usize| n.is_multiple_of(5) || differs(*n - 1, *n) || differs(*n, *n + 1);
        (0..at.len()).filter(tells).map(|n| n as u64 + 1).collect()
    }

    /// Something was written down.
    pub fn changed(&self) {
        self.state().changes += 1;
    }

    /// One life of a process: carries `work` out until its end, or until the process has passed
    /// `die_at` points; then every task of it is dropped where it stands. The world goes on.
    pub fn live<T>(self: &Arc<Self>, die_at: Option<u64>, work: impl Future<Output = T>) -> Result<T, Over> {
        {
            let mut state = self.state();
            (state.points, state.die_at, state.over, state.mourner) = (0, die_at, None, None);
            state.born = state.now;
            state.changes_at.clear();
            state.sleepers.clear();
        }
        let stage = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(move || stage.idle())
            .build()
            .unwrap();
        let over = poll_fn(|context| {
            let mut state = self.state();
            state.mourner = Some(context.waker().clone());
            state.over.map_or(Poll::Pending, Poll::Ready)
        });
        runtime.block_on(async {
            tokio::select! {
                biased;
                over = over => Err(over),
                done = work => Ok(done),
            }
        })
    }

    /// Lets modelled time pass with no process alive.
    pub fn rest(&self, time: Duration) {
        let until = self.state().now + ms(time);
        loop {
            let state = self.state();
            let deeds = state.script.keys().chain(state.cloud_script.keys()).map(|(at, _)| *at);
            let due = deeds.min().filter(|at| *at <= until);
            drop(state);
            self.jump(due.unwrap_or(until));
            if due.is_none() {
                return;
            }
        }
    }

    /// Nobody can go on: jumps to the next thing that happens, until somebody can.
    fn idle(&self) {
        self.woken.store(false, Ordering::Relaxed);
        if self.state().over.is_some() {
            return;
        }
        loop {
            let world = self.handle.world(|world| world.next_wake());
            let project = self.project.lock().unwrap().as_ref().and_then(gce::World::next_wake);
            let state = self.state();
            let sleeper = state.sleepers.first_key_value().map(|((at, _), _)| *at);
            let deed = state.script.keys().chain(state.cloud_script.keys()).map(|(at, _)| *at).min();
            let next = [world, project, sleeper, deed].into_iter().flatten().min().map(|at| at.max(state.now));
            let late = next.is_none_or(|at| at > state.born + LONGEST);
            drop(state);
            match next {
                Some(at) if !late => self.jump(at),
                _ => return self.end(Over::Stuck),
            }
            if self.woken.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Moves the clock; what is due happens, and who waited for it is woken.
    fn jump(&self, at: Ms) {
        self.state().now = at;
        self.handle.world(|world| world.advance(at));
        if let Some(project) = self.project.lock().unwrap().as_mut() {
            project.advance(at);
        }
        loop {
            let due = {
                let mut state = self.state();
                let key = state.cloud_script.first_key_value().map(|(key, _)| *key).filter(|(when, _)| *when <= at);
                key.and_then(|key| state.cloud_script.remove(&key))
            };
            match due {
                Some(deed) => self.project(deed),
                None => break,
            }
        }
        loop {
            let due = {
                let mut state = self.state();
                let key = state.script.first_key_value().map(|(key, _)| *key).filter(|(when, _)| *when <= at);
                key.and_then(|key| state.script.remove(&key))
            };
            match due {
                Some(deed) => self.handle.world(deed),
                None => break,
            }
        }
        let mut state = self.state();
        let later = state.sleepers.split_off(&(at + 1, 0));
        let due = std::mem::replace(&mut state.sleepers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }

    fn end(&self, over: Over) {
        let mut state = self.state();
        state.over.get_or_insert(over);
        let mourner = state.mourner.take();
        drop(state);
        if let Some(waker) = mourner {
            waker.wake();
        }
    }

    /// A place between two effects. A process told to die here never comes back from it.
    pub async fn point(&self) {
        let alive = {
            let mut state = self.state();
            state.points += 1;
            let changes = state.changes;
            state.changes_at.push(changes);
            state.over.is_none() && state.die_at != Some(state.points)
        };
        if !alive {
            self.end(Over::Killed);
            pending::<()>().await;
        }
    }

    /// Makes one API call; the answer as the world gives it.
    pub async fn call(&self, request: Request) -> Answer {
        self.point().await;
        self.note(&request);
        let answer = self.wakeful(Box::pin(self.handle.call(request))).await;
        self.point().await;
        answer
    }

    /// Waits for an answer that is no request of the API's.
    pub async fn awaited<T>(&self, answer: impl Future<Output = T> + Send) -> T {
        let answer = self.wakeful(Box::pin(answer)).await;
        self.point().await;
        answer
    }

    /// Burns what starting `qm` takes of a node.
    pub async fn burn(&self, node: &str) {
        self.wakeful(Box::pin(self.handle.burn(node))).await;
    }

    /// Counts a question that is no API call.
    pub fn note_ask(&self, what: String) {
        let mut state = self.state();
        let line = format!("{} {what}", state.now);
        state.journal.push(line);
        state.calls.asks += 1;
    }

    fn note(&self, request: &Request) {
        let of = request.path.split("/qemu/").nth(1).and_then(|rest| rest.split('/').next()?.parse::<u32>().ok());
        let of_template =
            of.is_some_and(|vmid| self.world(|world| world.guests.get(&vmid).is_some_and(|vm| vm.template())));
        let mut state = self.state();
        let mut params: Vec<String> = request.params.iter().map(|(key, value)| format!("{key}={value}")).collect();
        params.sort();
        let line = format!("{} {} {} {}", state.now, request.method, request.path, params.join("&"));
        state.journal.push(line);
        if request.method != "GET" && !request.path.contains("/agent/") {
            state.changes += 1;
        }
        let calls = &mut state.calls;
        let kind = match request.method.as_str() {
            _ if request.path.contains("/agent/") => &mut calls.asks,
            "GET" if of_template => &mut calls.plans,
            "GET" if request.path.contains("/qemu/") => &mut calls.reads,
            "GET" => &mut calls.polls,
            _ => &mut calls.writes,
        };
        *kind += 1;
    }

    /// A future whose being woken is noticed.
    async fn wakeful<F: Future + Unpin>(&self, mut future: F) -> F::Output {
        poll_fn(|context| {
            let waker = self.noticed(context.waker());
            Pin::new(&mut future).poll(&mut Context::from_waker(&waker))
        })
        .await
    }

    fn noticed(&self, waker: &Waker) -> Waker {
        Waker::from(Arc::new(Noticed { woken: self.woken.clone(), waker: waker.clone() }))
    }

    /// Waits so many modelled milliseconds.
    pub async fn wait(&self, ms: Ms) {
        let until = self.state().now + ms;
        Nap { stage: self, until, key: None }.await;
    }
}

struct Noticed {
    woken: Arc<AtomicBool>,
    waker: Waker,
}

impl Wake for Noticed {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.waker.wake_by_ref();
    }
}

/// A sleep; leaves the list of sleepers when dropped.
struct Nap<'a> {
    stage: &'a Stage,
    until: Ms,
    key: Option<(Ms, u64)>,
}

impl Future for Nap<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let stage = self.stage;
        let waker = stage.noticed(context.waker());
        let mut state = stage.state();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let until = self.until;
        let key = *self.key.get_or_insert_with(|| {
            state.order += 1;
            (until, state.order)
        });
        state.sleepers.insert(key, waker);
        Poll::Pending
    }
}

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.stage.state().sleepers.remove(&key);
        }
    }
}

/// Milliseconds, rounded up.
fn ms(time: Duration) -> Ms {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap()
}

#[async_trait]
impl Clock for Stage {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(EPOCH * 1000 + i64::try_from(self.state().now).unwrap()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        let state = self.state();
        Duration::from_millis(state.now - state.born)
    }

    async fn sleep(&self, modelled: Duration) {
        if modelled.is_zero() {
            // As a timer does: others first.
            return tokio::task::yield_now().await;
        }
        self.point().await;
        self.wait(ms(modelled)).await;
    }
}
