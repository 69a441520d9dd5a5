//! `exec`: one command on every seat of a lab, equal answers folded into one.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::Context;
use crate::{
    cli::{
        Stopper,
        ask::Asker,
        exit::{CliError, Exit},
        output::Output,
    },
    domain::{
        LabName, Level, SeatName,
        told::{Told, told, words},
    },
    service::{
        ServiceError, Site,
        container::{Container, Found, named},
        exec::{Answer, Bar, End, Heard, Order, Running, Way, exec, fold, in_lxc, shown},
    },
};

/// The most that is taken as standard input: every seat gets all of it.
const MOST_INPUT: u64 = 64 << 20;
/// How long commands that were given up are waited for to hear of it: wall time.
pub(super) const SETTLE: Duration = Duration::from_secs(4);
/// A line longer than this is shown in parts while it comes, in bytes.
const LONGEST_LINE: usize = 4096;

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
    let (whom, place) = whom(context, &asked.what).await?;
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
    let mut running = whom.begin(context, None, order.clone()).await?;
    let mut live = Live::new(context.out, &running.seats);
    let all = running.seats.clone();
    let mut answers: BTreeMap<SeatName, Answer> = BTreeMap::new();
    let mut asker = Asker::default();
    let mut stopper = Stopper::new()?;
    let began = Instant::now();
    let is_stopped = 'rounds: loop {
        loop {
            let heard = tokio::select! {
                heard = running.heard.recv() => heard,
                () = stopper.stopped() => break 'rounds true,
            };
            let Some(heard) = heard else { break };
            match heard {
                Heard::Piece { seat, stderr, bytes } => live.piece(&seat, stderr, &bytes),
                Heard::Ended(answer) => {
                    live.ended(&answer);
                    answers.insert(answer.seat.clone(), answer);
                }
            }
        }
        // Nothing ran on those that were barred: once that is done away with, they have their turn.
        if context.out.json {
            break false;
        }
        let bars = answers.values().filter_map(|answer| answer.end.bar()).cloned().collect();
        let lifted = asker.lift_all(running.site.as_deref(), bars)?;
        let free = |seat: &&SeatName| answers.get(*seat).and_then(|a| a.end.bar()).is_some_and(|b| lifted.contains(b));
        let free: Vec<_> = all.iter().filter(free).cloned().collect();
        if free.is_empty() {
            break false;
        }
        running = whom.begin(context, Some(&free), order.clone()).await?;
        free.iter().for_each(|seat| drop(answers.remove(seat)));
    };
    // Nobody hears what goes on now, which ends it.
    let Running { shell, site, seats, heard, .. } = running;
    drop(heard);
    let given_up: Vec<SeatName> = seats.into_iter().filter(|seat| is_stopped && !answers.contains_key(seat)).collect();
    let late = !given_up.is_empty() || answers.values().any(|a| matches!(a.end, End::TimedOut(_)));
    if let Some(shell) = shell.filter(|_| late) {
        shell.settle(SETTLE).await;
    }
    let answered = answers.len();
    let by_agent = asked.way == Way::Agent;
    let none = |seat: &SeatName| (seat.clone(), unanswered(seat.clone(), by_agent, began.elapsed()));
    answers.extend(given_up.iter().map(none));
    // In the order of the definition.
    let answers: Vec<Answer> = all.iter().filter_map(|seat| answers.remove(seat)).collect();
    if context.out.json {
        context.out.object(json(&place, &asked.command, &answers, site.is_none()));
    } else {
        live.gap();
        print(context.out, &answers);
    }
    if !is_stopped {
        return Ok(exit(&answers));
    }
    if !context.out.json {
        let open: Vec<&str> = given_up.iter().map(SeatName::as_str).collect();
        // The terminal may be gone.
        let _ = writeln!(
            std::io::stderr(),
            "\nhomeroom: given up on {}; {answered} of {} had answered",
            open.join(", "),
            answered + open.len()
        );
    }
    Ok(Exit::Interrupted)
}

/// Of a seat that was not waited for any longer.
fn unanswered(seat: SeatName, by_agent: bool, took: Duration) -> Answer {
    let end = End::Failed("given up before it had answered".into());
    Answer { seat, by_agent, end, stdout: String::new(), stderr: String::new(), cut: false, took }
}

/// Whom the command is for.
enum Whom {
    Seats(LabName, Vec<SeatName>),
    Containers(Arc<Site>, Vec<Found>),
}

/// Reads whom the command is for, and under which name that is told in JSON.
async fn whom(context: &Context, what: &[String]) -> Result<(Whom, (&'static str, String)), CliError> {
    let containers: Vec<_> = what.iter().filter_map(|text| named(text)).collect();
    let Some((site, _)) = containers.first() else {
        let (lab, seats) = context.lab_and_seats(what).await?;
        let place = ("lab", lab.to_string());
        return Ok((Whom::Seats(lab, seats), place));
    };
    if containers.len() < what.len() || containers.iter().any(|(other, _)| other != site) {
        return Err(CliError::Usage("seats of one lab, or containers of one site, not both".to_owned()));
    }
    let vmids: Vec<_> = containers.iter().map(|(_, vmid)| *vmid).collect();
    let (on, found) = Container::all_of(&context.home, site, &vmids).await?;
    Ok((Whom::Containers(on, found), ("site", (*site).to_owned())))
}

impl Whom {
    /// Starts the command on all of them, or on those named only.
    async fn begin(&self, context: &Context, only: Option<&[SeatName]>, order: Order) -> Result<Running, ServiceError> {
        match self {
            Self::Seats(lab, seats) => exec(&context.home, lab, only.unwrap_or(seats), order).await,
            Self::Containers(site, all) => {
                let wanted = |(seat, _): &&Found| only.is_none_or(|only| only.contains(seat));
                in_lxc(site.clone(), all.iter().filter(wanted).cloned().collect(), order)
            }
        }
    }
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

fn json((kind, name): &(&str, String), command: &[String], answers: &[Answer], by_engine: bool) -> serde_json::Value {
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
    json!({*kind: name, "command": command, "ok": ok, "failed": answers.len() - ok,
           "blocks": folded.collect::<Vec<_>>(), "seats": seats.collect::<Vec<_>>()})
}

fn print(out: Output, answers: &[Answer]) {
    for line in told(answers, usize::MAX) {
        let text = line.plain();
        out.line(match line {
            Told::Head { well: true, .. } | Told::Added(_) => out.levelled(Level::Success, &text),
            Told::Head { well: false, .. } | Told::Missing(_) => out.levelled(Level::Error, &text),
            Told::Text(_) | Told::Same(_) => text,
            Told::Note(_) | Told::Skipped(_) => out.dim(&text),
        });
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
        // What somebody may be asked about is not a failure yet.
        if !answer.end.is_success() && answer.end.bar().is_none() {
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
        let line = self.out.dim(&format!("{:<width$} | {text}", seat.as_str(), width = self.width));
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    fn gap(&self) {
        if self.shown {
            // The terminal may be gone.
            let _ = writeln!(std::io::stderr());
        }
    }
}
