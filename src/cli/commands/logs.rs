//! `logs`: events, as they were or as they come.

use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use serde_json::json;
use tokio::sync::mpsc;

use super::Context;
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::time,
        signals::Stopper,
    },
    domain::{Change, Clean, Event, LabName, Level, RunId, SeatName},
    service::{
        EventFilter, ServiceError, ShellOutput,
        exec::shown,
        follow::follow,
        inside::Inside,
        instance::{Serial, Way, last_lines},
        runs::{Standing, standing},
    },
};

/// Which lines are asked for.
pub struct Wanted<'a> {
    pub lab: Option<&'a str>,
    pub run: Option<i64>,
    pub seat: Option<&'a str>,
    pub level: Option<Level>,
    pub last: u32,
    pub follow: bool,
}

pub async fn logs(context: &Context, wanted: &Wanted<'_>) -> Result<Exit, CliError> {
    if let Some((name, seat)) = wanted.lab.and_then(|what| what.split_once('/')) {
        let lab = context.lab(name).await?;
        let seat = SeatName::new(seat).map_err(|e| CliError::Usage(e.to_string()))?;
        return match Inside::of(&context.home, &lab).await? {
            Some(inside) => printed(context, &inside, &seat, wanted).await,
            None if context.home.in_cloud(&lab).await?.is_some() => on_instance(context, &lab, &seat, wanted).await,
            None => Err(CliError::Usage(format!(
                "{lab} is a class: `homeroom logs {lab} --seat {seat}` shows what happened to a seat"
            ))),
        };
    }
    let lab = match wanted.lab {
        Some(name) => {
            let lab = context.lab(name).await?;
            context.home.definition(&lab).await?;
            Some(lab)
        }
        None => None,
    };
    let run = wanted.run.map(RunId);
    if let Some(run) = run {
        context.home.store.run(run).await?;
    }
    let seat = wanted.seat.map(SeatName::new).transpose().map_err(|e| CliError::Usage(e.to_string()))?;
    let level = wanted.level.unwrap_or(if context.verbose { Level::Debug } else { Level::Info });
    let labs = context.labs_wanted().await?;
    let is_wanted = |event: &Event| event.level >= level && labs.as_ref().is_none_or(|labs| labs.contains(&event.lab));
    let filter = EventFilter { lab, run, seat, level: Some(level), after: None, last: Some(wanted.last) };
    if wanted.follow {
        return follow_lines(context, filter, is_wanted).await;
    }
    let events = context.home.store.events(&filter).await?;
    let mut wanted = events.iter().map(|stored| &stored.event).filter(|event| is_wanted(event)).peekable();
    if wanted.peek().is_none() {
        context.out.nothing("no lines");
    }
    // Ends early when nobody reads any more.
    let _ = wanted.all(|event| show(context, event));
    Ok(Exit::Done)
}

/// Between looks whether anybody still reads, and whether a run that is followed still has a process: wall time.
const ALIVE_POLL: Duration = Duration::from_secs(1);

/// Lines as they come: those of one run until it has ended, others until an interrupt or until nobody reads.
async fn follow_lines(
    context: &Context,
    filter: EventFilter,
    is_wanted: impl Fn(&Event) -> bool,
) -> Result<Exit, CliError> {
    let run = filter.run;
    // The line that ends a run must be heard, however quiet it is and whoever's it is.
    let (seat, filter) = match run {
        Some(_) => (filter.seat.clone(), EventFilter { level: None, seat: None, ..filter }),
        None => (None, filter),
    };
    let is_wanted = |event: &Event| is_wanted(event) && (seat.is_none() || event.seat == seat);
    let mut stopper = Stopper::new()?;
    let mut alive = tokio::time::interval(ALIVE_POLL);
    let mut events = follow(context.home.store.clone(), filter);
    let mut is_over = false;
    loop {
        let event = tokio::select! {
            biased;
            () = stopper.stopped() => return Ok(Exit::Interrupted),
            event = events.recv() => match event {
                Some(event) => event?.event,
                None => return Ok(Exit::Done),
            },
            _ = alive.tick() => {
                if !context.out.is_read() {
                    return Ok(Exit::Done);
                }
                if is_over {
                    context.out.nothing("nobody carries this run out any more; `homeroom resume` goes on from there");
                    return Ok(Exit::Done);
                }
                // One more round, for lines that are on their way.
                is_over = match run {
                    Some(run) => !is_alive(context, run).await?,
                    None => false,
                };
                continue;
            }
        };
        if is_wanted(&event) && !show(context, &event) {
            return Ok(Exit::Done);
        }
        // One that was interrupted may have gone on since.
        if matches!(event.change, Change::RunEnded { .. })
            && run == Some(event.run)
            && !is_alive(context, event.run).await?
        {
            return Ok(Exit::Done);
        }
    }
}

