//! homeroom: the composition root. Reads as a table of contents.

mod dashboard;
mod welcome;

use std::{
    io::{ErrorKind, Write},
    net::{IpAddr, SocketAddr},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Parser;
use homeroom::{
    cli::{self, Args, CliError, Command, Exit, Global, SimArgs},
    config::Settings,
    demo::{self, Stage},
    serve,
    telemetry::{self, Readers, Secrets},
    wire::{self, Access},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let args = Args::parse();
    let secrets = Secrets::default();
    if let Err(error) = telemetry::install_reports(secrets.clone()) {
        eprintln!("homeroom: {error}");
    }
    match start(args, &secrets) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("homeroom: {}", secrets.redact(&error.to_string()));
            error.exit().into()
        }
    }
}

/// Threads at most that carry tasks out: nearly all of them wait for others, and each thread keeps memory of its own.
const WORKERS: usize = 4;

fn start(args: Args, secrets: &Secrets) -> Result<Exit, CliError> {
    if args.global.detached {
        cli::detach::begin_session()?;
    }
    let processors = std::thread::available_parallelism().map_or(WORKERS, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.min(WORKERS))
        .enable_all()
        .build()
        .map_err(|source| CliError::Io { doing: "cannot start the runtime".to_owned(), source })?;
    let mut throw_away = None;
    let exit = runtime.block_on(command(args, secrets, &mut throw_away));
    match throw_away {
        // Threads that wait for a network would hold the end up; what matters is on disk.
        None => runtime.shutdown_background(),
        // Here nothing matters, but whoever still wrote into the folder would keep it from going.
        Some(folder) => {
            runtime.shutdown_timeout(LAST_WORDS);
            remove(folder);
        }
    }
    exit
}

async fn command(args: Args, secrets: &Secrets, throw_away: &mut Option<TempDir>) -> Result<Exit, CliError> {
    match args.command {
        Some(_) if args.kiosk => Err(CliError::Usage("--kiosk is the dashboard's and goes with no command".to_owned())),
        None if args.kiosk => kiosk(&args.global, secrets).await,
        None => site(&args.global, secrets, throw_away).await,
        Some(Command::Demo { speed, scenario, docker }) => {
            let folder = throw_away.insert(temporary()?).path();
            let stage = Stage { scenario, version: None, listen: ([127, 0, 0, 1], 0).into(), speed };
            demonstrate(stage, docker.as_deref(), folder, secrets).await
        }
        Some(Command::Sim(args)) => simulate(args, throw_away.insert(temporary()?).path()).await,
        Some(Command::Serve { listen, trust_proxy }) => serve_joins(&args.global, listen, trust_proxy, secrets).await,
        Some(Command::Ssh { what, command, .. }) if command.is_empty() => {
            let settings = cli::settings(&args.global)?;
            let _log = log_of_store(&settings, secrets)?;
            let home = wire::homeroom(&settings, Access::Full, &|secret| secrets.add(secret)).await?;
            dashboard::shell(&home, &what, dashboard::Where::Shell).await
        }
        Some(Command::Console { what }) => {
            let settings = cli::settings(&args.global)?;
            let _log = log_of_store(&settings, secrets)?;
            let home = wire::homeroom(&settings, Access::Full, &|secret| secrets.add(secret)).await?;
            dashboard::shell(&home, &what, dashboard::Where::Console).await
        }
        Some(command) => {
            let settings = cli::settings(&args.global)?;
            let _log = log_of_store(&settings, secrets)?;
            cli::run(&args.global, &settings, command, &|secret| secrets.add(secret)).await
        }
    }
}

