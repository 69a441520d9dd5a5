//! OpenSSH behind a relay that stops passing its words on, or hangs up, in every phase of a login; and servers
//! that let nobody in by key.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use homeroom::{
    backend::ssh::{Ssh, SshSettings, keys::lab_key, name_of, trust},
    port::{
        RemoteShell,
        shell::{ShellError, ShellOutput, ShellTarget},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Server, WITHIN};

/// What becomes of a connection once the server has said so many bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Stall,
    Cut,
}

/// A relay before a server; the bytes that came through from the server are counted.
struct Relay {
    address: SocketAddr,
    passed: Arc<AtomicU64>,
}

impl Relay {
    async fn before(server: &Server, most: u64, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(AtomicU64::new(0));
        let (port, counted) = (server.target.port, passed.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let counted = counted.clone();
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let (mut from_server, mut to_server) = server.into_split();
                    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                    let mut left = most;
                    let mut buffer = [0; 4096];
                    while left > 0 {
                        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                        let Ok(n @ 1..) = from_server.read(&mut buffer[..room]).await else { break };
                        left -= n as u64;
                        counted.fetch_add(n as u64, Ordering::Relaxed);
                        if to_client.write_all(&buffer[..n]).await.is_err() {
                            return;
                        }
                    }
                    match then {
                        Then::Stall => drop(up.await),
                        Then::Cut => up.abort(),
                    }
                });
            }
        });
        Self { address, passed }
    }

    fn target(&self, server: &Server) -> ShellTarget {
        let port = self.address.port();
        let host = std::fs::read_to_string(server.folder.path().join("host.pub")).unwrap();
        trust(&server.folder.path().join("known_hosts"), &name_of("127.0.0.1", port), &host).unwrap();
        ShellTarget { port, ..server.target.clone() }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_that_stalls_or_hangs_up_in_any_phase_holds_nobody_up() {
    const COMMAND: &str = "head -c 30000 /dev/zero";
    let server = Server::start();
    let host = lab_key(&server.folder.path().join("host"), "host", 0o600).unwrap();
    std::fs::write(server.folder.path().join("host.pub"), host).unwrap();
    let short = Duration::from_millis(700);
    let ssh = Ssh::new(SshSettings {
        handshake: short,
        auth: short,
        keepalive: Duration::from_millis(200),
        silence: short,
        ..server.settings()
    });
    let whole = Relay::before(&server, u64::MAX, Then::Stall).await;
    assert_eq!(ssh.run(&whole.target(&server), COMMAND, WITHIN).await.unwrap().stdout.len(), 30_000);
    let all = whole.passed.load(Ordering::Relaxed);
    assert!(all > 30_000, "{all}");
    // Before the banner, within it, within key exchange, login and opening, within the output.
    let login = all - 30_000;
    let places = [0, 10, 60, login / 4, login / 2, login * 3 / 4, login * 9 / 10, login + 200, login + 15_000];
    for then in [Then::Stall, Then::Cut] {
        for most in places {
            let relay = Relay::before(&server, most, then).await;
            let target = relay.target(&server);
            let error = ssh.run(&target, COMMAND, WITHIN).await.expect_err("it never said all of it");
            let told = match then {
                Then::Stall => matches!(error, ShellError::TimedOut { .. } | ShellError::Broken { .. }),
                Then::Cut => matches!(error, ShellError::Broken { .. }),
            };
            assert!(told && error.is_passing(), "{then:?} after {most} of {all}: {error}");
        }
    }
    assert_eq!(ssh.run(&server.target, "echo still there", WITHIN).await.unwrap().stdout, "still there\n");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_cut_off_under_an_open_terminal_is_told_with_what_came_before() {
    let server = Server::start();
    let host = lab_key(&server.folder.path().join("host"), "host", 0o600).unwrap();
    std::fs::write(server.folder.path().join("host.pub"), host).unwrap();
    let relay = Relay::before(&server, 20_000, Then::Cut).await;
    let mut session =
        server.ssh().open(&relay.target(&server), (80, 24), Some("while echo line; do :; done")).await.unwrap();
    let mut lines = 0;
    let end = loop {
        match tokio::time::timeout(WITHIN, session.output.recv()).await.unwrap() {
            Some(ShellOutput::Bytes(bytes)) => lines += bytes.iter().filter(|byte| **byte == b'\n').count(),
            other => break other,
        }
    };
    assert!(matches!(end, Some(ShellOutput::Lost(_))) && lines > 10, "{end:?} after {lines} lines");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_that_takes_passwords_only_is_told_to_do_so() {
    let server = Server::with("PubkeyAuthentication no\n");
    let closed = server.ssh().run(&server.target, "true", WITHIN).await.unwrap_err();
    assert!(matches!(closed, ShellError::Denied { .. } | ShellError::Broken { .. }), "{closed:?}");
    // Of a keyword given twice the first counts.
    let server = Server::of("PasswordAuthentication yes\nPubkeyAuthentication no\n", "");
    let error = server.ssh().run(&server.target, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Denied { .. }), "{error:?}");
    assert!(error.to_string().contains("it lets people in by password only, and homeroom logs in by key"), "{error}");
}
