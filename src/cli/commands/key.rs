//! `key`: a lab's own SSH key, for other programs.

use serde_json::json;

use super::Context;
use crate::cli::exit::{CliError, Exit};

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
