//! Takes a command line apart into words and operators, as a shell does.

#[derive(Clone, Debug, PartialEq)]
/// A word or an operator.
pub enum Token {
    /// A word in its parts.
    Word(Vec<Piece>),
    /// An operator.
    Op(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
/// A part of a word.
pub enum Piece {
    /// As it stands.
    Text(String),
    /// `$name`
    Var { name: String, quoted: bool },
    /// `$(line)`
    Command { line: String, quoted: bool },
}

const OPERATORS: [&str; 10] = ["&&", "||", "2>&1", ">&2", "1>&2", ">>", "2>", ">", "<", "|"];
/// Takes a line apart.
///
/// # Errors
/// The shell's words for what is wrong with it.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text;
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let Some(first) = rest.chars().next() else { return Ok(all) };
        if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            all.push(Token::Op(";"));
            continue;
        }
        if matches!(first, ';' | '\n') {
            all.push(Token::Op(";"));
            rest = &rest[1..];
            continue;
        }
        if let Some(op) = OPERATORS.iter().find(|op| rest.starts_with(**op)) {
            all.push(Token::Op(op));
            rest = &rest[op.len()..];
            continue;
        }
        if matches!(first, '(' | ')' | '&') {
            return Err(format!("\"{first}\" unexpected"));
        }
        let (pieces, after) = word(rest)?;
        all.push(Token::Word(pieces));
        rest = after;
    }
}

fn word(text: &str) -> Result<(Vec<Piece>, &str), String> {
    let mut pieces = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut quoted = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                push(&mut pieces, "");
            }
            '\'' if !quoted => {
                let end = text[at + 1..].find('\'').ok_or("Unterminated quoted string")?;
                push(&mut pieces, &text[at + 1..at + 1 + end]);
                while chars.peek().is_some_and(|(next, _)| *next <= at + 1 + end) {
                    chars.next();
                }
            }
            '\\' => {
                if let Some((_, next)) = chars.next() {
                    if quoted && !matches!(next, '"' | '\\' | '$' | '`') {
                        push(&mut pieces, "\\");
                    }
                    push(&mut pieces, next.encode_utf8(&mut [0; 4]));
                }
            }
            '$' => {
                let after = &text[at + 1..];
                let (piece, used) = dollar(after, quoted)?;
                pieces.push(piece);
                while chars.peek().is_some_and(|(next, _)| *next < at + 1 + used) {
                    chars.next();
                }
            }
            ' ' | '\t' | '\n' | ';' | '|' | '&' | '>' | '<' | '(' | ')' if !quoted => {
                return Ok((pieces, &text[at..]));
            }
            c => push(&mut pieces, c.encode_utf8(&mut [0; 4])),
        }
    }
    if quoted {
        return Err("Unterminated quoted string".into());
    }
    Ok((pieces, ""))
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        last.push_str(text);
    } else {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// What follows a `$`: the piece and how many bytes it took.
fn dollar(after: &str, quoted: bool) -> Result<(Piece, usize), String> {
    if let Some(inner) = after.strip_prefix('(') {
        let mut depth = 1;
        for (at, c) in inner.char_indices() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            if depth == 0 {
                return Ok((Piece::Command { line: inner[..at].to_owned(), quoted }, at + 2));
            }
        }
        return Err("end of file unexpected (expecting \")\")".into());
    }
    if let Some(inner) = after.strip_prefix('{') {
        let end = inner.find('}').ok_or("Bad substitution")?;
        return Ok((Piece::Var { name: inner[..end].to_owned(), quoted }, end + 2));
    }
    if after.starts_with(['?', '$']) {
        return Ok((Piece::Var { name: after[..1].to_owned(), quoted }, 1));
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
    if end == 0 {
        return Ok((Piece::Text("$".into()), 0));
    }
    Ok((Piece::Var { name: after[..end].to_owned(), quoted }, end))
}
