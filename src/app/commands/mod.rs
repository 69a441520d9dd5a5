//! The one table of commands: what each is called, its keys, where it applies, whether it changes
//! anything outside. Keys, help, hints and the read-only mode are derived from it.

mod contexts;
mod keymap;
mod names;
mod reach;
mod table;

pub use keymap::Refused;
use std::borrow::Cow;
pub use table::TABLE;

use tui_input::InputRequest;

use super::{Action, Key, Pane, State};

/// Something the person at the screen can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    Open,
    Back,
    Quit,
    Suspend,
    Help,
    Refresh,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    NextPane,
    PrevPane,
    Go(Pane),
    Filter,
    LogFilter,
    ClearLogFilter,
    SeatLog,
    Output,
    Runs,
    Deploy,
    Destroy,
    Rebuild,
    Rollback,
    Retry,
    Check,
    Power,
    Start,
    Stop,
    Restart,
    Mark,
    MarkRange,
    MarkAll,
    Order,
    OrderReverse,
    Jump,
    CopyRow,
    ConfirmCopy,
    Shell,
    Console,
    ShellTab,
    ShellsOfAll,
    GiveUpShell,
    Shells,
    TypeIn,
    LetGo,
    NextTab,
    PrevTab,
    CloseTab,
    Zoom,
    Broadcast,
    CopyText,
    Pick,
    Exec,
    RunLine,
    Answers,
    GiveUp,
    TrustHost,
    Unlock,
    Cancel,
    Extend,
    ConfirmDeploy,
    ConfirmDestroy,
    ConfirmDeed,
    ConfirmCancel,
    ConfirmQuit,
    ConfirmShells,
    RenewKey,
    ConfirmRenew,
    AllowRestart,
    AllowReplace,
    AllowRemove,
    FixDrift,
    Apply,
    Submit,
    Edit,
    New,
    EditAgain,
    EditText,
    NewText,
    Save,
    Discard,
    ShowText,
    OpenOptions,
    TakeOption,
    NextLine,
    NextField,
    PrevField,
    NextValue,
    PrevValue,
    Palette,
    Choose,
    Pause,
    Search,
    SearchUp,
    SearchDown,
    Wrap,
    Stamps,
    SaveLog,
}

/// Where keys go: the focused pane, the screen or the popup in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    Nodes,
    Classes,
    Workshops,
    Log,
    Board,
    LogScreen,
    Runs,
    Run,
    /// Shells in the dashboard, while the keys are ours.
    Shells,
    /// What seats answered to a command.
    Answers,
    /// Keys go to a shell, all but one.
    Typing,
    /// A shell is being opened: keys are held for it.
    Opening,
    /// The keys came back by themselves a moment ago: what is typed now may be meant for the shell still.
    Hushed,
    Node,
    Machine,
    /// The first run's choices.
    Welcome,
    /// A form is filled in.
    Form,
    /// `/` is being typed.
    Filter,
    PlanPopup,
    DestroyPopup,
    DeedPopup,
    CopyPopup,
    CancelPopup,
    QuitPopup,
    ShellsPopup,
    RenewPopup,
    LinePopup,
    TrustPopup,
    PassphrasePopup,
    HelpPopup,
    LogFilterPopup,
    PalettePopup,
    /// A definition was not taken.
    DraftPopup,
    /// A definition is filled in.
    LabForm,
    OptionsPopup,
    LinesPopup,
    UnsavedPopup,
}

impl Context {
    /// Whether plain characters are text here.
    pub fn takes_text(self) -> bool {
        matches!(
            self,
            Self::Filter
                | Self::Form
                | Self::LabForm
                | Self::OptionsPopup
                | Self::LinesPopup
                | Self::DestroyPopup
                | Self::LinePopup
                | Self::PassphrasePopup
                | Self::LogFilterPopup
                | Self::PalettePopup
        )
    }
}

/// Under which heading help lists a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    Move,
    Lab,
    Shell,
    Log,
    Program,
    /// Inside a popup: told there, not in help.
    Popup,
}

