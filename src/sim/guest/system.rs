//! Programs that tell about the system.

use super::Inside;
use super::shell::{Exit, Output, Session};

/// Runs one of them.
pub fn about(inside: &Inside, session: &Session, name: &str, args: &[String]) -> Output {
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
