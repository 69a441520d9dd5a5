//! Where nobody reads the answer, or no terminal is there to draw on.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::desk::Desk;

#[tokio::test]
async fn a_reader_that_leaves_after_a_line_is_no_error() {
    let desk = Desk::new().await;
    for words in [
        &["logs"][..],
        &["logs", "--json"],
        &["logs", "--follow"],
        &["status", "cs100"],
        &["plan", "cs101"],
        &["get"],
        &["get", "--help"],
    ] {
        let mut command = desk.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
        assert_ne!(line, "", "{words:?}");
        let output = child.wait_with_output().await.unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{words:?}");
        assert!(matches!(output.status.code(), Some(0 | 3)), "{words:?}: {}", output.status);
    }
}

#[tokio::test]
async fn a_deploy_that_nobody_watches_goes_on_to_its_end() {
    let desk = Desk::new().await;
    desk.apply("kind = 'class'\nname = 'bio'\nsite = 'sim'\ntemplate = 'ubuntu-22.04'\nstudents = ['ada']").await;
    let mut command = desk.command(&["deploy", "bio", "--yes"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let status = desk.run(&["status", "bio"]).await;
    assert_eq!((output.status.code(), status.code), (Some(0), 0), "{}", status.out);
}

#[tokio::test]
async fn screens_without_a_terminal_are_refused_in_one_line() {
    let desk = Desk::new().await;
    let dashboard = "homeroom: the dashboard needs a terminal for standard input and output; \
                     `homeroom status --json` answers without one";
    for words in [&[][..], &["--json"], &["demo"]] {
        assert_eq!(desk.run(words).await.refusal(), (2, dashboard), "{words:?}");
    }
    let shell = "homeroom: a shell needs a terminal; for one command: homeroom ssh cs100/ada -- COMMAND";
    assert_eq!(desk.run(&["ssh", "cs100/ada"]).await.refusal(), (2, shell));
}

#[tokio::test]
async fn a_file_that_is_made_of_standard_input_holds_all_of_it() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let line = "umask 077; cat > /tmp/taken 2>&1 && wc -c < /tmp/taken";
    let said = desk.run_with(&["ssh", "cs100/ada", "--", line], "twelve bytes").await;
    assert_eq!((said.code, said.out.as_str()), (0, "12\n"), "{said:?}");
    let said = desk.run_with(&["ssh", "cs100/ada", "--", "sudo", "sh", "-c", "cat > /tmp/of-root"], "root's").await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "cat /tmp/of-root"]).await, "root's");
}
