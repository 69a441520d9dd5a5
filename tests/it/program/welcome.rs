//! The first start of the real program in an empty home: the demo, or a cluster that is tried out and written down.

use std::{os::unix::fs::PermissionsExt, path::Path};

use portable_pty::CommandBuilder;
use tempfile::TempDir;

use crate::{cli::desk::Desk, support::terminal::Terminal};

/// The program in a home where nothing is.
fn first(home: &Path, size: (u16, u16)) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.env_clear();
    command.env("HOME", home);
    command.env("TMPDIR", home);
    command.env("LANG", "C.UTF-8");
    command.cwd("/");
    Terminal::start(command, size)
}

#[test]
fn with_nothing_configured_the_demo_is_one_key_away_and_leaves_nothing_behind() {
    let home = TempDir::new().unwrap();
    let mut terminal = first(home.path(), (80, 24));
    terminal.until("Nothing is configured yet");
    terminal.press("\r");
    terminal.until_row("cs100", "4/4 ready");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_asked_for_tried_out_believed_and_written_down_once() {
    // At the pace of a real one, which nobody tells the first run otherwise.
    let desk = Desk::at_speed(1.0).await;
    let home = TempDir::new().unwrap();
    let (id, secret) = desk.staged.cluster.token();
    let mut terminal = first(home.path(), (100, 30));
    terminal.until("Nothing is configured yet");
    terminal.press("j\r");
    terminal.until("A Proxmox VE cluster");
    // Wrong first: what is wrong is said, and what was typed stays.
    terminal.press("\t\t\tnonsense\r");
    terminal.until("it reads user@realm!name");
    terminal.press(desk.staged.cluster.api());
    terminal.press("\t");
    terminal.until("left and right choose");
    terminal.press("\x1b[C\x1b[C");
    terminal.until("dev");
    terminal.press("\t\x15");
    terminal.press(id);
    terminal.press("\t");
    terminal.press(secret);
    terminal.until("typed, not shown");
    terminal.press("\r");
    terminal.until("Is this your cluster?");
    terminal.until(&desk.staged.cluster.fingerprint()[..47]);
    assert!(!home.path().join(".config").exists(), "nothing is written yet");
    terminal.press("\r");
    terminal.until("pinned in the configuration");
    // Nobody told it how to log in to the nodes, so something may stand in the way; it is told, and not in ours.
    terminal.until_met("a choice", |terminal| !terminal.row("write the configuration").is_empty());
    let at = terminal.text().lines().position(|line| line.contains("write the configuration")).unwrap();
    let marked = terminal.text().lines().position(|line| line.contains('▸')).unwrap();
    terminal.press("j".repeat(at - marked));
    terminal.press("\r");
    terminal.until("Written, readable by you alone");
    let folder = home.path().join(".config/homeroom");
    let config = folder.join("config.toml");
    for file in [&config, &folder.join("campus.secret")] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("environment = \"dev\"") && !text.contains(secret), "{text}");
    terminal.press("\r");
    terminal.until("no classes yet");
    terminal.until("campus dev");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert!(!String::from_utf8_lossy(&terminal.raw).contains(secret), "the secret was shown");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    // From now on it is configured.
    let mut terminal = first(home.path(), (80, 24));
    terminal.until("campus dev");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_does_not_answer_is_told_and_can_be_given_up() {
    let home = TempDir::new().unwrap();
    let mut terminal = first(home.path(), (80, 24));
    terminal.until("Nothing is configured yet");
    terminal.press("j\r");
    terminal.until("A Proxmox VE cluster");
    // Nobody listens on the port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    terminal.press(format!("\t127.0.0.1:{port}\t\ta@pve!b\ts3cret\r"));
    terminal.until("1 thing stands in the way");
    terminal.until("cannot be reached");
    terminal.press("\r");
    terminal.until(&format!("127.0.0.1:{port}"));
    terminal.press("\x1b");
    terminal.until("Nothing is configured yet");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "nothing was kept");
}
