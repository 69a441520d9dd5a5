//! Formats and escapes of `printf` and `tr`.

/// `printf FORMAT VALUE…`
pub fn printf(args: &[String]) -> Vec<u8> {
    let format = unescape(args.first().map_or("", String::as_str));
    let mut values = args.iter().skip(1);
    let mut out = Vec::new();
    let mut bytes = format.into_iter();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'%') => out.push(b'%'),
            Some(b's' | b'd' | b'i' | b'b') => out.extend(values.next().map_or("", String::as_str).bytes()),
            Some(other) => out.extend([b'%', other]),
            None => out.push(b'%'),
        }
    }
    out
}

/// `\n`, `\t`, `\\` and octal escapes.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let octal: Vec<u8> = rest.iter().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).copied().collect();
        if !octal.is_empty() {
            out.push(octal.iter().fold(0u8, |sum, digit| sum.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = &rest[octal.len()..];
            continue;
        }
        match rest.split_first() {
            Some((code, tail)) => {
                out.push(match code {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'e' => 27,
                    other => *other,
                });
                rest = tail;
            }
            None => out.push(b'\\'),
        }
    }
    out
}
