//! `apply`, `get`, `edit`, `delete`.

use super::desk::{Desk, fields};

const BIO: &str = r#"kind = "class"
name = "bio"
site = "sim"
template = "ubuntu-22.04"
students = ["ada", "grace"]
"#;

#[tokio::test]
async fn several_files_are_stored_together_or_not_at_all() {
    let desk = Desk::new().await;
    let (bio, chem) = (desk.write("bio.toml", BIO), desk.write("chem.toml", &BIO.replace("bio", "chem")));
    let bad = desk.write("bad.toml", &BIO.replace("bio", "art").replace("ada", "Ada"));
    let answer = desk.run(&["apply", "-f", &bio, &bad]).await;
    let complaint =
        "homeroom: bad.toml:5: students: seat name \"Ada\" must be a lower-case letter, then up to 30 of a-z, 0-9 or -";
    assert_eq!(answer.refusal(), (2, complaint));
    assert_eq!(desk.run(&["get", "bio"]).await.code, 2, "nothing was stored");

    assert_eq!(desk.done(&["apply", "-f", &bio, &chem]).await, "class bio created\nclass chem created\n");
    let json = desk.json(&["apply", "-f", &bio, "-f", &chem, "--json"]).await;
    assert_eq!(fields(&json), ["schema", "applied"]);
    assert_eq!(json["applied"][1], serde_json::json!({"lab": "chem", "kind": "class", "result": "unchanged"}));
}

#[tokio::test]
async fn what_get_prints_as_toml_is_taken_again_as_the_same() {
    let desk = Desk::new().await;
    for lab in ["cs100", "cs101", "cs102"] {
        let text = desk.done(&["get", lab, "-o", "toml"]).await;
        let answer = desk.run_with(&["apply", "-f", "-"], &text).await;
        assert_eq!((answer.out, answer.code), (format!("class {lab} unchanged\n"), 0), "{text}");
    }
}

#[tokio::test]
async fn definitions_are_listed_as_a_table_and_as_json() {
    let desk = Desk::new().await;
    let table = "LAB    KIND   SITE  SEATS  FROM\n\
                 cs100  class  sim   4      ubuntu-22.04\n\
                 cs101  class  sim   11     ubuntu-22.04\n\
                 cs102  class  sim   4      debian-12\n";
    assert_eq!(desk.done(&["get"]).await, table);
    let json = desk.json(&["get", "cs101", "--json"]).await;
    let only = &json["definitions"][0];
    assert_eq!(fields(only), ["lab", "kind", "site", "seats", "applied_at", "toml", "notes"]);
    assert_eq!(desk.json(&["get", "cs101", "-o", "json"]).await, json);
    assert_eq!((&only["lab"], &only["seats"]), (&"cs101".into(), &11.into()));
    assert_eq!(desk.done(&["get", "--site", "sim"]).await, table);
}

#[tokio::test]
async fn an_edit_is_taken_refused_with_the_text_kept_or_no_change() {
    let desk = Desk::new().await;
    let edit = async |editor: &str, words: &[&str]| {
        let mut command = desk.command(&["edit", "cs102"]);
        command.args(words).env("EDITOR", editor);
        super::desk::answer(command, "").await.without(desk.folder.path())
    };
    assert_eq!(edit("true", &[]).await.out, "cs102 unchanged\n");
    assert_eq!(edit("true", &["--json"]).await.out, "{\"schema\":1,\"lab\":\"cs102\",\"result\":\"unchanged\"}\n");
    let changed = edit("sed -i s/count.*/count=5/", &[]).await;
    assert_eq!(changed.out, "cs102 changed; `homeroom plan cs102` shows what that means\n");
    let before = desk.done(&["get", "cs102", "-o", "toml"]).await;
    assert!(before.contains("count = 5"), "{before}");

    for (editor, complaint) in [
        ("sed -i s/count.*/count=51/", "homeroom: the edited definition:5: count makes 51 students; a lab has 1 to 50"),
        (
            "sed -i s/cs102/cs103/",
            "homeroom: the edited definition is called cs103; a lab keeps its name, so nothing was changed",
        ),
    ] {
        let answer = edit(editor, &[]).await;
        let (code, text) = answer.refusal();
        let (said, kept) = text.split_once("\nyour text is kept in ").unwrap();
        assert_eq!((code, said), (2, complaint));
        let typed = std::fs::read_to_string(kept).unwrap();
        assert!(typed.contains("count=51") || typed.contains("cs103"), "{typed}");
        std::fs::remove_file(kept).unwrap();
    }
    let failed = edit("false", &[]).await;
    assert_eq!(failed.refusal(), (2, "homeroom: the editor ended with exit status: 1; cs102 is unchanged"));
    let missing = edit("no-such-editor -w", &[]).await;
    let complaint = "homeroom: cannot start the editor \"no-such-editor\"; set EDITOR: No such file or directory";
    assert_eq!(missing.refusal(), (1, complaint));
    assert_eq!(desk.done(&["get", "cs102", "-o", "toml"]).await, before);
}

#[tokio::test]
async fn a_definition_is_deleted_once_its_machines_are_gone() {
    let desk = Desk::new().await;
    let refused = desk.run(&["delete", "cs100"]).await;
    let complaint = "homeroom: refused: cs100 still has machines; `homeroom destroy cs100 --yes` removes them first";
    assert_eq!(refused.refusal(), (4, complaint));
    assert_eq!(desk.done(&["delete", "cs101"]).await, "cs101 deleted\n");
    assert_eq!(desk.json(&["delete", "cs102", "--json"]).await["deleted"], "cs102");
    let gone = desk.run(&["delete", "cs101"]).await;
    assert_eq!(gone.refusal(), (2, "homeroom: no lab is called cs101; `homeroom get` lists them"));
}

#[tokio::test]
async fn with_a_site_named_only_its_labs_are_looked_at() {
    let desk = Desk::new().await;
    let config = std::fs::read_to_string(&desk.staged.config).unwrap();
    let (site, rest) = config.split_once("[store]").unwrap();
    let two = format!("{site}{}[store]{rest}", site.replace("sites.sim", "sites.annex"));
    let config = desk.staged.folder.join("two.toml");
    std::fs::write(&config, two).unwrap();
    let other = desk.run_under(&config, &["plan", "cs101", "--site", "annex"]).await;
    assert_eq!(other.refusal(), (2, "homeroom: cs101 is on site sim, not on annex; leave --site out"));
    for words in [["status", "--json"], ["machines", "--json"], ["runs", "--json"], ["get", "--json"]] {
        let [command, json] = words;
        let answer = desk.run_under(&config, &[command, json, "--site", "annex"]).await;
        assert_eq!(answer.code, 0, "{}", answer.err);
        let json = super::desk::one_object(&answer.out);
        let rows = json.as_object().unwrap().values().nth(1).unwrap();
        assert_eq!(rows.as_array().map(Vec::len), Some(0), "{command}: {rows}");
    }
}
