//! `resume`: goes on with a run that was broken off.

use super::{Context, deploy::outcome};
use crate::{
    cli::exit::{CliError, Exit},
    domain::RunId,
    service::runs,
};

/// `resume RUN` or `resume LAB`; `once_free`: as soon as whoever has it lets it go.
pub async fn resume(
    context: &Context,
    what: Option<&str>,
    run: Option<i64>,
    once_free: bool,
) -> Result<Exit, CliError> {
    let run = match (run, what) {
        (Some(run), _) => RunId(run),
        (None, Some(text)) => match text.parse() {
            Ok(run) => RunId(run),
            Err(_) => runs::latest(&context.home, &context.lab(text).await?).await?,
        },
        (None, None) => return Err(CliError::Usage("name a run or a lab: homeroom resume RUN|LAB".to_owned())),
    };
    if once_free {
        runs::until_free(&context.home, run).await?;
    }
    let (row, _) = context.home.store.run(run).await?;
    outcome(context, runs::resume(&context.home, run).await?, row.kind).await
}
