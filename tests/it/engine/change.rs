//! A definition that changes under standing machines.

use crate::support::{lab::Lab, seen::Seen};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_cores_for_a_running_machine_wait_for_the_leave_to_restart_it() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace"], "[machine]\ncores = 1").await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada"), lab.machine("duo", "grace"));
    lab.class("duo", &["ada", "grace"], "[machine]\ncores = 1\n[machines.ada]\ncores = 2").await;
    let refused = lab.run(&["deploy", "duo", "--yes"]).await.ends(4);
    assert!(refused.err.contains("ada") && refused.err.contains("--allow-restart"), "{refused:?}");
    assert!(!refused.err.contains("grace"), "{refused:?}");
    assert_eq!(lab.machine("duo", "ada"), ada);

    lab.run(&["deploy", "duo", "--yes", "--allow-restart"]).await.ends(0);
    lab.holds("duo", &["ada", "grace"]);
    lab.is_proven("duo").await;
    let now = lab.machine("duo", "ada");
    assert_eq!((now.config["cores"].as_str(), now.birth), ("2", ada.birth));
    let effective = lab.cluster.world(|world| world.guests[&ada.vmid].run.as_ref().unwrap().config["cores"].clone());
    assert_eq!(effective, "2");
    assert_eq!(lab.machine("duo", "grace"), grace);
    lab.deploy("duo").await.ends(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_taken_out_of_a_definition_go_back_to_the_template_s() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada"], "").await;
    let template = lab.cluster.world(|world| world.guests[&9000].config.clone());
    let more = "[machine]\ncores = 4\nmemory = \"3G\"\nonboot = true\ntags = [\"loud\"]\n\
                [[machine.nic]]\nbridge = \"vmbr1\"\nvlan = 7\n[[machine.nic]]\nbridge = \"vmbr0\"\n\
                [cloud_init]\nuser = \"student\"\nnameserver = \"10.0.0.53\"";
    lab.class("duo", &["ada"], more).await;
    lab.deploy("duo").await.ends(0);
    let made = lab.machine("duo", "ada");
    assert_eq!((made.config["cores"].as_str(), made.config["onboot"].as_str()), ("4", "1"));
    assert!(made.config["net0"].contains("vmbr1") && made.config.contains_key("net1"), "{made:#?}");

    lab.class("duo", &["ada"], "").await;
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    for line in ["cores: 4 -> ", "memory: 3 GiB -> ", "onboot: on -> off", "nameserver: 10.0.0.53 -> none", "net1: "] {
        assert!(plan.out.contains(line), "{line}: {}", plan.out);
    }
    assert!(!plan.out.contains("someone else"), "{}", plan.out);
    lab.run(&["deploy", "duo", "--yes"]).await.ends(4);
    lab.run(&["deploy", "duo", "--yes", "--allow-restart"]).await.ends(0);
    let now = lab.machine("duo", "ada");
    for key in ["cores", "memory", "onboot", "nameserver", "net1"] {
        let off = |value: Option<&String>| value.map_or("0".to_owned(), Clone::clone);
        assert_eq!(off(now.config.get(key)), off(template.get(key)), "{key}: {now:#?}");
    }
    let mac = |machine: &Seen| machine.config["net0"].split(',').next().unwrap().to_owned();
    assert_eq!((mac(&now), now.birth), (mac(&made), made.birth));
    assert!(now.config["net0"].contains("bridge=vmbr0") && !now.config["net0"].contains("tag="), "{now:#?}");
    lab.is_proven("duo").await;
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert_eq!(plan.out, "duo: nothing to do, 1 machine stands as defined\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_mac_model_or_bridge_is_seen_where_the_definition_has_no_card_and_is_put_back() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada", "grace"], "").await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada"), lab.machine("duo", "grace"));
    let (right, swapped) = (ada.config["net0"].clone(), "e1000=BC:24:11:DE:AD:01,bridge=vmbr9");
    lab.cluster.world(|world| {
        world.edit_config(ada.vmid, "net0", Some(swapped));
        world.edit_config(grace.vmid, "protection", Some("1"));
        world.edit_config(grace.vmid, "onboot", Some("1"));
    });
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    for line in [&*format!("ada net0: {swapped} -> {right}"), "grace onboot: on -> off", "grace protection: on -> off"]
    {
        assert!(plan.out.contains(line), "{line}: {}", plan.out);
    }
    assert!(plan.out.contains("2 machines changed by someone else"), "{}", plan.out);
    let json = lab.run(&["plan", "duo", "--json"]).await.ends(0).object();
    assert_eq!((&json["drifted"], &json["seats"][0]["changes"][0]["drift"]), (&2.into(), &true.into()), "{json:#}");

    // The roll call says what is the matter, and soon.
    let began = lab.cluster.now();
    let check = lab.run(&["check", "duo/ada"]).await.ends(3);
    assert!(lab.cluster.now() - began < 600_000, "it waited for what cannot come");
    for words in [swapped, right.as_str(), "--fix-drift", "no card of the guest is net0"] {
        assert!(check.out.contains(words), "{words}: {}", check.out);
    }
    // A change of the definition touches none of it.
    lab.class("duo", &["ada", "grace"], "[machine]\ntags = [\"loud\"]").await;
    lab.run(&["deploy", "duo", "--yes", "--json"]).await;
    assert_eq!(lab.machine("duo", "ada").config["net0"], swapped);
    assert_eq!(lab.machine("duo", "grace").config["protection"], "1");
    assert_eq!(lab.machine("duo", "grace").config["tags"], "homeroom;loud");

    lab.run(&["deploy", "duo", "--yes", "--fix-drift"]).await.ends(4);
    lab.run(&["deploy", "duo", "--yes", "--fix-drift", "--allow-restart"]).await.ends(0);
    let now = lab.machine("duo", "ada");
    assert_eq!((now.config["net0"].as_str(), now.birth), (right.as_str(), ada.birth));
    let off = |key: &str| lab.machine("duo", "grace").config.get(key).is_none_or(|value| value == "0");
    assert!(off("protection") && off("onboot"));
    lab.is_proven("duo").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_the_definition_added_keeps_its_mac_too() {
    let lab = Lab::start().await;
    let two = "[[machine.nic]]\nbridge = \"vmbr0\"\n[[machine.nic]]\nbridge = \"vmbr1\"";
    lab.class("duo", &["ada"], two).await;
    lab.deploy("duo").await.ends(0);
    let ada = lab.machine("duo", "ada");
    let right = ada.config["net1"].clone();
    lab.cluster.world(|world| world.edit_config(ada.vmid, "net1", Some("rtl8139=BC:24:11:DE:AD:02,bridge=vmbr1")));
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert!(plan.out.contains(&format!("bridge=vmbr1 -> {right}")), "{}", plan.out);
    assert!(plan.out.contains("changed by someone else"), "{}", plan.out);
    lab.run(&["deploy", "duo", "--yes", "--fix-drift", "--allow-restart"]).await.ends(0);
    assert_eq!(lab.machine("duo", "ada").config["net1"], right);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_pool_in_the_definition_moves_the_machines_and_a_foreign_one_is_left_alone() {
    let lab = Lab::start().await;
    lab.apply(&pooled("alpha", "")).await;
    lab.deploy("duo").await.ends(0);
    let (ada, grace) = (lab.machine("duo", "ada").vmid, lab.machine("duo", "grace").vmid);
    let pool_of = |vmid: u32| lab.cluster.world(|world| world.pool_of(vmid).map(str::to_owned));
    assert_eq!(pool_of(ada).as_deref(), Some("alpha"));
    lab.apply(&pooled("beta", "")).await;
    lab.deploy("duo").await.ends(0);
    assert_eq!((pool_of(ada).as_deref(), pool_of(grace).as_deref()), (Some("beta"), Some("beta")));
    // Somebody else has ada elsewhere: that is told, and left so by a change of other things.
    lab.cluster.world(|world| {
        for pool in world.pools.values_mut() {
            pool.vms.retain(|vmid| *vmid != ada);
        }
        world.pools.get_mut("alpha").unwrap().vms.push(ada);
    });
    lab.apply(&pooled("beta", "[machine]\ntags = [\"loud\"]")).await;
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert!(plan.out.contains("ada pool: alpha -> beta  (changed by someone else; left so)"), "{}", plan.out);
    lab.deploy("duo").await.ends(0);
    assert_eq!((pool_of(ada).as_deref(), &*lab.machine("duo", "ada").config["tags"]), (Some("alpha"), "homeroom;loud"));
    lab.run(&["deploy", "duo", "--yes", "--fix-drift"]).await.ends(0);
    assert_eq!(pool_of(ada).as_deref(), Some("beta"));
}

fn pooled(pool: &str, more: &str) -> String {
    format!(
        "kind = \"class\"\nname = \"duo\"\nsite = \"sim\"\ntemplate = \"ubuntu-22.04\"\nstudents = [\"ada\", \"grace\"]\n\
         teacher = false\npool = \"{pool}\"\ncloud_init.user = \"student\"\n{more}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_made_anew_is_known_by_its_new_card() {
    let lab = Lab::start().await;
    lab.class("duo", &["ada"], "").await;
    lab.deploy("duo").await.ends(0);
    let before = lab.machine("duo", "ada");
    lab.run(&["rebuild", "duo/ada", "--yes"]).await.ends(0);
    let after = lab.machine("duo", "ada");
    assert_ne!((before.birth, &before.config["net0"]), (after.birth, &after.config["net0"]));
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert_eq!(plan.out, "duo: nothing to do, 1 machine stands as defined\n");
    lab.cluster.world(|world| world.edit_config(after.vmid, "net0", Some(&before.config["net0"])));
    let plan = lab.run(&["plan", "duo"]).await.ends(0);
    assert!(plan.out.contains(&format!("-> {}", after.config["net0"])), "{}", plan.out);
}
