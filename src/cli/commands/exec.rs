//! `exec`: one command on every seat of a lab, equal answers folded into one.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;

use super::Context;
use crate::{
    cli::{
        ask::Asker,
        exit::{CliError, Exit},
        output::Output,
    },
    domain::{Level, SeatName},
    service::exec::{Answer, Bar, Block, DiffLine, End, Heard, Order, Way, difference, exec, fold, majority, shown},
};

/// The most that is taken as standard input: every seat gets all of it.
const MOST_INPUT: u64 = 64 << 20;
/// A line longer than this is shown in parts while it comes, in bytes.
const LONGEST_LINE: usize = 4096;
/// More names than these are told by those that are missing.
const NAMES: usize = 8;

/// What was asked for on the command line.
pub struct Asked {
    pub what: Vec<String>,
    pub timeout: Duration,
    pub stdin: Option<PathBuf>,
    pub way: Way,
    pub at_once: usize,
    pub command: Vec<String>,
}

pub async fn run(context: &Context, asked: Asked) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(&asked.what).await?;
    if asked.way == Way::Agent && asked.stdin.is_some() {
        return Err(CliError::Usage("--stdin goes by SSH only; leave --via agent out".to_owned()));
    }
    let order = Order {
        input: asked.stdin.as_deref().map(input).transpose()?.unwrap_or_default(),
        command: asked.command.clone(),
        within: asked.timeout,
        at_once: asked.at_once,
        way: asked.way,
    };
    let mut running = exec(&context.home, &lab, &seats, order.clone()).await?;
    let mut live = Live::new(context.out, &running.seats);
    let all = running.seats.clone();
    let mut answers: BTreeMap<SeatName, Answer> = BTreeMap::new();
    let mut asker = Asker::default();
    loop {
        while let Some(heard) = running.heard.recv().await {
            match heard {
                Heard::Piece { seat, stderr, bytes } => live.piece(&seat, stderr, &bytes),
                Heard::Ended(answer) => {
                    live.ended(&answer);
                    answers.insert(answer.seat.clone(), answer);
                }
            }
        }
        // Nothing ran on those that were barred: once that is done away with, they have their turn.
        let bar = answers.values().find_map(|answer| answer.end.bar()).cloned();
        match bar {
            Some(bar) if !context.out.json && asker.lift(running.site.as_deref(), &bar)? => {
                let barred: Vec<_> = all
                    .iter()
                    .filter(|seat| answers.get(seat).is_some_and(|a| a.end.bar().is_some()))
                    .cloned()
                    .collect();
                running = exec(&context.home, &lab, &barred, order.clone()).await?;
            }
            _ => break,
        }
    }
    // In the order of the definition.
    let answers: Vec<Answer> = all.iter().filter_map(|seat| answers.remove(seat)).collect();
    if context.out.json {
        context.out.object(json(&lab, &asked.command, &answers, running.site.is_none()));
    } else {
        live.gap();
        print(context.out, &answers);
    }
    Ok(exit(&answers))
}

fn exit(answers: &[Answer]) -> Exit {
    if answers.iter().all(|answer| answer.end.is_success()) {
        Exit::Done
    } else if answers.iter().all(|answer| matches!(answer.end, End::Barred(_, Bar::Stranger { .. }))) {
        Exit::Usage
    } else {
        Exit::NotReady
    }
}

fn input(file: &Path) -> Result<Arc<[u8]>, CliError> {
    let failed = |source| CliError::Io { doing: format!("cannot read {}", file.display()), source };
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MOST_INPUT + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MOST_INPUT + 1).read_to_end(&mut bytes))
    };
    read.map_err(failed)?;
    if bytes.len() as u64 > MOST_INPUT {
        let most = MOST_INPUT >> 20;
        return Err(CliError::Usage(format!(
            "{} is larger than {most} MiB, which is too much to feed to every seat",
            file.display()
        )));
    }
    Ok(bytes.into())
}

fn json(lab: &crate::domain::LabName, command: &[String], answers: &[Answer], by_engine: bool) -> serde_json::Value {
    let via = |answer: &Answer| match (by_engine, answer.by_agent) {
        (true, _) => "engine",
        (_, true) => "agent",
        _ => "ssh",
    };
    let blocks = fold(answers);
    let end = |end: &End| match end {
        End::Exit(code) => (json!(code), None),
        End::TimedOut(_) => (json!(null), Some(words(end))),
        End::Barred(why, _) | End::Failed(why) => (json!(null), Some(why.to_string())),
    };
    let seats = answers.iter().map(|answer| {
        let (code, error) = end(&answer.end);
        json!({"seat": answer.seat, "via": via(answer), "code": code,
               "error": error, "stdout": answer.stdout, "stderr": answer.stderr, "cut": answer.cut,
               "seconds": (answer.took.as_secs_f64() * 100.0).round() / 100.0})
    });
    let folded = blocks.iter().map(|block| {
        let (code, error) = end(&block.answer().end);
        json!({"seats": block.seats().collect::<Vec<_>>(), "code": code, "error": error})
    });
    let ok = answers.iter().filter(|answer| answer.end.is_success()).count();
    json!({"lab": lab, "command": command, "ok": ok, "failed": answers.len() - ok,
           "blocks": folded.collect::<Vec<_>>(), "seats": seats.collect::<Vec<_>>()})
}

