//! Programs that need a terminal, and so live here and not in the guest: `stty size`, `tty`,
//! `help`, `history`, `clear`, `showkey -a`, `watch` and `htop`.

use std::time::Duration;

use super::{
    Exit, Said,
    terminal::{Key, Terminal},
};

const HELP: &str = "This is the shell of a simulated machine. It knows echo, uname, hostname, id, uptime, whoami,
pwd, cat, ls, date, ip, nproc, free, df, ps, systemctl and more of what a first look needs;
stty size, tty, clear, history, showkey -a, watch and htop know this terminal; exit leaves.
";

/// What a line means, when it is for the terminal.
pub(super) enum Program {
    Said(Said),
    /// The serial port of a guest.
    Serial {
        vmid: String,
    },
    /// Root's shell in a container, by its number or its name.
    Enter {
        vmid: String,
    },
    /// Shows each byte typed, until Ctrl-D.
    ShowKey,
    /// What runs here, full screen, in colours and with the mouse.
    Htop,
    /// Runs a command again and again, full screen.
    Watch {
        every: Duration,
        command: String,
    },
}

pub(super) fn find(line: &str, (columns, rows): (u32, u32), history: &[String]) -> Option<Program> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Some(match words.as_slice() {
        ["stty", "size"] => Program::Said(Said::out(format!("{rows} {columns}\n"))),
        ["tput", "cols"] => Program::Said(Said::out(format!("{columns}\n"))),
        ["tput", "lines"] => Program::Said(Said::out(format!("{rows}\n"))),
        ["tty"] => Program::Said(Said::out("/dev/pts/0\n")),
        ["help"] => Program::Said(Said::out(HELP)),
        ["clear"] => Program::Said(Said::out("\x1b[H\x1b[2J\x1b[3J")),
        ["history"] => {
            let lines = history.iter().enumerate().map(|(n, line)| format!("{:5}  {line}\n", n + 1));
            Program::Said(Said::out(lines.collect::<String>()))
        }
        ["qm" | "/usr/sbin/qm", "terminal", vmid] => Program::Serial { vmid: (*vmid).to_owned() },
        ["pct" | "/usr/sbin/pct", "enter", vmid] => Program::Enter { vmid: (*vmid).to_owned() },
        ["docker", "exec", "--interactive", "--tty", name, "sh", "-l"] => Program::Enter { vmid: (*name).to_owned() },
        ["showkey", "-a"] => Program::ShowKey,
        ["htop"] => Program::Htop,
        ["watch"] => Program::Said(Said::err(1, "Usage: watch [-n SECONDS] COMMAND\n")),
        ["watch", "-n", seconds, command @ ..] if !command.is_empty() => {
            let Some(every) =
                seconds.parse().ok().filter(|s| *s >= 0.1).and_then(|s| Duration::try_from_secs_f64(s).ok())
            else {
                return Some(Program::Said(Said::err(1, format!("watch: failed to parse argument: '{seconds}'\n"))));
            };
            Program::Watch { every, command: command.join(" ") }
        }
        ["watch", command @ ..] => Program::Watch { every: Duration::from_secs(2), command: command.join(" ") },
        _ => return None,
    })
}

pub(super) async fn show_key(terminal: &mut Terminal<'_>) -> Said {
    terminal.show(b"\nPress any keys - Ctrl-D will terminate this program\n\n").await;
    loop {
        let byte = match terminal.key(None).await {
            Key::Byte(byte) => byte,
            Key::End => return Said { exit: Exit::Signal(1), ..Said::default() },
            Key::Resized | Key::Time => continue,
        };
        let name = match byte {
            0..=31 => format!("^{}", (byte + 64) as char),
            127 => "^?".to_owned(),
            32..=126 => (byte as char).to_string(),
            _ => format!("\\{byte:o}"),
        };
        terminal.show(format!("{name:<4} \t{byte:3} 0{byte:03o} 0x{byte:02x}\n").as_bytes()).await;
        if byte == 4 {
            return Said::default();
        }
    }
}

pub(super) async fn watch(terminal: &mut Terminal<'_>, every: Duration, command: &str) -> Said {
    terminal.show_raw(b"\x1b[?1049h\x1b[?25l").await;
    let mut exit = Exit::default();
    'again: loop {
        let Some(said) = terminal.run_in_place(command).await else {
            exit = Exit::Signal(2);
            break;
        };
        let said = [said.out, said.err].concat();
        draw(terminal, every, command, &said).await;
        loop {
            match terminal.key(Some(every)).await {
                Key::Time => continue 'again,
                Key::Resized => draw(terminal, every, command, &said).await,
                Key::Byte(b'q') => break 'again,
                Key::Byte(3) => {
                    exit = Exit::Signal(2);
                    break 'again;
                }
                Key::Byte(_) => {}
                Key::End => break 'again,
            }
        }
    }
    terminal.show_raw(b"\x1b[?25h\x1b[?1049l").await;
    Said { exit, ..Said::default() }
}

async fn draw(terminal: &Terminal<'_>, every: Duration, command: &str, said: &[u8]) {
    let (columns, rows) = terminal.size();
    let (columns, rows) = (columns as usize, rows as usize);
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    let head = format!("Every {:.1}s: {command}", every.as_secs_f64());
    let place = terminal.prompt();
    let place = place.split(':').next().unwrap_or_default();
    let gap = columns.saturating_sub(head.chars().count() + place.chars().count());
    let mut screen = format!("\x1b[H\x1b[2J{}", cut(&format!("{head}{}{place}", " ".repeat(gap))));
    for (row, line) in String::from_utf8_lossy(said).lines().enumerate().take(rows.saturating_sub(2)) {
        screen.push_str(&format!("\x1b[{};1H{}", row + 3, cut(line)));
    }
    terminal.show_raw(screen.as_bytes()).await;
}
