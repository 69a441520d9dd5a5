//! What is left running on the far side when a command is given up. OpenSSH closes the pipes of such a command and
//! lets it run; only a terminal that goes away hangs up on what runs in it.
//!
//! libssh2 cannot send a signal over a channel that carries a command. So a last word is run beside it, over the same
//! connection, which hangs up on whatever that connection still has running, and on nothing else.

use std::time::Duration;

/// How long the last word may take.
pub(super) const WITHIN: Duration = Duration::from_secs(3);

/// Hangs up on everything else this connection began: each command leads a process group of its own, and all are
/// children of the process that serves the connection. That one has to be an SSH server, and not the first process:
/// of a connection that ended before the word was spoken nothing is left but what init took over, which is everybody's.
/// Knows Linux; elsewhere it finds nothing. Whoever made himself independent of a hang-up, by `nohup` for one, stays.
pub(super) const HANG_UP: &str = "exec sh -c '\
[ \"$PPID\" -gt 1 ] || exit; \
read -r c <\"/proc/$PPID/comm\" || exit; \
case $c in sshd*|dropbear*) ;; *) exit;; esac; \
for f in /proc/[0-9]*/stat; do \
{ read -r s <\"$f\"; } 2>/dev/null || continue; \
set -- ${s##*) }; \
[ \"$2\" = \"$PPID\" ] || continue; \
p=${f%/stat}; p=${p##*/}; \
[ \"$p\" = \"$$\" ] || kill -s HUP -- \"-$p\" || kill -s HUP \"$p\"; \
done' 2>/dev/null";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_word_that_no_ssh_server_speaks_hangs_up_on_nobody() {
        // Two children of one shell that is no server: the word is one, and must leave the other alone.
        let script = "sleep 1000 & other=$!; sh -c \"$WORD\"; kill -0 $other && echo alive; kill $other";
        let said = Command::new("sh").args(["-c", script]).env("WORD", HANG_UP).stderr(Stdio::null()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "alive\n");
    }
}
