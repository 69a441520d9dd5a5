//! Why a task failed, where its last words do not say: "QEMU exited with code 1" ends a log in which the
//! reason stands further up. Reads the log; decides nothing.

use crate::{
    domain::Clean,
    port::cluster::{Cluster, TaskState, Upid},
};

/// Lines of the log that are told.
const TOLD: usize = 2;
/// Signs told of one line: QEMU repeats its whole command line.
const LONGEST: usize = 200;

/// The end of a task, with its reason where only the log has it. Without an answer it stays as it is.
pub(super) async fn explained(cluster: &dyn Cluster, upid: &Upid, ended: TaskState) -> TaskState {
    match ended {
        TaskState::Failed(words) if only_a_code(&words) => match cluster.task_log(upid, 0).await {
            Ok(log) => TaskState::Failed(with_reason(words, &log)),
            Err(_) => TaskState::Failed(words),
        },
        ended => ended,
    }
}

/// Whether the words name a program's exit code and nothing else that could be the reason.
fn only_a_code(words: &Clean) -> bool {
    words.as_str().contains("exited with code") || words.as_str().contains("failed: exit code")
}

fn with_reason(words: Clean, log: &[Clean]) -> Clean {
    let says_something = |line: &&str| {
        let routine = ["TASK ", "generating cloud-init", "WARN: "];
        !line.is_empty() && *line != words.as_str() && !routine.iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = log.iter().map(|line| line.as_str().trim()).filter(says_something).collect();
    let told: Vec<String> =
        lines[lines.len().saturating_sub(TOLD)..].iter().map(|line| line.chars().take(LONGEST).collect()).collect();
    if told.is_empty() { words } else { Clean::new(format!("{words}: {}", told.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_before_the_end_are_told_and_routine_is_not() {
        let words = Clean::new("start failed: QEMU exited with code 1");
        let log = [
            "generating cloud-init ISO",
            "bridge 'vmbr7' does not exist",
            "kvm: -netdev type=tap: network script failed with status 512",
            "TASK ERROR: start failed: QEMU exited with code 1",
        ]
        .map(Clean::new);
        assert!(only_a_code(&words));
        assert_eq!(
            with_reason(words.clone(), &log).as_str(),
            "start failed: QEMU exited with code 1: bridge 'vmbr7' does not exist; \
             kvm: -netdev type=tap: network script failed with status 512"
        );
        assert_eq!(with_reason(words.clone(), &log[..1]), words);
        assert_eq!(with_reason(words.clone(), &[]), words);
    }

    #[test]
    fn words_that_say_why_are_left_alone() {
        assert!(!only_a_code(&Clean::new("VM is locked (clone)")));
        assert!(!only_a_code(&Clean::new("can't lock file '/var/lock/qemu-server/lock-9104.conf' - got timeout")));
    }
}
