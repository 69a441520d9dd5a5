//! The dashboard, put together: state, screens, runtime and signals.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use homeroom::{
    app::{self, Action, State, attach::Attach, commands::Commands, kiosk::Rules},
    cli::{CliError, Exit, ask::Asker, detach},
    config::{ConfigError, Environment, Settings, definition},
    domain::{Clean, LabName, Level, SeatName, SiteName, Vmid, alert::Hysteresis},
    runtime::{self, Desk, Ends, Runtime},
    service::{
        Homeroom, Pager, ServiceError, Site,
        container::{Container, named},
    },
    tui::{self, Ended, Look, Wires},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// What becomes of runs still under way when the screen is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtTheEnd {
    /// They are carried on without a screen.
    FinishRuns,
    /// The world they work on ends too.
    LeaveRuns,
    /// They come to rest between two effects: what they have made is cleared away.
    WindRunsDown,
}

/// How long runs may take to come to rest where nobody goes on with them: wall time.
const WOUND_DOWN_WITHIN: Duration = Duration::from_secs(20);

/// An error unless somebody can look at it.
pub fn needs_a_terminal() -> Result<(), CliError> {
    if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        return Err(CliError::Usage(
            "TERM is dumb: the dashboard needs a terminal that can move its cursor; `homeroom status` answers without"
                .to_owned(),
        ));
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(CliError::Usage(
        "the dashboard needs a terminal for standard input and output; `homeroom status --json` answers without one"
            .to_owned(),
    ))
}

/// Shows the dashboard until it is left; `told` is said first, line by line. Where much more is said before something
/// else has come to its end, the first of those lines is said once more after it: a small screen shows the latest.
pub async fn run(
    settings: &Settings,
    home: Arc<Homeroom>,
    at_the_end: AtTheEnd,
    told: Option<(String, JoinHandle<()>)>,
) -> Result<Exit, CliError> {
    let outlives = at_the_end == AtTheEnd::FinishRuns;
    let (mut state, look) = screens(settings, &home, None, outlives)?;
    for line in told.iter().flat_map(|(told, _)| told.lines()) {
        app::update(&mut state, Action::Notice { level: Level::Info, text: Clean::new(line) });
    }
    let (mut runtime, ends) = Runtime::start(home.clone(), Box::new(detach::carry_on), Some(desk(settings)));
    if let Some((told, after)) = told {
        runtime.tell_after(after, Clean::new(told.lines().next().unwrap_or_default()));
    }
    let ended = show(state, look, ends).await;
    if at_the_end == AtTheEnd::WindRunsDown {
        let _ = tokio::time::timeout(WOUND_DOWN_WITHIN, async {
            runtime.settled().await;
            runtime.wind_down().await;
        })
        .await;
    }
    let ended = ended?;
    if at_the_end == AtTheEnd::FinishRuns {
        finish_runs(&mut runtime, &home, ended).await?;
    }
    Ok(exit(ended))
}

/// Shows the unattended dashboard until it is left. Sites that are `blind` cannot be looked at, and why.
pub async fn kiosk(
    settings: &Settings,
    home: Arc<Homeroom>,
    pagers: Vec<Arc<dyn Pager>>,
    blind: Vec<(SiteName, String)>,
) -> Result<Exit, CliError> {
    let kiosk = &settings.kiosk;
    let signed = |time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    let rules = Rules {
        rotate: signed(kiosk.rotate),
        stale: signed(kiosk.stale),
        bell: kiosk.bell,
        calls: Hysteresis::new(kiosk.after, kiosk.clear),
    };
    let (mut state, look) = screens(settings, &home, Some(rules), false)?;
    for (site, why) in blind {
        app::update(&mut state, Action::SiteLost { site, why: Clean::new(why) });
    }
    let (_runtime, ends) = Runtime::start_kiosk(home.clone(), pagers);
    Ok(exit(show(state, look, ends).await?))
}

fn exit(ended: Ended) -> Exit {
    match ended {
        Ended::Left => Exit::Done,
        Ended::Stopped | Ended::HungUp => Exit::Interrupted,
    }
}

