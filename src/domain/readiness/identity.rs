//! What must be one machine's own within a lab, and which seats share it all the same.

use std::net::IpAddr;

use crate::domain::SeatName;

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
