//! One command on many seats for the screens: what comes back, folded while the others are still at it.

use std::{sync::Arc, sync::PoisonError, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::{
    app::{Action, Effect, asked::AskId, bars::At},
    domain::{
        Clean, LabName, SeatName,
        answers::{Answer, shown},
        told::told,
    },
    service::exec::{Heard, Order, Way, exec},
};

/// For each seat, the login included. Wall time.
const WITHIN: Duration = Duration::from_secs(300);
/// Seats at work at once.
const AT_ONCE: usize = 16;
/// Lines told of one block.
const LINES: usize = 400;

/// Asks the seats and tells the screens what comes of it. `so_far` are answers of the same command.
pub(super) async fn ask(
    shared: &Arc<Shared>,
    id: AskId,
    lab: LabName,
    seats: Vec<SeatName>,
    line: String,
    so_far: Vec<Answer>,
) {
    let stop = CancellationToken::new();
    *shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some((id, stop.clone()));
    let order =
        Order { command: vec![line.clone()], input: Arc::from([]), within: WITHIN, at_once: AT_ONCE, way: Way::Auto };
    let mut running = match exec(&shared.home, &lab, &seats, order).await {
        Ok(running) => running,
        Err(error) => {
            let why = Some(Clean::new(error.to_string()));
            shared.say(Action::Answered { id, why }).await;
            return;
        }
    };
    let all = running.seats.len() + so_far.len();
    let mut answers = so_far;
    let mut given_up = false;
    loop {
        let heard = tokio::select! {
            heard = running.heard.recv() => heard,
            () = stop.cancelled() => {
                given_up = true;
                None
            }
        };
        match heard {
            None => break,
            Some(Heard::Piece { seat, bytes, .. }) => said(shared, id, seat, &bytes).await,
            Some(Heard::Ended(answer)) => {
                answers.push(answer);
                // Those that came meanwhile are folded along.
                while let Ok(heard) = running.heard.try_recv() {
                    match heard {
                        Heard::Ended(answer) => answers.push(answer),
                        Heard::Piece { seat, bytes, .. } => said(shared, id, seat, &bytes).await,
                    }
                }
                answers = folded(shared, id, answers, all).await;
            }
        }
    }
    // Nothing ran on those that were barred: once that is done away with, they have their turn.
    let bar = answers.iter().find_map(|answer| answer.end.bar()).cloned();
    if let Some(bar) = bar.filter(|_| !given_up) {
        let (barred, so_far): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.end.bar().is_some());
        let seats = barred.into_iter().map(|answer| answer.seat).collect();
        let then = Effect::Exec { id, lab: lab.clone(), seats, line, so_far };
        shared.say(Action::Barred { at: At::Lab(lab), bar, then }).await;
    }
    let why = given_up.then(|| Clean::new("given up before all had answered"));
    shared.say(Action::Answered { id, why }).await;
}

/// No more answers are waited for.
pub(super) fn give_up(shared: &Shared, id: AskId) {
    if let Some((_, stop)) =
        shared.asked.lock().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|(known, _)| *known == id)
    {
        stop.cancel();
    }
}

/// The last line of a piece that has any text.
async fn said(shared: &Arc<Shared>, id: AskId, seat: SeatName, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(line) = shown(&text).filter(|line| !line.is_empty()).last() {
        shared.say(Action::Said { id, seat, line }).await;
    }
}

/// Folds what has been answered, apart: odd answers are held against the usual one line by line.
async fn folded(shared: &Arc<Shared>, id: AskId, mut answers: Vec<Answer>, seats: usize) -> Vec<Answer> {
    let folding = tokio::task::spawn_blocking(move || {
        answers.sort_by(|a, b| a.seat.cmp(&b.seat));
        let lines = told(&answers, LINES);
        (answers, lines)
    });
    match folding.await {
        Ok((answers, told)) => {
            let answered = answers.iter().map(|answer| answer.seat.clone()).collect();
            shared.say(Action::Told { id, answered, seats, told }).await;
            answers
        }
        Err(fault) => {
            tracing::error!(%fault, "answers were not folded");
            Vec::new()
        }
    }
}
