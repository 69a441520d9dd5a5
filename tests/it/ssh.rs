//! SSH from end to end: the real client against real servers, over loopback.

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use homeroom::{
    backend::ssh::{Ssh, SshSettings, keys::lab_key, name_of, trust},
    port::{
        RemoteShell,
        shell::{HostKey, ShellError, ShellInput, ShellOutput, ShellSession, ShellTarget, Tty},
    },
    sim::ssh::{Behind, Door, Exit, NodeKeys, Place, Said, Welcome, pair, serve},
};
use tokio::{net::TcpListener, sync::Barrier, task::JoinHandle};

const WITHIN: Duration = Duration::from_secs(20);
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 20);

/// A cluster that does as a test tells it.
struct Script {
    welcome: Mutex<Welcome>,
    connections: AtomicUsize,
    four: Barrier,
    guest_keys: Mutex<Vec<String>>,
}

struct Room {
    script: Arc<Script>,
    name: String,
    left: Option<u32>,
    /// What the client said of its terminal, in order.
    told: Vec<String>,
}

#[async_trait]
impl Place for Room {
    fn told(&mut self, name: &str, value: &str) {
        self.told.push(format!("{name}={value}"));
    }

    fn greeting(&self) -> String {
        "Welcome\n".into()
    }

    fn prompt(&self) -> String {
        format!("{}:~$ ", self.name)
    }

    async fn run(&mut self, line: &str, _stdin: &[u8]) -> Said {
        match line {
            "terminal" => Said::out(format!("it is {}.\n", self.told.join(" "))),
            "whereami" => Said::out(format!("{}\n", self.name)),
            "both" => Said { out: "out\n".into(), err: "err\n".into(), exit: Exit::Code(3) },
            "large" => Said::out(vec![b'x'; 1 << 20]),
            "huge" => Said::out(vec![b'x'; 6 << 20]),
            "binary" => Said::out((0..=255u8).cycle().take(100_000).collect::<Vec<_>>()),
            "killed" => Said { exit: Exit::Signal(9), ..Said::default() },
            "meet" => {
                self.script.four.wait().await;
                Said::out("met\n")
            }
            "never" => std::future::pending().await,
            "exit 5" => {
                self.left = Some(5);
                Said { exit: Exit::Code(5), ..Said::default() }
            }
            other => Said::err(127, format!("-bash: {other}: command not found\n")),
        }
    }

    fn left(&self) -> Option<u32> {
        self.left
    }

