//! The monitor through whatever may come instead of an answer: each time the site is lost in words, and the next
//! good answer brings it back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use homeroom::{
    domain::SiteName,
    monitor::{Pace, Seen, Watch, watch_site},
    port::Cluster,
};
use tokio::sync::{Notify, mpsc, watch};

use super::{
    Instantly, client, connection,
    server::{Reply, Server, answer, cut, ok},
};

const ROWS: &str = r#"{"data":[{"type":"node","node":"pve1","status":"online"}]}"#;
const STATUS: &str = r#"{"data":[{"type":"cluster","quorate":1}]}"#;

/// A good answer to whatever a look asks.
fn good(request: &str) -> Reply {
    if request.contains("/cluster/resources") {
        ok(ROWS)
    } else if request.contains("/cluster/status") {
        ok(STATUS)
    } else {
        ok(super::VERSION)
    }
}

/// The looks of a monitor whose clock does not wait, and what ends it when dropped.
fn listens(server: &Server) -> (mpsc::Receiver<Seen>, watch::Sender<bool>) {
    let mut settings = connection(&[server]);
    settings.limits.request = Duration::from_millis(1500);
    let (tell, seen) = mpsc::channel(1);
    let (sender, busy) = watch::channel(false);
    watch_site(Watch {
        site: SiteName::new("campus").unwrap(),
        cluster: Arc::new(client(settings)) as Arc<dyn Cluster>,
        clock: Arc::new(Instantly::default()),
        pace: Pace { idle: Duration::from_secs(10), busy: Duration::from_secs(2) },
        busy,
        now: Arc::new(Notify::new()),
        tell,
    });
    (seen, sender)
}

/// The next look: the nodes it shows, or why the site is lost.
async fn next(seen: &mut mpsc::Receiver<Seen>) -> Result<usize, String> {
    match tokio::time::timeout(Duration::from_secs(30), seen.recv()).await.expect("a look ends") {
        Some(Seen::View { view, .. }) => Ok(view.nodes.len()),
        Some(Seen::Lost { why, .. }) => Err(why),
        Some(Seen::Engine { .. } | Seen::EngineLost { .. } | Seen::Cloud { .. }) | None => {
            panic!("the monitor has ended")
        }
    }
}

#[tokio::test]
async fn a_site_that_talks_nonsense_is_lost_in_words_and_found_again() {
    let page = "<html><body><h1>502 Bad Gateway</h1></body></html>";
    let large = format!("{{\"data\":\"{}\"}}", "x".repeat(10 << 20));
    let kinds =
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!";
    let bad = vec![
        (ok("{\"data\":[{\"type\":\"no"), "cannot be read"),
        (ok("\u{0}\u{1}nonsense"), "cannot be read"),
        (ok("{\"data\":{\"not\":\"a list\"}}"), "expected a list"),
        (ok("[]"), "is this the Proxmox API?"),
        (ok(page), "with a web page"),
        (answer("502 Bad Gateway", page), "502"),
        (answer("204 No Content", ""), "look at campus"),
        (answer("500 got no worker upid - start worker failed", ""), "got no worker upid"),
        (answer("401 No ticket", ""), "does not accept the token"),
        (Reply::Send(cut()), "broke off after"),
        (Reply::Send(kinds.to_owned()), "look at campus"),
        (Reply::Send("NOT HTTP AT ALL\r\n\r\n".to_owned()), "look at campus"),
        (ok(&large), "longer than"),
        (Reply::Stall(String::new()), "no whole answer within"),
        (Reply::Stall(cut()), "no whole answer within"),
    ];
    let words: Vec<&str> = bad.iter().map(|(_, words)| *words).collect();
    let replies: Mutex<VecDeque<Reply>> = Mutex::new(bad.into_iter().map(|(reply, _)| reply).collect());
    // A bad answer and a good one in turn.
    let was_bad = Mutex::new(false);
    let server = Server::start(move |request| {
        let mut was_bad = was_bad.lock().unwrap();
        if !request.contains("/cluster/resources") {
            return good(request);
        }
        *was_bad = !*was_bad;
        let reply = if *was_bad { replies.lock().unwrap().pop_front() } else { None };
        reply.unwrap_or_else(|| ok(ROWS))
    })
    .await;
    let (mut seen, _lives) = listens(&server);
    for words in words {
        let lost = next(&mut seen).await.expect_err(words);
        assert!(lost.contains(words) && lost.len() < 2000, "{words:?}: {lost}");
        assert_eq!(next(&mut seen).await, Ok(1), "after {words:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_changes_under_the_monitor_stops_it_from_asking_until_it_is_back() {
    let server = Server::start(good).await;
    let (mut seen, _lives) = listens(&server);
    assert_eq!(next(&mut seen).await, Ok(1));
    let back = server.changes_its_certificate();
    // Looks under way already may still end well.
    let lost = loop {
        if let Err(lost) = next(&mut seen).await {
            break lost;
        }
    };
    assert!(lost.contains("is not trusted"), "{lost}");
    let asked = server.asked().len();
    assert!(next(&mut seen).await.unwrap_err().contains("is not trusted"));
    assert_eq!(server.asked().len(), asked, "a stranger is sent nothing");
    back();
    while next(&mut seen).await.is_err() {}
}
