//! Bandwidth shared by whoever uses it: a storage's bytes, a node's processor time.
//! Pure arithmetic on modelled milliseconds.

use super::{JobId, Ms};

/// Who uses a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// A job waits for the end of it.
    Job(JobId),
    /// A guest boots: its id and the number of this run of it.
    Boot(u32, u64),
}

/// Which pipe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PipeKey {
    /// Bytes of a storage (per node when it is not shared).
    Storage(String, Option<String>),
    /// Processor time of a node, in core-milliseconds.
    Cpu(String),
}

/// A capacity divided evenly among its users.
#[derive(Debug)]
pub struct Pipe {
    /// Units per millisecond in all.
    capacity: f64,
    /// The most one user can take.
    each: f64,
    users: Vec<(Flow, f64)>,
    at: Ms,
}

impl Pipe {
    /// A pipe of `capacity` units per millisecond, of which one user takes at most `each`.
    pub fn new(capacity: f64, each: f64) -> Self {
        Self { capacity: capacity.max(1e-9), each: each.max(1e-9), users: Vec::new(), at: 0 }
    }

    fn rate(&self) -> f64 {
        self.each.min(self.capacity / self.users.len().max(1) as f64)
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Ms) {
        let passed = now.saturating_sub(self.at) as f64;
        let rate = self.rate();
        for (_, left) in &mut self.users {
            *left = (*left - passed * rate).max(0.0);
        }
        self.at = now;
    }

    /// A new user with `units` to move, from `now` on.
    pub fn add(&mut self, now: Ms, flow: Flow, units: f64) {
        self.advance(now);
        self.users.push((flow, units.max(0.0)));
    }

    /// Takes a user out; what it still had to move, if it was there.
    pub fn remove(&mut self, now: Ms, flow: Flow) -> Option<f64> {
        self.advance(now);
        let at = self.users.iter().position(|(user, _)| *user == flow)?;
        Some(self.users.remove(at).1)
    }

    /// What a user still has to move at `now`.
    pub fn left(&self, now: Ms, flow: Flow) -> Option<f64> {
        let passed = now.saturating_sub(self.at) as f64;
        let rate = self.rate();
        self.users.iter().find(|(user, _)| *user == flow).map(|(_, left)| (left - passed * rate).max(0.0))
    }

    /// When the next user is done, if nothing changes.
    pub fn next_end(&self) -> Option<Ms> {
        let least = self.users.iter().map(|(_, left)| *left).min_by(f64::total_cmp)?;
        Some(self.at + (least / self.rate()).ceil() as Ms)
    }

    /// Removes and returns those who are done at `now`.
    pub fn finished(&mut self, now: Ms) -> Vec<Flow> {
        self.advance(now);
        let rate = self.rate();
        let mut done = Vec::new();
        self.users.retain(|(flow, left)| {
            let ended = *left < rate * 0.5;
            if ended {
                done.push(*flow);
            }
            !ended
        });
        done
    }

    /// How much of the capacity is in use, 0 to 1.
    pub fn load(&self) -> f64 {
        (self.users.len() as f64 * self.rate() / self.capacity).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_copies_share_the_bandwidth_and_the_second_speeds_up_when_the_first_ends() {
        let mut pipe = Pipe::new(100.0, 100.0);
        pipe.add(0, Flow::Job(1), 10_000.0);
        pipe.add(0, Flow::Job(2), 20_000.0);
        assert_eq!(pipe.next_end(), Some(200));
        assert_eq!(pipe.finished(200), vec![Flow::Job(1)]);
        assert_eq!(pipe.next_end(), Some(300));
    }

    #[test]
    fn one_boot_alone_cannot_use_more_than_its_own_cores() {
        let mut pipe = Pipe::new(8.0, 2.0);
        pipe.add(0, Flow::Boot(101, 1), 24_000.0);
        assert_eq!(pipe.next_end(), Some(12_000));
        assert!((pipe.load() - 0.25).abs() < 1e-9);
    }
}
