//! The inside of an instance, as far as it is modelled: Container-Optimized OS that boots, lets in who stands in
//! its metadata, and does what homeroom's startup script does with Docker. No container runs: what `docker ps`
//! and `curl` print is kept here, and changed by what stops, kills and starts.

use std::{collections::BTreeMap, fmt::Write as _};

use super::world::{Due, Instance, World};
use crate::sim::guest;

/// What goes on inside.
#[derive(Debug, Clone, Default)]
pub struct Inside {
    /// Does anything listen on port 22?
    pub ssh: bool,
    pub docker: bool,
    /// Who may log in, with the keys.
    pub users: Vec<(String, Vec<String>)>,
    pub containers: Vec<Container>,
    /// What lies below `/var`, which outlives a restart.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The routes its proxy has: those in its file when it was started last.
    pub routes: String,
    /// What the startup script has come to.
    pub state: String,
    /// Somebody has started the startup script by hand.
    pub begun_anew: bool,
    /// Pulls that this run of the script has tried in vain.
    pub pulls: u32,
    pub log: String,
}

/// A container, as Docker lists it.
#[derive(Debug, Clone)]
pub struct Container {
    pub name: String,
    pub running: bool,
    pub status: String,
    /// The ports of the loopback that lead to it.
    pub ports: Vec<u16>,
    /// What it is like inside.
    pub guest: guest::Inside,
}

impl Inside {
    fn say(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.log, "homeroom: {line}");
    }

    /// The proxy starts, and reads its file.
    pub(super) fn reads_routes(&mut self) {
        let file = self.files.get("/var/lib/homeroom/Caddyfile");
        self.routes = file.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
    }

    /// A container ends by itself.
    pub fn end(&mut self, name: &str) {
        for container in self.containers.iter_mut().filter(|container| container.name == name) {
            container.running = false;
            container.status = "Exited (137) 2 seconds ago".to_owned();
        }
    }
}

/// A value of an instance's metadata.
pub(super) fn attribute<'a>(instance: &'a Instance, key: &str) -> Option<&'a str> {
    let items = instance.body["metadata"]["items"].as_array()?;
    items.iter().find(|item| item["key"] == key).and_then(|item| item["value"].as_str())
}

/// The port of the proxy.
pub(super) fn proxy_port(instance: &Instance) -> Option<u16> {
    attribute(instance, "homeroom-proxy-port")?.parse().ok()
}

/// Power goes off.
pub(super) fn off(instance: &mut Instance) {
    instance.inside.ssh = false;
    instance.inside.docker = false;
    instance.inside.state.clear();
    instance.inside.begun_anew = false;
    for container in &mut instance.inside.containers {
        container.running = false;
        container.status = "Exited (0) 1 second ago".to_owned();
    }
}

fn tell(instance: &mut Instance, key: &str, value: &str) {
    if attribute(instance, "enable-guest-attributes") == Some("TRUE") {
        instance.attributes.insert(key.to_owned(), value.to_owned());
    }
}

fn state(instance: &mut Instance, words: &str) {
    instance.inside.state = words.to_owned();
    instance.inside.say(words);
    let line = format!("startup-script: homeroom: {words}\n");
    instance.serial.push_str(&line);
    tell(instance, "homeroom/state", words);
}

/// The kernel and the guest agent are up: keys are made and shown, SSH listens.
pub(super) fn booted(world: &mut World, id: u64) {
    let docker = world.physics.docker;
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let key = crate::sim::ssh::pair(&instance.host_key, "").public;
    let key = key.split(' ').nth(1).unwrap_or_default().to_owned();
    tell(instance, "hostkeys/ssh-ed25519", &key);
    let _ = write!(
        instance.serial,
        "Linux version 6.6.72+ (COS)\nWelcome to Container-Optimized OS from Google\n{} login: \n",
        instance.name
    );
    let oslogin = attribute(instance, "enable-oslogin").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let lines = attribute(instance, "ssh-keys").unwrap_or_default();
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (user, key) in lines.lines().filter_map(|line| line.split_once(':')) {
        users.entry(user.to_owned()).or_default().push(key.to_owned());
    }
    instance.inside.users = if oslogin { Vec::new() } else { users.into_iter().collect() };
    instance.inside.ssh = true;
    let run = instance.run;
    world.after(docker, Due::Docker(id, run));
}

/// The startup script's watch asks the metadata server so often whether the machine is about to be taken away.
pub(super) const ASKS_EVERY: u64 = 2_000;

/// That watch has seen that it is, if the script has come so far.
pub(super) fn noticed(world: &mut World, id: u64) {
    let at = world.epoch + i64::try_from(world.now() / 1000).unwrap_or(0);
    let Some(instance) = world.instances.get_mut(&id) else { return };
    if instance.inside.docker && attribute(instance, "startup-script").is_some() {
        instance.inside.say("this machine is being taken away");
        tell(instance, "homeroom/preempted", &at.to_string());
    }
}

