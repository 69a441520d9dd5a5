//! The store: what is committed stays, in order and once; who holds a lab; what is refused.

mod seats;

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use homeroom::{
    domain::{
        Change, Clean, Definition, Event, LabName, Level, MachineState, NodeName, Plan, Progress, Role, RunId,
        SeatName, SiteName, StepName, Vmid,
        class::{
            ClassDefinition, CloneMode, CloudInit, MachineSpec, Order, Override, Password, Placement, RollCall,
            Rollout, Students, TemplateRef,
        },
        event::{RunKind, RunState},
        progress::fold,
        workshop::WorkshopDefinition,
    },
    port::{
        Store, StoreError,
        store::{EventFilter, LabLock},
    },
    store::{Options, SCHEMA, SqliteStore},
};
use jiff::Timestamp;

use crate::support::child;

const ALONE: Options = Options { shared: false, read_only: false };
const SHARED: Options = Options { shared: true, read_only: false };
const READ_ONLY: Options = Options { shared: false, read_only: true };

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("state").join("homeroom.db")
}

fn lab(name: &str) -> LabName {
    LabName::new(name).unwrap()
}

fn seat(name: &str) -> SeatName {
    SeatName::new(name).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn class(name: &str, students: &[&str]) -> Definition {
    Definition::Class(ClassDefinition {
        name: lab(name),
        site: SiteName::new("sim").unwrap(),
        template: TemplateRef::Name("ubuntu-22.04".into()),
        clone: CloneMode::Auto,
        students: Students::Named(students.iter().map(|s| seat(s)).collect()),
        teacher: true,
        pool: Some("cs".into()),
        machine: MachineSpec { memory: Some("4G".parse().unwrap()), cores: Some(2), ..MachineSpec::default() },
        cloud_init: CloudInit { password: Some(Password::Env("PW".into())), ..CloudInit::default() },
        machines: BTreeMap::from([(seat(students[0]), Override::default())]),
        placement: Placement::default(),
        rollout: Rollout::default(),
        rollcall: RollCall::default(),
    })
}

pub fn plan(lab_name: &str) -> Plan {
    Plan {
        kind: RunKind::Deploy,
        lab: lab(lab_name),
        site: SiteName::new("sim").unwrap(),
        seats: Vec::new(),
        skipped_nodes: vec![(NodeName::new("pve3"), "offline".into())],
        memory_after: vec![(NodeName::new("pve1"), 0.5)],
        estimate: Some(Duration::from_millis(1500)),
        room: vec![("fast".into(), 1 << 40)],
        rollcall: RollCall::default(),
        order: Order::Parallel,
        stagger: Duration::ZERO,
        pool: None,
        fixes_drift: false,
        rebuilds: None,
        workshop: None,
        notes: vec!["eleven machines".into()],
    }
}

fn event(run: RunId, seq: u64, lab_name: &str, change: Change) -> Event {
    Event {
        at: at(i64::try_from(seq).unwrap()),
        seq,
        run,
        lab: lab(lab_name),
        seat: None,
        machine: None,
        step: None,
        level: Level::Info,
        message: Clean::new(format!("event {seq}")),
        change,
    }
}

fn of_seat(run: RunId, seq: u64, lab_name: &str, seat_name: &str, step: Option<StepName>, change: Change) -> Event {
    Event { seat: Some(seat(seat_name)), step, ..event(run, seq, lab_name, change) }
}

fn planned(run: RunId, seq: u64, lab_name: &str, seat_name: &str) -> Event {
    let role = if seat_name == "teacher" { Role::Teacher } else { Role::Student };
    let steps = StepName::CLASS.to_vec();
    of_seat(
        run,
        seq,
        lab_name,
        seat_name,
        None,
        Change::SeatPlanned { role, site: SiteName::new("sim").unwrap(), steps },
    )
}

fn started(run: RunId, lab_name: &str) -> Event {
    let change = Change::RunStarted {
        kind: RunKind::Deploy,
        site: SiteName::new("sim").unwrap(),
        owner: Clean::new("ada on jump, process 7"),
    };
    Event { at: at(0), ..event(run, 1, lab_name, change) }
}

async fn begin(store: &SqliteStore, lab_name: &str) -> RunId {
    store.begin_run(&lab(lab_name), RunKind::Deploy, "ada on jump, process 7", &plan(lab_name), at(0)).await.unwrap()
}

async fn seqs(store: &SqliteStore, filter: EventFilter) -> Vec<u64> {
    store.events(&filter).await.unwrap().into_iter().map(|stored| stored.event.seq).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn definitions_come_back_as_they_were_put_in() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let first = class("cs101", &["ada", "grace"]);
    let second = Definition::Workshop(WorkshopDefinition {
        ends_after: Duration::from_secs(3600),
        ..WorkshopDefinition::new(lab("py"), SiteName::new("cloud").unwrap(), 20, "jupyter")
    });
    store.put_definition(&second, at(1)).await.unwrap();
    store.put_definition(&first, at(2)).await.unwrap();
    let all = store.definitions().await.unwrap();
    assert_eq!(all.iter().map(|d| &d.definition).collect::<Vec<_>>(), [&first, &second]);

    let changed = class("cs101", &["ada"]);
    store.put_definition(&changed, at(3)).await.unwrap();
    let stored = store.definition(&lab("cs101")).await.unwrap();
    assert_eq!((stored.definition, stored.applied_at), (changed, at(3)));

    store.delete_definition(&lab("cs101")).await.unwrap();
    assert!(matches!(store.definition(&lab("cs101")).await, Err(StoreError::NoLab(name)) if name == "cs101"));
    assert!(matches!(store.delete_definition(&lab("cs101")).await, Err(StoreError::NoLab(_))));
}

#[tokio::test]
async fn a_store_keeps_its_identity_and_two_stores_have_two() {
    let (one, two) = (folder(), folder());
    let id = SqliteStore::open(file(&one), ALONE).await.unwrap().id().clone();
    assert_eq!(SqliteStore::open(file(&one), ALONE).await.unwrap().id(), &id);
    assert_eq!(SqliteStore::open(file(&one), READ_ONLY).await.unwrap().id(), &id);
    assert_ne!(SqliteStore::open(file(&two), ALONE).await.unwrap().id(), &id);
}

#[tokio::test]
async fn a_store_opened_by_many_at_once_is_made_once() {
    let folder = folder();
    let opened = (0..8).map(|_| SqliteStore::open(file(&folder), ALONE));
    let stores = futures_util::future::join_all(opened).await;
    let ids: Vec<_> = stores.iter().map(|store| store.as_ref().unwrap().id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn runs_are_numbered_listed_newest_first_and_ended_by_their_last_event() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let first = begin(&store, "cs101").await;
    let other = begin(&store, "cs102").await;
    let second = begin(&store, "cs101").await;
    assert!(first < other && other < second);

    let ended = Event { at: at(9), ..event(first, 1, "cs101", Change::RunEnded { state: RunState::Failed }) };
    store.append(&[ended], &[], &[]).await.unwrap();
    let (row, read_plan) = store.run(first).await.unwrap();
    assert_eq!((row.state, row.started_at, row.ended_at), (RunState::Failed, at(0), Some(at(9))));
    assert_eq!((row.owner.as_str(), read_plan), ("ada on jump, process 7", plan("cs101")));

    let ids = |rows: Vec<homeroom::port::store::RunRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(store.runs(None, 10).await.unwrap()), [second, other, first]);
    assert_eq!(ids(store.runs(Some(&lab("cs101")), 1).await.unwrap()), [second]);
    assert!(matches!(store.run(RunId(99)).await, Err(StoreError::NoRun(RunId(99)))));
}

#[tokio::test]
async fn a_run_can_be_asked_to_stop() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let run = begin(&store, "cs101").await;
    assert!(!store.cancel_requested(run).await.unwrap());
    store.request_cancel(run).await.unwrap();
    assert!(store.cancel_requested(run).await.unwrap());
    assert!(matches!(store.request_cancel(RunId(99)).await, Err(StoreError::NoRun(_))));
    assert!(matches!(store.cancel_requested(RunId(99)).await, Err(StoreError::NoRun(_))));
}

