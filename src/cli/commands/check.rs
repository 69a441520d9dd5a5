//! `check`, `start`, `stop`, `restart`: what is done to machines that stand.

use super::{Context, deploy::outcome};
use crate::{
    cli::exit::{CliError, Exit},
    service::check::{Deed, carry_out, expect_new_host_keys},
};

/// The roll call again; with `new_host_key` for machines that are known to show other host keys than before.
pub async fn check(context: &Context, what: &[String], new_host_key: bool) -> Result<Exit, CliError> {
    if new_host_key {
        let (lab, seats) = context.lab_and_seats(what).await?;
        if seats.is_empty() {
            return Err(CliError::Usage(format!(
                "--new-host-key is for seats one by one: homeroom check {lab}/SEAT --new-host-key"
            )));
        }
        expect_new_host_keys(&context.home, &lab, &seats).await?;
    }
    deed(context, what, Deed::Check).await
}

pub async fn deed(context: &Context, what: &[String], deed: Deed) -> Result<Exit, CliError> {
    let (lab, seats) = context.lab_and_seats(what).await?;
    let asked = carry_out(&context.home, &lab, &seats, deed).await?;
    outcome(context, asked, deed.kind()).await
}
