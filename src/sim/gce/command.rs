//! Commands on an instance: `docker`, `curl`, `tee` and what else homeroom asks for there, as far as it is asked for;
//! everything else is the small shell of the simulated guests, on the instance's own files or a container's.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    inside::{Container, Inside, asked, make_seats},
    world::{Instance, World},
};
use crate::sim::guest::{self, Output, Session};

/// What a command prints, on which stream, and its status.
#[derive(Debug, Clone, Default)]
pub struct Said {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub code: u32,
}

fn good(text: impl Into<Vec<u8>>) -> Said {
    Said { out: text.into(), ..Said::default() }
}

fn bad(text: impl Into<Vec<u8>>, code: u32) -> Said {
    Said { err: text.into(), code, ..Said::default() }
}

const NO_DOCKER: &str =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";

/// Carries a line out as the login shell of the instance does.
pub(super) fn run(world: &mut World, id: u64, session: &mut Session, line: &str, stdin: &[u8]) -> Option<Said> {
    let instance = world.instances.get_mut(&id)?;
    let said = on(instance, session, line, stdin);
    if std::mem::take(&mut instance.inside.begun_anew) && instance.inside.docker {
        super::inside::docker(world, id);
    }
    Some(said)
}

fn on(instance: &mut Instance, session: &mut Session, line: &str, stdin: &[u8]) -> Said {
    if line.contains("attributes/startup-script | sudo bash -s --) ") && line.ends_with('&') {
        // In the background: it goes on after the line's end.
        instance.inside.state.clear();
        instance.inside.begun_anew = true;
        return Said::default();
    }
    if let Some((_, number)) = line.split_once("attributes/startup-script | sudo bash -s -- ") {
        if !instance.inside.docker {
            return bad("homeroom: failed: Docker does not answer\n", 1);
        }
        make_seats(instance, number.trim().parse().ok());
        return good("homeroom: starting the seats\n");
    }
    let words = split(line);
    let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|word| *word == "sudo").collect();
    let inside = &mut instance.inside;
    match words.as_slice() {
        [] | ["true"] => Said::default(),
        ["docker", ..] if !inside.docker => bad(NO_DOCKER, 1),
        ["docker", rest @ ..] => docker(inside, rest, stdin),
        ["cat", path] | ["tail", .., path] => match *path {
            "/run/homeroom/state" => match inside.state.is_empty() {
                true => bad(format!("cat: {path}: No such file or directory\n"), 1),
                false => good(format!("{}\n", inside.state)),
            },
            "/var/lib/homeroom/startup.log" => good(inside.log.clone()),
            other => match inside.files.get(other) {
                Some(bytes) => good(bytes.clone()),
                None => bad(format!("{}: {other}: No such file or directory\n", words[0]), 1),
            },
        },
        ["tee", path] | ["install", "-m", _, "/dev/stdin", path] => {
            inside.files.insert((*path).to_owned(), stdin.to_vec());
            good(stdin)
        }
        ["mktemp", "--directory", ..] => {
            let number = inside.files.len();
            let folder = format!("/home/{}/homeroom.{number:08}", session.user);
            inside.files.insert(format!("{folder}/"), Vec::new());
            good(format!("{folder}\n"))
        }
        ["rm", "-rf", path] => {
            inside.files.retain(|file, _| file != path && !file.starts_with(&format!("{path}/")));
            Said::default()
        }
        ["curl", .., url] => {
            let rest = url.trim_start_matches("http://127.0.0.1:");
            let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
            let port = port.parse().unwrap_or(0);
            match asked(instance, port, &format!("/{path}")) {
                Some((status, _)) => good(status.to_string()),
                None => Said {
                    out: b"000".to_vec(),
                    ..bad(format!("curl: (7) Failed to connect to 127.0.0.1 port {port}\n"), 7)
                },
            }
        }
        _ => ended(on_host(instance, session, |host, session| guest::line(host, session, line, stdin))),
    }
}

/// Looks at the instance's own files as a guest's: what the small shell and SFTP know.
pub(super) fn on_host<T>(
    instance: &mut Instance,
    session: &mut Session,
    look: impl FnOnce(&mut guest::Inside, &mut Session) -> T,
) -> T {
    let mut host = guest::Inside::new("cos", [0; 32], [0; 32]);
    host.hostname.clone_from(&instance.name);
    host.cores = instance.vcpus;
    host.add_user(&session.user);
    host.files = std::mem::take(&mut instance.inside.files);
    let said = look(&mut host, session);
    instance.inside.files = host.files;
    said
}

fn ended(output: Output) -> Said {
    let code = u32::try_from(output.exit.status()).unwrap_or(255);
    Said { out: output.out, err: output.err, code }
}

