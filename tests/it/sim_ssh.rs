//! The simulated cluster by SSH: `qm` on its nodes, logins to its guests, through homeroom's own
//! client.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, time::Duration};

use homeroom::{
    backend::ssh::{Qm, Ssh, SshSettings, keys::lab_key, name_of, trust},
    domain::{NodeName, Vmid},
    port::{
        GuestAgent, Mend, RemoteShell, SiteError,
        agent::{AgentError, ExecOutput},
        shell::{HostKey, ShellError, ShellInput, ShellOutput, ShellTarget},
    },
    sim::{Cluster, Fault, FaultKind, Options, Scenario, api::Request, start},
};
use serde_json::{Value, json};

use crate::support::session::end_of;

const WITHIN: Duration = Duration::from_secs(60);
const VMID: u32 = 9200;

/// A cluster with one fresh machine, and a client that may log in.
struct Bench {
    cluster: Cluster,
    ssh: Ssh,
    node: ShellTarget,
    folder: tempfile::TempDir,
    lab_key: String,
}

impl Bench {
    async fn new() -> Self {
        let scenario = Scenario::default_world().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let cluster = start(Options { scenario, speed: 50.0, listen, seed: 7 }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (known_hosts, root) = (folder.path().join("known_hosts"), folder.path().join("root"));
        fs::write(&root, &cluster.ssh_key().private).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o600)).unwrap();
        for node in cluster.nodes() {
            let ssh = node.ssh.unwrap();
            trust(&known_hosts, &name_of(&ssh.ip().to_string(), ssh.port()), &node.host_key).unwrap();
        }
        let address = cluster.nodes()[0].ssh.unwrap();
        let node = ShellTarget {
            host: address.ip().to_string(),
            port: address.port(),
            user: "root".into(),
            keys: vec![root],
            ask_agent: true,
            host_key: HostKey::Known,
            via: None,
        };
        let lab_key = lab_key(&folder.path().join("lab"), "lab", 0o600).unwrap();
        Self { cluster, ssh: Ssh::new(SshSettings::new(known_hosts)), node, folder, lab_key }
    }

    async fn call(&self, method: &str, path: &str, params: Value) {
        let Value::Object(params) = params else { panic!() };
        let path = format!("/nodes/pve1/qemu/{path}");
        let answer = self.cluster.handle().call(Request::shell("pve1", method, &path, params)).await;
        assert_eq!(answer.status, 200, "{}", answer.words());
    }

    async fn qm(&self, command: &str) -> ExecOutput {
        self.ssh.run_on_node(&self.node, command, WITHIN).await.unwrap()
    }

    fn agent(&self) -> Qm {
        let node = self.node.clone();
        Qm::new(self.ssh.clone(), move |name| (name.as_str() == "pve1").then(|| node.clone()))
    }

    /// Clones a machine and gives it the lab's key.
    async fn clone_one(&self) {
        let params = json!({ "newid": VMID, "name": "cs101-ada" });
        self.call("POST", "9000/clone", params).await;
        while self.qm(&format!("qm config {VMID}")).await.stdout.contains("lock: clone") {}
        let keys = self.lab_key.replace(' ', "%20").replace('+', "%2B").replace('/', "%2F");
        let params = json!({ "ciuser": "student", "sshkeys": keys, "ipconfig0": "ip=10.1.0.20/24,gw=10.1.0.1" });
        self.call("PUT", &format!("{VMID}/config"), params).await;
    }

    /// Starts it and waits until its SSH server listens.
    async fn boot(&self) -> ShellTarget {
        assert_eq!(self.qm(&format!("qm start {VMID}")).await.code, Some(0));
        let address = "10.1.0.20".parse().unwrap();
        while !self.cluster.handle().guest_at(address).is_some_and(|guest| guest.listening) {
            tokio::task::yield_now().await;
        }
        let key = self.agent().exec(&pve1(), vmid(), &words("cat /etc/ssh/ssh_host_ed25519_key.pub"), WITHIN).await;
        ShellTarget {
            host: address.to_string(),
            port: 22,
            user: "student".into(),
            keys: vec![self.folder.path().join("lab")],
            ask_agent: true,
            host_key: HostKey::Exactly(vec![key.unwrap().stdout]),
            via: Some(Box::new(self.node.clone())),
        }
    }
}

