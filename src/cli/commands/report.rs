//! `report`: a summary and a bundle in a folder, to hand to somebody else.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::{
    Context,
    log_excerpt::{Wanted, excerpt},
};
use crate::{
    cli::exit::{CliError, Exit},
    domain::{Definition, LabName, RunId, class::Password},
    service::report::{About, report as gather},
};

/// Secrets met while the program was put together; what is written is searched for them.
#[derive(Debug, Default)]
pub struct Known(Mutex<Vec<String>>);

/// What a report consists of.
const FILES: [&str; 3] = ["summary.txt", "bundle.json", "log.txt"];

/// Shorter ones would cut up every other word.
const SHORTEST: usize = 4;

impl Known {
    pub fn add(&self, secret: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
        known.extend(lines.map(str::to_owned));
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    fn cut(&self, text: &str) -> String {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "‹secret›"))
    }
}

/// `report RUN` or `report LAB/SEAT`.
/// `log`: the folder of the log files.
pub async fn report(
    context: &Context,
    log: &Path,
    what: &str,
    output: Option<&Path>,
    known: &Known,
) -> Result<Exit, CliError> {
    let (about, name) = match (what.parse::<i64>(), what.split_once('/')) {
        (Ok(run), _) => (About::Run(RunId(run)), format!("run-{run}")),
        (_, Some((lab, seat))) => {
            let lab = context.lab(lab).await?;
            let seat = seat.parse().map_err(|why| CliError::Usage(format!("{why}")))?;
            let name = format!("{lab}-{seat}");
            (About::Seat(lab, seat), name)
        }
        _ => return Err(CliError::Usage(format!("{what:?} is neither a run's number nor LAB/SEAT"))),
    };
    let found = gather(&context.home, &about, context.speed).await?;
    passwords(context, &found.run.lab, known).await;
    let folder = output.map_or_else(|| PathBuf::from(format!("homeroom-report-{name}")), Path::to_owned);
    let doing = || format!("cannot write the report into {}", folder.display());
    let io = |source| CliError::Io { doing: doing(), source };
    fs::DirBuilder::new().mode(0o700).create(&folder).map_err(io)?;
    let bundle = serde_json::to_string_pretty(&found.bundle).map_err(|e| io(e.into()))?;
    let seat = match &about {
        About::Seat(_, seat) => Some(seat),
        About::Run(_) => None,
    };
    let wanted = Wanted { run: &found.run, seat, now: context.home.clock.now() };
    // The rest is worth having where the log is not to be had.
    let lines = excerpt(log, &wanted)
        .unwrap_or_else(|error| format!("the log files in {} cannot be read: {error}\n", log.display()));
    for (file, text) in FILES.into_iter().zip([&found.summary, &bundle, &lines]) {
        let mut file =
            fs::File::options().write(true).create_new(true).mode(0o600).open(folder.join(file)).map_err(io)?;
        file.write_all(known.cut(text).as_bytes()).map_err(io)?;
    }
    if context.out.json {
        context.out.object(json!({"report": folder, "files": FILES}));
    } else {
        context.out.line(known.cut(found.summary.trim_end()));
        context.out.line(format!(
            "\nwritten to {}: {}; read them before you hand them on",
            folder.display(),
            FILES.join(", ")
        ));
    }
    Ok(Exit::Done)
}

/// What students log in with is a secret too.
async fn passwords(context: &Context, lab: &LabName, known: &Known) {
    let Ok(stored) = context.home.definition(lab).await else { return };
    let Definition::Class(class) = stored.definition else { return };
    for spec in class.resolve() {
        // Others never come into homeroom's hands but for the write itself.
        if let Some(from @ Password::Generate) = &spec.cloud_init.password
            && let Ok(password) = context.home.keys.password(lab, &spec.seat, from).await
        {
            known.add(password.expose_secret());
        }
    }
}
