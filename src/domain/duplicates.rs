//! Duplicates: machines of one lab that share what must be one machine's own. Both fail, by name.

use std::net::IpAddr;

use super::SeatName;

/// What must be one machine's own within a lab.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    pub seat: &'a SeatName,
    pub ip: Option<IpAddr>,
    /// `/etc/machine-id`.
    pub machine_id: Option<&'a str>,
    /// Each `TYPE BASE64`.
    pub host_keys: &'a [String],
}

/// Seats that share an address, a machine-id or a host key: every seat concerned, with a sentence that names
/// the others.
pub fn duplicates(seats: &[Identity<'_>]) -> Vec<(SeatName, String)> {
    let mut out = Vec::new();
    for one in seats {
        let others = |same: &dyn Fn(&Identity<'_>) -> bool| {
            let names: Vec<String> =
                seats.iter().filter(|o| o.seat != one.seat && same(o)).map(|o| o.seat.to_string()).collect();
            (!names.is_empty()).then(|| names.join(", "))
        };
        if let Some(ip) = one.ip
            && let Some(names) = others(&|other| other.ip == Some(ip))
        {
            out.push((one.seat.clone(), format!("shares the address {ip} with {names}")));
        }
        if let Some(id) = one.machine_id.map(str::trim).filter(|id| !id.is_empty())
            && let Some(names) = others(&|other| other.machine_id.map(str::trim) == Some(id))
        {
            let cure = "empty /etc/machine-id in the template";
            out.push((one.seat.clone(), format!("shares its machine-id with {names}; {cure}")));
        }
        let key = |key: &str| key.split_whitespace().nth(1).unwrap_or(key).to_owned();
        let own: Vec<String> = one.host_keys.iter().map(|k| key(k)).collect();
        if let Some(names) = others(&|other| other.host_keys.iter().any(|k| own.contains(&key(k)))) {
            let cure = "remove /etc/ssh/ssh_host_* from the template";
            out.push((one.seat.clone(), format!("shares an SSH host key with {names}; {cure}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_that_share_an_identity_are_all_named() {
        let seats: Vec<SeatName> = ["a", "b", "c"].iter().map(|s| s.parse().unwrap()).collect();
        let keys = |key: &str| vec![format!("ssh-ed25519 {key}")];
        let (one, two, three) = (keys("K1"), keys("K2"), keys("K1"));
        let identity = |n: usize, ip: &str, id, host_keys| Identity {
            seat: &seats[n],
            ip: ip.parse().ok(),
            machine_id: Some(id),
            host_keys,
        };
        let found = duplicates(&[
            identity(0, "10.0.0.1", "m1\n", &one),
            identity(1, "10.0.0.1", "m2", &two),
            identity(2, "10.0.0.3", "m1", &three),
        ]);
        let lines: Vec<String> = found.iter().map(|(seat, why)| format!("{seat} {why}")).collect();
        assert_eq!(
            lines,
            [
                "a shares the address 10.0.0.1 with b",
                "a shares its machine-id with c; empty /etc/machine-id in the template",
                "a shares an SSH host key with c; remove /etc/ssh/ssh_host_* from the template",
                "b shares the address 10.0.0.1 with a",
                "c shares its machine-id with a; empty /etc/machine-id in the template",
                "c shares an SSH host key with a; remove /etc/ssh/ssh_host_* from the template",
            ]
        );
    }
}