impl Group {
    /// In the order of the help.
    pub const HELP: [(Group, &'static str); 5] = [
        (Self::Move, "moving"),
        (Self::Lab, "labs"),
        (Self::Shell, "shells"),
        (Self::Log, "log"),
        (Self::Program, "program"),
    ];
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Entry {
    pub command: Command,
    /// The key named in hints comes first.
    pub keys: Cow<'static, [Key]>,
    pub on: &'static [Context],
    /// A word or two for the bottom line; empty for none.
    pub hint: &'static str,
    pub help: &'static str,
    pub group: Group,
    /// Changes something on a site or in the store, or opens a way to.
    pub mutates: bool,
}

/// The commands this program knows: without those that change anything when it is read-only.
#[derive(Debug)]
pub struct Commands(Vec<Entry>);

impl Commands {
    pub fn new(read_only: bool) -> Self {
        Self(TABLE.iter().filter(|entry| !(read_only && entry.mutates)).cloned().collect())
    }

    /// Those of an unattended screen: nothing that changes anything, and nothing that reaches beyond the screen.
    pub fn of_kiosk() -> Self {
        Self(TABLE.iter().filter(|entry| !entry.mutates && entry.command.stays_on_screen()).cloned().collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// What a key asks for here.
    pub fn by_key(&self, context: Context, key: Key) -> Option<Command> {
        self.iter().find(|e| e.on.contains(&context) && e.keys.contains(&key)).map(|e| e.command)
    }

    /// Whether a command exists here.
    pub fn allows(&self, context: Context, command: Command) -> bool {
        self.iter().any(|e| e.command == command && e.on.contains(&context))
    }
}

/// What a key press means in this state; nothing if it means nothing.
pub fn action_for(state: &State, key: Key) -> Option<Action> {
    let context = state.context();
    if let Some(command) = state.commands.by_key(context, key) {
        return Some(Action::Do(command));
    }
    // What means nothing to a question that came by itself is of what somebody types.
    if matches!(context, Context::Opening | Context::Hushed | Context::TrustPopup) {
        return Some(Action::Hold(key.typed()));
    }
    if context.takes_text() { edit(key).map(Action::Edit) } else { None }
}

/// What a key does in a text field.
fn edit(key: Key) -> Option<InputRequest> {
    use Key::{Backspace, Char, Ctrl, Delete, End, Home, Left, Right};
    Some(match key {
        Char(c) => InputRequest::InsertChar(c),
        Backspace | Ctrl('h') => InputRequest::DeletePrevChar,
        Delete => InputRequest::DeleteNextChar,
        Left => InputRequest::GoToPrevChar,
        Right => InputRequest::GoToNextChar,
        Home | Ctrl('a') => InputRequest::GoToStart,
        End | Ctrl('e') => InputRequest::GoToEnd,
        Ctrl('u') => InputRequest::DeleteLine,
        Ctrl('k') => InputRequest::DeleteTillEnd,
        Ctrl('w') => InputRequest::DeletePrevWord,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Context as C, Key::Char, *};

    #[test]
    fn no_key_means_two_things_in_one_place() {
        let mut taken = HashSet::new();
        for entry in TABLE {
            for on in entry.on {
                for key in entry.keys.iter() {
                    assert!(taken.insert((*on, *key)), "{key} means two things on {on:?}");
                }
            }
        }
    }

    #[test]
    fn where_text_is_typed_no_letter_is_a_command() {
        for entry in TABLE.iter().filter(|entry| entry.on.iter().any(|on| on.takes_text())) {
            assert!(!entry.keys.iter().any(|key| matches!(key, Char(_))), "{:?}", entry.command);
        }
    }

    #[test]
    fn read_only_knows_no_command_that_changes_anything() {
        assert!(Commands::new(true).iter().all(|entry| !entry.mutates));
        assert!(!Commands::new(true).allows(C::PlanPopup, Command::ConfirmDeploy));
    }
}
