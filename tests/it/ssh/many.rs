//! Many at once over few connections.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use homeroom::{
    port::{RemoteShell, shell::ShellError},
    sim::ssh::Welcome,
};

use super::{Bench, WITHIN, shown, typed};

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
