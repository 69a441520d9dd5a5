//! A definition in a form: opened, typed into, chosen for, saved or left. What was typed stays until it is saved or
//! given up by name.

use super::{data::notice, say};
use crate::{
    app::{
        Command, Context, Effect, Pane, Screen, State,
        cursor::Cursor,
        edit::{self, Draft, Tool},
        lab_form::{Fault, LabForm, LabKind, lines::Lines, options::Options},
        popup::{PlanPopup, Planned, Popup},
    },
    domain::{Clean, LabName, Level, plan::Consent},
};

impl State {
    /// Whether something typed in a form is not saved.
    pub fn is_unsaved(&self) -> bool {
        self.lab_form.as_ref().is_some_and(LabForm::is_changed)
    }
}

pub(super) fn is_in_front(state: &State) -> bool {
    matches!(state.screen(), Screen::LabForm)
}

/// `n`: a new class, or a new workshop where those are.
pub(super) fn begin(state: &mut State) -> Vec<Effect> {
    let text = if state.context() == Context::Workshops { state.blank_workshop() } else { state.blank_class() };
    if !again(state) {
        open(state, None, text);
    }
    Vec::new()
}

/// `e`: the definition under the cursor.
pub(super) fn edit(state: &mut State) -> Vec<Effect> {
    if again(state) { Vec::new() } else { edit::edit(state, Tool::Form) }
}

/// Something typed earlier comes first; whether there is.
fn again(state: &mut State) -> bool {
    let unsaved = state.is_unsaved();
    if unsaved {
        show(state);
        say(state, Level::Info, "this was typed before and is not saved yet; esc leaves it");
    }
    unsaved
}

/// A form over a text.
pub(super) fn open(state: &mut State, lab: Option<LabName>, text: String) {
    match LabForm::new(lab, text) {
        Ok(form) => {
            // What could not be seen of a site is asked for again.
            state.bridges.retain(|_, bridges| bridges.is_some());
            state.lab_form = Some(form);
            show(state);
        }
        Err(why) => notice(state, None, Level::Error, why),
    }
}

fn show(state: &mut State) {
    state.screens.retain(|screen| !matches!(screen, Screen::LabForm));
    state.screens.push(Screen::LabForm);
}

fn close(state: &mut State) {
    state.lab_form = None;
    state.screens.retain(|screen| !matches!(screen, Screen::LabForm));
}

/// After everything that happened: the choices are those of what is seen now, and a text that changed is looked at.
pub(super) fn follow(state: &mut State) -> Vec<Effect> {
    let mut effects = Vec::new();
    if !is_in_front(state) {
        return effects;
    }
    state.renew_choices();
    let Some(form) = &state.lab_form else { return effects };
    let site = state.site_chosen(form).filter(|site| form.kind == LabKind::Class && state.sites.contains_key(site));
    if let Some(site) = site.filter(|site| !state.bridges.contains_key(site)) {
        state.bridges.insert(site.clone(), None);
        effects.push(Effect::LookAtBridges { site });
    }
    if let Some(form) = state.lab_form.as_mut().filter(|form| !form.checked && !form.asked) {
        form.asked = true;
        effects.push(Effect::CheckDefinition { text: form.text() });
    }
    effects
}

/// The value of the field in front may have changed.
pub(super) fn typed(state: &mut State) {
    if is_in_front(state)
        && let Some(form) = &mut state.lab_form
    {
        form.typed();
    }
}

/// A letter typed where one may only choose opens the choices; whether it did.
pub(super) fn lettered(state: &mut State, letter: char) -> bool {
    let chooses = |form: &LabForm| form.form.front().is_some_and(|field| !field.takes_text());
    if state.popup.is_some() || !is_in_front(state) || !state.lab_form.as_ref().is_some_and(chooses) {
        return false;
    }
    let typed = tui_input::Input::new(letter.to_string());
    state.popup = Some(Popup::Options(Options { typed, at: 0 }));
    true
}

