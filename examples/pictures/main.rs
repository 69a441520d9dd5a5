//! Draws the pictures of the README from the running program.
//!
//! `cargo build --release && cargo run --release --example pictures [FOLDER]` starts `homeroom demo`
//! beside this example in a pseudo-terminal, types what a visitor would type, and writes what the
//! terminal shows as PNG files into `FOLDER` (by default `assets`). It may not draw anything the
//! program did not show.

mod font;
mod paint;
mod terminal;

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
};

use font::Face;
use terminal::Terminal;

/// Columns and rows of every picture.
const SIZE: (u16, u16) = (120, 40);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("assets"), PathBuf::from);
    match pictures(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pictures: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The tour: a class is planned, deployed and opened while others stand.
fn pictures(folder: &Path) -> Result<()> {
    let face = Face::load()?;
    let save = |terminal: &Terminal, name: &str| {
        let path = folder.join(name);
        paint::save(terminal.screen(), &face, &path)?;
        println!("{}", path.display());
        Ok::<_, Box<dyn Error>>(())
    };
    let mut terminal = Terminal::start(&program()?, SIZE)?;
    // The standing class has answered its roll call.
    terminal.until(|shown| row(shown, "cs100").contains("ready"))?;
    terminal.press("2j")?;
    terminal.press("d")?;
    terminal.until(|shown| shown.contains("11 create"))?;
    save(&terminal, "plan.png")?;
    terminal.press("\r")?;
    terminal.until(|shown| ["3/11", "4/11", "5/11"].iter().any(|part| row(shown, "cs101").contains(part)))?;
    save(&terminal, "overview.png")?;
    terminal.press("\r")?;
    terminal.until(|shown| shown.contains("6 of 11 ready") || shown.contains("7 of 11 ready"))?;
    save(&terminal, "board.png")?;
    terminal.leave()
}

/// The screen's first line that speaks of `lab`.
fn row<'a>(shown: &'a str, lab: &str) -> &'a str {
    shown.lines().find(|line| line.contains(lab)).unwrap_or_default()
}

/// `homeroom`, as built beside this example.
fn program() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let program = own.parent().and_then(Path::parent).map(|folder| folder.join("homeroom"));
    match program {
        Some(program) if program.is_file() => Ok(program),
        _ => Err("homeroom is not built yet: cargo build --release, then this again".into()),
    }
}