/// No command: the dashboard on the configured sites.
async fn site(global: &Global, secrets: &Secrets, throw_away: &mut Option<TempDir>) -> Result<Exit, CliError> {
    dashboard::needs_a_terminal()?;
    let mut settings = cli::settings(global)?;
    if settings.is_first_run() {
        match welcome::run(&settings, secrets).await? {
            welcome::Outcome::Left => return Ok(Exit::Done),
            welcome::Outcome::Demo => {
                let folder = throw_away.insert(temporary()?).path();
                return demonstrate(Stage::demo(), None, folder, secrets).await;
            }
            welcome::Outcome::Configured => settings = cli::settings(global)?,
        }
    }
    settings.has_sites()?;
    let _log = log_of_store(&settings, secrets)?;
    let home = wire::homeroom(&settings, Access::Full, &|secret| secrets.add(secret)).await?;
    dashboard::run(&settings, Arc::new(home), dashboard::AtTheEnd::FinishRuns, None).await
}

/// `--kiosk`: the dashboard unattended. It writes nothing, so there is no log file either.
async fn kiosk(global: &Global, secrets: &Secrets) -> Result<Exit, CliError> {
    dashboard::needs_a_terminal()?;
    let settings = cli::settings(global)?;
    settings.has_sites()?;
    let hide = |secret: &str| secrets.add(secret);
    let (home, left_out) = wire::what_can_be_built(&settings, Access::Monitor, &hide).await?;
    let pagers = wire::pagers(&settings.kiosk, &hide)?;
    let words = |error: wire::WireError| secrets.redact(&error.to_string()).into_owned();
    let mut blind: Vec<_> = left_out.into_iter().map(|(site, error)| (site, words(error))).collect();
    // With nothing to look at at all it is a mistake to be told at once.
    if home.sites.is_empty()
        && let Some((_, why)) = blind.pop()
    {
        return Err(CliError::Usage(why));
    }
    dashboard::kiosk(&settings, Arc::new(home), pagers, blind).await
}

/// `demo`: the dashboard on a simulated cluster, in a folder that goes with it; with a workshop on a real engine where
/// one answers, which goes too.
async fn demonstrate(stage: Stage, docker: Option<&str>, folder: &Path, secrets: &Secrets) -> Result<Exit, CliError> {
    dashboard::needs_a_terminal()?;
    let _log = log_into(folder, Readers::Owner, secrets)?;
    let hide = |secret: &str| secrets.add(secret);
    let speed = stage.speed;
    let (staged, project) = stage.with_config(folder, &hide).await?.with_cloud(speed, &hide).await?;
    let (staged, visit, told) = staged.with_engine(docker).await?;
    let home = Arc::new(staged.home);
    // What stands already proves itself while one looks on.
    let proven = demo::roll_call(&home);
    let at_the_end = if visit.is_some() { dashboard::AtTheEnd::WindRunsDown } else { dashboard::AtTheEnd::LeaveRuns };
    let exit = dashboard::run(&staged.settings, home, at_the_end, Some((told, proven))).await;
    if let Some(visit) = visit {
        // The terminal may be gone.
        let tell = |words: &str| drop(writeln!(std::io::stderr(), "homeroom: {words}"));
        if visit.made_something().await {
            tell("removing what the demo made in the Docker engine");
        }
        if let Err(left) = visit.leave().await {
            tell(&left);
        }
    }
    project.shutdown().await;
    staged.cluster.shutdown().await;
    exit
}

