//! The programs of a guest: what a roll call asks and what an admin types first.

use super::Inside;
use super::shell::{Exit, Output, Session, line};

const PROGRAMS: [&str; 45] = [
    "[",
    "bash",
    "cat",
    "cd",
    "clear",
    "cloud-init",
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
        "true" | "sync" | "clear" | "export" | "mkdir" => Output::code(0),
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
            }
            Output::code(0)
        }
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
        _ => super::programs::about(inside, session, name, args),
    }
}

/// Programs that tell about the system.
fn about(inside: &Inside, session: &Session, name: &str, args: &[String]) -> Output {
    let system = inside.system();
    let arg = |at: usize| args.get(at).map(String::as_str);
    match name {
        "uname" => Output::said(match arg(0) {
            Some("-a") => {
                let long = format!("Linux {} {} {} x86_64", inside.hostname, system.kernel, system.build);
                if system.id == "ubuntu" {
                    format!("{long} x86_64 x86_64 GNU/Linux\n")
                } else {
                    format!("{long} GNU/Linux\n")
                }
            }
            Some("-n") => format!("{}\n", inside.hostname),
            Some("-r") => format!("{}\n", system.kernel),
            Some("-m") => "x86_64\n".into(),
            _ => "Linux\n".into(),
        }),
        "hostname" => match (arg(0), inside.address) {
            (Some("-I"), Some((address, _))) => Output::said(format!("{address} \n")),
            (Some("-I"), None) => Output::said("\n"),
            _ => Output::said(format!("{}\n", inside.hostname)),
        },
        "hostnamectl" => Output::said(format!(
            " Static hostname: {}\n      Machine ID: {}\nOperating System: {}\n          Kernel: Linux {}\n",
            inside.hostname, inside.machine_id, system.pretty, system.kernel
        )),
        "nproc" => Output::said(format!("{}\n", inside.cores)),
        "lscpu" => Output::said(format!("Architecture:          x86_64\nCPU(s):                {}\n", inside.cores)),
        "whoami" => Output::said(format!("{}\n", session.user)),
        "id" => {
            let user = arg(0).unwrap_or(&session.user);
            match inside.users.get(user) {
                Some(login) => {
                    Output::said(format!("uid={0}({1}) gid={0}({1}) groups={0}({1})\n", login.uid, login.name))
                }
                None => Output::complaint(1, format!("id: ‘{user}’: no such user\n")),
            }
        }
        "uptime" => {
            let seconds = session.uptime / 1000;
            let clock = session.unix.rem_euclid(86_400);
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let up = if hours > 0 { format!("{hours:2}:{minutes:02}") } else { format!("{minutes} min") };
            Output::said(format!(
                " {:02}:{:02}:{:02} up {up},  0 users,  load average: 0.08, 0.03, 0.01\n",
                clock / 3600,
                clock / 60 % 60,
                clock % 60
            ))
        }
        "date" => Output::said(if arg(0) == Some("+%s") {
            format!("{}\n", session.unix)
        } else {
            jiff::Timestamp::from_second(session.unix).map(|at| format!("{at}\n")).unwrap_or_default()
        }),
        "env" => Output::said(session.vars.iter().map(|(k, v)| format!("{k}={v}\n")).collect::<String>()),
        "free" => {
            let total = inside.memory / 1024 * 96 / 100;
            Output::said(format!(
                "               total        used        free      shared  buff/cache   available\n\
                 Mem:      {total:>10}  {:>10}  {:>10}        1024  {:>10}  {:>10}\nSwap:              0           0           0\n",
                total / 8,
                total / 2,
                total * 3 / 8,
                total * 7 / 8
            ))
        }
        "df" => {
            let total = inside.disk.max(1 << 30) / 1024;
            Output::said(format!(
                "Filesystem     1K-blocks    Used Available Use% Mounted on\n/dev/sda1      {total:>9} 1843200 {:>9}  20% /\n",
                total.saturating_sub(1_843_200)
            ))
        }
        "ps" => Output::said("    PID TTY          TIME CMD\n   4711 pts/0    00:00:00 bash\n"),
        "ip" => {
            let address =
                inside.address.map_or(String::new(), |(a, p)| format!("    inet {a}/{p} scope global ens18\n"));
            Output::said(format!(
                "1: lo: <LOOPBACK,UP,LOWER_UP>\n    inet 127.0.0.1/8 scope host lo\n2: ens18: <BROADCAST,MULTICAST,UP,LOWER_UP>\n    link/ether {}\n{address}",
                inside.mac
            ))
        }
        "systemctl" => match (arg(0), arg(1).map(|unit| unit.trim_end_matches(".service"))) {
            (Some("is-active"), Some("qemu-guest-agent" | "ssh" | "sshd" | "cloud-init" | "systemd-journald")) => {
                Output::said("active\n")
            }
            (Some("is-active"), _) => Output { exit: Exit::Code(3), ..Output::said("inactive\n") },
            (Some("is-system-running"), _) => Output::said("running\n"),
            (Some(verb), unit) => {
                let unit = unit.unwrap_or("");
                Output::complaint(4, format!("Unit {unit}.service could not be found ({verb}).\n"))
            }
            _ => Output::code(0),
        },
        "cloud-init" => match arg(0) {
            Some("status") if session.settled => Output::said("status: done\n"),
            Some("status") if args.iter().any(|arg| arg == "--wait") => {
                Output { takes: 3000, ..Output::said("....\nstatus: done\n") }
            }
            Some("status") => Output::said("status: running\n"),
            _ => Output::complaint(2, "usage: cloud-init [-h] [--version] {status,…}\n"),
        },
        other => Output::complaint(1, format!("{other}: nothing to say\n")),
    }
}

