//! What the seats answered to one command, equal answers folded into one block, odd ones held
//! against the majority.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use similar::{ChangeTag, TextDiff};

use super::{Clean, SeatName};

/// How a command came to its end on one seat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// With this exit code; 128 and the signal's number after a signal.
    Exit(i32),
    /// It was given up after so long; what it printed until then is kept.
    TimedOut(Duration),
    /// Something stands before the login that a person could do away with.
    Barred(Clean, Bar),
    /// It could not be run, or the connection was lost.
    Failed(Clean),
}

/// What stands before a login and can be done away with by a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bar {
    /// A host key nobody has trusted yet: of the machine itself, or of one on the way. `key` is `TYPE BASE64`.
    Stranger { host: String, fingerprint: String, key: String },
    /// A key file whose passphrase is not known.
    Locked { key: PathBuf },
}

impl End {
    pub fn is_success(&self) -> bool {
        *self == Self::Exit(0)
    }

    /// What stands before the login, if anything a person could do away with.
    pub fn bar(&self) -> Option<&Bar> {
        match self {
            Self::Barred(_, bar) => Some(bar),
            _ => None,
        }
    }
}

/// What one seat answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub seat: SeatName,
    /// Asked of the guest agent instead of a login by SSH.
    pub by_agent: bool,
    pub end: End,
    pub stdout: String,
    pub stderr: String,
    /// More was printed than is kept.
    pub cut: bool,
    /// Wall time.
    pub took: Duration,
}

impl Answer {
    /// What was printed, as lines that may be shown: standard error comes last, marked `! `.
    pub fn lines(&self) -> Vec<Clean> {
        let stderr = shown(&self.stderr).map(|line| Clean::new(format!("! {}", line.as_str())));
        shown(&self.stdout).chain(stderr).collect()
    }
}

/// Text from a seat as lines that cannot move a terminal. Of a line drawn over, as progress bars do,
/// the last state is kept.
pub fn shown(text: &str) -> impl Iterator<Item = Clean> {
    text.split_terminator('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        let last = line.rsplit('\r').next().unwrap_or_default();
        let spaces = last.len() - last.trim_start_matches(' ').len();
        // `Clean` keeps no tabs.
        Clean::new(format!("{}{}", " ".repeat(spaces), last.trim_start_matches(' ').replace('\t', "    ")))
    })
}

/// Seats that answered the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block<'a> {
    /// In the order of the answers.
    pub answers: Vec<&'a Answer>,
}

impl<'a> Block<'a> {
    /// The one that stands for all.
    pub fn answer(&self) -> &'a Answer {
        self.answers[0]
    }

    pub fn seats(&self) -> impl Iterator<Item = &'a SeatName> {
        self.answers.iter().map(|answer| &answer.seat)
    }
}

/// Folds equal answers (same end, same output), the largest block first; equally large ones in the
/// order of the answers.
pub fn fold(answers: &[Answer]) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut known: BTreeMap<(&End, &str, &str), usize> = BTreeMap::new();
    for answer in answers {
        let at = *known.entry((&answer.end, &answer.stdout, &answer.stderr)).or_insert(blocks.len());
        match blocks.get_mut(at) {
            Some(block) => block.answers.push(answer),
            None => blocks.push(Block { answers: vec![answer] }),
        }
    }
    blocks.sort_by_key(|block| std::cmp::Reverse(block.answers.len()));
    blocks
}

/// The block the others are held against: the largest, if it is more than one seat, larger than
/// every other, and came to an end of its own.
pub fn majority<'b, 'a>(blocks: &'b [Block<'a>]) -> Option<&'b Block<'a>> {
    let first = blocks.first()?;
    let size = |block: Option<&Block<'_>>| block.map_or(0, |block| block.answers.len());
    let clear = size(Some(first)) > 1 && size(Some(first)) > size(blocks.get(1));
    (clear && matches!(first.answer().end, End::Exit(_))).then_some(first)
}

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffLine {
    Same(Clean),
    /// The majority has it, and this one has not.
    Missing(Clean),
    /// This one has it, and the majority has not.
    Added(Clean),
    /// So many lines are the same.
    Skipped(usize),
}

/// Lines around a change that are shown with it.
const AROUND: usize = 1;
/// How long a difference may be looked for; what is found by then is right, if not the shortest.
const PATIENCE: Duration = Duration::from_millis(500);

