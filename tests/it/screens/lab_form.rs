//! A class or a workshop filled in on the screen: chosen from what there is, told what is wrong where it is wrong,
//! and never lost.

use std::{path::Path, sync::Arc};

use homeroom::{
    app::{
        Action, Context, Effect, Key, State, action_for,
        edit::Tool,
        lab_form::Fault,
        pointer::{Pointed, Spot},
        update,
    },
    config::definition,
    domain::{Clean, SiteName, StoreId, Vmid, cluster::GuestView, price::Prices},
};

use super::{
    BAD, OK, WARN, buffer, colour_of, colours, screen,
    world::{definitions, hostile_site, lab, read_only, site, view, world},
};

/// The sample world with templates to choose from.
pub fn furnished(columns: u16, rows: u16) -> State {
    let mut state = world(columns, rows);
    let mut seen = view(1, 0.5, false);
    let template = |vmid, name: &str| GuestView {
        vmid: Vmid::new(vmid).unwrap(),
        name: Some(name.into()),
        template: true,
        ..seen.guests[0].clone()
    };
    let templates = [template(9_000, "ubuntu-22.04"), template(9_001, "debian-12"), template(8_999, "alma-9")];
    seen.guests.extend(templates);
    update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(seen) });
    state
}

/// Types keys; texts are checked and bridges looked up at once, as the program does a little later. What else was
/// asked for is given back.
pub fn press(state: &mut State, script: &str) -> Vec<Effect> {
    let mut left = Vec::new();
    for key in Key::script(script) {
        let Some(action) = action_for(state, key) else { continue };
        let effects = update(state, action);
        left.extend(answered(state, effects));
    }
    left
}

fn answered(state: &mut State, effects: Vec<Effect>) -> Vec<Effect> {
    let mut left = Vec::new();
    for effect in effects {
        let action = match effect {
            Effect::CheckDefinition { text } => {
                let faults = definition::faults(&text, Path::new("/"), None).into_iter();
                let faults = faults.map(|fault| Fault { key: fault.key, why: fault.message.into() }).collect();
                Action::DefinitionChecked { text, faults }
            }
            Effect::LookAtBridges { site } => {
                Action::BridgesSeen { site, bridges: vec!["vmbr0".into(), "vmbr1".into()] }
            }
            Effect::PrintDefinition { lab, tool } => {
                let text = Ok(definition::to_toml(state.definition(&lab).unwrap()));
                Action::DefinitionPrinted { lab, tool, text }
            }
            other => {
                left.push(other);
                continue;
            }
        };
        let more = update(state, action);
        left.extend(answered(state, more));
    }
    left
}

fn text_of(state: &State) -> String {
    state.lab_form.as_ref().unwrap().text()
}

#[test]
fn a_new_class_is_chosen_from_what_there_is_and_its_plan_is_offered() {
    let mut state = furnished(120, 40);
    assert!(press(&mut state, "n").is_empty());
    assert_eq!(state.context(), Context::LabForm);
    let shown = buffer(&state, &colours());
    assert!(!screen(&state).contains("wrong") && screen(&state).contains("1 to be given"), "{}", screen(&state));
    assert!(shown.content().iter().skip(120).all(|cell| cell.fg != BAD), "nothing typed, nothing wrong");
    // Handed in like that, it is.
    assert!(press(&mut state, "<c-s>").is_empty());
    assert_eq!(colour_of(&buffer(&state, &colours()), "1 thing is wrong"), BAD);
    press(&mut state, "<esc>n");
    // Its name; the site stands; the template by a few letters; names instead of a number; a bridge.
    press(&mut state, "bio<tab><tab><enter>deb<enter>");
    press(&mut state, "<tab><c-u>ada, grace");
    press(&mut state, "<pgdn><tab><tab><tab>6G");
    let wanted = "kind = \"class\"\nname = \"bio\"\nsite = \"campus\"\ntemplate = \"debian-12\"\n\
                  students = [\"ada\", \"grace\"]\nteacher = true\n\n[machine]\nmemory = \"6G\"\n";
    assert_eq!(text_of(&state), wanted);
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "nothing is wrong"), OK);
    let effects = press(&mut state, "<c-s>");
    assert_eq!(effects, [Effect::Define { lab: None, text: wanted.to_owned() }]);
    assert!(press(&mut state, "x").is_empty() && text_of(&state) == wanted, "nothing is typed while it is handed in");
    let taken = Ok("class bio created".into());
    let effects = update(&mut state, Action::Defined { lab: None, text: wanted.to_owned(), taken });
    assert_eq!(effects, [Effect::MakePlan { lab: lab("bio"), fix_drift: false }]);
    assert_eq!(state.context(), Context::PlanPopup);
    assert!(state.lab_form.is_none());
}

