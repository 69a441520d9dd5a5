//! Draws the pictures of the README from the running program.
//!
//! `cargo build --release && cargo run --release --example pictures [FOLDER [80x24]]` starts
//! `homeroom demo` beside this example in a pseudo-terminal, types what a visitor would type, and
//! writes what the terminal shows as PNG files into `FOLDER` (by default `assets`), 120x40 unless
//! another size is named. It may not draw anything the program did not show.

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

/// Columns and rows of the README's pictures.
const SIZE: (u16, u16) = (120, 40);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let folder = env::args_os().nth(1).map_or_else(|| PathBuf::from("assets"), PathBuf::from);
    match size(env::args().nth(2)).and_then(|size| pictures(&folder, size)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pictures: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `80x24`, or the README's.
fn size(text: Option<String>) -> Result<(u16, u16)> {
    let Some(text) = text else { return Ok(SIZE) };
    let numbers = text.split_once('x').and_then(|(columns, rows)| Some((columns.parse().ok()?, rows.parse().ok()?)));
    numbers.ok_or_else(|| format!("{text} is no size; columns and rows are written 80x24").into())
}

/// The tour: a class is planned, deployed and opened while others stand.
fn pictures(folder: &Path, size: (u16, u16)) -> Result<()> {
    let face = Face::load()?;
    let save = |terminal: &Terminal, name: &str| {
        let path = folder.join(name);
        paint::save(terminal.screen(), &face, &path)?;
        println!("{}", path.display());
        Ok::<_, Box<dyn Error>>(())
    };
    let mut terminal = Terminal::start(&program()?, size)?;
    // The standing class has answered its roll call.
    terminal.until(|shown| row(shown, "cs100").contains("ready"))?;
    terminal.press("2j")?;
    terminal.press("d")?;
    terminal.until(|shown| shown.contains("11 create"))?;
    save(&terminal, "plan.png")?;
    terminal.press("\r")?;
    terminal.until(|shown| row(shown, "cs101").contains("deploying"))?;
    terminal.press("\r")?;
    terminal.until(|shown| ready(shown, " of 11 ready") >= 2)?;
    save(&terminal, "board.png")?;
    terminal.press("\x1b")?;
    terminal.until(|shown| ready(row(shown, "cs101"), "/11") >= 3)?;
    save(&terminal, "overview.png")?;
    terminal.press("1\r")?;
    terminal.until(|shown| shown.contains("peak"))?;
    save(&terminal, "node.png")?;
    terminal.leave()
}

/// The line of `lab` in its pane: of all that speak of it the one that counts its seats.
fn row<'a>(shown: &'a str, lab: &str) -> &'a str {
    shown.lines().find(|line| line.contains(lab) && line.contains('/')).unwrap_or_default()
}

/// The number that stands before `what`.
fn ready(shown: &str, what: &str) -> u32 {
    let before = shown.split_once(what).and_then(|(before, _)| before.split_whitespace().last());
    before.and_then(|number| number.parse().ok()).unwrap_or(0)
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