fn pve1() -> NodeName {
    NodeName::new("pve1")
}

fn vmid() -> Vmid {
    Vmid::new(u64::from(VMID)).unwrap()
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn qm_answers_in_the_words_and_with_the_codes_that_were_recorded() {
    let bench = Bench::new().await;
    let before = bench.cluster.now();
    let missing = bench.qm("qm guest cmd 999 ping").await;
    let config = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist\n";
    assert_eq!((missing.code, missing.stderr.as_str()), (Some(2), config));
    assert!(bench.cluster.now() - before >= 550, "starting qm costs the node more than half a second");
    let template = bench.qm("qm guest cmd 9000 ping").await;
    assert_eq!((template.code, template.stderr.as_str()), (Some(2), "VM 9000 is not running\n"));
    bench.clone_one().await;
    bench.boot().await;
    let ping = bench.qm(&format!("qm guest cmd {VMID} ping")).await;
    assert_eq!((ping.code, ping.stdout.as_str(), ping.stderr.as_str()), (Some(0), "", ""));
    let again = bench.qm(&format!("qm start {VMID}")).await;
    assert_eq!((again.code, again.stderr), (Some(255), format!("VM {VMID} already running\n")));
    let done = bench.qm(&format!("qm guest exec {VMID} -- sh -c 'echo out; echo err >&2; exit 3'")).await;
    let recorded = "{\n   \"err-data\" : \"err\\n\",\n   \"err-truncated\" : 0,\n   \"exitcode\" : 3,\n   \
                    \"exited\" : 1,\n   \"out-data\" : \"out\\n\",\n   \"out-truncated\" : 0\n}\n";
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), recorded));
    let missing = bench.qm(&format!("qm guest exec {VMID} -- /no/such/binary")).await;
    let recorded = "Wide character in die at /usr/share/perl5/PVE/RESTHandler.pm line 1131.\n\
                    Agent error: Failed to execute child process “/no/such/binary” (No such file or directory)\n";
    assert_eq!((missing.code, missing.stderr.as_str()), (Some(29), recorded));
    let late = bench.qm(&format!("qm guest exec {VMID} --timeout 2 -- sleep 5")).await;
    assert_eq!((late.code, late.stderr.as_str()), (Some(0), "timeout reached, returning pid\n"));
    assert!(late.stdout.starts_with("{\n   \"pid\" : "), "{late:?}");
    let list = bench.qm("qm list").await.stdout;
    let head = "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       \n";
    assert!(list.starts_with(head) && list.contains("cs101-ada            running "), "{list}");
    let unknown = bench.qm(&format!("qm guest cmd {VMID} no-such")).await;
    assert_eq!(unknown.code, Some(255));
    let text =
        "400 Parameter verification failed.\ncommand: value 'no-such' does not have a value in the enumeration '";
    assert!(unknown.stderr.starts_with(text), "{unknown:?}");
    assert!(bench.qm("pveversion").await.stdout.starts_with("pve-manager/9.2"));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_is_asked_through_qm_from_silence_to_an_address() {
    let bench = Bench::new().await;
    let agent = bench.agent();
    let missing = agent.ping(&pve1(), vmid()).await.unwrap_err();
    assert!(matches!(missing, AgentError::Site(SiteError::Missing { .. })), "{missing:?}");
    let nowhere = agent.ping(&NodeName::new("pve9"), vmid()).await.unwrap_err();
    assert!(nowhere.to_string().contains("no SSH address is known for pve9"), "{nowhere}");
    bench.clone_one().await;
    assert_eq!(agent.ping(&pve1(), vmid()).await, Err(AgentError::NotRunning));
    assert_eq!(bench.qm(&format!("qm start {VMID}")).await.code, Some(0));
    let mut silent = 0;
    while let Err(error) = agent.ping(&pve1(), vmid()).await {
        assert!(matches!(error, AgentError::Silent(_)), "{error:?}");
        silent += 1;
    }
    assert!(silent > 0);
    let address = loop {
        let cards = agent.interfaces(&pve1(), vmid()).await.unwrap();
        assert_eq!(cards[0].name.as_str(), "lo");
        if let Some(address) = cards[1].addresses.iter().find(|address| address.is_ipv4()) {
            break *address;
        }
    };
    assert_eq!(address.to_string(), "10.1.0.20");
    let done = agent.exec(&pve1(), vmid(), &words("uname -a"), WITHIN).await.unwrap();
    assert!(done.code == Some(0) && done.stdout.starts_with("Linux cs101-ada "), "{done:?}");
    let quoted = ["sh", "-c", "echo \"it's $((1))\" | cat; exit 4"].map(str::to_owned);
    let done = agent.exec(&pve1(), vmid(), &quoted, WITHIN).await.unwrap();
    assert_eq!(done.code, Some(4), "{done:?}");
    let late = agent.exec(&pve1(), vmid(), &words("sleep 60"), Duration::from_secs(2)).await.unwrap();
    assert_eq!(late.code, None);
    assert!(late.stderr.starts_with("still running after 2 s, as process "), "{late:?}");
    let refused = agent.exec(&pve1(), vmid(), &words("nosuch"), WITHIN).await.unwrap_err();
    assert!(matches!(refused, AgentError::Refused(_)), "{refused:?}");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_clone_left_is_removed_in_spite_of_its_lock() {
    let bench = Bench::new().await;
    bench.clone_one().await;
    bench.cluster.world(|world| world.set_lock(VMID, Some("clone")));
    assert!(bench.qm(&format!("qm start {VMID}")).await.stderr.contains("VM is locked (clone)"));
    assert!(!bench.agent().is_copying(&pve1(), vmid()).await.unwrap());
    bench.agent().remove_locked(&pve1(), vmid()).await.unwrap();
    assert!(bench.qm(&format!("qm config {VMID}")).await.stderr.contains("does not exist"));
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_lets_the_labs_key_in_and_its_terminal_works_until_it_stops() {
    let bench = Bench::new().await;
    bench.clone_one().await;
    let guest = bench.boot().await;
    let done = bench.ssh.run(&guest, "hostname; whoami; nosuch", WITHIN).await.unwrap();
    assert_eq!(done.stdout, "cs101-ada\nstudent\n");
    assert_eq!((done.code, done.stderr.as_str()), (Some(127), "bash: line 1: nosuch: command not found\n"));
    let stranger = ShellTarget { user: "root".into(), ..guest.clone() };
    let error = bench.ssh.run(&stranger, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Denied { .. }), "{error:?}");
    let other = ShellTarget { host_key: HostKey::Exactly(vec![bench.lab_key.clone()]), ..guest.clone() };
    let error = bench.ssh.run(&other, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::WrongHost { .. }), "{error:?}");

    let mut session = bench.ssh.open(&guest, (100, 30), None).await.unwrap();
    let mut text = String::new();
    session.input.send(ShellInput::Bytes(b"nosuch\rpwd\r".to_vec())).await.unwrap();
    session.input.send(ShellInput::Bytes(b"stty size\r".to_vec())).await.unwrap();
    while !text.contains("30 100\r\n") {
        match tokio::time::timeout(WITHIN, session.output.recv()).await.unwrap() {
            Some(ShellOutput::Bytes(bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?} after {text}"),
        }
    }
    assert!(text.starts_with("Welcome to Ubuntu 22.04"), "{text}");
    assert!(text.contains("student@cs101-ada:~$ "), "{text}");
    assert!(text.contains("-bash: nosuch: command not found\r\n"), "{text}");
    assert!(text.contains("/home/student\r\n"), "{text}");

    assert_eq!(bench.qm(&format!("qm stop {VMID}")).await.code, Some(0));
    let end = end_of(&mut session, WITHIN).await;
    assert!(matches!(end, Some(ShellOutput::Lost(_))), "{end:?}");
    let error = bench.ssh.run(&guest, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Unreachable { .. }), "{error:?}");
    bench.cluster.shutdown().await;
}

