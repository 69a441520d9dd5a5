//! The Proxmox client against a server that breaks off, stalls and lies, over real TLS on the loopback.

mod cluster;
mod hostile;
pub mod server;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust, show_fingerprint},
    domain::{NodeName, Vmid},
    port::{
        Clock, Cluster, GuestAgent, SiteError,
        agent::AgentError,
        cluster::{CloneRequest, PowerAction},
    },
};
use secrecy::SecretString;
use tokio::net::TcpListener;

use self::server::{Reply, Server, answer, cut, hangs_up, ok};

const SECRET: &str = "5ec4e7-0f-the-token";

/// Modelled time that passes only by being waited for.
#[derive(Default)]
pub struct Instantly(Mutex<Duration>);

#[async_trait]
impl Clock for Instantly {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, modelled: Duration) {
        *self.0.lock().unwrap() += modelled;
        tokio::task::yield_now().await;
    }
}

fn connection(endpoints: &[&Server]) -> Connection {
    Connection {
        site: "campus".to_owned(),
        endpoints: endpoints.iter().map(|server| server.address.clone()).collect(),
        node_api: Default::default(),
        trust: Trust::Fingerprints(endpoints.iter().map(|server| server.fingerprint()).collect()),
        credentials: Credentials::Token { id: "homeroom@pve!lab".to_owned(), secret: SecretString::from(SECRET) },
        limits: Limits { body: 4096, ..Limits::default() },
    }
}

fn client(connection: Connection) -> Proxmox {
    Proxmox::new(connection, Arc::new(Instantly::default())).unwrap()
}

fn patient_for(milliseconds: u64, servers: &[&Server]) -> Proxmox {
    let mut connection = connection(servers);
    connection.limits.request = Duration::from_millis(milliseconds);
    client(connection)
}

fn node() -> NodeName {
    NodeName::new("pve1")
}

fn vmid(id: u64) -> Vmid {
    Vmid::new(id).unwrap()
}

const VERSION: &str = r#"{"data":{"version":"9.2.11"}}"#;
const UPID: &str = r#"{"data":"UPID:pve1:00000162:00036E5F:6B01568A:qmstart:101:homeroom@pve!lab:"}"#;

#[tokio::test]
async fn a_server_with_the_pinned_fingerprint_is_believed_and_shown_the_token() {
    let server = Server::start(|_| ok(VERSION)).await;
    let version = client(connection(&[&server])).version().await.unwrap();
    assert_eq!(version.as_str(), "9.2.11");
    let [request] = server.asked().try_into().unwrap();
    let request = request.to_lowercase();
    assert!(request.starts_with("get /api2/json/version http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("authorization: pveapitoken=homeroom@pve!lab={SECRET}\r\n")), "{request}");
}

#[tokio::test]
async fn a_server_with_another_fingerprint_gets_no_request_and_both_are_named() {
    let server = Server::start(|_| ok(VERSION)).await;
    let pinned = [7; 32];
    let error = client(Connection { trust: Trust::Fingerprints(vec![pinned]), ..connection(&[&server]) })
        .version()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SiteError::Untrusted { .. }), "{text}");
    assert!(text.contains(&show_fingerprint(&server.fingerprint())), "{text}");
    assert!(text.contains(&show_fingerprint(&pinned)) && text.contains("change `fingerprints`"), "{text}");
    assert!(!error.is_retryable());
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_pinned_certificate_shown_without_its_key_is_not_believed() {
    let real = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let thief = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap().signing_key.serialize_der();
    let server = Server::with(real.cert.der().clone(), real.cert.pem(), thief, |_| ok(VERSION)).await;
    let error = client(connection(&[&server])).version().await.unwrap_err();
    assert!(matches!(error, SiteError::Untrusted { .. }), "{error}");
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_ca_file_is_believed_and_a_stranger_refused_with_its_fingerprint() {
    let server = Server::start(|_| ok(VERSION)).await;
    let stranger = Server::start(|_| ok(VERSION)).await;
    let trust = Trust::CaFile(server.pem.clone().into_bytes());
    assert!(client(Connection { trust: trust.clone(), ..connection(&[&server]) }).version().await.is_ok());
    let error = client(Connection { trust, ..connection(&[&stranger]) }).version().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SiteError::Untrusted { .. }), "{text}");
    assert!(
        text.contains(&show_fingerprint(&stranger.fingerprint())) && text.contains("no trusted authority"),
        "{text}"
    );
}

