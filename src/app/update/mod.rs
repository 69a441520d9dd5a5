//! The one writer of the state.

mod acts;
mod asking;
mod bars;
mod data;
mod deeds;
mod lab_form;
mod moves;
mod shells;

use jiff::{SignedDuration, Timestamp};
use tui_input::InputRequest;

use super::{
    Action, Command, Context, Effect, Screen, State,
    edit::{self, Tool},
    kiosk,
    palette::Choice,
    pointer::Pointed,
    popup::Popup,
    state::Toast,
    welcome,
};
use crate::domain::{Clean, Level, planning::Deed};

/// Rows that the wheel moves at a time.
const WHEEL: usize = 3;
/// How long news stands in the bottom line.
const TOAST: SignedDuration = SignedDuration::from_secs(8);
/// How long nobody may have typed before a key counts in a place that came up by itself.
const QUIET: SignedDuration = SignedDuration::from_millis(700);

/// Takes in what happened and says what is to be done about it.
pub fn update(state: &mut State, action: Action) -> Vec<Effect> {
    let is_tick = matches!(action, Action::Tick(_));
    let shells = shells::Keys::before(state, &action);
    let mut effects = take_in(state, action);
    shells.after(state);
    bars::put(state);
    if !is_tick {
        effects.extend(lab_form::follow(state));
    }
    effects
}

fn take_in(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Tick(now) => {
            tick(state, now);
            return kiosk::tick(state);
        }
        Action::EventsArrived(events) if events.is_empty() => return Vec::new(),
        Action::Resized(..)
        | Action::Do(_)
        | Action::Edit(_)
        | Action::Paste(_)
        | Action::Hold(_)
        | Action::Pointed(_) => {}
        data => {
            state.revision += 1;
            return data::take(state, data);
        }
    }
    state.revision += 1;
    let now = state.now;
    if !matches!(action, Action::Resized(..)) {
        state.touched = now;
    }
    if let Some(kiosk) = state.kiosk.as_mut().filter(|_| !matches!(action, Action::Resized(..))) {
        kiosk.touched(now);
    }
    match action {
        Action::Resized(columns, rows) => {
            state.size = (columns, rows);
            state.shells.fit(state.size);
        }
        Action::Edit(InputRequest::InsertChar(letter)) if moves::lettered(state, letter) => return choose(state),
        Action::Edit(InputRequest::InsertChar(letter)) if lab_form::lettered(state, letter) => {}
        Action::Edit(request) if lab_form::in_lines(state, |lines| lines.edit(request)) => {}
        Action::Edit(request) => {
            if let Some(input) = moves::input(state) {
                input.handle(request);
                moves::typed(state);
            }
        }
        Action::Hold(bytes) => shells::hold(state, &bytes),
        Action::Paste(_) if state.context() == Context::Opening && state.shells.opening.is_some() => {
            say(state, Level::Warning, "pasted text is not kept for a shell that is not open yet");
        }
        Action::Paste(_) if matches!(state.context(), Context::Opening | Context::Hushed) => shells::hold(state, &[]),
        Action::Paste(text) if lab_form::in_lines(state, |lines| lines.paste(text.as_str())) => {}
        Action::Paste(text) => moves::paste(state, &text),
        Action::Pointed(pointed) => {
            let again = if matches!(pointed, Pointed::Wheel(..)) { WHEEL } else { 1 };
            let Some(command) = state.point(pointed) else { return Vec::new() };
            let once = |state: &mut State| match state.commands.allows(state.context(), command) {
                true => obey(state, command),
                false => Vec::new(),
            };
            return (0..again).flat_map(|_| once(state)).collect();
        }
        Action::Do(command) if state.commands.allows(state.context(), command) => return obey(state, command),
        _ => {}
    }
    Vec::new()
}

/// Ages step with the second; between seconds nothing on the screen changes.
fn tick(state: &mut State, now: Timestamp) {
    if now.as_second() != state.now.as_second() {
        state.revision += 1;
    }
    state.now = now;
    if state.toast.as_ref().is_some_and(|toast| toast.until <= now) {
        state.toast = None;
        state.revision += 1;
    }
}

/// Nobody typed for a moment.
fn is_quiet(state: &State) -> bool {
    state.now.duration_since(state.touched) >= QUIET
}

/// Says something in the bottom line.
fn say(state: &mut State, level: Level, text: impl Into<Clean>) {
    let until = state.now.checked_add(TOAST).unwrap_or(state.now);
    state.toast = Some(Toast { level, text: text.into(), until });
}

