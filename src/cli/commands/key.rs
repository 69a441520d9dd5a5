//! `key`: a lab's own SSH key, for other programs; and a new one in its place.

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::{
    cli::{
        exit::{CliError, Exit},
        signals::Stopper,
    },
    domain::LabName,
    service::{
        adopt::{self, Rekeyed},
        own_key,
    },
};

/// Prints the public half, or the file of the private one as it is.
pub async fn run(context: &Context, lab: &str, private: bool) -> Result<Exit, CliError> {
    let lab = context.lab(lab).await?;
    // Only of labs there are: a key is made where none is yet.
    context.home.definition(&lab).await?;
    let (progress, _) = context.home.store.progress(&lab).await.map_err(crate::service::ServiceError::from)?;
    let key = own_key::known(&context.home, &lab, &progress).await?;
    if context.out.json {
        let renewal = key.renewal.as_ref().map(|renewal| {
            let others: Vec<_> =
                renewal.pairs.iter().map(|(file, public)| json!({"public": public, "file": file})).collect();
            json!({"seats": renewal.seats, "others": others})
        });
        context.out.object(json!({"lab": lab, "public": key.public, "file": key.private, "renewal": renewal}));
        return Ok(Exit::Done);
    }
    if let Some(words) = own_key::unfinished(&lab, &key) {
        eprintln!("homeroom: {words}");
    }
    if private {
        let text = std::fs::read_to_string(&key.private)
            .map_err(|source| CliError::Io { doing: format!("cannot read {}", key.private.display()), source })?;
        context.out.line(text.trim_end());
    } else {
        context.out.line(key.public.trim_end());
    }
    Ok(Exit::Done)
}

/// Makes a new key and gives it to every machine. One that could not be given it is named: asking again does.
pub async fn renew(context: &Context, lab: &str) -> Result<Exit, CliError> {
    let lab = context.lab(lab).await?;
    let (seats, stopped) = give(context, &lab).await?;
    if context.out.json {
        context.out.object(json!({"lab": lab, "seats": seats.iter().map(of_seat).collect::<Vec<_>>()}));
    } else {
        tell(context, &lab, &seats);
    }
    let all = seats.iter().all(|seat| seat.outcome.is_ok());
    Ok(match (all, stopped) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Interrupted,
        (false, false) => Exit::NotReady,
    })
}

/// Gives every machine a new key, and tells whether somebody stopped it. Asked to, the machines under way are finished;
/// asked once more, it ends there and then.
pub(super) async fn give(context: &Context, lab: &LabName) -> Result<(Vec<Rekeyed>, bool), CliError> {
    let (stop, mut stopper) = (CancellationToken::new(), Stopper::new()?);
    let giving = adopt::rekey(&context.home, lab, &stop);
    tokio::pin!(giving);
    loop {
        tokio::select! {
            given = &mut giving => return Ok((given?, stop.is_cancelled())),
            () = stopper.stopped() => {
                let again = format!("`homeroom key {lab} --renew` goes on; until then the old key logs in where the new one is not");
                if stop.is_cancelled() {
                    return Err(CliError::Stopped(format!("{lab}: stopped in the middle; {again}")));
                }
                stop.cancel();
                eprintln!("homeroom: finishing with the machines under way; once more stops at once");
            }
        }
    }
}

/// One machine that was to get a new key.
pub(super) fn of_seat(seat: &Rekeyed) -> Value {
    json!({"seat": seat.seat, "done": seat.outcome.is_ok(), "reason": seat.outcome.as_ref().err(),
        "old_logs_in": seat.old_logs_in})
}

/// Which machines have the new key.
pub(super) fn tell(context: &Context, lab: &LabName, seats: &[Rekeyed]) {
    let done = seats.iter().filter(|seat| seat.outcome.is_ok()).count();
    context.out.line(format!("{lab}: {done} of {} machines have the new key", seats.len()));
    for seat in seats {
        if let Err(why) = &seat.outcome {
            context.out.line(format!("  {lab}/{} has not: {why}", seat.seat));
        }
    }
    if done < seats.len() {
        let left = seats.len() - done;
        let old: Vec<&str> = seats.iter().filter(|seat| seat.old_logs_in).map(|seat| seat.seat.as_str()).collect();
        let old = match old.len() {
            0 => String::new(),
            all if all == left => "the old key still logs in there; ".to_owned(),
            _ => format!("the old key still logs in to {}; ", old.join(", ")),
        };
        let them = if left == 1 { "it" } else { "them" };
        context.out.line(format!("{old}`homeroom key {lab} --renew` again goes on with {them}"));
    }
}