#[tokio::test]
async fn events_come_back_whole_in_order_and_by_every_filter() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let run = begin(&store, "cs101").await;
    let other = begin(&store, "cs102").await;
    let mut events = vec![started(run, "cs101"), planned(run, 2, "cs101", "ada"), planned(run, 3, "cs101", "grace")];
    events.push(Event { level: Level::Error, ..of_seat(run, 4, "cs101", "ada", None, Change::SeatFailed) });
    store.append(&events[..2], &[], &[]).await.unwrap();
    store.append(&[started(other, "cs102")], &[], &[]).await.unwrap();
    store.append(&events[2..], &[], &[]).await.unwrap();

    let all = EventFilter { lab: Some(lab("cs101")), ..EventFilter::default() };
    let stored = store.events(&all).await.unwrap();
    assert_eq!(stored.iter().map(|s| &s.event).collect::<Vec<_>>(), events.iter().collect::<Vec<_>>());
    assert!(stored.windows(2).all(|pair| pair[0].position < pair[1].position));

    assert_eq!(store.events(&EventFilter::default()).await.unwrap().len(), 5);
    assert_eq!(seqs(&store, EventFilter { run: Some(other), ..EventFilter::default() }).await, [1]);
    assert_eq!(seqs(&store, EventFilter { seat: Some(seat("ada")), ..all.clone() }).await, [2, 4]);
    assert_eq!(seqs(&store, EventFilter { level: Some(Level::Warning), ..all.clone() }).await, [4]);
    assert_eq!(seqs(&store, EventFilter { after: Some(stored[1].position), ..all.clone() }).await, [3, 4]);
    assert_eq!(seqs(&store, EventFilter { last: Some(2), ..all }).await, [3, 4]);
}

