//! Runs jobs: takes operations one by one until one has to wait, and cleans up when one fails.

use serde_json::Value;

use super::{Flow, Job, JobId, LockKey, Mode, Ms, Op, Purpose, Task, Upid, Waiting, Wake, World};
use crate::sim::api::{Answer, Fail};

impl World {
    /// Starts a job and runs it as far as it goes.
    pub(crate) fn start_job(&mut self, job: Job) -> JobId {
        let id = self.fresh();
        self.jobs.insert(id, job);
        self.resume(id);
        id
    }

    /// Starts a task's worker; its UPID.
    pub(crate) fn spawn(&mut self, node: &str, kind: &str, id: &str, user: &str, blame: &str, ops: Vec<Op>) -> String {
        let pid = self.fresh_pid();
        let upid = Upid {
            node: node.into(),
            pid,
            pstart: 170_000 + self.now / 10,
            starttime: self.unix(),
            kind: kind.into(),
            id: id.into(),
            user: user.into(),
        };
        let text = upid.to_string();
        self.task_at.insert(text.clone(), self.tasks.len());
        self.tasks.push(Task { upid, log: Vec::new(), end: None, endtime: 0 });
        let mut ops = ops;
        match self.task_fault.take() {
            Some(super::FaultKind::Task { reason }) => ops = vec![Op::run(move |_, _| Err(reason.into()))],
            Some(super::FaultKind::Kill { seconds }) => {
                let when = self.now + (seconds * 1000.0) as Ms;
                self.at(when, Wake::Kill(text.clone()));
            }
            _ => {}
        }
        let mut job = Job::new(Purpose::Task(text.clone()), ops);
        job.blame = blame.into();
        let id = self.fresh();
        self.jobs.insert(id, job);
        // the worker is a process of its own: it begins a moment after the call
        let begins = self.now + self.physics.spawn + 15;
        self.wait(id, Waiting::Until(begins));
        self.at(begins, Wake::Job(id));
        text
    }

