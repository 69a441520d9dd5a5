//! Logging in by user and password: tickets are had once, renewed in time, and a refusal says what to do.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    backend::proxmox::{Connection, Credentials, Limits, Proxmox, Trust, parse_fingerprint},
    domain::{NodeName, Vmid},
    port::{Clock, Cluster, SiteError, cluster::PowerAction},
    sim::{self, Options, Scenario},
};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::proxmox::server::{Reply, Server, answer, ok};

const PASSWORD: &str = "p;a=s&s w%rd";
const UPID: &str = r#"{"data":"UPID:pve1:00000162:00036E5F:6B01568A:qmstart:101:admin@pam:"}"#;

/// A wall clock somebody turns.
struct Turned(Mutex<Timestamp>);

impl Turned {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::UNIX_EPOCH)))
    }

    fn pass(&self, minutes: i64) {
        *self.0.lock().unwrap() += jiff::SignedDuration::from_mins(minutes);
    }
}

#[async_trait]
impl Clock for Turned {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

fn connection(address: String, fingerprint: [u8; 32], user: &str, password: &str) -> Connection {
    Connection {
        site: "campus".to_owned(),
        endpoints: vec![address],
        node_api: Default::default(),
        trust: Trust::Fingerprints(vec![fingerprint]),
        credentials: Credentials::Login { user: user.to_owned(), password: SecretString::from(password) },
        limits: Limits::default(),
    }
}

fn client(server: &Server, clock: &Arc<Turned>) -> Proxmox {
    let connection = connection(server.address.clone(), server.fingerprint(), "admin@pam", PASSWORD);
    Proxmox::new(connection, clock.clone()).unwrap()
}

fn is_login(request: &str) -> bool {
    request.starts_with("POST /api2/json/access/ticket")
}

fn ticket(number: usize) -> Reply {
    ok(&format!(
        r#"{{"data":{{"username":"admin@pam","ticket":"PVE:admin@pam:{number}::sig+/=","CSRFPreventionToken":"csrf:{number}"}}}}"#
    ))
}

/// Hands out numbered tickets, and takes the newest alone.
async fn office() -> Server {
    let given = AtomicUsize::new(0);
    Server::start(move |request| {
        if is_login(request) {
            return ticket(given.fetch_add(1, Ordering::SeqCst) + 1);
        }
        let newest = format!("PVEAuthCookie=PVE%3Aadmin%40pam%3A{}%3A%3Asig%2B%2F%3D", given.load(Ordering::SeqCst));
        match request.contains(&newest) {
            false => answer("401 No ticket", ""),
            true if request.starts_with("GET") => ok(r#"{"data":[]}"#),
            true => ok(UPID),
        }
    })
    .await
}

fn logins(server: &Server) -> Vec<String> {
    server.asked().into_iter().filter(|request| is_login(request)).collect()
}

#[tokio::test]
async fn many_requests_at_once_share_one_login() {
    let server = office().await;
    let client = client(&server, &Turned::new());
    let asks: Vec<_> = (0..8).map(|_| client.pools()).collect();
    for answer in futures_util::future::join_all(asks).await {
        answer.unwrap();
    }
    let [login] = logins(&server).try_into().unwrap();
    assert!(login.ends_with("username=admin%40pam&password=p%3Ba%3Ds%26s%20w%25rd"), "{login}");
    assert_eq!(server.asked().len(), 9);
}

#[tokio::test]
async fn a_write_carries_the_csrf_token_and_a_read_does_not() {
    let server = office().await;
    let client = client(&server, &Turned::new());
    client.pools().await.unwrap();
    client.power(&NodeName::new("pve1"), Vmid::new(101).unwrap(), PowerAction::Start).await.unwrap();
    let [_, read, write] = server.asked().try_into().unwrap();
    assert!(!read.to_lowercase().contains("csrfpreventiontoken"), "{read}");
    assert!(write.to_lowercase().contains("csrfpreventiontoken: csrf:1\r\n"), "{write}");
    for request in [read, write] {
        assert!(!request.contains("password") && !request.to_lowercase().contains("authorization"), "{request}");
    }
}

#[tokio::test]
async fn a_ticket_is_renewed_by_handing_it_in_before_its_two_hours_are_over() {
    let (server, clock) = (office().await, Turned::new());
    let client = client(&server, &clock);
    client.pools().await.unwrap();
    clock.pass(80);
    client.pools().await.unwrap();
    assert_eq!(logins(&server).len(), 1);
    clock.pass(15);
    client.pools().await.unwrap();
    let [_, renewal] = logins(&server).try_into().unwrap();
    assert!(renewal.ends_with("password=PVE%3Aadmin%40pam%3A1%3A%3Asig%2B%2F%3D"), "{renewal}");
    // Left alone for a day: the ticket is worth nothing, the password is.
    clock.pass(24 * 60);
    client.pools().await.unwrap();
    assert!(logins(&server)[2].ends_with("password=p%3Ba%3Ds%26s%20w%25rd"));
}

#[tokio::test]
async fn a_ticket_no_longer_taken_is_made_anew_once_and_the_write_repeated() {
    let refused = Arc::new(AtomicUsize::new(0));
    let counted = refused.clone();
    let server = Server::start(move |request| {
        if is_login(request) {
            return ticket(counted.load(Ordering::SeqCst));
        }
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => answer("401 No ticket", ""),
            _ => ok(UPID),
        }
    })
    .await;
    let client = client(&server, &Turned::new());
    client.power(&NodeName::new("pve1"), Vmid::new(101).unwrap(), PowerAction::Start).await.unwrap();
    assert_eq!(logins(&server).len(), 2);
    assert_eq!(refused.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_password_is_sent_once_however_many_ask_and_is_never_shown() {
    let server = Server::start(|_| answer("401 authentication failure", "")).await;
    let clock = Turned::new();
    let client = client(&server, &clock);
    let asks: Vec<_> = (0..5).map(|_| client.pools()).collect();
    for answer in futures_util::future::join_all(asks).await {
        let error = answer.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(matches!(error, SiteError::LoginRefused { .. }), "{text}");
        assert!(text.contains("admin@pam") && text.contains("password under `login`"), "{text}");
        assert!(!text.contains("w%rd") && !text.contains("w%25rd"), "{text}");
    }
    client.pools().await.unwrap_err();
    assert_eq!(server.asked().len(), 1);
    clock.pass(6);
    client.pools().await.unwrap_err();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_second_factor_is_refused_with_the_way_out() {
    let server = Server::start(|_| {
        ok(r#"{"data":{"username":"admin@pam","ticket":"PVE:!tfa!%7B%7D:1::s","CSRFPreventionToken":"c","NeedTFA":1}}"#)
    })
    .await;
    let text = client(&server, &Turned::new()).pools().await.unwrap_err().to_string();
    assert!(text.contains("second factor") && text.contains("pveum user token add admin@pam"), "{text}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn the_simulated_cluster_lets_a_user_in_by_password_and_renews_the_ticket() {
    let options = Options {
        scenario: Scenario::default_world().unwrap(),
        speed: 1.0,
        listen: "127.0.0.1:0".parse().unwrap(),
        seed: 3,
    };
    let cluster = sim::start(options).await.unwrap();
    let (api, fingerprint) = (cluster.nodes()[0].api.clone(), parse_fingerprint(cluster.fingerprint()).unwrap());
    let clock = Turned::new();
    let good = connection(api.clone(), fingerprint, "homeroom@pve", "sim-homeroom-password");
    let client = Proxmox::new(good, clock.clone()).unwrap();
    client.create_pool("made-by-ticket").await.unwrap();
    // Renewal: the simulated cluster takes the ticket in place of the password.
    clock.pass(100);
    assert!(client.pools().await.unwrap().iter().any(|pool| pool.as_str() == "made-by-ticket"));
    let bad = connection(api, fingerprint, "homeroom@pve", "wrong");
    let error = Proxmox::new(bad, clock).unwrap().pools().await.unwrap_err();
    assert!(matches!(error, SiteError::LoginRefused { .. }), "{error}");
}
