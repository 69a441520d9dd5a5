//! What seats answered, as lines to be read: a head for each block, the usual answer whole, odd ones as what sets
//! them apart. Screens and commands print the same.

use super::{
    Clean, SeatName,
    answers::{Answer, Block, DiffLine, End, difference, fold, majority},
};

/// More names than these are told by those that are missing.
const NAMES: usize = 8;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// How many answered so, how it ended, and who they are.
    Head { well: bool, text: String },
    /// What was printed.
    Text(Clean),
    /// Said about it, by us.
    Note(String),
    /// Of a difference: both have it.
    Same(Clean),
    /// The majority has it, and this one has not.
    Missing(Clean),
    /// This one has it, and the majority has not.
    Added(Clean),
    /// Of a difference: so many lines are the same.
    Skipped(usize),
}

/// The answers, folded. Of what a block printed no more than `most` lines are told.
pub fn told(answers: &[Answer], most: usize) -> Vec<Told> {
    let blocks = fold(answers);
    let usual = majority(&blocks);
    let mut lines = Vec::new();
    for block in &blocks {
        let answer = block.answer();
        let (count, end, who) = (block.answers.len(), words(&answer.end), names(block, answers));
        // A reason may be long, and who it concerns comes first.
        let reason = matches!(answer.end, End::Failed(_) | End::Barred(..));
        let text = format!("{count} of {}: {}: {who}", answers.len(), if reason { "failed" } else { &end });
        lines.push(Told::Head { well: answer.end.is_success(), text });
        if reason {
            lines.push(Told::Text(Clean::new(end)));
        }
        let from = lines.len();
        match usual {
            Some(usual) if usual != block && matches!(answer.end, End::Exit(_)) => apart(&mut lines, usual, answer),
            _ => whole(&mut lines, answer),
        }
        let more = (lines.len() - from).saturating_sub(most);
        if more > 0 {
            lines.truncate(from + most);
            lines.push(Told::Note(format!("… {more} more lines")));
        }
    }
    lines
}

/// How an end reads.
pub fn words(end: &End) -> String {
    match end {
        End::Exit(code) => format!("exit {code}"),
        End::TimedOut(within) if within.subsec_millis() == 0 => format!("no end within {} s", within.as_secs()),
        End::TimedOut(within) => format!("no end within {:.1} s", within.as_secs_f64()),
        End::Barred(why, _) | End::Failed(why) => why.to_string(),
    }
}

/// Everything a block printed.
fn whole(lines: &mut Vec<Told>, answer: &Answer) {
    let printed = answer.lines();
    let nothing = printed.is_empty();
    lines.extend(printed.into_iter().map(Told::Text));
    if answer.cut {
        lines.push(Told::Note("… more was printed than is kept".to_owned()));
    } else if nothing && matches!(answer.end, End::Exit(_)) {
        lines.push(Told::Note("(no output)".to_owned()));
    }
}

/// What sets an odd one apart from the majority, unless that is longer than what it printed.
fn apart(lines: &mut Vec<Told>, usual: &Block<'_>, answer: &Answer) {
    let count = usual.answers.len();
    let differing = difference(usual.answer(), answer);
    if differing.is_empty() {
        return lines.push(Told::Note(format!("(same output as the {count})")));
    }
    let common = differing.iter().any(|line| matches!(line, DiffLine::Same(_) | DiffLine::Skipped(_)));
    if !common && !answer.lines().is_empty() {
        return whole(lines, answer);
    }
    lines.push(Told::Note(format!("against the {count}:")));
    lines.extend(differing.into_iter().map(|line| match line {
        DiffLine::Same(text) => Told::Same(text),
        DiffLine::Missing(text) => Told::Missing(text),
        DiffLine::Added(text) => Told::Added(text),
        DiffLine::Skipped(n) => Told::Skipped(n),
    }));
    if answer.cut {
        lines.push(Told::Note("… more was printed than is kept".to_owned()));
    }
}

fn names(block: &Block<'_>, answers: &[Answer]) -> String {
    let listed = |seats: Vec<&SeatName>| seats.iter().map(|seat| seat.as_str()).collect::<Vec<_>>().join(", ");
    let seats: Vec<_> = block.seats().collect();
    let others: Vec<_> = answers.iter().map(|answer| &answer.seat).filter(|seat| !seats.contains(seat)).collect();
    if seats.len() > NAMES && others.is_empty() {
        "all".to_owned()
    } else if seats.len() > NAMES && others.len() <= NAMES {
        format!("all but {}", listed(others))
    } else {
        listed(seats)
    }
}

impl Told {
    /// The line as it stands on paper.
    pub fn plain(&self) -> String {
        match self {
            Self::Head { text, .. } => text.clone(),
            Self::Text(text) => format!("  {text}"),
            Self::Note(text) => format!("  {text}"),
            Self::Same(text) => format!("    {text}"),
            Self::Missing(text) => format!("  - {text}"),
            Self::Added(text) => format!("  + {text}"),
            Self::Skipped(1) => "    … 1 line the same".to_owned(),
            Self::Skipped(n) => format!("    … {n} lines the same"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn answer(seat: &str, code: i32, stdout: &str) -> Answer {
        Answer {
            seat: SeatName::new(seat).unwrap(),
            by_agent: false,
            end: End::Exit(code),
            stdout: stdout.to_owned(),
            stderr: String::new(),
            cut: false,
            took: Duration::ZERO,
        }
    }

    fn plain(answers: &[Answer], most: usize) -> Vec<String> {
        told(answers, most).iter().map(Told::plain).collect()
    }

    #[test]
    fn most_seats_are_one_block_and_the_odd_one_is_told_by_its_difference() {
        let mut answers: Vec<Answer> = (0..10).map(|n| answer(&format!("s{n}"), 0, "a\nb\nc\nd\n")).collect();
        answers[3].stdout = "a\nb\nX\nd\n".to_owned();
        assert_eq!(
            plain(&answers, 100),
            [
                "9 of 10: exit 0: all but s3",
                "  a",
                "  b",
                "  c",
                "  d",
                "1 of 10: exit 0: s3",
                "  against the 9:",
                "    … 1 line the same",
                "    b",
                "  - c",
                "  + X",
                "    d"
            ]
        );
        answers[0].end = End::Failed("no route to host".into());
        let failed = plain(&answers[..1], 2);
        assert_eq!(failed[..2], ["1 of 1: failed: s0", "  no route to host"]);
        answers[0].end = End::Exit(0);
        assert_eq!(plain(&answers[..1], 2), ["1 of 1: exit 0: s0", "  a", "  b", "  … 2 more lines"]);
    }
}
