//! On the real engine: what a definition has no more, seats that are given again, a port that is held elsewhere.

use super::*;

const PROXY_IMAGE: &str = "image = \"homeroom-test/caddy:1\"";

#[test]
#[ignore = "needs a Docker engine"]
fn browsers_and_a_name_that_a_definition_has_no_more_go_and_the_seats_stay() {
    let lab = Lab::new(2);
    let browser = "browser = { image = \"homeroom-test/browser:1\", port = 3003 }\n";
    let named = format!("proxy = {{ {PROXY_IMAGE}, port = {PROXY}, name = \"ws.example.com\" }}\n");
    lab.apply(&format!("seats = 2\n{browser}{named}"));
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let before = lab.containers();
    assert_eq!(before.len(), 5, "{before:?}");

    lab.apply(&format!("seats = 2\nproxy = {{ {PROXY_IMAGE}, port = {PROXY} }}\n"));
    let said = lab.runs(&["status"], 0);
    assert!(said.contains("the container intro-seat-01-browser of intro is no longer in the definition"), "{said}");
    let said = lab.runs(&["deploy", "intro", "--yes"], 4);
    assert!(said.contains("intro-seat-02-browser") && said.contains("needs --allow-remove"), "{said}");
    assert_eq!(lab.containers(), before);
    lab.runs(&["deploy", "intro", "--yes", "--allow-remove"], 0);
    assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02"]);
    let seats = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| line.contains("-seat-") && !line.contains("-browser ")).cloned().collect()
    };
    assert_eq!(seats(&lab.containers()), seats(&before), "nobody's work is thrown away");
    assert_eq!(get("/health", "").0, 200, "by plain HTTP");
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine"]
fn the_token_of_a_seat_that_went_opens_nothing_and_the_next_one_opens_it() {
    let lab = Lab::new(2);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let first = |lab: &Lab| token(&lab.json(&["roster", "intro", "--json"], 0)["seats"][0]);
    let old = first(&lab);
    assert_eq!(get(&format!("/vm/1/terminal/?token={old}"), "").0, 303);
    lab.runs(&["destroy", "intro/seat-01", "--yes"], 0);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    let new = first(&lab);
    assert_eq!(get(&format!("/vm/1/terminal/?token={old}"), "").0, 403);
    assert_eq!(get("/vm/1/terminal/", &format!("homeroom={old}")).0, 403);
    assert_eq!(get("/vm/1/terminal/", &format!("homeroom={new}")).0, 200);
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_port_of_the_proxy_that_is_held_on_another_address_is_told_before_anything_is_made() {
    let lab = Lab::new(1);
    let held = std::net::TcpListener::bind(("127.0.0.9", PROXY)).unwrap();
    let said = lab.runs(&["deploy", "intro", "--yes"], 2);
    assert!(said.contains(&format!("port {PROXY} is taken by a program on")), "{said}");
    lab.nothing_is_left();
    drop(held);
    lab.runs(&["deploy", "intro", "--yes"], 0);

    // Where somebody takes it later, Caddy's own word for it is the reason.
    lab.asked(&["stop", "intro-host"]);
    let _held = std::net::TcpListener::bind(("127.0.0.9", PROXY)).unwrap();
    lab.runs(&["deploy", "intro", "--yes"], 3);
    let (state, reason) = lab.state_of("host");
    assert!(state == "failed" && reason.contains("it said: Error:") && reason.contains("address already in use"));
    assert!(!reason.contains('{'), "{reason}");
}