#[tokio::test]
async fn an_event_is_written_once_and_what_came_with_the_second_is_not_written_either() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let run = begin(&store, "cs101").await;
    let mut progress = Progress::new(lab("cs101"));
    for event in [started(run, "cs101"), planned(run, 2, "cs101", "ada")] {
        fold(&mut progress, &event);
        store.append(&[event], &[], &[]).await.unwrap();
    }
    let error =
        store.append(&[event(run, 3, "cs101", Change::Note), started(run, "cs101")], &progress.seats, &[]).await;
    assert!(error.unwrap_err().to_string().contains("event 1 of run 1 is already written"));
    assert_eq!(seqs(&store, EventFilter::default()).await, [1, 2]);
    assert_eq!(store.progress(&lab("cs101")).await.unwrap().0.seats, []);
    // The refusal spoils nothing that follows.
    store.append(&[event(run, 3, "cs101", Change::Note)], &progress.seats, &[]).await.unwrap();
    assert_eq!(store.progress(&lab("cs101")).await.unwrap().0.seats, progress.seats);
}

#[tokio::test]
async fn an_event_of_no_run_and_a_change_without_an_event_are_refused() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    assert!(store.append(&[started(RunId(7), "cs101")], &[], &[]).await.is_err());
    assert!(store.append(&[], &[], &[seat("ada")]).await.is_err());
    store.append(&[], &[], &[]).await.unwrap();
    let run = begin(&store, "cs101").await;
    assert!(store.append(&[started(run, "cs101"), event(run, 2, "cs102", Change::Note)], &[], &[]).await.is_err());
    assert_eq!(seqs(&store, EventFilter::default()).await, [0; 0]);
}

#[tokio::test]
async fn appends_from_many_at_once_are_all_kept() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..8 {
        runs.push(begin(&store, &format!("lab{n}")).await);
    }
    let one = async |n: usize, run: RunId| {
        for seq in 1..=25 {
            store.append(&[event(run, seq, &format!("lab{n}"), Change::Note)], &[], &[]).await.unwrap();
        }
    };
    futures_util::future::join_all(runs.iter().enumerate().map(|(n, run)| one(n, *run))).await;
    for run in runs {
        let expected: Vec<u64> = (1..=25).collect();
        assert_eq!(seqs(&store, EventFilter { run: Some(run), ..EventFilter::default() }).await, expected);
    }
}

