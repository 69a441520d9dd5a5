//! A small honest shell: words, quotes, variables, `;` `&&` `||` `|`, redirections, `$(…)`. What it
//! does not know it says it does not know.

use std::collections::BTreeMap;

use super::Inside;
use super::lexer::{Piece, Token, tokens};
use super::{files, programs};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With a code.
    Code(i32),
    /// Killed by a signal.
    Signal(i32),
}

impl Exit {
    /// As `$?` shows it.
    pub fn status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
    /// The end.
    pub exit: Exit,
    /// Modelled milliseconds it took.
    pub takes: u64,
}

impl Output {
    /// Nothing said, with this code.
    pub fn code(code: i32) -> Self {
        Self { out: Vec::new(), err: Vec::new(), exit: Exit::Code(code), takes: 0 }
    }

    /// Said this, and went well.
    pub fn said(text: impl Into<Vec<u8>>) -> Self {
        Self { out: text.into(), ..Self::code(0) }
    }

    /// Complained.
    pub fn complaint(code: i32, text: impl Into<String>) -> Self {
        Self { err: text.into().into_bytes(), ..Self::code(code) }
    }
}

/// There is no such program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// A shell somebody is in.
#[derive(Clone, Debug)]
pub struct Session {
    /// The user.
    pub user: String,
    /// The current folder.
    pub folder: String,
    /// Variables.
    pub vars: BTreeMap<String, String>,
    /// The last exit status.
    pub status: i32,
    /// Modelled milliseconds since the guest was up.
    pub uptime: u64,
    /// Modelled unix seconds.
    pub unix: i64,
    /// Is cloud-init through?
    pub settled: bool,
    /// Set by `exit`.
    pub left: Option<i32>,
}

