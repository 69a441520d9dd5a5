//! Writing on a grid: one line at a time, in columns, by display width. What is too long ends in an ellipsis.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Color, Modifier, Style},
    text::Span,
};
use unicode_width::UnicodeWidthStr;

use super::{Glyphs, draw::Look, spots::Spots, theme::Tone};
use crate::app::{Pane, pointer::Spot};

/// The page being drawn.
pub struct Page<'a> {
    pub buf: &'a mut Buffer,
    pub look: &'a Look,
    /// Where the terminal's own cursor goes, when something is typed.
    pub cursor: Option<Position>,
    /// What can be pointed at.
    pub spots: Spots,
    /// Rows to be turned round once everything stands on them.
    turned: Vec<Rect>,
}

impl<'a> Page<'a> {
    pub fn new(buf: &'a mut Buffer, look: &'a Look) -> Self {
        Self { buf, look, cursor: None, spots: Spots::default(), turned: Vec::new() }
    }
}

impl Page<'_> {
    pub fn style(&self, tone: Tone) -> Style {
        self.look.theme.style(tone)
    }

    /// A line from the left edge of `area`, `row` rows down. Outside the area it writes nothing.
    pub fn line(&mut self, area: Rect, row: usize) -> Pen<'_> {
        let inside = row < usize::from(area.height);
        let y = area.y.saturating_add(u16::try_from(row).unwrap_or(u16::MAX));
        let end = if inside { area.right() } else { area.x };
        Pen { buf: &mut *self.buf, look: self.look, x: area.x, y, end }
    }

    /// Notes that these lines are a row of the list in front, or of a pane's.
    pub fn row_spot(&mut self, area: Rect, row: usize, lines: usize, pane: Option<Pane>, key: &str) {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        let lines = u16::try_from(lines).unwrap_or(1);
        let place = Rect { y: area.y.saturating_add(row), height: lines, ..area }.intersection(area);
        if !place.is_empty() {
            self.spots.add(place, Spot::Row(pane, key.to_owned()));
        }
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect) {
        for position in area.intersection(*self.buf.area()).positions() {
            if let Some(cell) = self.buf.cell_mut(position) {
                cell.reset();
            }
        }
    }

    /// Takes the colours from what is drawn: it is what was, and nobody knows what is.
    pub fn pale(&mut self, area: Rect) {
        let style = self.style(Tone::Dim).remove_modifier(Modifier::BOLD);
        self.buf.set_style(area, style);
    }

    /// The same of a line, with its age at the right end.
    pub fn aged(&mut self, line: Rect, age: &str) {
        self.pale(line);
        let width = u16::try_from(age.width()).unwrap_or(u16::MAX).min(line.width);
        let place = Rect { x: line.right() - width, width, ..line };
        // What it stands on is cut, and says so.
        let more = self.look.glyphs.more;
        let before = u16::try_from(more.width()).unwrap_or(0);
        let is_blank = |buf: &Buffer, x: u16| buf.cell((x, line.y)).is_none_or(|cell| cell.symbol() == " ");
        if line.width > width + before && (place.x..line.right()).any(|x| !is_blank(self.buf, x)) {
            let at = place.x - before;
            // Half of a wide letter is none.
            if let Some(cell) = self.buf.cell_mut((at - 1, line.y)).filter(|cell| cell.symbol().width() > 1) {
                cell.set_symbol(" ");
            }
            self.line(Rect { x: at, width: before, ..line }, 0).put(more, Tone::Dim);
        }
        self.line(place, 0).put(age, Tone::Warn);
    }

    /// Puts what is drawn so far into the background.
    pub fn fade(&mut self, area: Rect) {
        let style = self.style(Tone::Border).remove_modifier(Modifier::BOLD | Modifier::REVERSED).bg(Color::Reset);
        self.buf.set_style(area, style);
    }

    /// Lays a style under a row, keeping the colours of its text.
    pub fn under(&mut self, area: Rect, row: usize, style: Style) {
        if let Ok(row) = u16::try_from(row)
            && row < area.height
        {
            self.buf.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
        }
    }

    /// The row keys go to: a ground under it, else the whole row turned round by [`Page::settle`].
    pub fn cursor_row(&mut self, area: Rect, row: usize) {
        let style = self.look.theme.cursor_row();
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        if row >= area.height {
            return;
        }
        let place = Rect { y: area.y + row, height: 1, ..area };
        match style.add_modifier.contains(Modifier::REVERSED) {
            true => self.turned.push(place),
            false => self.buf.set_style(place, style),
        }
    }

    /// Everything stands on its row: those to be turned round are, as a bar of one colour.
    pub fn settle(&mut self) {
        let style = self.look.theme.cursor_row().remove_modifier(Modifier::DIM | Modifier::UNDERLINED);
        for place in std::mem::take(&mut self.turned) {
            self.buf.set_style(place, style);
        }
    }

    /// A rule across the area with a title near its left end.
    pub fn rule(&mut self, area: Rect, row: usize, title: &str) {
        let glyph = self.look.glyphs.rule;
        let mut pen = self.line(area, row);
        pen.put(glyph, Tone::Border);
        if !title.is_empty() {
            pen.put(&format!(" {title} "), Tone::Dim);
        }
        let rest = pen.room();
        pen.put(&glyph.repeat(rest), Tone::Border);
    }
}

