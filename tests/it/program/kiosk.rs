//! `homeroom --kiosk` as it runs on a wall: the real program against a simulated cluster, its only secrets those of
//! watching, and no way from its keys to a shell, an editor or a file.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, SystemTime},
};

use portable_pty::CommandBuilder;
use serde_json::Value;

use crate::{cli::desk::Desk, support::terminal::Terminal};

/// Wall time after which what is waited for will not come any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// Escape by itself: what follows is a key no terminal has, so that nobody waits whether more comes.
const ESCAPE: &str = "\x1b\x1b[99~";

/// A desk's configuration where every secret but the monitor's would leave a trace if anybody asked for it.
struct Wall {
    desk: Desk,
    config: PathBuf,
    trace: PathBuf,
}

async fn wall(kiosk: &str) -> Wall {
    let desk = Desk::new().await;
    let trace = desk.folder.path().join("trace");
    let folder = &desk.staged.folder;
    let text = std::fs::read_to_string(&desk.staged.config).unwrap();
    let secret = format!("secret = {{ file = \"{}\" }} }}\nmonitor", folder.join("token.secret").display());
    assert!(text.contains(&secret), "{text}");
    let tell = format!("secret = {{ command = \"touch {}\" }} }}\nmonitor", trace.display());
    // The key of the nodes is not even there.
    let key = folder.join("node_key").display().to_string();
    assert!(text.contains(&key));
    let text = text.replace(&secret, &tell).replace(&key, "/nonexistent/key");
    let config = desk.folder.path().join("kiosk.toml");
    std::fs::write(&config, format!("{text}\n[kiosk]\n{kiosk}\n")).unwrap();
    Wall { desk, config, trace }
}

impl Wall {
    fn command(&self) -> CommandBuilder {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
        command.args(["--kiosk", "--config"]);
        command.arg(&self.config);
        command.env_clear();
        command.env("HOME", self.desk.folder.path().join("home"));
        command.env("LANG", "C.UTF-8");
        // Whatever these name would leave a trace too.
        let touch = format!("touch {}", self.trace.display());
        command.env("EDITOR", &touch);
        command.env("VISUAL", &touch);
        command.env("SHELL", "/nonexistent/shell");
        command.env("PATH", "/usr/bin:/bin");
        command.cwd(self.desk.folder.path());
        command
    }

    fn start(&self, size: (u16, u16)) -> Terminal {
        Terminal::start(self.command(), size)
    }

