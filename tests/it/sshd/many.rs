//! Many at once against OpenSSH with its limits set low and high; signals and sizes in terminals.

use std::time::{Duration, Instant};

use homeroom::port::{
    RemoteShell,
    shell::{ShellError, ShellInput, ShellOutput, ShellSession},
};

use super::{Server, WITHIN, shown};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_bears_fifty_open_terminals_that_all_answer() {
    let server = Server::with("MaxStartups 100\nMaxSessions 1\n");
    let ssh = server.ssh();
    let opening = (0..50).map(|_| ssh.open(&server.target, (80, 24), Some("sh")));
    let mut sessions: Vec<ShellSession> =
        futures_util::future::join_all(opening).await.into_iter().map(|session| session.unwrap()).collect();
    for (n, session) in sessions.iter().enumerate() {
        session.input.send(ShellInput::Bytes(format!("echo $((40{n} + 1))\n").into_bytes())).await.unwrap();
    }
    for (n, session) in sessions.iter_mut().enumerate() {
        shown(session, &format!("{}\r\n", format!("40{n}").parse::<u64>().unwrap() + 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_that_lets_few_begin_at_once_lets_everybody_in_after_a_while() {
    let server = Server::with("MaxStartups 2\n");
    let ssh = server.ssh();
    let asks = (0..20).map(|_| ssh.run(&server.target, "echo in", WITHIN));
    for said in futures_util::future::join_all(asks).await {
        assert_eq!(said.unwrap().stdout, "in\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_as_it_is_set_up_by_default_bears_fifty_at_once() {
    // 10:30:100 and 10: from ten logins on some are turned away by chance.
    let server = Server::with("MaxStartups 10:30:100\nMaxSessions 10\n");
    let ssh = server.ssh();
    let asks = (0..50).map(|_| ssh.run(&server.target, "echo in", WITHIN));
    for said in futures_util::future::join_all(asks).await {
        assert_eq!(said.unwrap().stdout, "in\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_with_few_sessions_a_connection_still_answers_everybody() {
    for most in [1, 2, 3] {
        let server = Server::with(&format!("MaxSessions {most}\n"));
        let ssh = server.ssh();
        let asks = (0..12).map(|n| {
            let (ssh, target) = (ssh.clone(), server.target.clone());
            async move { ssh.run_on_node(&target, &format!("echo {n}"), WITHIN).await.map(|done| done.stdout) }
        });
        for (n, said) in futures_util::future::join_all(asks).await.into_iter().enumerate() {
            assert_eq!(said, Ok(format!("{n}\n")), "MaxSessions {most}");
        }
        for n in 0..20 {
            let said = ssh.run_on_node(&server.target, &format!("echo {n}"), WITHIN).await;
            assert_eq!(said.map(|done| done.stdout), Ok(format!("{n}\n")), "MaxSessions {most}, one after another");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_whose_sessions_are_held_by_commands_given_up_answers_all_the_same() {
    let server = Server::with("MaxSessions 2\n");
    let ssh = server.ssh();
    for _ in 0..6 {
        // They go on over there, and keep their places on the connection.
        let given_up = ssh.run_on_node(&server.target, "trap '' HUP; sleep 30", Duration::from_millis(700)).await;
        assert!(matches!(given_up, Err(ShellError::TimedOut { .. })), "{given_up:?}");
        let said = ssh.run_on_node(&server.target, "echo in", WITHIN).await;
        assert_eq!(said.map(|done| done.stdout), Ok("in\n".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_that_opens_no_session_at_all_is_told_of_and_not_asked_for_ever() {
    let server = Server::with("MaxSessions 0\n");
    let ssh = server.ssh();
    let asks = (0..6).map(|_| ssh.run_on_node(&server.target, "echo in", WITHIN));
    for said in futures_util::future::join_all(asks).await {
        let error = said.unwrap_err();
        assert!(matches!(error, ShellError::Broken { .. }), "{error:?}");
        assert!(error.to_string().contains("MaxSessions"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_passes_interrupts_on_and_programs_redraw_in_their_new_size() {
    let server = Server::start();
    let mut session = server.ssh().open(&server.target, (80, 24), Some("sh")).await.unwrap();
    let types = async |session: &ShellSession, text: &str| {
        session.input.send(ShellInput::Bytes(text.as_bytes().to_vec())).await.unwrap();
    };
    // Programs that say themselves that they are there: the shell has handed the terminal over to them by then.
    types(&session, "sh -c 'trap \"echo cau''ght; exit 3\" INT; echo be''gun; while :; do sleep 1; done'\n").await;
    shown(&mut session, "begun\r\n").await;
    types(&session, "\x03").await;
    shown(&mut session, "caught\r\n").await;
    types(&session, "echo after $?\n").await;
    shown(&mut session, "after 3").await;
    types(&session, "sh -c 'trap \"stty size; exit\" WINCH; echo wait''ing; while :; do sleep 0.1; done'\n").await;
    shown(&mut session, "waiting\r\n").await;
    session.input.send(ShellInput::Resize(101, 37)).await.unwrap();
    shown(&mut session, "37 101").await;
    types(&session, "kill -KILL $$\n").await;
    let end = async {
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(_)) => {}
                other => return other,
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, end).await.unwrap(), Some(ShellOutput::Exit(137)));
}

/// Figures, told rather than held to a limit: `cargo test … sshd::many::figures -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn figures_of_echo_and_of_opening() {
    let server = Server::with("MaxStartups 100\n");
    let ssh = server.ssh();
    let mut session = ssh.open(&server.target, (80, 24), Some("stty raw -echo; echo ready; cat")).await.unwrap();
    shown(&mut session, "ready").await;
    let mut took = Vec::new();
    for _ in 0..1000 {
        let began = Instant::now();
        session.input.send(ShellInput::Bytes(vec![b'x'])).await.unwrap();
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(bytes)) if bytes.contains(&b'x') => break,
                Some(ShellOutput::Bytes(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        took.push(began.elapsed());
    }
    took.sort();
    let began = Instant::now();
    let opened = futures_util::future::join_all((0..30).map(|_| ssh.open(&server.target, (80, 24), Some("sh")))).await;
    let opening = began.elapsed();
    assert!(opened.iter().all(Result::is_ok));
    println!(
        "a key comes back after {:?} (half of all), {:?} (99 of 100); 30 shells open in {opening:?}",
        took[500], took[990]
    );
    assert!(took[500] < Duration::from_secs(1));
}
