//! Definitions for an editor, and back from it: printed, read, checked and stored as `get` and `apply` do.

use super::{Desk, Shared};
use crate::{
    app::{Action, edit::Tool, lab_form::Fault},
    domain::{Clean, LabName, SiteName},
    service::{
        ServiceError,
        bridges::all,
        definitions::{apply, remarked},
    },
};

const NO_DESK: &str = "definitions are not edited here";

/// A lab's definition as text.
pub async fn print(shared: &Shared, lab: LabName, tool: Tool) -> Action {
    let Some(desk) = &shared.desk else {
        return Action::DefinitionPrinted { lab, tool, text: Err(Clean::new(NO_DESK)) };
    };
    let text = async {
        let stored = shared.home.definition(&lab).await?;
        // A form has no place for what an adopt could not tell.
        let remarks = if tool == Tool::Editor { remarked(&shared.home, &stored).await? } else { String::new() };
        Ok::<_, ServiceError>(format!("{remarks}{}", (desk.write)(&stored.definition)))
    };
    let text = text.await;
    Action::DefinitionPrinted { lab, tool, text: text.map_err(|error| Clean::new(error.to_string())) }
}

/// What is wrong with a text. Nothing comes of it.
pub fn check(shared: &Shared, text: String) -> Action {
    let faults = match &shared.desk {
        Some(desk) => (desk.check)(&text),
        None => vec![(String::new(), NO_DESK.to_owned())],
    };
    let faults = faults.into_iter().map(|(key, why)| Fault { key, why: Clean::new(why) }).collect();
    Action::DefinitionChecked { text, faults }
}

/// The bridges of a site, over those of its nodes that may be asked.
pub async fn bridges(shared: &Shared, site: SiteName) -> Option<Action> {
    let bridges = all(shared.home.site(&site).ok()?).await;
    Some(Action::BridgesSeen { site, bridges })
}

/// Every definition there is now.
pub async fn loaded(shared: &Shared) -> Option<Action> {
    let stored = shared.home.store.definitions().await.ok()?;
    Some(Action::DefinitionsLoaded(stored.into_iter().map(|stored| stored.definition).collect()))
}

/// Takes a text in. What was typed goes back with the answer, so that none of it is lost.
pub async fn define(shared: &Shared, lab: Option<LabName>, text: String) -> Action {
    let taken = match &shared.desk {
        Some(desk) => take(shared, desk, lab.as_ref(), &text).await,
        None => Err(NO_DESK.to_owned()),
    };
    Action::Defined { lab, text, taken: taken.map(Clean::new).map_err(Clean::new) }
}

async fn take(shared: &Shared, desk: &Desk, lab: Option<&LabName>, text: &str) -> Result<String, String> {
    let definition = (desk.read)(text)?;
    let (kind, name) = (definition.kind(), definition.name());
    match lab {
        Some(lab) if lab != name => {
            return Err(format!("it is called {name} now; a lab keeps its name, so nothing was changed"));
        }
        None if shared.home.definition(name).await.is_ok() => {
            return Err(format!("there is a lab called {name} already; choose another name"));
        }
        _ => {}
    }
    let applied = apply(&shared.home, &definition).await.map_err(|error| error.to_string())?;
    Ok(format!("{kind} {name} {}", applied.as_str()))
}
