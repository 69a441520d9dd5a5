//! `logs`: events, as they were or as they come.

use serde_json::json;

use super::{Context, lab};
use crate::{
    cli::{
        exit::{CliError, Exit},
        output::time,
        signals::Stopper,
    },
    domain::{Event, Level, RunId, SeatName},
    service::{EventFilter, follow::follow},
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
    let lab = wanted.lab.map(lab).transpose()?;
    if let Some(lab) = &lab {
        context.home.definition(lab).await?;
    }
    let run = wanted.run.map(RunId);
    if let Some(run) = run {
        context.home.store.run(run).await?;
    }
    let seat = wanted.seat.map(SeatName::new).transpose().map_err(|e| CliError::Usage(e.to_string()))?;
    let usual = if context.verbose { Level::Debug } else { Level::Info };
    let filter = EventFilter {
        lab,
        run,
        seat,
        level: Some(wanted.level.unwrap_or(usual)),
        after: None,
        last: Some(wanted.last),
    };
    if !wanted.follow {
        for event in context.home.store.events(&filter).await? {
            show(context, &event.event);
        }
        return Ok(Exit::Done);
    }
    let mut stopper = Stopper::new()?;
    let mut events = follow(context.home.store.clone(), filter);
    loop {
        tokio::select! {
            () = stopper.pressed() => return Ok(Exit::Interrupted),
            event = events.recv() => match event {
                Some(event) => {
                    let event = event?.event;
                    show(context, &event);
                    let ended = matches!(event.change, crate::domain::Change::RunEnded { .. });
                    if ended && run == Some(event.run) {
                        return Ok(Exit::Done);
                    }
                }
                None => return Ok(Exit::Done),
            }
        }
    }
}

/// Prints one event. As JSON every one; for people, debug lines only when asked for.
pub fn show(context: &Context, event: &Event) {
    if context.out.json {
        let seat = event.seat.as_ref();
        context.out.object(json!({
            "at": time(event.at), "seq": event.seq, "run": event.run, "lab": event.lab, "seat": seat,
            "machine": event.machine, "step": event.step, "level": event.level, "message": event.message,
        }));
        return;
    }
    if event.level == Level::Debug && !context.verbose {
        return;
    }
    let clock = event.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string();
    let seat = event.seat.as_ref().map_or("", |seat| seat.as_str());
    let step = event.step.map_or("", |step| step.as_str());
    let text = format!("{:<10} {:<12} {:<9} {}", event.lab, seat, step, event.message);
    context.out.line(format!("{}  {}", context.out.dim(&clock), context.out.levelled(event.level, text.trim_end())));
}
