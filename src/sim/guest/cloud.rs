//! What cloud-init does with the configuration Proxmox hands it at boot.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::Inside;

impl Inside {
    /// The system boots with this configuration.
    pub fn boot(&mut self, config: &BTreeMap<String, String>) {
        let number = |key: &str| config.get(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
        self.cores = number("cores") * number("sockets");
        self.memory = crate::sim::world::Vm::memory(config);
        self.disk = crate::sim::world::Vm::disk_size(config);
        self.mac = config.get("net0").map(|net| mac_of(net)).unwrap_or_default();
        self.cloud_init = config.values().any(|value| value.contains("cloudinit"));
        if !self.cloud_init {
            self.address = dhcp(&self.mac);
            return;
        }
        if let Some(name) = config.get("name") {
            self.hostname = name.split('.').next().unwrap_or(name).to_owned();
        }
        let user = config.get("ciuser").cloned().unwrap_or_else(|| self.default_user().into());
        let keys: Vec<String> = config
            .get("sshkeys")
            .map(|text| percent_decoded(text))
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        let login = self.add_user(&user);
        for key in keys {
            if !login.keys.contains(&key) {
                login.keys.push(key);
            }
        }
        if let Some(password) = config.get("cipassword") {
            login.password = Some(password.clone());
        }
        self.address = match config.get("ipconfig0").and_then(|text| static_address(text)) {
            Some(address) => Some(address),
            None => dhcp(&self.mac),
        };
    }
}

/// The address in `ip=10.0.0.5/24,gw=…`; none for dhcp.
fn static_address(text: &str) -> Option<(Ipv4Addr, u8)> {
    let value = text.split(',').find_map(|part| part.strip_prefix("ip="))?;
    let (address, prefix) = value.split_once('/')?;
    Some((address.parse().ok()?, prefix.parse().ok()?))
}

/// The address the network gives a card: 10.x, from the last three bytes of its own address.
fn dhcp(mac: &str) -> Option<(Ipv4Addr, u8)> {
    let mut bytes = mac.split(':').skip(3).map(|part| u8::from_str_radix(part, 16));
    let (a, b, c) = (bytes.next()?.ok()?, bytes.next()?.ok()?, bytes.next()?.ok()?);
    Some((Ipv4Addr::new(10, a, b, c.clamp(1, 254)), 8))
}

/// The hardware address in a network card's property string, lower case.
pub fn mac_of(net: &str) -> String {
    net.split(',')
        .filter_map(|part| part.split_once('='))
        .map(|(_, value)| value)
        .find(|value| value.len() == 17 && value.matches(':').count() == 5)
        .unwrap_or_default()
        .to_ascii_lowercase()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloud_init_gives_name_user_keys_and_address() {
        let config: BTreeMap<String, String> = [
            ("name", "cs101-ada"),
            ("ide2", "fast:101/vm-101-cloudinit.qcow2,media=cdrom"),
            ("net0", "virtio=BC:24:11:0A:0B:00,bridge=vmbr0"),
            ("ciuser", "student"),
            ("sshkeys", "ssh-ed25519%20AAAA%20me%0A"),
            ("ipconfig0", "ip=10.1.0.20/24,gw=10.1.0.1"),
            ("cores", "2"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let mut inside = Inside::new("ubuntu-22.04", [1; 32], [2; 32]);
        inside.boot(&config);
        assert_eq!(inside.hostname, "cs101-ada");
        assert_eq!(inside.users["student"].keys, vec!["ssh-ed25519 AAAA me"]);
        assert_eq!(inside.address, Some((Ipv4Addr::new(10, 1, 0, 20), 24)));
        assert_eq!(dhcp(&inside.mac), Some((Ipv4Addr::new(10, 10, 11, 1), 8)));
        assert!(inside.host_key_line().starts_with("ssh-ed25519 AAAA"));
    }
}
