//! Application default credentials of every kind, by the program itself, against the simulated project's token
//! endpoints.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::Stage;

/// What the program says with these credentials, and whether it planned.
fn plans(stage: &Stage, credentials: &Value) -> (bool, String) {
    let file = stage.folder.path().join("credentials.json");
    std::fs::write(&file, credentials.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(["plan", "intro"]).env("HOMEROOM_CONFIG", stage.config());
    let ran = command.env("GOOGLE_APPLICATION_CREDENTIALS", &file).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    (ran.status.success(), text)
}

#[test]
fn what_a_service_account_signs_for_itself_ends_and_is_signed_anew() {
    let stage = Stage::new();
    stage.deploy();
    // More than a second of the wall: what is signed after that is another text.
    stage.project.world(|world| world.token_life = 450_000);
    let file = stage.folder.path().join("credentials.json");
    std::fs::write(&file, service_account(&stage).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeroom"));
    command.args(["logs", "intro/host", "--follow"]).env("HOMEROOM_CONFIG", stage.config());
    let command = command.env("GOOGLE_APPLICATION_CREDENTIALS", &file).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    // It goes on asking what the serial port prints.
    stage.until(|world| {
        let told: Vec<u64> = world.exchanges.iter().filter_map(|it| it["status"].as_u64()).collect();
        let refused = told.iter().position(|status| *status == 401);
        refused.is_some_and(|at| told[at..].contains(&200))
    });
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    stage.end();
}

/// A key file of the project's service account.
fn service_account(stage: &Stage) -> Value {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap().serialize_pem();
    json!({
        "type": "service_account", "client_email": "lab@lab-1.iam.gserviceaccount.com", "private_key_id": "k",
        "private_key": key, "project_id": "lab-1", "token_uri": format!("{}/token", stage.project.endpoint()),
        "universe_domain": "googleapis.com",
    })
}

#[test]
fn a_login_a_service_account_and_a_federated_identity_all_open_the_project() {
    let stage = Stage::new();
    let endpoint = stage.project.endpoint().to_owned();
    let login = json!({
        "type": "authorized_user", "client_id": "1.apps.googleusercontent.com", "client_secret": "s",
        "refresh_token": "sim-refresh-token", "token_uri": format!("{endpoint}/token"),
    });
    let (well, said) = plans(&stage, &login);
    assert!(well && said.contains("e2-standard-4"), "{said}");

    let subject = stage.folder.path().join("subject");
    std::fs::write(&subject, "a-token-of-somebody-else-s").unwrap();
    let federated = json!({
        "type": "external_account", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
        "token_url": format!("{endpoint}/v1/token"), "credential_source": {"file": subject},
    });
    let (well, said) = plans(&stage, &federated);
    assert!(well && said.contains("e2-standard-4"), "{said}");

    let (well, said) = plans(&stage, &service_account(&stage));
    assert!(well && said.contains("e2-standard-4"), "{said}");

    // Whose calls count against which project matters to what goes by whoever asks.
    let mut paid = login.clone();
    paid["quota_project_id"] = json!("lab-1");
    let (_, said) = plans(&stage, &paid);
    assert!(!said.contains("what the account may do is not known"), "{said}");
    let (well, said) = plans(&stage, &login);
    assert!(well && said.contains("requires a quota project"), "{said}");
    assert!(said.contains("`gcloud auth application-default set-quota-project PROJECT`"), "{said}");
    assert!(!said.contains("services enable"), "it may well be on in the project: {said}");

    let mut lost = federated;
    lost["credential_source"] = json!({"file": "/nowhere/subject"});
    let (well, said) = plans(&stage, &lost);
    assert!(!well && said.contains("takes its token from /nowhere/subject, which is not there"), "{said}");

    let mut stale = login;
    stale["refresh_token"] = json!("another-one");
    let (well, said) = plans(&stage, &stale);
    assert!(!well && said.contains("no valid credentials"), "{said}");
    assert!(!said.contains("another-one"), "{said}");
    stage.end();
}
