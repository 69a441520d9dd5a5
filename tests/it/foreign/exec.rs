//! One command on fifty seats: `homeroom exec` against Ansible's `command`, on the same OpenSSH servers, with the same
//! key and as many logins at once.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use homeroom::{
    backend::ssh::keys::lab_key,
    deploy::{Recorder, recorder::Entry},
    domain::{Change, LabName, Level, NodeName, Role, SeatName, SiteName, StepName, Vmid, event::RunKind},
};
use tempfile::TempDir;

use super::PATIENCE;
use crate::{cli::desk::Desk, store::plan};

const SEATS: u8 = 50;
/// OpenSSH listens on sixteen addresses at most.
const ADDRESSES: u8 = 13;
const LAB: &str = "fifty";
/// The number of the first machine.
const FIRST: u32 = 9400;

/// Guests are logged in to on this port and no other.
const PORT: u16 = 22;

/// Four servers that answer at fifty addresses of the loopback network, on the port that guests have.
struct Servers {
    children: Vec<Child>,
    folder: TempDir,
    host_key: String,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Fifty addresses of the loopback network on which nobody listens on the port of guests yet.
#[derive(Clone, Copy)]
struct Block(u8);

impl Block {
    /// The first that is free.
    fn free() -> Self {
        let mut last = None;
        let is_free = |block: &Self| {
            (0..SEATS).all(|seat| match std::net::TcpListener::bind((block.address(seat), PORT)) {
                Ok(_) => true,
                Err(why) => {
                    last = Some(format!("{}: {why}", block.address(seat)));
                    false
                }
            })
        };
        let free = (1..64).map(Self).find(is_free);
        free.unwrap_or_else(|| {
            panic!(
                "guests are logged in to on port {PORT}, and nobody can listen on it on fifty addresses of 127.0.0.0/8 \
                 (the last try: {}). An SSH server that listens on every address is in the way: have it listen on one \
                 (ListenAddress), or run this in a network of its own, as root: unshare --net sh -c 'ip link set lo up; \
                 cargo test …'",
                last.unwrap_or_default()
            )
        })
    }

    fn address(self, seat: u8) -> String {
        format!("127.0.{}.{}", self.0, seat + 1)
    }
}

impl Servers {
    fn start(block: Block, authorized: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let host_key = lab_key(&path("host"), "host", 0o600).unwrap();
        fs::write(path("authorized_keys"), authorized).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let seats: Vec<u8> = (0..SEATS).collect();
        let children = seats.chunks(usize::from(ADDRESSES)).enumerate().map(|(n, seats)| {
            let listen: String = seats.iter().map(|seat| format!("ListenAddress {}\n", block.address(*seat))).collect();
            // In a home of its own a shell reads nothing of whoever runs this.
            let text = format!(
                "Port {PORT}\n{listen}HostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nSubsystem sftp internal-sftp\nMaxStartups 100\n\
                 SetEnv HOME={0}\n",
                folder.path().display()
            );
            fs::write(path(&format!("config{n}")), text).unwrap();
            let mut command = Command::new("/usr/sbin/sshd");
            command.args(["-D", "-e", "-f"]).arg(path(&format!("config{n}"))).stderr(Stdio::null());
            command.spawn().unwrap()
        });
        let children = children.collect();
        let servers = Self { children, folder, host_key };
        let deadline = Instant::now() + PATIENCE;
        for seat in seats {
            while std::net::TcpStream::connect((block.address(seat), PORT)).is_err() {
                assert!(Instant::now() < deadline, "sshd does not listen at {}", block.address(seat));
                std::thread::yield_now();
            }
        }
        servers
    }
}

/// The ordinary cluster, and on it the machines of fifty seats: where a machine is not, nobody logs in.
fn world() -> String {
    let guest = |number: u8| {
        format!(
            "\n[[guests]]\nvmid = {}\nname = \"{LAB}-student-{number:02}\"\nnode = \"pve1\"\nimage = \"ubuntu-22.04\"\n\
             storage = \"fast\"\nlinked_to = 9000\nrunning = true\n\
             config = {{ agent = \"1\", memory = \"512\", net0 = \"virtio,bridge=vmbr1\" }}\n",
            FIRST + u32::from(number - 1)
        )
    };
    let ordinary = include_str!("../../../assets/scenarios/default.toml").to_owned();
    (1..=SEATS).map(guest).fold(ordinary, |world, guest| world + &guest)
}

/// Writes down fifty seats as if a roll call had found them at the servers' addresses.
async fn found(desk: &Desk, lab: &LabName, block: Block, host_key: &str) {
    let home = &desk.staged.home;
    let run = home.store.begin_run(lab, RunKind::Check, "a test", &plan(LAB), home.clock.now()).await.unwrap();
    let (progress, _) = home.store.progress(lab).await.unwrap();
    let (recorder, writer) = Recorder::start(home.store.clone(), home.clock.clone(), run, progress);
    let site = SiteName::new("sim").unwrap();
    let started = Change::RunStarted { kind: RunKind::Check, site: site.clone(), owner: "a test".into() };
    recorder.write(Entry::run(Level::Info, "begun", started)).await.unwrap();
    for number in 0..SEATS {
        let seat = SeatName::new(format!("student-{:02}", number + 1)).unwrap();
        let steps = StepName::CLASS.to_vec();
        let vmid = Vmid::new(u64::from(FIRST) + u64::from(number)).unwrap();
        let key = host_key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        for change in [
            Change::SeatPlanned { role: Role::Student, site: site.clone(), steps },
            Change::Reserved { node: NodeName::new("pve1"), vmid },
            Change::AddressSeen { ip: block.address(number).parse().unwrap() },
            Change::HostKeysSeen { keys: vec![key] },
            Change::SeatReady,
        ] {
            recorder.write(Entry::seat(&seat, Level::Debug, "found", change)).await.unwrap();
        }
    }
    drop(recorder);
    writer.await.unwrap();
}

async fn timed(mut command: tokio::process::Command) -> (Duration, String) {
    let began = Instant::now();
    let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await.expect("it ends").unwrap();
    let took = began.elapsed();
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{}\n{out}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr));
    (took, out)
}

