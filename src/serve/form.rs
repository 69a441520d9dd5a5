//! What a browser sends: `code=K7M3QX&name=Ada+Lovelace`.

/// The value of a field; the first where it stands twice. Broken escapes stay as they are.
pub fn field(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key) == name).then(|| decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(16 * digit(*high) + digit(*low));
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let form = "code=k7m+3qx&name=Zo%C3%AB+%26+co&name=second";
        assert_eq!(field(form, "code").as_deref(), Some("k7m 3qx"));
        assert_eq!(field(form, "name").as_deref(), Some("Zoë & co"));
        assert_eq!(field(form, "other"), None);
    }

    #[test]
    fn what_is_broken_is_no_error() {
        for (form, value) in [("a=%", "%"), ("a=%4", "%4"), ("a=%zz", "%zz"), ("a=%ff", "\u{fffd}"), ("a", "")] {
            assert_eq!(field(form, "a").as_deref(), Some(value), "{form}");
        }
    }
}
