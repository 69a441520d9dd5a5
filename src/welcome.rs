//! The first run, put together: what is typed in is tried out by what `doctor` asks, and written down once.
//!
//! The only place that writes a configuration, and only where there is none.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use homeroom::{
    app::{
        self, Action, Effect, State,
        welcome::{Found, NewSite, Tried},
    },
    cli::CliError,
    config::{self, First, Folders, Settings},
    domain::{Clean, Level},
    service::doctor::{self, Finding, Grade, Options, Trustable},
    telemetry::Secrets,
    tui::{self, Look, Wires},
    wire::{self, Access},
};
use jiff::{Timestamp, tz::TimeZone};
use tokio::{runtime::Handle, sync::mpsc};

use crate::dashboard;

/// How the first run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Left,
    Demo,
    Configured,
}

/// Wishes and answers that may wait.
const QUEUE: usize = 16;

/// Shows the first run until something was chosen.
pub async fn run(settings: &Settings, secrets: &Secrets) -> Result<Outcome, CliError> {
    let (answer, actions) = mpsc::channel(QUEUE);
    let (effects, mut wishes) = mpsc::channel(QUEUE);
    let (_shells, shells) = mpsc::channel(1);
    let (file, secrets) = (settings.file.clone(), secrets.clone());
    let carried_out = tokio::spawn(async move {
        let mut outcome = Outcome::Left;
        while let Some(wish) = wishes.recv().await {
            match wish {
                Effect::TryDemo => outcome = Outcome::Demo,
                Effect::OpenDashboard => outcome = Outcome::Configured,
                Effect::TrySite(site) => {
                    let (answer, secrets) = (answer.clone(), secrets.clone());
                    // Beside the others: who goes back need not wait for an address that does not answer.
                    let runtime = Handle::current();
                    tokio::task::spawn_blocking(move || {
                        secrets.add(&site.secret.0);
                        let tried = runtime.block_on(attempt(&site));
                        let _ = answer.blocking_send(Action::SiteTried { site, tried });
                    });
                }
                Effect::WriteSite(site) => {
                    let action = match write(&file, &site) {
                        Ok(files) => {
                            Action::SiteWritten(files.iter().map(|f| Clean::new(f.display().to_string())).collect())
                        }
                        Err(why) => Action::Notice { level: Level::Error, text: Clean::new(why) },
                    };
                    let _ = answer.send(action).await;
                }
                _ => {}
            }
        }
        outcome
    });
    let state = State::new(app::Settings {
        sites: Vec::new(),
        read_only: false,
        kiosk: None,
        zone: TimeZone::system(),
        hands_over: false,
        speed: 1.0,
        proof_max_age: settings.engine.proof_max_age,
        idle: settings.engine.poll_idle,
        now: Timestamp::now(),
    })
    .with_welcome(Clean::new(settings.file.display().to_string()));
    let look = Look::chosen(&settings.ui, |name| std::env::var(name).ok())?;
    let wires = Wires { actions, effects, shells, stop: dashboard::stopper()? };
    tui::run(state, look, wires).await.map_err(|error| CliError::Usage(error.to_string()))?;
    carried_out.await.map_err(|fault| CliError::Usage(format!("the first run broke off: {fault}")))
}

/// Looks the site over as `doctor` does, with a store of its own that goes with it.
async fn attempt(site: &NewSite) -> Tried {
    match look(site).await {
        Ok(findings) => {
            let stranger = findings.iter().flat_map(|finding| &finding.trust).find_map(|trustable| match trustable {
                Trustable::Certificate { fingerprint, .. } => Some(fingerprint.clone()),
                Trustable::HostKey { .. } => None,
            });
            Tried { findings: findings.iter().map(found).collect(), stranger }
        }
        Err(why) => {
            let (check, what, mend) = (Clean::new("trying it"), Clean::new(why), Clean::default());
            Tried { findings: vec![Found { level: Level::Error, check, what, mend }], stranger: None }
        }
    }
}

async fn look(site: &NewSite) -> Result<Vec<Finding>, String> {
    let folder = tempfile::Builder::new().prefix("homeroom-").tempdir().map_err(|error| error.to_string())?;
    let secret = folder.path().join("secret");
    new_file(&secret, &site.secret.0).map_err(|error| error.to_string())?;
    let file = folder.path().join("config.toml");
    let folders = Folders::of_user().map_err(|error| error.to_string())?;
    let (mut settings, _) =
        config::parse(&text(site, &secret), &file, &folders, &|_| None).map_err(|error| error.to_string())?;
    settings.store.path = folder.path().join("homeroom.db");
    let (home, left_out) =
        wire::what_can_be_built(&settings, Access::Full, &|_| {}).await.map_err(|error| error.to_string())?;
    if let Some((_, error)) = left_out.into_iter().next() {
        return Err(error.to_string());
    }
    let scaled = settings.sites.values().all(config::Site::is_loopback);
    Ok(doctor::examine(&home, None, Options { scaled }).await)
}

fn found(finding: &Finding) -> Found {
    let level = match finding.grade {
        Grade::Ok => Level::Success,
        Grade::Warning => Level::Warning,
        Grade::Error => Level::Error,
    };
    let clean = |text: &str| Clean::new(text);
    Found { level, check: clean(finding.check), what: clean(&finding.what), mend: clean(&finding.mend) }
}

fn text(site: &NewSite, secret: &Path) -> String {
    First {
        name: site.name.as_str(),
        api: &site.api,
        environment: &site.environment,
        token_id: &site.token_id,
        secret,
        fingerprints: &site.fingerprints,
    }
    .text()
}

/// Writes the configuration and, in a file beside it, the secret; neither where one of that name is there.
fn write(file: &Path, site: &NewSite) -> Result<Vec<PathBuf>, String> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path} was not written: {error}")
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    let secret = folder.join(format!("{}.secret", site.name));
    new_file(&secret, &format!("{}\n", site.secret.0)).map_err(failed(&secret))?;
    new_file(file, &text(site, &secret)).map_err(|error| {
        // Only what was made a moment ago goes again.
        let _ = fs::remove_file(&secret);
        failed(file)(error)
    })?;
    Ok(vec![file.to_owned(), secret])
}

/// A file only its owner may read, made anew or not at all.
fn new_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
