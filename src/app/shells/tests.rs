//! Who has the keys, who is waited for, and where they stand.

#![allow(clippy::unwrap_used)]
use super::{layout::Place, *};
use crate::domain::{LabName, SeatName};

fn door(seat: &str) -> Door {
    Door::Seat { lab: LabName::new("bio").unwrap(), seat: SeatName::new(seat).unwrap() }
}

fn ask(shells: &mut Shells, seat: &str) -> TabId {
    shells.ask_one(door(seat), Way::Pane, Timestamp::UNIX_EPOCH).unwrap()
}

fn open(count: usize) -> Shells {
    let mut shells = Shells::default();
    for n in 0..count {
        let id = ask(&mut shells, &format!("s{n}"));
        shells.opened(id);
    }
    shells
}

#[test]
fn whatever_comes_in_a_tab_keeps_its_size_and_memory() {
    let mut shells = open(1);
    shells.fit((80, 24));
    let mut seed = 7_u64;
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let byte = (seed >> 56) as u8;
                if byte < 60 {
                    *b"\x1b[]PX^;?0129hlmHJKrABCDLMSTu\r\n\t\x08\xc3\xa9".get(usize::from(byte % 34)).unwrap()
                } else {
                    byte
                }
            })
            .collect();
        shells.said(1, &bytes);
    }
    shells.said(1, "\x1b[9999;9999H\x1b[99999999X\x1b[1;65535r日本語\n".repeat(50).as_bytes());
    assert_eq!(shells.tabs[0].size(), (80, 21));
    for size in [(1, 1), (2, 3), (300, 100), (60, 14)] {
        shells.fit(size);
        shells.said(1, "wide 日本語 \x1b[?1049h\x1b[2J日\n".as_bytes());
    }
}

#[test]
fn all_are_in_sight_below_a_line_of_their_own_while_one_types_into_all() {
    let mut shells = open(5);
    assert_eq!(shells.typed_into().count(), 1);
    shells.call_all();
    shells.ended(2, Ok(0));
    assert_eq!(shells.typed_into().count(), 4);
    let (places, banner) = (shells.places((120, 40)), shells.banner((120, 40)).unwrap());
    assert_eq!((banner.y, banner.width, banner.height), (1, 120, 1));
    assert_eq!(places.len(), 5);
    for (n, (_, a)) in places.iter().enumerate() {
        assert!(a.x + a.width <= 120 && a.y + a.height <= 39 && a.y > banner.y);
        let apart =
            |b: &Place| a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        assert!(places[n + 1..].iter().all(|(_, b)| apart(b)));
    }
    assert!(shells.typing);
}

#[test]
fn only_those_that_were_called_are_typed_into_and_only_once_all_are_open() {
    let mut shells = open(2);
    let names = |shells: &Shells| shells.typed_into().map(|tab| tab.door.name()).collect::<Vec<_>>();
    let late = shells.ask(door("late"), Way::Pane).unwrap();
    shells.call(vec![2, late]);
    assert_eq!((names(&shells).len(), shells.typing, shells.outstanding()), (0, false, 1));
    assert!(shells.is_waiting());
    shells.opened(late);
    assert_eq!((names(&shells), shells.typing), (vec!["s1".to_owned(), "late".to_owned()], true));
    assert_eq!(shells.places((80, 24)).iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2]);
    shells.call_off();
    assert_eq!(names(&shells).len(), 1);
    // One that cannot be opened is seen before anybody types.
    let never = shells.ask(door("never"), Way::Pane).unwrap();
    shells.call(vec![1, never]);
    shells.not_opened(never, &"no route".into());
    assert!(!shells.typing && !shells.is_waiting());
    assert_eq!((names(&shells), shells.meant()), (vec!["s0".to_owned()], 2), "it keeps its place, and gets no keys");
    assert_eq!(shells.tabs.last().unwrap().end, Some(Err("no route".into())));
    // Nor need anybody wait for one.
    let never = shells.ask(door("never"), Way::Pane).unwrap();
    shells.call(vec![1, never]);
    assert!(shells.is_waiting() && shells.give_up().is_none() && !shells.is_waiting());
    assert_eq!((names(&shells), shells.typing), (vec!["s0".to_owned()], false));
    assert!(shells.opened(never).is_empty() && shells.tabs.len() == 4, "nobody waits for it any more");
}

#[test]
fn looking_at_one_of_those_that_were_called_calls_no_others_when_all_are_shown_again() {
    let mut shells = open(4);
    let names = |shells: &Shells| shells.typed_into().map(|tab| tab.door.name()).collect::<Vec<_>>();
    shells.call(vec![2, 3]);
    shells.call_off();
    shells.call_all();
    assert_eq!(names(&shells), ["s1", "s2"]);
    // Also where none of them was open yet when they were called.
    let fresh: Vec<_> = ["new", "newer"].map(|seat| shells.ask(door(seat), Way::Pane).unwrap()).into();
    shells.front = 0;
    shells.call(fresh.clone());
    fresh.iter().for_each(|id| assert!(shells.opened(*id).is_empty()));
    shells.call_off();
    assert_eq!(names(&shells), ["new"], "one of them is looked at");
    shells.call_all();
    assert_eq!(names(&shells), ["new", "newer"]);
    fresh.iter().for_each(|id| shells.end(*id));
    shells.call(vec![2, 3]);
    // Another is looked at: it and all the others are meant.
    shells.call_off();
    shells.front = 0;
    shells.call_all();
    assert_eq!(names(&shells).len(), 4);
    shells.call(vec![2, 3]);
    shells.part();
    shells.call_all();
    assert_eq!(names(&shells).len(), 4, "who left the shells chose anew");
}

#[test]
fn tiles_and_tabs_stand_in_the_order_asked_for_whichever_opens_first() {
    let mut shells = Shells::default();
    let asked: Vec<TabId> =
        ["a", "b", "c", "d"].iter().map(|seat| shells.ask(door(seat), Way::Pane).unwrap()).collect();
    shells.call(asked.clone());
    for n in [2, 0, 3, 1] {
        shells.opened(asked[n]);
    }
    let shown: Vec<String> = shells.places((80, 24)).iter().map(|(at, _)| shells.tabs[*at].door.name()).collect();
    assert_eq!(shown, ["a", "b", "c", "d"]);
    assert!(shells.tabs.iter().map(|tab| tab.id).eq(asked));
}

#[test]
fn what_is_typed_before_it_is_open_is_kept_for_it_up_to_a_limit() {
    let mut shells = open(1);
    let id = ask(&mut shells, "slow");
    assert!(shells.hold(b"ls") && shells.hold(b"\r"));
    assert!(!shells.hold(&[b'x'; HELD]), "no more than fits");
    assert_eq!(shells.opening.as_ref().map(Opening::held), Some(3));
    assert_eq!(shells.opened(id), b"ls\r");
    assert!(shells.typing && shells.front == 1 && !shells.hold(b"late"));
    // Given up: it comes to nobody, and the next on the same door is another.
    let (gone, again) = (ask(&mut shells, "x"), ask(&mut shells, "x"));
    assert!(shells.awaited(gone).is_some() && gone != again);
    assert_eq!(shells.give_up(), Some(door("x")));
    assert!(shells.awaited(again).is_none());
}
