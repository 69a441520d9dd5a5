//! The startup script of a cloud's instance, run for real: against the Docker engine here, with the metadata server
//! of a simulated project.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use homeroom::{
    backend::gce::{Gce, Tokens},
    domain::{NodeName, cloud::InstanceSpec, cloud::request_id},
    port::Cloud,
    sim::gce::{Options, Project, start},
};
use tokio::runtime::Runtime;

use super::{Lab, PROXY, get};

const ZONE: &str = "europe-west3-a";

/// A project with one instance that is told what its seats are; the modelled one runs no script of its own.
pub async fn project() -> Project {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let project = start(Options { project: "lab-1".to_owned(), speed: 100.0, listen }).await.unwrap();
    // The modelled one never boots: it would listen where the real proxy does.
    project.world(|world| world.physics.boot = 1 << 40);
    let tokens = Tokens::of_metadata_server(project.endpoint()).unwrap();
    let gce = Gce::new("lab-1", tokens, Some(project.endpoint())).unwrap();
    let proxy = PROXY.to_string();
    let metadata = [
        ("enable-guest-attributes", "TRUE"),
        ("homeroom-lab", "intro"),
        ("homeroom-seats", "2"),
        ("homeroom-image", "homeroom-test/workspace:1"),
        ("homeroom-terminal-port", "3001"),
        ("homeroom-files-port", "3002"),
        ("homeroom-proxy-image", "homeroom-test/caddy:1"),
        ("homeroom-proxy-port", &proxy),
        ("homeroom-memory", "67108864"),
        ("homeroom-cpus", "0.5"),
        ("homeroom-pids", "64"),
    ];
    let spec = InstanceSpec {
        name: "intro-host".to_owned(),
        machine_type: "e2-small".to_owned(),
        disk_gb: 10,
        keep_disk: false,
        spot: false,
        labels: Default::default(),
        tag: "intro-host".to_owned(),
        metadata: metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        service_account: None,
        // An hour of the wall: an engine may take its time.
        max_life: std::time::Duration::from_secs(100 * 3600),
    };
    let operation = gce.insert(&NodeName::new(ZONE), &spec, &request_id(&["1"])).await.unwrap();
    while gce.wait(&operation).await.unwrap().is_none() {}
    project
}

struct Machine {
    lab: Lab,
    world: Runtime,
    project: Project,
    /// A folder with an `iptables` that says yes to everything, or nothing.
    iptables: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let lab = Lab::new(2);
        let world = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let project = world.block_on(project());
        let iptables = lab.folder.path().join("bin");
        fs::create_dir(&iptables).unwrap();
        fs::write(iptables.join("iptables"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(iptables.join("iptables"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { lab, world, project, iptables }
    }

    /// Runs the script as a boot does; whether it ended well, and its state.
    fn boots(&self) -> (bool, String) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/gce/startup.sh");
        let folder = self.lab.folder.path().join("machine");
        let metadata = format!("{}/vm/{ZONE}/intro-host/computeMetadata/v1", self.project.endpoint());
        let path = format!("{}:/usr/bin:/bin", self.iptables.display());
        let ran = Command::new("bash")
            .arg(script)
            .envs([("DOCKER_HOST", self.lab.socket.as_str()), ("HOMEROOM_METADATA", &metadata)])
            // The rules of this host are nobody's to change here.
            .envs([("PATH", path.as_str()), ("HOMEROOM_FOLDER", folder.to_str().unwrap()), ("HOMEROOM_WAITS", "0 0")])
            .env("HOMEROOM_RUN", folder.join("run"))
            .status()
            .unwrap();
        let state = std::fs::read_to_string(folder.join("run/state")).unwrap().trim().to_owned();
        let told = self.project.world(|world| {
            world.find(ZONE, "intro-host").unwrap().attributes.get("homeroom/state").cloned().unwrap_or_default()
        });
        assert_eq!(told, state, "file and guest attribute say the same");
        (ran.success(), state)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.lab.folder.path().join("machine/startup.log")).unwrap()
    }

    fn set(&self, key: &str, value: &str) {
        self.project.world(|world| {
            let instance = world.instances.values_mut().next().unwrap();
            let items = instance.body["metadata"]["items"].as_array_mut().unwrap();
            items.iter_mut().find(|item| item["key"] == key).unwrap()["value"] = value.into();
        });
    }
}

/// Asks until there is an answer, which must be a good one.
fn answers(path: &str, port: u16) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--retry-all-errors", "--retry", "20", "--retry-delay", "1", "--output", "/dev/null"]);
    let url = format!("http://127.0.0.1:{port}/{path}");
    let asked = curl.args(["--write-out", "%{http_code}", &url]).output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&asked), "200", "{url}");
}

