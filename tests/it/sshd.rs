//! SSH against OpenSSH's own server, on loopback, as whoever runs the tests. Ignored unless asked
//! for: they need `/usr/sbin/sshd`.

mod keys;
mod left;
mod many;
mod phases;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use homeroom::{
    backend::ssh::{Ssh, SshSettings, keys::lab_key, name_of, trust},
    port::{
        RemoteShell,
        copy::{CopyError, Direction, Transfer},
        shell::{HostKey, ShellError, ShellInput, ShellOutput, ShellSession, ShellTarget},
    },
};

const WITHIN: Duration = Duration::from_secs(30);

/// A server of our own, and a target that leads to it.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    pub target: ShellTarget,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines in its configuration.
    fn with(more: &str) -> Self {
        Self::of("", more)
    }

    /// With lines before the others, which then count, and behind them.
    fn of(first: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let host = lab_key(&path("host"), "host", 0o600).unwrap();
        let user = lab_key(&path("id"), "user", 0o600).unwrap();
        fs::write(path("authorized_keys"), user).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // A home of its own: what starts in the home of whoever runs the tests may take its time.
        let text = format!(
            "{first}ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nAllowTcpForwarding yes\n\
             RekeyLimit 256K\nSubsystem sftp internal-sftp\nSetEnv HOME={0}\n{more}",
            folder.path().display()
        );
        fs::write(path("sshd_config"), text).unwrap();
        if rustix::process::geteuid().is_root() {
            // Where the server gives up its privileges; distributions make it when the service starts.
            fs::create_dir_all("/run/sshd").unwrap();
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
        }
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let known_hosts = path("known_hosts");
        trust(&known_hosts, &name_of("127.0.0.1", port), &host).unwrap();
        let who = Command::new("id").arg("-un").output().unwrap().stdout;
        let target = ShellTarget {
            host: "127.0.0.1".into(),
            port,
            user: String::from_utf8(who).unwrap().trim().to_owned(),
            keys: vec![path("id")],
            ask_agent: true,
            host_key: HostKey::Known,
            via: None,
        };
        let deadline = std::time::Instant::now() + WITHIN;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(std::time::Instant::now() < deadline, "sshd does not listen");
            std::thread::yield_now();
        }
        Self { child, folder, target }
    }

    fn settings(&self) -> SshSettings {
        SshSettings::new(self.folder.path().join("known_hosts"))
    }

    fn ssh(&self) -> Ssh {
        Ssh::new(self.settings())
    }
}