/// Definitions as the command line reads and writes them.
fn desk(settings: &Settings) -> Desk {
    let settings = settings.clone();
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let (known, folder) = (settings.clone(), here.clone());
    let check = move |text: &str| {
        let faults = definition::faults(text, &folder, Some(&known));
        faults.into_iter().map(|fault| (fault.key, fault.message)).collect()
    };
    let read = move |text: &str| {
        definition::parse(text, "the definition", &here, Some(&settings)).map_err(|error| error.to_string())
    };
    Desk { read: Arc::new(read), check: Arc::new(check), write: definition::to_toml }
}

/// The screens before anything is known, as configured and as the terminal bears; else all that is wrong with what is
/// configured. `hands_over`: another process can go on with this one's runs.
fn screens(
    settings: &Settings,
    home: &Homeroom,
    kiosk: Option<Rules>,
    hands_over: bool,
) -> Result<(State, Look), CliError> {
    let mut state = state(settings, home, kiosk, hands_over);
    let look = Look::chosen(&settings.ui, |name| std::env::var(name).ok());
    match (tui::rekeyed(&settings.ui, std::mem::replace(&mut state.commands, Commands::new(true))), look) {
        (Ok(commands), Ok(look)) => {
            state.commands = commands;
            Ok((state, look))
        }
        (commands, look) => {
            let wrong = [commands.err(), look.err()].into_iter().flatten().flat_map(ConfigError::each);
            Err(ConfigError::together(wrong.collect()).into())
        }
    }
}

fn state(settings: &Settings, home: &Homeroom, kiosk: Option<Rules>, hands_over: bool) -> State {
    let environment = |environment: Environment| Clean::new(environment.as_str());
    State::new(app::Settings {
        // Those that are looked at: of no other could it be told how old what is shown is.
        sites: settings
            .sites
            .values()
            .filter(|site| home.sites.contains_key(&site.name))
            .map(|site| (site.name.clone(), environment(site.environment)))
            .collect(),
        read_only: kiosk.is_some(),
        kiosk,
        zone: TimeZone::system(),
        hands_over,
        speed: settings.clock.speed,
        proof_max_age: settings.engine.proof_max_age,
        idle: settings.engine.poll_idle,
        now: Timestamp::now(),
    })
}

/// Owns the terminal until it is left.
async fn show(state: State, look: Look, ends: Ends) -> Result<Ended, CliError> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let wires = Wires { actions: ends.actions, effects: ends.effects, shells: ends.shells, stop };
    tui::run(state, look, wires).await.map_err(|error| CliError::Usage(error.to_string()))
}

/// Cancelled by the signals that end a program.
pub fn stopper() -> Result<CancellationToken, CliError> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    Ok(stop)
}

/// SIGTERM, SIGINT and SIGHUP leave the screen properly.
fn stop_on_signals(stop: &CancellationToken) -> Result<(), CliError> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut heard =
            signal(kind).map_err(|source| CliError::Io { doing: "cannot listen for signals".to_owned(), source })?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                stop.cancel();
            }
        });
    }
    Ok(())
}

/// Carries runs on without a screen, so that neither `q` nor a closed terminal breaks one off.
/// An interrupt winds them down, to be gone on with by the next deploy.
async fn finish_runs(runtime: &mut Runtime, home: &Homeroom, ended: Ended) -> Result<(), CliError> {
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|source| CliError::Io { doing: "cannot listen for signals".to_owned(), source })?;
    // What was agreed to a moment before leaving is still being planned.
    tokio::select! {
        () = runtime.settled() => {}
        _ = interrupt.recv() => {}
    }
    if ended != Ended::Left {
        // Nobody looks on any more: another process, with no terminal to lose, goes on.
        runtime.hand_over().await;
    }
    let runs = runtime.runs_in_hand();
    if runs.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = runs.iter().map(|(run, lab)| format!("run {run} of {lab}")).collect();
    if ended == Ended::Left {
        eprintln!(
            "{} goes on here until it has ended; Ctrl-C winds it down, `homeroom deploy` goes on later",
            names.join(", ")
        );
    }
    tracing::info!(runs = names.join(", "), "going on without a screen");
    while !runtime.runs_in_hand().is_empty() {
        tokio::select! {
            _ = interrupt.recv() => runtime.wind_down().await,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    if ended == Ended::Left {
        for (run, _) in runs {
            if let Ok((row, _)) = home.store.run(run).await {
                eprintln!("run {run} of {} {}", row.lab, row.state.as_str());
            }
        }
    }
    Ok(())
}

/// What a terminal is wanted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The seat, by SSH.
    Shell,
    /// The serial port of its machine, through its node.
    Console,
}

