//! `apply`, `get`, `edit`, `delete`: definitions in and out.

use std::{io::Read, path::Path, process::Command};

use serde_json::json;

use super::{
    Context,
    status::{end_and_cost, put_life},
};
use crate::{
    cli::{
        args::Format,
        exit::{CliError, Exit},
        output::time,
    },
    config::{Settings, definition, read_text},
    domain::Definition,
    service::{
        StoredDefinition,
        definitions::{Applied, apply as put, delete as remove, remarked as comments, remarks},
        status::life_of,
    },
};

/// No definition is longer, in bytes.
const LONGEST: u64 = 1 << 20;

/// `apply -f FILE…`: every file is read and checked before the first is stored.
pub async fn apply(context: &Context, settings: &Settings, files: &[std::path::PathBuf]) -> Result<Exit, CliError> {
    let mut definitions = Vec::new();
    for file in files {
        definitions.push(read(file, settings)?);
    }
    let mut applied = Vec::new();
    for definition in &definitions {
        let outcome = put(&context.home, definition).await?;
        if !context.out.json {
            context.out.line(format!("{} {} {}", definition.kind(), definition.name(), outcome.as_str()));
        }
        applied.push(json!({"lab": definition.name(), "kind": definition.kind(), "result": outcome.as_str()}));
    }
    if context.out.json {
        context.out.object(json!({ "applied": applied }));
    }
    Ok(Exit::Done)
}

fn read(file: &Path, settings: &Settings) -> Result<Definition, CliError> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        let io = |source| CliError::Io { doing: "cannot read standard input".to_owned(), source };
        std::io::stdin().take(LONGEST).read_to_end(&mut bytes).map_err(io)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| CliError::Usage("cannot read standard input: it is not UTF-8 text".to_owned()))?;
        let here = std::env::current_dir().map_err(io)?;
        return Ok(definition::parse(&text, "standard input", &here, Some(settings))?);
    }
    let text = read_text(file, LONGEST)?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(definition::parse(&text, &file.display().to_string(), folder, Some(settings))?)
}

/// `get [LAB] [-o toml]`.
pub async fn get(context: &Context, name: Option<&str>, format: Format) -> Result<Exit, CliError> {
    let mut stored = match name {
        Some(name) => vec![context.home.definition(&context.lab(name).await?).await?],
        None => context.home.store.definitions().await?,
    };
    stored.retain(|stored| context.wants(stored.definition.site()));
    let mut lives = Vec::new();
    for stored in &stored {
        lives.push(life_of(&context.home, &stored.definition).await?);
    }
    if context.out.json || format == Format::Json {
        let mut definitions = Vec::new();
        for (s, life) in stored.iter().zip(&lives) {
            let d = &s.definition;
            let mut value = json!({"lab": d.name(), "kind": d.kind(), "site": d.site(), "seats": seats(d),
                   "applied_at": time(s.applied_at), "toml": definition::to_toml(d),
                   "notes": remarks(&context.home, s).await?});
            if matches!(d, Definition::Workshop(_)) {
                put_life(&mut value, life.as_ref());
            }
            definitions.push(value);
        }
        context.out.object(json!({ "definitions": definitions }));
    } else if stored.is_empty() {
        context.out.nothing("no lab is defined; `homeroom apply -f FILE` stores one");
    } else if format == Format::Toml {
        let mut texts = Vec::new();
        for stored in &stored {
            texts.push(remarked(context, stored).await?);
        }
        context.out.line(texts.join("\n").trim_end());
    } else {
        let rows: Vec<_> = stored
            .iter()
            .zip(&lives)
            .map(|(s, life)| {
                let d = &s.definition;
                let code = life.as_ref().map(|life| life.code.to_string()).unwrap_or_default();
                let [end, cost] = life.as_ref().map(end_and_cost).unwrap_or_default();
                let (name, site) = (d.name().to_string(), d.site().to_string());
                [name, d.kind().to_owned(), site, seats(d).to_string(), source(d), code, end, cost]
            })
            .collect();
        match lives.iter().any(Option::is_some) {
            true => context.out.table(["LAB", "KIND", "SITE", "SEATS", "FROM", "CODE", "ENDS", "COST"], &rows),
            // What no lab has needs no column.
            false => {
                let rows: Vec<[String; 5]> = rows.into_iter().map(|[a, b, c, d, e, ..]| [a, b, c, d, e]).collect();
                context.out.table(["LAB", "KIND", "SITE", "SEATS", "FROM"], &rows);
            }
        }
    }
    Ok(Exit::Done)
}

/// A definition as TOML, with what its reader should know of it in front.
async fn remarked(context: &Context, stored: &StoredDefinition) -> Result<String, CliError> {
    Ok(comments(&context.home, stored).await? + &definition::to_toml(&stored.definition))
}

fn seats(definition: &Definition) -> usize {
    match definition {
        Definition::Class(class) => class.seats().len(),
        Definition::Workshop(workshop) => workshop.seats as usize,
    }
}

fn source(definition: &Definition) -> String {
    match definition {
        Definition::Class(class) => class.template.to_string(),
        Definition::Workshop(workshop) => workshop.image.clone(),
    }
}

/// `edit LAB`: the definition in `$EDITOR`; what was typed is kept when it cannot be taken.
pub async fn edit(context: &Context, settings: &Settings, name: &str) -> Result<Exit, CliError> {
    let lab = context.lab(name).await?;
    let before = context.home.definition(&lab).await?;
    let io = |doing: &str| {
        let doing = doing.to_owned();
        move |source| CliError::Io { doing, source }
    };
    let file = tempfile::Builder::new()
        .prefix(&format!("{lab}-"))
        .suffix(".toml")
        .tempfile()
        .map_err(io("cannot make a file to edit"))?;
    let text = remarked(context, &before).await?;
    std::fs::write(file.path(), text).map_err(io("cannot write the file to edit"))?;
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program)
        .args(words)
        .arg(file.path())
        .status()
        .map_err(io(&format!("cannot start the editor {program:?}; set EDITOR")))?;
    if !status.success() {
        return Err(CliError::Usage(format!("the editor ended with {status}; {lab} is unchanged")));
    }
    let text = std::fs::read_to_string(file.path()).map_err(io("cannot read the edited file"))?;
    let here = std::env::current_dir().map_err(io("cannot tell the current folder"))?;
    let outcome = match definition::parse(&text, "the edited definition", &here, Some(settings)) {
        Ok(after) if after.name() != &lab => Err(CliError::Usage(format!(
            "the edited definition is called {}; a lab keeps its name, so nothing was changed",
            after.name()
        ))),
        Ok(after) => put(&context.home, &after).await.map_err(CliError::from),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(outcome) if context.out.json => context.out.object(json!({"lab": lab, "result": outcome.as_str()})),
        Ok(Applied::Unchanged) => context.out.line(format!("{lab} unchanged")),
        Ok(_) => context.out.line(format!("{lab} changed; `homeroom plan {lab}` shows what that means")),
        Err(error) => {
            let (_, kept) = file.keep().map_err(|e| io("cannot keep the edited file")(e.error))?;
            let exit = error.exit();
            return Err(CliError::Kept { error: error.to_string(), kept, exit });
        }
    };
    Ok(Exit::Done)
}

/// `delete LAB`.
pub async fn delete(context: &Context, name: &str) -> Result<Exit, CliError> {
    let lab = context.lab(name).await?;
    remove(&context.home, &lab).await?;
    if context.out.json {
        context.out.object(json!({ "deleted": lab }));
    } else {
        context.out.line(format!("{lab} deleted"));
    }
    Ok(Exit::Done)
}
