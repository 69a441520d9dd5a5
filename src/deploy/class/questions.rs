//! The roll call's commands and what a guest says of itself, in one question: each question costs the
//! guest's node half a second of CPU, whatever it asks for.
//!
//! Writes the script and reads the answer; runs nothing.

use super::report::REPORT;
use crate::{
    domain::{Clean, sh::quoted},
    port::agent::ExecOutput,
};

/// Stands before the code each command ended with, in both streams.
const ENDED: &str = "@homeroom-ended ";

/// What the guest said to a [`script`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// As far as the script came: a command that failed is the last.
    pub commands: Vec<Answer>,
    /// What came behind the commands: the guest's report. Empty if a command failed.
    pub report: String,
}

/// How one command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub code: i32,
    /// Its first line; of its errors, if it said nothing else.
    pub words: String,
}

/// One script for `sh`: every command, until one fails, and then the guest's report.
pub fn script(commands: &[&[String]]) -> String {
    let mut script = String::new();
    for command in commands {
        let words: Vec<_> = command.iter().map(|word| quoted(word)).collect();
        script.push_str(&words.join(" "));
        // A newline first: not every command ends its output with one.
        script.push_str(&format!(
            "; ended=$?; echo; echo \"{ENDED}$ended\"; echo \"{ENDED}$ended\" >&2; [ $ended = 0 ] || exit 0; "
        ));
    }
    script.push_str(REPORT);
    script
}

/// Reads what the script printed.
pub fn read(output: &ExecOutput) -> Answers {
    let (said, report) = sections(&output.stdout);
    let (complained, _) = sections(&output.stderr);
    let commands = said.into_iter().enumerate().map(|(place, (code, said))| {
        let complained = complained.get(place).map_or("", |(_, words)| words.as_str());
        let words = [said.as_str(), complained].into_iter().find_map(first_line).unwrap_or_default();
        Answer { code, words }
    });
    Answers { commands: commands.collect(), report }
}

/// The first line that says something, cleaned.
pub fn first_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(|line| Clean::new(line).to_string())
}

/// What stands before each end, with its code, and what follows the last.
fn sections(text: &str) -> (Vec<(i32, String)>, String) {
    let (mut ended, mut open) = (Vec::new(), String::new());
    for line in text.lines() {
        match line.strip_prefix(ENDED).and_then(|code| code.trim().parse().ok()) {
            Some(code) => ended.push((code, std::mem::take(&mut open))),
            None => {
                open.push_str(line);
                open.push('\n');
            }
        }
    }
    (ended, open)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn command(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    /// What a real shell makes of it.
    fn asked(commands: &[Vec<String>]) -> Answers {
        let commands: Vec<_> = commands.iter().map(Vec::as_slice).collect();
        let done = std::process::Command::new("sh").args(["-c", &script(&commands)]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        read(&ExecOutput {
            code: done.status.code(),
            stdout: text(&done.stdout),
            stderr: text(&done.stderr),
            timed_out: false,
        })
    }

    #[test]
    fn every_command_is_answered_and_the_report_follows() {
        let said = asked(&[command(&["printf", "no newline"]), command(&["echo", "it's", "\"two  words\""])]);
        let words: Vec<_> = said.commands.iter().map(|answer| (answer.code, answer.words.as_str())).collect();
        assert_eq!(words, [(0, "no newline"), (0, "it's \"two  words\"")]);
        assert!(said.report.contains("cpus="), "{said:?}");
    }

    #[test]
    fn the_first_command_that_fails_is_the_last_and_says_why() {
        let said = asked(&[
            command(&["sh", "-c", "echo first >&2; echo well"]),
            command(&["sh", "-c", "echo broken >&2; exit 4"]),
            command(&["echo", "never"]),
        ]);
        let words: Vec<_> = said.commands.iter().map(|answer| (answer.code, answer.words.as_str())).collect();
        assert_eq!(words, [(0, "well"), (4, "broken")]);
        assert_eq!(said.report.trim(), "");
    }

    #[test]
    fn a_program_that_is_not_there_ends_with_127_and_is_named() {
        let said = asked(&[command(&["no-such-program"])]);
        assert_eq!(said.commands[0].code, 127);
        assert!(said.commands[0].words.contains("no-such-program"), "{said:?}");
    }

    #[test]
    fn without_commands_there_is_only_the_report() {
        let said = asked(&[]);
        assert!(said.commands.is_empty() && said.report.contains("host="), "{said:?}");
    }
}
