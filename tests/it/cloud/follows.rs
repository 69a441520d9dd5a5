//! What happens to an instance behind homeroom's back, and what is told of it: another address, stops and starts and
//! what they cost, an end that has come, permissions that are not there.

use std::sync::atomic::Ordering;

use homeroom::{
    domain::{MachineState, event::RunState, plan::Consent, readiness::LabState},
    service::{
        check::check,
        deploy::{Request, deploy},
        ends::{end, extend, look, overdue},
        plan::plan_deploy,
    },
};
use jiff::Timestamp;

use super::{DEFINITION, Stage, ZONE, ended, intro};

/// Where the names in DNS lead.
fn leads(stage: &Stage) -> Vec<String> {
    stage.project.world(|world| {
        let addresses = world.dns["lab"].records.iter().filter(|((_, kind), _)| kind == "A");
        addresses.map(|(_, set)| set["rrdatas"][0].as_str().unwrap().to_owned()).collect()
    })
}

#[test]
fn a_check_finds_what_was_started_anew_at_its_other_address_and_takes_its_name_along() {
    let stage = Stage::new();
    stage.deploy();
    let before = stage.status().machines[0].ip.unwrap().to_string();
    assert_eq!(leads(&stage), [before.as_str()]);
    stage.stop();
    stage.start();
    let why = stage.reason();
    assert!(why.contains(&format!("no longer at {before}; `homeroom check intro` looks for it there")), "{why}");
    let checked = stage.live(async |home| ended(check(&home, &intro(), &[]).await.unwrap()).await);
    assert_eq!(checked, Some(RunState::Done), "{:#?}", stage.status());
    let status = stage.status();
    let after = status.machines[0].ip.unwrap().to_string();
    assert_ne!(after, before);
    assert_eq!(leads(&stage), [after]);
    assert_eq!(status.state, LabState::Ready, "{status:#?}");
    // What it should be called by now is no business of a check.
    stage.define(&DEFINITION.replace("ws-{code}", "lab-{code}"));
    let checked = stage.live(async |home| ended(check(&home, &intro(), &[]).await.unwrap()).await);
    assert_eq!(checked, Some(RunState::Done));
    let names: Vec<String> =
        stage.project.world(|world| world.dns["lab"].records.keys().map(|it| it.0.clone()).collect());
    assert!(names.iter().all(|name| name.starts_with("ws-")), "{names:?}");
    // But it says so, and what else has changed since.
    stage.define(&DEFINITION.replace("ws-{code}", "lab-{code}").replace("[gce]", "[gce]\ndisk = \"60G\""));
    let (said, code) = stage.says(&["check", "intro"]);
    assert_eq!(code, Some(0), "{said}");
    let told = |line: &str| said.lines().any(|it| it.contains(line));
    assert!(told(".lab.example.com is defined; `homeroom deploy intro --yes` changes it where it stands"), "{said}");
    assert!(told("disk: 50G stands, 60G is defined; `homeroom deploy intro --yes --allow-replace`"), "{said}");
    stage.destroy();
    stage.nothing_is_left("after a check");
    stage.end();
}

#[test]
fn a_mark_that_somebody_took_from_its_name_is_put_back_by_a_check_and_told_of_by_a_destroy() {
    let stage = Stage::new();
    stage.deploy();
    let unmark =
        || stage.project.world(|world| world.dns.get_mut("lab").unwrap().records.retain(|(_, kind), _| kind == "A"));
    let kinds = || stage.project.world(|world| world.dns["lab"].records.len());
    unmark();
    assert_eq!(stage.live(async |home| ended(check(&home, &intro(), &[]).await.unwrap()).await), Some(RunState::Done));
    assert_eq!(kinds(), 2, "an address and its mark");
    unmark();
    let (said, code) = stage.says(&["destroy", "intro", "--yes"]);
    assert!(said.contains("and the mark beside it is gone, so it is left alone: remove it by hand"), "{said}");
    assert!(said.contains("which ran for "), "{said}");
    assert_eq!((code, kinds()), (Some(0), 1));
    stage.end();
}

