//! Headless commands: arguments in, text or JSON out. No screen is needed, and none is drawn.

pub mod args;
pub mod ask;
pub mod commands;
pub mod detach;
pub mod exit;
pub mod output;
mod signals;

use std::sync::Arc;

pub use args::{Args, Command, Global, SimArgs};
pub use exit::{CliError, Exit};
pub use signals::Stopper;

use self::{
    args::RunsCommand,
    commands::{
        Context, check, cp, definitions, deploy, destroy, doctor, ends, exec, inventory, join, key, logs, plan, resume,
        roster, runs, ssh, status,
    },
    output::Output,
};
use crate::{
    config::{self, Settings},
    service::{check::Deed, plan::Asked},
    wire::{self, Access, WireError},
};

impl From<WireError> for CliError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Config(error) => Self::Config(error),
            WireError::Service(error) => error.into(),
            WireError::Site { .. } | WireError::Webhook(_) => Self::Usage(error.to_string()),
        }
    }
}

/// Reads the configuration; warnings go to standard error.
pub fn settings(global: &Global) -> Result<Settings, CliError> {
    let (settings, warnings) = config::load(global.config.as_deref())?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(site) = &global.site {
        settings.site(site.as_str())?;
    }
    Ok(settings)
}

/// Carries out a headless command. Those that need more than the services (`sim`, `demo`) are `main`'s.
/// Secrets read on the way are told to `hide`.
pub async fn run(
    global: &Global,
    settings: &Settings,
    command: Command,
    hide: &(dyn Fn(&str) + Sync),
) -> Result<Exit, CliError> {
    let out = Output::new(global.json);
    if let Command::Doctor { place, trust, yes } = command {
        return examine(global, settings, out, place, trust, yes, hide).await;
    }
    if command.detaches() && !global.detached {
        return detach::start_again().await;
    }
    let known = commands::report::Known::default();
    let met = |secret: &str| {
        hide(secret);
        known.add(secret);
    };
    let home = Arc::new(wire::homeroom(settings, Access::Full, &met).await?);
    let context = Context {
        home,
        out,
        speed: settings.clock.speed,
        verbose: global.verbose,
        unicode: settings.ui.glyphs.is_unicode(|name| std::env::var(name).ok()),
        detached: global.detached,
        site: global.site.clone(),
    };
    if let Command::Report { what, output } = &command {
        return commands::report::report(
            &context,
            &settings.store.folder().join("log"),
            what,
            output.as_deref(),
            &known,
        )
        .await;
    }
    dispatch(&context, settings, command).await
}

/// `doctor` builds what it can by itself: a site that cannot be built is one of its findings.
async fn examine(
    global: &Global,
    settings: &Settings,
    out: Output,
    place: Option<String>,
    trust: Option<Vec<String>>,
    yes: bool,
    hide: &(dyn Fn(&str) + Sync),
) -> Result<Exit, CliError> {
    // `--trust campus`: the word behind the flag is the site after all.
    let (fingerprints, sites): (Vec<_>, Vec<_>) =
        trust.iter().flatten().cloned().partition(|word| doctor::is_fingerprint(word));
    let mut sites = place.into_iter().chain(sites).chain(global.site.as_ref().map(ToString::to_string));
    let site = match sites.next() {
        Some(name) => Some(settings.site(&name)?.name.clone()),
        None => None,
    };
    if let Some(other) = sites.find(|other| site.as_ref().is_none_or(|site| site.as_str() != other)) {
        return Err(CliError::Usage(format!("one site at a time, or all: {other} is one too many")));
    }
    let trust = trust.is_some().then_some(doctor::Trust { fingerprints, yes });
    doctor::doctor(out, settings, site.as_ref(), trust.as_ref(), hide).await
}

async fn dispatch(context: &Context, settings: &Settings, command: Command) -> Result<Exit, CliError> {
    match command {
        Command::Apply { files } => definitions::apply(context, settings, &files).await,
        Command::Get { lab, output } => definitions::get(context, lab.as_deref(), output).await,
        Command::Edit { lab } => definitions::edit(context, settings, &lab).await,
        Command::Delete { lab } => definitions::delete(context, &lab).await,
        Command::Plan { lab, detailed_exitcode, fix_drift, abandon_old } => {
            plan::plan(context, &lab, detailed_exitcode, Asked { fix_drift, abandon_old }).await
        }
        Command::Deploy { lab, yes, allow, .. } => deploy::deploy(context, &lab, yes, allow).await,
        Command::Destroy { what, yes, confirm, .. } => destroy::destroy(context, &what, yes, confirm.as_deref()).await,
        Command::Resume { what, run, once_free, .. } => resume::resume(context, what.as_deref(), run, once_free).await,
        Command::Cancel { run } => runs::cancel(context, run).await,
        Command::Rebuild { what, yes, abandon_old, confirm } => {
            commands::rebuild::rebuild(context, &what, yes, abandon_old, confirm.as_deref()).await
        }
        Command::Rollback { run, yes, allow_remove, confirm } => {
            commands::rebuild::rollback(context, run, yes, allow_remove, confirm.as_deref()).await
        }
        Command::Adopt { site, machines, take_over, rekey } => {
            commands::adopt::adopt(context, &site, &machines, take_over, &rekey).await
        }
        Command::Status { lab } => status::status(context, lab.as_deref()).await,
        Command::Check { what, new_host_key } => check::check(context, &what, new_host_key).await,
        Command::Start { what } => check::deed(context, &what, Deed::Start).await,
        Command::Stop { what, yes } => check::turn(context, &what, Deed::Stop, yes).await,
        Command::Restart { what, yes } => check::turn(context, &what, Deed::Restart, yes).await,
        Command::Nodes => {
            settings.has_sites()?;
            inventory::nodes(context).await
        }
        Command::Machines => status::machines(context).await,
        Command::Runs { command: None } => runs::list(context).await,
        Command::Runs { command: Some(RunsCommand::Show { run }) } => runs::show(context, run).await,
        Command::Logs { lab, run, seat, follow, level, last } => {
            let wanted = logs::Wanted { lab: lab.as_deref(), run, seat: seat.as_deref(), level, last, follow };
            logs::logs(context, &wanted).await
        }
        Command::Roster { lab, csv } => roster::roster(context, &lab, csv).await,
        Command::Extend { lab, by } => ends::extend(context, &lab, by).await,
        Command::Join { code, name } => join::join(context, &code, &name.join(" ")).await,
        Command::Expire { yes } => ends::expire(context, yes).await,
        Command::Exec { what, timeout, stdin, via, at_once, command } => {
            let asked = exec::Asked { what, timeout, stdin, way: via.into(), at_once: at_once.into(), command };
            exec::run(context, asked).await
        }
        Command::Cp { recursive, at_once, paths } => {
            cp::run(context, cp::Asked { paths, recursive, at_once: at_once.into() }).await
        }
        Command::Ssh { what, no_input, command } => ssh::run(context, ssh::Asked { what, no_input, command }).await,
        Command::Key { lab, renew: true, .. } => key::renew(context, &lab).await,
        Command::Key { lab, private, .. } => key::run(context, &lab, private).await,
        Command::Console { .. }
        | Command::Sim(_)
        | Command::Serve { .. }
        | Command::Demo { .. }
        | Command::Doctor { .. }
        | Command::Report { .. } => Err(CliError::Usage("this command is not one of the headless ones".to_owned())),
    }
}
