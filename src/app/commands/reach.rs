//! How far a command reaches. Whoever adds one has to say: the match below leaves none out.

use super::Command;

impl Command {
    /// Whether all that comes of it happens on the screen: no site, no store, no file, no clipboard, no process.
    /// Those that change anything are marked in the table besides; for a kiosk both have to hold.
    pub fn stays_on_screen(self) -> bool {
        match self {
            Self::Open
            | Self::Back
            | Self::Quit
            | Self::Help
            | Self::Refresh
            | Self::Up
            | Self::Down
            | Self::PageUp
            | Self::PageDown
            | Self::Top
            | Self::Bottom
            | Self::NextPane
            | Self::PrevPane
            | Self::Go(_)
            | Self::Filter
            | Self::LogFilter
            | Self::ClearLogFilter
            | Self::SeatLog
            | Self::Output
            | Self::Runs
            | Self::ConfirmQuit
            | Self::Apply
            | Self::NextField
            | Self::PrevField
            | Self::NextValue
            | Self::PrevValue
            | Self::Palette
            | Self::Choose
            | Self::Pause
            | Self::Search
            | Self::SearchUp
            | Self::SearchDown
            | Self::Wrap
            | Self::Stamps
            | Self::Order
            | Self::OrderReverse
            | Self::Jump => true,
            // Stops the process for whoever started it.
            Self::Suspend
            // Plans, runs and machines.
            | Self::Deploy
            | Self::Destroy
            | Self::Rebuild
            | Self::Rollback
            | Self::Retry
            | Self::Check
            | Self::Cancel
            | Self::Extend
            | Self::ConfirmDeploy
            | Self::ConfirmDestroy
            | Self::ConfirmCancel
            | Self::AllowRestart
            | Self::AllowReplace
            | Self::AllowRemove
            | Self::FixDrift
            | Self::Power
            | Self::Start
            | Self::Stop
            | Self::Restart
            | Self::ConfirmDeed
            // The first run writes a configuration.
            | Self::Submit
            // An editor can do anything.
            | Self::Edit
            | Self::New
            | Self::EditAgain
            | Self::EditText
            | Self::NewText
            // Forms are for saving.
            | Self::Save
            | Self::Discard
            | Self::ShowText
            | Self::OpenOptions
            | Self::TakeOption
            | Self::NextLine
            // Marks are for acting on.
            | Self::Mark
            | Self::MarkRange
            | Self::MarkAll
            // Logins.
            | Self::Shell
            | Self::Console
            | Self::ShellTab
            | Self::GiveUpShell
            | Self::ShellsOfAll
            | Self::Shells
            | Self::TypeIn
            | Self::LetGo
            | Self::NextTab
            | Self::PrevTab
            | Self::CloseTab
            | Self::ConfirmShells
            | Self::RenewKey
            | Self::ConfirmRenew
            | Self::Zoom
            | Self::Broadcast
            | Self::Pick
            | Self::Exec
            | Self::RunLine
            | Self::Answers
            | Self::GiveUp
            | Self::TrustHost
            | Self::Unlock
            // The clipboard of whoever looks on, and files.
            | Self::CopyRow
            | Self::ConfirmCopy
            | Self::CopyText
            | Self::SaveLog => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Commands, TABLE};

    #[test]
    fn an_unattended_screen_has_no_command_that_changes_anything_or_leaves_the_screen() {
        let commands = Commands::of_kiosk();
        let kept: Vec<_> = commands.iter().collect();
        assert!(kept.iter().all(|entry| !entry.mutates && entry.command.stays_on_screen()));
        // What the table calls a change is none of the screen's, whatever is said here.
        assert!(TABLE.iter().filter(|entry| entry.mutates).all(|entry| !entry.command.stays_on_screen()));
    }
}
