//! The join page: one form, no script, readable on a phone and by a screen reader.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use crate::{
    domain::{MachineState, workshop::Service},
    service::join::Joined,
};

/// Contrast is 7 : 1 or better in light and in dark, and what is touched is 44 pixels high.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#59636e;--mark:#0b57a4;--on:#fff;--bad:#a3121b}\
@media(prefers-color-scheme:dark){:root{--ink:#eef1f4;--paper:#12161b;--line:#9aa5b1;--mark:#8cc2ff;--on:#0b1016;--bad:#ffa198}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--paper);color:var(--ink);font:1.125rem/1.5 system-ui,sans-serif}\
main{max-width:28rem;margin:0 auto;padding:1.5rem 1rem}\
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 1.5rem}\
label{display:block;font-weight:600;margin-top:1.25rem}\
.hint{margin:.15rem 0 .4rem;font-size:1rem}\
input{width:100%;min-height:44px;padding:.5rem .7rem;font:inherit;color:inherit;background:transparent;border:2px solid var(--line);border-radius:.4rem}\
#code{letter-spacing:.2em;text-transform:uppercase}\
#code:placeholder-shown{text-transform:none}\
input[aria-invalid=true]{border-color:var(--bad)}\
.problem{color:var(--bad);font-weight:600;margin:.15rem 0 .4rem}\
button,.open{display:block;width:100%;min-height:48px;margin-top:1.5rem;padding:.65rem 1rem;font:inherit;font-weight:600;text-align:center;\
text-decoration:none;color:var(--on);background:var(--mark);border:2px solid var(--mark);border-radius:.4rem;cursor:pointer}\
.open.other{color:var(--mark);background:transparent;margin-top:.75rem}\
a:not(.open){color:var(--mark)}\
:focus-visible{outline:3px solid var(--mark);outline-offset:3px}";

/// What a browser may do with the page: show it with its own style, and send its form back here.
pub static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
});

/// What went wrong with what was typed, at the field it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    Code(String),
    Name(String),
    /// With neither: it may be sent again as it is.
    Neither(String),
}

/// The form, with what was typed before.
pub fn form(code: &str, name: &str, problem: Option<&Problem>) -> String {
    let (at_code, at_name, above) = match problem {
        Some(Problem::Code(why)) => (Some(why), None, String::new()),
        Some(Problem::Name(why)) => (None, Some(why), String::new()),
        Some(Problem::Neither(why)) => {
            (None, None, format!("<p class=\"problem\" role=\"alert\">{}</p>\n", escaped(&sentence(why))))
        }
        None => (None, None, String::new()),
    };
    let wrong = |id: &str, why: Option<&String>| match why {
        Some(why) => (
            format!("<p class=\"problem\" id=\"{id}-problem\" role=\"alert\">{}</p>\n", escaped(&sentence(why))),
            format!(" aria-invalid=\"true\" aria-describedby=\"{id}-problem {id}-hint\" autofocus"),
        ),
        None => (String::new(), format!(" aria-describedby=\"{id}-hint\"")),
    };
    let ((code_problem, code_marks), (name_problem, name_marks)) = (wrong("code", at_code), wrong("name", at_name));
    let (code, name) = (escaped(code), escaped(name));
    let body = format!(
        "<h1>Join a workshop</h1>
{above}<form method=\"post\" action=\"/join\">
<label for=\"code\">Code</label>
<p class=\"hint\" id=\"code-hint\">Six letters and digits, from your teacher.</p>
{code_problem}<input id=\"code\" name=\"code\" value=\"{code}\" required maxlength=\"16\" autocomplete=\"off\" \
autocapitalize=\"characters\" spellcheck=\"false\"{code_marks}>
<label for=\"name\">Your name</label>
<p class=\"hint\" id=\"name-hint\">Come back with the same name to get the same seat.</p>
{name_problem}<input id=\"name\" name=\"name\" value=\"{name}\" required maxlength=\"40\" autocomplete=\"name\" \
spellcheck=\"false\"{name_marks}>
<button type=\"submit\">Join</button>
</form>"
    );
    page(if problem.is_some() { "Error: join a workshop" } else { "Join a workshop" }, &body)
}

/// Somebody's seat, and what opens it.
pub fn seat(joined: &Joined, state: MachineState) -> String {
    let (person, seat, lab) = (escaped(joined.person.as_str()), &joined.seat, &joined.lab);
    let greeting = if joined.again { "Welcome back" } else { "Welcome" };
    let waiting = match state {
        MachineState::Ready => String::new(),
        MachineState::Planned | MachineState::Working => {
            "<p role=\"status\">Your seat is being prepared. If it does not open yet, try again in a minute.</p>\n"
                .to_owned()
        }
        _ => "<p class=\"problem\" role=\"alert\">Your seat is not ready. Tell your teacher if it does not open.</p>\n"
            .to_owned(),
    };
    let mut body =
        format!("<h1>{greeting}, {person}</h1>\n<p>You have <strong>{seat}</strong> of {lab}.</p>\n{waiting}");
    for (n, (service, link)) in joined.links.all().enumerate() {
        let (class, what) = match (n, service) {
            (0, _) => ("open", "Open the terminal"),
            (_, Service::Files) => ("open other", "Open the files"),
            _ => ("open other", "Open the browser"),
        };
        body.push_str(&format!("<p><a class=\"{class}\" href=\"{}\">{what}</a></p>\n", escaped(link)));
    }
    body.push_str("<p>These links are yours alone: whoever has one has your seat. To get them again, join with the same code and name.</p>");
    page(&format!("{seat} of {lab}"), &body)
}

/// A page that only says something.
pub fn plain(title: &str, words: &str) -> String {
    let body = format!(
        "<h1>{}</h1>\n<p role=\"alert\">{}</p>\n<p><a href=\"/\">Join a workshop</a></p>",
        escaped(title),
        escaped(&sentence(words))
    );
    page(title, &body)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
",
        escaped(title)
    )
}

/// With a capital and a full stop.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if words.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// Text that stays text, between tags and in quotes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_comes_back_as_text() {
        let text = form("\"><script>", "<b>Ada & co</b>", Some(&Problem::Code("no workshop has this code".to_owned())));
        assert!(!text.contains("<script") && !text.contains("<b>"), "{text}");
        assert!(text.contains("&lt;b&gt;Ada &amp; co&lt;/b&gt;"), "{text}");
    }

    #[test]
    fn an_error_stands_at_its_field_and_in_the_title() {
        let text = form("K7M3QX", "Ada", Some(&Problem::Name("write your name".to_owned())));
        assert!(text.contains("<title>Error: join a workshop</title>"));
        assert!(text.contains("id=\"name-problem\" role=\"alert\">Write your name.</p>"), "{text}");
        assert!(text.contains("aria-invalid=\"true\" aria-describedby=\"name-problem name-hint\" autofocus"), "{text}");
        assert!(!text.contains("code-problem"));
        assert!(form("", "", None).contains("<html lang=\"en\">"));
    }
}
