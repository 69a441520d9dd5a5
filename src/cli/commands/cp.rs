//! `cp`: files to and from seats.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::Context;
use crate::{
    cli::{
        ask::Asker,
        exit::{CliError, Exit},
    },
    domain::{Level, SeatName},
    service::{
        container::named,
        copy::{Direction, Order, Outcome, SEAT, Transfer, copy},
        exec::{Bar, End},
    },
};

/// What was asked for on the command line.
pub struct Asked {
    pub paths: Vec<String>,
    pub recursive: bool,
    pub at_once: usize,
}

pub async fn run(context: &Context, asked: Asked) -> Result<Exit, CliError> {
    let (what, transfers) = transfers(&asked.paths, asked.recursive)?;
    let (lab, seats) = context.lab_and_seats(&what).await?;
    let order = Order { transfers, at_once: asked.at_once };
    let mut running = copy(&context.home, &lab, &seats, order.clone()).await?;
    let all = running.seats.clone();
    let mut outcomes: BTreeMap<SeatName, Outcome> = BTreeMap::new();
    let mut asker = Asker::default();
    loop {
        while let Some(outcome) = running.heard.recv().await {
            if !context.out.json && outcome.bar().is_none() {
                show(context, &outcome);
            }
            outcomes.insert(outcome.seat.clone(), outcome);
        }
        if context.out.json {
            break;
        }
        let lifted =
            asker.lift_all(running.site.as_deref(), outcomes.values().filter_map(Outcome::bar).cloned().collect())?;
        let free = |seat: &&SeatName| outcomes.get(*seat).and_then(Outcome::bar).is_some_and(|b| lifted.contains(b));
        let free: Vec<_> = all.iter().filter(free).cloned().collect();
        if free.is_empty() {
            break;
        }
        running = copy(&context.home, &lab, &free, order.clone()).await?;
    }
    let outcomes: Vec<_> = all.iter().filter_map(|seat| outcomes.remove(seat)).collect();
    for outcome in outcomes.iter().filter(|outcome| !context.out.json && outcome.bar().is_some()) {
        show(context, outcome);
    }
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    if context.out.json {
        let seats = outcomes.iter().map(|outcome| {
            json!({"seat": outcome.seat, "files": outcome.copied.files, "bytes": outcome.copied.bytes,
                   "skipped": outcome.copied.skipped, "not_copied": outcome.copied.failed, "error": outcome.failure.as_ref().map(words),
                   "seconds": (outcome.took.as_secs_f64() * 100.0).round() / 100.0})
        });
        context.out.object(json!({"lab": lab, "ok": outcomes.len() - failed, "failed": failed,
                                  "seats": seats.collect::<Vec<_>>()}));
    }
    let untrusted = outcomes.iter().all(|outcome| matches!(outcome.bar(), Some(Bar::Stranger { .. })));
    Ok(match failed {
        0 => Exit::Done,
        _ if untrusted => Exit::Usage,
        _ => Exit::NotReady,
    })
}

fn words(end: &End) -> String {
    match end {
        End::Barred(why, _) | End::Failed(why) => why.to_string(),
        End::Exit(_) | End::TimedOut(_) => "it was given up".to_owned(),
    }
}

fn show(context: &Context, outcome: &Outcome) {
    let (out, seat) = (context.out, &outcome.seat);
    for skipped in &outcome.copied.skipped {
        out.line(
            out.levelled(Level::Warning, &format!("{seat}: left out, being neither a file nor a folder: {skipped}")),
        );
    }
    match &outcome.failure {
        Some(end) => out.line(out.levelled(Level::Error, &format!("{seat}: {}", words(end)))),
        None => {
            let files = outcome.copied.files;
            let s = if files == 1 { "" } else { "s" };
            out.line(format!("{seat}: {files} file{s}, {}", size(outcome.copied.bytes)))
        }
    };
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// `LAB[/SEAT]` and the path there, of a word that means a place there.
fn place(word: &str) -> Option<(&str, &str)> {
    let (what, path) = word.split_once(':')?;
    let named = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let (lab, seat) = what.split_once('/').unwrap_or((what, "x"));
    (named(lab) && named(seat)).then_some((what, path))
}

/// The same place as a folder; the home one begins in is one.
fn in_folder(path: &str) -> String {
    match path {
        "" | "~" => path.to_owned(),
        _ => format!("{}/", path.trim_end_matches('/')),
    }
}

/// A name that two of the paths end in: within one folder the second would take the first one's place.
fn same_name(paths: &[String]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    let names = paths.iter().filter_map(|path| {
        let path = place(path).map_or(path.as_str(), |(_, path)| path);
        path.trim_end_matches('/').rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".." | "~"))
    });
    names.into_iter().find(|name| !seen.insert(*name))
}

