//! A cluster's certificate that changes under a running dashboard: said on the screen, nothing is sent to the
//! stranger, and the cluster is seen again once it shows the one that is trusted.

use homeroom::backend::proxmox::show_fingerprint;
use portable_pty::CommandBuilder;

use crate::{
    proxmox::server::{Reply, Server, ok},
    support::terminal::Terminal,
};

const ROWS: &str =
    r#"{"data":[{"type":"node","node":"north","status":"online","cpu":0.1,"maxcpu":8,"mem":1,"maxmem":9}]}"#;

fn good(request: &str) -> Reply {
    let head = request.lines().next().unwrap_or_default();
    match head {
        _ if head.contains("/cluster/resources") => ok(ROWS),
        _ if head.contains("/cluster/status") => ok(r#"{"data":[{"type":"cluster","quorate":1}]}"#),
        _ => ok(r#"{"data":{"version":"9.2.11"}}"#),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_changes_under_the_dashboard_is_said_and_the_stranger_is_sent_nothing() {
    let server = Server::start(good).await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let text = format!(
        "[sites.campus]\nkind = \"proxmox\"\nenvironment = \"dev\"\napi = [{:?}]\nfingerprints = [{:?}]\n\
         token = {{ id = \"homeroom@pve!lab\", secret = {{ env = \"THE_SECRET\" }} }}\n\
         [store]\npath = {:?}\n",
        server.address,
        show_fingerprint(&server.fingerprint()),
        folder.path().join("homeroom.db"),
    );
    std::fs::write(&config, text).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.env_clear();
    command.env("HOME", folder.path());
    command.env("HOMEROOM_CONFIG", &config);
    command.env("THE_SECRET", "5ec4e7");
    command.env("LANG", "C.UTF-8");
    command.cwd("/");
    let mut terminal = Terminal::start(command, (160, 40));
    terminal.until("north");
    terminal.until("live");

    let back = server.changes_its_certificate();
    let refresh = "\x12";
    terminal.press(refresh);
    terminal.until("is not trusted");
    terminal.until("no answer since");
    // what was seen last stays to be read
    terminal.until("north");
    let asked = server.asked().len();
    let tried = server.connections.load(std::sync::atomic::Ordering::SeqCst);
    terminal.press(refresh);
    while server.connections.load(std::sync::atomic::Ordering::SeqCst) == tried {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.asked().len(), asked, "a stranger is sent nothing");

    back();
    terminal.press(refresh);
    terminal.until("live");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert!(server.asked().len() > asked);
}
