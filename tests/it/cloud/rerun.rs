//! The startup script, run by this host's shell: what failed is run again by the very line homeroom sends, and comes
//! through. Docker, the firewall, `sudo` and the metadata server are small programs of the test's; nothing here is
//! touched.

use std::{path::Path, process::Command, time::Instant};

use homeroom::deploy::workshop::rerun;

use super::LONG;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/gce/startup.sh");

/// What the metadata server says, and hands out the script as it does on an instance.
const CURL: &str = r#"
for word in "$@"; do url=$word; [[ $word == PUT ]] && put=yes; done
[[ -z ${put:-} ]] || { echo "$*" >>"$FAKE/told"; exit 0; }
# As it is asked to: the status of the answer behind it.
[[ "$*" == *write-out* ]] && trap 'code=$?; printf "\n%s" "$(case $code in 0) echo 200 ;; 22) echo 404 ;; *) echo 503 ;; esac)"; exit 0' EXIT
case $url in
    http://metadata.google.internal/computeMetadata/v1/instance/attributes/startup-script) cat "$SCRIPT" ;;
    */attributes/homeroom-lab) echo -n intro ;;
    */attributes/homeroom-seats) echo -n 2 ;;
    */attributes/homeroom-image) echo -n workspace:1 ;;
    */attributes/homeroom-proxy-image) echo -n caddy:2 ;;
    */attributes/homeroom-proxy-port) echo -n 8080 ;;
    */attributes/homeroom-terminal-port) echo -n 3001 ;;
    */attributes/homeroom-files-port) echo -n 3002 ;;
    */attributes/homeroom-memory) echo -n 1073741824 ;;
    */attributes/homeroom-cpus) echo -n 1 ;;
    */attributes/homeroom-pids) echo -n 256 ;;
    */attributes/homeroom-seats-on) [[ -e $FAKE/away ]] && exit 9 || exit 22 ;;
    *) exit 22 ;;
esac
"#;

/// An engine whose registry has no image before there is a file `has`.
const DOCKER: &str = r#"
echo "$*" >>"$FAKE/docker.log"
case "$1 $2" in
    "image inspect") [[ -e $FAKE/pulled ]] ;;
    "pull "*) [[ -e $FAKE/has ]] && touch "$FAKE/pulled" || { echo "manifest unknown" >&2; exit 1; } ;;
    "container inspect" | "network inspect") [[ -e $FAKE/made-$3 ]] ;;
    "network create") touch "$FAKE/made-${*: -1}" ;;
    "create --name") touch "$FAKE/made-$3" ;;
esac
"#;

fn program(folder: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join(name);
    std::fs::write(&file, format!("#!/bin/bash\n{text}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_startup_script_that_failed_comes_through_when_the_line_homeroom_sends_runs_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let (bin, run) = (folder.path().join("bin"), folder.path().join("run"));
    std::fs::create_dir(&bin).unwrap();
    program(&bin, "curl", CURL);
    program(&bin, "docker", DOCKER);
    program(&bin, "iptables", "exit 0");
    program(&bin, "sudo", "exec \"$@\"");
    // Its keys are where this machine's sshd says.
    std::fs::write(folder.path().join("host_ed25519.pub"), "ssh-ed25519 AAAAkey of a machine\n").unwrap();
    program(&bin, "sshd", "echo \"port 22\"; echo \"hostkey $FAKE/host_ed25519\"");
    let shell = |line: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .envs([("FAKE", folder.path()), ("SCRIPT", Path::new(SCRIPT))])
            .envs([("HOMEROOM_FOLDER", folder.path()), ("HOMEROOM_RUN", &run)])
            .env("HOMEROOM_WAITS", "0");
        command.output().unwrap()
    };
    let state = || std::fs::read_to_string(run.join("state")).unwrap_or_default();
    let log = || std::fs::read_to_string(folder.path().join("startup.log")).unwrap_or_default();

    // What the metadata server does not say for a while is not what it says nothing of.
    std::fs::write(folder.path().join("away"), "").unwrap();
    assert_eq!(shell(&format!("bash {SCRIPT}")).status.code(), Some(1), "{}", log());
    let why = "failed: the metadata server does not say what to start: it gives no answer about homeroom-seats-on\n";
    assert_eq!(state(), why, "{}", log());
    std::fs::remove_file(folder.path().join("away")).unwrap();
    let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
    assert!(told.contains("--data AAAAkey ") && told.contains("/guest-attributes/homeroom/ssh-ed25519"), "{told}");

    let first = shell(&format!("bash {SCRIPT}"));
    assert_eq!(first.status.code(), Some(1), "{}", log());
    assert_eq!(state(), "failed: cannot pull workspace:1: manifest unknown\n", "{}", log());

    std::fs::write(folder.path().join("has"), "").unwrap();
    // As it is sent, but for where the state is kept.
    let line = rerun().replace("/run/homeroom/state", &run.join("state").display().to_string());
    assert!(line.contains(&run.display().to_string()), "{line}");
    assert!(shell(&line).status.success());
    let began = Instant::now();
    while state() != "ready\n" {
        assert!(began.elapsed() < LONG, "it never comes through: {}\n{}", state(), log());
        std::thread::yield_now();
    }
    for name in ["intro-seat-01", "intro-seat-02", "intro-host"] {
        assert!(folder.path().join(format!("made-{name}")).exists(), "{name}: {}", log());
    }
    assert_eq!(log().matches("the startup script begins").count(), 3, "{}", log());

    // Once more: what is there is kept, and nothing is made twice.
    shell(&format!("bash {SCRIPT}"));
    let asked = std::fs::read_to_string(folder.path().join("docker.log")).unwrap();
    assert_eq!(asked.matches("create --name intro-seat-01").count(), 1, "{asked}");
    assert_eq!(state(), "ready\n");
}
