//! Answers nobody would send: whatever a site says, reading it ends in data or in words, never in a panic.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::{
    agent, decode,
    encode::{percent, unpercent},
    error::{Answer, Asked, read, read_into},
    guest, view,
};
use crate::{
    domain::{Clean, NodeName, Vmid},
    port::cluster::Upid,
};

/// The names the readers look for, so that chance finds them.
const NAMES: [&str; 32] = [
    "type",
    "node",
    "vmid",
    "name",
    "status",
    "template",
    "lock",
    "tags",
    "pool",
    "maxcpu",
    "cpu",
    "mem",
    "maxmem",
    "disk",
    "maxdisk",
    "uptime",
    "storage",
    "content",
    "digest",
    "result",
    "exited",
    "exitcode",
    "out-data",
    "upid",
    "starttime",
    "exitstatus",
    "ip-addresses",
    "ip-address",
    "scsi0",
    "net0",
    "boot",
    "description",
];
const WORDS: [&str; 14] = [
    "qemu",
    "lxc",
    "node",
    "storage",
    "running",
    "OK",
    "WARNINGS: x",
    "UPID:",
    "UPID:a:b:c:d:e:f:g:",
    "1",
    "order=",
    "virtio=,bridge",
    "a:b,size=9999999999T",
    "\u{1b}[31m\0\u{202e}",
];

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&WORDS[..]).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![prop::sample::select(&NAMES[..]).prop_map(str::to_owned), "\\PC{0,6}"];
    scalar().prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn asked() -> Asked<'static> {
    Asked { what: "ask", site: "campus", writes: false }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_read_into_something_or_refused_in_words(data in json()) {
        let vmid = Vmid::new(101).unwrap();
        let _ = decode::version(&data);
        let _ = decode::upid(&data);
        let _ = decode::node_addresses(&data);
        let _ = decode::has_feature(&data);
        let _ = decode::active_tasks(&data);
        let _ = decode::task(&data);
        let _ = decode::task_log(&data);
        let _ = decode::pools(&data);
        let _ = decode::pool_members(&data);
        let _ = decode::volumes(vmid, &data);
        let _ = agent::interfaces(&data);
        let _ = agent::exec_state(&data);
        let _ = guest::pending(&data);
        let _ = guest::status(&data);
        if let Ok(config) = guest::config(&data) {
            let _ = guest::template(vmid, &NodeName::new("pve1"), &config, true);
        }
        if let Ok(rows) = view::Rows::deserialize(&data) {
            let _ = view::cluster_view(jiff::Timestamp::UNIX_EPOCH, Clean::new("9"), &rows, Some(&data));
        }
    }

    #[test]
    fn any_bytes_under_any_status_are_an_answer_or_a_failure(
        status in 100u16..600, reason in "\\PC{0,20}", body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = read(asked(), &Answer { status, reason, body });
    }

    #[test]
    fn a_good_answer_cut_anywhere_is_never_taken_for_a_whole_one(data in json(), at in any::<prop::sample::Index>()) {
        let body = serde_json::to_vec(&serde_json::json!({ "data": data })).unwrap();
        let cut = body[..at.index(body.len())].to_vec();
        let whole = Answer { status: 200, reason: String::new(), body };
        let cut = Answer { status: 200, reason: String::new(), body: cut };
        let (cut, whole) = (read(asked(), &cut).is_err(), read(asked(), &whole).is_ok());
        prop_assert!(cut && whole);
    }

    #[test]
    fn what_is_read_straight_from_the_bytes_is_what_a_tree_of_values_holds(data in json(), top in any::<bool>()) {
        let value = if top { serde_json::json!({ "before": [1], "data": data, "after": {} }) } else { data };
        let answer = Answer { status: 200, reason: String::new(), body: serde_json::to_vec(&value).unwrap() };
        let fast = read_into::<view::Rows>(asked(), &answer).map_err(|_| ());
        let slow = read(asked(), &answer).map_err(|_| ()).and_then(|data| view::Rows::deserialize(&data).map_err(|_| ()));
        prop_assert_eq!(fast, slow);
    }

    #[test]
    fn a_listing_keeps_every_row_that_names_a_guest(ids in prop::collection::btree_set(100u32..999_999, 0..40)) {
        let rows: Vec<Value> = ids
            .iter()
            .rev()
            .map(|id| serde_json::json!({ "type": "qemu", "vmid": id, "node": "pve1", "tags": "b;a" }))
            .collect();
        let rows = view::Rows::deserialize(&Value::Array(rows)).unwrap();
        let view = view::cluster_view(jiff::Timestamp::UNIX_EPOCH, Clean::new("9"), &rows, None).unwrap();
        prop_assert_eq!(view.guests.iter().map(|g| g.vmid.get()).collect::<Vec<_>>(), ids.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_task_id_names_a_node_or_none(text in "\\PC{0,60}", node in "[a-z][a-z0-9-]{0,10}") {
        let _ = Upid(Clean::new(&text)).node();
        let upid = format!("UPID:{node}:00000162:00036E5F:6B01568A:qmstart:101:homeroom@pve!lab:");
        let upid = decode::upid(&Value::from(upid.clone())).unwrap();
        prop_assert_eq!(upid.node(), Some(NodeName::new(&node)));
    }

    #[test]
    fn what_is_percent_encoded_holds_nothing_that_ends_a_form_value(text in "\\PC{0,40}") {
        let encoded = percent(&text);
        prop_assert_eq!(unpercent(&encoded), text.clone());
        let _ = unpercent(&text);
        prop_assert!(!encoded.contains(['&', ';', '=', ' ', '+', '\n']), "{}", encoded);
    }
}