/// Reads a file of the guest.
///
/// # Errors
/// The words of the C library.
pub fn read_file(inside: &Inside, session: &Session, file: &str) -> Result<Vec<u8>, &'static str> {
    let path = absolute(session, file);
    if let Some(bytes) = inside.files.get(&path) {
        return Ok(bytes.clone());
    }
    let system = inside.system();
    let text = match path.as_str() {
        "/etc/hostname" => format!("{}\n", inside.hostname),
        "/etc/machine-id" => format!("{}\n", inside.machine_id),
        "/etc/ssh/ssh_host_ed25519_key.pub" => format!("{}\n", inside.host_key_line()),
        "/etc/os-release" => format!(
            "PRETTY_NAME=\"{}\"\nNAME=\"{}\"\nVERSION_ID=\"{}\"\nVERSION=\"{}\"\nID={}\n",
            system.pretty, system.name, system.version_id, system.version, system.id
        ),
        "/etc/passwd" => inside
            .users
            .values()
            .map(|user| format!("{0}:x:{1}:{1}::{2}:/bin/bash\n", user.name, user.uid, user.home))
            .collect(),
        "/proc/meminfo" => {
            let total = inside.memory / 1024 * 96 / 100;
            format!(
                "MemTotal:       {total:>8} kB\nMemFree:        {:>8} kB\nMemAvailable:   {:>8} kB\n",
                total / 2,
                total * 7 / 8
            )
        }
        "/proc/uptime" => format!("{:.2} {:.2}\n", session.uptime as f64 / 1000.0, session.uptime as f64 / 1100.0),
        "/proc/loadavg" => "0.08 0.03 0.01 1/97 4711\n".into(),
        "/proc/cpuinfo" => {
            (0..inside.cores).map(|n| format!("processor\t: {n}\nmodel name\t: QEMU Virtual CPU\n\n")).collect()
        }
        "/dev/null" => String::new(),
        other => {
            let login = inside.users.values().find(|user| format!("{}/.ssh/authorized_keys", user.home) == other);
            match login {
                Some(user) => user.keys.iter().map(|key| format!("{key}\n")).collect(),
                None => return Err("No such file or directory"),
            }
        }
    };
    Ok(text.into_bytes())
}

/// Writes (or appends to) a file of the guest.
pub fn write_file(inside: &mut Inside, session: &Session, file: &str, bytes: Vec<u8>, append: bool) {
    let path = absolute(session, file);
    if path == "/dev/null" {
        return;
    }
    let entry = inside.files.entry(path).or_default();
    if !append {
        entry.clear();
    }
    entry.extend(bytes);
}

fn absolute(session: &Session, file: &str) -> String {
    let full = match (file.strip_prefix("~/"), session.vars.get("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        _ if file.starts_with('/') => file.to_owned(),
        _ => format!("{}/{file}", session.folder),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in full.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("/{}", parts.join("/"))
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

fn printf(args: &[String]) -> Vec<u8> {
    let format = unescape(args.first().map_or("", String::as_str));
    let mut values = args.iter().skip(1);
    let mut out = Vec::new();
    let mut bytes = format.into_iter();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'%') => out.push(b'%'),
            Some(b's' | b'd' | b'i' | b'b') => out.extend(values.next().map_or("", String::as_str).bytes()),
            Some(other) => out.extend([b'%', other]),
            None => out.push(b'%'),
        }
    }
    out
}

/// `\n`, `\t`, `\\` and octal escapes.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let octal: Vec<u8> = rest.iter().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).copied().collect();
        if !octal.is_empty() {
            out.push(octal.iter().fold(0u8, |sum, digit| sum.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = &rest[octal.len()..];
            continue;
        }
        match rest.split_first() {
            Some((code, tail)) => {
                out.push(match code {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'e' => 27,
                    other => *other,
                });
                rest = tail;
            }
            None => out.push(b'\\'),
        }
    }
    out
}
