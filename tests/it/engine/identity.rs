//! What must be one machine's own.

use crate::support::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_machines_with_one_identity_both_fail_by_name() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace"], "").await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada").vmid, lab.machine("duo", "grace").vmid);
    let as_ada = |change: fn(&mut homeroom::sim::guest::Inside, &homeroom::sim::guest::Inside)| {
        lab.cluster.world(|world| {
            let ada = world.guests[&ada].inside.clone().unwrap();
            change(world.guests.get_mut(&grace).unwrap().inside.as_mut().unwrap(), &ada);
        });
    };
    let both_fail = async |what: &str| {
        lab.run(&["check", "duo", "--json"]).await.ends(3);
        let status = lab.status("duo").await;
        for (own, other) in [(0, "grace"), (1, "ada")] {
            let machine = &status["machines"][own];
            assert_eq!(machine["state"], "failed", "{status:#}");
            let reason = machine["reason"].as_str().unwrap();
            // A key that became another's is also no longer its own: either may be found out first.
            let named = reason.contains(other) || own == 1 && reason.contains("another than at its last roll call");
            assert!(reason.contains(what) && named, "{reason}");
        }
    };
    as_ada(|grace, ada| grace.machine_id.clone_from(&ada.machine_id));
    both_fail("machine-id").await;
    as_ada(|grace, ada| {
        grace.machine_id = "f".repeat(32);
        grace.host_key = ada.host_key;
    });
    both_fail("host key").await;
    as_ada(|grace, _| grace.host_key = [7; 32]);
    lab.run(&["check", "duo"]).await.ends(3);
    let status = lab.status("duo").await;
    assert_eq!((&status["machines"][0]["state"], &status["machines"][1]["state"]), (&"ready".into(), &"failed".into()));
    let reason = status["machines"][1]["reason"].as_str().unwrap();
    let way_out = "homeroom check duo/grace --new-host-key";
    assert!(reason.contains("another than at its last roll call") && reason.contains(way_out), "{reason}");
    // Who logs in is told to ask its agent, which is what the roll call did; what that advised is done, and works.
    let refused = lab.run(&["ssh", "duo/grace", "--", "hostname"]).await.ends(1);
    assert!(refused.err.contains("`homeroom check LAB/SEAT`"), "{}", refused.err);
    lab.run(&["check", "duo", "--new-host-key"]).await.ends(2);
    lab.run(&["check", "duo/grace", "--new-host-key"]).await.ends(0);
    lab.run(&["ssh", "duo/grace", "--", "hostname"]).await.ends(0);
    // Whoever gives the lab a new key trusts its machines anew.
    as_ada(|grace, _| grace.host_key = [8; 32]);
    lab.run(&["check", "duo"]).await.ends(3);
    lab.run(&["adopt", "sim", "--rekey", "duo"]).await.ends(0);
    lab.run(&["check", "duo"]).await.ends(0);
    lab.is_proven("duo").await;
}
