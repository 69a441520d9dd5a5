//! What a cloud asks for: the price table of the configuration, and what a machine comes to by it.
//!
//! Nothing is built in: prices differ by region and contract, and change. The table says from when it is.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    NodeName,
    cloud::{InstanceState, InstanceView, Past},
};

/// A table is old after so many months.
const OLD: i64 = 6;
/// Hours of a month, as clouds reckon.
const MONTH: f64 = 730.0;

/// Prices, as the configuration has them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// When they were looked up, such as `2026-11-01`.
    pub date: String,
    /// Such as `EUR`.
    pub currency: String,
    /// An hour, by machine type.
    pub machines: BTreeMap<String, f64>,
    /// The same of spot machines.
    pub spot: BTreeMap<String, f64>,
    /// A GiB of disk for a month.
    pub disk_gb_month: f64,
    /// A public address in use for an hour.
    pub address: f64,
    /// What of the last two the table does not say, by the names of its keys: nothing is reckoned for it.
    pub missing: Vec<&'static str>,
}

/// What something costs an hour, part by part.
#[derive(Debug, Clone, PartialEq)]
pub struct Hourly {
    pub machine: f64,
    pub disk: f64,
    pub address: f64,
    pub currency: String,
}

/// What of an instance is paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub machine_type: String,
    pub spot: bool,
    pub disk_gb: u64,
    /// How long it ran.
    pub ran: Duration,
    /// How long there was its disk.
    pub kept: Duration,
}

/// An instance as it was last seen: by this one that is gone is reckoned, whoever removed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    /// The cloud's own id.
    pub id: String,
    pub zone: NodeName,
    pub machine_type: String,
    pub spot: bool,
    pub disk_gb: u64,
    pub made: Timestamp,
    /// When the server ends it by itself.
    pub ends: Option<Timestamp>,
}

impl Stood {
    /// What is to be kept in mind of an instance; it was made at `born`, where the cloud does not say.
    pub fn of(instance: &InstanceView, born: Timestamp) -> Self {
        Self {
            id: instance.id.clone(),
            zone: instance.zone.clone(),
            machine_type: instance.machine_type.clone(),
            spot: instance.spot,
            disk_gb: instance.disk_gb,
            made: instance.created.unwrap_or(born),
            ends: instance.ends,
        }
    }

    /// What was used of it, by what the cloud remembers. Where it does not say when it went, that was by now at the
    /// latest, or when its time was up: more than it cost may be reckoned, and never less.
    pub fn used(&self, past: &Past, now: Timestamp) -> Used {
        let gone = past.gone.unwrap_or_else(|| self.ends.map_or(now, |ends| ends.min(now)));
        let rested: Duration = past.rests.iter().map(|(from, to)| time((*from).max(self.made), (*to).min(gone))).sum();
        let kept = time(self.made, gone);
        Used {
            machine_type: self.machine_type.clone(),
            spot: self.spot,
            disk_gb: self.disk_gb,
            ran: kept.saturating_sub(rested),
            kept,
        }
    }
}

