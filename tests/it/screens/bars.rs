//! Questions before a login: put one after the other, once for all who wait, and never in the way of a shell.

use homeroom::{
    app::{Action, Command, Context, Effect, bars::At, shells::Way, update},
    domain::answers::Bar,
};
use secrecy::ExposeSecret as _;

use super::{
    screen,
    world::{door, lab, opens, press, quiet, world},
};

#[test]
fn a_host_key_nobody_trusts_is_asked_about_once_for_all_who_wait() {
    let mut state = world(80, 24);
    press(&mut state, "j<enter>");
    let stranger = Bar::Stranger {
        host: "10.0.0.11".to_owned(),
        fingerprint: "SHA256:abc".to_owned(),
        key: "ssh-ed25519 AAAA".to_owned(),
    };
    let same = world(80, 24);
    let then = |name: &str| opens(&same, 1, door("cs101", name), Way::Pane);
    let barred = |name: &str| Action::Barred { at: At::Lab(lab("cs101")), bar: stranger.clone(), then: then(name) };
    update(&mut state, barred("teacher"));
    update(&mut state, barred("student-01"));
    assert_eq!(state.context(), Context::TrustPopup);
    quiet(&mut state);
    assert!(press(&mut state, "<enter>n").is_empty(), "only a y is a yes");
    assert_eq!(state.context(), Context::TrustPopup);
    quiet(&mut state);
    let lifted = press(&mut state, "y");
    let [Effect::Lift { bar, passphrase: None, then: again, .. }] = lifted.as_slice() else { panic!("{lifted:?}") };
    assert_eq!((bar, again), (&stranger, &vec![then("teacher"), then("student-01")]));
    let again = again.clone();
    assert_eq!(update(&mut state, Action::Lifted { then: again.clone(), failed: None }), again);

    update(&mut state, barred("teacher"));
    press(&mut state, "<esc>");
    assert!(state.toast.as_ref().unwrap().text.as_str().contains("10.0.0.11 is not trusted"));
    assert_eq!(state.context(), Context::Board);
}

#[test]
fn a_letter_of_what_is_typed_ahead_trusts_nobody_and_comes_to_the_shell() {
    let mut state = world(80, 24);
    let effects = press(&mut state, "j<enter>S");
    press(&mut state, "echo s");
    let bar = Bar::Stranger {
        host: "10.0.0.11".to_owned(),
        fingerprint: "SHA256:abc".to_owned(),
        key: "ssh-ed25519 AAAA".to_owned(),
    };
    update(&mut state, Action::Barred { at: At::Lab(lab("cs101")), bar, then: effects[0].clone() });
    let shown = screen(&state);
    assert!(shown.contains("SHA256:abc") && !shown.contains("trust it"), "{shown}");
    assert!(press(&mut state, "tudying y").is_empty());
    quiet(&mut state);
    assert!(screen(&state).contains("y trust it"));
    // Whoever goes on without having looked begins with some letter.
    assert!(press(&mut state, "es y").is_empty());
    quiet(&mut state);
    let lifted = press(&mut state, "y");
    assert!(matches!(&lifted[..], [Effect::Lift { .. }]), "{lifted:?}");
    let typed = update(&mut state, Action::TabOpened { id: 1 });
    assert_eq!(typed, [Effect::Answer { id: 1, bytes: b"echo studying yes y".to_vec() }]);
}

#[test]
fn what_was_typed_while_many_were_opened_is_not_gone_on_with_everywhere() {
    let mut state = world(80, 24);
    let effects = press(&mut state, "j<enter>B<enter>");
    let ids: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::OpenShell { id, .. } => Some(*id),
            _ => None,
        })
        .collect();
    press(&mut state, "echo r");
    for id in ids {
        update(&mut state, Action::TabOpened { id });
    }
    assert!(!state.shells.typing, "its beginning is gone");
    // The rest of the line is no command either: not one that closes a shell, and not the one that types into all.
    press(&mut state, "m -rf x<enter>b<esc>");
    assert_eq!((state.context(), state.shells.tabs.len(), state.shells.broadcast), (Context::Hushed, 8, true));
    let shown = screen(&state);
    assert!(shown.contains(" 8 shells, keys typed meanwhile are lost") && shown.contains("after a pause"), "{shown}");
    assert!(!shown.contains("opening"), "{shown}");
    update(&mut state, Action::Paste("x\n".into()));
    quiet(&mut state);
    assert!(screen(&state).contains("enter types into all"));
    press(&mut state, "<enter>");
    assert_eq!(state.context(), Context::Typing);
    assert!(screen(&state).contains("KEYS GO TO ALL: 8"));
}

#[test]
fn a_passphrase_is_neither_shown_nor_told_and_asked_for_again_when_it_is_wrong() {
    let mut state = world(80, 24);
    press(&mut state, "j<enter>");
    let bar = Bar::Locked { key: "/home/mara/.ssh/id_ed25519".into() };
    let then = opens(&state, 7, door("cs101", "teacher"), Way::Pane);
    let barred = Action::Barred { at: At::Lab(lab("cs101")), bar, then };
    update(&mut state, barred.clone());
    press(&mut state, "open sesame");
    let drawn = screen(&state);
    assert!(drawn.contains("passphrase: ") && drawn.contains("***********"), "{drawn}");
    assert!(!drawn.contains("sesame") && !format!("{state:?}").contains("sesame"), "{drawn}");
    let effects = press(&mut state, "<enter>");
    assert!(!format!("{effects:?}").contains("sesame"));
    let Some(Effect::Lift { passphrase: Some(given), .. }) = effects.into_iter().next() else {
        panic!("no passphrase")
    };
    assert_eq!(given.into_secret().expose_secret(), "open sesame");
    update(&mut state, barred.clone());
    assert!(screen(&state).contains("That did not open it."));
    press(&mut state, "<esc>");

    // A shell that has the keys keeps them: what is typed into it answers nothing.
    press(&mut state, "S");
    update(&mut state, Action::TabOpened { id: 1 });
    update(&mut state, barred);
    assert_eq!(state.context(), Context::Typing);
    update(&mut state, Action::Do(Command::LetGo));
    assert_eq!(state.context(), Context::PassphrasePopup);
}