fn ansible(folder: &Path, module: &str, at_once: &str) -> tokio::process::Command {
    let python = std::env::var("HOMEROOM_FOREIGN_PYTHON").expect("HOMEROOM_FOREIGN_PYTHON names the Python to use");
    let mut command = tokio::process::Command::new(Path::new(&python).parent().unwrap().join("ansible"));
    command.args(["all", "-i", "inventory", "-m", module, "-a", "uname -s", "-f", at_once]).current_dir(folder);
    command.env("HOME", folder).env("ANSIBLE_HOME", folder).env("TMPDIR", folder);
    command.envs([("LC_ALL", "C.UTF-8"), ("ANSIBLE_NOCOLOR", "1"), ("PYTHONDONTWRITEBYTECODE", "1")]);
    // As its documentation advises for speed; it does no worse with it.
    command.env("ANSIBLE_PIPELINING", "True");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs /usr/sbin/sshd and the Python packages that .ci/run installs; prints figures"]
async fn a_command_on_fifty_seats_takes_no_longer_than_by_ansible() {
    let block = Block::free();
    let desk = Desk::on(Some(&world()), 40.0).await;
    let lab = LabName::new(LAB).unwrap();
    desk.apply(&format!(
        "kind = \"class\"\nname = \"{LAB}\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\ncount = 50\nteacher = false\n\
         [cloud_init]\nuser = \"root\"\n"
    ))
    .await;
    let key = desk.staged.home.keys.lab_key(&lab).await.unwrap();
    let servers = Servers::start(block, &key.public);
    found(&desk, &lab, block, &servers.host_key).await;
    let config = desk.altered("guest_via = \"node\"", "guest_via = \"direct\"");
    let python = std::env::var("HOMEROOM_FOREIGN_PYTHON").unwrap();
    let inventory: String = (0..SEATS)
        .map(|seat| {
            format!(
                "student-{:02} ansible_host={} ansible_port={} ansible_user=root ansible_ssh_private_key_file={} \
                 ansible_python_interpreter={python} \
                 ansible_ssh_common_args='-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ControlMaster=no'\n",
                seat + 1,
                block.address(seat),
                PORT,
                key.private.display(),
            )
        })
        .collect();
    fs::write(servers.folder.path().join("inventory"), inventory).unwrap();

    for at_once in ["16", "50"] {
        let mut ours = desk.command(&["exec", LAB, "--at-once", at_once, "--", "uname -s"]);
        ours.env("HOMEROOM_CONFIG", &config).stdin(Stdio::null());
        let (ours, said) = timed(ours).await;
        assert_eq!(said, "50 of 50: exit 0: all\n  Linux\n");
        let (command, said) = timed(ansible(servers.folder.path(), "ansible.builtin.command", at_once)).await;
        assert_eq!(said.matches("| CHANGED | rc=0 >>").count(), usize::from(SEATS), "{said}");
        let (raw, _) = timed(ansible(servers.folder.path(), "ansible.builtin.raw", at_once)).await;
        println!("50 seats, {at_once} at once: homeroom exec {ours:.2?}, Ansible command {command:.2?}, raw {raw:.2?}");
        assert!(ours < command, "homeroom exec {ours:?}, Ansible's command {command:?}");
    }
}
