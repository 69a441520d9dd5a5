//! No secret is ever written where others read: every log, the whole store and everything printed in a full
//! run is searched for every secret that was used.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::lab::{Lab, Ran};

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn is_private(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.starts_with("-----BEGIN") && text.contains("PRIVATE KEY"))
}

/// The longest line of a private key: no key is told without it.
fn body(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.starts_with("-----")).max_by_key(|line| line.len()).unwrap().to_owned()
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_secret_is_logged_stored_or_printed_in_a_full_run() {
    let mut lab = Lab::start().await;
    lab.log = "trace";
    lab.class(
        "duo",
        &["ada", "grace"],
        "[cloud_init]\nuser = \"student\"\npassword = \"generate\"\n\
         [machines.grace.cloud_init]\npassword = { env = \"GRACES_PASSWORD\" }",
    )
    .await;
    lab.env.push(("GRACES_PASSWORD", "Tr0ub4dor-and-3"));
    let file = |name: &str| fs::read_to_string(lab.folder().join(name)).unwrap().trim().to_owned();
    let (token, monitor) = (file("token.secret"), file("monitor.secret"));

    let mut said: Vec<Ran> = Vec::new();
    said.push(lab.run(&["deploy", "duo", "--yes", "-v"]).await.ends(0));
    let roster = lab.run(&["roster", "duo", "--json"]).await.ends(0).object();
    let passwords: Vec<String> =
        (0..2).map(|row| roster["seats"][row]["password"].as_str().unwrap().to_owned()).collect();
    assert!(passwords[0].len() > 7 && passwords[1] == "Tr0ub4dor-and-3", "{roster:#}");
    for args in [
        &["check", "duo", "--json"] as &[&str],
        &["status", "duo", "--json"],
        &["logs", "duo", "-v"],
        &["get", "duo"],
        &["plan", "duo", "-v"],
        &["runs", "show", "2"],
        &["ssh", "duo/ada", "--", "hostname"],
    ] {
        said.push(lab.run(args).await.ends(0));
    }
    // A token that is not accepted any more, and a wrong password for a machine.
    let wrong = "0bad0bad-0bad-0bad-0bad-0bad0bad0bad";
    fs::write(lab.folder().join("token.secret"), wrong).unwrap();
    let refused = lab.run(&["nodes"]).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    said.push(refused);
    fs::write(lab.folder().join("token.secret"), &token).unwrap();
    said.push(lab.run(&["destroy", "duo", "--yes", "-v"]).await.ends(0));

    let mut secrets: Vec<(String, String)> = vec![
        ("the token's secret".into(), token),
        ("the monitor's secret".into(), monitor),
        ("the refused token's secret".into(), wrong.into()),
    ];
    secrets.extend(passwords.into_iter().map(|password| ("a password".to_owned(), password)));
    let all = files(lab.folder());
    let keys: Vec<&PathBuf> = all.iter().filter(|path| is_private(path)).collect();
    assert!(keys.len() >= 2, "the node's key and the lab's: {all:?}");
    secrets.extend(keys.iter().map(|path| (format!("the private key {}", path.display()), body(path))));

    let kept = lab.folder().join("keys");
    let searched: Vec<&PathBuf> = all
        .iter()
        .filter(|path| !path.starts_with(&kept) && !is_private(path))
        .filter(|path| path.extension().is_none_or(|ending| ending != "secret"))
        .collect();
    for wanted in ["homeroom.db", "log"] {
        let found = searched.iter().filter(|path| path.display().to_string().contains(wanted));
        assert!(found.map(|path| fs::metadata(path).unwrap().len()).sum::<u64>() > 1000, "{wanted} in {searched:?}");
    }
    for (what, secret) in &secrets {
        for path in &searched {
            assert!(!holds(&fs::read(path).unwrap(), secret), "{what} is in {}", path.display());
        }
        for ran in &said {
            let printed = format!("{}{}", ran.out, ran.err);
            assert!(!holds(printed.as_bytes(), secret), "{what} was printed: {printed}");
        }
    }
}
