//! Lives, codes and seats: what is written down of them, and that no seat has two, whoever asks at once.

use homeroom::{
    domain::{Change, code::JoinCode, life::Life, person::Person, progress::fold},
    port::store::{GivenCode, SeatTaken},
};

use super::*;

fn code(text: &str) -> JoinCode {
    JoinCode::read(text).unwrap()
}

fn person(name: &str) -> Person {
    Person::new(name).unwrap()
}

fn seats(count: u32) -> Vec<SeatName> {
    (1..=count).map(SeatName::numbered).collect()
}

fn opened(run: RunId, seq: u64) -> Event {
    event(run, seq, "intro", Change::Opened { code: code("K7M3QX"), ends_at: at(14_400) })
}

/// A store with the workshop `intro` standing: a host and a seat.
async fn standing(folder: &tempfile::TempDir) -> (SqliteStore, RunId, Progress) {
    let store = SqliteStore::open(file(folder), ALONE).await.unwrap();
    let run = store.begin_run(&lab("intro"), RunKind::Deploy, "ada", &plan("intro"), at(0)).await.unwrap();
    let planned = |seq, name: &str| {
        let site = SiteName::new("sim").unwrap();
        of_seat(run, seq, "intro", name, None, Change::SeatPlanned { role: Role::Seat, site, steps: vec![] })
    };
    let mut progress = Progress::new(lab("intro"));
    append(&store, &mut progress, &[started(run, "intro"), opened(run, 2), planned(3, "host"), planned(4, "seat-01")])
        .await;
    (store, run, progress)
}

/// Folds and stores, as the recorder does.
async fn append(store: &SqliteStore, progress: &mut Progress, events: &[Event]) {
    let before = progress.clone();
    events.iter().for_each(|event| fold(progress, event));
    let changed: Vec<_> = progress.seats.iter().filter(|row| before.seat(&row.seat) != Some(row)).cloned().collect();
    let left = before.seats.iter().filter(|row| progress.seat(&row.seat).is_none());
    let gone: Vec<_> = left.map(|row| row.seat.clone()).collect();
    store.append(events, &changed, &gone).await.unwrap();
}

#[tokio::test]
async fn a_life_is_read_back_as_the_events_add_up_and_goes_with_the_last_machine() {
    let folder = folder();
    let (store, run, mut progress) = standing(&folder).await;
    let expected = Life { code: code("K7M3QX"), born_at: at(2), ends_at: at(14_400), warned: None, hindered: None };
    assert_eq!(progress.life, Some(expected));
    let warned = event(run, 5, "intro", Change::EndWarned { left: Duration::from_secs(900) });
    append(&store, &mut progress, &[warned]).await;
    assert_eq!(store.progress(&lab("intro")).await.unwrap().0.life, progress.life);
    assert_eq!(progress.life.as_ref().unwrap().warned, Some(Duration::from_secs(900)));
    let put_off = event(run, 6, "intro", Change::EndsAt { ends_at: at(18_000) });
    append(&store, &mut progress, &[put_off]).await;
    let life = progress.life.clone().unwrap();
    assert_eq!((life.ends_at, life.warned), (at(18_000), None));
    assert_eq!(store.all_progress().await.unwrap().0[0].life, Some(life));

    assert_eq!(
        store.take_seat(&lab("intro"), &code("K7M3QX"), &person("Ada"), &seats(1), at(7)).await.unwrap(),
        SeatTaken::First(seat("seat-01"))
    );
    append(&store, &mut progress, &[of_seat(run, 7, "intro", "seat-01", None, Change::SeatGone)]).await;
    assert!(progress.life.is_some() && store.sittings(&lab("intro")).await.unwrap().is_empty());
    append(&store, &mut progress, &[of_seat(run, 8, "intro", "host", None, Change::SeatGone)]).await;
    assert_eq!((&progress.life, store.progress(&lab("intro")).await.unwrap().0.life), (&None, None));
    let given = store.given_code(&code("K7M3QX")).await.unwrap();
    assert_eq!(given, Some(GivenCode { lab: lab("intro"), ended_at: Some(at(8)) }));
    assert_eq!(store.given_code(&code("K7M3QC")).await.unwrap(), None);
    let late = store.take_seat(&lab("intro"), &code("K7M3QX"), &person("Ada"), &seats(1), at(9)).await.unwrap();
    assert_eq!(late, SeatTaken::Closed);
}

#[tokio::test]
async fn a_workshop_of_which_nothing_came_is_closed_by_its_own_line() {
    let folder = folder();
    let store = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let run = store.begin_run(&lab("intro"), RunKind::Deploy, "ada", &plan("intro"), at(0)).await.unwrap();
    let mut progress = Progress::new(lab("intro"));
    append(&store, &mut progress, &[started(run, "intro"), opened(run, 2)]).await;
    assert!(store.progress(&lab("intro")).await.unwrap().0.life.is_some());
    append(&store, &mut progress, &[event(run, 3, "intro", Change::Closed)]).await;
    assert_eq!((&progress.life, store.progress(&lab("intro")).await.unwrap().0.life), (&None, None));
}

#[tokio::test]
async fn a_person_keeps_a_seat_and_no_seat_has_two() {
    let folder = folder();
    let (store, ..) = standing(&folder).await;
    let take = async |name: &str, offered: &[SeatName]| {
        store.take_seat(&lab("intro"), &code("K7M3QX"), &person(name), offered, at(9)).await.unwrap()
    };
    // The second seat is the better one just now.
    assert_eq!(take("Ada", &[seat("seat-02"), seat("seat-01")]).await, SeatTaken::First(seat("seat-02")));
    assert_eq!(take("grace", &seats(2)).await, SeatTaken::First(seat("seat-01")));
    assert_eq!(take("  ADA ", &seats(2)).await, SeatTaken::Again(seat("seat-02")));
    assert_eq!(take("Mary", &seats(2)).await, SeatTaken::Full);
    let wrong = store.take_seat(&lab("intro"), &code("CCCCCC"), &person("Mary"), &seats(3), at(9)).await.unwrap();
    assert_eq!(wrong, SeatTaken::Closed);
    let sitting: Vec<_> = store.sittings(&lab("intro")).await.unwrap();
    let sitting: Vec<_> = sitting.iter().map(|s| (s.seat.as_str(), s.person.as_str())).collect();
    assert_eq!(sitting, [("seat-01", "grace"), ("seat-02", "Ada")]);
}

#[tokio::test]
async fn two_that_ask_at_once_through_stores_of_their_own_never_get_one_seat() {
    let folder = folder();
    let (store, ..) = standing(&folder).await;
    let other = SqliteStore::open(file(&folder), ALONE).await.unwrap();
    let takes = (0..40).map(|n| {
        let (store, name) = (if n % 2 == 0 { &store } else { &other }, format!("person {}", n / 2));
        async move { store.take_seat(&lab("intro"), &code("K7M3QX"), &person(&name), &seats(15), at(9)).await.unwrap() }
    });
    let taken = futures_util::future::join_all(takes).await;
    let mut given: Vec<_> = taken
        .iter()
        .filter_map(|taken| if let SeatTaken::First(seat) = taken { Some(seat.clone()) } else { None })
        .collect();
    given.sort();
    assert_eq!(given, seats(15));
    // Everybody asked twice: whoever got one got it again.
    assert_eq!(taken.iter().filter(|taken| matches!(taken, SeatTaken::Again(_))).count(), 15);
    assert_eq!(taken.iter().filter(|taken| **taken == SeatTaken::Full).count(), 10);
}
