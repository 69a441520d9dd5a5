//! The dashboard in a real pseudo-terminal: taken, lent to a shell, resized, given back however it ends.
//!
//! The test binary runs itself inside the pseudo-terminal: `inside` is what runs there.

use std::{
    io::Read,
    sync::Arc,
    time::{Duration, Instant},
};

use homeroom::{
    app::{Action, Effect, shells::Way},
    tui::{Depth, Glyphs, Look, TuiError, Wires, run},
};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rustix::process::Signal;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    far::{MANY, echo, ends, flood, talker, until_read},
    world::world,
};
use crate::support::terminal::Terminal;

const INSIDE: &str = "HOMEROOM_TEST_INSIDE";
/// Written to once a shell in a tab was read while an editor had the terminal.
const READ_FILE: &str = "HOMEROOM_TEST_READ_FILE";
const ITSELF: [&str; 4] = ["screens::terminal::inside", "--exact", "--nocapture", "--test-threads=1"];

/// What runs inside: the sample world, and a runtime that answers a refresh as it is told to.
#[test]
fn inside() {
    let Ok(on_refresh) = std::env::var(INSIDE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut state = world(80, 24);
    if matches!(on_refresh.as_str(), "idle" | "flood") {
        state.own_runs.clear();
    }
    let hung_up = on_refresh.strip_prefix("deaf ").map(str::to_owned);
    let ended = runtime.block_on(async {
        // The signal alone would end it; here it is the terminal that has to be noticed.
        let _deaf = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
        let (said, actions) = mpsc::channel(8);
        let (effects, mut wishes) = mpsc::channel(8);
        let (shells, opened) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let wires = Wires { actions, effects, shells: opened, stop: stop.clone() };
        let mut go = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
        let (go_on, read) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let answer = async {
            while let Some(wish) = wishes.recv().await {
                match wish {
                    Effect::OpenShell { id, door, way, .. } => {
                        let (far, attach) = ends(id, door);
                        match (on_refresh.as_str(), way) {
                            ("flood", _) => flood(far),
                            ("slow", _) => {
                                go.recv().await;
                                echo(far);
                            }
                            ("beside", Way::Pane) => talker(far, go_on.clone(), read.clone()),
                            ("beside", Way::Whole) => until_read(far, go_on.clone(), read.clone()),
                            _ => echo(far),
                        }
                        shells.send(attach).await.unwrap();
                    }
                    Effect::PrintDefinition { lab, tool } => {
                        let (go_on, read, file) = (go_on.clone(), read.clone(), std::env::var(READ_FILE).unwrap());
                        tokio::spawn(async move {
                            go_on.notify_one();
                            read.notified().await;
                            // The editor reads it, and ends.
                            tokio::task::spawn_blocking(move || std::fs::write(file, "all was read")).await.unwrap()
                        });
                        let printed = Action::DefinitionPrinted { lab, tool, text: Ok("kind = \"class\"".to_owned()) };
                        said.send(printed).await.unwrap();
                    }
                    Effect::Refresh if on_refresh == "panic" => panic!("on purpose"),
                    Effect::Refresh if on_refresh == "elsewhere" => {
                        let _ = tokio::spawn(async { panic!("a worker, on purpose") }).await;
                    }
                    Effect::Refresh => stop.cancel(),
                    _ => {}
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            ended = run(state, Look::new(Depth::Indexed, Glyphs::UNICODE), wires) => ended,
            never = answer => never,
        }
    });
    let words = ended.map_or_else(|error| error.to_string(), |ended| format!("{ended:?}"));
    match hung_up {
        Some(file) => std::fs::write(file, words).unwrap(),
        None => println!("ended: {words}"),
    }
}

/// This test binary, playing the program whose runtime answers a refresh so.
fn started(on_refresh: &str) -> Terminal {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(ITSELF);
    started_as(command, on_refresh)
}

fn started_as(mut command: CommandBuilder, on_refresh: &str) -> Terminal {
    command.env(INSIDE, on_refresh);
    Terminal::start(command, (80, 24))
}

#[test]
fn leaving_gives_the_terminal_back() {
    let mut terminal = started("stop");
    terminal.until("cs102");
    assert!(terminal.shown.screen().alternate_screen() && terminal.shown.screen().bracketed_paste());
    terminal.press("q");
    terminal.until("Under way here");
    terminal.press("\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let mut terminal = started("stop");
    terminal.until("cs102");
    terminal.press("\x12");
    terminal.until("ended: Stopped");
    terminal.assert_given_back();
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_reported_after_that() {
    let mut terminal = started("panic");
    terminal.until("cs102");
    terminal.press("\x12");
    terminal.until("on purpose");
    terminal.assert_given_back();
}

#[test]
fn a_panic_elsewhere_leaves_the_screen_alone() {
    let mut terminal = started("elsewhere");
    terminal.until("cs102");
    terminal.press("\x12");
    terminal.until("asking every site");
    terminal.press("1");
    terminal.until("pve1");
    assert!(!terminal.shown.screen().contents().contains("on purpose"));
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let mut terminal = started("stop");
    terminal.until("3 workshops 2");
    terminal.resize(120, 40);
    terminal.until("┤");
    terminal.resize(20, 5);
    terminal.until("needs 40×12");
    terminal.resize(80, 24);
    terminal.until("3 workshops 2");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_key_that_comes_with_a_resize_does_not_wait_for_the_next() {
    let mut terminal = started("stop");
    terminal.until("3 workshops 2");
    for size in [(100, 30), (80, 24), (120, 40), (90, 25)] {
        terminal.resize(size.0, size.1);
        terminal.press("?");
        terminal.until("tab shift-tab");
        terminal.press("\x1b");
        terminal.until("enter open");
    }
}

#[test]
fn escape_is_heard_without_another_key() {
    let mut terminal = started("stop");
    terminal.until("cs102");
    terminal.press("j\r");
    terminal.until("student-10");
    terminal.press("\x1b");
    terminal.until("3 workshops 2");
    // A slow line breaks sequences in two.
    terminal.press("\x1b[");
    terminal.press("Z");
    terminal.until("pve1");
}

#[test]
fn ctrl_z_goes_back_to_the_shell_and_fg_returns() {
    let mut command = CommandBuilder::new("sh");
    let script = "\"$0\" \"$@\"; echo stopped with $?; read line; fg >/dev/null";
    command.args(["-mc", script]);
    command.arg(std::env::current_exe().unwrap());
    command.args(ITSELF);
    let mut terminal = started_as(command, "idle");
    terminal.until("cs102");
    terminal.press("\x1a");
    terminal.until("stopped with 1");
    let screen = terminal.shown.screen();
    assert!(!screen.alternate_screen() && !screen.bracketed_paste() && !screen.hide_cursor());
    terminal.press("\n");
    terminal.until("3 workshops 2");
    terminal.until_taken_over();
    terminal.press("1");
    terminal.until("pve1");
    terminal.press("q");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn ctrl_z_where_there_is_no_shell_to_go_back_to_changes_nothing() {
    let mut terminal = started("idle");
    terminal.until("cs102");
    terminal.press("\x1a");
    terminal.until_taken(2);
    terminal.until("3 workshops 2");
    terminal.press("1");
    terminal.until("pve1");
    terminal.press("q");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_terminal_that_hangs_up_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ended");
    let size = PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(ITSELF);
    command.env(INSIDE, format!("deaf {}", file.display()));
    command.env("TERM", "xterm-256color");
    let mut child = pair.slave.spawn_command(command).unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    let (mut shown, mut buffer) = (vt100::Parser::new(24, 80, 0), [0; 4096]);
    while !shown.screen().contents().contains("cs102") {
        let n = reader.read(&mut buffer).unwrap();
        shown.process(&buffer[..n]);
    }
    drop((reader, pair));
    child.wait().unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "HungUp");
}

#[test]
fn a_shell_has_the_whole_terminal_byte_for_byte() {
    let mut terminal = started("stop");
    terminal.until("cs102");
    terminal.press("j\rs");
    terminal.until("hello");
    terminal.until("size 80x24");
    assert!(!terminal.shown.screen().alternate_screen());
    // A paste and a click, as a program inside would be sent them.
    terminal.press("\x1b[200~two\rlines\x1b[201~");
    terminal.until("got \\x1b[200~two\\rlines\\x1b[201~");
    terminal.press("\x1b[M !!");
    terminal.until("got \\x1b[M !!");
    terminal.press("q");
    terminal.until("got q");
    terminal.resize(100, 30);
    terminal.until("size 100x30");
    terminal.press("\x04");
    terminal.until("shell ended with exit status 3");
    assert!(terminal.shown.screen().alternate_screen());
    assert_eq!(terminal.shown.screen().mouse_protocol_mode(), vt100::MouseProtocolMode::None);
    terminal.until("student-10");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_shell_in_a_pane_keeps_living_while_one_looks_elsewhere() {
    let mut terminal = started("idle");
    terminal.until("cs102");
    terminal.press("j\rS");
    terminal.until("hello");
    terminal.until("size 80x21");
    terminal.until("ctrl-] gets the keys back");
    // Our keys mean nothing while the shell has them; marks of a paste go where they were asked for.
    terminal.press("q");
    terminal.until("got q");
    terminal.press("\x1b[200~two\x1b[201~");
    terminal.until("got \\x1b[200~two\\x1b[201~");
    // What takes the keys back does not where it is pasted.
    terminal.press("\x1b[200~a\x1db\x1b[201~");
    terminal.until("got \\x1b[200~a\\x1db\\x1b[201~");
    // It asked for the mouse: a click is told where it was in the pane, in two reads; one outside of it is not.
    terminal.until_mouse(vt100::MouseProtocolMode::PressRelease);
    terminal.press("\x1b[<0;5;2M\x1b[<0;5;");
    terminal.press("4M");
    terminal.until("got \\x1b[M %\\\"");
    terminal.resize(100, 30);
    terminal.until("size 100x19");
    // What comes behind it, also in the same read, is for the dashboard.
    terminal.press("\x1dv");
    terminal.until("1 line picked");
    terminal.until_mouse(vt100::MouseProtocolMode::None);
    terminal.press("ky");
    terminal.until("2 lines were given");
    assert!(terminal.raw.windows(7).any(|window| window == b"\x1b]52;c;"));
    terminal.press("\x1b");
    terminal.until("student-10");
    terminal.press("T");
    terminal.until("got q");
    terminal.press("q");
    terminal.until("A shell is open in here");
    terminal.press("\x1b");
    terminal.until_gone("A shell is open in here");
    terminal.press("\r");
    terminal.until("ctrl-] gets the keys back");
    terminal.press("\x04");
    terminal.until("[the shell ended with exit status 3]");
    terminal.until("enter opens it anew");
    terminal.press("\r");
    terminal.until("ctrl-] gets the keys back");
    terminal.press("\x04");
    terminal.until("ended 3");
    // A letter may be the rest of what was typed for the shell, until there was a pause.
    terminal.press("x");
    terminal.until("enter opens it anew");
    terminal.press("x");
    terminal.until("student-10");
    terminal.press("q");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_flood_in_a_pane_neither_holds_keys_up_nor_fills_memory_nor_leaves_its_place() {
    let mut terminal = started("flood");
    terminal.until("cs102");
    terminal.press("j\rS");
    terminal.until("flood");
    let before = terminal.memory();
    let mut took = Vec::new();
    for _ in 0..25 {
        for (key, told) in [("\x1d", "enter gives it the keys"), ("\r", "ctrl-] gets the keys back")] {
            let pressed = Instant::now();
            terminal.press(key);
            terminal.until(told);
            took.push(pressed.elapsed());
        }
    }
    took.sort();
    let (half, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    let grown = terminal.memory().saturating_sub(before) >> 20;
    println!("from key to paint {half:?} (half of all), {slowest:?} at the slowest, {grown} MiB more memory");
    // Far above what it takes, for machines that have much else to do: `shells` holds what is ours of it to 50 ms.
    assert!(half < Duration::from_secs(2), "{half:?}");
    assert!(grown < 64, "{grown} MiB more");
    assert!(!terminal.raw.windows(5).any(|w| w == b"title" || w == b"b3duZ"), "its title and clipboard came through");
    terminal.press("\x1d");
    terminal.until("enter gives it the keys");
    terminal.press("x");
    terminal.until("end the shell?");
    terminal.press("\r");
    terminal.until("student-10");
    terminal.press("q");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn what_is_typed_before_a_shell_is_open_comes_to_the_shell_and_escape_gives_it_up() {
    let mut terminal = started("slow");
    terminal.until("cs102");
    for open in ["s", "S"] {
        terminal.press(if open == "s" { "j\rs" } else { "S" });
        terminal.until("opening a shell");
        terminal.press("ls\rq");
        terminal.until("4 keys so far");
        terminal.signal(Signal::USR1);
        terminal.until("got ls\\rq");
        terminal.press("\x04");
        terminal.until(if open == "s" { "shell ended with exit status 3" } else { "enter opens it anew" });
    }
    terminal.press("x");
    terminal.until("student-10");
    terminal.press("s");
    terminal.until("opening a shell");
    terminal.press("\x1b");
    terminal.until("cs101/teacher: given up");
    // It opens after all, and comes to nobody.
    terminal.signal(Signal::USR1);
    terminal.press("?");
    terminal.until("tab shift-tab");
    terminal.press("\x1b");
    terminal.until_gone("tab shift-tab");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn shells_in_tabs_are_read_and_answered_while_another_program_has_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, editor) = (folder.path().join("pipe"), folder.path().join("editor"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::write(&editor, "cat \"$HOMEROOM_TEST_READ_FILE\"; read key").unwrap();
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(ITSELF);
    command.env(READ_FILE, &pipe);
    command.env("VISUAL", format!("sh {}", editor.display()));
    let mut terminal = started_as(command, "beside");
    terminal.until("cs102");
    terminal.press("j\rS");
    terminal.until("a talker");
    terminal.press("\x1d");
    terminal.until("enter gives it the keys");
    terminal.press("\x1b");
    terminal.until("student-10");
    terminal.press("js");
    terminal.until("all was read");
    terminal.press("x");
    terminal.until("cs101/student-01: shell ended");
    terminal.press("T");
    terminal.until(&format!("line {}", MANY - 1));
    terminal.press("\x1b");
    terminal.until("student-10");
    terminal.press("E");
    terminal.until("all was read");
    terminal.press("\n");
    terminal.until("student-10");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn a_shell_that_hangs_can_be_left() {
    let mut terminal = started("stop");
    terminal.until("cs102");
    terminal.press("j\rs");
    terminal.until("hello");
    terminal.press("\r");
    terminal.until("got \\r");
    terminal.press("~.");
    terminal.until("shell ended");
    terminal.press("q\r");
    terminal.until("ended: Left");
    terminal.assert_given_back();
}

#[test]
fn without_a_terminal_it_says_so() {
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_actions, actions) = mpsc::channel(1);
    let (effects, _wishes) = mpsc::channel(1);
    let (_shells, shells) = mpsc::channel(1);
    let wires = Wires { actions, effects, shells, stop: CancellationToken::new() };
    let error = runtime.block_on(run(world(80, 24), Look::new(Depth::None, Glyphs::ASCII), wires)).unwrap_err();
    assert!(matches!(error, TuiError::NoTerminal(_)));
    assert!(error.to_string().contains("homeroom status"));
}
