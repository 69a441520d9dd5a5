//! Two hundred SIGKILLs, spread over whole deploys and destroys.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::ground::{CLASS, Ground, KINDS, needed_no_hands};

/// Processes killed in all.
const KILLS: usize = 200;
/// Wall time after which a life has hung.
const LIFE: Duration = Duration::from_secs(120);

/// What tells how far a life has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum By {
    /// Requests the cluster has had from it.
    Requests,
    /// Lines it has written into the journal.
    Lines,
}

impl By {
    async fn count(self, ground: &Ground) -> u64 {
        match self {
            Self::Requests => ground.asked(),
            Self::Lines => ground.written().await,
        }
    }
}

/// How many requests and lines an undisturbed life takes.
#[derive(Debug, Clone, Copy)]
struct Length {
    requests: u64,
    lines: u64,
}

async fn undisturbed(ground: &Ground, verb: &str) -> Length {
    let (requests, lines) = (ground.asked(), ground.written().await);
    needed_no_hands(&ground.settle(verb).await);
    Length { requests: ground.asked() - requests, lines: ground.written().await - lines }
}

/// Points between 0 and 1 that leave no gap, however many there are.
fn point(nth: usize) -> f64 {
    (nth as f64 * 0.618_033_988_749_895).fract()
}

/// One life, killed at a point of its length; false when it was over before.
async fn kill_one(ground: &Ground, words: &[&str], length: Length, nth: usize) -> bool {
    let by = if nth.is_multiple_of(3) { By::Lines } else { By::Requests };
    let whole = if by == By::Lines { length.lines } else { length.requests };
    let until = by.count(ground).await + (whole as f64 * point(nth)) as u64;
    let mut child = ground.begin(words);
    let began = Instant::now();
    let killed = loop {
        if by.count(ground).await >= until {
            break child.try_wait().unwrap().is_none();
        }
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        assert!(began.elapsed() < LIFE, "{words:?} hangs");
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    child.kill().await.unwrap();
    killed
}

/// Deploys and destroys in turn, each killed, some killed again on their way back, then left to end.
async fn lives(ground: Ground, kills: usize) -> usize {
    let length = [undisturbed(&ground, "deploy").await, undisturbed(&ground, "destroy").await];
    ground.is_empty();
    let (mut killed, mut nth) = (0, 0);
    while killed < kills {
        for (verb, length) in ["deploy", "destroy"].into_iter().zip(length) {
            killed += usize::from(kill_one(&ground, &[verb, CLASS, "--yes", "--json"], length, nth).await);
            if nth % 4 == 3 {
                let again: &[&str] =
                    if nth % 8 == 3 { &["resume", CLASS, "--json"] } else { &[verb, CLASS, "--yes", "--json"] };
                killed += usize::from(kill_one(&ground, again, length, nth + 7).await);
            }
            if nth % 5 == 2 {
                // Refused where the run was not begun yet, or is over: the next one settles it.
                let ran = ground.lab.run(&["resume", CLASS, "--json"]).await;
                assert!([0, 4].contains(&ran.code), "{ran:#?}");
            }
            needed_no_hands(&ground.settle(verb).await);
            if verb == "deploy" {
                ground.stands().await
            } else {
                ground.is_empty()
            }
            nth += 1;
        }
    }
    killed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; .ci/run runs it"]
async fn two_hundred_times_killed_no_machine_is_lost_none_is_doubled_and_none_stays_locked() {
    let each = KILLS / KINDS.len();
    let grounds = join_all(KINDS.iter().map(Ground::of)).await;
    let killed: usize = join_all(grounds.into_iter().map(|ground| lives(ground, each))).await.into_iter().sum();
    assert!(killed >= KILLS, "{killed} kills");
}
