//! What `--help` says, at 80 columns, and what bad usage answers.

use super::desk::{answer, bare};

#[tokio::test]
async fn every_command_says_what_it_takes_at_eighty_columns() {
    let home = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let commands = "apply get edit delete plan deploy destroy resume rebuild rollback report adopt cancel status check start stop restart nodes machines runs logs roster join serve extend expire exec cp ssh console key doctor sim demo";
    for command in ["", "runs show"].into_iter().chain(commands.split(' ')) {
        let mut homeroom = bare(home.path());
        homeroom.args(command.split_whitespace()).arg("--help");
        let said = answer(homeroom, "").await;
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{command}");
        // Said by each; once is enough here.
        let own = match said.out.split_once("\nOptions of every command:") {
            Some((own, _)) if !command.is_empty() => own,
            _ => &said.out,
        };
        let line = own.lines().find(|line| line.chars().count() > 80);
        assert_eq!(line, None, "too wide in {command}");
        all.push_str(&format!("$ homeroom {command}\n{own}\n"));
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn an_unknown_command_is_answered_with_the_nearest() {
    let home = tempfile::tempdir().unwrap();
    let mut homeroom = bare(home.path());
    homeroom.arg("machine");
    let said = answer(homeroom, "").await;
    let first = "error: unrecognized subcommand 'machine'\n\n  tip: a similar subcommand exists: 'machines'\n";
    assert!(said.refusal().0 == 2 && said.err.starts_with(first), "{}", said.err);
}

#[tokio::test]
async fn without_anything_configured_each_command_says_what_comes_first() {
    let home = tempfile::tempdir().unwrap();
    let no_site = format!(
        "homeroom: no site is configured yet; write one into {}/.config/homeroom/config.toml, \
         or try `homeroom demo`",
        home.path().display()
    );
    let no_lab = "no lab is defined; `homeroom apply -f FILE` stores one";
    for (words, code, said) in [
        (&["nodes"][..], 2, no_site.as_str()),
        (&["nodes", "--json"], 2, &no_site),
        (&["status", "--site", "a"], 2, &no_site),
        (&["get"], 0, no_lab),
        (&["status"], 0, no_lab),
        (&["machines"], 0, "no lab has machines; `homeroom deploy LAB --yes` makes them"),
        (&["runs"], 0, "nothing was run yet"),
        (&["logs"], 0, "no lines"),
        (&["plan", "bio"], 2, "homeroom: no lab is called bio; `homeroom get` lists them"),
        (&["cancel", "1"], 2, "homeroom: there is no run 1; `homeroom runs` lists them"),
    ] {
        let mut homeroom = bare(home.path());
        homeroom.args(words);
        assert_eq!(answer(homeroom, "").await.refusal(), (code, said), "{words:?}");
    }
}
