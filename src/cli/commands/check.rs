//! `check`, `start`, `stop`, `restart`: what is done to machines that stand.

use super::{Context, deploy::outcome};
use crate::{
    cli::exit::{CliError, Exit},
    service::check::{Deed, carry_out},
};

pub async fn deed(context: &Context, what: &[String], deed: Deed) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(what).await?;
    let asked = carry_out(&context.home, &lab, &seats, deed).await?;
    outcome(context, asked, deed.kind()).await
}
