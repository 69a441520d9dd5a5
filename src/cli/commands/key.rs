//! `key`: a lab's own SSH key, for other programs; and a new one in its place.

use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::exit::{CliError, Exit},
    domain::LabName,
    service::adopt::{self, Rekeyed},
};

/// Prints the public half, or the file of the private one as it is.
pub async fn run(context: &Context, lab: &str, private: bool) -> Result<Exit, CliError> {
    let lab = context.lab(lab).await?;
    // Only of labs there are: a key is made where none is yet.
    context.home.definition(&lab).await?;
    let key = context.home.keys.lab_key(&lab).await.map_err(crate::service::ServiceError::from)?;
    if context.out.json {
        context.out.object(json!({"lab": lab, "public": key.public, "file": key.private}));
        return Ok(Exit::Done);
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
    let seats = adopt::rekey(&context.home, &lab).await?;
    if context.out.json {
        context.out.object(json!({"lab": lab, "seats": seats.iter().map(of_seat).collect::<Vec<_>>()}));
    } else {
        tell(context, &lab, &seats);
    }
    let all = seats.iter().all(|seat| seat.outcome.is_ok());
    Ok(if all { Exit::Done } else { Exit::NotReady })
}

/// One machine that was to get a new key.
pub(super) fn of_seat(seat: &Rekeyed) -> Value {
    json!({"seat": seat.seat, "done": seat.outcome.is_ok(), "reason": seat.outcome.as_ref().err()})
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
        context.out.line(format!("`homeroom key {lab} --renew` again makes another, for all of them"));
    }
}