/// What the words on the command line mean: the seats, and the same transfers for each.
fn transfers(paths: &[String], recursive: bool) -> Result<(Vec<String>, Vec<Transfer>), CliError> {
    let usage = |why: &str| CliError::Usage(format!("{why}; homeroom cp FILE… LAB/SEAT:PATH, or LAB/SEAT:PATH… PLACE"));
    let Some((last, first)) = paths.split_last().filter(|(_, first)| !first.is_empty()) else {
        return Err(usage("name what to copy and where to"));
    };
    if let Some((container, _)) =
        paths.iter().filter_map(|path| path.split_once(':')).find(|(what, _)| named(what).is_some())
    {
        return Err(CliError::Usage(format!(
            "{container} is no seat of a lab but a container by its number, and files go to seats only; \
             `homeroom ssh {container} -- 'cat > THERE' < HERE` puts a file into one, \
             `homeroom ssh {container} -- 'cat THERE' > HERE` fetches one"
        )));
    }
    if let Some(name) = same_name(first) {
        return Err(usage(&format!("two of them are called {name}, and only one would be left")));
    }
    let several = first.len() > 1;
    if let Some((what, remote)) = place(last) {
        // Several go into a folder that is there, or none is copied.
        let remote = if several { in_folder(remote) } else { remote.to_owned() };
        if let Some(other) = first.iter().find(|path| place(path).is_some()) {
            return Err(usage(&format!("{other} and {last} are both on seats")));
        }
        let up = |path: &String| Transfer {
            direction: Direction::Up,
            local: PathBuf::from(path),
            remote: remote.clone(),
            recursive,
        };
        return Ok((vec![what.to_owned()], first.iter().map(up).collect()));
    }
    if several && !last.contains(SEAT) && !last.ends_with('/') && !Path::new(last).is_dir() {
        return Err(usage(&format!(
            "{} files cannot all be {last}; name a folder that is there, or end it with a slash",
            first.len()
        )));
    }
    let local = PathBuf::from(if several { in_folder(last) } else { last.clone() });
    let mut what: Option<&str> = None;
    let mut transfers = Vec::new();
    for path in first {
        let Some((of, remote)) = place(path) else {
            return Err(usage(&format!(
                "neither {path} nor {last} is on a seat (a path here with a colon is ./{path})"
            )));
        };
        if what.is_some_and(|what| what != of) {
            return Err(usage("one LAB or LAB/SEAT at a time"));
        }
        what = Some(of);
        let local = local.clone();
        transfers.push(Transfer { direction: Direction::Down, local, remote: remote.to_owned(), recursive });
    }
    Ok((what.map(str::to_owned).into_iter().collect(), transfers))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Direction, here, there.
    type Way = (Direction, String, String);

    fn read(words: &str) -> Result<(String, Vec<Way>), String> {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        let (what, transfers) = transfers(&words, false).map_err(|error| error.to_string())?;
        let each = transfers.into_iter().map(|t| (t.direction, t.local.display().to_string(), t.remote));
        Ok((what.concat(), each.collect()))
    }

    #[test]
    fn the_word_with_a_lab_before_its_colon_is_there_and_the_others_are_here() {
        let own = |text: &str| text.to_owned();
        let up = |from: &str| (Direction::Up, own(from), own("/tmp/"));
        assert_eq!(read("a ./b:c bio/ada:/tmp/"), Ok((own("bio/ada"), vec![up("a"), up("./b:c")])));
        assert_eq!(read("a bio/ada:b"), Ok((own("bio/ada"), vec![(Direction::Up, own("a"), own("b"))])));
        let into = |there: &str| ["a", "b"].map(|here| (Direction::Up, own(here), own(there))).to_vec();
        for (there, folder) in [("two", "two/"), ("/tmp//", "/tmp/"), ("", ""), ("~", "~"), ("/", "/")] {
            assert_eq!(read(&format!("a b bio/ada:{there}")), Ok((own("bio/ada"), into(folder))));
        }
        for same in ["x/a y/a bio/ada:", "bio/ada:x/a bio/ada:a /tmp"] {
            assert!(read(same).unwrap_err().starts_with("two of them are called a"), "{same}");
        }
        assert!(read("bio/ada:x bio/ada:y both").unwrap_err().starts_with("2 files cannot all be both;"));
        assert!(read("bio/ada:x bio/ada:y both/").is_ok() && read("bio/ada:x bio/ada:y .").is_ok());
        let apart = |there: &str| (Direction::Down, own("in-{seat}/"), own(there));
        assert_eq!(read("bio:x bio:y in-{seat}"), Ok((own("bio"), vec![apart("x"), apart("y")])));
        assert_eq!(read("bio:notes {seat}/"), Ok((own("bio"), vec![(Direction::Down, own("{seat}/"), own("notes"))])));
        let container = read("a sim/200:").unwrap_err();
        assert!(container.contains("homeroom ssh sim/200 -- 'cat > THERE' < HERE"), "{container}");
        for words in ["a", "a b", "bio/ada:a bio/bob:b", "bio/ada:a bio/bob:b here", "bio/ada:a b here"] {
            assert!(read(words).is_err(), "{words}");
        }
    }
}