#[test]
fn what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost() {
    let mut state = furnished(120, 40);
    press(&mut state, "nCS 101<pgdn>two<tab><tab><tab>4 gigs");
    let drawn = screen(&state);
    assert!(drawn.contains("it must be a whole num") && drawn.contains("size \"4 gigs\" must be"), "{drawn}");
    press(&mut state, "<pgdn><tab><tab><tab>10.1.0.20-10.1.0.22/24");
    let shown = buffer(&state, &colours());
    let drawn = screen(&state);
    assert_eq!(colour_of(&shown, "4 things are wrong"), BAD);
    assert!(drawn.contains("holds 3 addresses for 11 machines"), "at the field that mends it\n{drawn}");
    let before = text_of(&state);
    assert!(press(&mut state, "<c-s>").is_empty(), "what is known to be wrong is not handed in");
    let drawn = screen(&state);
    assert!(drawn.contains("not saved: name: ") && drawn.contains("\"CS 101\""), "{drawn}");
    assert_eq!(text_of(&state), before);
    // Mended one by one, each complaint goes.
    press(&mut state, "<c-u>cs150<pgdn><c-u>2<tab><tab><tab><c-u>4G<pgdn><tab><tab><tab><c-u>dhcp");
    assert!(screen(&state).contains("nothing is wrong"), "{}", screen(&state));
    // What only the store knows comes back to its field.
    assert_eq!(press(&mut state, "<c-s>").len(), 1);
    let (text, taken) = (text_of(&state), Err("there is a lab called cs150 already; choose another name".into()));
    update(&mut state, Action::Defined { lab: None, text: text.clone(), taken });
    assert!(screen(&state).contains("there is a lab called cs150 already"), "{}", screen(&state));
    assert_eq!(text_of(&state), text);
}

#[test]
fn editing_changes_what_was_typed_and_keeps_what_has_no_field() {
    let mut state = furnished(120, 40);
    let mut definitions = definitions();
    let known = "kind = \"class\"\nname = \"cs102\"\nsite = \"campus\"\ntemplate = \"debian-12\"\ncount = 5\n\n\
                 [machines.student-03]\nmemory = \"8G\"\n\n[rollcall]\nchecks = [[\"true\"]]\n";
    definitions.retain(|definition| definition.name().as_str() != "cs102");
    definitions.push(definition::parse(known, "x", Path::new("/"), None).unwrap());
    update(&mut state, Action::DefinitionsLoaded(definitions));
    press(&mut state, "Ge");
    let drawn = screen(&state);
    assert!(drawn.contains("kept as it is: machines.student-03.memory, rollcall.checks"), "{drawn}");
    assert!(drawn.contains("as it is stored"), "{drawn}");
    press(&mut state, "<tab><tab><c-u>7");
    assert_eq!(text_of(&state), known.replace("count = 5", "count = 7"));
    press(&mut state, "<c-u>5");
    assert_eq!(text_of(&state), known);
    press(&mut state, "<esc>");
    assert_eq!(state.context(), Context::Classes, "nothing changed, so nothing is asked");
}

#[test]
fn what_is_not_saved_is_not_left_by_a_slip() {
    let mut state = furnished(80, 24);
    press(&mut state, "nbio<esc>");
    assert_eq!(state.context(), Context::UnsavedPopup);
    press(&mut state, "<esc>");
    assert_eq!(state.context(), Context::LabForm);
    assert!(press(&mut state, "<c-c>").is_empty(), "nor by leaving the program");
    assert!(screen(&state).contains("is not saved"), "{}", screen(&state));
    press(&mut state, "<esc><esc>");
    let effects = press(&mut state, "<enter>");
    assert!(matches!(&effects[..], [Effect::Define { lab: None, text }] if text.contains("bio")), "{effects:?}");
    let (text, taken) = (text_of(&state), Err("the store is full".into()));
    update(&mut state, Action::Defined { lab: None, text, taken });
    assert!(screen(&state).contains("the store is full") && text_of(&state).contains("bio"));
    press(&mut state, "<esc>x");
    assert_eq!(state.context(), Context::Classes);
    assert!(state.lab_form.is_none());
}