/// None where it would be less.
fn time(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

impl InstanceView {
    /// What of it was used since it was made; at `born`, where the cloud does not say when.
    pub fn used(&self, born: Timestamp, now: Timestamp) -> Used {
        // A simulated project's clock may be ahead of ours.
        let made = self.created.filter(|at| *at <= now).unwrap_or(born);
        let stopped = self.stopped.filter(|at| self.state == InstanceState::Stopped && *at <= now);
        let until = stopped.unwrap_or(now);
        let rested: Duration = self.rests.iter().map(|(from, to)| time((*from).max(made), (*to).min(until))).sum();
        Used {
            machine_type: self.machine_type.clone(),
            spot: self.spot,
            disk_gb: self.disk_gb,
            ran: time(made, until).saturating_sub(rested),
            kept: time(made, now),
        }
    }
}

impl Prices {
    /// An hour of a machine that runs, with its disk and address; `None` where the table lacks its type.
    pub fn running(&self, machine_type: &str, spot: bool, disk_gb: u64) -> Option<Hourly> {
        let table = if spot { &self.spot } else { &self.machines };
        let machine = *table.get(machine_type)?;
        Some(Hourly { machine, disk: self.disk(disk_gb), address: self.address, currency: self.currency.clone() })
    }

    /// Says what is not reckoned with, where the table lacks something.
    pub fn incomplete(&self) -> Option<String> {
        (!self.missing.is_empty()).then(|| {
            let those = if self.missing.len() > 1 { "they cost" } else { "it costs" };
            format!(
                "the price table of {} has no {}: what {those} is not in here",
                self.date,
                self.missing.join(" and no ")
            )
        })
    }

    /// How old the table is, in words, where it is so old that prices are others by now.
    pub fn stale(&self, now: Timestamp) -> Option<String> {
        let of = self.date.parse::<jiff::civil::Date>().ok()?;
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let months = today.duration_since(of).as_hours() / 24 / 30;
        (months >= OLD).then(|| format!("the prices are {months} months old: look them up again"))
    }

    /// An hour of a disk by itself; none where the table does not say.
    pub fn disk_alone(&self, gb: u64) -> Option<f64> {
        (!self.missing.contains(&"disk_gb_month")).then(|| self.disk(gb))
    }

    /// The disk's part of an hour.
    pub fn disk(&self, gb: u64) -> f64 {
        self.disk_gb_month * gb as f64 / MONTH
    }

    /// What an instance has cost since it was made: all of it while it ran, its disk also while it was stopped. It was
    /// made at `born` where the cloud does not say.
    pub fn spent(&self, instance: &InstanceView, born: Timestamp, now: Timestamp) -> Option<f64> {
        self.paid(&instance.used(born, now))
    }

    /// The same of what was used.
    pub fn paid(&self, used: &Used) -> Option<f64> {
        let hour = self.running(&used.machine_type, used.spot, used.disk_gb)?;
        let hours = |time: Duration| time.as_secs_f64() / 3600.0;
        Some((hour.machine + hour.address) * hours(used.ran) + hour.disk * hours(used.kept))
    }

    /// An hour of an instance as it stands: one that is stopped costs its disk.
    pub fn of(&self, instance: &InstanceView) -> Option<f64> {
        match instance.state {
            InstanceState::Stopped => self.disk_alone(instance.disk_gb),
            _ => self.running(&instance.machine_type, instance.spot, instance.disk_gb).map(|hour| hour.total()),
        }
    }
}

impl Hourly {
    pub fn total(&self) -> f64 {
        self.machine + self.disk + self.address
    }

    /// For so long.
    pub fn times(&self, span: Duration) -> f64 {
        self.total() * span.as_secs_f64() / 3600.0
    }
}

impl fmt::Display for Hourly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, disk, address, currency } = self;
        let total = self.total();
        write!(f, "{total:.3} {currency} an hour (machine {machine:.3}, disk {disk:.3}, address {address:.3})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> Prices {
        Prices {
            date: "2026-11-01".to_owned(),
            currency: "EUR".to_owned(),
            machines: BTreeMap::from([("e2-standard-4".to_owned(), 0.16)]),
            spot: BTreeMap::from([("e2-standard-4".to_owned(), 0.05)]),
            disk_gb_month: 0.1,
            address: 0.004,
            missing: Vec::new(),
        }
    }

    #[test]
    fn what_a_table_lacks_and_how_old_it_is_is_said() {
        let lacks = |missing: &[&'static str]| Prices { missing: missing.to_vec(), ..prices() };
        assert_eq!(prices().incomplete(), None);
        let told = lacks(&["disk_gb_month"]).incomplete().unwrap_or_default();
        assert_eq!(told, "the price table of 2026-11-01 has no disk_gb_month: what it costs is not in here");
        let told = lacks(&["disk_gb_month", "address"]).incomplete().unwrap_or_default();
        assert!(told.ends_with("has no disk_gb_month and no address: what they cost is not in here"), "{told}");
        assert_eq!(lacks(&["disk_gb_month"]).disk_alone(50), None, "a disk is not for nothing");
        let at = |text: &str| text.parse().unwrap_or_default();
        assert_eq!(prices().stale(at("2027-03-01T00:00:00Z")), None);
        let told = prices().stale(at("2028-11-01T00:00:00Z")).unwrap_or_default();
        assert_eq!(told, "the prices are 24 months old: look them up again");
    }

    #[test]
    fn what_is_stopped_costs_its_disk_from_then_on() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).ok();
        let mut instance = InstanceView {
            id: "1".to_owned(),
            name: "intro-host".to_owned(),
            zone: crate::domain::NodeName::new("europe-west3-a"),
            state: InstanceState::Running,
            status: "RUNNING".into(),
            machine_type: "e2-standard-4".to_owned(),
            labels: BTreeMap::new(),
            metadata: BTreeMap::new(),
            address: None,
            created: at(0),
            started: at(0),
            stopped: None,
            rests: Vec::new(),
            ends: None,
            spot: false,
            preempted: None,
            disk_gb: 73,
            keeps_disk: false,
        };
        let spent = |instance: &InstanceView, hour| {
            prices().spent(instance, Timestamp::UNIX_EPOCH, at(hour).unwrap_or_default())
        };
        let is = |spent: Option<f64>, cost: f64| spent.is_some_and(|spent| (spent - cost).abs() < 1e-9);
        assert!(is(spent(&instance, 2), 2.0 * 0.174));
        (instance.state, instance.stopped) = (InstanceState::Stopped, at(2));
        assert!(is(spent(&instance, 12), 2.0 * 0.164 + 12.0 * 0.01));
        // It was started again, after ten hours; and before that it had stood still for one.
        instance.state = InstanceState::Running;
        let stretch = |from, to| Some((at(from)?, at(to)?));
        instance.rests = stretch(1, 2).into_iter().chain(stretch(3, 13)).collect();
        (instance.started, instance.stopped) = (at(13), at(3));
        assert!(is(spent(&instance, 14), 3.0 * 0.164 + 14.0 * 0.01));
        // What a clock ahead of ours says of later counts for nothing yet.
        assert!(is(spent(&instance, 4), 2.0 * 0.164 + 4.0 * 0.01));
    }

    #[test]
    fn what_is_gone_has_cost_until_the_cloud_says_it_went_or_its_time_was_up() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap_or_default();
        let stood = Stood {
            id: "1".to_owned(),
            zone: NodeName::new("europe-west3-a"),
            machine_type: "e2-standard-4".to_owned(),
            spot: false,
            disk_gb: 73,
            made: at(1),
            ends: Some(at(13)),
        };
        let hours = |past: &Past, now| {
            let used = stood.used(past, at(now));
            (used.ran.as_secs() / 3600, used.kept.as_secs() / 3600)
        };
        let nothing = Past::default();
        assert_eq!((hours(&nothing, 10), hours(&nothing, 20)), ((9, 9), (12, 12)));
        let past = Past { rests: vec![(at(3), at(5)), (at(8), at(9))], gone: Some(at(9)), ..Past::default() };
        assert_eq!(hours(&past, 20), (5, 8));
    }

    #[test]
    fn machine_disk_and_address_add_up() {
        let hour = prices().running("e2-standard-4", false, 73);
        let hour = hour.filter(|hour| (hour.total() - 0.174).abs() < 1e-9);
        assert_eq!(
            hour.as_ref().map(ToString::to_string).as_deref(),
            Some("0.174 EUR an hour (machine 0.160, disk 0.010, address 0.004)")
        );
        assert!(hour.is_some_and(|hour| (hour.times(Duration::from_secs(7200)) - 0.348).abs() < 1e-9));
        assert_eq!(prices().running("n2-standard-8", false, 50), None, "what is not in the table is not guessed");
        assert!(prices().running("e2-standard-4", true, 50).is_some_and(|hour| hour.machine < 0.1));
    }
}
