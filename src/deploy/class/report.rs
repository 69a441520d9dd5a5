//! What a guest says of itself, asked for in one go: each question costs its node half a second of CPU.

/// Prints `name=value` lines, and the public halves of the SSH host keys.
pub const REPORT: &str = "echo host=$(hostname); echo cpus=$(nproc); \
    echo memory=$(grep MemTotal: /proc/meminfo); echo machine=$(cat /etc/machine-id); \
    cat /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_ecdsa_key.pub /etc/ssh/ssh_host_rsa_key.pub 2>/dev/null; true";

/// A guest's answer; what it could not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfReport {
    pub hostname: Option<String>,
    pub cpus: Option<u32>,
    /// Bytes, as its kernel counts them.
    pub memory: Option<u64>,
    pub machine_id: Option<String>,
    /// Each `TYPE BASE64`.
    pub host_keys: Vec<String>,
}

impl SelfReport {
    /// What every guest must be able to say and this one did not.
    pub fn missing(&self) -> Vec<&'static str> {
        let said = [
            (self.hostname.is_some(), "its name"),
            (self.cpus.is_some(), "its number of CPUs"),
            (self.memory.is_some(), "its memory"),
            (self.machine_id.is_some(), "its machine-id"),
        ];
        said.into_iter().filter(|(said, _)| !said).map(|(_, what)| what).collect()
    }

    pub fn parse(text: &str) -> Self {
        let mut report = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.contains(' ')) else {
                report.host_keys.extend(key_of(line));
                continue;
            };
            let value = value.trim();
            match name {
                "host" if !value.is_empty() => report.hostname = Some(value.to_owned()),
                "cpus" => report.cpus = value.parse().ok(),
                "memory" => report.memory = memory_of(value),
                "machine" if !value.is_empty() => report.machine_id = Some(value.to_owned()),
                _ => {}
            }
        }
        report
    }
}

/// Bytes, from the line `MemTotal: 4014388 kB`. The guest is not asked to cut it: not every image has awk.
fn memory_of(line: &str) -> Option<u64> {
    let kib: u64 = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

/// `TYPE BASE64` of a public key line, without its comment.
fn key_of(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let is_key = (kind.starts_with("ssh-") || kind.starts_with("ecdsa-")) && key.len() > 32;
    is_key.then(|| format!("{kind} {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_line_by_line_and_keys_keep_their_padding() {
        let key = "AAAAC3NzaC1lZDI1NTE5AAAAIJ0b1kZx0yXWJ6m1vO4Q2o0bH3sC1kqv8m0Q2k7bW1aB==";
        let report = SelfReport::parse(&format!(
            "host=cs101-ada\ncpus=2\nmemory=MemTotal: 4014388 kB\nmachine=8f5e\nssh-ed25519 {key} root@cs101-ada\nnoise\n"
        ));
        assert_eq!(report.hostname.as_deref(), Some("cs101-ada"));
        assert_eq!((report.cpus, report.memory), (Some(2), Some(4_014_388 * 1024)));
        assert_eq!(report.host_keys, [format!("ssh-ed25519 {key}")]);
    }

    #[test]
    fn what_the_guest_cannot_say_is_absent() {
        let report = SelfReport::parse("host=\ncpus=\nmemory=\nmachine=\n");
        assert_eq!(report, SelfReport::default());
    }
}