    /// Every file below the desk, with its size and the time it was changed.
    fn files(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.desk.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let meta = path.symlink_metadata().unwrap();
                if meta.is_dir() {
                    folders.push(path);
                // SQLite's own notes on who reads; never what is read.
                } else if !path.display().to_string().ends_with("-shm") {
                    files.insert(path, (meta.len(), meta.modified().unwrap()));
                }
            }
        }
        files
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_loads_the_monitor_token_alone_and_no_key_reaches_a_shell_or_a_file() {
    let wall = wall("rotate = \"2s\"").await;
    wall.desk.done(&["check", "cs100"]).await;
    let before = wall.files();
    let mut terminal = wall.start((100, 30));
    terminal.until("all well, 4 seats ready");
    terminal.until_taken_over();
    terminal.until("board 2 of 2");
    terminal.until("every proof was seen");
    // All that would change something elsewhere, and every way out.
    for keys in [
        "\x1a",
        "s",
        "S",
        "B",
        "T",
        "e",
        "4\re",
        "d",
        "\rd",
        "x",
        "\rx",
        "r",
        "c",
        "C",
        ":deploy cs101\r",
        ":save-log\r",
        "!ls\r",
    ] {
        terminal.press(keys);
        terminal.press(format!("\r{ESCAPE}{ESCAPE}"));
    }
    terminal.press("?");
    terminal.until("moving");
    assert!(!terminal.text().contains("destroy") && !terminal.text().contains("shell"), "{}", terminal.text());
    terminal.press(ESCAPE);
    terminal.until_gone("moving");
    assert!(!wall.trace.exists(), "a secret or an editor was asked for");
    assert_eq!(wall.files(), before);
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert_eq!(wall.files(), before);
    assert_eq!(wall.desk.staged.home.store.runs(None, 100).await.unwrap().len(), 2, "adopted and checked, no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn red_rings_once_starts_the_program_and_posts_to_the_webhook_and_so_does_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook/s3cret", listener.local_addr().unwrap());
    let posted = posts(listener);
    let folder = tempfile::tempdir().unwrap();
    let told = folder.path().join("told");
    let program = r#"cat >> "$0"; echo "$HOMEROOM_STATE $HOMEROOM_TEXT" >> "$0""#;
    let kiosk = format!(
        "after = \"0s\"\nclear = \"0s\"\nwebhook = \"{address}\"\ncommand = [\"sh\", \"-c\", '{program}', \"{}\"]",
        told.display()
    );
    let wall = wall(&kiosk).await;
    wall.desk.done(&["check", "cs100"]).await;
    let mut terminal = wall.start((100, 30));
    terminal.until("all well, 4 seats ready");
    // Somebody pulls the plug of one seat, behind homeroom's back.
    wall.desk.staged.cluster.world(|world| world.crash(9101));
    terminal.until("RED  1 seat went off: cs100 grace");
    let red = posted.recv_timeout(PATIENCE).unwrap();
    assert_eq!((red["schema"].as_u64(), red["state"].as_str()), (Some(1), Some("red")));
    assert!(red["text"].as_str().unwrap().starts_with("homeroom red: 1 seat went off: cs100 grace"), "{red}");
    assert_eq!(red["wrong"].as_array().unwrap().len(), 1);
    wall.desk.done(&["start", "cs100"]).await;
    terminal.until("all well, 4 seats ready");
    let clear = posted.recv_timeout(PATIENCE).unwrap();
    assert_eq!(clear["state"], "clear");
    let bells = terminal.raw.iter().filter(|byte| **byte == 7).count();
    assert_eq!(bells, 2, "one for each turn");
    assert!(!terminal.text().contains("s3cret") && !String::from_utf8_lossy(&terminal.raw).contains("s3cret"));
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    let told = std::fs::read_to_string(&told).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert_eq!(serde_json::from_str::<Value>(lines[0]).unwrap(), red);
    assert!(lines[1].starts_with("red homeroom red: 1 seat went off"), "{told}");
    assert!(lines[3].starts_with("clear homeroom clear: all well, "), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_ever_for_a_cluster_that_is_gone_and_says_how_old_its_data_is() {
    let wall = wall("stale = \"15s\"\nbell = false").await;
    let config = std::fs::read_to_string(&wall.config).unwrap();
    std::fs::write(&wall.config, config.replace("[kiosk]", "[engine]\npoll_idle = \"1s\"\n[kiosk]")).unwrap();
    let mut terminal = wall.start((80, 24));
    terminal.until("cs100");
    let Desk { staged, folder } = wall.desk;
    staged.cluster.shutdown().await;
    terminal.until("RED  sim does not answer");
    terminal.until("no answer since");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert!(!terminal.raw.contains(&7), "its bell is off");
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_a_monitor_token_is_told_before_anything_is_shown() {
    let desk = Desk::new().await;
    let text = std::fs::read_to_string(&desk.staged.config).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("monitor_token")).map(|line| format!("{line}\n")).collect();
    let config = desk.folder.path().join("bare.toml");
    std::fs::write(&config, without).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(["--kiosk", "--config"]);
    command.arg(&config);
    command.env("HOME", Path::new("/nonexistent"));
    command.cwd("/");
    let mut terminal = Terminal::start(command, (100, 24));
    terminal.until("has no monitor_token");
    assert_eq!(terminal.assert_given_back(), 2);
    let answer = desk.run(&["--kiosk", "status"]).await;
    assert_eq!((answer.code, answer.err.trim()), (2, "homeroom: --kiosk is the dashboard's and goes with no command"));
}

/// The bodies of what is posted, as JSON.
fn posts(listener: TcpListener) -> mpsc::Receiver<Value> {
    let (send, posted) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
            if send.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    posted
}