#[tokio::test]
async fn progress_in_the_store_is_what_the_events_add_up_to() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    store.put_definition(&class("cs101", &["grace", "ada"]), at(0)).await.unwrap();
    let run = begin(&store, "cs101").await;
    let events = [
        started(run, "cs101"),
        planned(run, 2, "cs101", "teacher"),
        planned(run, 3, "cs101", "grace"),
        planned(run, 4, "cs101", "ada"),
        of_seat(
            run,
            5,
            "cs101",
            "ada",
            Some(StepName::Reserve),
            Change::Reserved { node: NodeName::new("pve1"), vmid: Vmid::new(9101).unwrap() },
        ),
        of_seat(run, 6, "cs101", "ada", Some(StepName::Clone), Change::StepStarted { attempt: 1 }),
        of_seat(run, 7, "cs101", "grace", None, Change::SeatGone),
        of_seat(run, 8, "cs101", "teacher", None, Change::SeatReady),
        event(run, 9, "cs101", Change::RunEnded { state: RunState::Interrupted }),
    ];
    let mut folded = Progress::new(lab("cs101"));
    for event in &events {
        fold(&mut folded, event);
        let changed: Vec<_> = folded.seats.iter().filter(|s| Some(&s.seat) == event.seat.as_ref()).cloned().collect();
        let gone: Vec<_> = event.seat.iter().filter(|_| event.change == Change::SeatGone).cloned().collect();
        store.append(std::slice::from_ref(event), &changed, &gone).await.unwrap();
        let (read, position) = store.progress(&lab("cs101")).await.unwrap();
        assert_eq!(read, folded, "after event {}", event.seq);
        let last = store.events(&EventFilter { last: Some(1), ..EventFilter::default() }).await.unwrap();
        assert_eq!(position, last[0].position);
    }
    assert_eq!(folded.seat(&seat("ada")).unwrap().vmid, Some(Vmid::new(9101).unwrap()));
    assert_eq!(folded.seat(&seat("teacher")).unwrap().state, MachineState::Ready);

    let other = begin(&store, "cs102").await;
    let (all, _) = store.all_progress().await.unwrap();
    assert_eq!(all.iter().map(|p| p.lab.as_str()).collect::<Vec<_>>(), ["cs101", "cs102"]);
    assert_eq!(all[0], folded);
    assert_eq!(all[1].run.as_ref().map(|run| (run.id, run.seq)), Some((other, 0)));
    assert_eq!(store.progress(&lab("nobody")).await.unwrap(), (Progress::new(lab("nobody")), 0));
}

#[tokio::test]
async fn two_that_have_one_store_open_see_each_others_commits() {
    let folder = folder();
    let one = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let two = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let kiosk = SqliteStore::open(file(&folder), READ_ONLY).await.unwrap();
    let all = async || [one.version().await.unwrap(), two.version().await.unwrap(), kiosk.version().await.unwrap()];

    let before = all().await;
    assert_eq!(all().await, before, "nothing was written");
    one.put_definition(&class("cs101", &["ada"]), at(0)).await.unwrap();
    let after = all().await;
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{before:?} {after:?}");
    assert_eq!(two.definitions().await.unwrap().len(), 1);
    two.delete_definition(&lab("cs101")).await.unwrap();
    let last = all().await;
    assert!(after.iter().zip(&last).all(|(after, last)| after != last), "{after:?} {last:?}");
    assert_eq!(kiosk.definitions().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_lab_is_held_by_one_at_a_time_and_says_by_whom() {
    let folder = folder();
    let one = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let two = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let cs101 = lab("cs101");
    assert_eq!(two.lab_holder(&cs101).await.unwrap(), None);

    let held: Box<dyn LabLock> = one.lock_lab(&cs101, "ada on jump, process 7").await.unwrap();
    assert_eq!(held.lab(), &cs101);
    assert_eq!(two.lab_holder(&cs101).await.unwrap().as_deref(), Some("ada on jump, process 7"));
    for store in [&one, &two] {
        let refused = store.lock_lab(&cs101, "grace").await;
        assert!(matches!(refused, Err(StoreError::Held { holder, .. }) if holder == "ada on jump, process 7"));
    }
    let other = two.lock_lab(&lab("cs102"), "grace").await.unwrap();

    drop(held);
    assert_eq!(two.lab_holder(&cs101).await.unwrap(), None);
    let held = two.lock_lab(&cs101, "grace").await.unwrap();
    assert_eq!(one.lab_holder(&cs101).await.unwrap().as_deref(), Some("grace"));
    drop((held, other));
}

#[tokio::test]
async fn a_program_started_while_a_lab_is_held_does_not_inherit_the_lock() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let held = store.lock_lab(&lab("cs101"), "ada").await.unwrap();
    let mut shell = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    drop(held);
    assert_eq!(store.lab_holder(&lab("cs101")).await.unwrap(), None);
    drop(shell.stdin.take());
    shell.wait().unwrap();
}

/// Plays the child of the next test.
#[test]
fn the_child_appends_until_it_is_killed() {
    let Some(path) = child::role() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(path, ALONE).await.unwrap();
        let _held = store.lock_lab(&lab("cs101"), &format!("process {}", std::process::id())).await.unwrap();
        let run = begin(&store, "cs101").await;
        for seq in 1.. {
            store.append(&[event(run, seq, "cs101", Change::Note)], &[], &[]).await.unwrap();
            child::say(seq);
        }
    });
}

