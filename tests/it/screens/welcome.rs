//! The first run as it is drawn, and what keys do in it.

use homeroom::{
    app::{
        Action, Effect, State, update,
        welcome::{Found, NewSite, Tried},
    },
    domain::Level,
};

use super::{
    press, screen,
    world::{now, settings},
};

pub fn first(columns: u16, rows: u16) -> State {
    let mut settings = settings(false);
    settings.sites.clear();
    settings.now = now();
    let mut state = State::new(settings).with_welcome("/home/ada/.config/homeroom/config.toml".into());
    update(&mut state, Action::Resized(columns, rows));
    state
}

pub const TYPED: &str = "j<enter><tab>pve1.example<tab><right><tab>homeroom@pve!lab<tab>s3cret";

pub fn site(effects: &[Effect]) -> NewSite {
    match effects {
        [Effect::TrySite(site)] => site.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn findings() -> Vec<Found> {
    let found = |level, check: &str, what: &str, mend: &str| Found {
        level,
        check: check.into(),
        what: what.into(),
        mend: mend.into(),
    };
    vec![
        found(Level::Success, "reachable", "https://pve1.example:8006: Proxmox VE 9.2.11", ""),
        found(
            Level::Error,
            "privileges",
            "homeroom@pve!lab lacks VM.Clone on /vms",
            "pveum acl modify /vms --users homeroom@pve --roles Homeroom",
        ),
        found(
            Level::Warning,
            "node SSH",
            "pve1: root is not let in: no key of ours is known there",
            "ssh-copy-id -i ~/.ssh/homeroom.pub root@pve1",
        ),
    ]
}

#[test]
fn each_step_of_the_first_run_at_two_sizes() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let mut state = first(columns, rows);
        let shot = |name: &str, state: &State| {
            insta::assert_snapshot!(format!("welcome_{name}_{columns}x{rows}"), screen(state))
        };
        shot("choose", &state);
        let asked = press(&mut state, TYPED);
        assert!(asked.is_empty());
        assert!(!format!("{state:?}").contains("s3cret"), "no debug output has it");
        shot("form", &state);
        let asked = site(&press(&mut state, "<enter>"));
        assert_eq!((asked.api.as_str(), asked.environment.as_str()), ("https://pve1.example:8006", "staging"));
        let print = ["AB"; 32].join(":");
        update(
            &mut state,
            Action::SiteTried { site: asked, tried: Tried { findings: Vec::new(), stranger: Some(print.clone()) } },
        );
        shot("stranger", &state);
        let again = site(&press(&mut state, "<enter>"));
        assert_eq!(again.fingerprints, [print]);
        update(&mut state, Action::SiteTried { site: again, tried: Tried { findings: findings(), stranger: None } });
        shot("tried", &state);
        let asked = press(&mut state, "jj<enter>");
        assert!(matches!(&asked[..], [Effect::WriteSite(site)] if site.secret.0 == "s3cret"), "{asked:?}");
        update(&mut state, Action::SiteWritten(vec!["/home/ada/.config/homeroom/config.toml".into()]));
        assert_eq!(press(&mut state, "<enter>"), [Effect::OpenDashboard]);
    }
}

#[test]
fn what_is_typed_wrong_is_told_at_its_field_and_stays() {
    let mut state = first(80, 24);
    assert!(press(&mut state, "j<enter><tab>http://pve1<enter>").is_empty());
    let shown = screen(&state);
    assert!(shown.contains("http://pve1") && shown.contains("Proxmox answers by https only"), "{shown}");
    assert_eq!(shown.matches("  to be given").count(), 2, "token and secret too\n{shown}");
    // What was put right is no longer complained of, and what was not is.
    press(&mut state, "<c-u>pve1.example");
    let shown = screen(&state);
    assert!(!shown.contains("https only") && shown.matches("  to be given").count() == 2, "{shown}");
    press(&mut state, "<tab><tab>homeroom");
    assert!(screen(&state).contains("it reads user@realm!name"), "{}", screen(&state));
    press(&mut state, "@pve!lab");
    let shown = screen(&state);
    assert!(!shown.contains("it reads") && shown.matches("  to be given").count() == 1, "{shown}");
    press(&mut state, "<up><up><c-u>http://pve1");
    // Back to the choice and in again: it still stands there.
    press(&mut state, "<esc><enter>");
    press(&mut state, "<down><enter>");
    assert!(screen(&state).contains("http://pve1"));
}

#[test]
fn an_answer_to_what_was_given_up_is_not_shown() {
    let mut state = first(80, 24);
    let asked = site(&press(&mut state, &format!("{TYPED}<enter>")));
    press(&mut state, "<esc><tab>2");
    update(&mut state, Action::SiteTried { site: asked, tried: Tried { findings: findings(), stranger: None } });
    assert!(screen(&state).contains("A Proxmox VE cluster"));
    assert_eq!(press(&mut state, "<esc>q"), [Effect::Quit]);
}

#[test]
fn what_is_the_same_on_several_nodes_is_told_once() {
    let mut state = first(120, 40);
    let asked = site(&press(&mut state, &format!("{TYPED}<enter>")));
    let of = |node: &str| Found {
        level: Level::Warning,
        check: "ssh".into(),
        what: format!("{node}: there is no key").as_str().into(),
        mend: format!("ssh-copy-id root@{node}").as_str().into(),
    };
    let findings = ["pve1", "pve2", "pve3"].map(of).to_vec();
    update(&mut state, Action::SiteTried { site: asked, tried: Tried { findings, stranger: None } });
    let shown = screen(&state);
    assert!(shown.contains("pve1, pve2, pve3: there is no key"), "{shown}");
    assert_eq!(shown.matches("ssh-copy-id").count(), 1, "{shown}");
}
