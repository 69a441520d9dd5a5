//! Two admins, each with a dashboard of their own, on one shared store: a run one of them begins is shown by the
//! other's as it goes, line by line.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use portable_pty::CommandBuilder;
use serde_json::Value;

use crate::{cli::desk::Desk, support::terminal::Terminal};

/// Room for every line of the run at once.
const SIZE: (u16, u16) = (200, 100);
/// Modelled seconds in one of the wall's: slow enough that lines come one by one.
const SPEED: f64 = 10.0;
const BIO: &str = "kind = 'class'\nname = 'bio'\nsite = 'sim'\ntemplate = 'ubuntu-22.04'\n\
                   students = ['ada', 'grace', 'linus', 'mary', 'noor']\n";
/// What nobody would call live any more, on however busy a computer.
const LATE: Duration = Duration::from_secs(10);

fn dashboard(desk: &Desk, config: &std::path::Path, who: &str) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_homeroom"));
    command.env_clear();
    command.env("HOME", desk.folder.path().join(who));
    command.env("USER", who);
    command.env("HOMEROOM_CONFIG", config);
    command.env("LANG", "C.UTF-8");
    command.cwd("/");
    let mut terminal = Terminal::start(command, SIZE);
    terminal.until_row("bio", "0/5");
    terminal
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dashboard_shows_the_run_another_began_as_it_goes() {
    let desk = Desk::at_speed(SPEED).await;
    let shared = desk.altered("[store]\n", "[store]\nshared = true\n");
    let text = std::fs::read_to_string(&shared).unwrap();
    let store = desk.folder.path().join("team").join("homeroom.db");
    let old = text.lines().find(|line| line.starts_with("path = ")).unwrap();
    std::fs::write(&shared, text.replace(old, &format!("path = '{}'", store.display()))).unwrap();
    let bio = desk.write("bio.toml", BIO);
    let applied = desk.run_under(&shared, &["apply", "-f", &bio]).await;
    assert_eq!(applied.code, 0, "{}", applied.err);
    // The nodes' host keys are trusted by the team, too.
    std::fs::copy(desk.staged.folder.join("known_hosts"), store.with_file_name("known_hosts")).unwrap();

    let mut begins = dashboard(&desk, &shared, "mara");
    let mut watches = dashboard(&desk, &shared, "noah");
    begins.press("gd");
    begins.until("deploy bio?");
    begins.until("5 create");
    begins.press("\r");

    // When each line was first on the screen of the one who only watches.
    let mut seen: HashMap<String, SystemTime> = HashMap::new();
    watches.until_met("five seats ready", |terminal| {
        let (now, text) = (SystemTime::now(), terminal.text());
        text.lines().for_each(|line| {
            seen.entry(line.to_owned()).or_insert(now);
        });
        text.contains("5 ready") && text.lines().any(|line| line.contains("bio") && line.contains("5/5"))
    });
    begins.until_row("bio", "5/5");

    let log = desk.run_under(&shared, &["logs", "bio", "--json"]).await;
    let lines = log.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut late = Vec::new();
    for event in lines.filter(|event| event["seat"].is_string() && event["level"] != "debug") {
        let (seat, message) = (event["seat"].as_str().unwrap(), event["message"].as_str().unwrap());
        let first = seen.iter().filter(|(line, _)| line.contains(seat) && line.contains(message)).map(|(_, at)| *at);
        let first = first.min().unwrap_or_else(|| panic!("{seat}: {message} was never seen in\n{}", watches.text()));
        let at: jiff::Timestamp = event["at"].as_str().unwrap().parse().unwrap();
        late.push(first.duration_since(SystemTime::from(at)).unwrap_or_default());
    }
    late.sort();
    let (median, last) = (late[late.len() / 2], late[late.len() - 1]);
    println!(
        "{} lines of another's run on the screen: median {median:.0?}, the last {last:.0?} after they happened",
        late.len()
    );
    assert!(late.len() >= 15 && median < LATE, "{late:?}");

    for mut terminal in [begins, watches] {
        terminal.press("q");
        assert_eq!(terminal.assert_given_back(), 0);
    }
}
