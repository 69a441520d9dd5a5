//! The Docker engine of whoever tries homeroom out: a small workshop for it, beside the simulated ones.
//!
//! Nothing is made there before somebody deploys. What is made carries the demo's mark, is never fetched from a
//! registry, and goes when the demo ends, however it ends; what a killed one left goes with the next.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

use super::Staged;
use crate::{
    cli::CliError,
    config::{self, DockerSite, Environment, Site, SiteKind},
    domain::{SiteName, engine::EngineView},
    service::definitions,
    wire::guest::{Brought, Part, Stay},
};

/// The site's name.
const SITE: &str = "docker";
/// Where an engine is when nothing else is said.
const SOCKET: &str = "/var/run/docker.sock";
/// Ports for the proxy, the first one free on every address is taken. The simulated cloud's instances have 8080, each on
/// an address of its own, from the moment they run.
const PORTS: std::ops::Range<u16> = 8090..8190;
/// The example workspace, as `assets/workspace/build.sh` calls it.
const WORKSPACE: &str = "workspace:latest";
/// What Caddy's images are called.
const PROXIES: [&str; 4] = ["caddy:2", "caddy:latest", "caddy:2-alpine", "caddy:alpine"];
const SEAT_IMAGE: &str = "homeroom-demo/seat:1";
const PROXY_IMAGE: &str = "homeroom-demo/proxy:1";
/// What busybox has to be able to do.
const APPLETS: [&str; 12] = ["sh", "httpd", "cat", "ls", "ps", "top", "hostname", "vi", "nc", "sleep", "echo", "id"];

/// Something of the demo's may be on somebody's engine until this has left.
pub struct Visit {
    stay: Stay,
}

impl Visit {
    /// Whether anything of the demo's is there.
    pub async fn made_something(&self) -> bool {
        self.stay.made_something().await
    }

    /// Removes all that the demo made there.
    ///
    /// # Errors
    /// Where something is left: how to see what, and how to remove it.
    pub async fn leave(self) -> Result<usize, String> {
        self.stay.leave().await.map_err(|why| {
            format!(
                "what the demo made in the Docker engine is not all gone: {why}; `docker ps --all --filter \
                 label=homeroom.demo` shows it, `docker rm --force NAME` removes it, and so does the next `homeroom demo`"
            )
        })
    }
}

impl Staged {
    /// Adds a workshop for a real Docker engine, if one of this host answers and has what seats are made of without a
    /// registry; `asked` is `none`, an engine's address, or nothing. What there is now, in lines as short as a log's.
    pub async fn with_engine(mut self, asked: Option<&str>) -> Result<(Self, Option<Visit>, String), CliError> {
        let simulated =
            |why: &str| format!("rust-intro is on a simulated cloud\nnothing for a real Docker engine: {why}");
        let found = match asked {
            Some("none") => return Ok((self, None, "rust-intro is on a simulated cloud".to_owned())),
            _ => Found::here(asked).await,
        };
        let found = match (found, asked) {
            (Ok(found), _) => found,
            (Err(why), Some(_)) => return Err(CliError::Usage(format!("--docker: {why}"))),
            (Err(why), None) => return Ok((self, None, simulated(&why))),
        };
        let name = SiteName::new(SITE).map_err(|e| CliError::Usage(e.to_string()))?;
        let site = found.site(&name);
        let max_seats = site.max_seats;
        self.settings.sites.insert(name.clone(), site);
        self.home.engines.insert(name.clone(), std::sync::Arc::new(found.stay.site(&name, max_seats)));
        let text = found.definition();
        let definition = config::definition::parse(&text, "hello-docker.toml", &self.folder, Some(&self.settings))?;
        definitions::apply(&self.home, &definition).await?;
        let told = "hello-docker is for your real Docker engine, rust-intro is simulated\n\
                    nothing is made there before you deploy it; it goes with the demo";
        Ok((self, Some(Visit { stay: found.stay }), told.to_owned()))
    }
}

/// An engine that will do.
struct Found {
    socket: String,
    stay: Stay,
    seat: String,
    proxy: String,
    port: u16,
}

