//! Cells to pixels. Blocks and lines are drawn to the edges of their cells, so that bars and frames
//! are of one piece, which no font promises; everything else is the font's.

use std::{collections::BTreeMap, fs::File, io::BufWriter, path::Path};

use super::{
    Result,
    font::{CELL, Face},
};

type Colour = [u8; 3];

const PAPER: Colour = [0x16, 0x18, 0x1d];
const INK: Colour = [0xd8, 0xda, 0xde];
/// Pixels around the cells.
const MARGIN: u32 = 20;
/// Steps from a cell's ground to its ink along the edges of letters.
const SHADES: f32 = 10.0;
/// The first sixteen colours, which every terminal chooses for itself.
const SIXTEEN: [Colour; 16] = [
    [0x16, 0x18, 0x1d],
    [0xd7, 0x5f, 0x5f],
    [0x87, 0xaf, 0x5f],
    [0xd7, 0xaf, 0x5f],
    [0x5f, 0x87, 0xd7],
    [0xaf, 0x87, 0xd7],
    [0x5f, 0xaf, 0xaf],
    [0xc0, 0xc2, 0xc6],
    [0x6c, 0x70, 0x78],
    [0xff, 0x5f, 0x5f],
    [0x87, 0xd7, 0x87],
    [0xff, 0xd7, 0x5f],
    [0x5f, 0xaf, 0xff],
    [0xd7, 0xaf, 0xff],
    [0x5f, 0xd7, 0xd7],
    [0xff, 0xff, 0xff],
];

struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

/// Writes what a screen shows as a PNG file.
pub fn save(screen: &vt100::Screen, face: &Face, path: &Path) -> Result<()> {
    let (rows, columns) = screen.size();
    let (width, height) = (u32::from(columns) * CELL.0 + 2 * MARGIN, u32::from(rows) * CELL.1 + 2 * MARGIN);
    let mut canvas = Canvas { width, height, pixels: PAPER.repeat((width * height) as usize) };
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let at = |row: u16, column: u16| (MARGIN + u32::from(column) * CELL.0, MARGIN + u32::from(row) * CELL.1);
    // Every ground first: a wide sign may reach into the next cell.
    for (row, column) in cells.clone() {
        if let Some(cell) = screen.cell(row, column) {
            canvas.fill(at(row, column), (0, 0), CELL, colours(cell).1);
        }
    }
    for (row, column) in cells {
        if let Some(cell) = screen.cell(row, column) {
            canvas.cell(at(row, column), cell, face)?;
        }
    }
    canvas.write(path)
}

impl Canvas {
    fn cell(&mut self, at: (u32, u32), cell: &vt100::Cell, face: &Face) -> Result<()> {
        let (ink, _) = colours(cell);
        for sign in cell.contents().chars().filter(|sign| !sign.is_whitespace()) {
            if !self.block(at, sign, ink) && !self.line(at, sign, ink) {
                face.trace(sign, cell.bold(), |x, y, covered| self.blend(at, (x, y), ink, covered))?;
            }
        }
        if cell.underline() {
            self.fill(at, (0, CELL.1 - 4), (CELL.0, CELL.1 - 2), ink);
        }
        Ok(())
    }

