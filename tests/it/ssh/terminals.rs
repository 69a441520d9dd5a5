//! Terminals: what they show, resizes, and bytes that pass as they are.

use std::{sync::atomic::Ordering, time::Duration};

use homeroom::port::{
    RemoteShell,
    shell::{ShellInput, ShellOutput, Tty},
};

use super::{Bench, WITHIN, shown, typed};

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
