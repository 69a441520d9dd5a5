//! The dashboard and a seat's shell on a configured site: what was begun goes on when the terminal is left.

use std::path::Path;

use portable_pty::CommandBuilder;
use rustix::process::Signal;

use crate::{cli::desk::Desk, support::terminal::Terminal};

const SIZE: (u16, u16) = (80, 24);
const BIO: &str = "kind = 'class'\nname = 'bio'\nsite = 'sim'\ntemplate = 'ubuntu-22.04'\nstudents = ['ada', 'grace']";

/// The real program with a desk's configuration and some words after its name.
fn started(desk: &Desk, words: &[&str]) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(words);
    command.env_clear();
    command.env("HOME", desk.folder.path().join("home"));
    command.env("HOMEROOM_CONFIG", &desk.staged.config);
    command.env("LANG", "C.UTF-8");
    command.cwd(Path::new("/"));
    Terminal::start(command, SIZE)
}

/// A dashboard that shows the plan of `bio`.
async fn planned(desk: &Desk) -> Terminal {
    desk.apply(BIO).await;
    let mut terminal = started(desk, &[]);
    terminal.until_row("bio", "0/2");
    terminal.press("gd");
    terminal.until("deploy bio?");
    terminal.until("2 create");
    terminal
}

/// A dashboard in which the deploy of `bio` is under way.
async fn deploying(desk: &Desk) -> Terminal {
    let mut terminal = planned(desk).await;
    terminal.press("\r");
    terminal.until_row("bio", "deploying");
    terminal
}

/// A desk on which the addresses of `cs100` are known.
async fn checked() -> Desk {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk
}

async fn assert_deployed(desk: &Desk) {
    let status = desk.json(&["status", "bio", "--json"]).await;
    assert_eq!(status["state"], "ready", "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_goes_on_after_the_dashboard_was_left() {
    let desk = Desk::new().await;
    let mut terminal = deploying(&desk).await;
    terminal.press("q");
    terminal.until("Under way here");
    terminal.press("\r");
    terminal.until("goes on here until it has ended");
    assert_eq!(terminal.assert_given_back(), 0);
    assert!(terminal.text().contains("of bio done"), "{}", terminal.text());
    assert_deployed(&desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_agreed_to_in_the_moment_of_leaving_is_not_forgotten() {
    let desk = Desk::new().await;
    let mut terminal = planned(&desk).await;
    // Together, so that the run has not begun when the second is read.
    terminal.press("\rq");
    assert_eq!(terminal.assert_given_back(), 0);
    assert_deployed(&desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_goes_on_after_the_dashboard_hung_up() {
    let desk = Desk::new().await;
    let mut terminal = deploying(&desk).await;
    terminal.signal(Signal::HUP);
    assert_eq!(terminal.assert_given_back(), 130);
    // Another process has it now; whoever follows it is there until its end.
    desk.done(&["logs", "bio", "--follow", "--run", "2"]).await;
    assert_deployed(&desk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_on_a_seat_ends_as_it_did_and_gives_the_terminal_back() {
    let desk = checked().await;
    let mut terminal = started(&desk, &["ssh", "cs100/ada"]);
    terminal.until("@cs100-ada:");
    terminal.press("hostname\r");
    terminal.until("hostname\ncs100-ada\n");
    terminal.press("exit 7\r");
    assert_eq!(terminal.assert_given_back(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_a_shell_on_a_seat_and_gives_the_terminal_back() {
    let desk = checked().await;
    for signal in [Signal::TERM, Signal::HUP] {
        let mut terminal = started(&desk, &["ssh", "cs100/ada"]);
        terminal.until("@cs100-ada:");
        // What runs inside does not get to leave its second screen.
        terminal.press("watch hostname\r");
        terminal.until("Every 2.0s");
        terminal.signal(signal);
        assert_eq!(terminal.assert_given_back(), 130, "{signal:?}");
    }
}