#[test]
#[ignore = "needs a Docker engine"]
fn the_startup_script_starts_seats_and_proxy_once_and_finds_them_at_the_next_boot() {
    let machine = Machine::new();
    assert_eq!(machine.boots(), (true, "ready".to_owned()), "{}", machine.log());
    let lab = &machine.lab;
    assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02"]);
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(lab.asked(&["inspect", "intro-seat-02", "--format", limits]), "67108864 500000000 64");
    assert_eq!(lab.asked(&["port", "intro-seat-02", "3001"]), "127.0.0.1:3021");
    answers("health", PROXY);
    assert_eq!(get("/vm/1/terminal/", "").0, 503, "no routes have been brought");
    for port in [3011, 3012, 3021, 3022] {
        answers("", port);
    }

    // Seats do not reach each other; each reaches itself.
    let address = "{{(index .NetworkSettings.Networks \"intro-host\").IPAddress}}";
    let second = lab.asked(&["inspect", "intro-seat-02", "--format", address]);
    let reach = |seat: &str| lab.docker(&["exec", seat, "sh", "-c", &format!("echo | nc -w 3 {second} 3001")]).0;
    assert!(reach("intro-seat-02"));
    assert!(!reach("intro-seat-01"));

    // What a seat wrote outlives a boot, and so do routes that were brought since.
    lab.asked(&["exec", "intro-seat-01", "sh", "-c", "echo mine > /work"]);
    let before = lab.containers();
    lab.asked(&["kill", "intro-seat-01"]);
    let routes = lab.folder.path().join("machine/Caddyfile");
    std::fs::write(
        &routes,
        format!("{{\n\tadmin off\n}}\n:{PROXY} {{\n\trespond /health \"ok\" 200\n\trespond \"brought\" 418\n}}\n"),
    )
    .unwrap();
    lab.asked(&["restart", "intro-host"]);
    assert_eq!(machine.boots(), (true, "ready".to_owned()), "{}", machine.log());
    assert_eq!(lab.containers(), before, "nothing was made twice");
    assert_eq!(lab.asked(&["exec", "intro-seat-01", "cat", "/work"]), "mine");
    assert!(std::fs::read_to_string(&routes).unwrap().contains("brought"));
    machine.world.shutdown_background();
}

#[test]
#[ignore = "needs a Docker engine"]
fn the_startup_script_says_why_it_ended() {
    let machine = Machine::new();
    machine.set("homeroom-image", "homeroom-test/nowhere:1");
    let (well, state) = machine.boots();
    assert!(!well && state.starts_with("failed: cannot pull homeroom-test/nowhere:1: "), "{state}");
    machine.lab.nothing_is_left();
    machine.set("homeroom-image", "");
    let (well, state) = machine.boots();
    assert!(!well && state == "failed: the metadata does not say what to start", "{state}");
    machine.set("homeroom-image", "homeroom-test/workspace:1");
    fs::remove_file(machine.iptables.join("iptables")).unwrap();
    let (well, state) = machine.boots();
    assert!(!well && state.starts_with("failed: there is no iptables"), "{state}");
    machine.lab.nothing_is_left();
    machine.world.shutdown_background();
}
