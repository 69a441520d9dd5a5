//! Definitions in an editor, from the dashboard: what is wrong is told, what was typed stays, what is right is stored.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{cli::desk::Desk, support::terminal::Terminal};

/// An editor that does to the file what a line of shell says, and a dashboard that has it.
fn started(desk: &Desk, does: &str) -> (Terminal, PathBuf) {
    let editor = desk.folder.path().join("editor");
    std::fs::write(&editor, format!("#!/bin/sh\n{does}\n")).unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = desk.in_terminal();
    command.env("EDITOR", &editor);
    let mut terminal = Terminal::start(command, (100, 30));
    terminal.until("cs10");
    // What there is to choose from is known once the site was seen.
    terminal.until("live");
    (terminal, editor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_class_is_typed_wrong_corrected_and_stored_with_nothing_lost() {
    let desk = Desk::new().await;
    // The first time it forgets the name and says too much; the second time it finds both still there and mends them.
    let does = r#"cp "$1" "$0.seen"; if grep -q '^colour' "$1"; then sed -i -e '/^colour/d' -e 's/^name = ""/name = "bio"/' "$1"; else echo 'x' >> "$0.times"; sed -i 's/^count/colour = "blue"\ncount/' "$1"; fi"#;
    let (mut terminal, editor) = started(&desk, does);
    terminal.press("N");
    terminal.until("not taken");
    terminal.until("unknown key \"colour\"");
    let seen = std::fs::read_to_string(editor.with_extension("seen")).unwrap();
    assert!(seen.contains("there are: debian-12, ubuntu-22.04") && seen.contains("fast"), "{seen}");
    terminal.press("\r");
    terminal.until("class bio created");
    terminal.until_row("bio", "0/11 defined");
    terminal.until_taken_over();
    let stored = desk.done(&["get", "bio", "-o", "toml"]).await;
    assert!(stored.contains("count = 10"), "{stored}");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_changed_in_the_editor_and_keeps_its_name() {
    let desk = Desk::new().await;
    let does = r#"if [ -e "$0.once" ]; then sed -i 's/^name = .*/name = "other"/' "$1"; else touch "$0.once"; sed -i 's/^count = .*/count = 7/' "$1"; fi"#;
    let (mut terminal, _) = started(&desk, does);
    terminal.press("G");
    terminal.press("E");
    terminal.until("class cs102 changed");
    terminal.until_row("cs102", "0/7");
    terminal.press("E");
    terminal.until("a lab keeps its name");
    terminal.press("\x1b\x1b[99~");
    terminal.until_gone("not taken");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
    assert!(desk.done(&["get"]).await.lines().all(|line| !line.starts_with("other")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_adopt_could_not_tell_stands_before_the_definition_in_the_editor() {
    let desk = Desk::new().await;
    for name in ["homeroom.db", "homeroom.db-wal", "homeroom.db-shm"] {
        let _ = std::fs::remove_file(desk.staged.folder.join(name));
    }
    desk.done(&["adopt", "sim"]).await;
    let (mut terminal, editor) = started(&desk, r#"cp "$1" "$0.seen"; sed -i 's/margaret/maria/' "$1""#);
    terminal.press("G");
    terminal.press("E");
    terminal.until("class cs100 changed");
    let seen = std::fs::read_to_string(editor.with_extension("seen")).unwrap();
    assert!(seen.starts_with("# ") && seen.contains("what no machine shows"), "{seen}");
    assert!(seen.contains("name = \"cs100\""), "{seen}");
    terminal.press("q");
    assert_eq!(terminal.assert_given_back(), 0);
}