impl Found {
    /// The engine that is asked for, or the one Docker's own client would use; or why there is none that will do.
    async fn here(asked: Option<&str>) -> Result<Self, String> {
        let variable = env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let socket = socket(asked.map(str::to_owned).or(variable))?;
        if !Path::new(&socket).exists() {
            return Err(format!("there is none at {socket}"));
        }
        let stay = Stay::at(&socket, &own_mark(), Vec::new());
        let view = stay.look().await?;
        let here = rustix::system::uname();
        if view.host.as_str() != here.nodename().to_string_lossy() {
            return Err(format!("the one at {socket} runs on {}, whose ports are not this computer's", view.host));
        }
        clear_up(&stay).await;
        let mut brought = Vec::new();
        let seat = match stay.has(WORKSPACE, &view, true).await {
            true => WORKSPACE.to_owned(),
            false => bring(&mut brought, seat_image()?),
        };
        let mut ready = None;
        for image in PROXIES {
            if stay.has(image, &view, false).await {
                ready = Some(image.to_owned());
                break;
            }
        }
        let proxy = match ready {
            Some(image) => image,
            None => bring(&mut brought, proxy_image(&socket)?),
        };
        fits(&view, &brought)?;
        let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
        let port = PORTS.clone().find(free).unwrap_or(PORTS.start);
        Ok(Self { socket, stay: stay.bringing(brought), seat, proxy, port })
    }

    fn site(&self, name: &SiteName) -> Site {
        let docker = DockerSite {
            host: format!("unix://{}", self.socket),
            tls: None,
            address: None,
            ssh_key: PathBuf::new(),
            price_per_hour: 0.0,
            currency: String::new(),
        };
        Site { name: name.clone(), environment: Environment::Dev, max_seats: 50, kind: SiteKind::Docker(docker) }
    }

    fn definition(&self) -> String {
        format!(
            "kind = \"workshop\"\nname = \"hello-docker\"\nsite = \"{SITE}\"\nseats = 2\nimage = \"{}\"\n\
             proxy = {{ image = \"{}\", port = {} }}\nseat = {{ memory = \"256M\", cpus = 0.5, pids = 128 }}\n",
            self.seat, self.proxy, self.port
        )
    }
}

/// The path of an engine's socket on this host.
fn socket(host: Option<String>) -> Result<String, String> {
    let Some(host) = host else { return Ok(SOCKET.to_owned()) };
    let path = host.strip_prefix("unix://").unwrap_or(&host);
    if !path.starts_with('/') {
        return Err(format!("{host} is no socket of this computer"));
    }
    // Such an engine has a network of its own, where the proxy would listen for nobody.
    if path.starts_with("/run/user/") {
        return Err(format!("the one at {path} is rootless and keeps the seats' ports to itself"));
    }
    Ok(path.to_owned())
}

/// Images made of this host's programs run where its processors are.
fn fits(view: &EngineView, brought: &[Brought]) -> Result<(), String> {
    match brought.is_empty() || view.architecture.as_str() == env::consts::ARCH {
        true => Ok(()),
        false => Err(format!("it runs {} programs, and this computer's are {}", view.architecture, env::consts::ARCH)),
    }
}

fn bring(brought: &mut Vec<Brought>, image: Brought) -> String {
    let name = image.name.clone();
    brought.push(image);
    name
}

/// A seat of this host's busybox.
fn seat_image() -> Result<Brought, String> {
    let none = || format!("it has no image {WORKSPACE}, and this computer no busybox with httpd to make one of");
    let busybox = program("busybox").ok_or_else(none)?;
    let listed = Command::new(&busybox).arg("--list").output().map_err(|_| none())?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    if !["sh", "httpd"].iter().all(|applet| listed.lines().any(|line| line == *applet)) {
        return Err(none());
    }
    let mut parts = with_libraries("bin/busybox", &busybox);
    let link = |applet: &&str| Part::Link { path: format!("bin/{applet}"), to: "busybox".to_owned() };
    parts.extend(APPLETS.iter().map(link));
    parts.push(Part::Folder { path: "tmp".to_owned() });
    let text = |path: &str, program, text: &str| Part::Text { path: path.to_owned(), program, text: text.to_owned() };
    parts.push(text("start", true, include_str!("../../assets/demo/start")));
    let page = include_str!("../../assets/demo/index.html");
    parts.extend(["www/index.html", "files/index.html"].map(|path| text(path, false, page)));
    let says = ["CMD [\"/start\"]", "ENV PATH=/bin"].map(str::to_owned).to_vec();
    Ok(Brought { name: SEAT_IMAGE.to_owned(), parts, says })
}

