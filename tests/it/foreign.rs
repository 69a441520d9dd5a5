//! Clients nobody here wrote, unchanged, against the simulated cluster; what they did is judged by the
//! cluster itself. `.ci/run` installs them and says by `HOMEROOM_FOREIGN_PYTHON` where.

mod exec;

use std::{collections::BTreeSet, net::SocketAddr, path::Path, time::Duration};

use homeroom::sim::{Cluster, Options, Scenario, start};

/// How many times faster than real the cluster runs.
const SPEED: f64 = 50.0;
/// Wall time after which a client has hung.
const PATIENCE: Duration = Duration::from_secs(240);

async fn cluster(version: &str) -> Cluster {
    let scenario = Scenario::default_world().unwrap().at_version(version);
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    start(Options { scenario, speed: SPEED, listen, seed: 11 }).await.unwrap()
}

/// Runs a program of the virtual environment on the cluster, in a folder of its own; its output. `login` is
/// `token` or `ticket`, where the program takes one of them.
async fn run(cluster: &Cluster, login: &str, program: &str, args: &[&str]) -> String {
    let python = std::env::var("HOMEROOM_FOREIGN_PYTHON").expect("HOMEROOM_FOREIGN_PYTHON names the Python to use");
    let bin = Path::new(&python).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("cluster.pem");
    std::fs::write(&authority, cluster.certificate()).unwrap();
    let address = cluster.api().trim_start_matches("https://");
    let (host, port) = address.rsplit_once(':').unwrap();
    let (id, secret) = cluster.token();
    let (user, token) = id.split_once('!').unwrap();
    let mut command = tokio::process::Command::new(bin.join(program));
    command.args(args).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign"));
    command.envs([("PVE_HOST", host), ("PVE_PORT", port), ("PVE_USER", user), ("PVE_TOKEN_NAME", token)]);
    command.envs([("PVE_TOKEN_SECRET", secret), ("PVE_PASSWORD", "sim-homeroom-password")]);
    command.env("PVE_LOGIN", login).env("HOME", folder.path()).env("TMPDIR", folder.path());
    command.env("REQUESTS_CA_BUNDLE", &authority).kill_on_drop(true);
    command.env("HOMEROOM_FOREIGN_PYTHON", &python).env("ANSIBLE_HOME", folder.path());
    // what Ansible would otherwise ask of the machine it runs on
    command.envs([("ANSIBLE_LOCALHOST_WARNING", "False"), ("ANSIBLE_INVENTORY_UNPARSED_WARNING", "False")]);
    command.envs([("LC_ALL", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1"), ("ANSIBLE_NOCOLOR", "1")]);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await.expect("the client ends").unwrap();
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    let err = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {args:?}: {}\n{out}\n{err}", ended.status);
    out
}

/// The guests by number.
fn guests(cluster: &Cluster) -> BTreeSet<u32> {
    cluster.world(|world| world.guests.keys().copied().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python packages that .ci/run installs"]
async fn proxmoxer_takes_machines_through_a_whole_life() {
    for version in ["9.2", "8.4"] {
        let cluster = cluster(version).await;
        let before = guests(&cluster);
        let out = run(&cluster, "both", "python", &["proxmoxer_life.py"]).await;
        let said = out.lines().find_map(|line| line.strip_prefix("made ")).expect("it says what it made");
        let made: Vec<u32> = said.split(' ').map(|number| number.parse().unwrap()).collect();
        let left: Vec<u32> = guests(&cluster).difference(&before).copied().collect();
        assert_eq!(left, made, "only the full clones are left");
        cluster.world(|world| {
            for vmid in made {
                let vm = &world.guests[&vmid];
                assert!(vm.run.is_some() && vm.lock.is_none(), "{vmid} runs");
                assert_eq!(vm.config.get("tags").map(String::as_str), Some("a;foreign"));
                assert!(vm.config.get("scsi0").is_some_and(|disk| disk.contains("size=9G")), "{:?}", vm.config);
                let pool = world.pools.values().find(|pool| pool.vms.contains(&vmid));
                assert!(pool.is_some(), "{vmid} is in a pool");
            }
            let failed: Vec<_> = world.tasks.iter().filter_map(|task| task.end.as_ref()).map(|end| &end.1).collect();
            let failed: Vec<_> = failed.into_iter().filter(|status| *status != "OK").collect();
            assert_eq!(failed, ["snapshot feature is not available"; 2], "what was to fail failed");
        });
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python packages that .ci/run installs"]
async fn another_command_line_and_an_exporter_find_all_they_ask_for() {
    for (version, login) in [("9.2", "ticket"), ("8.4", "token")] {
        let cluster = cluster(version).await;
        let before = guests(&cluster);
        run(&cluster, login, "python", &["other_clients.py"]).await;
        assert_eq!(guests(&cluster), before);
        cluster.world(|world| assert_eq!(world.tally.refusals(), [""; 0], "{version}"));
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python packages that .ci/run installs"]
async fn ansible_takes_machines_from_template_to_nothing() {
    for (version, login) in [("9.2", "token"), ("8.4", "ticket")] {
        let cluster = cluster(version).await;
        let before = guests(&cluster);
        run(&cluster, login, "ansible-playbook", &["-i", "localhost,", "ansible/life.yml"]).await;
        let left: Vec<u32> = guests(&cluster).difference(&before).copied().collect();
        assert_eq!(left, [302], "the linked clone is gone, the full one stands");
        cluster.world(|world| {
            let vm = &world.guests[&302];
            assert!(vm.template() && vm.run.is_none() && vm.lock.is_none(), "{vm:?}");
            assert!(!world.pools.contains_key("foreign"));
            let ended = |kind: &str| {
                let of = world.tasks.iter().filter(|task| task.upid.kind == kind);
                of.filter(|task| task.end.as_ref().is_some_and(|end| end.1 == "OK")).count()
            };
            for kind in ["qmsnapshot", "qmrollback", "qmdelsnapshot", "qmreset", "qmshutdown", "qmdestroy"] {
                assert_eq!(ended(kind), 1, "{kind}");
            }
            assert_eq!((ended("qmclone"), ended("qmstart")), (2, 2));
        });
        cluster.shutdown().await;
    }
}

async fn project() -> homeroom::sim::gce::Project {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = homeroom::sim::gce::Options { project: "lab-1".to_owned(), speed: SPEED, listen };
    homeroom::sim::gce::start(options).await.unwrap()
}

/// Runs one of the Python programs; its output.
async fn python(program: &str, argument: &Path, endpoint: &str) -> String {
    let python = std::env::var("HOMEROOM_FOREIGN_PYTHON").expect("HOMEROOM_FOREIGN_PYTHON names the Python to use");
    let mut command = tokio::process::Command::new(python);
    command.arg(program).arg(argument).env("GCE_ENDPOINT", endpoint).env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign")).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await.expect("the program ends").unwrap();
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{program}: {}\n{out}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    out
}

/// Holds everything that was asked of a project, and answered, to Google's own discovery documents.
async fn witnessed(project: &homeroom::sim::gce::Project) {
    let lines = project.world(|world| world.exchanges.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exchanges.jsonl");
    std::fs::write(&file, lines).unwrap();
    let out = python("gce_witness.py", &file, project.endpoint()).await;
    assert!(out.contains(" exchanges, 0 wrong"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python packages that .ci/run installs"]
async fn google_s_own_client_takes_an_instance_through_a_whole_life_and_its_documents_know_every_word() {
    let project = project().await;
    let out = python("gce_life.py", Path::new(""), project.endpoint()).await;
    assert!(out.contains("lived"), "{out}");
    project.world(|world| assert!(world.listing().is_empty() && world.disks.is_empty() && world.firewalls.is_empty()));
    witnessed(&project).await;
    project.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the Python packages that .ci/run installs"]
async fn google_s_documents_know_every_word_that_homeroom_says_to_it() {
    let project = project().await;
    crate::gce::every_call(&project).await;
    witnessed(&project).await;
    project.shutdown().await;
}
