//! A lab's key is renewed: wherever that is broken off every machine still lets somebody in, and asked for again it ends.

use std::time::{Duration, Instant};

use homeroom::sim::{Fault, FaultKind};
use serde_json::json;

use super::desk::{Desk, object};

/// For what a renewal comes to on its way.
const PATIENCE: Duration = Duration::from_secs(90);
const SEATS: [u32; 4] = [9100, 9101, 9102, 9103];

/// The keys of the lab that each of its guests lets in.
fn let_in(desk: &Desk) -> Vec<Vec<String>> {
    desk.staged.cluster.world(|world| {
        let guests = world.guests.values().filter(|vm| vm.config.get("name").is_some_and(|n| n.starts_with("cs100-")));
        guests
            .map(|vm| {
                let users = vm.inside.iter().flat_map(|inside| inside.users.values());
                users.flat_map(|user| user.keys.clone()).filter(|key| key.ends_with(" homeroom cs100")).collect()
            })
            .collect()
    })
}

fn is_there(desk: &Desk, name: &str) -> bool {
    desk.staged.folder.join("keys").join(name).exists()
}

/// Names of the files of the lab's keys.
fn files(desk: &Desk) -> Vec<String> {
    let entries = std::fs::read_dir(desk.staged.folder.join("keys")).unwrap().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("cs100") && !name.ends_with(".secret"));
    names.sort();
    names
}

