//! `check`, `start`, `stop`, `restart`: what is done to machines that stand.

use super::{
    Context,
    deploy::{nothing_to_do, watch},
};
use crate::{
    cli::exit::{CliError, Exit},
    service::{
        check::{Deed, carry_out},
        deploy::Outcome,
    },
};

pub async fn deed(context: &Context, what: &[String], deed: Deed) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(what).await?;
    match carry_out(&context.home, &lab, &seats, deed).await? {
        Outcome::NothingToDo(plan) => Ok(nothing_to_do(context, &plan)),
        Outcome::Begun(run) => watch(context, run, deed.kind()).await,
    }
}