/// Docker runs, and the startup script begins.
pub(super) fn docker(world: &mut World, id: u64) {
    let pull = world.physics.pull;
    let Some(instance) = world.instances.get_mut(&id) else { return };
    instance.inside.docker = true;
    if attribute(instance, "startup-script").is_none() {
        return;
    }
    tell(instance, "homeroom/preempted", "");
    instance.inside.pulls = 0;
    state(instance, "pulling");
    let run = instance.run;
    // What was pulled once is still there.
    let wait = if instance.inside.containers.is_empty() { pull } else { 0 };
    world.after(wait, Due::Pulled(id, run));
}

/// So often the script tries to pull an image.
const PULLS: u32 = 6;

/// The images are here, or are not to be had.
pub(super) fn pulled(world: &mut World, id: u64) {
    let (known, seat) = (world.images.clone(), world.physics.seat);
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let wanted = ["homeroom-image", "homeroom-proxy-image", "homeroom-browser-image"];
    let wanted: Vec<String> = wanted.iter().filter_map(|key| attribute(instance, key)).map(str::to_owned).collect();
    if let Some(missing) = wanted.iter().find(|image| !known.is_empty() && !known.contains(image)) {
        let words = format!("failed: cannot pull {missing}: manifest unknown");
        return state(instance, &words);
    }
    if world.broken_pulls > 0 {
        world.broken_pulls -= 1;
        instance.inside.pulls += 1;
        let (pulls, run, why) = (instance.inside.pulls, instance.run, "net/http: TLS handshake timeout");
        if pulls == PULLS {
            return state(instance, &format!("failed: cannot pull {}: {why}", wanted.join(", ")));
        }
        let wait = 1 << pulls;
        state(instance, &format!("pulling: again in {wait} s, after {why}"));
        return world.after(wait * 1000, Due::Pulled(id, run));
    }
    state(instance, "starting the seats");
    let seats: u64 = attribute(instance, "homeroom-seats").and_then(|text| text.parse().ok()).unwrap_or(0);
    let run = instance.run;
    world.after(seat * seats, Due::Seats(id, run));
}

/// Every container runs.
pub(super) fn seats(world: &mut World, id: u64) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    make_seats(instance, None);
    state(instance, "ready");
}

/// Makes what is not there and starts what does not run; `only` is a seat somebody has just taken.
pub(super) fn make_seats(instance: &mut Instance, only: Option<u16>) {
    let lab = attribute(instance, "homeroom-lab").unwrap_or_default().to_owned();
    let seats: u16 = attribute(instance, "homeroom-seats").and_then(|text| text.parse().ok()).unwrap_or(0);
    let browser = attribute(instance, "homeroom-browser-image").is_some();
    let mut wanted: Vec<(String, Vec<u16>)> = Vec::new();
    let join = attribute(instance, "homeroom-seats-on") == Some("join");
    let there = |number: u16| instance.inside.containers.iter().any(|it| it.name == format!("{lab}-seat-{number:02}"));
    for number in (1..=seats).filter(|number| !join || there(*number) || only == Some(*number)) {
        let base = 3000 + 10 * number;
        wanted.push((format!("{lab}-seat-{number:02}"), vec![base + 1, base + 2]));
        if browser {
            wanted.push((format!("{lab}-seat-{number:02}-browser"), vec![base + 3]));
        }
    }
    wanted.push((format!("{lab}-host"), proxy_port(instance).into_iter().collect()));
    let runs = |it: &Container| it.running && it.name == format!("{lab}-host");
    // One that runs goes on with what it has.
    if !instance.inside.containers.iter().any(runs) {
        instance.inside.reads_routes();
    }
    let mut old = std::mem::take(&mut instance.inside.containers);
    let made = |(name, ports): (String, Vec<u16>)| {
        // What is there is kept, with what was written in it.
        let kept = old.iter().position(|it| it.name == name).map(|at| old.remove(at).guest);
        let guest = kept.unwrap_or_else(|| {
            let mut guest = guest::Inside::new("debian-12", [0; 32], [0; 32]);
            guest.hostname = name.strip_prefix(&format!("{lab}-")).unwrap_or(&name).to_owned();
            guest
        });
        Container { name, running: true, status: "Up 2 seconds".to_owned(), ports, guest }
    };
    instance.inside.containers = wanted.into_iter().map(made).collect();
}

/// What the instance answers to HTTP on a port of its own, as `curl` sees it there; none where nobody listens.
pub(super) fn asked(instance: &Instance, port: u16, path: &str) -> Option<(u16, &'static str)> {
    let routes = &instance.inside.routes;
    let proxy = || instance.inside.containers.iter().any(|it| it.running && it.name.ends_with("-host"));
    if routes.contains(&format!("http://127.0.0.1:{port} {{")) {
        return proxy().then_some((if path == "/health" { 200 } else { 404 }, "ok"));
    }
    if proxy_port(instance) == Some(port) && routes.contains("https://") {
        return proxy().then_some((400, "Client sent an HTTP request to an HTTPS server.\n"));
    }
    let container = instance.inside.containers.iter().find(|it| it.running && it.ports.contains(&port))?;
    Some(match (container.name.ends_with("-host"), path) {
        (false, _) => (200, "a seat\n"),
        (true, "/health") => (200, "ok"),
        (true, path) if path.starts_with("/vm/") => (403, "this link needs the token of its seat"),
        (true, _) => (404, "not found"),
    })
}