/// Begins a renewal, and kills it there as soon as `met` is. False where it had ended by then.
async fn killed_when(desk: &Desk, met: impl Fn() -> bool) -> bool {
    let mut renewing = desk.command(&["key", "cs100", "--renew"]).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while !met() {
        assert!(Instant::now() < until, "it never came to that");
        if renewing.try_wait().unwrap().is_some() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    renewing.start_kill().unwrap();
    renewing.wait().await.unwrap();
    true
}

/// A desk whose renewal was killed there, and the key before it. What is over in an instant is tried a few times.
async fn broken_off(met: impl Fn(&Desk, &str) -> bool) -> (Desk, String) {
    for _ in 0..5 {
        let (desk, old) = proven().await;
        if killed_when(&desk, || met(&desk, &old)).await {
            return (desk, old);
        }
    }
    panic!("it ended each time before it came to that");
}

/// These are never through: the last of what is done to give them a key does not end.
fn stalls(desk: &Desk, vmids: &[u32]) {
    for vmid in vmids {
        let call = format!("PUT /nodes/*/qemu/{vmid}/config");
        desk.staged.cluster.inject(Fault::every(&call, FaultKind::Stall));
    }
}

/// Everybody is let in, by what is there now; asked for again, the renewal ends, and the old key opens nothing.
async fn goes_on(desk: &Desk, old: &str, coming: Option<&str>) {
    desk.done(&["exec", "cs100", "--", "true"]).await;
    assert_eq!(desk.done(&["key", "cs100", "--renew"]).await, "cs100: 4 of 4 machines have the new key\n");
    let new = desk.done(&["key", "cs100"]).await;
    assert_ne!(new.trim(), old, "it is renewed");
    if let Some(coming) = coming {
        assert_eq!(new.trim(), coming, "no third key was made");
    }
    assert_eq!(let_in(desk), vec![vec![new.trim().to_owned()]; 4]);
    assert_eq!(files(desk), ["cs100"]);
    desk.done(&["exec", "cs100", "--", "true"]).await;
}

async fn proven() -> (Desk, String) {
    let desk = Desk::at_speed(20.0).await;
    desk.done(&["check", "cs100"]).await;
    let old = desk.done(&["key", "cs100"]).await.trim().to_owned();
    assert_eq!(let_in(&desk), vec![vec![old.clone()]; 4]);
    (desk, old)
}

/// The public half of the pair that is not in place yet, as it is told.
async fn beside(desk: &Desk) -> Option<String> {
    let told = desk.run(&["key", "cs100", "--json"]).await;
    object(told.out.trim())["renewal"]["others"][0]["public"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_as_soon_as_the_new_key_is_made_nobody_is_locked_out() {
    let (desk, old) = proven().await;
    stalls(&desk, &SEATS);
    assert!(killed_when(&desk, || is_there(&desk, "cs100.new")).await);
    desk.staged.cluster.world(|world| world.faults.clear());
    let told = desk.run(&["key", "cs100"]).await;
    assert_eq!(told.out.trim(), old, "the key in place opens every machine");
    assert!(told.err.contains("the renewal of cs100's key is not finished"), "{told:?}");
    assert!(told.err.contains("`homeroom key cs100 --renew`"), "{told:?}");
    let coming = beside(&desk).await;
    assert!(coming.is_some());
    goes_on(&desk, &old, coming.as_deref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_some_have_the_new_key_nobody_is_locked_out_and_it_is_no_drift() {
    let (desk, old) = proven().await;
    stalls(&desk, &SEATS[2..]);
    assert!(killed_when(&desk, || let_in(&desk).iter().all(|keys| keys.len() == 2)).await);
    desk.staged.cluster.world(|world| world.faults.clear());
    assert!(let_in(&desk).iter().all(|keys| keys.contains(&old)), "none lost the old one");
    let plan = desk.done(&["plan", "cs100"]).await;
    assert!(plan.contains("nothing to do, 4 machines stand as defined"), "{plan}");
    assert!(
        plan.contains("not finished for ada, grace, linus, margaret: the old key and the new one both log in"),
        "{plan}"
    );
    desk.done(&["check", "cs100"]).await;
    let coming = beside(&desk).await;
    goes_on(&desk, &old, coming.as_deref()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_new_key_takes_its_place_nobody_is_locked_out() {
    let (desk, old) = broken_off(|desk, _| is_there(desk, "cs100.old")).await;
    goes_on(&desk, &old, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_old_key_is_taken_out_nobody_is_locked_out() {
    let gone = |desk: &Desk, old: &str| let_in(desk).iter().any(|keys| !keys.iter().any(|key| key == old));
    let (desk, old) = broken_off(gone).await;
    let new = desk.run(&["key", "cs100"]).await.out;
    let coming = is_there(&desk, "cs100.old").then_some(new.trim());
    goes_on(&desk, &old, coming).await;
}

#[tokio::test]
async fn where_no_agent_answers_nothing_is_changed_and_every_seat_is_named() {
    let (desk, old) = proven().await;
    let silent =
        |is: bool| desk.staged.cluster.world(|world| SEATS.iter().for_each(|id| world.set_agent_silent(*id, is)));
    silent(true);
    let before = desk.standing().await;
    let answer = desk.run(&["key", "cs100", "--renew"]).await;
    let (code, complaint) = answer.refusal();
    assert_eq!(code, 1, "{complaint}");
    assert!(complaint.contains("nothing was changed on cs100: its key is renewed through"), "{complaint}");
    assert!(["ada", "grace", "linus", "margaret"].iter().all(|seat| complaint.contains(seat)), "{complaint}");
    assert_eq!((files(&desk), let_in(&desk)), (vec!["cs100".to_owned()], vec![vec![old.clone()]; 4]));
    assert_eq!(desk.standing().await, before);
    desk.done(&["exec", "cs100", "--", "true"]).await;
    silent(false);
    goes_on(&desk, &old, None).await;
}

#[tokio::test]
async fn one_whose_agent_is_silent_keeps_the_old_key_and_is_no_drift() {
    let (desk, old) = proven().await;
    desk.staged.cluster.world(|world| world.set_agent_silent(SEATS[3], true));
    let some = desk.run(&["key", "cs100", "--renew", "--json"]).await;
    assert_eq!(some.code, 3, "{some:?}");
    assert_eq!(object(some.out.trim())["seats"][3]["done"], json!(false));
    let new = desk.run(&["key", "cs100"]).await.out.trim().to_owned();
    let mut each = vec![vec![new.clone()]; 3];
    each.push(vec![old.clone()]);
    assert_eq!(let_in(&desk), each, "the old key opens that one alone");
    desk.done(&["exec", "cs100", "--", "true"]).await;
    let plan = desk.done(&["plan", "cs100"]).await;
    assert!(plan.contains("nothing to do, 4 machines stand as defined"), "{plan}");
    assert!(plan.contains("not finished for margaret: "), "{plan}");
    // Wherever one looks.
    let not_finished = "the renewal of cs100's key is not finished for margaret";
    let status = desk.done(&["status", "cs100"]).await;
    assert!(status.contains(not_finished) && status.contains("`homeroom key cs100 --renew`"), "{status}");
    let status = desk.run(&["status", "cs100", "--json"]).await;
    assert_eq!(object(status.out.trim())["renewal"], json!({"seats": ["margaret"]}));
    let all = desk.run(&["status"]).await;
    assert!(all.err.contains(not_finished), "{all:?}");
    let doctor = desk.run(&["doctor"]).await;
    assert!(doctor.out.contains(not_finished) && doctor.out.contains("--renew` goes on with it"), "{doctor:?}");
    desk.staged.cluster.world(|world| world.set_agent_silent(SEATS[3], false));
    goes_on(&desk, &old, Some(&new)).await;
}

#[tokio::test]
async fn a_key_file_that_is_damaged_or_lost_is_told_with_its_cure_and_a_login_makes_no_other() {
    let (desk, _) = proven().await;
    let file = desk.staged.folder.join("keys/cs100");
    let cures = |text: &str| {
        for part in ["`homeroom key cs100 --renew`", "`homeroom exec cs100 --via agent`"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    };
    // Another's, which no machine lets in.
    let other = Desk::new().await;
    other.done(&["key", "cs100"]).await;
    std::fs::copy(other.staged.folder.join("keys/cs100"), &file).unwrap();
    let refused = desk.run(&["ssh", "cs100/ada", "--", "true"]).await;
    assert!(refused.err.contains("keys/cs100 was refused"), "{refused:?}");
    cures(&refused.err);
    let exec = desk.run(&["exec", "cs100", "--", "true"]).await;
    cures(&exec.out);
    desk.done(&["exec", "cs100", "--via", "agent", "--", "true"]).await;
    for damage in [Some("garbage"), None] {
        match damage {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let before = let_in(&desk);
        for words in [
            &["ssh", "cs100/ada", "--", "true"][..],
            &["exec", "cs100", "--", "true"],
            &["key", "cs100"],
            // Nor does a run make one, which would open what it makes and nothing that stands.
            &["plan", "cs100"],
            &["deploy", "cs100", "--yes"],
            &["rebuild", "cs100/ada", "--yes", "--confirm", "cs100"],
            &["check", "cs100"],
        ] {
            let answer = desk.run(words).await;
            let (code, complaint) = answer.refusal();
            assert_eq!(code, 1, "{words:?}: {complaint}");
            cures(complaint);
        }
        assert_eq!(let_in(&desk), before);
        // Who asks the agents logs in to nobody.
        desk.done(&["exec", "cs100", "--via", "agent", "--", "true"]).await;
        let doctor = desk.run(&["doctor"]).await;
        assert!(doctor.code == 1 && doctor.out.contains("cs100: its own SSH key is lost"), "{doctor:?}");
        assert!(doctor.out.contains("`homeroom key cs100 --renew`"), "{doctor:?}");
        assert_eq!(std::fs::read_to_string(&file).ok().as_deref(), damage, "nobody wrote one");
        assert_eq!(desk.done(&["key", "cs100", "--renew"]).await, "cs100: 4 of 4 machines have the new key\n");
        desk.done(&["exec", "cs100", "--", "true"]).await;
        let new = desk.done(&["key", "cs100"]).await.trim().to_owned();
        assert_eq!((let_in(&desk), files(&desk)), (vec![vec![new]; 4], vec!["cs100".to_owned()]));
    }
    // What logs in to nobody needs none.
    for damage in [Some("garbage"), None] {
        match damage {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let seat = if damage.is_some() { "cs100/ada" } else { "cs100/grace" };
        desk.done(&["stop", seat]).await;
        desk.done(&["destroy", seat, "--yes"]).await;
    }
    desk.done(&["destroy", "cs100", "--yes"]).await;
    assert_eq!(files(&desk), [""; 0]);
}