#[test]
fn what_it_has_cost_counts_every_stretch_it_stood_still() {
    let stage = Stage::new();
    stage.deploy();
    for minutes in [5, 10] {
        stage.stop();
        let until = stage.project.world(|world| world.now()) + minutes * 60_000;
        stage.until(|world| world.now() >= until);
        stage.start();
    }
    let (rests, ran, all) = stage.live(async |home| {
        let site = home.clouds.values().next().unwrap().clone();
        let view = site.cloud.view().await.unwrap();
        let it = &view.instances[0];
        let minutes = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs_f64() / 60.0;
        let rests: Vec<f64> = it.rests.iter().map(|(from, to)| minutes(*from, *to)).collect();
        // By the project's clock, up to its newest start.
        let (made, now) = (it.created.unwrap(), it.started.unwrap());
        let spent = site.prices.as_ref().unwrap().spent(it, made, now).unwrap();
        let all = minutes(made, now);
        // The machine and its address cost 0.164 an hour, the disk the rest.
        (rests, (spent * 60.0 - all * 50.0 * 0.1 / 730.0) / 0.164, all)
    });
    assert_eq!(rests.len(), 2, "{rests:?}");
    assert!(rests[0] >= 5.0 && rests[1] >= 10.0, "{rests:?}");
    assert!(
        (all - rests.iter().sum::<f64>() - ran).abs() < 0.01,
        "of {all} min it stood still {rests:?}, and ran {ran}"
    );
    stage.end();
}

#[test]
fn what_was_used_of_the_instance_before_is_part_of_the_cost() {
    let stage = Stage::new();
    let long = DEFINITION.replace("seats = 2", "seats = 2\nends_after = \"1d\"\nmax_life = \"2d\"");
    stage.define(&long);
    stage.deploy();
    // Ten hours by our own clock; the project's may be ahead by two.
    stage.ahead.store(10 * 3600, Ordering::Relaxed);
    let cost = |stage: &Stage| stage.status().life.unwrap().cost;
    let before = cost(&stage);
    assert!(before > 1.2, "{before}");
    stage.define(&long.replace("[gce]", "[gce]\ndisk = \"60G\""));
    let consent = Consent { replace: true, ..Consent::default() };
    let request = Request { consent, ..Request::default() };
    let replaced = stage.live(async |home| ended(deploy(&home, &intro(), &request).await.unwrap()).await);
    assert_eq!(replaced, Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!((stage.ever_made(), stage.listing().len()), (2, 1));
    let used = stage.live(async |home| home.store.progress(&intro()).await.unwrap().0.seats[0].used.clone());
    assert!(matches!(used.as_slice(), [one] if one.disk_gb == 50 && one.ran.as_secs() >= 8 * 3600), "{used:?}");
    assert!(cost(&stage) >= before, "{} after {before}", cost(&stage));
    stage.destroy();
    stage.deploy();
    let used = stage.live(async |home| home.store.progress(&intro()).await.unwrap().0.seats[0].used.len());
    assert_eq!(used, 0, "another life begins with nothing spent");
    stage.end();
}

#[test]
fn what_the_server_or_somebody_else_removed_is_part_of_the_cost_after_the_next_deploy() {
    let stage = Stage::new();
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    for (round, by_the_server) in [(1, true), (2, false)] {
        let until = stage.project.world(|world| world.now()) + 6 * 60_000;
        stage.until(|world| world.now() >= until);
        match by_the_server {
            true => stage.project.world(|world| world.expire(ZONE, "intro-host")),
            false => stage.by_hand("DELETE", &format!("zones/{ZONE}/instances/intro-host"), serde_json::Value::Null),
        }
        stage.until(|world| world.find(ZONE, "intro-host").is_none());
        let before = stage.status().life.unwrap().cost;
        assert!(before >= 0.171 * f64::from(round) * 6.0 / 60.0, "{before}: what is gone has cost all the same");
        assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
        let used = stage.live(async |home| home.store.progress(&intro()).await.unwrap().0.seats[0].used.clone());
        // The machine and its disk cost 0.171 an hour.
        let least = 0.171 * f64::from(round) * 6.0 / 60.0;
        let cost = stage.status().life.unwrap().cost;
        assert!(used.len() == round as usize && used.iter().all(|it| it.ran.as_secs() >= 360), "{used:?}");
        assert!(cost >= least && cost >= before, "{cost} after {before}, of at least {least}");
    }
    stage.end();
}

#[test]
fn what_is_past_its_end_is_not_deployed_again_and_goes_when_it_is_ended() {
    let stage = Stage::new();
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let end_now = |stage: &Stage| {
        stage.live(async |home| match end(&home, &intro()).await.unwrap() {
            Some(outcome) => ended(outcome).await,
            None => None,
        })
    };
    assert_eq!(end_now(&stage), None, "its end has not come");
    stage.ahead.store(5 * 3600, Ordering::Relaxed);
    assert_eq!(stage.live(async |home| overdue(&home).await.unwrap()).len(), 1);
    let refused = stage.live(async |home| plan_deploy(&home, &intro()).await.map(drop).unwrap_err().to_string());
    assert!(refused.contains("its end was at") && refused.contains("`homeroom extend intro 1h` keeps it"), "{refused}");
    // Put off, it has an hour from then on.
    let hour = std::time::Duration::from_secs(3600);
    stage.live(async |home| extend(&home, &intro(), hour).await.unwrap());
    assert_eq!(end_now(&stage), None, "it was put off");
    assert_eq!(stage.deploy(), None, "it stands as defined");
    stage.ahead.store(7 * 3600, Ordering::Relaxed);
    assert_eq!(end_now(&stage), Some(RunState::Done), "{:#?}", stage.status());
    stage.nothing_is_left("after its end");
    stage.end();
}

#[test]
fn a_certificate_that_was_renewed_on_disk_is_brought_there_by_whoever_looks_after_ends() {
    let stage = Stage::new();
    let folder = stage.folder.path().to_owned();
    // Written a minute ago: whole by now.
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).unwrap();
        let file = std::fs::File::options().write(true).open(folder.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60)).unwrap();
    };
    let proven = || {
        let made = rcgen::generate_simple_self_signed(vec!["ws.example.org".to_owned()]).unwrap();
        write("ws.pem", &made.cert.pem());
        write("ws.key", &made.signing_key.serialize_pem());
        made.cert.pem()
    };
    let shown = || {
        stage.project.world(|world| {
            let files = &world.find(ZONE, "intro-host").unwrap().inside.files;
            String::from_utf8_lossy(&files["/var/lib/homeroom/cert.pem"]).into_owned()
        })
    };
    let look_after = || {
        stage.live(async |home| {
            let mut states = Vec::new();
            for run in look(&home).await {
                states.push(run.ended.await.unwrap());
            }
            states
        })
    };
    let first = proven();
    let files = format!("cert_file = \"{0}/ws.pem\", key_file = \"{0}/ws.key\"", folder.display());
    let proxy = format!("proxy = {{ port = 8443, name = \"ws.example.org\", {files} }}\n[gce]");
    stage.define(&DEFINITION.replace("[gce]", &proxy));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(shown(), first);
    let calls = stage.project.world(|world| world.calls.len());
    assert!(look_after().is_empty());
    assert_eq!(stage.project.world(|world| world.calls.len()), calls, "nothing is asked of a cloud for nothing");
    let second = proven();
    assert_eq!(look_after().len(), 1);
    assert_eq!(shown(), second);
    assert!(look_after().is_empty(), "it is done");
    assert_eq!(stage.ever_made(), 1);
    stage.end();
}

