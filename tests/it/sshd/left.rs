//! Commands that are given up: OpenSSH lets them run on when their channel closes, and nothing of them may be left.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use homeroom::port::{
    RemoteShell,
    shell::{ShellError, ShellInput, ShellOutput, ShellSession},
};

use super::{Server, WITHIN, shown};

/// What a process is called whose number stands in the first line that comes.
async fn number(session: &mut ShellSession) -> u32 {
    shown(session, "\n").await.trim().parse().unwrap()
}

fn runs(pid: u32) -> bool {
    // One that has ended and was not waited for yet is no longer running.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

async fn ends(pid: u32, what: &str) {
    let deadline = Instant::now() + WITHIN;
    while runs(pid) {
        assert!(Instant::now() < deadline, "{what}: process {pid} runs on");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_runs_nothing_on_that_was_given_up() {
    let server = Server::start();
    let ssh = server.ssh();
    // With programs of its own, silent and loud, with input open and ended, and in a terminal.
    for (what, command, end_input) in [
        ("silent", "echo $$; exec sleep 1000", false),
        ("a child", "sleep 1000 & echo $!; wait", false),
        ("a pipeline", "sh -c 'echo $$; exec sleep 1000' | cat", true),
        ("loud", "echo $$; while :; do echo more; done", true),
    ] {
        let mut session = ssh.start(&server.target, command).await.unwrap();
        if end_input {
            session.input.send(ShellInput::Eof).await.unwrap();
        }
        let pid = match session.output.recv().await {
            Some(ShellOutput::Bytes(bytes)) => {
                String::from_utf8_lossy(&bytes).lines().next().unwrap().trim().parse().unwrap()
            }
            other => panic!("{what}: {other:?}"),
        };
        assert!(runs(pid), "{what}");
        drop(session);
        ssh.settle(WITHIN).await;
        ends(pid, what).await;
    }
    let mut terminal = ssh.open(&server.target, (80, 24), Some("echo $$; exec sleep 1000")).await.unwrap();
    let pid = number(&mut terminal).await;
    drop(terminal);
    ends(pid, "a terminal").await;

    let noted = server.folder.path().join("noted");
    let command = format!("echo $$ > {}; exec sleep 1000", noted.display());
    let late = ssh.run(&server.target, &command, Duration::from_secs(2)).await;
    assert!(matches!(late, Err(ShellError::TimedOut { .. })), "{late:?}");
    ssh.settle(WITHIN).await;
    ends(read_number(noted), "one whose output is gathered").await;
}

fn read_number(path: PathBuf) -> u32 {
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_leaves_alone_what_was_made_to_outlast_and_what_others_run() {
    let server = Server::start();
    let ssh = server.ssh();
    let mut other = ssh.start(&server.target, "echo $$; cat").await.unwrap();
    let pid_of_other = number(&mut other).await;
    let mut session = ssh.start(&server.target, "nohup sleep 1000 >/dev/null 2>&1 & echo $!; exec sleep 1000").await;
    let lasting = number(session.as_mut().unwrap()).await;
    drop(session);
    ssh.settle(Duration::from_secs(1)).await;
    assert!(runs(lasting), "whoever said nohup meant it");
    assert!(runs(pid_of_other), "another connection is another's");
    let killed = std::process::Command::new("kill").arg(lasting.to_string()).status().unwrap();
    assert!(killed.success());
    other.input.send(ShellInput::Eof).await.unwrap();
    assert_eq!(tokio::time::timeout(WITHIN, other.output.recv()).await.unwrap(), Some(ShellOutput::Exit(0)));

    // Commands of one connection: one that is given up takes no other with it.
    let (long, noted) = (server.folder.path().join("long"), server.folder.path().join("go"));
    let command =
        format!("echo $$ > {}; while ! [ -e {} ]; do sleep 0.1; done; echo well", long.display(), noted.display());
    let waiting = ssh.run_on_node(&server.target, &command, WITHIN);
    let given_up = async {
        let late = ssh.run_on_node(&server.target, "sleep 1000", Duration::from_secs(1)).await;
        std::fs::write(&noted, "").unwrap();
        late
    };
    let (well, late) = tokio::join!(waiting, given_up);
    assert_eq!(well.unwrap().stdout, "well\n");
    assert!(matches!(late, Err(ShellError::TimedOut { .. })), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_with_one_session_a_connection_only_is_still_left_in_time() {
    let server = Server::with("MaxSessions 1\n");
    let ssh = server.ssh();
    let mut session = ssh.start(&server.target, "echo $$; exec cat").await.unwrap();
    let pid = number(&mut session).await;
    drop(session);
    let began = Instant::now();
    ssh.settle(WITHIN).await;
    assert!(began.elapsed() < WITHIN, "nobody waits for a last word that is not taken");
    // What reads its input finds the end of it.
    ends(pid, "cat").await;
}
