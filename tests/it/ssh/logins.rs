//! Logins: the way there, host keys, keys, and servers that do not let anybody in.

use std::{sync::atomic::Ordering, time::Duration};

use homeroom::{
    backend::ssh::{name_of, trust},
    port::{
        RemoteShell,
        shell::{HostKey, ShellError, ShellTarget},
    },
    sim::ssh::{Welcome, pair},
};
use tokio::net::TcpListener;

use super::{Bench, WITHIN};

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
async fn an_agent_that_hangs_is_told_of_by_name_and_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent");
    // Connections are taken by the kernel, and nobody reads them.
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let bench = Bench::with(|settings| {
        settings.agent = Some(socket.clone());
        settings.auth = Duration::from_millis(300);
    })
    .await;
    let target = ShellTarget { keys: vec![], ..bench.node.clone() };
    let error = bench.ssh.run(&target, "whereami", WITHIN).await.unwrap_err();
    let told = format!("ssh-agent at {} does not answer", socket.display());
    assert!(matches!(error, ShellError::Denied { .. }) && error.to_string().contains(&told), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_dialled_where_there_is_no_key_to_log_in_with() {
    let bench = Bench::new().await;
    let missing = ShellTarget { keys: vec![bench.folder.path().join("nokey")], ..bench.node.clone() };
    let error = bench.ssh.run(&missing, "whereami", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::NoKey { .. }) && !error.is_passing(), "{error:?}");
    let said = error.to_string();
    assert!(said.contains("was not asked") && said.contains("/nokey does not exist; name one"), "{said}");
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
