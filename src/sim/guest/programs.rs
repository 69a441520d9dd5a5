//! The programs of a guest: what a roll call asks and what an admin types first.

use super::files::{absolute, read_file, write_file};
use super::shell::{Exit, Output, Session, line};
use super::text::{printf, unescape};
use super::tree::{No, set_mode};
use super::{Inside, system};

const PROGRAMS: [&str; 49] = [
    "[",
    "bash",
    "cat",
    "cd",
    "chmod",
    "chown",
    "clear",
    "cloud-init",
    "cp",
    "date",
    "df",
    "echo",
    "env",
    "exit",
    "export",
    "false",
    "free",
    "grep",
    "head",
    "hostname",
    "hostnamectl",
    "id",
    "ip",
    "kill",
    "logout",
    "ls",
    "lscpu",
    "mkdir",
    "mv",
    "nproc",
    "printf",
    "ps",
    "pwd",
    "rm",
    "sh",
    "sleep",
    "sudo",
    "sync",
    "systemctl",
    "tail",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "uname",
    "uptime",
    "wc",
    "whoami",
];

/// The program a word means; none when there is no such thing.
pub fn resolve(word: &str) -> Option<&'static str> {
    let name = match word.rsplit_once('/') {
        Some((folder, name)) => {
            let known = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
            known.contains(&folder).then_some(name)?
        }
        None => word,
    };
    PROGRAMS.iter().find(|known| **known == name).copied()
}

/// Runs a program.
pub fn run(inside: &mut Inside, session: &mut Session, name: &str, args: &[String], stdin: &[u8]) -> Output {
    let arg = |at: usize| args.get(at).map(String::as_str);
    match name {
        "echo" => {
            let (args, end) = if arg(0) == Some("-n") { (&args[1..], "") } else { (args, "\n") };
            Output::said(format!("{}{end}", args.join(" ")))
        }
        "printf" => Output::said(printf(args)),
        "true" | "sync" | "clear" | "export" => Output::code(0),
        "mkdir" => {
            for folder in args.iter().filter(|arg| !arg.starts_with('-')) {
                // Without privileges, as everything here.
                let path = absolute(session, folder);
                inside.files.insert(format!("{path}/"), Vec::new());
            }
            Output::code(0)
        }
        "false" => Output::code(1),
        "exit" | "logout" => {
            let code = arg(0).and_then(|text| text.parse().ok()).unwrap_or(session.status);
            session.left = Some(code);
            Output::code(code)
        }
        "sleep" => {
            let seconds: f64 = arg(0).and_then(|text| text.trim_end_matches('s').parse().ok()).unwrap_or(0.0);
            Output { takes: (seconds * 1000.0) as u64, ..Output::code(0) }
        }
        "sh" | "bash" => match arg(0) {
            Some("-c" | "-lc" | "-ec") => {
                let mut inner = session.clone();
                inner.left = None;
                line(inside, &mut inner, arg(1).unwrap_or(""), stdin)
            }
            _ => {
                let mut inner = session.clone();
                line(inside, &mut inner, &String::from_utf8_lossy(stdin), b"")
            }
        },
        "sudo" => {
            let rest: Vec<String> = args.iter().skip_while(|arg| arg.starts_with('-')).cloned().collect();
            let mut inner = Session { user: "root".into(), ..session.clone() };
            match super::shell::exec(inside, &mut inner, &rest, stdin) {
                Ok(done) => done,
                Err(missing) => Output::complaint(1, format!("sudo: {}: command not found\n", missing.0)),
            }
        }
        "kill" => {
            let signal = arg(0).and_then(|text| text.strip_prefix('-')).map_or(15, |name| match name {
                "KILL" | "9" => 9,
                "INT" | "2" => 2,
                _ => 15,
            });
            if args.iter().any(|word| word == "4711") {
                return Output { exit: Exit::Signal(signal), ..Output::code(0) };
            }
            Output::complaint(1, format!("sh: 1: kill: ({}) - No such process\n", arg(1).unwrap_or("")))
        }
        "cat" => {
            let mut done = Output::code(0);
            if args.is_empty() {
                done.out.extend(stdin);
            }
            for file in args {
                match read_file(inside, session, file) {
                    Ok(bytes) => done.out.extend(bytes),
                    Err(why) => {
                        done.err.extend(format!("cat: {file}: {why}\n").into_bytes());
                        done.exit = Exit::Code(1);
                    }
                }
            }
            done
        }
        "tee" => {
            for file in args.iter().filter(|arg| !arg.starts_with('-')) {
                write_file(inside, session, file, stdin.to_vec(), arg(0) == Some("-a"));
            }
            Output::said(stdin)
        }
        "touch" => {
            for file in args {
                write_file(inside, session, file, Vec::new(), true);
            }
            Output::code(0)
        }
        "rm" => {
            for file in args.iter().filter(|arg| !arg.starts_with('-')) {
                let path = absolute(session, file);
                inside.files.remove(&path);
                if args.iter().any(|arg| arg.starts_with('-') && arg.contains('r')) {
                    let inner = format!("{path}/");
                    inside.files.retain(|file, _| !file.starts_with(&inner));
                }
            }
            Output::code(0)
        }
        "cp" | "mv" => copy(inside, session, name, args),
        "chmod" => chmod(inside, session, args),
        // Without privileges, as everything here.
        "chown" => Output::code(0),
        "cd" => {
            session.folder = match arg(0) {
                None | Some("~") => session.vars.get("HOME").cloned().unwrap_or_else(|| "/".into()),
                Some(folder) => absolute(session, folder),
            };
            Output::code(0)
        }
        "pwd" => Output::said(format!("{}\n", session.folder)),
        "ls" => {
            let folder = absolute(session, args.iter().find(|arg| !arg.starts_with('-')).map_or(".", String::as_str));
            let prefix = if folder == "/" { folder } else { format!("{folder}/") };
            let mut names: Vec<&str> = inside
                .files
                .keys()
                .filter_map(|path| path.strip_prefix(&prefix))
                .filter_map(|rest| rest.split('/').next())
                .filter(|name| !name.is_empty())
                .collect();
            names.dedup();
            Output::said(names.iter().map(|name| format!("{name}\n")).collect::<String>())
        }
        "head" | "tail" => pick(inside, session, name, args, stdin),
        "tr" => {
            let (from, to) = (unescape(arg(0).unwrap_or("")), unescape(arg(1).unwrap_or("")));
            let map = |byte: &u8| match from.iter().position(|other| other == byte) {
                Some(at) => to.get(at).or(to.last()).copied().unwrap_or(*byte),
                None => *byte,
            };
            Output::said(stdin.iter().map(map).collect::<Vec<u8>>())
        }
        "wc" => {
            let lines = stdin.iter().filter(|byte| **byte == b'\n').count();
            match arg(0) {
                Some("-l") => Output::said(format!("{lines}\n")),
                Some("-c") => Output::said(format!("{}\n", stdin.len())),
                _ => {
                    let words = String::from_utf8_lossy(stdin).split_whitespace().count();
                    Output::said(format!("{lines:>7} {words:>7} {:>7}\n", stdin.len()))
                }
            }
        }
        "grep" => {
            let pattern = args.iter().find(|arg| !arg.starts_with('-')).cloned().unwrap_or_default();
            let text = match args.iter().filter(|arg| !arg.starts_with('-')).nth(1) {
                Some(file) => match read_file(inside, session, file) {
                    Ok(bytes) => bytes,
                    Err(why) => return Output::complaint(2, format!("grep: {file}: {why}\n")),
                },
                None => stdin.to_vec(),
            };
            let text = String::from_utf8_lossy(&text).into_owned();
            let hits: Vec<&str> = text.lines().filter(|line| line.contains(&pattern)).collect();
            let code = i32::from(hits.is_empty());
            Output {
                exit: Exit::Code(code),
                ..Output::said(hits.iter().map(|hit| format!("{hit}\n")).collect::<String>())
            }
        }
        "test" | "[" => {
            let words: Vec<&str> = args.iter().map(String::as_str).filter(|word| *word != "]").collect();
            let good = match words[..] {
                ["-f" | "-e" | "-s", file] => read_file(inside, session, file).is_ok(),
                ["-n", text] | [text] => !text.is_empty(),
                ["-z", text] => text.is_empty(),
                [a, "=" | "==" | "-eq", b] => a == b,
                [a, "!=" | "-ne", b] => a != b,
                _ => false,
            };
            Output::code(i32::from(!good))
        }
        _ => system::about(inside, session, name, args),
    }
}