/// Carries out a command that exists here.
fn obey(state: &mut State, command: Command) -> Vec<Effect> {
    state.toast = None;
    match command {
        Command::Deploy => acts::plan(state),
        Command::Destroy => deeds::ask_destroy(state),
        Command::Rebuild => deeds::ask_rebuild(state),
        Command::Rollback => deeds::ask_rollback(state),
        Command::Retry => acts::retry(state),
        Command::Check => deeds::check(state),
        Command::Power => deeds::ask(state, None),
        Command::Start => deeds::choose(state, Deed::Start),
        Command::Stop => deeds::choose(state, Deed::Stop),
        Command::Restart => deeds::choose(state, Deed::Restart),
        Command::ConfirmDeed => deeds::confirm(state),
        Command::Output => {
            state.turn_output();
            Vec::new()
        }
        Command::Shell
        | Command::ShellTab
        | Command::Console
        | Command::GiveUpShell
        | Command::ShellsOfAll
        | Command::Shells
        | Command::TypeIn
        | Command::LetGo
        | Command::NextTab
        | Command::PrevTab
        | Command::CloseTab
        | Command::Zoom
        | Command::Broadcast
        | Command::CopyText
        | Command::ConfirmShells
        | Command::Pick => shells::obey(state, command),
        Command::RenewKey => acts::ask_renew(state),
        Command::ConfirmRenew => acts::renew(state),
        Command::Exec => asking::ask(state),
        Command::RunLine => asking::begin(state),
        Command::GiveUp => asking::give_up(state),
        Command::Answers => {
            asking::show(state);
            Vec::new()
        }
        Command::TrustHost | Command::Unlock => bars::answer(state, command),
        Command::Cancel => acts::ask_cancel(state),
        Command::Extend => acts::extend(state),
        Command::ConfirmDeploy => acts::deploy(state),
        Command::ConfirmDestroy => deeds::destroy(state),
        Command::ConfirmCancel => acts::cancel(state),
        Command::AllowRestart => acts::consent(state, |consent| consent.restart = !consent.restart),
        Command::AllowReplace => acts::consent(state, |consent| consent.replace = !consent.replace),
        Command::AllowRemove => acts::consent(state, |consent| consent.remove = !consent.remove),
        Command::FixDrift => acts::fix_drift(state),
        Command::Refresh => {
            say(state, Level::Info, "asking every site");
            vec![Effect::Refresh]
        }
        Command::Runs => match state.target_lab() {
            Some(lab) => state.open_runs(lab),
            None => Vec::new(),
        },
        Command::Choose if state.popup.is_none() => welcome::choose(state),
        Command::CopyRow => acts::ask_copy(state),
        Command::ConfirmCopy => acts::copy(state),
        Command::Choose => choose(state),
        Command::Submit => welcome::submit(state),
        Command::Edit => lab_form::edit(state),
        Command::New => lab_form::begin(state),
        Command::EditText if lab_form::is_in_front(state) => lab_form::in_editor(state),
        Command::EditText => edit::edit(state, Tool::Editor),
        Command::NewText => edit::begin(state),
        Command::Save
        | Command::Discard
        | Command::ShowText
        | Command::OpenOptions
        | Command::TakeOption
        | Command::NextLine => lab_form::obey(state, command),
        Command::EditAgain => edit::again(state),
        Command::SaveLog => acts::save_log(state),
        Command::Open if matches!(state.screen(), Screen::Runs(_)) => state.open_run(),
        Command::Suspend => acts::suspend(state),
        Command::Quit if !state.own_runs.is_empty() || state.shells.open() > 0 || state.is_unsaved() => {
            state.popup = Some(Popup::Quit);
            Vec::new()
        }
        Command::Quit | Command::ConfirmQuit => vec![Effect::Quit],
        looking => {
            moves::go(state, looking);
            let mut effects = state.ask_past();
            effects.extend(state.ask_output());
            effects
        }
    }
}

/// Carries out what was chosen in the palette, as if its key had been pressed there.
fn choose(state: &mut State) -> Vec<Effect> {
    let Some(choice) = moves::chosen(state) else { return Vec::new() };
    state.popup = None;
    let (command, lab) = match choice {
        Choice::Do(command) => (command, None),
        Choice::Show(lab) => (Command::Open, Some(lab)),
        Choice::For(command, lab) => (command, Some(lab)),
    };
    if let Some(lab) = lab {
        state.turn_to(&lab);
    }
    if state.commands.allows(state.context(), command) { obey(state, command) } else { Vec::new() }
}