    fn wait(&mut self, id: JobId, waiting: Waiting) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.waiting = waiting;
        }
    }

    /// A line in the log of a job's task.
    pub(crate) fn log(&mut self, id: JobId, line: impl Into<String>) {
        if let Some(Job { purpose: Purpose::Task(upid), .. }) = self.jobs.get(&id) {
            let upid = upid.clone();
            if let Some(task) = self.task_mut(&upid) {
                task.log.push(line.into());
            }
        }
    }

    /// A warning in the log of a job's task.
    pub(crate) fn warn(&mut self, id: JobId, line: impl Into<String>) {
        self.log(id, line);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.warnings += 1;
        }
    }

    /// What a job does if it fails from here on.
    pub(crate) fn on_failure(&mut self, id: JobId, undo: impl FnOnce(&mut World) + Send + 'static) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.undo.push(Box::new(undo));
        }
    }

    /// Sets what stands before the reason when the job fails.
    pub(crate) fn set_blame(&mut self, id: JobId, blame: &str) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.blame = blame.into();
        }
    }

    /// Sets the answer of a call.
    pub(crate) fn set_answer(&mut self, id: JobId, answer: Value) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.answer = Some(answer);
        }
    }

    /// Runs a job until it has to wait or is done.
    pub(crate) fn resume(&mut self, id: JobId) {
        loop {
            let Some(job) = self.jobs.get_mut(&id) else { return };
            job.waiting = Waiting::No;
            let Some(op) = job.ops.pop_front() else {
                self.finish(id, None);
                return;
            };
            match op {
                Op::Log(line) => self.log(id, line),
                Op::Pause(ms) => {
                    let until = self.now + ms;
                    self.wait(id, Waiting::Until(until));
                    self.at(until, Wake::Job(id));
                    return;
                }
                Op::Take { key, mode, patience } => {
                    if !self.try_lock(id, key, mode, patience, None) {
                        return;
                    }
                }
                Op::TakeOr { key, mode, patience, warning, skip } => {
                    if !self.try_lock(id, key, mode, patience, Some((warning, skip))) {
                        return;
                    }
                }
                Op::Free(key) => self.unlock(id, &key),
                Op::Flow { pipe, units, total, command } => {
                    let now = self.now;
                    if let Some(real) = self.pipes.get_mut(&pipe) {
                        real.add(now, Flow::Job(id), units);
                        self.wait(id, Waiting::Flow { pipe, command, total, units });
                        return;
                    }
                }
                Op::Run(deed) => match deed(self, id) {
                    Ok(more) => {
                        if let Some(job) = self.jobs.get_mut(&id) {
                            for op in more.into_iter().rev() {
                                job.ops.push_front(op);
                            }
                        }
                    }
                    Err(fail) => {
                        self.finish(id, Some(fail));
                        return;
                    }
                },
            }
        }
    }

    fn try_lock(&mut self, id: JobId, key: LockKey, mode: Mode, patience: Ms, or: Option<(String, usize)>) -> bool {
        if self.locks.take(&key, mode, id) {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.held.push(key);
            }
            return true;
        }
        if let Some(line) = key.waiting_text() {
            self.log(id, line);
        }
        let until = self.now + patience;
        self.wait(id, Waiting::Lock { key, mode, until, or });
        self.at(until, Wake::Lock(id));
        false
    }

    fn unlock(&mut self, id: JobId, key: &LockKey) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(at) = job.held.iter().position(|held| held == key) else { return };
        job.held.remove(at);
        for next in self.locks.leave(key, id) {
            self.lock_granted(next, key);
        }
    }

    pub(super) fn lock_granted(&mut self, id: JobId, key: &LockKey) {
        if matches!(key, LockKey::Config(_) | LockKey::Storage { node: Some(_), .. }) {
            self.log(id, " OK");
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.held.push(key.clone());
            job.waiting = Waiting::Until(self.now);
        }
        // it goes on in its own turn: the one that freed the lock is not done yet
        self.at(self.now, Wake::Job(id));
    }

    pub(super) fn lock_deadline(&mut self, id: JobId) {
        let Some(Job { waiting: Waiting::Lock { key, until, or, .. }, .. }) = self.jobs.get(&id) else {
            return;
        };
        if *until > self.now {
            return;
        }
        let (key, or) = (key.clone(), or.clone());
        self.locks.leave(&key, id);
        match or {
            Some((warning, skip)) => {
                let line = format!("{warning}{}", key.timeout_text());
                // 8 says it in the log and ends with OK all the same
                if self.is_eight() {
                    self.log(id, line)
                } else {
                    self.warn(id, line)
                }
                if let Some(job) = self.jobs.get_mut(&id) {
                    for _ in 0..skip {
                        job.ops.pop_front();
                    }
                }
                self.resume(id);
            }
            None => {
                let mut fail = Fail::from(key.timeout_text());
                if matches!(key, LockKey::Worker(_)) {
                    fail.status = 596;
                }
                self.finish(id, Some(fail));
            }
        }
    }

    pub(super) fn flow_ended(&mut self, flow: Flow) {
        match flow {
            Flow::Job(id) => {
                if let Some(Job { waiting: Waiting::Flow { total: Some(total), .. }, .. }) = self.jobs.get(&id) {
                    let total = *total;
                    for line in super::control::progress(total, 1.0) {
                        self.log(id, line);
                    }
                }
                self.resume(id);
            }
            Flow::Boot(vmid, run) => self.booted(vmid, run),
        }
    }

    /// Ends a job: with a failure, or well.
    pub(super) fn finish(&mut self, id: JobId, fail: Option<Fail>) {
        let Some(mut job) = self.jobs.remove(&id) else { return };
        if fail.is_some() {
            for undo in job.undo.drain(..).rev() {
                undo(self);
            }
        }
        self.release(id, &job);
        match job.purpose {
            Purpose::Task(upid) => {
                let status = match fail {
                    Some(fail) => format!("{}{}", job.blame, fail.message.trim_end()),
                    None if job.warnings > 0 => format!("WARNINGS: {}", job.warnings),
                    None => "OK".into(),
                };
                self.end_task(&upid, status);
            }
            Purpose::Call(call) => {
                let answer = match fail {
                    Some(fail) => fail.answer(),
                    None => job.answer.map_or_else(|| Answer::data(Value::Null), Answer::data),
                };
                self.deliver(call, Answer { daemon: true, ..answer });
            }
            Purpose::Nobody(_) => {}
        }
    }

    pub(super) fn release(&mut self, id: JobId, job: &Job) {
        match &job.waiting {
            Waiting::Flow { pipe, .. } => {
                let now = self.now;
                if let Some(pipe) = self.pipes.get_mut(pipe) {
                    pipe.remove(now, Flow::Job(id));
                }
            }
            Waiting::Lock { key, .. } => {
                self.locks.leave(key, id);
            }
            _ => {}
        }
        self.release_locks(id, &job.held);
    }

    /// Gives locks back; whoever waited for one goes on.
    pub(super) fn release_locks(&mut self, id: JobId, held: &[LockKey]) {
        for key in held {
            for next in self.locks.leave(key, id) {
                self.lock_granted(next, key);
            }
        }
    }

    pub(super) fn end_task(&mut self, upid: &str, status: String) {
        let (now, unix) = (self.now, self.unix());
        if let Some(task) = self.task_mut(upid)
            && task.end.is_none()
        {
            task.end = Some((now, status));
            task.endtime = unix;
        }
    }

    /// Answers a call, as its fate has it.
    pub(crate) fn deliver(&mut self, call: u64, mut answer: Answer) {
        if let Some(fate) = self.fates.remove(&call) {
            answer.fate = fate;
        }
        self.answers.push((call, answer));
    }
}

impl World {
    /// Sets what becomes of a call's answer.
    pub(crate) fn set_fate(&mut self, call: u64, fate: crate::sim::api::Fate) {
        self.fates.insert(call, fate);
    }

    /// What happens to the task the next call starts.
    pub(crate) fn set_task_fault(&mut self, fault: super::FaultKind) {
        self.task_fault = Some(fault);
    }

    /// The call started no task: the next one is not to blame.
    pub(crate) fn clear_task_fault(&mut self) {
        self.task_fault = None;
    }

    /// What happens in the next run of a guest.
    pub(crate) fn set_start_fault(&mut self, vmid: u32, fault: super::FaultKind) {
        self.start_faults.insert(vmid, fault);
    }

    /// Removes a job without an outcome.
    pub(crate) fn retire(&mut self, id: JobId) {
        self.jobs.remove(&id);
    }
}