impl Session {
    /// A fresh shell of a user.
    pub fn new(user: &str) -> Self {
        let home = if user == "root" { "/root".into() } else { format!("/home/{user}") };
        let vars = [
            ("HOME", home.as_str()),
            ("USER", user),
            ("LOGNAME", user),
            ("SHELL", "/bin/bash"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("LANG", "C.UTF-8"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        Self { user: user.into(), folder: home, vars, status: 0, uptime: 0, unix: 0, settled: true, left: None }
    }
}

const KEYWORDS: [&str; 10] = ["if", "for", "while", "until", "case", "function", "{", "(", "select", "!"];

/// Runs a program as the agent or `exec` does: no shell in between.
///
/// # Errors
/// When there is no such program.
pub fn exec(inside: &mut Inside, session: &mut Session, argv: &[String], stdin: &[u8]) -> Result<Output, Missing> {
    let Some(program) = argv.first() else { return Err(Missing(String::new())) };
    let name = programs::resolve(program).ok_or_else(|| Missing(program.clone()))?;
    Ok(programs::run(inside, session, name, &argv[1..], stdin))
}

/// Runs one line (or several) as a shell does.
pub fn line(inside: &mut Inside, session: &mut Session, text: &str, stdin: &[u8]) -> Output {
    let tokens = match tokens(text) {
        Ok(tokens) => tokens,
        Err(what) => {
            session.status = 2;
            return Output::complaint(2, format!("sh: 1: Syntax error: {what}\n"));
        }
    };
    if let Some(word) = keyword(&tokens) {
        session.status = 2;
        return Output::complaint(2, format!("sh: 1: {word}: this small shell does not know it\n"));
    }
    let mut all = Output::code(0);
    let mut skip = false;
    let mut at = 0;
    while at < tokens.len() && session.left.is_none() {
        let end = tokens[at..]
            .iter()
            .position(|token| matches!(token, Token::Op(";" | "&&" | "||")))
            .map_or(tokens.len(), |offset| at + offset);
        if !skip && end > at {
            let part = pipeline(inside, session, &tokens[at..end], stdin);
            session.status = part.exit.status();
            all.out.extend(part.out);
            all.err.extend(part.err);
            all.takes += part.takes;
            all.exit = part.exit;
            if matches!(part.exit, Exit::Signal(_)) {
                break;
            }
        }
        match tokens.get(end) {
            Some(Token::Op("&&")) => skip = session.status != 0,
            Some(Token::Op("||")) => skip = session.status == 0,
            _ => skip = false,
        }
        at = end + 1;
    }
    if let Some(code) = session.left {
        all.exit = Exit::Code(code);
    }
    all
}

/// A word of the grammar this shell leaves out, where a command should stand.
fn keyword(tokens: &[Token]) -> Option<&str> {
    tokens.iter().enumerate().find_map(|(at, token)| {
        let first = at == 0 || matches!(tokens[at - 1], Token::Op(";" | "&&" | "||" | "|"));
        match token {
            Token::Word(pieces) if first => match &pieces[..] {
                [Piece::Text(word)] => KEYWORDS.contains(&word.as_str()).then_some(word.as_str()),
                _ => None,
            },
            _ => None,
        }
    })
}

fn pipeline(inside: &mut Inside, session: &mut Session, tokens: &[Token], stdin: &[u8]) -> Output {
    let mut input = stdin.to_vec();
    let mut all = Output::code(0);
    for part in tokens.split(|token| *token == Token::Op("|")) {
        let done = command(inside, session, part, &input);
        all.err.extend(&done.err);
        all.takes += done.takes;
        all.exit = done.exit;
        input = done.out;
    }
    all.out = input;
    all
}

fn command(inside: &mut Inside, session: &mut Session, tokens: &[Token], stdin: &[u8]) -> Output {
    let mut words: Vec<String> = Vec::new();
    let mut redirects: Vec<(&'static str, String)> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Word(pieces) => words.extend(expand(inside, session, pieces)),
            Token::Op(op @ (">&2" | "1>&2" | "2>&1")) => redirects.push((op, String::new())),
            Token::Op(op) => {
                let Some(Token::Word(pieces)) = tokens.get(at) else {
                    return Output::complaint(2, "sh: 1: Syntax error: newline unexpected\n");
                };
                at += 1;
                redirects.push((op, expand(inside, session, pieces).join(" ")));
            }
        }
    }
    while let Some((name, value)) = words.first().and_then(|word| assignment(word)) {
        if words.len() == 1 {
            session.vars.insert(name, value);
            return Output::code(0);
        }
        words.remove(0);
    }
    let mut input = stdin.to_vec();
    for (_, file) in redirects.iter().filter(|(op, _)| *op == "<") {
        match files::read_file(inside, session, file) {
            Ok(bytes) => input = bytes,
            Err(why) => return Output::complaint(2, format!("sh: 1: cannot open {file}: {why}\n")),
        }
    }
    let mut done = match words.first() {
        None => Output::code(0),
        Some(word) => match programs::resolve(word) {
            Some(name) => programs::run(inside, session, name, &words[1..], &input),
            None => Output::complaint(127, format!("sh: 1: {word}: not found\n")),
        },
    };
    for (op, file) in redirects {
        match op {
            ">&2" | "1>&2" => {
                let out = std::mem::take(&mut done.out);
                done.err.extend(out);
            }
            "2>&1" => {
                let err = std::mem::take(&mut done.err);
                done.out.extend(err);
            }
            ">" | ">>" => {
                let bytes = std::mem::take(&mut done.out);
                files::write_file(inside, session, &file, bytes, op == ">>");
            }
            "2>" => {
                let bytes = std::mem::take(&mut done.err);
                files::write_file(inside, session, &file, bytes, false);
            }
            _ => {}
        }
    }
    done
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    good.then(|| (name.to_owned(), value.to_owned()))
}

fn expand(inside: &mut Inside, session: &mut Session, pieces: &[Piece]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut any = false;
    for piece in pieces {
        let (text, quoted) = match piece {
            Piece::Text(text) => {
                word.push_str(text);
                any = true;
                continue;
            }
            Piece::Var { name, quoted } => (variable(inside, session, name), *quoted),
            Piece::Command { line: text, quoted } => {
                let mut inner = session.clone();
                let out = line(inside, &mut inner, text, b"").out;
                (String::from_utf8_lossy(&out).trim_end_matches('\n').to_owned(), *quoted)
            }
        };
        if quoted {
            word.push_str(&text);
            any = true;
            continue;
        }
        let mut parts = text.split_whitespace().peekable();
        while let Some(part) = parts.next() {
            word.push_str(part);
            any = true;
            if parts.peek().is_some() {
                words.push(std::mem::take(&mut word));
                any = false;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

fn variable(inside: &Inside, session: &Session, name: &str) -> String {
    match name {
        "?" => session.status.to_string(),
        "$" => "4711".into(),
        "HOSTNAME" => inside.hostname.clone(),
        "PWD" => session.folder.clone(),
        _ => session.vars.get(name).cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> (String, String, i32) {
        let mut inside = Inside::new("ubuntu-22.04", [1; 32], [2; 32]);
        inside.hostname = "cs101-ada".into();
        let mut session = Session::new("root");
        let done = line(&mut inside, &mut session, text, b"");
        (
            String::from_utf8_lossy(&done.out).into_owned(),
            String::from_utf8_lossy(&done.err).into_owned(),
            done.exit.status(),
        )
    }

    #[test]
    fn output_errors_and_codes_come_out_as_they_should() {
        assert_eq!(say("echo out; echo err >&2; exit 3"), ("out\n".into(), "err\n".into(), 3));
        assert_eq!(say("false || echo saved").0, "saved\n");
        assert_eq!(say("false && echo never").0, "");
        assert_eq!(say("kill -9 $$").2, 137);
    }

    #[test]
    fn quotes_variables_and_substitution_work() {
        assert_eq!(say("x='a  b'; echo \"$x\" $x").0, "a  b a b\n");
        assert_eq!(say("echo \"I am $(hostname)\"").0, "I am cs101-ada\n");
        assert_eq!(say("printf '%s-%d\\n' a 3 | tr a b").0, "b-3\n");
    }

    #[test]
    fn what_is_missing_is_said_to_be_missing() {
        assert_eq!(say("nosuch").1, "sh: 1: nosuch: not found\n");
        assert_eq!(say("nosuch").2, 127);
        assert_eq!(say("for x in a; do echo; done").2, 2);
    }

    #[test]
    fn files_written_can_be_read() {
        assert_eq!(say("echo one > /tmp/f; echo two >> /tmp/f; cat /tmp/f").0, "one\ntwo\n");
    }
}
