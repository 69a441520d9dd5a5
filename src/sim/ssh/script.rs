//! A command line on a node, taken apart as a shell does: commands, how they are joined, words.

/// What stands between a command and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// `;`, a line's end, or nothing more.
    Then,
    And,
    Or,
    Pipe,
}

/// The simple commands of a line, each with what follows it. Quotes and `$(…)` are left whole.
pub(super) fn pieces(line: &str) -> Vec<(&str, Join)> {
    let mut pieces = Vec::new();
    let (mut from, mut quote, mut depth) = (0, None, 0_u32);
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => {
                chars.next();
            }
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.saturating_sub(1),
            (None, ';' | '\n' | '|' | '&') if depth == 0 => {
                let double = chars.next_if(|(_, next)| *next == c && matches!(c, '|' | '&')).is_some();
                let join = match (c, double) {
                    ('|', true) => Join::Or,
                    ('|', false) => Join::Pipe,
                    ('&', true) => Join::And,
                    // Part of `2>&1`.
                    ('&', false) => continue,
                    _ => Join::Then,
                };
                pieces.push((&line[from..at], join));
                from = at + if double { 2 } else { 1 };
            }
            _ => {}
        }
    }
    pieces.push((&line[from..], Join::Then));
    pieces.retain(|(piece, _)| !piece.trim().is_empty());
    pieces
}

/// Splits a command line into words as a shell does, quotes and backslashes understood.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    let escaped = if c == '\\' { chars.next() } else { None };
                    word.push(escaped.unwrap_or(c));
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        assert_eq!(
            words(r#"sh -c 'echo "a  b"; it'\''s' "c\"d" e\ f ''"#),
            ["sh", "-c", "echo \"a  b\"; it's", "c\"d", "e f", ""]
        );
    }

    #[test]
    fn a_line_is_taken_apart_where_no_quote_holds_it_together() {
        let line = "qm list | grep 'a;b|c' && echo \"x;y\" 2>&1; echo $(one; two) || true";
        let expected = [
            ("qm list ", Join::Pipe),
            (" grep 'a;b|c' ", Join::And),
            (" echo \"x;y\" 2>&1", Join::Then),
            (" echo $(one; two) ", Join::Or),
            (" true", Join::Then),
        ];
        assert_eq!(pieces(line), expected);
    }
}
