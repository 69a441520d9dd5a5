//! What a definition may ask for beyond a workshop as it comes: seats made as people join, TLS, names; and what a
//! request comes to whose sender died.

use homeroom::{
    domain::{MachineState, event::RunState},
    service::{
        deploy::{Request, deploy},
        join::{Made, join, make},
        roster::roster,
    },
    sim::gce::{Fault, FaultKind},
};
use secrecy::ExposeSecret;

use super::{DEFINITION, Stage, ZONE, ended, intro};

#[test]
fn seats_are_made_on_the_instance_as_people_take_them() {
    let stage = Stage::new();
    stage.define(&DEFINITION.replace("seats = 2", "seats = 2\nseats_on = \"join\""));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    let containers = |stage: &Stage| {
        stage.project.world(|world| {
            let all = &world.find(ZONE, "intro-host").unwrap().inside.containers;
            all.iter().map(|it| it.name.clone()).collect::<Vec<_>>()
        })
    };
    assert_eq!(containers(&stage), ["intro-host"]);
    assert_eq!(stage.deploy(), None, "nobody waits for a seat");
    let code = stage.status().life.unwrap().code.to_string();
    let made = stage.live(async |home| {
        let joined = join(&home, &code, "Ada", None).await.unwrap();
        assert!(joined.made_on_joining);
        match make(&home, &joined.lab, &joined.seat).await.unwrap() {
            Made::Begun(run) => Some(run.ended.await.unwrap().unwrap()),
            _ => None,
        }
    });
    assert_eq!(made, Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(containers(&stage), ["intro-seat-01", "intro-host"]);
    let status = stage.status();
    let seat = status.machines.iter().find(|row| row.seat.as_str() == "seat-01").unwrap();
    assert_eq!(seat.state, MachineState::Ready, "{status:#?}");
    assert_eq!(stage.deploy(), None, "it stays as it is");
    assert_eq!(stage.destroy(), Some(RunState::Done));
    stage.nothing_is_left("after somebody joined");
    stage.end();
}

#[test]
fn a_proxy_that_speaks_tls_is_proven_on_the_instance_and_linked_by_its_name() {
    let stage = Stage::new();
    let proxy = "proxy = { port = 8443, name = \"ws.example.org\" }\n[gce]";
    stage.define(&DEFINITION.replace("[gce]", proxy));
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.project.world(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        let routes = String::from_utf8_lossy(&instance.inside.files["/var/lib/homeroom/Caddyfile"]).into_owned();
        assert!(routes.contains("https://ws.example.org:8443 {\n\ttls internal"), "{routes}");
    });
    let links = stage.live(async |home| roster(&home, &intro()).await.unwrap());
    let link = links[0].link.as_ref().unwrap().expose_secret().to_owned();
    assert!(link.starts_with("https://ws.example.org:8443/vm/1/terminal/?token="), "{link}");

    // Files of one's own go there by login, for root alone, and never into metadata.
    let folder = stage.folder.path();
    let made = rcgen::generate_simple_self_signed(vec!["ws.example.org".to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    std::fs::write(folder.join("ws.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("ws.key"), "no key of it\n").unwrap();
    let files = format!("cert_file = \"{0}/ws.pem\", key_file = \"{0}/ws.key\"", folder.display());
    stage.destroy();
    stage.define(&DEFINITION.replace("[gce]", &proxy.replace("org\"", &format!("org\", {files}"))));
    let refused = stage.live(async |home| deploy(&home, &intro(), &Request::default()).await.map(drop).unwrap_err());
    assert!(refused.to_string().contains("ws.key holds no private key in PEM"), "{refused}");
    assert_eq!(stage.listing(), [""; 0]);
    std::fs::write(folder.join("ws.key"), &key).unwrap();
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    stage.project.world(|world| {
        let instance = world.find(ZONE, "intro-host").unwrap();
        let file = |name: &str| String::from_utf8_lossy(&instance.inside.files[name]).into_owned();
        assert!(file("/var/lib/homeroom/Caddyfile").contains("tls /etc/homeroom/cert.pem /etc/homeroom/key.pem"));
        assert_eq!(file("/var/lib/homeroom/key.pem"), key);
        assert!(!instance.body.to_string().contains("PRIVATE KEY"));
    });
    stage.end();
}

#[test]
fn a_name_the_definition_no_longer_asks_for_goes_with_the_workshop_at_the_latest() {
    let stage = Stage::new();
    stage.deploy();
    let names = |stage: &Stage| stage.project.world(|world| world.dns["lab"].records.len());
    assert_eq!(names(&stage), 2);
    stage.define(&DEFINITION.replace("[gce]\ndns = \"ws-{code}.lab.example.com\"\n", ""));
    assert_eq!(stage.destroy(), Some(RunState::Done));
    stage.nothing_is_left("after the name was taken out of the definition");
    stage.end();
}

#[test]
fn a_request_whose_end_nobody_knows_is_found_out_before_a_destroy_is_done() {
    let stage = Stage::new();
    // The request is on the disk, and is sent; then the process dies before there is an answer.
    stage.project.world(|world| {
        let call = "POST projects/*/zones/*/instances".to_owned();
        world.faults.push(Fault { call, after: 0, times: 1, what: FaultKind::Cut });
    });
    let mut point = 0;
    while stage
        .project
        .world(|world| !world.calls.iter().any(|call| call.ends_with("/instances") && call.starts_with("POST")))
    {
        point += 1;
        stage.cut(Some(point), async |home| ended(deploy(&home, &intro(), &Request::default()).await.unwrap()).await);
    }
    assert_eq!(stage.listing(), [""; 0], "it was cut before the project saw it");
    assert_eq!(stage.destroy(), Some(RunState::Done));
    stage.nothing_is_left("after the destroy");
    let made = stage.ever_made();
    // The same request, as it may still be on its way: the project knows its id by now.
    let late = stage.project.world(|world| {
        let sent = world
            .exchanges
            .iter()
            .rev()
            .find(|it| it["method"] == "POST" && it["path"].as_str().unwrap().ends_with("/instances"));
        sent.cloned().expect("it was asked what became of the request")
    });
    let path = late["path"].as_str().unwrap().to_owned();
    let query: Vec<(String, String)> = serde_json::from_value(late["query"].clone()).unwrap();
    stage.project.world(|world| {
        let authorization = Some(format!("Bearer {}", world.token()));
        let body = late["sent"].to_string().into_bytes();
        let call = homeroom::sim::gce::Request {
            method: "POST".to_owned(),
            path,
            query,
            body,
            authorization,
            ..Default::default()
        };
        let _ = world.submit(&call);
    });
    assert_eq!(stage.ever_made(), made);
    stage.nothing_is_left("after the late request arrived");
    stage.end();
}

#[test]
fn a_firewall_rule_whose_request_was_late_is_found_not_doubled_and_gone_at_the_end() {
    let stage = Stage::new();
    let call = || "POST projects/*/global/firewalls".to_owned();
    let deploy_cut = |point| {
        stage.cut(Some(point), async |home| ended(deploy(&home, &intro(), &Request::default()).await.unwrap()).await)
    };
    // Made, and the answer lost: the same request is told of it.
    stage.project.world(|world| {
        world.faults.push(Fault { call: call(), after: 0, times: 1, what: FaultKind::Lost });
    });
    assert_eq!(stage.deploy(), Some(RunState::Done), "{:#?}", stage.status());
    assert_eq!(stage.project.world(|world| world.firewalls.len()), 1);
    stage.destroy();
    stage.nothing_is_left("after a lost answer");

    // Sent, and on its way for longer than its sender lives.
    stage.project.world(|world| {
        world.faults.clear();
        world.faults.push(Fault { call: call(), after: 0, times: 1, what: FaultKind::Cut });
    });
    let posts = |stage: &Stage| {
        stage.project.world(|world| {
            world.calls.iter().filter(|it| it.starts_with("POST") && it.ends_with("global/firewalls")).count()
        })
    };
    let before = posts(&stage);
    let mut point = 0;
    while posts(&stage) == before {
        point += 1;
        deploy_cut(point);
    }
    assert!(stage.project.world(|world| world.firewalls.is_empty()), "it was cut before the project saw it");
    assert_eq!(stage.destroy(), Some(RunState::Done));
    stage.nothing_is_left("after the destroy");
    let sent = stage.project.world(|world| {
        let posted = |it: &&serde_json::Value| {
            it["method"] == "POST" && it["path"].as_str().unwrap().ends_with("global/firewalls")
        };
        world.exchanges.iter().rev().find(posted).cloned().expect("it was asked what became of the request")
    });
    stage.project.world(|world| {
        let call = homeroom::sim::gce::Request {
            method: "POST".to_owned(),
            path: sent["path"].as_str().unwrap().to_owned(),
            query: serde_json::from_value(sent["query"].clone()).unwrap(),
            body: sent["sent"].to_string().into_bytes(),
            authorization: Some(format!("Bearer {}", world.token())),
            ..Default::default()
        };
        let _ = world.submit(&call);
    });
    stage.nothing_is_left("after the late request arrived");
    stage.end();
}