/// OpenSSH's client with nothing of its user's own.
fn openssh(bench: &Bench, guest: bool, args: &[&str], input: &str) -> std::process::Output {
    let known_hosts = bench.folder.path().join("known_hosts").display().to_string();
    let root = bench.node.keys[0].display().to_string();
    let lab = bench.folder.path().join("lab").display().to_string();
    let options = format!(
        "-F none -o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o BatchMode=yes"
    );
    let mut command = std::process::Command::new("ssh");
    command.args(options.split(' '));
    if guest {
        let way = format!("ssh {options} -i {root} -p {} -W %h:%p root@127.0.0.1", bench.node.port);
        command.args(["-i", &lab, "-o", &format!("ProxyCommand={way}"), "student@10.1.0.20"]);
    } else {
        command.args(["-i", &root, "-p", &bench.node.port.to_string(), "root@127.0.0.1"]);
    }
    let mut child = command
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs OpenSSH's client"]
async fn openssh_logs_into_nodes_and_through_them_into_guests() {
    let bench = Bench::new().await;
    bench.clone_one().await;
    let guest = bench.boot().await;
    let HostKey::Exactly(keys) = &guest.host_key else { panic!() };
    trust(&bench.folder.path().join("known_hosts"), "10.1.0.20", &keys[0]).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();

    let done = openssh(&bench, false, &["qm", "guest", "cmd", "999", "ping"], "");
    assert_eq!(done.status.code(), Some(2), "{done:?}");
    assert!(text(&done.stderr).contains("999.conf' does not exist"), "{done:?}");
    let done = openssh(&bench, false, &["cat"], "through\n");
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(0), "through\n"), "{done:?}");
    let done = openssh(&bench, false, &[&format!("qm guest exec {VMID} --pass-stdin 1 -- cat")], "hello\n");
    assert!(text(&done.stdout).contains("\"out-data\" : \"hello\\n\""), "{done:?}");

    let done = openssh(&bench, true, &["hostname; exit 3"], "");
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(3), "cs101-ada\n"), "{done:?}");
    let done = openssh(&bench, true, &["-tt"], "tty\nexit 5\n");
    assert_eq!(done.status.code(), Some(5), "{done:?}");
    assert!(text(&done.stdout).contains("/dev/pts/0\r\n"), "{done:?}");
    bench.cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_strike_logins_to_nodes_and_guests_and_a_dead_node_takes_its_connections_along() {
    let bench = Bench::new().await;
    bench.cluster.inject(Fault::every("SSH /nodes/*/ssh", FaultKind::Cut));
    let error = bench.ssh.run_on_node(&bench.node, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Broken { .. }), "{error:?}");
    bench.cluster.world(|world| world.faults.clear());
    // Turned away once before anything began, it is tried again.
    bench.cluster.inject(Fault::first("SSH /nodes/*/ssh", FaultKind::Cut));
    let piped = bench.qm("qm list | grep ubuntu | wc -l && echo yes || echo no; uname -r").await;
    assert_eq!(piped.stdout, "1\nyes\n6.17.2-1-pve\n");

    bench.clone_one().await;
    let guest = bench.boot().await;
    bench.cluster.inject(Fault::first("SSH /nodes/*/qemu/*/ssh", FaultKind::Cut).on("cs101-ada"));
    let error = bench.ssh.run(&guest, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Unreachable { .. }), "{error:?}");
    bench.ssh.run(&guest, "true", WITHIN).await.unwrap();

    let mut session = bench.ssh.open(&guest, (80, 24), None).await.unwrap();
    bench.cluster.world(|world| world.set_node_online("pve1", false));
    let end = end_of(&mut session, WITHIN).await;
    assert!(matches!(end, Some(ShellOutput::Lost(_))), "{end:?}");
    bench.cluster.shutdown().await;
}