#[tokio::test]
async fn no_route_is_told_apart_from_a_wrong_certificate() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::start(|_| ok(VERSION)).await;
    let error = client(Connection { endpoints: vec![format!("https://{closed}")], ..connection(&[&server]) })
        .version()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SiteError::Unreachable { .. }) && error.is_retryable(), "{text}");
    assert!(text.contains("cannot reach campus") && text.contains("Connection refused"), "{text}");
    assert!(text.contains(&closed.to_string()), "{text}");
}

#[tokio::test]
async fn a_dead_first_address_is_passed_over_and_then_asked_last() {
    let (dead, tries) = hangs_up().await;
    let server = Server::start(|request| ok(if request.starts_with("GET") { VERSION } else { UPID })).await;
    let mut connection = connection(&[&server]);
    connection.endpoints.insert(0, dead);
    let client = client(connection);
    // A write goes on to the next address too, as long as nothing was sent.
    client.power(&node(), vmid(101), PowerAction::Start).await.unwrap();
    client.version().await.unwrap();
    assert_eq!((tries.load(Ordering::SeqCst), server.asked().len()), (1, 2));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_sent_once_to_one_address() {
    let first = Server::start(|_| Reply::Send(String::new())).await;
    let second = Server::start(|_| ok(UPID)).await;
    let error = client(connection(&[&first, &second])).power(&node(), vmid(101), PowerAction::Start).await.unwrap_err();
    assert!(matches!(error, SiteError::Lost { .. }) && error.effect_unknown(), "{error}");
    assert!(error.to_string().starts_with("start 101 on pve1: the answer was lost"), "{error}");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_write_that_a_node_could_not_pass_on_is_lost() {
    for status in ["595 No route to host", "596 Broken pipe", "597 Connection timed out", "599 Too slow"] {
        let server = Server::start(move |_| answer(status, "")).await;
        let other = Server::start(|_| ok(UPID)).await;
        let error = client(connection(&[&server, &other])).remove(&node(), vmid(101)).await.unwrap_err();
        assert!(matches!(&error, SiteError::Lost { why, .. } if why.as_str() == status), "{error}");
        assert_eq!((server.asked().len(), other.asked().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_node_that_is_down_is_named_rather_than_its_site() {
    let server = Server::start(|_| answer("595 No route to host", "")).await;
    let error = client(connection(&[&server])).status(&NodeName::new("pve2"), vmid(800)).await.unwrap_err();
    assert!(matches!(error, SiteError::Unreachable { .. }) && error.is_retryable(), "{error}");
    assert!(error.to_string().contains("cannot reach node pve2 of campus"), "{error}");
}

#[tokio::test]
async fn a_question_moves_on_when_its_answer_is_lost_cut_or_not_passed_on() {
    let replies: [fn() -> Reply; 4] = [
        || Reply::Send(String::new()),
        || Reply::Send(cut()),
        || answer("596 Connection timed out", ""),
        || answer("502 Bad Gateway", "<html><title>502</title></html>"),
    ];
    for reply in replies {
        let bad = Server::start(move |_| reply()).await;
        let good = Server::start(|_| ok(VERSION)).await;
        client(connection(&[&bad, &good])).version().await.unwrap();
        assert_eq!((bad.asked().len(), good.asked().len()), (1, 1));
    }
}

#[tokio::test]
async fn a_cut_answer_is_lost_to_a_write_and_no_answer_to_a_question() {
    let server = Server::start(|_| Reply::Send(cut())).await;
    let client = client(connection(&[&server]));
    let error = client.power(&node(), vmid(101), PowerAction::Stop).await.unwrap_err();
    assert!(matches!(&error, SiteError::Lost { why, .. } if why.as_str().contains("broke off after")), "{error}");
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, SiteError::Unreachable { .. }) && !error.effect_unknown(), "{error}");
}

#[tokio::test]
async fn a_stalled_answer_is_given_up_in_time() {
    let server = Server::start(|_| Reply::Stall(cut())).await;
    let client = patient_for(300, &[&server]);
    let error = client.power(&node(), vmid(101), PowerAction::Start).await.unwrap_err();
    assert!(matches!(&error, SiteError::Lost { why, .. } if why.as_str().contains("within 0.3 s")), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_beyond_all_measure_is_not_taken_in() {
    let server = Server::start(|_| ok(&format!("{{\"data\":\"{}\"}}", "x".repeat(5000)))).await;
    let error = client(connection(&[&server])).version().await.unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
}

#[tokio::test]
async fn a_web_page_is_no_answer() {
    let server = Server::start(|_| ok("<!doctype html><title>Log in</title>")).await;
    let error = client(connection(&[&server])).power(&node(), vmid(101), PowerAction::Start).await.unwrap_err();
    assert!(matches!(error, SiteError::Malformed { .. }) && error.effect_unknown(), "{error}");
    assert!(error.to_string().contains("\"Log in\""), "{error}");
}

#[tokio::test]
async fn the_words_of_the_status_line_are_kept_where_the_body_is_empty() {
    let server = Server::start(|_| answer("500 can't lock file '/var/lock/x.conf' - got timeout", "")).await;
    let error = client(connection(&[&server])).power(&node(), vmid(101), PowerAction::Start).await.unwrap_err();
    assert!(
        matches!(&error, SiteError::Locked { words, .. } if words.as_str().contains("/var/lock/x.conf")),
        "{error}"
    );
    let server = Server::start(|_| answer("401 Authentication failed!", "")).await;
    let error = client(connection(&[&server])).version().await.unwrap_err();
    assert!(matches!(error, SiteError::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("Authentication failed!"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(|_| ok(VERSION)).await;
    let target = elsewhere.address.clone();
    let server = Server::start(move |_| {
        Reply::Send(format!("HTTP/1.1 302 Found\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n"))
    })
    .await;
    let error = client(connection(&[&server])).version().await.unwrap_err();
    assert!(error.to_string().contains("redirects (302)"), "{error}");
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_concerns_a_node_is_asked_at_its_own_address_first() {
    let shared = Server::start(|_| ok(UPID)).await;
    let own = Server::start(|_| ok(UPID)).await;
    let mut connection = connection(&[&shared, &own]);
    let address = connection.endpoints.pop().unwrap();
    connection.node_api.insert(node(), address);
    let client = client(connection);
    client.power(&node(), vmid(101), PowerAction::Start).await.unwrap();
    client.power(&NodeName::new("pve2"), vmid(102), PowerAction::Start).await.unwrap();
    assert!(own.asked().first().unwrap().starts_with("POST /api2/json/nodes/pve1/qemu/101/status/start "));
    assert!(shared.asked().first().unwrap().starts_with("POST /api2/json/nodes/pve2/qemu/102/status/start "));
    assert_eq!((own.asked().len(), shared.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_clone_is_asked_for_in_the_form_proxmox_reads() {
    let server = Server::start(|_| ok(UPID)).await;
    let request = CloneRequest {
        template: vmid(9000),
        node: node(),
        vmid: vmid(9101),
        target: None,
        name: "cs101-ada".to_owned(),
        description: "a=b; c&d\n+".to_owned(),
        full: true,
        storage: Some("ssd".to_owned()),
        format: Some("qcow2".to_owned()),
        pool: None,
    };
    client(connection(&[&server])).clone_guest(&request).await.unwrap();
    let [asked] = server.asked().try_into().unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /api2/json/nodes/pve1/qemu/9000/clone HTTP/1.1"), "{head}");
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!(body, "newid=9101&name=cs101-ada&description=a%3Db%3B%20c%26d%0A%2B&full=1&storage=ssd&format=qcow2");
}

#[tokio::test]
async fn a_command_in_a_guest_is_asked_after_until_it_ended() {
    let polls = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.starts_with("POST") {
            return ok(r#"{"data":{"pid":395}}"#);
        }
        match polls.fetch_add(1, Ordering::SeqCst) {
            0..=2 => ok(r#"{"data":{"exited":0}}"#),
            _ => ok(r#"{"data":{"exited":1,"exitcode":0,"out-data":"Linux ada\n"}}"#),
        }
    })
    .await;
    let command = ["uname".to_owned(), "-a".to_owned()];
    let client = client(connection(&[&server]));
    let output = client.exec(&node(), vmid(101), &command, Duration::from_secs(30)).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "Linux ada\n"));
    let asked = server.asked();
    assert!(asked.first().unwrap().ends_with("\r\n\r\ncommand=uname&command=-a"), "{asked:?}");
    assert!(asked.get(1).unwrap().starts_with("GET /api2/json/nodes/pve1/qemu/101/agent/exec-status?pid=395 "));
}

#[tokio::test]
async fn a_command_that_does_not_end_runs_out_of_modelled_time() {
    let server = Server::start(|request| {
        ok(if request.starts_with("POST") { r#"{"data":{"pid":395}}"# } else { r#"{"data":{"exited":0}}"# })
    })
    .await;
    let client = client(connection(&[&server]));
    let output = client.exec(&node(), vmid(101), &["sleep".to_owned()], Duration::from_secs(9)).await.unwrap();
    assert_eq!(output.code, None);
    assert!(output.stderr.contains("still running after 9 s"), "{}", output.stderr);
}

#[tokio::test]
async fn an_end_told_in_an_answer_that_got_lost_is_not_called_a_success() {
    let polls = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        if request.starts_with("POST") {
            return ok(r#"{"data":{"pid":395}}"#);
        }
        match polls.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Send(cut()),
            _ => answer("500 Agent error: PID ld does not exist", ""),
        }
    })
    .await;
    let client = client(connection(&[&server]));
    let error = client.exec(&node(), vmid(101), &["true".to_owned()], Duration::from_secs(9)).await.unwrap_err();
    assert!(matches!(error, AgentError::Site(SiteError::Lost { .. })), "{error}");
}

#[tokio::test]
async fn a_program_the_guest_does_not_have_is_named() {
    let server = Server::start(|_| answer("596 Broken pipe", "")).await;
    let client = client(connection(&[&server]));
    let error = client.exec(&node(), vmid(101), &["/no/such".to_owned()], Duration::from_secs(9)).await.unwrap_err();
    assert!(matches!(&error, AgentError::Refused(words) if words.as_str().contains("\"/no/such\"")), "{error}");
}

#[tokio::test]
async fn a_look_makes_do_without_the_right_to_ask_for_the_quorum() {
    let server = Server::start(|request| match request.split(' ').nth(1) {
        Some("/api2/json/version") => ok(VERSION),
        Some("/api2/json/cluster/resources") => ok(r#"{"data":[{"type":"node","node":"pve1","status":"online"}]}"#),
        _ => answer("403 Permission check failed (/, Sys.Audit)", ""),
    })
    .await;
    let client = client(connection(&[&server]));
    let view = client.view().await.unwrap();
    assert_eq!((view.quorate, view.nodes.len()), (None, 1));
    client.view().await.unwrap();
    // The version is asked for once; then two calls a look.
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn one_member_already_in_the_pool_does_not_keep_the_others_out() {
    let server = Server::start(|request| match request {
        r if r.starts_with("GET") => ok(r#"{"data":[{"poolid":"cs101","members":[{"vmid":"101","type":"qemu"}]}]}"#),
        r if r.contains("vms=101%2C102") => answer("500 update pools failed: VM 101 is already a pool member", ""),
        _ => ok(r#"{"data":null}"#),
    })
    .await;
    client(connection(&[&server])).add_to_pool("cs101", &[vmid(101), vmid(102)], false).await.unwrap();
    assert!(server.asked().last().unwrap().ends_with("poolid=cs101&vms=102"));
}

#[tokio::test]
async fn the_token_stands_in_no_error_and_no_debug_text() {
    let server = Server::start(|_| answer("500 no", "")).await;
    let connection = connection(&[&server]);
    assert!(!format!("{connection:?}").contains(SECRET));
    let client = client(connection);
    let error = client.version().await.unwrap_err();
    assert!(!format!("{client:?} {error} {error:?}").contains(SECRET));
    let closed = patient_for(1, &[&server]).version().await;
    assert!(!format!("{closed:?}").contains(SECRET));
}
