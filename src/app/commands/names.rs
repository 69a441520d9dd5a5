//! What commands are called: in the palette, and wherever a person writes one down.

use super::{super::Pane, Command};

const NAMES: &[(Command, &str)] = &[
    (Command::Open, "open"),
    (Command::Back, "back"),
    (Command::Quit, "quit"),
    (Command::Suspend, "suspend"),
    (Command::Help, "help"),
    (Command::Refresh, "refresh"),
    (Command::Up, "up"),
    (Command::Down, "down"),
    (Command::PageUp, "page-up"),
    (Command::PageDown, "page-down"),
    (Command::Top, "top"),
    (Command::Bottom, "bottom"),
    (Command::NextPane, "next-pane"),
    (Command::PrevPane, "previous-pane"),
    (Command::Go(Pane::Nodes), "nodes"),
    (Command::Go(Pane::Classes), "classes"),
    (Command::Go(Pane::Workshops), "workshops"),
    (Command::Go(Pane::Log), "log"),
    (Command::Filter, "filter"),
    (Command::LogFilter, "log-filter"),
    (Command::ClearLogFilter, "whole-log"),
    (Command::SeatLog, "seat-log"),
    (Command::Output, "output"),
    (Command::Runs, "runs"),
    (Command::Deploy, "deploy"),
    (Command::Destroy, "destroy"),
    (Command::Rebuild, "rebuild"),
    (Command::Rollback, "rollback"),
    (Command::Retry, "retry"),
    (Command::Check, "check"),
    (Command::Power, "power"),
    (Command::Start, "start"),
    (Command::Stop, "shut-down"),
    (Command::Restart, "restart"),
    (Command::Mark, "mark"),
    (Command::MarkRange, "mark-range"),
    (Command::MarkAll, "mark-all"),
    (Command::Order, "order"),
    (Command::OrderReverse, "order-reverse"),
    (Command::Jump, "jump"),
    (Command::CopyRow, "copy-row"),
    (Command::ConfirmCopy, "confirm-copy"),
    (Command::Shell, "shell"),
    (Command::Console, "console"),
    (Command::ShellTab, "shell-tab"),
    (Command::ShellsOfAll, "shell-on-all"),
    (Command::GiveUpShell, "give-up-shell"),
    (Command::Shells, "shells"),
    (Command::TypeIn, "type"),
    (Command::LetGo, "let-go"),
    (Command::NextTab, "next-tab"),
    (Command::PrevTab, "previous-tab"),
    (Command::CloseTab, "close-tab"),
    (Command::Zoom, "zoom"),
    (Command::Broadcast, "broadcast"),
    (Command::CopyText, "copy"),
    (Command::Pick, "pick"),
    (Command::Exec, "exec"),
    (Command::RunLine, "exec-line"),
    (Command::Answers, "answers"),
    (Command::GiveUp, "give-up"),
    (Command::TrustHost, "trust-host"),
    (Command::Unlock, "unlock"),
    (Command::Cancel, "stop-run"),
    (Command::Extend, "extend"),
    (Command::ConfirmDeploy, "confirm-deploy"),
    (Command::ConfirmDestroy, "confirm-destroy"),
    (Command::ConfirmDeed, "confirm-deed"),
    (Command::ConfirmCancel, "confirm-stop-run"),
    (Command::ConfirmQuit, "confirm-quit"),
    (Command::ConfirmShells, "confirm-shells"),
    (Command::RenewKey, "renew-ssh-key"),
    (Command::ConfirmRenew, "confirm-renew-ssh-key"),
    (Command::AllowRestart, "allow-restart"),
    (Command::AllowReplace, "allow-replace"),
    (Command::AllowRemove, "allow-remove"),
    (Command::FixDrift, "fix-drift"),
    (Command::Apply, "keep"),
    (Command::Submit, "submit"),
    (Command::Edit, "edit"),
    (Command::New, "new"),
    (Command::EditAgain, "edit-again"),
    (Command::EditText, "edit-text"),
    (Command::NewText, "new-text"),
    (Command::Save, "save"),
    (Command::Discard, "discard"),
    (Command::ShowText, "show-text"),
    (Command::OpenOptions, "open-choices"),
    (Command::TakeOption, "take-choice"),
    (Command::NextLine, "next-line"),
    (Command::NextField, "next-field"),
    (Command::PrevField, "previous-field"),
    (Command::NextValue, "next-value"),
    (Command::PrevValue, "previous-value"),
    (Command::Palette, "palette"),
    (Command::Choose, "choose"),
    (Command::Pause, "pause"),
    (Command::Search, "search"),
    (Command::SearchUp, "search-up"),
    (Command::SearchDown, "search-down"),
    (Command::Wrap, "wrap"),
    (Command::Stamps, "timestamps"),
    (Command::SaveLog, "save-log"),
];

/// What others call it: found by in the palette, and shown nowhere.
const ALSO: &[(Command, &[&str])] = &[
    (Command::Quit, &["exit", "close"]),
    (Command::Help, &["keys", "shortcuts"]),
    (Command::Refresh, &["reload", "update", "poll"]),
    (Command::Filter, &["find", "grep"]),
    (Command::Search, &["find", "grep"]),
    (Command::LogFilter, &["level", "errors"]),
    (Command::Runs, &["history", "gantt"]),
    (Command::Deploy, &["apply", "create", "launch", "up"]),
    (Command::Destroy, &["delete", "terminate", "down"]),
    (Command::Rebuild, &["recreate", "replace", "reinstall"]),
    (Command::Rollback, &["undo", "revert"]),
    (Command::Check, &["verify", "prove", "test"]),
    (Command::Stop, &["stop", "halt", "off"]),
    (Command::Power, &["reboot", "off", "on"]),
    (Command::Restart, &["reboot"]),
    (Command::Mark, &["select"]),
    (Command::MarkAll, &["select"]),
    (Command::Order, &["sort"]),
    (Command::Jump, &["go", "goto"]),
    (Command::CopyRow, &["yank", "clipboard"]),
    (Command::CopyText, &["yank", "clipboard"]),
    (Command::Shell, &["ssh", "login", "terminal"]),
    (Command::ShellTab, &["ssh", "login", "terminal"]),
    (Command::Exec, &["run"]),
    (Command::Cancel, &["cancel", "abort"]),
    (Command::Extend, &["prolong", "postpone"]),
    (Command::Edit, &["change", "modify"]),
    (Command::EditText, &["toml"]),
    (Command::New, &["add", "create"]),
    (Command::NewText, &["add", "create", "toml"]),
    (Command::Pause, &["follow", "tail"]),
    (Command::Stamps, &["time", "clock"]),
    (Command::SaveLog, &["export", "download"]),
];

impl Command {
    /// What others call it.
    pub fn also(self) -> &'static [&'static str] {
        ALSO.iter().find(|(command, _)| *command == self).map_or(&[], |(_, also)| also)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(command, _)| *command == self).map_or("", |(_, name)| name)
    }

    /// The command of this name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(command, _)| *command)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::TABLE, *};

    #[test]
    fn every_command_has_a_name_of_its_own() {
        for entry in TABLE {
            assert_eq!(Command::named(entry.command.name()), Some(entry.command), "{:?}", entry.command);
        }
        let shape = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(NAMES.iter().all(|(_, name)| shape(name)));
    }
}