/// `serve`: people join workshops from a browser, until somebody ends it.
async fn serve_joins(
    global: &Global,
    listen: SocketAddr,
    trusted: Vec<IpAddr>,
    secrets: &Secrets,
) -> Result<Exit, CliError> {
    let settings = cli::settings(global)?;
    settings.has_sites()?;
    let _log = log_of_store(&settings, secrets)?;
    let home = wire::homeroom(&settings, Access::Full, &|secret| secrets.add(secret)).await?;
    let failed = |source| CliError::Io { doing: format!("cannot listen on {listen}"), source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let at = listener.local_addr().map_err(failed)?;
    // Heard before anybody knows that there is something to stop.
    let mut stopper = cli::Stopper::new()?;
    let out = cli::output::Output::new(global.json);
    if global.json {
        out.object(serde_json::json!({"listening": at.to_string(), "process": std::process::id()}));
    } else {
        out.line(format!("people join at http://{at}/ by a workshop's code; Ctrl-C ends it"));
    }
    let stop = CancellationToken::new();
    let told = Box::new(move |news: &serve::News| {
        cli::commands::ends::by_itself(out, &news.lab, (news.run, news.kind), news.ended);
    });
    let serving = serve::serve(Arc::new(home), listener, trusted, told, stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => return Ok(Exit::Done),
        () = stopper.pressed() => stop.cancel(),
    }
    tokio::select! {
        () = serving => Ok(Exit::Done),
        () = stopper.pressed() => Ok(Exit::Interrupted),
    }
}

/// `sim`: a simulated cluster until somebody ends it.
async fn simulate(args: SimArgs, throw_away: &Path) -> Result<Exit, CliError> {
    let SimArgs { scenario, pve: version, listen, speed, write_config, cloud } = args;
    let stage = Stage { scenario, version, listen, speed };
    let (cluster, folder, config, project) = match &write_config {
        Some(folder) => {
            let staged = stage.with_config(folder, &|_| {}).await?;
            let (staged, project) = match cloud {
                true => staged.with_cloud(speed, &|_| {}).await.map(|(staged, project)| (staged, Some(project)))?,
                false => (staged, None),
            };
            (staged.cluster, staged.folder, Some(staged.config), project)
        }
        None => {
            let project = if cloud { Some(demo::cloud(speed).await?) } else { None };
            (stage.bare(throw_away).await?, throw_away.to_owned(), None, project)
        }
    };
    // Heard before anybody knows that there is something to stop.
    let mut stopper = cli::Stopper::new()?;
    println!("{}", demo::announcement(&cluster, &folder, config.as_deref(), project.as_ref()));
    stopper.stopped().await;
    if let Some(project) = project {
        project.shutdown().await;
    }
    cluster.shutdown().await;
    Ok(Exit::Done)
}

/// How long threads may take to end before the folder they write into goes.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Times a folder is tried to be removed, and the wait between two.
const TRIES: (u32, Duration) = (50, Duration::from_millis(20));

fn temporary() -> Result<TempDir, CliError> {
    tempfile::Builder::new()
        .prefix("homeroom-")
        .tempdir()
        .map_err(|source| CliError::Io { doing: "cannot make a temporary folder".to_owned(), source })
}

/// Removes a folder. What is put into it while it is emptied goes with the next try.
fn remove(folder: TempDir) {
    let path = folder.keep();
    for _ in 0..TRIES.0 {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => std::thread::sleep(TRIES.1),
            _ => return,
        }
    }
    eprintln!("homeroom: {} could not be removed; nothing needs it any more", path.display());
}

/// Starts the log file beside the store, for whoever may use that.
fn log_of_store(settings: &Settings, secrets: &Secrets) -> Result<Option<telemetry::Guard>, CliError> {
    let readers = if settings.store.shared { Readers::Group } else { Readers::Owner };
    log_into(settings.store.folder(), readers, secrets)
}

/// Starts the log file in `folder/log`. A log that cannot be written is told and is no reason to stop.
fn log_into(folder: &Path, readers: Readers, secrets: &Secrets) -> Result<Option<telemetry::Guard>, CliError> {
    let variable = |name| std::env::var(name).ok();
    let (own, proxmox) = (variable(telemetry::FILTER_VARIABLE), variable(telemetry::LEVEL_VARIABLE));
    let filter = telemetry::filter(own.as_deref(), proxmox.as_deref()).map_err(|e| CliError::Usage(e.to_string()))?;
    match telemetry::start(&folder.join("log"), filter, secrets.clone(), readers) {
        Ok(guard) => Ok(Some(guard)),
        Err(error) => {
            eprintln!("homeroom: no log is written: {error}");
            Ok(None)
        }
    }
}