/// A place on a line.
pub struct Pen<'a> {
    buf: &'a mut Buffer,
    look: &'a Look,
    x: u16,
    y: u16,
    end: u16,
}

impl<'a> Pen<'a> {
    /// The signs in use.
    pub fn glyphs(&self) -> &'a Glyphs {
        &self.look.glyphs
    }

    /// Columns left.
    pub fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }

    /// Writes as much as fits.
    pub fn put(&mut self, text: &str, tone: Tone) -> &mut Self {
        let room = self.room();
        let text = cut(text, room, self.look.glyphs.more);
        let style = self.look.theme.style(tone);
        if room > 0 {
            self.x = self.buf.set_stringn(self.x, self.y, &text, room, style).0;
        }
        self
    }

    /// Writes into a column of `width` and moves to its end.
    pub fn col(&mut self, text: &str, width: usize, tone: Tone) -> &mut Self {
        let width = width.min(self.room());
        let end = self.x.saturating_add(u16::try_from(width).unwrap_or(u16::MAX));
        let text = cut(text, width, self.look.glyphs.more);
        let style = self.look.theme.style(tone);
        if width > 0 {
            self.buf.set_stringn(self.x, self.y, &text, width, style);
        }
        self.x = end;
        self
    }

    /// Writes into a column of `width` whose last `gap` columns stay free, however long the text is.
    pub fn cell(&mut self, text: &str, width: usize, gap: usize, tone: Tone) -> &mut Self {
        self.col(text, width.saturating_sub(gap), tone).skip(gap)
    }

    /// Writes at the right of a column of `width`.
    pub fn num(&mut self, text: &str, width: usize, tone: Tone) -> &mut Self {
        self.skip(width.saturating_sub(text.width())).put(text, tone)
    }

    /// Moves right.
    pub fn skip(&mut self, columns: usize) -> &mut Self {
        self.x = self.x.saturating_add(u16::try_from(columns).unwrap_or(u16::MAX)).min(self.end);
        self
    }

    /// Where the next character goes.
    pub fn position(&self) -> Position {
        Position { x: self.x, y: self.y }
    }

    /// Writes pieces so that the last one ends at the right edge; those that do not fit are left out from the left.
    pub fn right(&mut self, pieces: &[(String, Tone)]) {
        let mut from = pieces.len();
        let mut width = 0;
        while from > 0 && width + pieces[from - 1].0.width() <= self.room() {
            from -= 1;
            width += pieces[from].0.width();
        }
        self.skip(self.room() - width);
        for (text, tone) in &pieces[from..] {
            self.put(text, *tone);
        }
    }
}

/// `text` in at most `width` columns, with `more` at the end if something had to go.
pub fn cut(text: &str, width: usize, more: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in Span::raw(text).styled_graphemes(Style::new()) {
        let wide = grapheme.symbol.width();
        if used + wide + more.width() > width {
            break;
        }
        used += wide;
        kept.push_str(grapheme.symbol);
    }
    if used + more.width() <= width {
        kept.push_str(more);
    }
    kept
}

/// `text` broken at spaces into lines of at most `width` columns.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns_and_not_by_bytes() {
        assert_eq!(cut("student-01", 10, "…"), "student-01");
        assert_eq!(cut("student-010", 10, "…"), "student-0…");
        assert_eq!(cut("日本語テスト", 7, "…"), "日本語…");
        assert_eq!(cut("日本語", 2, "…"), "…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2, "…"), "e\u{301}…");
        assert_eq!(cut("abc", 0, "…"), "");
    }

    #[test]
    fn long_text_is_broken_at_spaces() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert!(wrap("", 7).is_empty());
    }
}
