//! `check`, `start`, `stop`, `restart`: what is done to machines that stand.

use super::{
    Context,
    deploy::{nothing_to_do, watch},
    lab_and_seats,
};
use crate::{
    cli::exit::{CliError, Exit},
    service::{
        check::{Deed, carry_out},
        deploy::Outcome,
    },
};

pub async fn deed(context: &Context, what: &[String], deed: Deed) -> Result<Exit, CliError> {
    let (lab, seats) = lab_and_seats(what)?;
    match carry_out(&context.home, &lab, &seats, deed).await? {
        Outcome::NothingToDo(plan) => {
            nothing_to_do(context, &plan);
            Ok(if deed == Deed::Check { Exit::NotReady } else { Exit::Done })
        }
        Outcome::Begun(run) => watch(context, run).await,
    }
}