async fn shown(session: &mut ShellSession, until: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(until) {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(bytes)) => text.push_str(&String::from_utf8_lossy(&bytes)),
                other => panic!("{other:?} after {text:?}"),
            }
        }
    };
    tokio::time::timeout(WITHIN, reading).await.expect("the text never came");
    text
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_runs_commands_apart_and_large_and_to_their_own_ends() {
    let server = Server::start();
    let ssh = server.ssh();
    let done = ssh.run(&server.target, "echo out; echo err >&2; exit 3", WITHIN).await.unwrap();
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(3), "out\n", "err\n"));
    let done = ssh.run(&server.target, "kill -9 $$", WITHIN).await.unwrap();
    assert_eq!(done.code, None);
    let done = ssh.run(&server.target, "head -c 1000000 /dev/zero | tr '\\0' x; cat", WITHIN).await.unwrap();
    assert_eq!((done.code, done.stdout.len()), (Some(0), 1_000_000));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_carries_many_commands_over_one_connection_and_a_way_through_itself() {
    let server = Server::start();
    let ssh = server.ssh();
    let asks = (0..12).map(|n| {
        let (ssh, target) = (ssh.clone(), server.target.clone());
        async move { ssh.run_on_node(&target, &format!("echo {n} $SSH_CONNECTION"), WITHIN).await.unwrap().stdout }
    });
    let lines = futures_util::future::join_all(asks).await;
    let connection = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    assert!(lines.iter().enumerate().all(|(n, line)| line.starts_with(&format!("{n} "))), "{lines:?}");
    assert!(lines.iter().all(|line| connection(line) == connection(&lines[0])), "{lines:?}");

    let through = ShellTarget { via: Some(Box::new(server.target.clone())), ..server.target.clone() };
    let done = ssh.run(&through, "head -c 1000000 /dev/zero | tr '\\0' x", WITHIN).await.unwrap();
    assert_eq!(done.stdout.len(), 1_000_000);
    let nobody = ShellTarget { port: 9, ..through };
    let error = ssh.run(&nobody, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_gives_a_terminal_that_follows_resizes() {
    let server = Server::start();
    let mut session = server.ssh().open(&server.target, (80, 24), Some("sh")).await.unwrap();
    let typed = async |session: &ShellSession, text: &str| {
        session.input.send(ShellInput::Bytes(text.as_bytes().to_vec())).await.unwrap();
    };
    typed(&session, "stty size; echo $TERM\n").await;
    shown(&mut session, "xterm-256color").await;
    session.input.send(ShellInput::Resize(132, 43)).await.unwrap();
    typed(&session, "stty size\n").await;
    shown(&mut session, "43 132").await;
    typed(&session, "kill -TERM $$; exit 7\n").await;
    let end = async {
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(_)) => {}
                other => return other,
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, end).await.unwrap(), Some(ShellOutput::Exit(7)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_lets_keys_of_an_agent_in_after_key_files_failed() {
    let server = Server::start();
    let socket = server.folder.path().join("agent");
    let mut agent = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let deadline = std::time::Instant::now() + WITHIN;
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline, "ssh-agent does not listen");
        std::thread::yield_now();
    }
    let add = |key: &Path| {
        let added = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status();
        assert!(added.unwrap().success());
    };
    let stranger = server.folder.path().join("stranger");
    lab_key(&stranger, "stranger", 0o600).unwrap();
    let ssh = Ssh::new(SshSettings { agent: Some(socket.clone()), ..server.settings() });
    let target = ShellTarget { keys: vec![stranger.clone()], ..server.target.clone() };

    add(&stranger);
    let refused = ssh.run(&target, "true", WITHIN).await.unwrap_err();
    add(&server.target.keys[0]);
    let let_in = ssh.run(&target, "true", WITHIN).await;
    let _ = agent.kill();
    let _ = agent.wait();
    assert!(refused.to_string().contains("the key of ssh-agent was refused"), "{refused}");
    assert_eq!(let_in.unwrap().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_going_away_is_told_as_lost() {
    let server = Server::start();
    let mut session = server.ssh().open(&server.target, (80, 24), Some("echo $PPID; cat")).await.unwrap();
    let text = shown(&mut session, "\n").await;
    // The process that serves this one session.
    assert!(Command::new("kill").args(["-9", text.trim()]).status().unwrap().success());
    let end = tokio::time::timeout(WITHIN, session.output.recv()).await.unwrap();
    assert!(matches!(end, Some(ShellOutput::Lost(_))), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_echoes_a_large_paste_byte_for_byte() {
    let server = Server::start();
    let through = ShellTarget { via: Some(Box::new(server.target.clone())), ..server.target.clone() };
    let command = "stty raw -echo; echo ready; cat";
    let mut session = server.ssh().open(&through, (80, 24), Some(command)).await.unwrap();
    shown(&mut session, "ready\n").await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let (input, pasted) = (session.input.clone(), sent.clone());
    let typing = tokio::spawn(async move {
        for chunk in pasted.chunks(50_000) {
            input.send(ShellInput::Bytes(chunk.to_vec())).await.unwrap();
        }
    });
    let mut got = Vec::new();
    while got.len() < sent.len() {
        match tokio::time::timeout(WITHIN, session.output.recv()).await.expect("nothing came any more") {
            Some(ShellOutput::Bytes(bytes)) => got.extend(bytes),
            other => panic!("{other:?} after {} bytes", got.len()),
        }
    }
    typing.await.unwrap();
    assert!(got == sent);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_takes_input_and_gives_both_streams_as_they_come() {
    let server = Server::start();
    let mut session = server.ssh().start(&server.target, "cat; echo done >&2; exit 9").await.unwrap();
    // Binary, and more than any window holds.
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let (input, given) = (session.input.clone(), sent.clone());
    let feeding = tokio::spawn(async move {
        for chunk in given.chunks(40_000) {
            input.send(ShellInput::Bytes(chunk.to_vec())).await.unwrap();
        }
        input.send(ShellInput::Eof).await.unwrap();
    });
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = loop {
        match tokio::time::timeout(WITHIN, session.output.recv()).await.expect("nothing came any more") {
            Some(ShellOutput::Bytes(bytes)) => out.extend(bytes),
            Some(ShellOutput::Stderr(bytes)) => err.extend(bytes),
            Some(ShellOutput::Exit(code)) => break code,
            other => panic!("{other:?} after {} bytes", out.len()),
        }
    };
    feeding.await.unwrap();
    assert!(out == sent && err == b"done\n" && code == 9, "{} bytes, {err:?}, {code}", out.len());

    let mut session = server.ssh().start(&server.target, "kill -TERM $$").await.unwrap();
    let end = tokio::time::timeout(WITHIN, session.output.recv()).await.unwrap();
    assert_eq!(end, Some(ShellOutput::Exit(143)));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_takes_and_gives_files_whole_and_says_why_not() {
    let server = Server::start();
    let ssh = server.ssh();
    let through = ShellTarget { via: Some(Box::new(server.target.clone())), ..server.target.clone() };
    let place = |name: &str| server.folder.path().join(name);
    let there = |name: &str| place(name).display().to_string();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    fs::create_dir_all(place("here/deep")).unwrap();
    fs::write(place("here/big"), &bytes).unwrap();
    fs::write(place("here/deep/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(place("here/deep/run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(place("there")).unwrap();

    let up = Transfer { direction: Direction::Up, local: place("here"), remote: there("there"), recursive: true };
    let copied = ssh.copy(&through, &up).await.unwrap();
    assert_eq!((copied.files, copied.bytes), (2, 5_000_010));
    assert!(fs::read(place("there/here/big")).unwrap() == bytes);
    let mode = |path: &str| fs::metadata(place(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("there/here/deep/run.sh"), 0o700);

    // Over what is there: a link goes on leading to its file, which keeps its mode.
    fs::write(place("theirs"), "old").unwrap();
    fs::set_permissions(place("theirs"), fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("theirs", place("linked")).unwrap();
    let (local, remote) = (place("here/deep/run.sh"), there("linked"));
    let over = Transfer { local, remote, recursive: false, ..up.clone() };
    ssh.copy(&server.target, &over).await.unwrap();
    assert_eq!((fs::read_to_string(place("theirs")).unwrap().as_str(), mode("theirs")), ("#!/bin/sh\n", 0o640));
    assert!(place("linked").is_symlink());
    let mut names = fs::read_dir(server.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.all(|name| !name.to_string_lossy().starts_with(".homeroom-")));

    // A link in a folder is left out: it could lead anywhere.
    std::os::unix::fs::symlink("/etc/passwd", place("there/here/link")).unwrap();
    let (local, remote) = (place("back"), there("there/here"));
    let down = Transfer { direction: Direction::Down, local, remote, recursive: true };
    let copied = ssh.copy(&through, &down).await.unwrap();
    assert_eq!((copied.files, copied.skipped.len()), (2, 1));
    assert!(fs::read(place("back/big")).unwrap() == bytes && !place("back/link").exists());
    assert_eq!(mode("back/deep/run.sh"), 0o700);

    // What nobody may read, not even root, keeps nothing beside it from coming.
    let locked = Transfer { remote: "/proc/sys/net/ipv4/route".into(), local: place("route"), ..down.clone() };
    let copied = ssh.copy(&server.target, &locked).await.unwrap();
    assert!(copied.files > 5 && copied.failures == 1 && place("route/max_size").exists(), "{copied:?}");
    assert!(copied.failed[0].as_str().ends_with("route/flush there: permission denied"), "{copied:?}");

    let proc =
        Transfer { remote: "/proc/self/status".into(), local: place("status"), recursive: false, ..down.clone() };
    ssh.copy(&server.target, &proc).await.unwrap();
    assert!(fs::read_to_string(place("status")).unwrap().starts_with("Name:"));
    for (remote, why) in [("/dev/zero", "neither a file nor a folder"), ("/no/such", "no such file or folder")] {
        let wrong = Transfer { remote: remote.into(), ..proc.clone() };
        let error = ssh.copy(&server.target, &wrong).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    let wrong = Transfer { local: place("here/big"), remote: "/proc/nothing".into(), recursive: false, ..up };
    assert!(matches!(ssh.copy(&server.target, &wrong).await, Err(CopyError::There { .. })));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_bears_fifty_commands_at_once() {
    let server = Server::with("MaxStartups 100\n");
    let ssh = server.ssh();
    let asks = (0..50).map(|n| {
        let (ssh, target) = (ssh.clone(), server.target.clone());
        async move { ssh.run(&target, &format!("echo {n}"), WITHIN).await.map(|done| done.stdout) }
    });
    let said = futures_util::future::join_all(asks).await;
    for (n, said) in said.into_iter().enumerate() {
        assert_eq!(said, Ok(format!("{n}\n")));
    }
}
