//! Tasks from outside: stopping them, killing their workers, reading their logs.

use super::{Flow, Job, JobId, Purpose, Task, Waiting, World};

impl World {
    fn job_of_task(&self, upid: &str) -> Option<JobId> {
        self.jobs.iter().find(|(_, job)| matches!(&job.purpose, Purpose::Task(own) if own == upid)).map(|(id, _)| *id)
    }

    /// Stops a task as DELETE does: it cleans up and ends with `interrupted by signal`.
    pub fn interrupt_task(&mut self, upid: &str) {
        let Some(id) = self.job_of_task(upid) else { return };
        let reason = match self.jobs.get(&id).map(|job| &job.waiting) {
            Some(Waiting::Flow { command, .. }) if !command.is_empty() => {
                format!("copy failed: command '{command}' failed: interrupted by signal")
            }
            _ => "interrupted by signal".into(),
        };
        if let Some(total) = self.jobs.get(&id).and_then(|job| self.flow_share(id, job)) {
            for line in progress(total.0, total.1) {
                self.log(id, line);
            }
        }
        self.finish(id, Some(reason.into()));
    }

    /// Kills a task's worker as `kill -9` does: nothing is cleaned up, but its locks are free. A `qemu-img` it waited
    /// for is a process of its own and goes on copying.
    pub fn kill_task(&mut self, upid: &str) {
        let Some(id) = self.job_of_task(upid) else { return };
        if let Some(mut job) = self.jobs.remove(&id) {
            let node = upid.split(':').nth(1).unwrap_or_default().to_owned();
            if matches!(&job.waiting, Waiting::Flow { command, .. } if !command.is_empty()) {
                self.release_locks(id, &job.held);
                let waiting = std::mem::replace(&mut job.waiting, Waiting::No);
                self.jobs.insert(id, Job { waiting, ..Job::new(Purpose::Nobody(node), Vec::new()) });
            } else {
                self.release(id, &job);
            }
        }
        self.end_task(upid, "unexpected status".into());
    }

    /// Ends the copies on a node that nobody waits for, as its power going does.
    pub(super) fn end_copies(&mut self, node: &str) {
        let left = |job: &Job| matches!(&job.purpose, Purpose::Nobody(at) if at == node);
        let ids: Vec<JobId> = self.jobs.iter().filter(|(_, job)| left(job)).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(job) = self.jobs.remove(&id) {
                self.release(id, &job);
            }
        }
    }

    /// The command lines of the copies at work on a node.
    pub fn copies(&self, node: &str) -> impl Iterator<Item = &str> {
        self.jobs.values().filter_map(move |job| {
            let at = match &job.purpose {
                Purpose::Task(upid) => upid.split(':').nth(1)?,
                Purpose::Nobody(at) => at.as_str(),
                Purpose::Call(_) => return None,
            };
            match &job.waiting {
                Waiting::Flow { command, .. } if at == node && !command.is_empty() => Some(command.as_str()),
                _ => None,
            }
        })
    }

    fn flow_share(&self, id: JobId, job: &Job) -> Option<(u64, f64)> {
        let Waiting::Flow { pipe, total: Some(total), units, .. } = &job.waiting else {
            return None;
        };
        let left = self.pipes.get(pipe)?.left(self.now, Flow::Job(id))?;
        Some((*total, 1.0 - left / units.max(1.0)))
    }

    /// A task's log as it reads now, progress of a copy included.
    pub fn task_lines(&self, task: &Task) -> Vec<String> {
        let mut lines = task.lines();
        let share = self
            .job_of_task(&task.upid.to_string())
            .and_then(|id| self.jobs.get(&id).and_then(|job| self.flow_share(id, job)));
        if let Some((total, share)) = share {
            lines.extend(progress(total, share));
        }
        lines
    }
}

/// qemu-img's progress lines up to a share of the whole.
pub fn progress(total: u64, share: f64) -> Vec<String> {
    let percent = (share.clamp(0.0, 1.0) * 100.0).floor() as u64;
    (0..=percent)
        .map(|at| {
            let done = total / 100 * at + if at == 100 { total % 100 } else { 0 };
            format!("transferred {} of {} ({at}.00%)", human(done), human(total))
        })
        .collect()
}

fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}
