//! Colours by meaning. Nothing elsewhere names a colour.

use ratatui::style::{Color, Modifier, Style};

use crate::config::{Paint, Palette};

/// What a style means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Text,
    Title,
    Accent,
    Dim,
    Border,
    Ok,
    Busy,
    Warn,
    Bad,
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `NO_COLOR`: weight and inversion only.
    None,
    Sixteen,
    Indexed,
    True,
}

impl Depth {
    /// As the environment says: `NO_COLOR` wins, then what the terminal claims.
    pub fn from_env(var: impl Fn(&str) -> Option<String>) -> Self {
        if var("NO_COLOR").is_some_and(|value| !value.is_empty()) {
            return Self::None;
        }
        let term = var("TERM").unwrap_or_default();
        let claims = var("COLORTERM").unwrap_or_default();
        match term.as_str() {
            "" | "dumb" | "vt100" | "vt102" | "vt220" | "ansi-m" => Self::None,
            "linux" | "ansi" => Self::Sixteen,
            // It hands the outer terminal's claim on, and does not understand it.
            term if term.starts_with("screen") && !term.contains("256color") => Self::Sixteen,
            term if term.starts_with("screen") => Self::Indexed,
            _ if claims == "truecolor" || claims == "24bit" || term.contains("direct") => Self::True,
            term if !claims.is_empty() || term.contains("256color") => Self::Indexed,
            _ => Self::Sixteen,
        }
    }
}

/// Whether the terminal's ground is bright, as far as it says: `COLORFGBG`, as in `0;15`.
pub fn is_bright(var: impl Fn(&str) -> Option<String>) -> bool {
    let told = var("COLORFGBG").unwrap_or_default();
    told.rsplit(';').next().and_then(|ground| ground.parse::<u8>().ok()).is_some_and(|n| n == 7 || n == 15)
}

/// A style for each meaning.
#[derive(Debug, Clone)]
pub struct Theme {
    depth: Depth,
    cursor: bool,
    palette: Palette,
    /// The ink of each tone, found once.
    inks: [Color; TONES.len()],
}

const TONES: [Tone; 9] =
    [Tone::Text, Tone::Title, Tone::Accent, Tone::Dim, Tone::Border, Tone::Ok, Tone::Busy, Tone::Warn, Tone::Bad];

impl Theme {
    /// The dark theme.
    pub fn new(depth: Depth) -> Self {
        Self::of(depth, Palette::DARK)
    }

    pub fn of(depth: Depth, palette: Palette) -> Self {
        let inks = TONES.map(|tone| ink(&palette, depth, tone));
        Self { depth, palette, inks, cursor: true }
    }

    /// The same, where no row is the cursor's.
    pub fn without_cursor(self) -> Self {
        Self { cursor: false, ..self }
    }

    /// How many colours there are.
    pub fn depth(&self) -> Depth {
        self.depth
    }

    /// The style of a meaning.
    pub fn style(&self, tone: Tone) -> Style {
        let plain = Style::new();
        if self.depth == Depth::None {
            // Written over a frame, text takes nothing of it on.
            let lit = plain.remove_modifier(Modifier::DIM);
            return match tone {
                Tone::Title | Tone::Accent | Tone::Bad => lit.add_modifier(Modifier::BOLD),
                Tone::Warn => lit.add_modifier(Modifier::UNDERLINED),
                Tone::Dim | Tone::Border => plain.add_modifier(Modifier::DIM),
                Tone::Text | Tone::Ok | Tone::Busy => lit,
            };
        }
        let style = plain.fg(self.inks[tone as usize]);
        if matches!(tone, Tone::Title | Tone::Accent) { style.add_modifier(Modifier::BOLD) } else { style }
    }

    /// What lies under a text field, so that it is seen to be one.
    pub fn field(&self) -> Style {
        match self.depth {
            Depth::None | Depth::Sixteen => Style::new().add_modifier(Modifier::UNDERLINED),
            depth => Style::new().bg(color(self.palette.field, depth)),
        }
    }

    /// What lies under the row of the cursor, in the list keys go to.
    pub fn cursor_row(&self) -> Style {
        match self.depth {
            _ if !self.cursor => Style::new(),
            // Of few colours none can be relied on to lie under every other; swapping them can.
            Depth::None | Depth::Sixteen => {
                Style::new().fg(Color::Reset).bg(Color::Reset).add_modifier(Modifier::REVERSED)
            }
            depth => Style::new().bg(color(self.palette.cursor, depth)),
        }
    }
}

fn ink(palette: &Palette, depth: Depth, tone: Tone) -> Color {
    let paint = match tone {
        Tone::Text => palette.text,
        Tone::Title => palette.title,
        Tone::Accent => palette.accent,
        Tone::Dim => palette.dim,
        Tone::Border => palette.border,
        Tone::Ok => palette.ok,
        Tone::Busy => palette.busy,
        Tone::Warn => palette.warn,
        Tone::Bad => palette.bad,
    };
    match (paint, depth) {
        (Paint::Rgb(..), Depth::Sixteen) => sixteen(tone, palette.light),
        (paint, depth) => color(paint, depth),
    }
}

