//! Every way out gives the terminal back and leaves no folder behind.

use rustix::process::Signal;

use super::demo::Demo;
use crate::support::engine::{Facts, FakeEngine};

const SIZE: (u16, u16) = (80, 24);

fn started() -> Demo {
    let mut demo = Demo::start("20", SIZE);
    demo.terminal.until("cs102");
    assert_eq!(demo.throw_away().len(), 1);
    demo
}

#[test]
fn signals_end_it_properly() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut demo = started();
        demo.terminal.signal(signal);
        assert_eq!(demo.assert_as_before(), 130, "{signal:?}");
    }
}

#[test]
fn a_signal_in_a_shell_ends_both() {
    let mut demo = started();
    demo.terminal.until_row("cs100", "4/4 ready");
    demo.terminal.press("\rs");
    demo.terminal.until("@cs100-ada:");
    // A program inside switched things on and does not get to switch them off.
    demo.terminal.press("watch hostname\r");
    demo.terminal.until("Every 2.0s");
    demo.terminal.signal(Signal::TERM);
    assert_eq!(demo.assert_gone_without_a_trace(), 130);
}

#[test]
fn what_a_shell_said_stays_above_the_next_prompt() {
    let mut demo = started();
    demo.terminal.until_row("cs100", "4/4 ready");
    demo.terminal.press("\rs");
    demo.terminal.until("@cs100-ada:");
    demo.terminal.press("hostname\rexit\r");
    demo.terminal.until("cs100/ada: shell ended");
    demo.terminal.press("q");
    assert_eq!(demo.assert_gone_without_a_trace(), 0);
    let screen = demo.terminal.shown.screen();
    let lines: Vec<String> = screen.rows(0, SIZE.0).collect();
    let (above, below) = lines.split_at(usize::from(screen.cursor_position().0));
    assert_eq!(above.last().map(String::as_str), Some("logout"), "{lines:#?}");
    assert!(below.iter().all(String::is_empty), "{lines:#?}");
}

#[test]
fn leaving_in_the_middle_of_a_deploy_asks_first() {
    let mut demo = started();
    demo.terminal.press("jd");
    demo.terminal.until("11 create");
    demo.terminal.press("\r");
    demo.terminal.until_row("cs101", "deploying");
    demo.terminal.press("q");
    demo.terminal.until("Under way here");
    demo.terminal.press("\r");
    assert_eq!(demo.assert_as_before(), 0);
}

#[test]
fn a_terminal_too_small_says_so_and_can_grow() {
    let mut demo = Demo::start("20", (20, 5));
    demo.terminal.until("40×12");
    demo.terminal.resize(80, 24);
    demo.terminal.until_row("cs100", "4/4");
    demo.terminal.press("q");
    assert_eq!(demo.assert_as_before(), 0);
}

#[test]
fn without_an_engine_the_demo_says_why_its_workshop_is_on_a_simulated_cloud() {
    let mut demo = Demo::start("20", (160, 40));
    demo.terminal.until("nothing for a real Docker engine: there is none at /nowhere/docker.sock");
    demo.terminal.until_row("rust-intro", "cloud");
    assert!(!demo.terminal.text().contains("hello-docker"));
    demo.terminal.press("q");
    assert_eq!(demo.assert_as_before(), 0);

    let elsewhere = FakeEngine::start(Facts::default());
    let mut demo = Demo::with_engine("20", (160, 40), &elsewhere.address());
    demo.terminal.until("runs on hall, whose ports are not this computer's");
    demo.terminal.press("q");
    assert_eq!(demo.assert_as_before(), 0);
    assert_eq!(elsewhere.orders(), [""; 0], "it is only looked at");
}