#[tokio::test]
async fn a_process_killed_while_it_writes_loses_nothing_it_was_promised_and_frees_its_lab() {
    let folder = folder();
    let path = file(&folder);
    let store = SqliteStore::open(&path, ALONE).await.unwrap();
    for round in 1..=3 {
        let mut writer = child::start("store::the_child_appends_until_it_is_killed", path.to_str().unwrap());
        let mut promised = 0;
        while promised < 40 * round {
            promised = writer.hear().expect("the child lives until it is killed").parse().unwrap();
        }
        let holder = format!("process {}", writer.pid());
        assert_eq!(store.lab_holder(&lab("cs101")).await.unwrap(), Some(holder));
        assert!(matches!(store.lock_lab(&lab("cs101"), "we").await, Err(StoreError::Held { .. })));

        for said in writer.kill() {
            promised = said.parse().unwrap();
        }
        assert_eq!(store.lab_holder(&lab("cs101")).await.unwrap(), None);
        drop(store.lock_lab(&lab("cs101"), "we").await.unwrap());

        let fresh = SqliteStore::open(&path, ALONE).await.unwrap();
        let run = fresh.runs(None, 1).await.unwrap()[0].id;
        let kept = seqs(&fresh, EventFilter { run: Some(run), ..EventFilter::default() }).await;
        let kept_count = u64::try_from(kept.len()).unwrap();
        assert_eq!(kept, (1..=kept_count).collect::<Vec<_>>());
        assert!((promised..=promised + 1).contains(&kept_count), "promised {promised}, kept {kept_count}");
    }
}

