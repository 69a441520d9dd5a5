//! `ssh`, `console` and their questions, in a real pseudo-terminal.

use std::{
    io::{Read as _, Write},
    process::Command,
    sync::mpsc,
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

use homeroom::sim::{Fault, FaultKind};

use super::desk::Desk;
use crate::support::terminal::Terminal;

const WITHIN: Duration = Duration::from_secs(60);

/// The binary in a terminal of its own.
struct Seen {
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    came: mpsc::Receiver<Vec<u8>>,
    text: String,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Seen {
    fn start(desk: &Desk, words: &[&str]) -> Self {
        let pair =
            native_pty_system().openpty(PtySize { rows: 24, cols: 200, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
        command.args(words);
        command.env("HOMEROOM_CONFIG", &desk.staged.config);
        command.env("HOME", desk.folder.path());
        command.env_remove("SSH_AUTH_SOCK");
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let (send, came) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, came, text: String::new(), _master: pair.master }
    }

    /// Waits for a text; what stood before it and itself are taken away.
    fn until(&mut self, wanted: &str) -> String {
        let until = Instant::now() + WITHIN;
        loop {
            if let Some(at) = self.text.find(wanted) {
                let rest = self.text.split_off(at + wanted.len());
                return std::mem::replace(&mut self.text, rest);
            }
            match self.came.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.text.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{wanted:?} never came: {:?}", self.text),
            }
        }
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// What else it says, and its exit code.
    fn end(mut self) -> (String, u32) {
        while let Ok(bytes) = self.came.recv_timeout(WITHIN) {
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
        (self.text, self.child.wait().unwrap().exit_code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_not_proven_yet_asks_about_its_nodes_key_like_any_other() {
    let desk = Desk::new().await;
    std::fs::write(desk.staged.folder.join("known_hosts"), "").unwrap();
    desk.write("notes", "mine\n");

    let headless = desk.run(&["ssh", "cs100/ada", "--", "hostname"]).await;
    let (code, said) = headless.refusal();
    assert!(code == 2 && said.contains("run `homeroom doctor --trust SHA256:"), "{code} {said}");
    assert!(!said.contains("homeroom check"), "{said}");
    for words in [&["exec", "cs100", "--", "hostname"][..], &["cp", "notes", "cs100/ada:"]] {
        let all = desk.run(words).await;
        assert!(all.code == 2 && all.out.contains("homeroom doctor --trust SHA256:"), "{all:?}");
    }

    let mut seen = Seen::start(&desk, &["ssh", "cs100/ada", "--", "hostname"]);
    seen.until("Trust it? [y/N] ");
    seen.types("y\r");
    let (said, code) = seen.end();
    assert!(code == 0 && said.contains("cs100-ada"), "{code} {said}");
    desk.done(&["ssh", "cs100/ada", "--", "true"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_nobody_trusted_is_asked_about_once_and_never_headless() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let known = desk.staged.folder.join("known_hosts");
    let keys = std::fs::read_to_string(&known).unwrap();
    std::fs::write(&known, "").unwrap();

    let headless = desk.run(&["ssh", "cs100/ada", "--", "true"]).await;
    let (code, said) = headless.refusal();
    assert!(code == 2 && said.contains("run `homeroom doctor --trust SHA256:"), "{code} {said}");
    let all = desk.run(&["exec", "cs100", "--", "true"]).await;
    assert!(all.code == 2 && all.out.contains("homeroom doctor --trust SHA256:"), "{all:?}");

    let mut seen = Seen::start(&desk, &["ssh", "cs100/ada"]);
    let asked = seen.until("Trust it? [y/N] ");
    assert!(asked.contains("\n  SHA256:"), "{asked}");
    seen.types("n\r");
    let (said, code) = seen.end();
    assert!(code == 2 && said.contains("doctor --trust"), "{code} {said}");

    let mut seen = Seen::start(&desk, &["ssh", "cs100/ada"]);
    seen.until("Trust it? [y/N] ");
    seen.types("y\r");
    seen.until("~$ ");
    seen.types("\r");
    seen.until("~$ ");
    seen.types("~?");
    seen.until("leaves, whatever the far side does");
    seen.types("exit 5\r");
    assert_eq!(seen.end().1, 5);
    desk.done(&["ssh", "cs100/ada", "--", "true"]).await;

    // Another key under a name that is known: refused on a terminal too, and told what to do.
    let (node, key) = std::fs::read_to_string(&known)
        .unwrap()
        .trim()
        .split_once(' ')
        .map(|(n, k)| (n.to_owned(), k.to_owned()))
        .unwrap();
    let other = keys.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| *name != node).unwrap();
    assert_ne!(other.1, key);
    std::fs::write(&known, format!("{node} {}\n", other.1)).unwrap();
    let (said, code) = Seen::start(&desk, &["ssh", "cs100/ada"]).end();
    assert!(code == 1 && said.contains("another host key") && said.contains("doctor --trust SHA256:"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_serial_console_asks_for_a_login_and_is_left_as_qm_and_ssh_are() {
    let desk = Desk::new().await;
    desk.apply(
        "kind = \"class\"\nname = \"bio\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\nstudents = [\"ada\"]\n\
         teacher = false\n[cloud_init]\nuser = \"student\"\npassword = \"generate\"\n",
    )
    .await;
    desk.done(&["deploy", "bio", "--yes"]).await;
    let roster = desk.json(&["roster", "bio", "--json"]).await;
    let password = roster["seats"][0]["password"].as_str().unwrap().to_owned();

    let mut seen = Seen::start(&desk, &["console", "bio/ada"]);
    seen.until("starting serial terminal on interface serial0 (press Ctrl+O to exit)");
    seen.types("\r");
    seen.until("bio-ada login: ");
    seen.types("student\r");
    seen.until("Password: ");
    seen.types("wrong\r");
    let shown = seen.until("Login incorrect");
    assert!(!shown.contains("wrong"), "{shown}");
    seen.until("bio-ada login: ");
    seen.types("student\r");
    seen.until("Password: ");
    seen.types(&format!("{password}\r"));
    seen.until("student@bio-ada:~$ ");
    seen.types("hostname; uname\r");
    seen.until("bio-ada\r\nLinux");
    seen.types("exit\r");
    seen.until("bio-ada login: ");
    seen.types("\x0f");
    assert_eq!(seen.end().1, 0);

    let mut seen = Seen::start(&desk, &["console", "bio/ada"]);
    seen.until("starting serial terminal");
    seen.types("\r");
    seen.until("login: ");
    seen.types("\r");
    seen.until("login: ");
    seen.types("~.");
    let (said, code) = seen.end();
    assert!(code == 255 && said.contains("Connection to bio/ada closed."), "{code} {said}");

    // A machine without such a port.
    let (said, code) = Seen::start(&desk, &["console", "cs100/ada"]).end();
    let told =
        "cs100/ada has no serial port, so it has no console: `qm set 9100 --serial0 socket` on pve1 gives it one";
    assert!(code == 1 && said.replace("\r\n", "\n").contains(told), "{code} {said}");
    // Set, it waits for the machine to have been off.
    desk.staged.cluster.world(|world| {
        world.guests.get_mut(&9100).unwrap().pending.insert("serial0".to_owned(), Some("socket".to_owned()));
    });
    let (said, code) = Seen::start(&desk, &["console", "cs100/ada"]).end();
    assert!(code == 1 && said.contains("has its serial port only once it was off"), "{code} {said}");
    desk.done(&["stop", "cs100/ada"]).await;
    let (said, code) = Seen::start(&desk, &["console", "cs100/ada"]).end();
    assert!(code == 1 && said.contains("cs100/ada is shut down"), "{code} {said}");
    let headless = desk.run(&["console", "bio/ada"]).await;
    assert_eq!(headless.refusal(), (2, "homeroom: a console needs a terminal"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs ssh-keygen"]
async fn a_key_files_passphrase_is_asked_for_unseen_and_again_when_it_is_wrong() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let text = std::fs::read_to_string(&desk.staged.config).unwrap();
    let key = text.split("key = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let locked = Command::new("ssh-keygen").args(["-q", "-p", "-P", "", "-N", "open sesame", "-f", &key]).status();
    assert!(locked.unwrap().success());

    let headless = desk.run(&["exec", "cs100", "--", "true"]).await;
    assert!(headless.code == 3 && headless.out.contains("is encrypted with a passphrase"), "{headless:?}");
    let mut seen = Seen::start(&desk, &["exec", "cs100", "--", "echo", "in"]);
    seen.until("Passphrase of ");
    seen.types("open barley\r");
    seen.until("That does not open it. Passphrase of ");
    seen.types("open sesame\r");
    let shown = seen.until("4 of 4: exit 0");
    assert!(!shown.contains("sesame") && !shown.contains("barley"), "{shown}");
    assert_eq!(seen.end().1, 0);
    let mut seen = Seen::start(&desk, &["ssh", "cs100/ada"]);
    seen.until("Passphrase of ");
    seen.types("\x03");
    let (said, code) = seen.end();
    assert!(code == 1 && said.contains("is not let in"), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_lost_gives_the_terminal_back_and_ends_with_255() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let mut command = desk.in_terminal();
    command.args(["ssh", "cs100/ada"]);
    let mut terminal = Terminal::start(command, (100, 24));
    // A program that took the whole screen over, and what it asked of the terminal.
    terminal.until("student@cs100-ada");
    terminal.press("htop\r");
    terminal.until_met("the second screen", |terminal| terminal.shown.screen().alternate_screen());
    // Somebody pulls the plug.
    desk.staged.cluster.world(|world| world.guests.get_mut(&9100).unwrap().run = None);
    let code = terminal.assert_given_back();
    let said = terminal.text();
    assert!(code == 255 && said.contains("homeroom: the connection to cs100/ada was lost: "), "{code} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_connection_breaks_in_mid_stream_says_so_and_ends_with_255() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk.staged.cluster.inject(Fault::every("SSH /nodes/*/qemu/9100/ssh", FaultKind::Truncate));
    let long = "x".repeat(20_000);
    let answer = desk.run(&["ssh", "cs100/ada", "--", "echo", &long]).await;
    assert_eq!(answer.code, 255, "{answer:?}");
    assert!(answer.err.contains("the connection was lost: "), "{answer:?}");
    assert!(answer.out.len() < long.len(), "{answer:?}");
}

/// Whether a machine of the cluster runs.
fn runs(desk: &Desk, name: &str) -> bool {
    desk.staged.cluster.world(|world| world.guests.values().any(|vm| vm.name() == name && vm.run.is_some()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_types_stop_or_restart_sees_what_it_means_and_is_asked() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    for answer in ["n\n", "\n", "\x03"] {
        let mut seen = Seen::start(&desk, &["restart", "cs100"]);
        let shown = seen.until("4 machines of cs100 will be shut down; restart them? [y/N] ");
        assert!(["ada", "grace", "linus", "margaret"].iter().all(|seat| shown.contains(seat)), "{shown}");
        seen.types(answer);
        let (said, code) = seen.end();
        assert!(code == 4 && said.contains("not done: nothing was shut down"), "{code}: {said}");
    }
    assert!(desk.done(&["status", "cs100"]).await.contains("4 of 4 ready"), "nothing was begun");
    let mut seen = Seen::start(&desk, &["stop", "cs100/ada"]);
    seen.until("1 machine of cs100 will be shut down; stop it? [y/N] ");
    seen.types("y\n");
    let (said, code) = seen.end();
    assert!(code == 0 && said.contains("shut down, as asked"), "{code}: {said}");
    assert!(!runs(&desk, "cs100-ada") && runs(&desk, "cs100-grace"));
    // Nothing to ask about, and nobody asked who has said yes.
    let (said, code) = Seen::start(&desk, &["stop", "cs100/ada"]).end();
    assert!(code == 0 && said.contains("nothing to do") && !said.contains("[y/N]"), "{code}: {said}");
    let (said, code) = Seen::start(&desk, &["stop", "cs100", "--yes"]).end();
    assert!(code == 0 && !said.contains("[y/N]"), "{code}: {said}");
    assert!(!runs(&desk, "cs100-grace"));
}