#[test]
fn permissions_that_are_not_there_are_told_by_the_plan_and_by_doctor_before_anything_is_made() {
    let stage = Stage::new();
    stage.project.world(|world| {
        world.denied.extend(["compute.instances.delete", "dns.changes.create"].map(str::to_owned));
    });
    let (said, code) = stage.says(&["plan", "intro"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the account lacks compute.instances.delete, dns.changes.create on the project"), "{said}");
    let (said, _) = stage.says(&["doctor"]);
    assert!(said.contains("the account lacks compute.instances.delete, dns.changes.create on lab-1"), "{said}");
    stage.project.world(|world| {
        world.denied.clear();
        world.disabled.push("cloudresourcemanager");
    });
    let (said, _) = stage.says(&["plan", "intro"]);
    assert!(said.contains("`gcloud services enable cloudresourcemanager.googleapis.com`"), "{said}");
    assert_eq!(stage.listing(), [""; 0]);
    let made = stage.live(async |home| ended(deploy(&home, &intro(), &Request::default()).await.unwrap()).await);
    assert_eq!(made, Some(RunState::Done), "an API that is off stops nothing");
    stage.end();
}

#[test]
fn a_project_that_is_not_wholly_seen_says_so_where_all_that_costs_money_is_listed() {
    let stage = Stage::new();
    stage.deploy();
    stage.project.world(|world| world.silent = vec!["europe-west3-c".to_owned()]);
    // Its own instance is in another zone, and stands.
    assert_eq!(stage.status().machines[0].state, MachineState::Ready, "{:#?}", stage.status());
    let (said, _) = stage.says(&["status"]);
    let words =
        "on cloud: europe-west3-c cannot be listed now: what homeroom made there, and what it costs, is not known";
    assert!(said.contains(words), "{said}");
    let (said, _) = stage.says(&["status", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(told["unseen"][0]["site"], "cloud", "{said}");
    let (said, _) = stage.says(&["doctor"]);
    assert!(!said.contains("nothing of ours that nobody looks after"), "{said}");
    // And a project that does not answer at all.
    stage.project.world(|world| {
        world.silent.clear();
        world.disabled.push("compute");
    });
    let (said, _) = stage.says(&["status"]);
    assert!(said.contains("on cloud: what homeroom made there, and what it costs, is not known: "), "{said}");
    stage.end();
}