#[tokio::test]
async fn a_read_only_store_makes_nothing_and_writes_nothing() {
    let folder = folder();
    let missing = SqliteStore::open(file(&folder), READ_ONLY).await.err().unwrap().to_string();
    assert!(missing.contains("there is no store yet"), "{missing}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    store.put_definition(&class("cs101", &["ada"]), at(0)).await.unwrap();
    let kiosk = SqliteStore::open(file(&folder), READ_ONLY).await.unwrap();
    assert_eq!(kiosk.definitions().await.unwrap().len(), 1);
    let refused = kiosk.put_definition(&class("cs102", &["ada"]), at(0)).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
    assert!(matches!(kiosk.lock_lab(&lab("cs101"), "kiosk").await, Err(StoreError::ReadOnly { .. })));
    let _held = store.lock_lab(&lab("cs101"), "ada").await.unwrap();
    assert_eq!(kiosk.lab_holder(&lab("cs101")).await.unwrap().as_deref(), Some("ada"));
}

/// Runs one statement on the store's file behind its back.
async fn tamper(path: &Path, sql: &'static str) {
    use sqlx::Connection;
    let mut conn = sqlx::SqliteConnection::connect_with(
        &sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true),
    )
    .await
    .unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

#[tokio::test]
async fn a_store_of_a_newer_homeroom_is_refused_and_left_alone() {
    let folder = folder();
    drop(SqliteStore::open(file(&folder), ALONE).await.unwrap());
    tamper(&file(&folder), "UPDATE meta SET value = '99' WHERE name = 'schema'").await;
    for options in [ALONE, READ_ONLY] {
        let error = SqliteStore::open(file(&folder), options).await.err().unwrap().to_string();
        assert!(error.contains(&format!("schema 99 is newer than the {SCHEMA}")), "{error}");
        assert!(error.contains("use a newer homeroom"), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_store_is_refused_and_left_alone() {
    let folder = folder();
    let text = folder.path().join("notes.txt");
    let words = "not a database, but long enough to have a header of a hundred bytes. ".repeat(20);
    std::fs::write(&text, &words).unwrap();
    let error = SqliteStore::open(&text, ALONE).await.err().unwrap().to_string();
    assert!(error.contains("no homeroom store"), "{error}");
    assert_eq!(std::fs::read_to_string(&text).unwrap(), words);

    let foreign = folder.path().join("other.db");
    tamper(&foreign, "CREATE TABLE songs (name TEXT)").await;
    let error = SqliteStore::open(&foreign, ALONE).await.err().unwrap().to_string();
    assert!(error.contains("another program's database"), "{error}");

    let error = SqliteStore::open(folder.path(), ALONE).await.err().unwrap().to_string();
    assert!(error.contains("must name a file"), "{error}");
    let error = SqliteStore::open(text.join("homeroom.db"), ALONE).await.err().unwrap().to_string();
    assert!(error.contains("notes.txt"), "{error}");
}

#[tokio::test]
async fn a_store_of_one_person_is_closed_to_others() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    store.put_definition(&class("cs101", &["ada"]), at(0)).await.unwrap();
    let _held = store.lock_lab(&lab("cs101"), "ada").await.unwrap();
    let state = folder.path().join("state");
    assert_eq!([mode(&state), mode(&state.join("locks"))], [0o700, 0o700]);
    for name in ["homeroom.db", "homeroom.db-wal", "homeroom.db-shm", "locks/cs101.lock"] {
        assert_eq!(mode(&state.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_shared_store_is_open_to_its_group() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), SHARED).await.unwrap();
    store.put_definition(&class("cs101", &["ada"]), at(0)).await.unwrap();
    let _held = store.lock_lab(&lab("cs101"), "ada").await.unwrap();
    let state = folder.path().join("state");
    assert_eq!([mode(&state), mode(&state.join("locks"))], [0o2770, 0o2770]);
    for name in ["homeroom.db", "homeroom.db-wal", "homeroom.db-shm", "locks/cs101.lock"] {
        assert_eq!(mode(&state.join(name)), 0o660, "{name}");
    }
}

#[tokio::test]
async fn a_folder_that_was_there_is_not_opened_to_the_group_behind_its_owners_back() {
    let folder = folder();
    drop(SqliteStore::open(file(&folder), ALONE).await.unwrap());
    let error = SqliteStore::open(file(&folder), SHARED).await.err().unwrap().to_string();
    assert!(error.contains("chmod 2770"), "{error}");
    assert_eq!(mode(&folder.path().join("state")), 0o700);
}

#[tokio::test]
async fn a_private_store_whose_folder_is_opened_to_a_group_is_open_to_it_with_all_its_locks() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    drop(store.lock_lab(&lab("cs101"), "ada").await.unwrap());
    drop(store);
    let state = folder.path().join("state");
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o2770)).unwrap();
    let store = SqliteStore::open(file(&folder), SHARED).await.unwrap();
    assert_eq!(mode(&state.join("locks")), 0o2770);
    for name in ["homeroom.db", "homeroom.db.id", "locks/.store", "locks/cs101.lock"] {
        assert_eq!(mode(&state.join(name)), 0o660, "{name}");
    }
    store.lock_lab(&lab("cs101"), "grace").await.unwrap();
}

#[tokio::test]
async fn opening_a_store_again_in_one_process_leaves_sqlites_locks_alone() {
    // SQLite's locks belong to the process and are lost when it closes any handle on the file; the next
    // process to leave would then take the write-ahead log from under us.
    let folder = folder();
    let path = file(&folder);
    let one = SqliteStore::open(&path, ALONE).await.unwrap();
    let locked = || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let ours = open.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|file| file == path));
        // gone again is no lock: other tests open and close files meanwhile
        let infos = ours.map(|fd| std::fs::read_to_string(Path::new("/proc/self/fdinfo").join(fd.file_name())));
        infos.flatten().any(|info| info.lines().any(|line| line.starts_with("lock:") && line.contains("POSIX")))
    };
    assert!(locked());
    let two = SqliteStore::open(&path, ALONE).await.unwrap();
    assert!(locked());
    let kiosk = SqliteStore::open(&path, READ_ONLY).await.unwrap();
    assert!(locked());
    drop((one, two, kiosk));
}
