//! The inside of an instance, as far as it is modelled: Container-Optimized OS that boots, lets in who stands in
//! its metadata, and does what homeroom's startup script does with Docker. No container runs: what `docker ps`
//! and `curl` print is kept here, and changed by what stops, kills and starts.

use std::{collections::BTreeMap, fmt::Write as _};

use super::world::{Due, Instance, World};

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
    /// What the startup script has come to.
    pub state: String,
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
}

impl Inside {
    fn say(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.log, "homeroom: {line}");
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

/// Docker runs, and the startup script begins.
pub(super) fn docker(world: &mut World, id: u64) {
    let pull = world.physics.pull;
    let Some(instance) = world.instances.get_mut(&id) else { return };
    instance.inside.docker = true;
    if attribute(instance, "startup-script").is_none() {
        return;
    }
    state(instance, "pulling");
    let run = instance.run;
    // What was pulled once is still there.
    let wait = if instance.inside.containers.is_empty() { pull } else { 0 };
    world.after(wait, Due::Pulled(id, run));
}

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
    state(instance, "starting the seats");
    let seats: u64 = attribute(instance, "homeroom-seats").and_then(|text| text.parse().ok()).unwrap_or(0);
    let run = instance.run;
    world.after(seat * seats, Due::Seats(id, run));
}

/// Every container runs.
pub(super) fn seats(world: &mut World, id: u64) {
    let Some(instance) = world.instances.get_mut(&id) else { return };
    let lab = attribute(instance, "homeroom-lab").unwrap_or_default().to_owned();
    let seats: u16 = attribute(instance, "homeroom-seats").and_then(|text| text.parse().ok()).unwrap_or(0);
    let browser = attribute(instance, "homeroom-browser-image").is_some();
    let mut wanted: Vec<(String, Vec<u16>)> = Vec::new();
    for number in 1..=seats {
        let base = 3000 + 10 * number;
        wanted.push((format!("{lab}-seat-{number:02}"), vec![base + 1, base + 2]));
        if browser {
            wanted.push((format!("{lab}-seat-{number:02}-browser"), vec![base + 3]));
        }
    }
    wanted.push((format!("{lab}-host"), proxy_port(instance).into_iter().collect()));
    instance.inside.containers = wanted
        .into_iter()
        .map(|(name, ports)| Container { name, running: true, status: "Up 2 seconds".to_owned(), ports })
        .collect();
    state(instance, "ready");
}

/// What the instance answers to HTTP on a port of its own, as `curl` sees it there; none where nobody listens.
pub(super) fn asked(instance: &Instance, port: u16, path: &str) -> Option<(u16, &'static str)> {
    let container = instance.inside.containers.iter().find(|it| it.running && it.ports.contains(&port))?;
    Some(match (container.name.ends_with("-host"), path) {
        (false, _) => (200, "a seat\n"),
        (true, "/health") => (200, "ok"),
        (true, path) if path.starts_with("/vm/") => (403, "this link needs the token of its seat"),
        (true, _) => (404, "not found"),
    })
}

/// A command line, as the simulated shell of the instance carries it out: what it prints, on which stream, and
/// its status.
pub(super) fn run(instance: &mut Instance, line: &str, stdin: &[u8]) -> (String, String, u32) {
    let words = split(line);
    let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|word| *word == "sudo").collect();
    let good = |text: String| (text, String::new(), 0);
    let bad = |text: &str, code| (String::new(), text.to_owned(), code);
    let inside = &mut instance.inside;
    match words.as_slice() {
        [] | ["true"] => good(String::new()),
        ["hostname"] => good(format!("{}\n", instance.name)),
        ["uname", ..] => good(format!("Linux {} 6.6.72+ x86_64 GNU/Linux\n", instance.name)),
        ["id"] => good("uid=1001(homeroom) gid=1002(homeroom) groups=1002(homeroom),412(docker)\n".to_owned()),
        ["docker", ..] if !inside.docker => bad(
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
            1,
        ),
        ["docker", "version", ..] => good("24.0.9\n".to_owned()),
        ["docker", "ps", ..] => good(inside.containers.iter().fold(String::new(), |mut out, it| {
            let state = if it.running { "running" } else { "exited" };
            let _ = writeln!(out, "{}\t{state}\t{}", it.name, it.status);
            out
        })),
        ["docker", verb @ ("logs" | "restart" | "start" | "stop" | "kill" | "exec"), rest @ ..] => {
            let found = inside.containers.iter_mut().find(|it| rest.contains(&it.name.as_str()));
            let Some(found) = found else {
                let name = rest.last().copied().unwrap_or_default();
                return bad(&format!("Error response from daemon: No such container: {name}\n"), 1);
            };
            match *verb {
                "logs" => return good("listening\n".to_owned()),
                "exec" if !found.running => {
                    return bad(&format!("Error response from daemon: Container {} is not running\n", found.name), 1);
                }
                "exec" => return good(String::new()),
                "restart" | "start" => {
                    found.running = true;
                    found.status = "Up 1 second".to_owned();
                }
                _ => {
                    found.running = false;
                    found.status = "Exited (137) 1 second ago".to_owned();
                }
            }
            good(format!("{}\n", found.name))
        }
        ["cat", path] | ["tail", .., path] => match *path {
            "/run/homeroom/state" => match inside.state.is_empty() {
                true => bad(&format!("cat: {path}: No such file or directory\n"), 1),
                false => good(format!("{}\n", inside.state)),
            },
            "/var/lib/homeroom/startup.log" => good(inside.log.clone()),
            other => match inside.files.get(other) {
                Some(bytes) => good(String::from_utf8_lossy(bytes).into_owned()),
                None => bad(&format!("{}: {other}: No such file or directory\n", words[0]), 1),
            },
        },
        ["tee", path] => {
            inside.files.insert((*path).to_owned(), stdin.to_vec());
            good(String::from_utf8_lossy(stdin).into_owned())
        }
        ["curl", .., url] => {
            let rest = url.trim_start_matches("http://127.0.0.1:");
            let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
            let port = port.parse().unwrap_or(0);
            match asked(instance, port, &format!("/{path}")) {
                Some((status, _)) => good(status.to_string()),
                None => ("000".to_owned(), format!("curl: (7) Failed to connect to 127.0.0.1 port {port}\n"), 7),
            }
        }
        [other, ..] => bad(&format!("-bash: {other}: command not found\n"), 127),
    }
}

/// Words as a shell has them: those in quotes are one, and what follows `>` or `|` is left out.
fn split(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote, mut open) = (String::new(), None, false);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(mark)) if c == mark => quote = None,
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => (quote, open) = (Some(c), true),
            (c, None) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (c, None) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    let end =
        words.iter().position(|word| matches!(word.as_str(), ">" | "|" | ">/dev/null" | "2>&1")).unwrap_or(words.len());
    words.truncate(end);
    words
}