/// Whether a process works on the run.
async fn is_alive(context: &Context, run: RunId) -> Result<bool, CliError> {
    let (row, _) = context.home.store.run(run).await?;
    Ok(standing(&context.home, &row).await? == Standing::UnderWay)
}

/// Prints one event. False when nobody reads any more.
pub fn show(context: &Context, event: &Event) -> bool {
    if context.out.json {
        let seat = event.seat.as_ref();
        return context.out.object(json!({
            "at": time(event.at), "seq": event.seq, "run": event.run, "lab": event.lab, "seat": seat,
            "machine": event.machine, "step": event.step, "level": event.level, "message": event.message,
        }));
    }
    let clock = event.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
    let seat = event.seat.as_ref().map_or("", |seat| seat.as_str());
    let step = event.step.map_or("", |step| step.as_str());
    let text = format!("{:<10} {:<12} {:<9} {}", event.lab, seat, step, event.message);
    context.out.line(format!("{}  {}", context.out.dim(&clock), context.out.levelled(event.level, text.trim_end())))
}

/// What the container of a seat of a workshop in a cloud printed; of the host, its serial port.
async fn on_instance(context: &Context, lab: &LabName, seat: &SeatName, wanted: &Wanted<'_>) -> Result<Exit, CliError> {
    only_lines(context, wanted)?;
    if !wanted.follow {
        for line in last_lines(&context.home, lab, seat, wanted.last).await? {
            context.out.line(line.as_str());
        }
        return Ok(Exit::Done);
    }
    let session = if *seat == SeatName::host() {
        match Serial::of(&context.home, lab, seat).await? {
            Some(serial) => Some(serial.follow(wanted.last).await?),
            None => None,
        }
    } else {
        match Way::of(&context.home, lab, seat).await? {
            Some(way) => Some(way.printed(wanted.last).await.map_err(ServiceError::from)?),
            None => None,
        }
    };
    let Some(mut session) = session else { return Ok(Exit::Done) };
    let mut stopper = Stopper::new()?;
    tokio::select! {
        lost = pass_on(&mut session.output) => match lost {
            Some(why) => Err(ServiceError::NotNow(format!("{lab}/{seat}: {why}")).into()),
            None => Ok(Exit::Done),
        },
        () = stopper.stopped() => Ok(Exit::Interrupted),
    }
}

fn only_lines(context: &Context, wanted: &Wanted<'_>) -> Result<(), CliError> {
    if wanted.run.is_some() || wanted.seat.is_some() || wanted.level.is_some() || context.out.json {
        return Err(CliError::Usage(
            "what a container printed has no runs and levels, and is no JSON: leave --run, --seat, --level and --json out"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Writes what comes, until it ends or nobody reads: why it was lost, where it was.
async fn pass_on(hear: &mut mpsc::Receiver<ShellOutput>) -> Option<Clean> {
    let clean = std::io::stdout().is_terminal();
    let mut begun = Vec::new();
    let mut lost = None;
    while let Some(piece) = hear.recv().await {
        match piece {
            ShellOutput::Bytes(bytes) | ShellOutput::Stderr(bytes) => begun.extend_from_slice(&bytes),
            ShellOutput::Lost(why) => lost = Some(why),
            ShellOutput::Exit(_) => {}
        }
        // Whole lines, so that nothing a container prints moves about on somebody's terminal.
        let Some(end) = begun.iter().rposition(|byte| *byte == b'\n') else { continue };
        let whole: Vec<u8> = begun.drain(..=end).collect();
        if write(&whole, clean).is_err() {
            return None;
        }
    }
    let _ = write(&begun, clean);
    lost
}

/// Pieces of output on their way to whoever reads.
const PIECES: usize = 32;

/// What the container of a workshop's seat printed, byte for byte; of the host, its proxy.
async fn printed(context: &Context, inside: &Inside, seat: &SeatName, wanted: &Wanted<'_>) -> Result<Exit, CliError> {
    only_lines(context, wanted)?;
    let id = inside.container(seat)?.id.clone();
    let mut stopper = Stopper::new()?;
    let (tell, mut hear) = mpsc::channel(PIECES);
    let engine = inside.engine.containers.clone();
    let reading = engine.printed(&id, wanted.last, wanted.follow, tell);
    let writing = async {
        let _ = pass_on(&mut hear).await;
    };
    let both = async { tokio::join!(reading, writing).0 };
    tokio::select! {
        read = both => read.map(|()| Exit::Done).map_err(|error| ServiceError::from(error).into()),
        () = stopper.stopped() => Ok(Exit::Interrupted),
    }
}

fn write(bytes: &[u8], clean: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if clean {
        for line in shown(&String::from_utf8_lossy(bytes)) {
            writeln!(out, "{line}")?;
        }
    } else {
        out.write_all(bytes)?;
    }
    out.flush()
}
