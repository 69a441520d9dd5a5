//! What is sent to the terminal: cells that differ and a cursor that moved, in one piece; a frame that changes nothing
//! is nothing. It may not know what is drawn.

use std::io::{self, Write};

use crossterm::{
    queue,
    terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate},
};
use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

/// A terminal behind a writer.
#[derive(Debug)]
pub struct Sparing<W: Write> {
    inner: CrosstermBackend<W>,
    /// A piece has begun that the terminal shows once it has all of it.
    begun: bool,
    /// Whether the cursor is shown, as far as that is known.
    shown: Option<bool>,
    /// Where the cursor stands, as far as that is known.
    at: Option<Position>,
}

impl<W: Write> Sparing<W> {
    pub fn new(out: W) -> Self {
        Self { inner: CrosstermBackend::new(out), begun: false, shown: None, at: None }
    }

    /// For what is drawn, which moves the cursor. The cursor by itself is no piece: it is shown too when all is over and
    /// nothing ends a piece any more.
    fn begin(&mut self) -> io::Result<&mut CrosstermBackend<W>> {
        self.at = None;
        if !self.begun {
            self.begun = true;
            queue!(self.inner, BeginSynchronizedUpdate)?;
        }
        Ok(&mut self.inner)
    }
}

/// Beside the frames, for what the terminal is asked for.
impl<W: Write> Write for Sparing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(&mut self.inner)
    }
}

impl<W: Write> Backend for Sparing<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        self.begin()?.draw(content)
    }

    fn append_lines(&mut self, n: u16) -> io::Result<()> {
        self.begin()?.append_lines(n)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.shown.replace(false) == Some(false) {
            return Ok(());
        }
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.shown.replace(true) == Some(true) {
            return Ok(());
        }
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.at == Some(position) {
            return Ok(());
        }
        self.inner.set_cursor_position(position)?;
        self.at = Some(position);
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.begin()?.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.begin()?.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.begun) {
            queue!(self.inner, EndSynchronizedUpdate)?;
        }
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ratatui::{Terminal, TerminalOptions, Viewport, layout::Rect, text::Line};

    use super::*;

    type Shown<'a> = Terminal<Sparing<&'a mut Vec<u8>>>;

    fn sent(draw: &mut dyn FnMut(&mut Shown<'_>)) -> String {
        let mut bytes = Vec::new();
        let viewport = Viewport::Fixed(Rect::new(0, 0, 20, 2));
        let mut terminal = Terminal::with_options(Sparing::new(&mut bytes), TerminalOptions { viewport }).unwrap();
        draw(&mut terminal);
        // When it goes it shows its cursor again.
        drop(terminal);
        String::from_utf8(bytes).unwrap().trim_end_matches("\x1b[?25h").to_owned()
    }

    #[test]
    fn a_frame_that_changes_nothing_is_nothing_and_one_that_does_is_one_piece() {
        let once = |terminal: &mut Shown<'_>, text: &str, cursor: Option<u16>| {
            let frame = |frame: &mut ratatui::Frame<'_>| {
                frame.render_widget(Line::raw(text.to_owned()), frame.area());
                if let Some(x) = cursor {
                    frame.set_cursor_position((x, 1));
                }
            };
            terminal.draw(frame).unwrap();
        };
        let first = sent(&mut |terminal| once(terminal, "12:00:00", None));
        assert!(first.starts_with("\x1b[?2026h") && first.ends_with("\x1b[?2026l"), "{first:?}");
        let again = sent(&mut |terminal| (0..9).for_each(|_| once(terminal, "12:00:00", None)));
        assert_eq!(again, first);
        let with_cursor = sent(&mut |terminal| (0..9).for_each(|_| once(terminal, "12:00:00", Some(3))));
        assert_eq!(with_cursor.matches("\x1b[?25h").count(), 1, "{with_cursor:?}");
        assert_eq!(with_cursor.matches("\x1b[2;4H").count(), 1, "{with_cursor:?}");
        // What is drawn moves the cursor, which is put back.
        let moved = sent(&mut |terminal| {
            ["12:00:00", "12:00:01"].iter().for_each(|text| once(terminal, text, Some(3)));
            once(terminal, "12:00:01", None);
        });
        assert_eq!(moved.matches("\x1b[2;4H").count(), 2, "{moved:?}");
        assert!(moved.ends_with("\x1b[2;4H\x1b[?2026l\x1b[?25l"), "{moved:?}");
    }
}
