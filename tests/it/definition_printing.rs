//! Definitions as they are printed: plainly, and such that reading them back gives the same.

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path, time::Duration};

use homeroom::{
    config::{Folders, definition},
    domain::{
        Definition, LabName, NodeName, SeatName, SiteName, Vmid,
        class::{
            ClassDefinition, CloneMode, CloudInit, Firmware, IpSource, MachineSpec, Nic, Order, Override, Password,
            Placement, PlacementPolicy, Profile, RollCall, Rollout, Students, TemplateRef, Via,
        },
        name::VmidRange,
        size::Size,
        workshop::{Browser, GceSpec, SeatLimits, SeatPorts, SeatsOn, WorkshopDefinition},
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn read_back(text: &str) -> Definition {
    definition::parse(text, "printed.toml", Path::new("/"), None).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn the_example_is_printed_in_the_documented_order_without_defaults() {
    let example = include_str!("../../config/examples/class.toml");
    let definition = read_back(example);
    let printed = definition::to_toml(&definition);
    assert_eq!(read_back(&printed), definition);
    insta::assert_snapshot!(printed);
}

#[test]
fn a_long_list_is_printed_one_value_a_line() {
    let head = "kind = \"class\"\nname = \"a\"\nsite = \"s\"\ntemplate = \"t\"\n";
    let names: Vec<_> = (1..=30).map(|n| format!("\"person-{n}\"")).collect();
    let definition = read_back(&format!("{head}students = [{}]", names.join(", ")));
    let printed = definition::to_toml(&definition);
    assert!(printed.contains("students = [\n    \"person-1\",\n") && printed.ends_with("    \"person-30\",\n]\n"));
    assert_eq!(read_back(&printed), definition);
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,12}"
}

fn image() -> impl Strategy<Value = String> {
    "([a-z0-9]{1,6}[._-])?[a-z0-9]{1,6}(/[a-z0-9]{1,6})?(:[a-zA-Z0-9_]{1,6})?"
}

/// Any visible text, quotes and all.
fn text() -> impl Strategy<Value = String> {
    "[!-~äß]([ -~äß]{0,12}[!-~äß])?"
}

fn seat() -> impl Strategy<Value = SeatName> {
    word().prop_filter_map("reserved", |name| SeatName::new(name).ok().filter(|name| name.as_str() != "teacher"))
}

fn size(mib: std::ops::Range<u64>) -> impl Strategy<Value = Size> {
    mib.prop_map(Size::mib)
}

fn time(ms: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    ms.prop_map(Duration::from_millis)
}

fn machine() -> impl Strategy<Value = MachineSpec> {
    let hardware = (
        option::of(1u32..64),
        option::of(1u32..4),
        option::of(select(vec!["host".to_owned(), "x86-64-v2-AES,flags=+aes".to_owned()])),
        option::of(size(16..1_000_000)),
        option::of(size(1..1_000_000)),
        option::of(word()),
        option::of(select(vec!["raw".to_owned(), "qcow2".to_owned()])),
    );
    let rest = (
        option::of(select(vec![Firmware::Bios, Firmware::Uefi])),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(vec(word().prop_filter("ours", |tag| tag != "homeroom"), 0..4)),
        vec((word(), option::of(1u16..4095)).prop_map(|(bridge, vlan)| Nic { bridge, vlan }), 0..3),
    );
    (hardware, rest).prop_map(|(hardware, rest)| {
        let (cores, sockets, cpu, memory, disk, storage, format) = hardware;
        let (firmware, secure_boot, onboot, protection, tags, nic) = rest;
        let secure_boot = secure_boot.map(|on| on && firmware != Some(Firmware::Bios));
        MachineSpec {
            cores,
            sockets,
            cpu,
            memory,
            disk,
            storage,
            format,
            firmware,
            secure_boot,
            onboot,
            protection,
            tags,
            nic,
        }
    })
}

fn password() -> impl Strategy<Value = Password> {
    prop_oneof![
        Just(Password::Generate),
        "[A-Z_]{1,10}".prop_map(Password::Env),
        "/[a-z]{1,8}/[a-z '\"]{0,8}[a-z]".prop_map(Password::File),
        text().prop_map(Password::Command),
    ]
}

fn cloud_init(ip: impl Strategy<Value = Option<IpSource>>) -> impl Strategy<Value = CloudInit> {
    let keys: Vec<_> = include_str!("definition_keys.txt").lines().map(str::to_owned).collect();
    let keys = proptest::sample::subsequence(keys.clone(), 0..keys.len());
    let search = option::of(word().prop_map(|word| format!("{word}.example")));
    let nameserver = option::of(select(vec!["10.0.0.1".to_owned(), "fd00::1 10.0.0.1".to_owned()]));
    (option::of(word()), option::of(password()), keys, ip, nameserver, search).prop_map(
        |(user, password, ssh_keys, ip, nameserver, search)| CloudInit {
            user,
            password,
            ssh_keys,
            ip,
            nameserver,
            search,
        },
    )
}

fn range() -> impl Strategy<Value = IpSource> {
    (0u8..=255, any::<bool>()).prop_map(|(net, gateway)| IpSource::Range {
        first: Ipv4Addr::new(10, net, 0, 20).into(),
        last: Ipv4Addr::new(10, net, 0, 99).into(),
        prefix: 24,
        gateway: gateway.then(|| Ipv4Addr::new(10, net, 0, 1).into()),
    })
}

fn placement() -> impl Strategy<Value = Placement> {
    let vmid = |id| Vmid::new(id).expect("in range");
    let vmids = option::of(100u64..1_000_000)
        .prop_map(move |first| first.map(|first| VmidRange { first: vmid(first), last: vmid(first + 99) }));
    (any::<bool>(), 0.0f64..1.0, 0.1f64..1.0, 0usize..4, vmids, any::<bool>()).prop_map(
        |(pin, cpu, memory, nodes, vmids, usual)| Placement {
            policy: if pin { PlacementPolicy::Pin } else { PlacementPolicy::Score },
            cpu: if usual { 0.6 } else { cpu },
            memory,
            nodes: (usize::from(!pin)..=nodes).map(|n| NodeName::new(format!("pve{n}"))).collect(),
            vmids,
        },
    )
}

fn rollcall() -> impl Strategy<Value = RollCall> {
    let command = || {
        (text(), vec(prop_oneof![text(), any::<String>(), "[a\"'\n\t\\\\]{0,9}"], 0..3))
            .prop_map(|(program, arguments)| [vec![program], arguments].concat())
    };
    (
        select(vec![Profile::Normal, Profile::Strict, Profile::Off]),
        select(vec![Via::Ssh, Via::Api]),
        time(1_000..=86_400_000),
        vec(select(vec!["10.0.0.0/8".to_owned(), "fd00::/64".to_owned()]), 0..3),
        select(vec![1u32, 3, 20]),
        select(vec![0u64, 500, 5_000, 30_000, 600_000]).prop_map(Duration::from_millis),
        command(),
        vec(command(), 0..3),
        any::<bool>(),
    )
        .prop_map(|(profile, via, address_within, cidr, pings, settle, exec, checks, ssh)| RollCall {
            profile,
            via,
            address_within,
            cidr,
            pings,
            settle,
            exec,
            checks,
            ssh,
        })
}

fn students() -> impl Strategy<Value = Students> {
    prop_oneof![
        (1u32..=50).prop_map(Students::Count),
        proptest::collection::btree_set(seat(), 1..=50).prop_map(|names| Students::Named(names.into_iter().collect())),
    ]
}

fn class() -> impl Strategy<Value = Definition> {
    let template = prop_oneof![
        word().prop_map(TemplateRef::Name),
        (100u64..1_000_000).prop_map(|id| TemplateRef::Vmid(Vmid::new(id).expect("in range")))
    ];
    let head = (
        word(),
        word(),
        template,
        select(vec![CloneMode::Auto, CloneMode::Linked, CloneMode::Full]),
        students(),
        any::<bool>(),
        option::of(word()),
    );
    let own = vec(
        (machine(), cloud_init(Just(None))).prop_map(|(machine, cloud_init)| {
            // A clash with the class's own firmware is refused.
            let machine = MachineSpec { firmware: None, secure_boot: None, ..machine };
            Override { machine, cloud_init }
        }),
        0..3,
    );
    let rollout = (select(vec![Order::Parallel, Order::Staggered, Order::Sequential]), time(0..=3_600_000))
        .prop_map(|(order, delay)| Rollout { order, delay });
    let ip = option::of(prop_oneof![Just(IpSource::Dhcp), range()]);
    (head, machine(), cloud_init(ip), own, placement(), rollout, rollcall()).prop_map(
        |(head, machine, cloud_init, own, placement, rollout, rollcall)| {
            let (name, site, template, clone, students, teacher, pool) = head;
            let mut class = ClassDefinition {
                name: LabName::new(name).expect("well formed"),
                site: SiteName::new(site).expect("well formed"),
                template,
                clone,
                students,
                teacher,
                pool,
                machine,
                cloud_init,
                machines: BTreeMap::new(),
                placement,
                rollout,
                rollcall,
            };
            class.machines = class.seats().into_iter().map(|(seat, _)| seat).zip(own).collect();
            Definition::Class(class)
        },
    )
}

fn workshop() -> impl Strategy<Value = Definition> {
    let browser = option::of((image(), 4000u16..5000).prop_map(|(image, port)| Browser { image, port }));
    let limits = (size(16..100_000), 0.05f64..64.0, 16u32..10_000).prop_map(|(memory, cpus, pids)| SeatLimits {
        memory,
        cpus,
        pids,
    });
    let gce = (
        option::of(word()),
        option::of(any::<bool>()),
        option::of(size(10_240..1_000_000)),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(machine_type, spot, disk, keep_disk, named)| GceSpec {
            machine_type,
            spot,
            disk,
            keep_disk,
            dns: named.then(|| "ws-{code}.lab.example.com".to_owned()),
            source_ranges: if named { vec!["203.0.113.0/24".to_owned()] } else { Vec::new() },
        });
    (
        (word(), word(), 1u32..=50, image(), 1u16..3000),
        browser,
        prop_oneof![Just(SeatLimits::default()), limits],
        any::<bool>(),
        time(60_000..=86_400_000),
        time(0..=86_400_000),
        prop_oneof![Just(GceSpec::default()), gce],
    )
        .prop_map(|((name, site, seats, image, terminal), browser, seat, join, ends_after, more, gce)| {
            let named = LabName::new(name).expect("well formed");
            let site = SiteName::new(site).expect("well formed");
            Definition::Workshop(WorkshopDefinition {
                ports: SeatPorts { terminal, files: 3002 },
                browser,
                seat,
                seats_on: if join { SeatsOn::Join } else { SeatsOn::Start },
                ends_after,
                max_life: ends_after + more,
                gce,
                ..WorkshopDefinition::new(named, site, seats, image)
            })
        })
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(definition in prop_oneof![3 => class(), 1 => workshop()]) {
        let printed = definition::to_toml(&definition);
        let back = definition::parse(&printed, "printed.toml", Path::new("/"), None);
        prop_assert_eq!(back.map_err(|e| format!("{e}\n{printed}")), Ok(definition));
    }

    #[test]
    fn no_text_however_odd_makes_reading_panic(lines in vec(odd_line(), 0..12)) {
        let text = lines.join("\n");
        let _ = definition::parse(&text, "odd.toml", Path::new("/"), None);
        let folders = Folders::under(Path::new("/home/ada"));
        let _ = homeroom::config::parse(&text, Path::new("/odd.toml"), &folders, &|_| None);
    }
}

/// Lines that get past the parser: known keys with the wrong kind of value.
fn odd_line() -> impl Strategy<Value = String> {
    let keys = select(vec![
        "kind",
        "name",
        "site",
        "template",
        "students",
        "count",
        "seats",
        "image",
        "ports",
        "machine",
        "machine.nic",
        "machines.ada",
        "cloud_init",
        "cloud_init.ip",
        "cloud_init.ssh_keys",
        "cloud_init.password",
        "placement.vmids",
        "rollcall",
        "rollcall.exec",
        "sites",
        "sites.a.kind",
        "sites.a.api",
        "sites.a.token",
        "sites.a.nodes",
        "clock.speed",
        "engine.retry_waits",
        "store",
    ]);
    let values = select(vec![
        "\"class\"",
        "\"workshop\"",
        "\"proxmox\"",
        "\"gce\"",
        "1",
        "-1",
        "18446744073709551616",
        "1e400",
        "nan",
        "0x10",
        "true",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "\"\"",
        "\"a\"",
        "[\"a\"]",
        "\"::/0\"",
        "\"::-ffff::/0\"",
        "\"0.0.0.0-255.255.255.255/1\"",
        "\"100-999999999\"",
        "1979-05-27",
        "\"\\u202e\\u0007\"",
    ]);
    prop_oneof![
        8 => (keys.clone(), values).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => keys.prop_map(|key| format!("[{key}]")),
        1 => any::<String>(),
    ]
}
