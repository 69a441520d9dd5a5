//! homeroom: the composition root. Reads as a table of contents.

use std::process::ExitCode;

use clap::Parser;
use homeroom::cli::{self, Args, CliError, Exit};

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
            Some(command) => cli::run(&args.global, command).await,
            None => Err(CliError::Usage("the dashboard is not there yet".to_owned())),
        }
    });
    // Threads that wait for a network would hold the end up; what matters is on disk.
    runtime.shutdown_background();
    exit
}
