//! A certificate and a key that do not belong together are noticed before anything is made of them.

use std::time::{Duration, SystemTime};

use homeroom::{domain::event::RunState, service::plan::plan_deploy};
use tempfile::TempDir;

use super::{DEFINITION, House, deploy_once, house, intro, look, names, refusal};

/// A certificate for a name, and its key.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["ws.example.org".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Writes a file as it was a minute ago, and so whole by now.
fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

fn with_files(folder: &TempDir) -> House {
    let house = house();
    let at = folder.path().display();
    house.define(&format!(
        "{DEFINITION}proxy = {{ port = 8443, name = \"ws.example.org\", cert_file = \"{at}/ws.pem\", key_file = \"{at}/ws.key\" }}\n"
    ));
    house
}

/// What the proxy shows.
fn shown(house: &House) -> String {
    let state = house.hall.state();
    let proxy = state.containers.iter().find(|kept| kept.spec.name == "intro-host").unwrap();
    String::from_utf8(proxy.files["/cert.pem"].clone()).unwrap()
}

/// What the journal says of certificates.
fn told(house: &House) -> Vec<String> {
    let all = house.disk.told();
    all.iter().map(|event| event.message.to_string()).filter(|words| words.contains("certificate")).collect()
}

#[test]
fn nothing_is_made_of_a_pair_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let house = with_files(&folder);
    let ((cert, key), (_, other)) = (pair(), pair());
    let why = refusal(&house);
    assert!(why.contains("cannot read") && why.contains("ws.pem"), "{why}");
    write(&folder, "ws.pem", &cert);
    write(&folder, "ws.key", &other);
    let why = refusal(&house);
    assert!(why.contains("ws.key is not of the certificate that stands first in"), "{why}");
    assert!(why.contains("mend the files"), "{why}");
    write(&folder, "ws.pem", &key);
    write(&folder, "ws.key", &cert);
    let why = refusal(&house);
    assert!(why.contains("ws.pem holds no certificate in PEM") && !why.contains("BEGIN"), "{why}");
    assert!(house.hall.names().is_empty());
    write(&folder, "ws.pem", &cert);
    write(&folder, "ws.key", &key);
    assert_eq!(deploy_once(&house), Some(RunState::Done));
    assert_eq!(shown(&house), cert);
}

#[test]
fn a_renewal_that_is_half_of_another_pair_leaves_the_proxy_what_it_has_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let house = with_files(&folder);
    let ((cert, key), (next, next_key)) = (pair(), pair());
    write(&folder, "ws.pem", &cert);
    write(&folder, "ws.key", &key);
    assert_eq!(deploy_once(&house), Some(RunState::Done));

    write(&folder, "ws.pem", &next);
    for _ in 0..2 {
        assert_eq!(look(&house), []);
    }
    let told = told(&house);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("is not of the certificate") && told[0].contains("goes on with the one it has"),
        "{told:?}"
    );
    let home = house.homeroom();
    let plan = house.stage.live(None, async { plan_deploy(&home, &intro()).await.unwrap().plan }).unwrap();
    assert!(plan.is_empty(), "{plan:#?}");
    assert!(plan.notes.iter().any(|note| note.contains("the proxy goes on with the one it has")), "{:?}", plan.notes);
    assert_eq!(shown(&house), cert);

    write(&folder, "ws.key", &next_key);
    assert_eq!(look(&house), [RunState::Done]);
    assert_eq!(shown(&house), next);
    assert_eq!(house.hall.names(), names());
}
