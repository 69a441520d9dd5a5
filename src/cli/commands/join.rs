//! `join CODE NAME`: a seat for somebody, from where the store is.

use serde_json::{Map, Value, json};

use super::Context;
use crate::{
    cli::exit::{CliError, Exit},
    domain::MachineState,
    service::ServiceError,
    service::join::{JoinError, Joined, Made, join as take, make, stands},
};

impl From<JoinError> for CliError {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::Service(error) => error.into(),
            // Whoever types it here may look after the machine too.
            JoinError::Away { why, .. } => ServiceError::NotNow(why).into(),
            JoinError::Ended { .. } | JoinError::Full { .. } => Self::Refused(error.to_string()),
            JoinError::Unknown | JoinError::NotAName(_) => Self::Usage(error.to_string()),
        }
    }
}

pub async fn join(context: &Context, code: &str, name: &str) -> Result<Exit, CliError> {
    let home = &context.home;
    let joined = take(home, code, name, None).await?;
    let mut why = None;
    if joined.made_on_joining {
        match make(home, &joined.lab, &joined.seat).await? {
            Made::Ready => {}
            // Its lines are in the log; here the end counts.
            Made::Begun(run) => drop(run.ended.await),
            Made::Not(reason) => why = Some(reason),
        }
    }
    let state = stands(home, &joined.lab, &joined.seat).await?;
    if context.out.json {
        context.out.object(answer(&joined, state));
    } else {
        let verb = if joined.again { "still has" } else { "has" };
        context.out.line(format!("{} {verb} {} of {}", joined.person, joined.seat, joined.lab));
        for (service, link) in joined.links.all() {
            context.out.line(format!("{:<9} {link}", service.as_str()));
        }
        if state != MachineState::Ready {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            eprintln!("the seat is {state}{why}; `homeroom status {}` says more", joined.lab);
        }
    }
    Ok(if state == MachineState::Ready { Exit::Done } else { Exit::NotReady })
}

/// As programs get it.
fn answer(joined: &Joined, state: MachineState) -> Value {
    let links: Map<String, Value> =
        joined.links.all().map(|(service, link)| (service.as_str().to_owned(), link.into())).collect();
    json!({"lab": joined.lab, "seat": joined.seat, "name": joined.person, "again": joined.again, "state": state,
           "link": joined.links.all().next().map(|(_, link)| link), "links": links})
}