/// How `odd` differs from `usual`, by lines as they are shown. Empty when they print the same.
pub fn difference(usual: &Answer, odd: &Answer) -> Vec<DiffLine> {
    let (usual, odd) = (usual.lines(), odd.lines());
    let words = |lines: &'_ [Clean]| lines.iter().map(|line| line.as_str().to_owned()).collect::<Vec<_>>();
    let (old, new) = (words(&usual), words(&odd));
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiff::configure().timeout(PATIENCE).diff_slices(&old, &new);
    let changes: Vec<_> = diff.iter_all_changes().map(|change| (change.tag(), change.value())).collect();
    let changed: Vec<usize> =
        changes.iter().enumerate().filter(|(_, (tag, _))| *tag != ChangeTag::Equal).map(|(at, _)| at).collect();
    let mut lines = Vec::new();
    let (mut skipped, mut next) = (0, 0);
    for (at, (tag, text)) in changes.iter().enumerate() {
        while changed.get(next).is_some_and(|change| change + AROUND < at) {
            next += 1;
        }
        let near = changed.get(next).is_some_and(|change| change.abs_diff(at) <= AROUND);
        if changed.is_empty() || !near {
            skipped += 1;
            continue;
        }
        if skipped > 0 {
            lines.push(DiffLine::Skipped(std::mem::take(&mut skipped)));
        }
        lines.push(match tag {
            ChangeTag::Equal => DiffLine::Same(Clean::new(text)),
            ChangeTag::Delete => DiffLine::Missing(Clean::new(text)),
            ChangeTag::Insert => DiffLine::Added(Clean::new(text)),
        });
    }
    if !lines.is_empty() && skipped > 0 {
        lines.push(DiffLine::Skipped(skipped));
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    fn names<'a>(block: &'a Block<'_>) -> Vec<&'a str> {
        block.seats().map(SeatName::as_str).collect()
    }

    #[test]
    fn equal_answers_are_one_block_and_the_largest_comes_first() {
        let answers = [
            answer("ada", 1, "x"),
            answer("bob", 0, "x"),
            answer("cid", 0, "x"),
            answer("dot", 0, "y"),
            answer("eve", 0, "x"),
        ];
        let blocks = fold(&answers);
        assert_eq!(blocks.iter().map(names).collect::<Vec<_>>(), [vec!["bob", "cid", "eve"], vec!["ada"], vec!["dot"]]);
        assert_eq!(majority(&blocks).map(names), Some(vec!["bob", "cid", "eve"]));
    }

    #[test]
    fn there_is_no_majority_among_equals_nor_of_the_unreachable() {
        assert_eq!(majority(&fold(&[answer("ada", 0, "x"), answer("bob", 0, "y")])), None);
        let gone = |seat| Answer { end: End::Failed("no route to host".into()), ..answer(seat, 0, "") };
        assert_eq!(majority(&fold(&[gone("ada"), gone("bob"), answer("cid", 0, "")])), None);
    }

    #[test]
    fn a_difference_shows_what_changed_and_counts_what_did_not() {
        let text = |n: i32| (1..=9).map(|line| format!("{}\n", if line == n { 0 } else { line })).collect::<String>();
        let lines = difference(&answer("ada", 0, &text(-1)), &answer("bob", 0, &text(5)));
        let same = |text: &str| DiffLine::Same(text.into());
        assert_eq!(
            lines,
            [
                DiffLine::Skipped(3),
                same("4"),
                DiffLine::Missing("5".into()),
                DiffLine::Added("0".into()),
                same("6"),
                DiffLine::Skipped(3)
            ]
        );
        assert_eq!(difference(&answer("ada", 0, "a\nb"), &answer("bob", 1, "a\nb")), []);
        let noisy = Answer { stderr: "oh\n".to_owned(), ..answer("bob", 0, "a\n") };
        assert_eq!(difference(&answer("ada", 0, "a\n"), &noisy), [same("a"), DiffLine::Added("! oh".into())]);
    }

    #[test]
    fn lines_keep_their_indent_and_lose_whatever_moves_a_terminal() {
        let lines: Vec<_> = shown("\x1b]0;title\x07  a\tb\r\n 10 %\r100 %\n\x1b[2Jend").collect();
        let lines: Vec<_> = lines.iter().map(Clean::as_str).collect();
        assert_eq!(lines, ["  a    b", "100 %", "end"]);
    }
}
