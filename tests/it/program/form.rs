//! A class filled in in the dashboard against the simulated cluster: chosen from what it really has, checked while it
//! is typed, saved and planned.

use crate::{cli::desk::Desk, support::terminal::Terminal};

fn started(desk: &Desk, size: (u16, u16)) -> Terminal {
    let mut terminal = Terminal::start(desk.in_terminal(), size);
    terminal.until("cs102");
    terminal.until("live");
    terminal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_filled_in_from_what_the_cluster_has_saved_and_planned() {
    let desk = Desk::new().await;
    let mut terminal = started(&desk, (120, 40));
    terminal.press("n");
    terminal.until("new class");
    terminal.press("cs101");
    terminal.until("there is a lab of this name already");
    terminal.press("\x15bio");
    terminal.until("nothing is wrong");
    // The template from the list, by two letters.
    terminal.press("\t\t\r");
    terminal.until("debian-12");
    terminal.press("ub\r");
    terminal.until("template = \"ubuntu-22.04\"");
    // A number that is none; then the bridges that the nodes really have.
    terminal.press("\x1b[6~two");
    terminal.until("1 thing is wrong");
    terminal.until("it must be a whole number");
    terminal.press("\x13");
    terminal.until("not saved: cores");
    terminal.press("\x152\x1b[6~\x1b[A\x1b[A\r");
    terminal.until("vmbr0");
    terminal.press("\x1b[B\r");
    terminal.until("bridge = \"vmbr0\"");
    terminal.until("nothing is wrong");
    // Esc does not lose it.
    terminal.press("\x1b\x1b[99~");
    terminal.until("is not saved yet");
    terminal.press("\r");
    terminal.until("deploy bio?");
    terminal.until("11 create");
    let stored = desk.done(&["get", "bio", "-o", "toml"]).await;
    assert!(stored.contains("template = \"ubuntu-22.04\"") && stored.contains("cores = 2"), "{stored}");
    assert!(stored.contains("bridge = \"vmbr0\""), "{stored}");
    // It is edited in the same form, and what came in otherwise is kept.
    let more = stored + "\n[rollcall]\nchecks = [[\"true\"]]\n";
    let file = desk.folder.path().join("bio.toml");
    std::fs::write(&file, more).unwrap();
    desk.done(&["apply", "-f", file.to_str().unwrap()]).await;
    terminal.press("\x1b\x1b[99~");
    terminal.until_gone("deploy bio?");
    terminal.until_row("bio", "0/11 defined");
    terminal.press("e");
    terminal.until("kept as it is: rollcall.checks");
    terminal.press("\t\t\x15ada, grace\x13");
    terminal.until("deploy bio?");
    terminal.until("3 create");
    let stored = desk.done(&["get", "bio", "-o", "toml"]).await;
    assert!(stored.contains("students = [\"ada\", \"grace\"]") && stored.contains("checks = [[\"true\"]]"), "{stored}");
    terminal.press("\x1b\x1b[99~");
    terminal.until_gone("deploy bio?");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}
