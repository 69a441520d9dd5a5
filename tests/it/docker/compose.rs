//! How long a workshop takes beside `docker-compose` with the same images, limits and ports, one after the other in one
//! run. The figures are printed; what is asserted is that both get there.
//!
//! `cargo test --test it docker::compose -- --ignored`

use std::{
    io::Write,
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Lab, PATIENCE, PROXY};

const SEATS: u32 = 4;
/// Of each; the middle one counts.
const ROUNDS: usize = 3;

fn compose_file(lab: &Lab) -> std::path::PathBuf {
    let mut text = "version: '2.4'\nnetworks:\n  seats:\n    driver: bridge\nservices:\n".to_owned();
    for n in 1..=SEATS {
        text.push_str(&format!(
            "  seat-{n:02}:\n    image: homeroom-test/workspace:1\n    networks: [seats]\n    mem_limit: 64m\n    \
             cpus: 0.5\n    pids_limit: 64\n    init: true\n    \
             ports: ['127.0.0.1:{}:3001', '127.0.0.1:{}:3002']\n",
            3001 + 10 * n,
            3002 + 10 * n
        ));
    }
    let mut routes = format!("{{\n\tadmin off\n}}\n:{PROXY} {{\n\trespond /health \"ok\" 200\n");
    for n in 1..=SEATS {
        routes.push_str(&format!("\treverse_proxy /vm/{n}/* 127.0.0.1:{}\n", 3001 + 10 * n));
    }
    routes.push_str("}\n");
    std::fs::write(lab.folder.path().join("Caddyfile"), routes).unwrap();
    text.push_str(
        "  proxy:\n    image: homeroom-test/caddy:1\n    network_mode: host\n    \
         command: [caddy, run, --adapter, caddyfile, --config, /Caddyfile]\n    \
         volumes: ['./Caddyfile:/Caddyfile:ro']\n",
    );
    let file = lab.folder.path().join("docker-compose.yml");
    std::fs::write(&file, text).unwrap();
    file
}

/// Waits until every seat and the proxy answer by HTTP.
fn all_answer() {
    let ports = (1..=SEATS).map(|n| ((3001 + 10 * n) as u16, "/")).chain([(PROXY, "/health")]);
    for (port, path) in ports {
        let began = Instant::now();
        while !answers(port, path) {
            assert!(began.elapsed() < PATIENCE, "port {port} does not answer");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn answers(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut start = [0; 12];
    let asked = write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    asked.is_ok() && std::io::Read::read_exact(&mut stream, &mut start).is_ok() && start.ends_with(b" 200")
}

#[test]
#[ignore = "needs a Docker engine, and docker-compose to compare with"]
fn a_deploy_beside_docker_compose_on_the_same_images() {
    let lab = Lab::new(SEATS);
    let compose = |args: &[&str]| {
        let ran = Command::new("docker-compose")
            .env("DOCKER_HOST", &lab.socket)
            .args(["--project-name", "beside", "--file"])
            .arg(compose_file(&lab))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("docker-compose is here to compare with; on Debian: apt-get install docker-compose");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        lab.runs(&["deploy", "intro", "--yes"], 0);
        all_answer();
        ours.push(began.elapsed());
        lab.runs(&["destroy", "intro", "--yes"], 0);
        lab.nothing_is_left();

        let began = Instant::now();
        compose(&["up", "--detach"]);
        all_answer();
        theirs.push(began.elapsed());
        compose(&["down"]);
    }
    ours.sort();
    theirs.sort();
    let shown = |times: &[Duration]| {
        let all: Vec<String> = times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
        format!("{} s (of {})", all[all.len() / 2], all.join(", "))
    };
    // Past the test harness, which shows what passes nothing of what it prints.
    let words = format!(
        "\n{SEATS} seats and a proxy until all answer: homeroom deploy {}, docker-compose up {}\n",
        shown(&ours),
        shown(&theirs)
    );
    std::io::stdout().write_all(words.as_bytes()).unwrap();
}