fn docker(inside: &mut Inside, words: &[&str], stdin: &[u8]) -> Said {
    let flags = |words: &[&str]| words.iter().position(|word| !word.starts_with("--")).unwrap_or(words.len());
    match words {
        ["version", ..] => good("24.0.9\n"),
        ["ps", ..] => good(inside.containers.iter().fold(String::new(), |mut out, it| {
            let state = if it.running { "running" } else { "exited" };
            // Writing to a string does not fail.
            let _ = writeln!(out, "{}\t{state}\t{}", it.name, it.status);
            out
        })),
        ["exec", rest @ ..] => {
            let [name, command @ ..] = &rest[flags(rest)..] else { return bad("docker exec: too few words\n", 1) };
            let Some(found) = inside.find(name) else { return unknown(name) };
            if !found.running {
                return bad(format!("Error response from daemon: container {name} is not running\n"), 1);
            }
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            match guest::exec(&mut found.guest, &mut Session::new("root"), &command, stdin) {
                Ok(output) => ended(output),
                Err(missing) => bad(
                    format!(
                        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{}\": \
                         executable file not found in $PATH: unknown\n",
                        missing.0
                    ),
                    127,
                ),
            }
        }
        ["cp", from, to] => copy(inside, from, to),
        ["container", "inspect", .., name] => match inside.find(name) {
            Some(_) => good("/work\n"),
            None => unknown(name),
        },
        [verb @ ("logs" | "restart" | "start" | "stop" | "kill"), .., name] => {
            let Some(found) = inside.find(name) else { return unknown(name) };
            match *verb {
                "logs" => return good("listening\n"),
                "restart" | "start" => {
                    let reads = name.ends_with("-host") && (*verb == "restart" || !found.running);
                    found.set(true, "Up 1 second");
                    if reads {
                        inside.reads_routes();
                    }
                }
                _ => found.set(false, "Exited (137) 1 second ago"),
            }
            good(format!("{name}\n"))
        }
        _ => bad(format!("docker: '{}' is not a docker command.\n", words.join(" ")), 1),
    }
}

fn unknown(name: &str) -> Said {
    bad(format!("Error response from daemon: No such container: {name}\n"), 1)
}

/// Files between the instance and a container, as `docker cp` has it.
fn copy(inside: &mut Inside, from: &str, to: &str) -> Said {
    let missing = |path: &str| bad(format!("lstat {path}: no such file or directory\n"), 1);
    match (from.split_once(':'), to.split_once(':')) {
        (None, Some((name, path))) => {
            let Some(found) = taken(&inside.files, from) else { return missing(from) };
            let Some(container) = inside.find(name) else { return unknown(name) };
            put(&mut container.guest.files, found, from, path);
        }
        (Some((name, path)), None) => {
            let Some(container) = inside.find(name) else { return unknown(name) };
            let Some(found) = taken(&container.guest.files, path) else {
                return bad(
                    format!("Error response from daemon: Could not find the file {path} in container {name}\n"),
                    1,
                );
            };
            put(&mut inside.files, found, path, to);
        }
        _ => return bad("must specify at least one container source\n", 1),
    }
    Said::default()
}

/// A file, or a folder with all in it: names below `path`, which is "" for a file itself.
fn taken(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let path = path.trim_end_matches('/');
    if let Some(bytes) = files.get(path) {
        return Some(vec![(String::new(), bytes.clone())]);
    }
    let below = files.iter().filter_map(|(file, bytes)| {
        let rest = file.strip_prefix(path)?;
        rest.starts_with('/').then(|| (rest.to_owned(), bytes.clone()))
    });
    Some(below.collect::<Vec<_>>()).filter(|found| !found.is_empty())
}

fn put(files: &mut BTreeMap<String, Vec<u8>>, found: Vec<(String, Vec<u8>)>, from: &str, to: &str) {
    let plain = to.trim_end_matches('/');
    let is_folder = to.ends_with('/')
        || ["/", "/tmp", "/root", "/work", "/etc", "/home"].contains(&plain)
        || files.keys().any(|file| file.starts_with(&format!("{plain}/")));
    let base = match is_folder {
        true => format!("{plain}/{}", from.trim_end_matches('/').rsplit('/').next().unwrap_or_default()),
        false => plain.to_owned(),
    };
    files.extend(found.into_iter().map(|(rest, bytes)| (format!("{base}{rest}"), bytes)));
}

impl Inside {
    fn find(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|it| it.name == name)
    }

    /// Which container a line opens a terminal in, or what is said instead; none where it does no such thing.
    pub(super) fn enters(&mut self, name: &str) -> Option<Result<(), Said>> {
        Some(match self.find(name) {
            None => Err(unknown(name)),
            Some(found) if !found.running => {
                Err(bad(format!("Error response from daemon: container {name} is not running\n"), 1))
            }
            Some(_) => Ok(()),
        })
    }

    /// A line in the shell of a container.
    pub(super) fn in_container(&mut self, name: &str, session: &mut Session, line: &str, stdin: &[u8]) -> Option<Said> {
        let found = self.find(name).filter(|it| it.running)?;
        Some(ended(guest::line(&mut found.guest, session, line, stdin)))
    }
}

impl Container {
    fn set(&mut self, running: bool, status: &str) {
        self.running = running;
        self.status = status.to_owned();
    }
}

/// Words as a shell has them: those in quotes are one, and what follows `>` or `|` is left out.
fn split(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote, mut open) = (String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(mark)) if c == mark => quote = None,
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => (quote, open) = (Some(c), true),
            ('\\', None) => word.extend(chars.next()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_a_word_s_quotes_is_one_word_there() {
        assert_eq!(split("docker exec a sh -c 'echo it'\\''s'"), ["docker", "exec", "a", "sh", "-c", "echo it's"]);
        assert_eq!(split("sudo tee /a >/dev/null"), ["sudo", "tee", "/a"]);
    }
}
