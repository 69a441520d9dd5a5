//! Into the containers: commands, shells, what they print, and how their ends are told.

use portable_pty::CommandBuilder;

use super::Lab;
use crate::support::terminal::Terminal;

#[test]
#[ignore = "needs a Docker engine"]
fn commands_run_in_the_seats_containers_and_a_killed_or_starved_one_says_why() {
    let lab = Lab::new(2);
    lab.runs(&["deploy", "intro", "--yes"], 0);

    // Equal answers are folded; a seat, the proxy; input; the command's own exit status.
    let said = lab.runs(&["exec", "intro", "--", "cat", "/files/index.html"], 0);
    assert!(said.contains("2 of 2: exit 0: seat-01, seat-02") && said.contains("the files"), "{said}");
    let said = lab.runs(&["exec", "intro/host", "--", "caddy", "version"], 0);
    assert!(said.contains("1 of 1: exit 0: host"), "{said}");
    let said = lab.runs(&["exec", "intro", "--", "exit 3"], 3);
    assert!(said.contains("2 of 2: exit 3"), "{said}");
    let said = lab.json(&["exec", "intro/seat-02", "--json", "--", "echo", "a  b"], 0);
    assert_eq!((&said["seats"][0]["stdout"], &said["seats"][0]["via"]), (&"a  b\n".into(), &"engine".into()));
    assert_eq!(lab.runs(&["ssh", "intro/seat-01", "--", "echo out; echo err >&2; exit 7"], 7), "out\nerr\n");
    assert!(lab.runs(&["ssh", "intro/seat-07", "--", "true"], 2).contains("has no seat seat-07"));

    // What a container prints: the proxy's, and a seat's that has said nothing.
    assert!(lab.runs(&["logs", "intro/host"], 0).contains("serving initial configuration"));
    assert_eq!(lab.runs(&["logs", "intro/seat-01"], 0), "");

    // A program that wants more than its seat has: the seat is red until a check proves it again.
    let said = lab.runs(&["exec", "intro/seat-01", "--", "dd if=/dev/zero of=/dev/null bs=200M count=1"], 3);
    assert!(said.contains("exit 137"), "{said}");
    let (state, reason) = lab.state_of("seat-01");
    assert!(state == "failed" && reason.contains("out of memory") && reason.contains("64 MiB"), "{state}: {reason}");
    assert_eq!(lab.state_of("seat-02").0, "ready");
    lab.runs(&["check", "intro/seat-01"], 0);
    assert_eq!(lab.state_of("seat-01").0, "ready");

    // More processes than it may have, and no more.
    let fork = "for n in $(seq 200); do sleep 30 & done 2>/dev/null; wait";
    let said = lab.runs(&["exec", "intro/seat-02", "--timeout", "10s", "--", fork], 3);
    assert!(!said.contains("exit 0"), "{said}");
    let counted = lab.asked(&["top", "intro-seat-02"]).lines().count();
    assert!(counted <= 66, "{counted} processes");

    // Nothing is run in one that has ended.
    lab.asked(&["kill", "intro-seat-02"]);
    let (state, reason) = lab.state_of("seat-02");
    assert!(state == "failed" && reason.contains("Exited (137): killed"), "{state}: {reason}");
    assert!(lab.runs(&["exec", "intro/seat-02", "--", "true"], 3).contains("does not run"));
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_shell_in_a_seat_follows_the_size_of_the_terminal_and_ends_with_its_exit_status() {
    let lab = Lab::new(1);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(["ssh", "intro/seat-01"]);
    command.env("HOMEROOM_CONFIG", lab.config());
    let mut terminal = Terminal::start(command, (100, 30));
    terminal.until("/ #");
    terminal.press("stty size; echo $TERM\r");
    terminal.until("30 100");
    terminal.until("\nxterm-256color");
    terminal.resize(90, 20);
    terminal.press("stty size\r");
    terminal.until("20 90");
    // Bytes that look like the head of a frame are the terminal's all the same.
    terminal.press("printf '\\002\\000\\001\\000abc\\n'; echo still | tr a-z A-Z\r");
    terminal.until("STILL");
    terminal.press("exit 5\r");
    assert_eq!(terminal.assert_given_back(), 5);
}