    /// Eighths from below or from the left, and the three shades.
    fn block(&mut self, at: (u32, u32), sign: char, ink: Colour) -> bool {
        let (width, height) = CELL;
        let code = u32::from(sign);
        match sign {
            '▁'..='█' => {
                let filled = (height * (code - 0x2580)).div_ceil(8);
                self.fill(at, (0, height - filled), CELL, ink);
            }
            '▉'..='▏' => {
                let filled = (width * (0x2590 - code)).div_ceil(8);
                self.fill(at, (0, 0), (filled, height), ink);
            }
            '▀' => self.fill(at, (0, 0), (width, height / 2), ink),
            '▐' => self.fill(at, (width / 2, 0), CELL, ink),
            '░' | '▒' | '▓' => {
                let covered = (code - 0x2590) as f32 * 0.22;
                for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x as i32, y as i32))) {
                    self.blend(at, (x, y), ink, covered);
                }
            }
            _ => return false,
        }
        true
    }

    /// The light lines of frames: what leads left, right, up and down from the middle.
    fn line(&mut self, at: (u32, u32), sign: char, ink: Colour) -> bool {
        let (left, right, up, down) = match sign {
            '─' => (true, true, false, false),
            '│' => (false, false, true, true),
            '┌' | '╭' => (false, true, false, true),
            '┐' | '╮' => (true, false, false, true),
            '└' | '╰' => (false, true, true, false),
            '┘' | '╯' => (true, false, true, false),
            '├' => (false, true, true, true),
            '┤' => (true, false, true, true),
            '┬' => (true, true, false, true),
            '┴' => (true, true, true, false),
            '┼' => (true, true, true, true),
            _ => return false,
        };
        let (width, height) = CELL;
        let (x, y) = (width / 2 - 1, height / 2 - 1);
        for (leads, from, to) in [
            (left, (0, y), (x + 2, y + 2)),
            (right, (x, y), (width, y + 2)),
            (up, (x, 0), (x + 2, y + 2)),
            (down, (x, y), (x + 2, height)),
        ] {
            if leads {
                self.fill(at, from, to, ink);
            }
        }
        true
    }

    /// Fills from one corner of a cell's pixels up to, not including, the other.
    fn fill(&mut self, at: (u32, u32), from: (u32, u32), to: (u32, u32), colour: Colour) {
        for y in at.1 + from.1..at.1 + to.1 {
            let start = ((y * self.width + at.0 + from.0) * 3) as usize;
            let end = ((y * self.width + at.0 + to.0) * 3) as usize;
            self.pixels[start..end].as_chunks_mut::<3>().0.fill(colour);
        }
    }

    /// Covers a pixel in part. Pixels outside the picture are left out.
    fn blend(&mut self, at: (u32, u32), (x, y): (i32, i32), colour: Colour, covered: f32) {
        let (Some(x), Some(y)) = (at.0.checked_add_signed(x), at.1.checked_add_signed(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let start = ((y * self.width + x) * 3) as usize;
        let covered = (covered.clamp(0.0, 1.0) * SHADES).round() / SHADES;
        for (under, over) in self.pixels[start..start + 3].iter_mut().zip(colour) {
            let mixed = f32::from(*under) + (f32::from(over) - f32::from(*under)) * covered;
            *under = mixed.round() as u8;
        }
    }

    /// Writes the picture with a palette, which is a fifth of the size of the same in full colour.
    fn write(&self, path: &Path) -> Result<()> {
        let (pixels, _) = self.pixels.as_chunks::<3>();
        let mut palette: BTreeMap<Colour, u8> = pixels.iter().map(|colour| (*colour, 0)).collect();
        if palette.len() > 256 {
            return Err(format!("{} colours are more than a palette holds; fewer SHADES?", palette.len()).into());
        }
        for (n, at) in (0..=255).zip(palette.values_mut()) {
            *at = n;
        }
        let indexed: Vec<u8> = pixels.iter().map(|colour| palette[colour]).collect();
        let file = BufWriter::new(File::create(path).map_err(|error| format!("{}: {error}", path.display()))?);
        let mut encoder = png::Encoder::new(file, self.width, self.height);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_palette(palette.into_keys().flatten().collect::<Vec<u8>>());
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(png::Filter::NoFilter);
        encoder.write_header()?.write_image_data(&indexed)?;
        Ok(())
    }
}

/// Of what is written in a cell, and of its ground.
fn colours(cell: &vt100::Cell) -> (Colour, Colour) {
    let mut ink = rgb(cell.fgcolor(), INK);
    let mut ground = rgb(cell.bgcolor(), PAPER);
    if cell.inverse() {
        std::mem::swap(&mut ink, &mut ground);
    }
    if cell.dim() {
        ink = std::array::from_fn(|n| ((u16::from(ink[n]) * 3 + u16::from(ground[n]) * 2) / 5) as u8);
    }
    (ink, ground)
}

fn rgb(colour: vt100::Color, otherwise: Colour) -> Colour {
    match colour {
        vt100::Color::Default => otherwise,
        vt100::Color::Rgb(red, green, blue) => [red, green, blue],
        vt100::Color::Idx(n @ 0..16) => SIXTEEN[usize::from(n)],
        // A cube of six levels each, then a ramp of greys.
        vt100::Color::Idx(n @ 16..232) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let n = n - 16;
            [level(n / 36), level(n / 6 % 6), level(n % 6)]
        }
        vt100::Color::Idx(n) => [8 + 10 * (n - 232); 3],
    }
}
