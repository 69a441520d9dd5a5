//! DejaVu Sans Mono as the system has it: glyphs as coverage on the grid of cells.

use std::{fs, path::PathBuf};

use ab_glyph::{Font, FontVec, PxScale, ScaleFont, point};

use super::Result;

/// Pixels of a cell, drawn large enough for screens with two pixels to the point.
pub const CELL: (u32, u32) = (14, 29);

/// Where distributions keep the font.
const FOLDERS: [&str; 5] = [
    "/usr/share/fonts/truetype/dejavu",
    "/usr/share/fonts/TTF",
    "/usr/share/fonts/dejavu",
    "/usr/share/fonts/dejavu-sans-mono-fonts",
    "/usr/local/share/fonts",
];

pub struct Face {
    regular: FontVec,
    bold: FontVec,
    scale: PxScale,
    /// From a cell's upper edge to the foot of its letters.
    baseline: f32,
}

impl Face {
    /// # Errors
    /// When the font is not installed.
    pub fn load() -> Result<Self> {
        let load = |name: &str| -> Result<FontVec> {
            let path = FOLDERS.iter().map(|folder| PathBuf::from(folder).join(name)).find(|path| path.is_file());
            let path =
                path.ok_or_else(|| format!("{name} is not installed (Debian: apt-get install fonts-dejavu-core)"))?;
            Ok(FontVec::try_from_vec(fs::read(path)?)?)
        };
        let (regular, bold) = (load("DejaVuSansMono.ttf")?, load("DejaVuSansMono-Bold.ttf")?);
        // The size at which a letter is exactly a cell wide.
        let unit = regular.as_scaled(PxScale::from(1.0));
        let scale = PxScale::from(CELL.0 as f32 / unit.h_advance(unit.glyph_id('m')));
        let scaled = regular.as_scaled(scale);
        let spare = CELL.1 as f32 - (scaled.ascent() - scaled.descent());
        let baseline = (scaled.ascent() + spare / 2.0).round();
        Ok(Self { regular, bold, scale, baseline })
    }

    /// Tells, for each pixel of a cell's glyph, how much of it is covered (0 to 1). A glyph that is
    /// wider than a cell is told beyond it; one the font lacks is an error, not a box.
    ///
    /// # Errors
    /// A sign that the font lacks.
    pub fn trace(&self, sign: char, bold: bool, mut told: impl FnMut(i32, i32, f32)) -> Result<()> {
        let font = if bold && self.bold.glyph_id(sign).0 != 0 { &self.bold } else { &self.regular };
        let id = font.glyph_id(sign);
        if id.0 == 0 {
            return Err(format!("DejaVu Sans Mono has no {sign:?} (U+{:04X})", u32::from(sign)).into());
        }
        let glyph = id.with_scale_and_position(self.scale, point(0.0, self.baseline));
        if let Some(outline) = font.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, covered| told(corner.x as i32 + x as i32, corner.y as i32 + y as i32, covered));
        }
        Ok(())
    }
}
