//! SSH from end to end: the real client against real servers, over loopback.

mod commands;
mod logins;
mod many;
mod terminals;

use std::{
    net::Ipv4Addr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    backend::ssh::{Ssh, SshSettings, keys::lab_key, name_of, trust},
    port::shell::{HostKey, ShellInput, ShellOutput, ShellSession, ShellTarget},
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