pub(super) fn obey(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Save => return save(state),
        Command::Discard => {
            state.popup = None;
            close(state);
        }
        Command::ShowText => state.lab_form.iter_mut().for_each(|form| form.shows_text = !form.shows_text),
        Command::OpenOptions => open_options(state),
        Command::TakeOption => take_option(state),
        Command::NextLine => _ = in_lines(state, Lines::next),
        _ => {}
    }
    Vec::new()
}

/// The text in an editor, the form waiting.
pub(super) fn in_editor(state: &mut State) -> Vec<Effect> {
    let Some(form) = &state.lab_form else { return Vec::new() };
    vec![Effect::EditText { lab: form.lab.clone(), text: form.text() }]
}

/// The editor was left.
pub(super) fn retyped(state: &mut State, lab: Option<LabName>, text: String) {
    let Some(form) = &mut state.lab_form else { return };
    if text != form.text()
        && let Err(why) = form.retyped(text.clone())
    {
        state.popup = Some(Popup::Draft(Draft { lab, text, why }));
    }
}

/// Enter on a field: its choices, or where it has none, the next field.
fn open_options(state: &mut State) {
    let Some(form) = &mut state.lab_form else { return };
    if form.is_list() {
        let Some(field) = form.form.front() else { return };
        // A key has blanks in it.
        let words = field.key != "cloud_init.ssh_keys";
        let value = field.input.value();
        // A number of students is no name among them; it stands until one is written.
        let names = if form.counted().is_some() { "" } else { value };
        state.popup = Some(Popup::Lines(Lines::of(names, words)));
        return;
    }
    if !form.has_options() {
        return form.form.turn(1);
    }
    let mut options = Options::default();
    let stands = form.option_rows(&options).iter().position(|row| row.marked);
    options.at = stands.unwrap_or(0);
    state.popup = Some(Popup::Options(options));
}

fn take_option(state: &mut State) {
    let (Some(Popup::Options(options)), Some(form)) = (&mut state.popup, &mut state.lab_form) else { return };
    let rows = form.option_rows(options);
    let Some(row) = rows.get(options.at) else { return };
    if form.take_option(row) {
        state.popup = None;
    } else if !options.typed.value().is_empty() {
        // The whole list again, to go on with.
        options.typed.reset();
        options.at = form.option_rows(options).iter().position(|known| known.value == row.value).unwrap_or(0);
    }
}

/// Something done to the lines that are open, if they are: the field follows at once.
pub(super) fn in_lines(state: &mut State, change: impl FnOnce(&mut Lines)) -> bool {
    let (Some(Popup::Lines(lines)), Some(form)) = (&mut state.popup, &mut state.lab_form) else { return false };
    change(lines);
    if lines.count() > 0 || form.counted().is_none() {
        form.choose(&lines.value());
    }
    true
}

/// Moves in the list of choices.
pub(super) fn step(state: &mut State, delta: isize) {
    if let Some(Popup::Lines(lines)) = &mut state.popup {
        return lines.step(delta);
    }
    if let (Some(Popup::Options(options)), Some(form)) = (&mut state.popup, &state.lab_form) {
        let rows = form.option_rows(options).len();
        options.at = options.at.saturating_add_signed(delta).min(rows.saturating_sub(1));
    }
}

/// A page: to the heading above, or below.
pub(super) fn turn_group(state: &mut State, delta: isize) {
    let Some(form) = &mut state.lab_form else { return };
    let form = &mut form.form;
    let begins = |at: &usize| *at == 0 || form.fields[*at].group != form.fields[*at - 1].group;
    let found = if delta > 0 {
        (form.at + 1..form.fields.len()).find(begins).unwrap_or(form.fields.len().saturating_sub(1))
    } else {
        (0..form.at).rev().find(begins).unwrap_or(0)
    };
    form.at = found;
}

