//! A login with a terminal: prompt, line, program, prompt. Typing goes to the editor or to the
//! program that runs; sizes follow the client's.

use std::collections::VecDeque;

use super::{
    Exit, Place, Said,
    channel::{Came, Client},
    console, htop,
    line::{Editor, Typed},
    programs::{self, Program},
};

pub(super) struct Terminal<'a> {
    client: &'a mut Client,
    place: &'a mut dyn Place,
    editor: Editor,
    /// Typed and not yet looked at.
    waiting: VecDeque<u8>,
    /// The client will type no more, or has left.
    ended: bool,
    /// On a serial port Ctrl-O leaves, and has left.
    serial: Option<bool>,
    /// A login shell speaks for itself, not for the line it was given.
    login: bool,
    status: u32,
}

/// What a program that reads the keyboard is woken by.
pub(super) enum Key {
    Byte(u8),
    Resized,
    /// Its pause is over.
    Time,
    End,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(client: &'a mut Client, place: &'a mut dyn Place) -> Self {
        Self {
            client,
            place,
            editor: Editor::default(),
            waiting: VecDeque::new(),
            ended: false,
            serial: None,
            login: false,
            status: 0,
        }
    }

    /// An interactive shell to its end.
    pub(super) async fn login(mut self) -> Exit {
        self.logged_in().await
    }

    async fn logged_in(&mut self) -> Exit {
        self.login = true;
        let greeting = self.place.greeting();
        self.show(greeting.as_bytes()).await;
        loop {
            let prompt = self.place.prompt();
            self.editor.begin(&prompt);
            match self.line().await {
                Some(line) => self.run(&line).await,
                None => {
                    self.show(b"logout\n").await;
                    return Exit::Code(self.status);
                }
            }
            if let Some(code) = self.place.left() {
                self.show(b"logout\n").await;
                return Exit::Code(code);
            }
        }
    }

    /// One command in a terminal.
    pub(super) async fn one(mut self, command: &str) -> Exit {
        self.run(command).await;
        Exit::Code(self.place.left().unwrap_or(self.status))
    }

    /// A line from the keyboard; `None` at its end.
    async fn line(&mut self) -> Option<String> {
        loop {
            while let Some(byte) = self.waiting.pop_front() {
                match self.editor.byte(byte) {
                    Typed::Nothing => {}
                    Typed::Line(line) => {
                        self.echo().await;
                        return Some(line);
                    }
                    Typed::Interrupt => {
                        self.status = 130;
                        let prompt = self.place.prompt();
                        self.editor.begin(&prompt);
                    }
                    Typed::End => {
                        self.echo().await;
                        return None;
                    }
                }
            }
            self.echo().await;
            if self.ended {
                return None;
            }
            let came = self.client.next().await;
            self.took(came);
        }
    }

    fn took(&mut self, came: Came) {
        match came {
            Came::Bytes(bytes) if self.serial.is_some() && bytes.contains(&console::LEAVE) => {
                (self.serial, self.ended) = (Some(true), true);
            }
            Came::Bytes(bytes) => self.waiting.extend(bytes),
            Came::Interrupt => self.waiting.push_back(3),
            Came::Eof | Came::Closed => self.ended = true,
            Came::Resized => {}
        }
    }

    /// A login in another place, over the same terminal; true when it was left for good.
    pub(super) async fn within(&mut self, place: &mut dyn Place) -> bool {
        let mut inner = Terminal { serial: Some(false), ..Terminal::new(self.client, place) };
        inner.logged_in().await;
        inner.ended
    }

    async fn run(&mut self, line: &str) {
        let (rows, columns) = self.client.size.map_or((24, 80), |(columns, rows)| (rows, columns));
        let said = match programs::find(line, (columns, rows), self.editor.history()) {
            Some(Program::Said(said)) => said,
            Some(Program::Serial { vmid }) => match self.place.console(&vmid) {
                Some(Ok(port)) => Box::pin(console::serial(self, port)).await,
                Some(Err(said)) => said,
                None => Said::err(127, "bash: line 1: qm: command not found\n"),
            },
            Some(Program::Enter { vmid }) => match self.place.enter(&vmid) {
                Some(Ok(mut place)) => {
                    let exit = Box::pin(Terminal::new(self.client, &mut *place).logged_in()).await;
                    Said { exit, ..Said::default() }
                }
                Some(Err(said)) => said,
                None => Said::err(127, "bash: line 1: pct: command not found\n"),
            },
            Some(Program::Htop) => htop::run(self).await,
            Some(Program::ShowKey) => programs::show_key(self).await,
            Some(Program::Watch { every, command }) => programs::watch(self, every, &command).await,
            None => match self.run_in_place(line).await {
                Some(said) => said,
                None => {
                    self.show(b"^C\n").await;
                    Said { exit: Exit::Signal(2), ..Said::default() }
                }
            },
        };
        self.status = said.exit.status();
        self.show(&said.out).await;
        match said.err.strip_prefix(b"bash: line 1: ") {
            Some(rest) if self.login => self.show(&[b"-bash: ", rest].concat()).await,
            _ => self.show(&said.err).await,
        }
    }

    /// Runs a line; `None` when it was interrupted. What is typed meanwhile is kept for later.
    pub(super) async fn run_in_place(&mut self, line: &str) -> Option<Said> {
        let running = self.place.run(line, b"");
        tokio::pin!(running);
        loop {
            tokio::select! {
                biased;
                said = &mut running => return Some(said),
                came = self.client.next(), if !self.ended => match came {
                    Came::Bytes(bytes) if bytes.contains(&3) => {
                        self.waiting.clear();
                        return None;
                    }
                    Came::Interrupt => return None,
                    Came::Bytes(bytes) => self.waiting.extend(bytes),
                    Came::Eof => self.ended = true,
                    Came::Closed => {
                        self.ended = true;
                        return None;
                    }
                    Came::Resized => {}
                },
            }
        }
    }

    /// The next key for a full-screen program, waiting for `pause` of modelled time at most.
    pub(super) async fn key(&mut self, pause: Option<std::time::Duration>) -> Key {
        loop {
            if let Some(byte) = self.waiting.pop_front() {
                return Key::Byte(byte);
            }
            if self.ended {
                return Key::End;
            }
            let came = tokio::select! {
                came = self.client.next() => came,
                () = self.place.pause(pause.unwrap_or_default()), if pause.is_some() => return Key::Time,
            };
            let resized = matches!(came, Came::Resized);
            self.took(came);
            if resized {
                return Key::Resized;
            }
        }
    }

    /// Columns and rows now.
    pub(super) fn size(&self) -> (u32, u32) {
        self.client.size.unwrap_or((80, 24))
    }

    pub(super) fn prompt(&self) -> String {
        self.place.prompt()
    }

    async fn echo(&mut self) {
        let echo = self.editor.take_echo();
        self.client.print(echo).await;
    }

    /// Shows text as a terminal driver does: a line feed also returns.
    pub(super) async fn show(&self, text: &[u8]) {
        let mut shown = Vec::with_capacity(text.len());
        for byte in text {
            if *byte == b'\n' {
                shown.push(b'\r');
            }
            shown.push(*byte);
        }
        self.client.print(shown).await;
    }

    /// Shows bytes as they are.
    pub(super) async fn show_raw(&self, bytes: &[u8]) {
        self.client.print(bytes).await;
    }
}
