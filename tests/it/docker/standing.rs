//! On the real engine: what somebody does to a seat by hand is told, and started or put right when asked to.

use portable_pty::CommandBuilder;

use super::*;
use crate::support::terminal::Terminal;

#[test]
#[ignore = "needs a Docker engine"]
fn what_is_paused_cut_off_or_dead_is_told_and_a_start_brings_it_back_with_what_it_wrote() {
    let lab = Lab::new(2);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let before = lab.containers();
    lab.asked(&["exec", "intro-seat-01", "sh", "-c", "echo mine >/www/index.html"]);
    lab.asked(&["pause", "intro-seat-01"]);
    lab.asked(&["network", "disconnect", "intro-host", "intro-seat-02"]);
    lab.asked(&["kill", "intro-host"]);
    let (state, reason) = lab.state_of("seat-01");
    assert!(state == "failed" && reason.contains("is paused"), "{state}: {reason}");
    let (state, reason) = lab.state_of("seat-02");
    assert!(state == "failed" && reason.contains("taken off the workshop's network intro-host"), "{state}: {reason}");
    lab.runs(&["check", "intro/seat-02"], 3);

    // Replacements wait for a yes: that keeps nobody from being started.
    lab.asked(&["tag", "homeroom-test/workspace:1", "homeroom-test/workspace:2"]);
    lab.define(2, "homeroom-test/workspace:2");
    assert!(lab.runs(&["deploy", "intro", "--yes"], 4).contains("--allow-replace"));
    let said = lab.runs(&["start", "intro"], 0);
    assert!(said.contains("unpaused") && said.contains("put back on its network"), "{said}");
    assert_eq!(lab.containers(), before);
    assert_eq!(lab.json(&["status", "intro", "--json"], 0)["state"], "ready");
    let seats = lab.json(&["roster", "intro", "--json"], 0)["seats"].clone();
    let (status, answer) = get("/vm/1/terminal/", &format!("homeroom={}", token(&seats[0])));
    assert!(status == 200 && answer.contains("mine"), "{answer}");
    assert_eq!(get("/vm/2/files/", &format!("homeroom={}", token(&seats[1]))).0, 200);

    lab.runs(&["restart", "intro"], 0);
    assert_eq!(lab.containers(), before);
    assert!(lab.runs(&["stop", "intro"], 1).contains("it runs until its end"));
    let again = lab.runs(&["start", "intro"], 0);
    assert!(again.contains("nothing to do"), "{again}");
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine"]
fn limits_changed_by_hand_are_drift_and_are_put_right_only_when_asked() {
    let lab = Lab::new(2);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    lab.asked(&["update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.7", "intro-seat-02"]);
    let said = lab.runs(&["deploy", "intro", "--yes"], 0);
    assert!(said.contains("seat-02 memory: 96M -> 64M  (changed by someone else; left so)"), "{said}");
    let said = lab.runs(&["check", "intro"], 0);
    assert!(said.contains("memory is 96M, not 64M; cpus is 0.7, not 0.5"), "{said}");
    let limits = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    let of = |lab: &Lab| lab.asked(&["inspect", "intro-seat-02", "--format", limits]);
    assert_eq!(of(&lab), "100663296 100663296 700000000 64");
    let before = lab.containers();
    lab.runs(&["deploy", "intro", "--yes", "--fix-drift"], 0);
    assert_eq!((of(&lab).as_str(), lab.containers()), ("67108864 67108864 500000000 64", before));
    lab.runs(&["destroy", "intro", "--yes"], 0);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_dashboard_shows_what_the_engine_holds_a_seat_to_and_writes_a_death_down_once() {
    let lab = Lab::new(2);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.env("HOMEROOM_CONFIG", lab.config());
    let mut terminal = Terminal::start(command, (120, 40));
    terminal.until("intro");
    terminal.press("3\r");
    terminal.until_row("seat-02", "ready, proven");
    // To the seat's own board.
    terminal.press("jj\r");
    terminal.until_row("memory", "64M 64M");
    lab.asked(&["update", "--memory", "96m", "--memory-swap", "96m", "intro-seat-02"]);
    terminal.until_row("memory", "64M 96M");
    terminal.press("\x1b");
    lab.asked(&["pause", "intro-seat-01"]);
    terminal.until_row("seat-01", "its container is paused");
    lab.asked(&["network", "disconnect", "intro-host", "intro-seat-02"]);
    terminal.until_row("seat-02", "was taken off");
    // All that is marked is started.
    terminal.press("ap");
    terminal.until("start or restart?");
    terminal.press("s");
    for seat in ["seat-01", "seat-02"] {
        terminal.until_row(seat, "ready, proven");
    }
    lab.asked(&["kill", "intro-seat-02"]);
    terminal.until_row("seat-02", "does not run: Exited (137)");
    let until = Instant::now() + PATIENCE;
    let told = || lab.runs(&["logs", "intro"], 0).matches("its container ended: Exited (137): killed").count();
    while told() == 0 {
        assert!(Instant::now() < until, "{}", terminal.text());
        std::thread::sleep(Duration::from_millis(100));
    }
    terminal.press("c");
    terminal.until_row("seat-02", "does not run: Exited (137)");
    assert_eq!(told(), 1);
    terminal.press("\x03");
    terminal.assert_given_back();
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}
