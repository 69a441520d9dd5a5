//! The startup script run whole, as root of a machine of its own: a network namespace with its own Docker engine, its
//! own iptables and a metadata server at the real address, behind a second namespace that stands for the world outside.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{PROXY, startup::project};
use homeroom::sim::gce::Project;

const ZONE: &str = "europe-west3-a";
const METADATA: &str = "169.254.169.254";
const MACHINE: &str = "169.254.170.1";
const OUTSIDE: &str = "169.254.170.2";
const PATIENCE: Duration = Duration::from_secs(120);

/// Listens at the metadata server's address in the namespace it is started in, and hands every connection on to a
/// socket in the file system, which all namespaces share.
const RELAY: &str = r#"
import socket, sys, threading
def copy(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError: pass
door = socket.create_server((sys.argv[1], 80))
print("ready", flush=True)
while True:
    near, _ = door.accept()
    far = socket.socket(socket.AF_UNIX); far.connect(sys.argv[2])
    for pair in ((near, far), (far, near)): threading.Thread(target=copy, args=pair, daemon=True).start()
"#;

/// The one resolver of the network, at the same address: every name is at one place.
const RESOLVER: &str = r#"
import socket, sys
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); door.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    asked, who = door.recvfrom(512)
    end = asked.index(b"\0", 12) + 5
    kind = asked[end - 4:end - 2]
    found = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07" if kind == b"\0\x01" else b""
    counts = b"\0\x01\0" + bytes([1 if found else 0]) + b"\0\0\0\0"
    door.sendto(asked[:2] + b"\x81\x80" + counts + asked[12:end] + found, who)
"#;
/// Where every name is.
const NAMED: &str = "192.0.2.7";

fn said(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

fn ip(args: &str) {
    let (well, text) = said(Command::new("ip").args(args.split(' ')));
    assert!(well, "ip {args}: {text}");
}

/// Two namespaces: the machine, and the world it is in.
struct Machine {
    folder: TempDir,
    name: String,
    children: Vec<Child>,
    project: Project,
    _world: Runtime,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What it started, each by its own id.
        let running = self.docker(&["ps", "--quiet"]).1;
        for id in running.split_whitespace() {
            self.docker(&["kill", id]);
        }
        for child in self.children.iter_mut().rev() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
        for end in ["", "-w"] {
            let _ = Command::new("ip").args(["netns", "delete", &format!("{}{end}", self.name)]).status();
        }
    }
}

