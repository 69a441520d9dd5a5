//! Whether a machine has a serial port to open, before one is opened that says nothing: Proxmox connects `qm terminal`
//! to the first port that is a socket.

use super::{NoWay, Ways};
use crate::{
    domain::{NodeName, SeatName, Vmid},
    port::cluster::PendingItem,
    service::ServiceError,
};

/// What a machine's settings say of its serial ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    There,
    /// Set, and not in force before the machine was off.
    Waits,
    Missing,
}

impl Port {
    fn of(settings: &[PendingItem]) -> Self {
        let ports = || settings.iter().filter(|item| item.key.strip_prefix("serial").is_some_and(|n| n.len() == 1));
        let is = |value: &Option<crate::domain::Clean>| value.as_ref().is_some_and(|value| value.as_str() == "socket");
        if ports().any(|item| is(&item.value)) {
            Self::There
        } else if ports().any(|item| is(&item.pending)) {
            Self::Waits
        } else {
            Self::Missing
        }
    }
}

impl Ways {
    /// Refuses where there is none, with what to set. A site that does not tell refuses nothing.
    pub(super) async fn has_serial(&self, seat: &SeatName, node: &NodeName, vmid: Vmid) -> Result<(), ServiceError> {
        let (cluster, lab) = (&self.site.cluster, &self.class.name);
        if cluster.status(node, vmid).await.is_ok_and(|now| !now.running) {
            return Err(NoWay::Off.of(lab, seat));
        }
        let Ok(settings) = cluster.pending(node, vmid).await else { return Ok(()) };
        let off_and_on = format!("`homeroom restart {lab}/{seat}` shuts it down and starts it");
        match Port::of(&settings) {
            Port::There => Ok(()),
            Port::Waits => Err(ServiceError::NotNow(format!(
                "{lab}/{seat} has its serial port only once it was off: {off_and_on}"
            ))),
            Port::Missing => Err(ServiceError::NotNow(format!(
                "{lab}/{seat} has no serial port, so it has no console: `qm set {vmid} --serial0 socket` on {node} gives \
                 it one, then {off_and_on}. With the same on the template ({}), machines made from it have one",
                self.class.template
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Clean;

    #[test]
    fn a_port_that_is_a_socket_counts_and_one_that_waits_is_told_apart() {
        let item = |key: &str, value: Option<&str>, pending: Option<&str>| PendingItem {
            key: key.to_owned(),
            value: value.map(Clean::from),
            pending: pending.map(Clean::from),
            delete: false,
        };
        for (settings, port) in [
            (vec![item("serial0", Some("socket"), None)], Port::There),
            (vec![item("serial0", Some("/dev/ttyS0"), None), item("serial1", Some("socket"), None)], Port::There),
            (vec![item("serial0", None, Some("socket"))], Port::Waits),
            (vec![item("serial0", Some("/dev/ttyS0"), None), item("vga", Some("serial0"), None)], Port::Missing),
            (vec![], Port::Missing),
        ] {
            assert_eq!(Port::of(&settings), port, "{settings:?}");
        }
    }
}