#[test]
fn what_was_not_seen_is_saved_when_asked_for_twice() {
    let mut state = furnished(120, 40);
    press(&mut state, "ncs200<tab><tab><c-u>debian-12x<tab>");
    assert!(press(&mut state, "<c-s>").is_empty());
    let told = "not saved yet, ^s again saves it: template: not seen on campus; did you mean debian-12?";
    assert!(screen(&state).contains(told), "{}", screen(&state));
    assert!(matches!(press(&mut state, "<c-s>").as_slice(), [Effect::Define { .. }]));
}

#[test]
fn a_number_of_students_stands_until_one_is_named() {
    let mut state = furnished(120, 40);
    press(&mut state, "n<tab><tab><tab><c-u>3<enter>");
    assert!(screen(&state).contains("3 by number so far"), "{}", screen(&state));
    press(&mut state, "<enter>");
    assert!(text_of(&state).contains("count = 3"), "{}", text_of(&state));
    press(&mut state, "ada");
    assert!(text_of(&state).contains("students = [\"ada\"]"), "{}", text_of(&state));
}

#[test]
fn what_is_named_and_was_not_seen_is_doubted_and_not_refused() {
    let mut state = furnished(120, 40);
    press(&mut state, "ncs101");
    let shown = buffer(&state, &colours());
    assert_eq!(colour_of(&shown, "there is a lab of this name already"), WARN);
    press(&mut state, "x<tab><tab><c-u>gentoo<tab>");
    assert!(screen(&state).contains("not seen on campus"), "{}", screen(&state));
    press(&mut state, "<up><c-u>9001<tab>");
    assert!(!screen(&state).contains("not seen on"), "by its number it is known\n{}", screen(&state));
    assert!(text_of(&state).contains("template = 9001"));
}

#[test]
fn several_nodes_are_marked_in_their_list() {
    let mut state = furnished(120, 40);
    press(&mut state, "n<pgdn><pgdn><pgdn><enter>");
    assert_eq!(state.context(), Context::OptionsPopup);
    press(&mut state, "<down><enter>3<enter>");
    assert_eq!(state.context(), Context::OptionsPopup, "it stays open");
    let drawn = screen(&state);
    assert!(drawn.contains("◆ pve1") && drawn.contains("◆ pve3"), "{drawn}");
    press(&mut state, "<esc>");
    assert!(text_of(&state).contains("nodes = [\"pve1\", \"pve3\"]"), "{}", text_of(&state));
}

#[test]
fn students_are_written_a_line_each_or_pasted() {
    let mut state = furnished(120, 40);
    press(&mut state, "nbio<tab><tab><tab><enter>ada<enter>grace");
    assert_eq!(state.context(), Context::LinesPopup);
    let effects = update(&mut state, Action::Paste("joan karen mary".into()));
    answered(&mut state, effects);
    let drawn = screen(&state);
    assert!(drawn.contains("5 named") && drawn.contains("  5  mary"), "{drawn}");
    press(&mut state, "<up><bs><bs><bs><bs><bs><bs><esc>");
    assert!(text_of(&state).contains("students = [\"ada\", \"grace\", \"joan\", \"mary\"]"), "{}", text_of(&state));
    press(&mut state, "<enter>Ada");
    assert!(screen(&state).contains("\"Ada\""), "what is wrong is told where it is typed\n{}", screen(&state));
}

#[test]
fn an_editor_takes_the_text_over_and_gives_it_back() {
    let mut state = furnished(120, 40);
    press(&mut state, "nbio");
    let effects = press(&mut state, "<c-o>");
    let [Effect::EditText { lab: None, text }] = effects.as_slice() else { panic!("{effects:?}") };
    let edited = format!("# By hand.\n{text}\n[rollcall]\nchecks = [[\"true\"]]\n");
    let edited = edited.replace("count = 10", "count = 3");
    let back = |text: &str| Action::TextEdited { lab: None, before: String::new(), text: text.to_owned() };
    let effects = update(&mut state, back(&edited));
    assert!(answered(&mut state, effects).is_empty());
    assert_eq!(text_of(&state), edited);
    assert!(screen(&state).contains("kept as it is: rollcall.checks"), "{}", screen(&state));
    // What is no TOML is no form: it goes back to the editor, or is dropped, and the form stands.
    update(&mut state, back("kind = \"class"));
    assert_eq!(state.context(), Context::DraftPopup);
    let effects = press(&mut state, "<enter>");
    assert!(matches!(&effects[..], [Effect::EditText { text, .. }] if text == "kind = \"class"), "{effects:?}");
    update(&mut state, back("kind = \"class"));
    press(&mut state, "<esc>");
    assert_eq!(text_of(&state), edited);
    // From the list, the editor opens at once.
    press(&mut state, "<esc>x");
    let effects = press(&mut state, "E");
    assert!(matches!(&effects[..], [Effect::EditText { lab: Some(_), .. }]), "{effects:?}");
    let effects = press(&mut state, "N");
    assert!(matches!(&effects[..], [Effect::EditText { lab: None, .. }]), "{effects:?}");
}