impl Machine {
    fn new() -> Self {
        let world = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let project = world.block_on(project());
        let name = format!("homeroom-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        for line in [
            format!("netns add {name}"),
            format!("netns add {name}-w"),
            format!("link add hr0 netns {name} type veth peer name hr1 netns {name}-w"),
            format!("-n {name} link set lo up"),
            format!("-n {name}-w link set lo up"),
            format!("-n {name} addr add {MACHINE}/30 dev hr0"),
            format!("-n {name} link set hr0 up"),
            format!("-n {name}-w addr add {OUTSIDE}/30 dev hr1"),
            format!("-n {name}-w addr add {METADATA}/32 dev hr1"),
            format!("-n {name}-w link set hr1 up"),
            format!("-n {name} route add {METADATA} via {OUTSIDE}"),
        ] {
            ip(&line);
        }
        let mut machine = Self { folder, name, children: Vec::new(), project, _world: world };
        machine.metadata();
        machine.firewall();
        machine.engine();
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command in one of the namespaces; the mounts stay those of the host.
    fn inside(&self, end: &str, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/var/run/netns/{}{end}", self.name)).arg(program).stdin(Stdio::null());
        command
    }

    /// The simulated project's metadata server, at the real one's address.
    fn metadata(&mut self) {
        let socket = self.at("metadata");
        let listener = UnixListener::bind(&socket).unwrap();
        let to = self.project.endpoint().trim_start_matches("http://").to_owned();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(&to).unwrap();
                both(near, far);
            }
        });
        self.serves(RELAY, &[socket.to_str().unwrap()]);
        self.serves(RESOLVER, &[]);
    }

    /// A program of the world outside, at the metadata server's address; back when it listens.
    fn serves(&mut self, program: &str, args: &[&str]) {
        let mut child = self.inside("-w", "python3");
        let mut child = child.args(["-c", program, METADATA]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 5];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        self.children.push(child);
    }

    /// As on Container-Optimized OS: nobody gets in but by SSH and what is under way.
    fn firewall(&self) {
        for rule in [
            "--policy INPUT DROP",
            "--append INPUT --in-interface lo --jump ACCEPT",
            "--append INPUT --match conntrack --ctstate RELATED,ESTABLISHED --jump ACCEPT",
        ] {
            self.iptables(rule);
        }
    }

    /// An engine of the machine's own, with the images the tests have.
    fn engine(&mut self) {
        let log = fs::File::create(self.at("engine.log")).unwrap();
        let mut engine = self.inside("", "dockerd");
        // Its resolver is the metadata server, as there.
        engine.args(["--host", &self.socket(), "--storage-driver", "vfs", "--dns", METADATA]);
        for (flag, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            engine.arg(flag).arg(self.at(name));
        }
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap());
        engine.env("PATH", path).stdout(log.try_clone().unwrap()).stderr(log);
        self.children.push(engine.spawn().unwrap());
        let began = Instant::now();
        while !self.docker(&["info"]).0 {
            let log = fs::read_to_string(self.at("engine.log")).unwrap();
            assert!(began.elapsed() < PATIENCE, "the engine does not answer: {log}");
            thread::yield_now();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker-images.sh");
        let (well, text) = said(Command::new("sh").arg(script).arg(self.socket()));
        assert!(well, "{text}");
    }

    fn socket(&self) -> String {
        format!("unix://{}", self.at("socket").display())
    }

    fn docker(&self, args: &[&str]) -> (bool, String) {
        let client = if std::path::Path::new("/usr/bin/docker").exists() { "/usr/bin/docker" } else { "docker" };
        said(Command::new(client).env("DOCKER_HOST", self.socket()).args(args))
    }

    fn iptables(&self, words: &str) -> String {
        let (well, text) = said(self.inside("", "iptables").arg("--wait").args(words.split(' ')));
        assert!(well, "iptables {words}: {text}");
        text
    }

    /// Runs the script as a boot does, with the metadata server where it really is; what it printed.
    fn boots(&self) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/gce/startup.sh");
        let metadata = format!("http://{METADATA}/vm/{ZONE}/intro-host/computeMetadata/v1");
        let mut boot = self.inside("", "bash");
        boot.arg(script).env("DOCKER_HOST", self.socket()).env("HOMEROOM_METADATA", metadata);
        boot.env("HOMEROOM_FOLDER", self.at("machine")).env("HOMEROOM_RUN", self.at("run"));
        let (well, text) = said(&mut boot);
        assert!(well, "{text}");
        text
    }

    /// Power off and on: what Docker had running ends, netfilter is empty, and Docker starts before anything else.
    fn restarts(&mut self) {
        let mut engine = self.children.pop().unwrap();
        let _ = Command::new("kill").arg(engine.id().to_string()).status();
        engine.wait().unwrap();
        for table in ["filter", "nat"] {
            self.iptables(&format!("--table {table} --flush"));
            self.iptables(&format!("--table {table} --delete-chain"));
        }
        self.firewall();
        self.engine();
    }

    /// The status an address answers with, asked from one of the namespaces; 0 where nothing answers.
    fn asks(&self, end: &str, url: &str) -> u16 {
        let mut curl = self.inside(end, "curl");
        curl.args(["--silent", "--max-time", "5", "--output", "/dev/null", "--write-out", "%{http_code}", url]);
        said(&mut curl).1.trim().parse().unwrap_or(0)
    }

    fn answers(&self, end: &str, url: &str) -> u16 {
        let began = Instant::now();
        loop {
            match self.asks(end, url) {
                0 if began.elapsed() < PATIENCE => thread::yield_now(),
                status => return status,
            }
        }
    }

    /// Whether a seat gets a connection to an address.
    fn reaches(&self, seat: &str, to: &str) -> bool {
        self.docker(&["exec", seat, "sh", "-c", &format!("echo | nc -w 3 {to}")]).0
    }
}

/// Copies both ways until either side ends.
fn both(near: UnixStream, far: TcpStream) {
    let (mut from_near, mut to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let (mut from_far, mut to_near) = (far, near);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_near, &mut to_far);
        let _ = to_far.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_far, &mut to_near);
        let _ = to_near.flush();
        let _ = to_near.shutdown(Shutdown::Write);
    });
}

