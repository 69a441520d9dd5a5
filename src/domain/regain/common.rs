//! What machines have in common, and what single ones have for themselves. Pure.

use std::collections::BTreeMap;

use super::Regained;
use crate::domain::SeatName;

/// A value that a definition may hold for all seats, and for single ones.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settled<T> {
    /// For all; `None` leaves it as the template has it.
    pub all: Option<T>,
    /// For those that have another.
    pub own: BTreeMap<SeatName, T>,
}

/// The value most machines have, left open where the template has it too, and the others' beside it. Where a machine
/// has none at all nothing is said for all: a seat cannot be told to have none.
pub(super) fn settle<T: Clone + PartialEq>(
    machines: &[Regained],
    template: Option<T>,
    read: impl Fn(&BTreeMap<String, String>) -> Option<T>,
) -> Settled<T> {
    let values: Vec<(&SeatName, Option<T>)> =
        machines.iter().map(|machine| (&machine.seat, read(&machine.config))).collect();
    let count = |value: &T| values.iter().filter(|(_, other)| other.as_ref() == Some(value)).count();
    let mut common: Option<&T> = None;
    for value in values.iter().filter_map(|(_, value)| value.as_ref()) {
        let more = |known: &T| count(value) > count(known);
        let as_many = |known: &T| count(value) == count(known) && Some(value) == template.as_ref();
        if common.is_none_or(|known| more(known) || as_many(known)) {
            common = Some(value);
        }
    }
    let complete = values.iter().all(|(_, value)| value.is_some());
    let all = common.filter(|value| complete && Some(*value) != template.as_ref()).cloned();
    let stands = all.clone().or(template);
    let own = values
        .into_iter()
        .filter_map(|(seat, value)| Some((seat.clone(), value.filter(|value| Some(value) != stands.as_ref())?)))
        .collect();
    Settled { all, own }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Vmid;

    fn machines(values: &[Option<&str>]) -> Vec<Regained> {
        let machine = |(n, value): (usize, &Option<&str>)| Regained {
            seat: SeatName::student(n as u32 + 1),
            vmid: Vmid::new(9101 + n as u64).unwrap(),
            config: value.map(|value| ("cores".to_owned(), value.to_owned())).into_iter().collect(),
        };
        values.iter().enumerate().map(machine).collect()
    }

    fn settled(values: &[Option<&str>], template: Option<&str>) -> (Option<String>, Vec<String>) {
        let read = |config: &BTreeMap<String, String>| config.get("cores").cloned();
        let settled = settle(&machines(values), template.map(str::to_owned), read);
        (settled.all, settled.own.into_values().collect())
    }

    #[test]
    fn what_most_have_is_said_for_all_and_the_rest_for_each() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(settled(&[Some("2"), Some("2")], Some("2")), (None, vec![]), "as the template has it");
        assert_eq!(settled(&[Some("4"), Some("4")], Some("2")), (Some("4".into()), vec![]));
        assert_eq!(settled(&[Some("4"), Some("4"), Some("2")], Some("2")), (Some("4".into()), words(&["2"])));
        assert_eq!(settled(&[Some("4"), Some("2")], Some("2")), (None, words(&["4"])), "a tie goes to the template");
        assert_eq!(settled(&[Some("4"), Some("4")], None), (Some("4".into()), vec![]));
        assert_eq!(settled(&[Some("4"), None], None), (None, words(&["4"])));
        assert_eq!(settled(&[None, None], Some("2")), (None, vec![]));
    }
}