/// `ssh LAB/SEAT` and `console LAB/SEAT`: a terminal there, in place of the shell one is in.
pub async fn shell(home: &Homeroom, what: &str, place: Where) -> Result<Exit, CliError> {
    let verb = if place == Where::Shell { "ssh" } else { "console" };
    if let Some((site, vmid)) = named(what) {
        return container(home, site, vmid, place).await;
    }
    let Some((lab, seat)) = what.split_once('/') else {
        return Err(CliError::Usage(format!("name a seat: homeroom {verb} {what}/SEAT")));
    };
    let lab = LabName::new(lab).map_err(|e| CliError::Usage(e.to_string()))?;
    let seat = SeatName::new(seat).map_err(|e| CliError::Usage(e.to_string()))?;
    has_terminal(place, what)?;
    let in_cloud = home.in_cloud(&lab).await?.is_some();
    let workshop = in_cloud || home.workshop(&lab).await?.is_some();
    let site = if in_cloud || workshop && place == Where::Shell { None } else { Some(home.class(&lab).await?.1) };
    let attach = async || match place {
        Where::Shell => runtime::attach(home, lab.clone(), seat.clone(), size()).await,
        Where::Console => runtime::attach_console(home, lab.clone(), seat.clone(), size()).await,
    };
    let note = match in_cloud {
        true => format!("the serial port of {lab}/{seat}, to be watched: q or Ctrl-C leaves"),
        false => format!("the serial console of {lab}/{seat}: Enter brings up its login, Ctrl-O leaves"),
    };
    borrow(what, site.as_deref(), attach, (place == Where::Console).then_some(note)).await
}

/// `ssh SITE/VMID`: root's shell in an LXC container, through its node.
async fn container(home: &Homeroom, site: &str, vmid: Vmid, place: Where) -> Result<Exit, CliError> {
    if place == Where::Console {
        return Err(CliError::Usage(format!(
            "a container has no serial port; `homeroom ssh {site}/{vmid}` enters it through its node, network or not"
        )));
    }
    has_terminal(place, &format!("{site}/{vmid}"))?;
    let container = Container::of(home, site, vmid).await?;
    borrow(
        &format!("{site}/{vmid}"),
        Some(&container.site),
        async || runtime::attach_container(&container, size()).await,
        None,
    )
    .await
}

/// Of the terminal, in columns and rows; the usual where it does not say.
fn size() -> (u16, u16) {
    crossterm::terminal::size().unwrap_or((80, 24))
}

fn has_terminal(place: Where, what: &str) -> Result<(), CliError> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(CliError::Usage(match place {
        Where::Shell => format!("a shell needs a terminal; for one command: homeroom ssh {what} -- COMMAND"),
        Where::Console => "a console needs a terminal".to_owned(),
    }))
}

/// Opens a terminal, asks about what stands before it, and lends it ours until it ends.
async fn borrow(
    what: &str,
    site: Option<&Site>,
    attach: impl AsyncFn() -> Result<Attach, ServiceError>,
    note: Option<String>,
) -> Result<Exit, CliError> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let mut asker = Asker::default();
    let attach = loop {
        let attached = attach();
        let attached = tokio::select! {
            attached = attached => attached,
            () = stop.cancelled() => return Ok(Exit::Interrupted),
        };
        match attached {
            Ok(attach) => break attach,
            Err(ServiceError::Shell(error)) => match error.bar() {
                Some(bar) if asker.lift(site, &bar)? => {}
                _ => return Err(ServiceError::Shell(error).into()),
            },
            Err(error) => return Err(error.into()),
        }
    };
    if let Some(note) = note {
        eprintln!("{note}");
    }
    match tui::borrow(attach, &stop).await.map_err(|error| CliError::Usage(error.to_string()))? {
        None => Ok(Exit::Interrupted),
        Some(tui::Parting::Exit(code)) => Ok(Exit::Command(u8::try_from(code).unwrap_or(u8::MAX))),
        Some(tui::Parting::Left) => {
            eprintln!("Connection to {what} closed.");
            Ok(Exit::LOST)
        }
        Some(tui::Parting::Lost(why)) => {
            eprintln!("homeroom: the connection to {what} was lost: {why}");
            Ok(Exit::LOST)
        }
    }
}
