//! Whether a command without a terminal waits for its standard input: then all of it is read before the command runs.
//! Reads the line only; what it does is the guest's.

use super::script::{Join, pieces, words};

/// Words before which a command may stand that reads, and which say nothing of it themselves.
const BEFORE: [&str; 11] = ["sudo", "exec", "env", "nohup", "time", "if", "then", "while", "do", "!", "{"];

/// Programs that read the files they are given, or else standard input.
const READERS: [&str; 7] = ["cat", "wc", "head", "tail", "sh", "bash", "sort"];

/// Whether any command of a line would, that no pipe and no file feeds.
pub(super) fn is_read_by(line: &str) -> bool {
    let mut piped = false;
    pieces(line).into_iter().any(|(piece, join)| {
        let fed = std::mem::replace(&mut piped, join == Join::Pipe);
        let (command, from_file) = without_redirections(piece);
        !fed && !from_file && reads(&words(&command))
    })
}

fn reads(words: &[String]) -> bool {
    let is_set =
        |word: &str| word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase()));
    let mut words =
        words.iter().map(|word| word.trim_start_matches('(').trim_end_matches(')')).filter(|w| !w.is_empty());
    let Some(program) = words.by_ref().find(|word| !BEFORE.contains(word) && !is_set(word)) else { return false };
    let program = program.rsplit('/').next().unwrap_or(program);
    let words: Vec<&str> = words.collect();
    let files = || words.iter().filter(|word| !word.starts_with('-') || **word == "-").count();
    match (program, words.as_slice()) {
        ("sh" | "bash", [flag, inner, ..]) if flag.starts_with('-') && flag.ends_with('c') => is_read_by(inner),
        ("sh" | "bash", ["-s", ..]) => true,
        ("head" | "tail", ["-n" | "-c", _, rest @ ..]) => rest.is_empty(),
        (_, words) if words.contains(&"-") && READERS.contains(&program) => true,
        _ if READERS.contains(&program) => files() == 0,
        ("grep", _) => files() < 2,
        ("tee" | "tr" | "read", _) => true,
        ("install", words) => words.contains(&"/dev/stdin"),
        // What is run inside is what reads.
        ("pct", ["exec", _, "--", inner @ ..]) => reads(&owned(inner)),
        ("docker", ["exec", "--interactive", _, inner @ ..]) => reads(&owned(inner)),
        ("qm", words) => words.windows(2).any(|pair| matches!(pair, ["--pass-stdin" | "-pass-stdin", "1"])),
        _ => false,
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A command without where its output goes and its input comes from; whether its input comes from a file.
fn without_redirections(piece: &str) -> (String, bool) {
    let (mut command, mut from_file) = (String::new(), false);
    let mut quote = None;
    let mut chars = piece.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                command.push(c);
                command.extend(chars.next());
                continue;
            }
            (None, '<' | '>') => {
                from_file |= c == '<';
                // The number of what is turned elsewhere, as in `2>`.
                let bare = command.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                if command[..bare].ends_with([' ', '\t']) {
                    command.truncate(bare);
                }
                while chars.next_if(|c| matches!(c, '<' | '>' | '&' | ' ' | '\t')).is_some() {}
                let mut quote = None;
                while let Some(c) = chars.next_if(|c| quote.is_some() || !matches!(c, ' ' | '\t')) {
                    match quote {
                        Some(open) if open == c => quote = None,
                        None if matches!(c, '\'' | '"') => quote = Some(c),
                        _ => {}
                    }
                }
                command.push(' ');
                continue;
            }
            _ => {}
        }
        command.push(c);
    }
    (command, from_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reads_what_nobody_else_feeds_it() {
        for line in [
            "cat",
            "cat > /tmp/file",
            "cat >/tmp/file 2>&1",
            "umask 077; cat > 'a file'",
            "cd /tmp && cat >> log",
            "sudo sh -c 'cat > /etc/motd'",
            "sudo tee /etc/motd > /dev/null",
            "wc -l",
            "sort - | uniq",
            "head -n 3",
            "grep -c '>'",
            "cat - /etc/motd",
            "LANG=C sort",
            "bash -s",
            "pct exec 200 -- sh -c 'cat > /tmp/file'",
            "docker exec --interactive box sh -c 'wc -c'",
        ] {
            assert!(is_read_by(line), "{line}");
        }
        for line in [
            "hostname",
            "cat /etc/motd",
            "cat < /etc/motd",
            "cat /etc/motd > /tmp/copy",
            "echo hi | cat > /tmp/file",
            "echo 'x; cat'",
            "head -c 100 /dev/zero",
            "tail -n 3 /var/log/syslog",
            "grep '>' /etc/motd",
            "sh -c 'echo hi > /tmp/file'",
            "sh script.sh",
            "pct exec 200 -- hostname",
        ] {
            assert!(!is_read_by(line), "{line}");
        }
    }
}
