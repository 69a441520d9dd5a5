//! Editing one line at a prompt, as a shell's line editor does: pure, a byte in, an echo out.

/// What a byte led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    Nothing,
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    End,
}

/// The line being typed.
#[derive(Debug, Default)]
pub(super) struct Editor {
    prompt: String,
    line: Vec<char>,
    at: usize,
    history: Vec<String>,
    /// How far back in the history, and the line left behind.
    back: usize,
    fresh: String,
    /// An escape sequence or a character under way.
    pending: Vec<u8>,
    echo: Vec<u8>,
}

impl Editor {
    /// Begins a new line behind a prompt, and shows it.
    pub(super) fn begin(&mut self, prompt: &str) {
        self.prompt = prompt.to_owned();
        self.set("");
        self.back = 0;
        self.pending.clear();
        self.echo.extend_from_slice(prompt.as_bytes());
    }

    /// What is to be shown by now.
    pub(super) fn take_echo(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.echo)
    }

    pub(super) fn history(&self) -> &[String] {
        &self.history
    }

    pub(super) fn byte(&mut self, byte: u8) -> Typed {
        if !self.pending.is_empty() || byte == 0x1b || byte >= 0x80 {
            self.pending.push(byte);
            self.sequence();
            return Typed::Nothing;
        }
        match byte {
            b'\r' | b'\n' => return self.enter(),
            0x03 => {
                self.echo.extend_from_slice(b"^C\r\n");
                return Typed::Interrupt;
            }
            0x04 if self.line.is_empty() => return Typed::End,
            0x04 => self.delete(),
            0x01 => self.move_to(0),
            0x05 => self.move_to(self.line.len()),
            0x02 => self.move_to(self.at.saturating_sub(1)),
            0x06 => self.move_to(self.at + 1),
            0x08 | 0x7f => self.backspace(),
            0x0b => {
                self.line.truncate(self.at);
                self.draw();
            }
            0x0c => {
                self.echo.extend_from_slice(b"\x1b[H\x1b[2J");
                self.draw();
            }
            0x15 => {
                self.line.drain(..self.at);
                self.at = 0;
                self.draw();
            }
            0x17 => self.rub_out_word(),
            0x10 => self.older(),
            0x0e => self.newer(),
            b' '..=b'~' => self.insert(byte as char),
            // A tab completes nothing here; what is left rings.
            _ => self.echo.push(0x07),
        }
        Typed::Nothing
    }

    fn enter(&mut self) -> Typed {
        self.echo.extend_from_slice(b"\r\n");
        let line: String = self.line.iter().collect();
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
        }
        Typed::Line(line)
    }

    /// A key that sends several bytes, or a character of several.
    fn sequence(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if pending[0] != 0x1b {
            match std::str::from_utf8(&pending) {
                Ok(text) => text.chars().for_each(|c| self.insert(c)),
                Err(e) if e.error_len().is_none() => self.pending = pending,
                Err(_) => self.echo.push(0x07),
            }
            return;
        }
        match pending.as_slice() {
            b"\x1b" | b"\x1b[" | b"\x1bO" => self.pending = pending,
            [0x1b, b'[', middle @ .., last] if !(0x40..=0x7e).contains(last) && middle.len() < 32 => {
                self.pending = pending
            }
            b"\x1b[A" | b"\x1bOA" => self.older(),
            b"\x1b[B" | b"\x1bOB" => self.newer(),
            b"\x1b[C" | b"\x1bOC" => self.move_to(self.at + 1),
            b"\x1b[D" | b"\x1bOD" => self.move_to(self.at.saturating_sub(1)),
            b"\x1b[H" | b"\x1bOH" | b"\x1b[1~" => self.move_to(0),
            b"\x1b[F" | b"\x1bOF" | b"\x1b[4~" => self.move_to(self.line.len()),
            b"\x1b[3~" => self.delete(),
            _ => {}
        }
    }

    fn insert(&mut self, c: char) {
        self.line.insert(self.at, c);
        self.at += 1;
        if self.at == self.line.len() {
            self.echo.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            self.draw();
        }
    }

    fn backspace(&mut self) {
        if self.at > 0 {
            self.at -= 1;
            self.delete();
        }
    }

    fn delete(&mut self) {
        if self.at < self.line.len() {
            self.line.remove(self.at);
            self.draw();
        }
    }

    fn rub_out_word(&mut self) {
        let mut from = self.at;
        while from > 0 && self.line[from - 1] == ' ' {
            from -= 1;
        }
        while from > 0 && self.line[from - 1] != ' ' {
            from -= 1;
        }
        self.line.drain(from..self.at);
        self.at = from;
        self.draw();
    }

    fn move_to(&mut self, at: usize) {
        self.at = at.min(self.line.len());
        self.draw();
    }

    fn older(&mut self) {
        if self.back == self.history.len() {
            return self.echo.push(0x07);
        }
        if self.back == 0 {
            self.fresh = self.line.iter().collect();
        }
        self.back += 1;
        self.recall();
    }

    fn newer(&mut self) {
        if self.back == 0 {
            return self.echo.push(0x07);
        }
        self.back -= 1;
        self.recall();
    }

    fn recall(&mut self) {
        let text = match self.back {
            0 => std::mem::take(&mut self.fresh),
            back => self.history[self.history.len() - back].clone(),
        };
        self.set(&text);
        self.draw();
    }

    fn set(&mut self, text: &str) {
        self.line = text.chars().collect();
        self.at = self.line.len();
    }

    /// Draws prompt and line anew and puts the cursor where it belongs.
    fn draw(&mut self) {
        let line: String = self.line.iter().collect();
        self.echo.extend_from_slice(format!("\r{}{line}\x1b[K", self.prompt).as_bytes());
        let behind = self.line.len() - self.at;
        if behind > 0 {
            self.echo.extend_from_slice(format!("\x1b[{behind}D").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str) -> Vec<Typed> {
        let mut editor = Editor::default();
        editor.begin("$ ");
        keys.bytes().map(|b| editor.byte(b)).filter(|t| *t != Typed::Nothing).collect()
    }

    fn line(text: &str) -> Typed {
        Typed::Line(text.to_owned())
    }

    #[test]
    fn a_line_is_edited_with_the_keys_people_know() {
        assert_eq!(typed("unamex\x7f -a\r"), [line("uname -a")]);
        assert_eq!(typed("ame\x01un\x05 -a\r"), [line("uname -a")]);
        assert_eq!(typed("ab\x1b[D\x1b[DX\x1b[3~\r"), [line("Xb")]);
        assert_eq!(typed("echo one two\x17three\r"), [line("echo one three")]);
        assert_eq!(typed("gone\x15kept\r"), [line("kept")]);
        assert_eq!(typed("naïve ☃\r"), [line("naïve ☃")]);
    }

    #[test]
    fn history_goes_back_and_comes_forward_again() {
        let mut editor = Editor::default();
        let mut lines = Vec::new();
        for keys in ["first\r", "second\r", "\x1b[A\x1b[A\r", "new\x1b[A\x1b[B\r"] {
            editor.begin("$ ");
            lines.extend(keys.bytes().map(|b| editor.byte(b)).filter(|t| *t != Typed::Nothing));
        }
        assert_eq!(lines, [line("first"), line("second"), line("first"), line("new")]);
    }

    #[test]
    fn control_c_and_control_d_are_told_apart_from_text() {
        assert_eq!(typed("ab\x03"), [Typed::Interrupt]);
        assert_eq!(typed("\x04"), [Typed::End]);
        assert_eq!(typed("ab\x04\r"), [line("ab")]);
    }
}