/// How an end reads.
fn words(end: &End) -> String {
    match end {
        End::Exit(code) => format!("exit {code}"),
        End::TimedOut(within) if within.subsec_millis() == 0 => format!("no end within {} s", within.as_secs()),
        End::TimedOut(within) => format!("no end within {:.1} s", within.as_secs_f64()),
        End::Barred(why, _) | End::Failed(why) => why.to_string(),
    }
}

fn print(out: Output, answers: &[Answer]) {
    let blocks = fold(answers);
    let usual = majority(&blocks);
    for block in &blocks {
        let answer = block.answer();
        let head =
            format!("{} of {}: {}: {}", block.answers.len(), answers.len(), words(&answer.end), names(block, answers));
        let level = if answer.end.is_success() { Level::Success } else { Level::Error };
        out.line(out.levelled(level, &head));
        match usual {
            Some(usual) if usual != block && (answer.end.is_success() || matches!(answer.end, End::Exit(_))) => {
                apart(out, usual, answer);
            }
            _ => whole(out, answer),
        }
    }
}

/// Everything a block printed.
fn whole(out: Output, answer: &Answer) {
    let lines = answer.lines();
    for line in &lines {
        out.line(format!("  {line}"));
    }
    if answer.cut {
        out.line(out.dim("  … more was printed than is kept"));
    } else if lines.is_empty() && matches!(answer.end, End::Exit(_)) {
        out.line(out.dim("  (no output)"));
    }
}

/// What sets an odd one apart from the majority, unless that is longer than what it printed.
fn apart(out: Output, usual: &Block<'_>, answer: &Answer) {
    let lines = difference(usual.answer(), answer);
    if lines.is_empty() {
        out.line(out.dim(&format!("  (same output as the {})", usual.answers.len())));
        return;
    }
    if !lines.iter().any(|line| matches!(line, DiffLine::Same(_) | DiffLine::Skipped(_))) && !answer.lines().is_empty()
    {
        return whole(out, answer);
    }
    out.line(out.dim(&format!("  against the {}:", usual.answers.len())));
    for line in lines {
        out.line(match line {
            DiffLine::Same(text) => format!("    {text}"),
            DiffLine::Missing(text) => out.levelled(Level::Error, &format!("  - {text}")),
            DiffLine::Added(text) => out.levelled(Level::Success, &format!("  + {text}")),
            DiffLine::Skipped(1) => out.dim("    … 1 line the same"),
            DiffLine::Skipped(n) => out.dim(&format!("    … {n} lines the same")),
        });
    }
    if answer.cut {
        out.line(out.dim("  … more was printed than is kept"));
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

/// Lines as they come, on standard error: only where somebody looks on, and more than one seat is at work.
struct Live {
    on: bool,
    out: Output,
    width: usize,
    /// The line under way, by seat and stream.
    begun: BTreeMap<(SeatName, bool), Vec<u8>>,
    shown: bool,
}

impl Live {
    fn new(out: Output, seats: &[SeatName]) -> Self {
        Self {
            on: !out.json && seats.len() > 1 && std::io::stderr().is_terminal(),
            out,
            width: seats.iter().map(|seat| seat.as_str().len()).max().unwrap_or_default(),
            begun: BTreeMap::new(),
            shown: false,
        }
    }

    fn piece(&mut self, seat: &SeatName, stderr: bool, bytes: &[u8]) {
        if !self.on {
            return;
        }
        let line = self.begun.entry((seat.clone(), stderr)).or_default();
        line.extend_from_slice(bytes);
        let whole = match line.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => line.drain(..=end).collect::<Vec<u8>>(),
            None if line.len() > LONGEST_LINE => std::mem::take(line),
            None => return,
        };
        self.show(seat, &whole);
    }

    fn ended(&mut self, answer: &Answer) {
        if !self.on {
            return;
        }
        for stderr in [false, true] {
            if let Some(rest) = self.begun.remove(&(answer.seat.clone(), stderr)) {
                self.show(&answer.seat, &rest);
            }
        }
        if !answer.end.is_success() {
            self.say(&answer.seat, &words(&answer.end));
        }
    }

    fn show(&mut self, seat: &SeatName, bytes: &[u8]) {
        for line in shown(&String::from_utf8_lossy(bytes)) {
            self.say(seat, line.as_str());
        }
    }

    fn say(&mut self, seat: &SeatName, text: &str) {
        self.shown = true;
        eprintln!("{}", self.out.dim(&format!("{:<width$} | {text}", seat.as_str(), width = self.width)));
    }

    fn gap(&self) {
        if self.shown {
            eprintln!();
        }
    }
}