#[test]
fn a_workshop_asks_for_what_a_cloud_needs_once_it_is_one() {
    let mut state = furnished(120, 40);
    let name = |name: &str| SiteName::new(name).unwrap();
    let (environment, store) = (Clean::from("dev"), StoreId::from_bytes([7; 8]));
    let price = (0.0, Clean::default());
    let here =
        Action::EngineKnown { site: name("bench"), environment: environment.clone(), store: store.clone(), price };
    update(&mut state, here);
    let prices = Prices { machines: [("e2-standard-4".to_owned(), 0.2)].into(), ..Prices::default() };
    let prices = Some((prices, true));
    update(&mut state, Action::CloudKnown { site: name("europe"), environment, store, prices });
    press(&mut state, "3nrust<tab>");
    assert!(!screen(&state).contains("machine type"));
    press(&mut state, "<right><tab><c-u>12<tab>");
    assert!(text_of(&state).contains("site = \"europe\""), "{}", text_of(&state));
    press(&mut state, "<enter>rust<enter>");
    assert!(text_of(&state).contains("image = \"ghcr.io/lab/rust:1.95\""), "of another workshop\n{}", text_of(&state));
    press(&mut state, "<pgdn><pgdn><pgdn><pgdn><pgdn><pgdn>");
    assert!(screen(&state).contains("compute engine"), "{}", screen(&state));
    press(&mut state, "<enter>e2<enter>");
    assert!(text_of(&state).contains("[gce]\nmachine_type = \"e2-standard-4\""), "{}", text_of(&state));
    assert!(screen(&state).contains("nothing is wrong"), "{}", screen(&state));
}

#[test]
fn a_click_gives_a_field_the_keys_and_a_second_opens_its_choices() {
    let mut state = furnished(120, 40);
    press(&mut state, "n");
    let click = |at| Action::Pointed(Pointed::Click(Spot::Field(at)));
    update(&mut state, click(2));
    assert_eq!(state.context(), Context::LabForm);
    update(&mut state, click(2));
    assert_eq!(state.context(), Context::OptionsPopup);
    assert!(update(&mut state, click(500)).is_empty());
}

#[test]
fn a_form_is_whole_in_every_size_and_whatever_things_are_called() {
    let long = "x".repeat(10_000);
    for name in ["日本語日本語日本語日本語日本語", "\u{202e}evil\x1b[31m\r\n", "e\u{301}\u{301}👩‍🚀", "a\"b\\c", &long]
    {
        for (columns, rows) in [(40, 12), (80, 24), (120, 40), (300, 100)] {
            let mut state = furnished(columns, rows);
            hostile_site(&mut state, name);
            let mut seen = (**state.sites[&site()].view.as_ref().unwrap()).clone();
            let first = seen.guests[0].clone();
            seen.guests.push(GuestView { template: true, name: Some(name.into()), ..first });
            update(&mut state, Action::SiteSeen { site: site(), view: Arc::new(seen) });
            press(&mut state, "nbio<tab><tab><enter>");
            screen(&state);
            press(&mut state, "<down><down><enter>");
            for at in 0..40 {
                press(&mut state, if at == 20 { "<c-t>" } else { "<tab>" });
                let shown = buffer(&state, &colours());
                let bad = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
                assert!(shown.content().iter().all(|cell| !cell.symbol().chars().any(bad)));
            }
            press(&mut state, "<enter>zz");
            screen(&state);
        }
    }
}

#[test]
fn a_program_that_may_change_nothing_has_no_form() {
    let mut state = read_only(80, 24);
    for keys in ["n", "e", "E", "N"] {
        assert!(press(&mut state, keys).is_empty());
    }
    let text = Ok("kind = \"class\"".to_owned());
    update(&mut state, Action::DefinitionPrinted { lab: lab("cs101"), tool: Tool::Form, text });
    assert!(press(&mut state, "<c-s>").is_empty());
}
