//! Every screen as it is drawn, at two sizes, and with its colours; what no screen may do.

mod world;

use homeroom::{
    app::State,
    tui::{Depth, Glyphs, Look, draw},
};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use unicode_width::UnicodeWidthStr;

/// Draws the state and gives what the terminal would hold.
fn buffer(state: &State, look: &Look) -> Buffer {
    let (columns, rows) = state.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, state, look)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of a buffer, without what is blank at the ends.
fn text(buffer: &Buffer) -> String {
    let area = *buffer.area();
    let line = |y: u16| {
        let mut line = String::new();
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(symbol.width().max(1)).unwrap();
        }
        line.trim_end().to_owned() + "\n"
    };
    (0..area.height).map(line).collect()
}

fn colours() -> Look {
    Look::new(Depth::Indexed, Glyphs::UNICODE)
}

fn screen(state: &State) -> String {
    text(&buffer(state, &colours()))
}

#[test]
#[ignore]
fn dump() {
    let mut s = world::world(120, 40);
    println!("{}", screen(&s));
    world::press(&mut s, "j<enter>jjjjjjjj");
    println!("{}", screen(&s));
    world::press(&mut s, "G");
    println!("{}", screen(&s));
    let mut s = world::world(80, 24);
    println!("{}", screen(&s));
    world::press(&mut s, "1");
    println!("{}", screen(&s));
    world::press(&mut s, "4");
    println!("{}", screen(&s));
    world::press(&mut s, "2j<enter>G");
    println!("{}", screen(&s));
}
