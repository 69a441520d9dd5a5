//! What a cloud asks for: the price table of the configuration, and what a machine comes to by it.
//!
//! Nothing is built in: prices differ by region and contract, and change. The table says from when it is.

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cloud::{InstanceState, InstanceView};

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

impl InstanceView {
    /// What of it was used since it was made; at `born`, where the cloud does not say when.
    pub fn used(&self, born: Timestamp, now: Timestamp) -> Used {
        // A simulated project's clock may be ahead of ours.
        let made = self.created.filter(|at| *at <= now).unwrap_or(born);
        let stopped = self.stopped.filter(|at| self.state == InstanceState::Stopped && *at <= now);
        let time = |from: Timestamp, to: Timestamp| Duration::try_from(to.duration_since(from)).unwrap_or_default();
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

    /// An hour of a disk by itself.
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
            InstanceState::Stopped => Some(self.disk(instance.disk_gb)),
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
        }
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
