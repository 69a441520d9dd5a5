//! Commands: what they print, how they end, and connections that break.

use std::{sync::atomic::Ordering, time::Duration};

use homeroom::{
    port::{
        RemoteShell,
        shell::{ShellError, ShellOutput},
    },
    sim::ssh::Welcome,
};

use super::{Bench, WITHIN};
use crate::support::session::end_of;

#[tokio::test(flavor = "multi_thread")]
async fn output_errors_and_exit_code_come_apart() {
    let bench = Bench::new().await;
    let done = bench.ssh.run(&bench.node, "both", WITHIN).await.unwrap();
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(3), "out\n", "err\n"));
    let done = bench.ssh.run(&bench.node, "killed", WITHIN).await.unwrap();
    assert_eq!(done.code, None);
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
async fn a_command_that_does_not_end_is_given_up_and_the_connection_serves_on() {
    let bench = Bench::new().await;
    let error = bench.ssh.run_on_node(&bench.node, "never", Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ShellError::TimedOut { .. }), "{error:?}");
    let done = bench.ssh.run_on_node(&bench.node, "whereami", WITHIN).await.unwrap();
    assert_eq!(done.stdout, "pve1\n");
    assert_eq!(bench.script.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_in_mid_stream_is_told_as_lost() {
    let bench = Bench::new().await;
    *bench.script.welcome.lock().unwrap() = Welcome::CutAfter(100_000);
    let error = bench.ssh.run(&bench.node, "large", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Broken { .. }), "{error:?}");

    let mut session = bench.ssh.open(&bench.node, (80, 24), Some("large")).await.unwrap();
    let end = end_of(&mut session, WITHIN).await;
    assert!(matches!(end, Some(ShellOutput::Lost(_))), "{end:?}");
}
