//! The client never sends what the real API would refuse: the simulated cluster checks every call against
//! Proxmox's own schema, and counts.

mod schema;
mod table;

use super::support::lab::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_whole_life_of_classes_no_request_is_unknown_and_no_parameter_refused() {
    for (template, version) in
        [("ubuntu-22.04", "9.2"), ("debian-12", "9.2"), ("ubuntu-22.04", "8.4"), ("debian-12", "8.4")]
    {
        let lab = Lab::of_version(version).await;
        let define = async |cores: u32| {
            lab.apply(&format!(
                "kind = \"class\"\nname = \"all\"\nsite = \"sim\"\ntemplate = \"{template}\"\nteacher = true\n\
             students = [\"ada\"]\npool = \"all\"\n\
             [machine]\ncores = {cores}\nsockets = 1\ncpu = \"host\"\nmemory = \"3G\"\ndisk = \"12G\"\nonboot = true\n\
             tags = [\"cs\"]\n[[machine.nic]]\nbridge = \"vmbr1\"\nvlan = 101\n[cloud_init]\nuser = \"student\"\n"
            ))
            .await
        };
        define(2).await;
        lab.deploy("all").await.ends(0);
        for command in [&["plan", "all"][..], &["check", "all"], &["status", "all"], &["nodes"], &["machines"]] {
            lab.run(command).await.ends(0);
        }
        // a change that takes a restart is asked for by name, made, and proven again
        define(1).await;
        lab.deploy("all").await.ends(4);
        lab.run(&["deploy", "all", "--yes", "--allow-restart", "--json"]).await.ends(0);
        assert_eq!(lab.machine("all", "ada").config["cores"], "1");
        lab.is_proven("all").await;
        lab.destroy("all").await.ends(0);
        assert_eq!(lab.made(), []);
        lab.cluster.world(|world| {
            assert_eq!(world.tally.refusals(), [""; 0], "{template} on {version}");
            let kinds: Vec<&str> = world.tally.calls().keys().map(String::as_str).collect();
            for call in [
                "GET /cluster/resources",
                "POST /nodes/{node}/qemu/{vmid}/clone",
                "PUT /nodes/{node}/qemu/{vmid}/config",
                "PUT /nodes/{node}/qemu/{vmid}/resize",
                "POST /nodes/{node}/qemu/{vmid}/status/start",
                "DELETE /nodes/{node}/qemu/{vmid}",
                "PUT /pools",
            ] {
                assert!(kinds.contains(&call), "{call} was never made: {kinds:#?}");
            }
        });
    }
}