#[test]
#[ignore = "needs root, network namespaces and a Docker engine"]
fn on_a_machine_of_its_own_the_seats_answer_through_caddy_and_reach_neither_metadata_nor_each_other() {
    let mut machine = Machine::new();
    let printed = machine.boots();
    assert!(printed.contains("homeroom: ready"), "the serial port shows it too: {printed}");
    let told = machine.project.world(|world| {
        world.find(ZONE, "intro-host").unwrap().attributes.get("homeroom/state").cloned().unwrap_or_default()
    });
    assert_eq!(told, "ready");
    for port in [3011, 3012, 3021, 3022] {
        assert_eq!(machine.answers("", &format!("http://127.0.0.1:{port}/")), 200, "{port}");
        assert_eq!(machine.asks("-w", &format!("http://{MACHINE}:{port}/")), 0, "a seat's port is for the proxy alone");
    }
    assert_eq!(machine.answers("-w", &format!("http://{MACHINE}:{PROXY}/health")), 200, "the proxy lets people in");

    // The routes are brought by login; the seats answer through Caddy then.
    let routes = format!(
        "{{\n\tadmin off\n\tauto_https off\n}}\n:{PROXY} {{\n\trespond /health \"ok\" 200\n\thandle_path \
         /vm/1/terminal/* {{\n\t\treverse_proxy 127.0.0.1:3011\n\t}}\n\thandle_path /vm/2/files/* \
         {{\n\t\treverse_proxy 127.0.0.1:3022\n\t}}\n}}\n"
    );
    fs::write(machine.at("machine/Caddyfile"), routes).unwrap();
    assert!(machine.docker(&["restart", "intro-host"]).0);
    assert_eq!(machine.answers("-w", &format!("http://{MACHINE}:{PROXY}/vm/1/terminal/")), 200);
    assert_eq!(machine.answers("-w", &format!("http://{MACHINE}:{PROXY}/vm/2/files/")), 200);

    // The machine reads its metadata; its seats do not, and would without the rules. What is asked of the resolver at the
    // same address is let through: without it no seat fetches anything by name.
    let metadata = format!("{METADATA} 80");
    let resolves = |machine: &Machine| machine.docker(&["exec", "intro-seat-01", "nslookup", "example.org"]).1;
    assert_ne!(machine.asks("", &format!("http://{METADATA}/")), 0);
    assert!(!machine.reaches("intro-seat-01", &metadata));
    assert!(resolves(&machine).contains(NAMED), "{}", resolves(&machine));
    for protocol in ["tcp", "udp"] {
        let rule = format!("--destination {METADATA} --protocol {protocol} ! --dport 53 --jump REJECT");
        machine.iptables(&format!("--delete DOCKER-USER {rule}"));
    }
    assert!(machine.reaches("intro-seat-01", &metadata), "nothing else keeps them from it");
    // What an earlier script put there keeps names from them, too.
    machine.iptables(&format!("--insert DOCKER-USER --destination {METADATA} --jump REJECT"));
    assert!(!resolves(&machine).contains(NAMED), "{}", resolves(&machine));

    // What they send is no longer than what the machine's own network carries.
    let link = machine.docker(&["exec", "intro-seat-01", "cat", "/sys/class/net/eth0/mtu"]).1;
    assert_eq!(link.trim(), "1460");

    // Nor do they reach each other.
    let address = "{{(index .NetworkSettings.Networks \"intro-host\").IPAddress}}";
    let second = machine.docker(&["inspect", "intro-seat-02", "--format", address]).1.trim().to_owned();
    assert!(machine.reaches("intro-seat-02", &format!("{second} 3001")));
    assert!(!machine.reaches("intro-seat-01", &format!("{second} 3001")));

    // Another boot puts the rules back, once, and makes nothing twice.
    let before = machine.docker(&["ps", "--all", "--quiet", "--no-trunc"]).1;
    machine.boots();
    machine.boots();
    assert!(!machine.reaches("intro-seat-01", &metadata));
    assert!(resolves(&machine).contains(NAMED), "{}", resolves(&machine));
    assert_eq!(machine.iptables("--list-rules DOCKER-USER").matches(METADATA).count(), 2);
    assert_eq!(machine.iptables("--list-rules INPUT").matches(&format!("--dport {PROXY} ")).count(), 1);
    assert_eq!(machine.docker(&["ps", "--all", "--quiet", "--no-trunc"]).1, before);

    // As the machine starts anew nobody runs before the rules stand, not even what an earlier script has made.
    machine.docker(&["update", "--restart", "unless-stopped", "intro-seat-02"]);
    machine.boots();
    machine.restarts();
    assert_eq!(machine.docker(&["ps", "--quiet"]).1, "", "Docker itself starts nobody");
    machine.boots();
    assert_eq!(machine.answers("", "http://127.0.0.1:3011/"), 200);
    assert!(!machine.reaches("intro-seat-01", &metadata) && !machine.reaches("intro-seat-02", &metadata));
    assert_eq!(machine.docker(&["ps", "--all", "--quiet", "--no-trunc"]).1.len(), before.len());
}