/// Of sixteen colours the one that means the same; what each looks like is the terminal's affair.
fn sixteen(tone: Tone, light: bool) -> Color {
    match (tone, light) {
        (Tone::Text | Tone::Title, _) => Color::Reset,
        (Tone::Dim | Tone::Border, _) => Color::DarkGray,
        (Tone::Ok, _) => Color::Green,
        (Tone::Accent, _) => Color::Cyan,
        (Tone::Busy, false) => Color::LightBlue,
        (Tone::Warn, false) => Color::Yellow,
        (Tone::Bad, false) => Color::LightRed,
        (Tone::Busy, true) => Color::Blue,
        (Tone::Warn, true) => Color::Magenta,
        (Tone::Bad, true) => Color::Red,
    }
}

fn color(paint: Paint, depth: Depth) -> Color {
    match (paint, depth) {
        (Paint::Default, _) | (_, Depth::None) => Color::Reset,
        (Paint::Ansi(n), _) => Color::Indexed(n),
        (Paint::Rgb(red, green, blue), Depth::True) => Color::Rgb(red, green, blue),
        (Paint::Rgb(red, green, blue), _) => Color::Indexed(nearest(red, green, blue)),
    }
}

/// The nearest of the 240 colours every 256-colour terminal has: a cube of six levels each, then greys.
pub fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let wanted = [red, green, blue];
    let apart =
        |colour: [u8; 3]| -> u32 { wanted.iter().zip(colour).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
    let level = |part: u8| (0..6_u8).min_by_key(|n| LEVELS[usize::from(*n)].abs_diff(part)).unwrap_or(0);
    let cube = wanted.map(level);
    let of_cube = (apart(cube.map(|n| LEVELS[usize::from(n)])), 16 + 36 * cube[0] + 6 * cube[1] + cube[2]);
    let greys = (0..24_u8).map(|n| (apart([8 + 10 * n; 3]), 232 + n));
    // The cube's own greys are as good: it goes first.
    std::iter::once(of_cube).chain(greys).min_by_key(|(apart, _)| *apart).map_or(0, |(_, n)| n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::THEMES;

    fn term(term: &str, colorterm: Option<&str>) -> Depth {
        Depth::from_env(|name| match name {
            "TERM" => Some(term.to_owned()),
            "COLORTERM" => colorterm.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn no_color_wins_over_what_the_terminal_can() {
        let env = |name: &str| match name {
            "NO_COLOR" => Some("1".to_owned()),
            "COLORTERM" => Some("truecolor".to_owned()),
            _ => None,
        };
        assert_eq!(Depth::from_env(env), Depth::None);
        assert_eq!(term("xterm-256color", Some("truecolor")), Depth::True);
        assert_eq!(term("xterm-256color", None), Depth::Indexed);
        assert_eq!(term("linux", None), Depth::Sixteen);
        assert_eq!(term("screen", Some("truecolor")), Depth::Sixteen, "it does not understand what it hands on");
        assert_eq!(term("screen-256color", Some("truecolor")), Depth::Indexed);
        assert_eq!(term("tmux-256color", Some("truecolor")), Depth::True);
        assert_eq!(term("dumb", None), Depth::None);
    }

    #[test]
    fn the_terminal_says_whether_its_ground_is_bright() {
        let told = |value: &'static str| is_bright(move |_| Some(value.to_owned()));
        assert!(told("0;15") && told("0;default;7") && !told("15;0") && !told(""));
    }

    #[test]
    fn without_colour_no_style_carries_one() {
        let theme = Theme::new(Depth::None);
        for tone in TONES {
            let style = theme.style(tone);
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }

    #[test]
    fn a_colour_becomes_the_nearest_there_is() {
        assert_eq!(nearest(0x5f, 0xd7, 0xd7), 80);
        assert_eq!(nearest(0x30, 0x30, 0x30), 236);
        assert_eq!(nearest(255, 255, 255), 231);
        assert_eq!(nearest(0xfe, 0x80, 0x19), 208);
    }

    #[test]
    fn every_theme_is_whole_and_its_meanings_differ_at_every_depth_with_colours() {
        for (name, text) in THEMES {
            let palette = Palette::parse(text, name).unwrap();
            for key in
                ["light", "text", "title", "accent", "dim", "border", "ok", "busy", "warn", "bad", "cursor", "field"]
            {
                assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{name} lacks {key}");
            }
            for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
                let theme = Theme::of(depth, palette.clone());
                let told = [Tone::Ok, Tone::Busy, Tone::Warn, Tone::Bad].map(|tone| theme.style(tone).fg);
                let apart = told.iter().enumerate().all(|(n, one)| !told[n + 1..].contains(one));
                assert!(apart, "{name} at {depth:?}: {told:?}");
            }
        }
        assert_eq!(Palette::built_in("dark"), Some(Palette::DARK));
    }

    /// Relative luminance, as the web's guidelines reckon it.
    fn luminance(paint: Paint) -> Option<f64> {
        let Paint::Rgb(red, green, blue) = paint else { return None };
        let part = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.03928 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        Some(0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue))
    }

    #[test]
    fn what_is_to_be_read_stands_out_from_its_ground_in_every_theme() {
        for (name, text) in THEMES {
            let palette = Palette::parse(text, name).unwrap();
            // The usual darkest and brightest grounds, and the row of the cursor.
            let ground = if palette.light { 1.0 } else { luminance(Paint::Rgb(0x1d, 0x1f, 0x21)).unwrap() };
            let told = [palette.accent, palette.dim, palette.ok, palette.busy, palette.warn, palette.bad];
            for paint in told {
                let ink = luminance(paint).unwrap();
                let contrast = (ink.max(ground) + 0.05) / (ink.min(ground) + 0.05);
                assert!(contrast >= 4.5, "{name}: {paint:?} has {contrast:.1} to 1");
            }
        }
    }
}