/// Modes in digits are kept; those in letters are taken and change nothing.
fn chmod(inside: &mut Inside, session: &Session, args: &[String]) -> Output {
    let mut words = args.iter().filter(|arg| !arg.starts_with('-'));
    let Some(mode) = words.next() else { return Output::complaint(1, "chmod: missing operand\n".to_owned()) };
    let Ok(mode) = u32::from_str_radix(mode, 8) else { return Output::code(0) };
    let mut done = Output::code(0);
    for file in words {
        let path = absolute(session, file);
        if let Err(no) = set_mode(inside, session, &path, mode) {
            let why = if no == No::Denied { "Permission denied" } else { "No such file or directory" };
            done.err.extend(format!("chmod: cannot access '{file}': {why}\n").into_bytes());
            done.exit = Exit::Code(1);
        }
    }
    done
}

/// One file to another name, in place of what is there.
fn copy(inside: &mut Inside, session: &Session, name: &str, args: &[String]) -> Output {
    let files: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let [from, to] = files[..] else {
        return Output::complaint(1, format!("{name}: this small system takes one file and its new name\n"));
    };
    match read_file(inside, session, from) {
        Ok(bytes) => write_file(inside, session, to, bytes, false),
        Err(why) => return Output::complaint(1, format!("{name}: cannot stat '{from}': {why}\n")),
    }
    if name == "mv" {
        inside.files.remove(&absolute(session, from));
    }
    Output::code(0)
}

fn pick(inside: &Inside, session: &Session, name: &str, args: &[String], stdin: &[u8]) -> Output {
    let count = |flag: &str| {
        let at = args.iter().position(|arg| arg.starts_with(flag))?;
        let inline = args[at][flag.len()..].trim_start_matches('=');
        if inline.is_empty() { args.get(at + 1)?.parse::<usize>().ok() } else { inline.parse().ok() }
    };
    let bytes = count("-c");
    let lines = count("-n").unwrap_or(10);
    let flagged = |at: usize| at > 0 && matches!(args[at - 1].as_str(), "-c" | "-n");
    let file = args.iter().enumerate().find(|(at, arg)| !arg.starts_with('-') && !flagged(*at)).map(|(_, file)| file);
    let input = match file.map(String::as_str) {
        Some("/dev/zero") => vec![0; bytes.unwrap_or(0).min(64 << 20)],
        Some(file) => match read_file(inside, session, file) {
            Ok(bytes) => bytes,
            Err(why) => return Output::complaint(1, format!("{name}: cannot open '{file}' for reading: {why}\n")),
        },
        None => stdin.to_vec(),
    };
    if let Some(bytes) = bytes {
        let bytes = bytes.min(input.len());
        return Output::said(if name == "head" { &input[..bytes] } else { &input[input.len() - bytes..] });
    }
    let all: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    let lines = lines.min(all.len());
    Output::said(if name == "head" { all[..lines].concat() } else { all[all.len() - lines..].concat() })
}
