//! homeroom: the composition root. Reads as a table of contents.

use std::process::ExitCode;

use clap::Parser;
use homeroom::{
    cli::{self, Args, CliError, Command, Exit, SimArgs},
    demo::{self, Stage},
};

fn main() -> ExitCode {
    let args = Args::parse();
    match start(args) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("homeroom: {error}");
            error.exit().into()
        }
    }
}

fn start(args: Args) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Io { doing: "cannot start the runtime".to_owned(), source })?;
    let exit = runtime.block_on(async {
        match args.command {
            Some(Command::Sim(args)) => simulate(args).await,
            Some(command) => cli::run(&args.global, command).await,
            None => Err(CliError::Usage("the dashboard is not there yet".to_owned())),
        }
    });
    // Threads that wait for a network would hold the end up; what matters is on disk.
    runtime.shutdown_background();
    exit
}

/// `sim`: a simulated cluster until somebody ends it.
async fn simulate(args: SimArgs) -> Result<Exit, CliError> {
    let stage = Stage { scenario: args.scenario, listen: args.listen, speed: args.speed };
    let throw_away = tempfile::Builder::new()
        .prefix("homeroom-sim-")
        .tempdir()
        .map_err(|source| CliError::Io { doing: "cannot make a temporary folder".to_owned(), source })?;
    let (cluster, folder, config) = match &args.write_config {
        Some(folder) => {
            let staged = stage.with_config(folder).await?;
            (staged.cluster, staged.folder, Some(staged.config))
        }
        None => (stage.bare(throw_away.path()).await?, throw_away.path().to_owned(), None),
    };
    println!("{}", demo::announcement(&cluster, &folder, config.as_deref()));
    cli::until_told_to_stop().await?;
    cluster.shutdown().await;
    Ok(Exit::Done)
}
