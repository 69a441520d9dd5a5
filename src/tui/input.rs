//! What the terminal reports, in the program's own words.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::{
    app::{Action, Key, State, action_for},
    domain::Clean,
};

/// The action an event of the terminal asks for, if any.
pub fn action(state: &State, event: &Event) -> Option<Action> {
    match event {
        Event::Key(press) if press.kind != KeyEventKind::Release => action_for(state, key(press)?),
        Event::Paste(text) => Some(Action::Paste(Clean::new(text))),
        Event::Resize(columns, rows) => Some(Action::Resized(*columns, *rows)),
        _ => None,
    }
}

/// A key press by the program's own name; none for keys it has no name for.
fn key(press: &KeyEvent) -> Option<Key> {
    let held = |modifier| press.modifiers.contains(modifier);
    Some(match press.code {
        KeyCode::Char(_) if held(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) if held(KeyModifiers::CONTROL) => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab if held(KeyModifiers::SHIFT) => Key::BackTab,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::F(n) => Key::F(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_alt_are_no_letters() {
        assert_eq!(key(&KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT)), None);
        assert_eq!(key(&KeyEvent::new(KeyCode::Char('C'), KeyModifiers::CONTROL)), Some(Key::Ctrl('c')));
        assert_eq!(key(&KeyEvent::new(KeyCode::Char('C'), KeyModifiers::SHIFT)), Some(Key::Char('C')));
    }
}