/// A proxy of this host's Caddy.
fn proxy_image(socket: &str) -> Result<Brought, String> {
    let none = || {
        format!("the one at {socket} has no image caddy:2, and this computer no caddy; `docker pull caddy:2` gets it")
    };
    let caddy = program("caddy").ok_or_else(none)?;
    let mut parts = with_libraries("bin/caddy", &caddy);
    parts.push(Part::Folder { path: "tmp".to_owned() });
    let says = ["ENV PATH=/bin", "ENV HOME=/tmp"].map(str::to_owned).to_vec();
    Ok(Brought { name: PROXY_IMAGE.to_owned(), parts, says })
}

/// A program of this host, where it is looked for when typed.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A program, and what it is linked with at the same places.
fn with_libraries(inside: &str, program: &Path) -> Vec<Part> {
    let copy = |path: &str, of: &Path| Part::Copy { path: path.trim_start_matches('/').to_owned(), of: of.to_owned() };
    let mut parts = vec![copy(inside, program)];
    // A program that is linked with nothing makes it fail, and needs nothing.
    if let Ok(listed) = Command::new("ldd").arg(program).output().map(|out| out.stdout) {
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let files = listed.split_whitespace().filter(|word| word.starts_with('/') && Path::new(word).is_file());
        parts.extend(files.map(|file| copy(file, Path::new(file))));
    }
    parts
}

/// Removes what demos that were killed have left.
async fn clear_up(stay: &Stay) {
    for mark in stay.guests().await.unwrap_or_default().iter().filter(|mark| is_gone(mark)) {
        match stay.clear(mark).await {
            Ok(gone) => tracing::info!(mark, gone, "cleared away what a demo that was killed had left"),
            Err(why) => tracing::warn!(mark, why, "what a demo that was killed has left is still there"),
        }
    }
}

/// This process among all there are and were: the boot, the process's namespace, its number and when it began.
fn own_mark() -> String {
    let process = std::process::id();
    format!("{}/{process}/{}", world(), began(process).unwrap_or_default())
}

/// What numbers of processes are compared in.
fn world() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
    format!("{}/{space}", boot.trim())
}

/// When a process began, in ticks since the boot; `None` where there is none of that number.
fn began(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name, in brackets, may have spaces; the time is the twentieth word after it.
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
}

/// Whether the process of a mark is known to have ended.
fn is_gone(mark: &str) -> bool {
    let mut words = mark.rsplitn(3, '/');
    let (Some(since), Some(process), Some(place)) = (words.next(), words.next(), words.next()) else { return false };
    let Ok(process) = process.parse() else { return false };
    // Where others' processes are hidden, nothing is known of them.
    place == world() && began(1).is_some() && began(process).is_none_or(|began| began != since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_of_this_computer_will_do() {
        assert_eq!(socket(None).as_deref(), Ok(SOCKET));
        assert_eq!(socket(Some("unix:///tmp/x".to_owned())).as_deref(), Ok("/tmp/x"));
        assert!(socket(Some("tcp://hall:2376".to_owned())).is_err());
        assert!(
            socket(Some("unix:///run/user/1000/docker.sock".to_owned())).is_err_and(|why| why.contains("rootless"))
        );
    }

    #[test]
    fn a_mark_is_gone_with_its_process_and_never_judged_from_another_world() {
        let own = own_mark();
        assert!(!is_gone(&own));
        let (rest, since) = own.rsplit_once('/').unwrap_or_default();
        assert!(is_gone(&format!("{rest}/{since}1")), "its number is another's now");
        assert!(!is_gone(&format!("elsewhere/{own}")));
        assert!(!is_gone("whatever"));
    }
}
