//! Engines on other machines: by SSH through a real sshd, by TCP with TLS on both sides.

use std::net::TcpListener;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::{Lab, alone, restart::Engine};
use crate::sshd::Server;

/// A deploy from end to end, a shell's command, a log, and nothing left.
fn works(lab: &Lab) {
    lab.runs(&["deploy", "intro", "--yes"], 0);
    assert_eq!(lab.names(), ["intro-host", "intro-seat-01", "intro-seat-02"]);
    assert_eq!(lab.json(&["status", "intro", "--json"], 0)["state"], "ready");
    assert_eq!(lab.runs(&["ssh", "intro/seat-02", "--", "hostname; exit 4"], 4), "seat-02\n");
    let said = lab.runs(&["exec", "intro", "--stdin", &lab.config().display().to_string(), "--", "wc -c"], 0);
    assert!(said.contains("2 of 2: exit 0"), "{said}");
    assert!(lab.runs(&["logs", "intro/host"], 0).contains("serving initial configuration"));
    lab.asked(&["kill", "intro-seat-02"]);
    assert_eq!(lab.state_of("seat-02").0, "failed");
    lab.runs(&["check", "intro"], 3);
    lab.runs(&["deploy", "intro", "--yes"], 0);
    lab.runs(&["destroy", "intro", "--yes"], 0);
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine and /usr/sbin/sshd"]
fn an_engine_behind_ssh_works_once_its_host_key_is_trusted_and_not_before() {
    let alone = alone();
    let socket = std::env::var("HOMEROOM_TEST_DOCKER").expect("HOMEROOM_TEST_DOCKER names an engine");
    let server = Server::start();
    let path = socket.strip_prefix("unix://").unwrap();
    let (user, port) = (&server.target.user, server.target.port);
    // A key that stays when the server goes.
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::copy(&server.target.keys[0], &key).unwrap();
    let site = format!("host = \"ssh://{user}@127.0.0.1:{port}{path}\"\nssh_key = \"{}\"\n", key.display());
    let lab = Lab::at(alone, socket.clone(), &site, 2);
    let said = lab.runs(&["plan", "intro"], 1);
    assert!(said.contains("host key nobody trusted yet: SHA256:"), "{said}");
    let said = lab.runs(&["doctor"], 1);
    assert!(said.contains("shows a key nobody trusted yet"), "{said}");
    lab.runs(&["doctor", "--trust", "--yes"], 0);
    assert!(lab.runs(&["doctor"], 0).contains("by SSH"));
    // What somebody over there listens on is in the way as it is here.
    let taken = TcpListener::bind(("127.0.0.1", 3011)).unwrap();
    assert!(lab.runs(&["plan", "intro"], 2).contains("port 3011 is taken by a program on"));
    drop(taken);
    works(&lab);
    // The login goes: the reason is the login's.
    drop(server);
    let said = lab.runs(&["plan", "intro"], 1);
    assert!(said.contains("does not answer") && said.contains("cannot connect"), "{said}");
}

#[test]
#[ignore = "needs dockerd, and root to start it"]
fn an_engine_by_tcp_shows_a_certificate_and_wants_one_and_neither_is_done_without() {
    let alone = alone();
    let folder = tempfile::tempdir().unwrap();
    papers(&folder);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let site = |ca: &str, who: &str| {
        format!(
            "host = \"tcp://127.0.0.1:{port}\"\nca_file = \"{}\"\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
            at(ca),
            at(&format!("{who}.pem")),
            at(&format!("{who}.key"))
        )
    };
    let [right, other_ca, nobody] = [site("ca.pem", "client"), site("other.pem", "client"), site("ca.pem", "stranger")];
    let options = ["--host", "--tlscacert", "--tlscert", "--tlskey"];
    let values = [format!("tcp://127.0.0.1:{port}"), at("ca.pem"), at("server.pem"), at("server.key")];
    let pairs = options.into_iter().zip(values).flat_map(|(option, value)| [option.to_owned(), value]);
    let more = pairs.chain(["--tlsverify".to_owned()]).collect();
    let engine = Engine::start(folder, more);
    let lab = Lab::at(alone, engine.socket(), &right, 2);
    works(&lab);
    for site in [other_ca, nobody] {
        lab.configure(&site);
        let said = lab.runs(&["plan", "intro"], 1);
        assert!(said.contains("does not answer") && said.contains("ertificate"), "{said}");
    }
}

/// A CA with a server's and a client's certificate, another CA, and a client's certificate of that one.
fn papers(folder: &TempDir) {
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let ca = |name: &str| {
        let (mut params, key) = (CertificateParams::new(Vec::new()).unwrap(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write(name, &params.self_signed(&key).unwrap().pem());
        Issuer::new(params, key)
    };
    let signed = |name: &str, ca: &Issuer<'_, KeyPair>, usage| {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        write(&format!("{name}.pem"), &params.signed_by(&key, ca).unwrap().pem());
        write(&format!("{name}.key"), &key.serialize_pem());
    };
    let (ours, others) = (ca("ca.pem"), ca("other.pem"));
    signed("server", &ours, ExtendedKeyUsagePurpose::ServerAuth);
    signed("client", &ours, ExtendedKeyUsagePurpose::ClientAuth);
    signed("stranger", &others, ExtendedKeyUsagePurpose::ClientAuth);
}