/// Esc: leaves, but not with something typed.
pub(super) fn back(state: &mut State) {
    if state.is_unsaved() {
        state.popup = Some(Popup::Unsaved);
    } else {
        close(state);
    }
}

/// Hands the text in, unless it is known to be wrong.
fn save(state: &mut State) -> Vec<Effect> {
    state.popup = None;
    let Some(form) = &mut state.lab_form else { return Vec::new() };
    let (lab, text) = (form.lab.clone(), form.text());
    if form.checked && form.wrong() > 0 {
        form.form.insisted = true;
        form.form.turn_to_wrong();
        let first = form.form.front().and_then(|field| Some((field.label, field.wrong.clone()?)));
        let why = match (first, form.faults.first()) {
            (Some((label, why)), _) => format!("{label}: {why}"),
            (None, Some(fault)) => fault.why.to_string(),
            (None, None) => return Vec::new(),
        };
        say(state, Level::Warning, format!("not saved: {why}"));
        return Vec::new();
    }
    // What was not seen may be there all the same: whoever says so twice knows better.
    if form.warned.as_ref() != Some(&text)
        && let Some((label, doubt)) = form.turn_to_doubt()
    {
        form.warned = Some(text);
        let saves = state.commands.iter().find(|e| e.command == Command::Save && e.on.contains(&Context::LabForm));
        let key = saves.and_then(|entry| entry.keys.first()).map(|key| format!(", {key} again saves it"));
        say(state, Level::Warning, format!("not saved yet{}: {label}: {doubt}", key.unwrap_or_default()));
        return Vec::new();
    }
    form.saving = true;
    vec![Effect::Define { lab, text }]
}

/// What is wrong with a text: news only while it is the newest.
pub(super) fn judged(state: &mut State, text: &str, faults: Vec<Fault>) {
    let Some(form) = &mut state.lab_form else { return };
    form.asked = false;
    if form.text() == text {
        form.judged(faults);
    }
}

/// Whether a form handed this text in.
pub(super) fn awaits(state: &State, text: &str) -> bool {
    state.lab_form.as_ref().is_some_and(|form| form.saving && form.text() == text)
}

/// It was taken: the form is done, and what it means is planned. Or not: everything stays as it was typed.
pub(super) fn defined(state: &mut State, taken: Result<Clean, Clean>) -> Vec<Effect> {
    let Some(form) = &mut state.lab_form else { return Vec::new() };
    form.saving = false;
    let what = match taken {
        Ok(what) => what,
        Err(why) => {
            let key = if form.lab.is_none() && why.as_str().starts_with("there is a lab") { "name" } else { "" };
            let mut faults = vec![Fault { key: key.to_owned(), why: why.clone() }];
            faults.extend(std::mem::take(&mut form.faults));
            form.judged(faults);
            form.form.insisted = true;
            form.form.turn_to_wrong();
            notice(state, None, Level::Error, why);
            return Vec::new();
        }
    };
    let (changed, kind) = (form.is_changed(), form.kind);
    let name = form.lab.clone().or_else(|| LabName::new(form.value("name")).ok());
    let in_front = is_in_front(state);
    close(state);
    notice(state, None, Level::Success, what);
    let Some(lab) = name.filter(|_| changed && in_front && state.popup.is_none()) else { return Vec::new() };
    let (pane, list) = match kind {
        LabKind::Class => (Pane::Classes, &mut state.classes),
        LabKind::Workshop => (Pane::Workshops, &mut state.workshops),
    };
    list.cursor = Cursor::on(lab.to_string());
    state.focus = pane;
    // What it means, and the way to carry it out.
    let popup = PlanPopup { lab: lab.clone(), plan: Planned::Asked, consent: Consent::default(), scroll: 0 };
    state.popup = Some(Popup::Plan(popup));
    vec![Effect::MakePlan { lab, fix_drift: false }]
}
