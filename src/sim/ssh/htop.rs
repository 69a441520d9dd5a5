//! `htop`, as far as a terminal is concerned: the second screen, colours, a hidden cursor, the mouse, and its own size
//! followed. `q` leaves it.

use super::{
    Exit, Said,
    terminal::{Key, Terminal},
};

/// The second screen, no cursor, clicks told in the newer form.
const BEGIN: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?1006h";
const END: &[u8] = b"\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";

pub(super) async fn run(terminal: &mut Terminal<'_>) -> Said {
    terminal.show_raw(BEGIN).await;
    let mut typed = Vec::new();
    let mut said = "no click yet".to_owned();
    let exit = loop {
        draw(terminal, &said).await;
        match terminal.key(None).await {
            Key::Byte(3) => break Exit::Signal(2),
            Key::End => break Exit::Signal(1),
            Key::Byte(b'q') if typed.is_empty() => break Exit::default(),
            Key::Byte(byte) => {
                typed.push(byte);
                if let Some(click) = click(&typed) {
                    said = click;
                }
                // A sequence ends with a letter or a tilde; whatever begins with nothing of the kind is a key.
                let whole = typed.len() > 2 && (byte.is_ascii_alphabetic() || byte == b'~');
                if whole || typed[0] != 0x1b {
                    typed.clear();
                }
            }
            Key::Resized | Key::Time => {}
        }
    };
    terminal.show_raw(END).await;
    Said { exit, ..Said::default() }
}

/// `ESC [ < BUTTON ; COLUMN ; ROW M` in words.
fn click(typed: &[u8]) -> Option<String> {
    let inner = typed.strip_prefix(b"\x1b[<")?.strip_suffix(b"M")?;
    let text = std::str::from_utf8(inner).ok()?;
    let mut numbers = text.split(';').skip(1);
    Some(format!("clicked at {},{}", numbers.next()?, numbers.next()?))
}

async fn draw(terminal: &Terminal<'_>, said: &str) {
    let (columns, rows) = terminal.size();
    let width = columns as usize;
    let line = |text: String| format!("{text:<width$.width$}");
    let mut screen = "\x1b[0m\x1b[H\x1b[2J".to_owned();
    screen.push_str(&format!("\x1b[38;5;46m{}", line(format!("  CPU[||||    12.3%]   {columns}x{rows}"))));
    screen.push_str(&format!("\x1b[2;1H\x1b[1;34m{}", line(format!("  Mem[|||||  512M/4G]   {said}"))));
    screen.push_str(&format!("\x1b[0m\x1b[4;1H\x1b[30;42m{}", line("    PID USER      CPU%  Command".to_owned())));
    screen.push_str(&format!(
        "\x1b[0m\x1b[5;1H\x1b[48;2;0;90;120m{}",
        line("      1 root       0.0  /sbin/init".to_owned())
    ));
    screen.push_str(&format!("\x1b[0m\x1b[{rows};1HF1\x1b[30;46mHelp  \x1b[0mq\x1b[30;46mQuit  \x1b[0m"));
    terminal.show_raw(screen.as_bytes()).await;
}
