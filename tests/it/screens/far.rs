//! Far sides of terminals, for the dashboard in a pseudo-terminal: shells that say and do as a test wants it.

use std::sync::Arc;

use homeroom::app::{
    attach::{Attach, FromShell, ToShell},
    doors::Door,
};
use tokio::sync::{Notify, mpsc};

/// The far side of a terminal: what it is given, and what it says.
pub type Far = (mpsc::Receiver<ToShell>, mpsc::Sender<FromShell>);

pub fn ends(id: u64, door: Door) -> (Far, Attach) {
    let (to, inbox) = mpsc::channel(8);
    let (outbox, from) = mpsc::channel(8);
    ((inbox, outbox), Attach { id, door, to, from })
}

/// A shell that tells the bytes it is sent, and ends with ctrl-d.
pub fn echo((mut inbox, outbox): Far) {
    tokio::spawn(async move {
        let say = |text: String| outbox.send(FromShell::Bytes(text.into_bytes()));
        say("\x1b[?1000h\x1b[?2004hhello\r\n".into()).await.unwrap();
        while let Some(given) = inbox.recv().await {
            match given {
                ToShell::Resize(columns, rows) => say(format!("size {columns}x{rows}\r\n")).await.unwrap(),
                ToShell::Bytes(bytes) if bytes.contains(&4) => return outbox.send(FromShell::Exit(3)).await.unwrap(),
                ToShell::Bytes(bytes) => say(format!("got {}\r\n", bytes.escape_ascii())).await.unwrap(),
            }
        }
    });
}

/// Pieces that no queue on the way could hold.
pub const MANY: usize = 2_000;

/// A shell that, each time it is told to, prints more than fits on the way, asks what the terminal is, and tells when
/// all of it was taken and answered.
pub fn talker((mut inbox, outbox): Far, go_on: Arc<Notify>, read: Arc<Notify>) {
    tokio::spawn(async move {
        outbox.send(FromShell::Bytes(b"a talker\r\n".to_vec())).await.unwrap();
        loop {
            tokio::select! {
                () = go_on.notified() => {
                    for n in 0..MANY {
                        outbox.send(FromShell::Bytes(format!("line {n}\r\n").into_bytes())).await.unwrap();
                    }
                    outbox.send(FromShell::Bytes(b"\x1b[c".to_vec())).await.unwrap();
                }
                given = inbox.recv() => match given {
                    Some(ToShell::Bytes(bytes)) if bytes.starts_with(b"\x1b[?62") => read.notify_one(),
                    Some(_) => {}
                    None => return,
                },
            }
        }
    });
}

/// A shell that has the other one talk, tells when all it said was taken, and ends with any key.
pub fn until_read((mut inbox, outbox): Far, go_on: Arc<Notify>, read: Arc<Notify>) {
    tokio::spawn(async move {
        go_on.notify_one();
        read.notified().await;
        outbox.send(FromShell::Bytes(b"all was read\r\n".to_vec())).await.unwrap();
        while let Some(given) = inbox.recv().await {
            if matches!(given, ToShell::Bytes(_)) {
                return outbox.send(FromShell::Exit(0)).await.unwrap();
            }
        }
    });
}

/// A shell that prints without end whatever could trouble a terminal, as fast as it is taken.
pub fn flood((mut inbox, outbox): Far) {
    let hostile =
        "\x1b[31;44mcolour \x1b]0;title\x07\x1b]52;c;b3duZWQ=\x07\x1b[6n\x1b[c\x1b[?1049h\x1b[?1049lflood\r\n";
    tokio::spawn(async move {
        let piece = hostile.repeat(200).into_bytes();
        while outbox.send(FromShell::Bytes(piece.clone())).await.is_ok() {}
    });
    tokio::spawn(async move { while inbox.recv().await.is_some() {} });
}