    async fn pause(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl Behind for Script {
    fn welcome(&self, _: &str) -> Welcome {
        self.connections.fetch_add(1, Ordering::SeqCst);
        *self.welcome.lock().unwrap()
    }

    fn on_node(self: Arc<Self>, node: &str) -> Box<dyn Place> {
        Box::new(Room { script: self, name: node.to_owned(), left: None, told: Vec::new() })
    }

    fn guest_at(&self, address: Ipv4Addr) -> Option<Door> {
        (address == GUEST).then(|| Door {
            vmid: 101,
            run: 1,
            listening: true,
            host_key: [5; 32],
            users: vec![("student".into(), self.guest_keys.lock().unwrap().clone())],
        })
    }

    fn in_guest(self: Arc<Self>, door: &Door, user: &str) -> Box<dyn Place> {
        Box::new(Room { script: self, name: format!("{user}@{}", door.vmid), left: None, told: Vec::new() })
    }

    async fn gone(&self, _: &Door) {
        std::future::pending().await
    }

    async fn pause(&self, _: Duration) {}
}

/// One served node, and a client with a key it takes.
struct Bench {
    script: Arc<Script>,
    ssh: Ssh,
    node: ShellTarget,
    folder: tempfile::TempDir,
    server: JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Bench {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut SshSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("id");
        let public = lab_key(&key, "test", 0o600).unwrap();
        let script = Arc::new(Script {
            welcome: Mutex::new(Welcome::Serve),
            connections: AtomicUsize::new(0),
            four: Barrier::new(4),
            guest_keys: Mutex::new(vec![public.clone()]),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let keys = NodeKeys { host: [4; 32], root: vec![public] };
        let server = tokio::spawn(serve(listener, "pve1".to_owned(), keys, Arc::clone(&script)));
        let known_hosts = folder.path().join("known_hosts");
        trust(&known_hosts, &name_of("127.0.0.1", port), &pair(&[4; 32], "").public).unwrap();
        let mut settings = SshSettings::new(known_hosts);
        change(&mut settings);
        let node = ShellTarget {
            host: "127.0.0.1".into(),
            port,
            user: "root".into(),
            keys: vec![key],
            ask_agent: true,
            host_key: HostKey::Known,
            via: None,
        };
        Self { script, ssh: Ssh::new(settings), node, folder, server }
    }

    fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    fn guest(&self) -> ShellTarget {
        ShellTarget {
            host: GUEST.to_string(),
            port: 22,
            user: "student".into(),
            keys: self.node.keys.clone(),
            ask_agent: true,
            host_key: HostKey::Exactly(vec![pair(&[5; 32], "root@guest").public]),
            via: Some(Box::new(self.node.clone())),
        }
    }
}

/// Everything a terminal shows, until `until` is in it.
async fn shown(session: &mut ShellSession, until: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(until) {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} after {text:?}"),
            }
        }
    };
    tokio::time::timeout(WITHIN, reading).await.expect("the text never came");
    text
}

async fn typed(session: &ShellSession, text: &str) {
    session.input.send(ShellInput::Bytes(text.as_bytes().to_vec())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn output_errors_and_exit_code_come_apart() {
    let bench = Bench::new().await;
    let done = bench.ssh.run(&bench.node, "both", WITHIN).await.unwrap();
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(3), "out\n", "err\n"));
    let done = bench.ssh.run(&bench.node, "killed", WITHIN).await.unwrap();
    assert_eq!(done.code, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_reached_through_its_node() {
    let bench = Bench::new().await;
    let done = bench.ssh.run(&bench.guest(), "whereami", WITHIN).await.unwrap();
    assert_eq!(done.stdout, "student@101\n");
    let done = bench.ssh.run(&bench.guest(), "large", WITHIN).await.unwrap();
    assert_eq!(done.stdout.len(), 1 << 20);
    // Both went over one connection to the node.
    assert_eq!(bench.script.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_nobody_has_is_unreachable_by_name_of_the_way() {
    let bench = Bench::new().await;
    let target = ShellTarget { host: "10.1.0.99".into(), ..bench.guest() };
    let error = bench.ssh.run(&target, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(&error, ShellError::Unreachable { host, .. } if host == "10.1.0.99"), "{error:?}");
    assert!(error.to_string().contains("through [127.0.0.1]:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_arrives_whole_and_too_much_is_refused() {
    let bench = Bench::new().await;
    let done = bench.ssh.run(&bench.node, "large", WITHIN).await.unwrap();
    assert_eq!(done.stdout, "x".repeat(1 << 20));
    let error = bench.ssh.run(&bench.node, "huge", WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("more than 4 MiB"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_commands_run_at_once_over_one_connection() {
    let bench = Bench::new().await;
    let asks = (0..8).map(|_| bench.ssh.run_on_node(&bench.node, "meet", WITHIN));
    for done in futures_util::future::join_all(asks).await {
        assert_eq!(done.unwrap().stdout, "met\n");
    }
    assert_eq!(bench.script.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_does_not_end_is_given_up_and_the_connection_serves_on() {
    let bench = Bench::new().await;
    let error = bench.ssh.run_on_node(&bench.node, "never", Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ShellError::TimedOut { .. }), "{error:?}");
    let done = bench.ssh.run_on_node(&bench.node, "whereami", WITHIN).await.unwrap();
    assert_eq!(done.stdout, "pve1\n");
    assert_eq!(bench.script.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_made_anew_when_needed() {
    let bench = Bench::with(|settings| settings.idle = Duration::ZERO).await;
    let connections = || bench.script.connections.load(Ordering::SeqCst);
    for _ in 0..200 {
        // Whether the old connection had just gone or not, every ask is answered.
        let done = bench.ssh.run_on_node(&bench.node, "whereami", WITHIN).await.unwrap();
        assert_eq!(done.stdout, "pve1\n");
        if connections() > 1 {
            return;
        }
    }
    panic!("one connection was kept for all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_nobody_trusts_is_refused_with_its_fingerprint_and_let_in_once_trusted() {
    let bench = Bench::new().await;
    std::fs::remove_file(bench.known_hosts()).unwrap();
    let error = bench.ssh.run(&bench.node, "whereami", WITHIN).await.unwrap_err();
    let ShellError::UnknownHost { host, fingerprint, key } = error else { panic!("{error:?}") };
    assert!(fingerprint.starts_with("SHA256:") && !fingerprint.ends_with('='), "{fingerprint}");
    trust(&bench.known_hosts(), &host, &key).unwrap();
    bench.ssh.run(&bench.node, "whereami", WITHIN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_key_than_the_one_on_record_is_refused() {
    let bench = Bench::new().await;
    let other = pair(&[9; 32], "").public;
    std::fs::remove_file(bench.known_hosts()).unwrap();
    trust(&bench.known_hosts(), &name_of("127.0.0.1", bench.node.port), &other).unwrap();
    let error = bench.ssh.run(&bench.node, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::WrongHost { .. }), "{error:?}");

    let bench = Bench::new().await;
    let guest = ShellTarget { host_key: HostKey::Exactly(vec![other]), ..bench.guest() };
    let error = bench.ssh.run(&guest, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(&error, ShellError::WrongHost { host, .. } if host == "10.1.0.20"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_welcome_is_named_in_the_refusal() {
    let bench = Bench::new().await;
    bench.script.guest_keys.lock().unwrap().clear();
    let error = bench.ssh.run(&bench.guest(), "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(&error, ShellError::Denied { user, .. } if user == "student"), "{error:?}");
    assert!(error.to_string().contains("/id was refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_dialled_where_there_is_no_key_to_log_in_with() {
    let bench = Bench::new().await;
    let missing = ShellTarget { keys: vec![bench.folder.path().join("nokey")], ..bench.node.clone() };
    let error = bench.ssh.run(&missing, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Denied { locked: None, .. }), "{error:?}");
    assert!(error.to_string().contains("nokey"), "{error}");
    assert_eq!(bench.script.connections.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_is_given_up() {
    let bench = Bench::with(|settings| settings.handshake = Duration::from_millis(200)).await;
    *bench.script.welcome.lock().unwrap() = Welcome::Stall;
    let error = bench.ssh.run(&bench.node, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::TimedOut { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_and_hanging_up_at_once_are_told_apart() {
    let bench = Bench::new().await;
    *bench.script.welcome.lock().unwrap() = Welcome::Refuse;
    let error = bench.ssh.run(&bench.node, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Broken { .. }), "{error:?}");
    bench.server.abort();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = ShellTarget { port: free, ..bench.node.clone() };
    let error = bench.ssh.run(&nobody, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().ends_with("connection refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_mid_stream_is_told_as_lost() {
    let bench = Bench::new().await;
    *bench.script.welcome.lock().unwrap() = Welcome::CutAfter(100_000);
    let error = bench.ssh.run(&bench.node, "large", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Broken { .. }), "{error:?}");

    let mut session = bench.ssh.open(&bench.node, (80, 24), Some("large")).await.unwrap();
    let end = async {
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(_)) => {}
                other => return other,
            }
        }
    };
    let end = tokio::time::timeout(WITHIN, end).await.unwrap();
    assert!(matches!(end, Some(ShellOutput::Lost(_))), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_a_prompt_follows_resizes_and_tells_its_exit_status() {
    let bench = Bench::new().await;
    let mut session = bench.ssh.open(&bench.guest(), (80, 24), None).await.unwrap();
    shown(&mut session, "student@101:~$ ").await;
    typed(&session, "stty size\r").await;
    shown(&mut session, "24 80\r\n").await;
    session.input.send(ShellInput::Resize(132, 43)).await.unwrap();
    typed(&session, "stty size\r").await;
    shown(&mut session, "43 132\r\n").await;
    typed(&session, "never\r").await;
    typed(&session, "\x03").await;
    shown(&mut session, "^C\r\n").await;
    typed(&session, "nonsense\r").await;
    shown(&mut session, "-bash: nonsense: command not found\r\n").await;
    typed(&session, "exit 5\r").await;
    let last = async {
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(_)) => {}
                other => return other,
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, last).await.unwrap(), Some(ShellOutput::Exit(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_through_a_terminal_as_they_are() {
    let bench = Bench::new().await;
    let mut session = bench.ssh.open(&bench.node, (80, 24), Some("binary")).await.unwrap();
    let mut got = Vec::new();
    let reading = async {
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(bytes)) => got.extend(bytes),
                other => return other,
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, reading).await.unwrap(), Some(ShellOutput::Exit(0)));
    // The far terminal's driver puts a return before each line feed, as terminals do.
    let sent: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    let expected: Vec<u8> = sent.iter().flat_map(|b| if *b == b'\n' { vec![b'\r', b'\n'] } else { vec![*b] }).collect();
    assert!(got == expected);

    let mut session = bench.ssh.open(&bench.node, (80, 24), Some("showkey -a")).await.unwrap();
    shown(&mut session, "Ctrl-D").await;
    session.input.send(ShellInput::Bytes(b"\x1b[200~\x00\xff\x1b[<0;3;4M\x04".to_vec())).await.unwrap();
    let text = shown(&mut session, "0x04").await;
    let codes: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("0x")).collect();
    assert_eq!(
        codes.join(" "),
        "0x1b 0x5b 0x32 0x30 0x30 0x7e 0x00 0xff 0x1b 0x5b 0x3c 0x30 0x3b 0x33 0x3b 0x34 0x4d 0x04"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_falls_behind_loses_nothing() {
    let bench = Bench::new().await;
    let mut session = bench.ssh.open(&bench.node, (80, 24), Some("large")).await.unwrap();
    // The command has long been asked for and answered; nothing was read here.
    bench.ssh.run(&bench.node, "whereami", WITHIN).await.unwrap();
    let mut got = 0;
    loop {
        match tokio::time::timeout(WITHIN, session.output.recv()).await.unwrap() {
            Some(ShellOutput::Bytes(bytes)) => got += bytes.len(),
            Some(ShellOutput::Exit(0)) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, 1 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_falls_silent_is_given_up_but_rest_is_not_silence() {
    let bench = Bench::with(|settings| {
        settings.silence = Duration::from_millis(200);
        settings.keepalive = Duration::from_secs(60);
    })
    .await;
    bench.ssh.run_on_node(&bench.node, "whereami", WITHIN).await.unwrap();
    // Another connection, on which nothing comes for longer than is borne.
    let error = bench.ssh.run(&bench.node, "never", WITHIN).await.unwrap_err();
    assert!(error.to_string().contains("nothing was heard"), "{error}");
    // The first one rested as long and is still good.
    bench.ssh.run_on_node(&bench.node, "whereami", WITHIN).await.unwrap();
    assert_eq!(bench.script.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_logins_through_one_node_at_once_all_succeed() {
    let bench = Bench::new().await;
    let guest = bench.guest();
    let asks = (0..60).map(|_| bench.ssh.run(&guest, "whereami", WITHIN));
    for done in futures_util::future::join_all(asks).await {
        assert_eq!(done.unwrap().stdout, "student@101\n");
    }
    let connections = bench.script.connections.load(Ordering::SeqCst);
    assert!(connections <= 4, "{connections} connections to the node");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_had_is_tried_once_for_all_who_wait() {
    let bench = Bench::with(|settings| settings.handshake = Duration::from_millis(200)).await;
    *bench.script.welcome.lock().unwrap() = Welcome::Stall;
    let asks = (0..20).map(|_| bench.ssh.run_on_node(&bench.node, "whereami", WITHIN));
    for done in futures_util::future::join_all(asks).await {
        assert!(matches!(done, Err(ShellError::TimedOut { .. })), "{done:?}");
    }
    assert_eq!(bench.script.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_far_side_is_told_what_the_terminal_is_and_what_colours_it_has_where_it_takes_them() {
    let bench = Bench::new().await;
    let own = Tty { size: (80, 24), term: "foot-extra".into(), colours: Some("24bit".into()) };
    for (tty, told) in [
        (own, "it is TERM=foot-extra COLORTERM=24bit."),
        (Tty::pane((80, 24)), "it is TERM=tmux-256color COLORTERM=truecolor."),
        (Tty::usual((80, 24)), "it is TERM=xterm-256color."),
    ] {
        let mut session = bench.ssh.open_as(&bench.guest(), &tty, Some("terminal")).await.unwrap();
        shown(&mut session, told).await;
    }
}

/// Half of all, and 99 of 100.
fn shares(mut took: Vec<Duration>) -> (Duration, Duration) {
    took.sort();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

/// Over loopback, through a node, to an SSH server that echoes. The limits are far from what it takes, for machines
/// that have much else to do; what it took is printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_echoed_at_once_and_thirty_shells_open_together() {
    let bench = Bench::new().await;
    let mut session = bench.ssh.open(&bench.guest(), (80, 24), None).await.unwrap();
    shown(&mut session, "student@101:~$ ").await;
    let mut took = Vec::new();
    for n in 0..300 {
        let began = Instant::now();
        typed(&session, "x").await;
        shown(&mut session, "x").await;
        took.push(began.elapsed());
        if n % 50 == 49 {
            typed(&session, "\x15\r").await;
            shown(&mut session, "student@101:~$ ").await;
        }
    }
    let (half, most) = shares(took);
    let began = Instant::now();
    let guest = bench.guest();
    let opened = (0..30).map(|_| async {
        let mut session = bench.ssh.open(&guest, (80, 24), None).await.unwrap();
        shown(&mut session, "student@101:~$ ").await;
    });
    futures_util::future::join_all(opened).await;
    let thirty = began.elapsed();
    println!(
        "a key is echoed after {half:?} (half of all), {most:?} (99 of 100); 30 shells show a prompt in {thirty:?}"
    );
    assert!(half < Duration::from_millis(200), "{half:?}");
    assert!(thirty < Duration::from_secs(30), "{thirty:?}");
}
