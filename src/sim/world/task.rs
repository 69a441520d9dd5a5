//! Tasks: their UPIDs, logs and lists.

use super::Ms;

/// The parts of a UPID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upid {
    /// The node the worker runs on.
    pub node: String,
    /// Its process id.
    pub pid: u32,
    /// When the process started, in clock ticks since boot.
    pub pstart: u64,
    /// Unix seconds.
    pub starttime: i64,
    /// `qmclone`, `qmstart`, …
    pub kind: String,
    /// The id field: a vmid, or empty.
    pub id: String,
    /// `user@realm` or `user@realm!token`.
    pub user: String,
}

impl std::fmt::Display for Upid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "UPID:{}:{:08X}:{:08X}:{:08X}:{}:{}:{}:",
            self.node, self.pid, self.pstart, self.starttime, self.kind, self.id, self.user
        )
    }
}

impl Upid {
    /// Reads a UPID.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        if parts.next()? != "UPID" {
            return None;
        }
        let node = parts.next()?.to_owned();
        let pid = u32::from_str_radix(parts.next()?, 16).ok()?;
        let pstart = u64::from_str_radix(parts.next()?, 16).ok()?;
        let starttime = i64::from_str_radix(parts.next()?, 16).ok()?;
        let kind = parts.next()?.to_owned();
        let id = parts.next()?.to_owned();
        let user = parts.next()?.to_owned();
        (parts.next() == Some("") && parts.next().is_none() && !node.is_empty() && !kind.is_empty()).then_some(Self {
            node,
            pid,
            pstart,
            starttime,
            kind,
            id,
            user,
        })
    }

    /// The user without the token's name.
    pub fn owner(&self) -> &str {
        self.user.split('!').next().unwrap_or(&self.user)
    }

    /// The token's name.
    pub fn token(&self) -> Option<&str> {
        self.user.split_once('!').map(|(_, token)| token)
    }
}

/// A task, running or ended.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its UPID in parts.
    pub upid: Upid,
    /// The log, without the closing line.
    pub log: Vec<String>,
    /// When it ended, in modelled time, and how (`OK`, `WARNINGS: 2`, or the error).
    pub end: Option<(Ms, String)>,
    /// Unix seconds of the end.
    pub endtime: i64,
}

impl Task {
    /// The log with its closing line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.log.clone();
        match self.end.as_ref().map(|(_, status)| status.as_str()) {
            Some("OK") => lines.push("TASK OK".into()),
            Some(status) if status.starts_with("WARNINGS: ") => {
                lines.push(format!("TASK {status}"));
            }
            // a worker that was killed wrote no closing line
            Some("unexpected status") | None => {}
            Some(status) => lines.push(format!("TASK ERROR: {status}")),
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_upid_reads_back_as_it_was_written() {
        let text = "UPID:pve1:0000007F:000433D8:6B015884:qmclone:9000:root@pam!full:";
        let upid = Upid::parse(text).unwrap();
        assert_eq!(upid.to_string(), text);
        assert_eq!((upid.owner(), upid.token()), ("root@pam", Some("full")));
        assert!(Upid::parse("notaupid").is_none());
    }
}
