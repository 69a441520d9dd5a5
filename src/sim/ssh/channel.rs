//! One session channel of a server: waits for what the client wants of it, then runs a command or
//! a shell in a [`Place`].

use russh::{
    Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig,
    server::{Handle, Msg},
};

use super::{Exit, Place, Said, sftp, stdin, terminal::Terminal};

/// The client's side of a channel.
pub(super) struct Client {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    handle: Handle,
    /// Columns and rows, once a terminal was asked for.
    pub(super) size: Option<(u32, u32)>,
}

/// What came from the client.
pub(super) enum Came {
    Bytes(Vec<u8>),
    Resized,
    Interrupt,
    Eof,
    Closed,
}

impl Client {
    pub(super) async fn next(&mut self) -> Came {
        loop {
            match self.read.wait().await {
                Some(ChannelMsg::Data { data }) => return Came::Bytes(data.to_vec()),
                Some(ChannelMsg::WindowChange { col_width, row_height, .. }) => {
                    self.size = Some((col_width, row_height));
                    return Came::Resized;
                }
                Some(ChannelMsg::Signal { signal: Sig::INT | Sig::TERM | Sig::HUP | Sig::KILL }) => {
                    return Came::Interrupt;
                }
                Some(ChannelMsg::Eof) => return Came::Eof,
                Some(ChannelMsg::Close) | None => return Came::Closed,
                Some(_) => {}
            }
        }
    }

    /// Sends bytes; waits for the client's window.
    pub(super) async fn print(&self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            let _ = self.write.data_bytes(bytes).await;
        }
    }

    async fn complain(&self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            let _ = self.write.extended_data_bytes(1, bytes).await;
        }
    }

    async fn end(self, exit: Exit) {
        let _ = self.write.eof().await;
        match exit {
            Exit::Code(code) => {
                let _ = self.write.exit_status(code).await;
            }
            Exit::Signal(number) => {
                let signal = match number {
                    2 => Sig::INT,
                    9 => Sig::KILL,
                    11 => Sig::SEGV,
                    _ => Sig::TERM,
                };
                let (none, id) = (String::new(), self.write.id());
                let _ = self.handle.exit_signal_request(id, signal, false, none.clone(), none).await;
            }
        }
        let _ = self.write.close().await;
    }

    async fn accept(&self, yes: bool) {
        let id = self.write.id();
        let _ = if yes { self.handle.channel_success(id).await } else { self.handle.channel_failure(id).await };
    }
}

/// Serves a channel to its end.
pub(super) async fn serve(channel: Channel<Msg>, handle: Handle, mut place: Box<dyn Place>) {
    let (read, write) = channel.split();
    let mut client = Client { read, write, handle, size: None };
    loop {
        match client.read.wait().await {
            Some(ChannelMsg::RequestPty { col_width, row_height, term, .. }) => {
                place.told("TERM", &term);
                client.size = Some((col_width, row_height));
                client.accept(true).await;
            }
            Some(ChannelMsg::WindowChange { col_width, row_height, .. }) => client.size = Some((col_width, row_height)),
            // As Debian's servers do: languages and colours are let through, and nothing else.
            Some(ChannelMsg::SetEnv { variable_name: name, variable_value: value, .. }) => {
                let taken = name == "LANG" || name.starts_with("LC_") || name == "COLORTERM";
                if taken {
                    place.told(&name, &value);
                }
                client.accept(taken).await;
            }
            Some(ChannelMsg::Exec { command, .. }) => {
                client.accept(true).await;
                let command = String::from_utf8_lossy(&command).into_owned();
                return exec(client, place, &command).await;
            }
            Some(ChannelMsg::RequestShell { .. }) => {
                client.accept(true).await;
                let exit = match client.size {
                    Some(_) => Terminal::new(&mut client, &mut *place).login().await,
                    None => batch(&mut client, &mut *place).await,
                };
                return client.end(exit).await;
            }
            Some(ChannelMsg::RequestSubsystem { name, .. }) if name == "sftp" && place.inside(&mut |_, _| {}) => {
                client.accept(true).await;
                sftp::serve(&mut client, &mut *place).await;
                return client.end(Exit::Code(0)).await;
            }
            Some(ChannelMsg::RequestSubsystem { .. } | ChannelMsg::RequestX11 { .. }) => client.accept(false).await,
            Some(ChannelMsg::Close) | None => return,
            Some(_) => {}
        }
    }
}

async fn exec(mut client: Client, mut place: Box<dyn Place>, command: &str) {
    if client.size.is_some() {
        let exit = Terminal::new(&mut client, &mut *place).one(command).await;
        return client.end(exit).await;
    }
    let mut stdin = Vec::new();
    if stdin::is_read_by(command) {
        loop {
            match client.next().await {
                Came::Bytes(bytes) => stdin.extend(bytes),
                Came::Eof | Came::Interrupt => break,
                Came::Closed => return,
                Came::Resized => {}
            }
        }
    }
    let Some(said) = uninterrupted(&mut client, &mut *place, command, &stdin).await else { return };
    client.print(said.out).await;
    client.complain(said.err).await;
    client.end(said.exit).await;
}

/// Runs a line while nobody types; `None` when the client left.
async fn uninterrupted(client: &mut Client, place: &mut dyn Place, line: &str, stdin: &[u8]) -> Option<Said> {
    let running = place.run(line, stdin);
    tokio::pin!(running);
    loop {
        tokio::select! {
            said = &mut running => return Some(said),
            came = client.next() => match came {
                Came::Closed => return None,
                Came::Interrupt => return Some(Said { exit: Exit::Signal(2), ..Said::default() }),
                Came::Bytes(_) | Came::Eof | Came::Resized => {}
            },
        }
    }
}

/// A shell without a terminal: lines from standard input.
async fn batch(client: &mut Client, place: &mut dyn Place) -> Exit {
    let mut script = Vec::new();
    loop {
        match client.next().await {
            Came::Bytes(bytes) => script.extend(bytes),
            Came::Closed => return Exit::Signal(1),
            Came::Eof | Came::Interrupt => break,
            Came::Resized => {}
        }
    }
    let mut exit = Exit::default();
    for line in String::from_utf8_lossy(&script).lines() {
        let said = place.run(line, b"").await;
        client.print(said.out).await;
        client.complain(said.err).await;
        exit = said.exit;
        if let Some(code) = place.left() {
            return Exit::Code(code);
        }
    }
    exit
}
