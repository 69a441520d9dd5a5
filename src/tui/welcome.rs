//! The first run: what homeroom is in two lines, and one question at a time.

use ratatui::layout::Rect;

use super::{
    form,
    pen::{Page, wrap},
    theme::Tone,
};
use crate::{
    app::welcome::{Choice, Found, Step, Welcome},
    domain::Level,
};

/// Columns for the labels of fields and for what is said beside them.
const BESIDE: u16 = 30;
/// Wider lines are hard to read.
const WIDE: u16 = 96;

pub fn draw(page: &mut Page<'_>, area: Rect, welcome: &Welcome) {
    let width = area.width.saturating_sub(4).min(WIDE);
    let area = Rect { x: area.x + (area.width - width) / 2, width, ..area };
    let mut row = usize::from(area.height > 20);
    let mut say = |page: &mut Page<'_>, text: &str, tone: Tone| {
        for line in wrap(text, usize::from(width)) {
            page.line(area, row).put(&line, tone);
            row += 1;
        }
        if text.is_empty() {
            row += 1;
        }
    };
    match &welcome.step {
        Step::Choose => {
            say(page, "Welcome. Nothing is configured yet.", Tone::Title);
            say(page, "", Tone::Text);
            say(
                page,
                "homeroom deploys and watches the machines of a training lab: a class is cloned from a template, and a seat is green only once its login was seen to work.",
                Tone::Text,
            );
        }
        Step::Fill => {
            say(page, "A Proxmox VE cluster", Tone::Title);
            say(page, "Nothing is written before it was tried and you say so.", Tone::Dim);
        }
        Step::Trying(site) => {
            say(page, &format!("Trying {} …", site.api), Tone::Title);
            say(
                page,
                "Its certificate, its version, its nodes, and what the token may do. Nothing is changed there.",
                Tone::Dim,
            );
        }
        Step::Stranger { site, fingerprint } => {
            say(page, "Is this your cluster?", Tone::Title);
            say(
                page,
                &format!("{} shows a certificate that no authority of this computer vouches for:", site.api),
                Tone::Text,
            );
            say(page, "", Tone::Text);
            for part in halves(fingerprint) {
                say(page, part, Tone::Accent);
            }
            say(page, "", Tone::Text);
            say(
                page,
                "Compare it with what `pvenode cert info` prints on that node, or with Node > Certificates in the web interface. Nothing was sent to it yet.",
                Tone::Text,
            );
        }
        Step::Tried { site, findings } => {
            let errors = findings.iter().filter(|found| found.level == Level::Error).count();
            let (text, tone) = match errors {
                0 => (format!("{} answers.", site.api), Tone::Ok),
                1 => (format!("{}: 1 thing stands in the way.", site.api), Tone::Bad),
                n => (format!("{}: {n} things stand in the way.", site.api), Tone::Bad),
            };
            say(page, &text, tone);
        }
        Step::Written(files) => {
            say(page, "Written, readable by you alone:", Tone::Ok);
            for file in files {
                say(page, &format!("  {file}"), Tone::Text);
            }
            say(page, "", Tone::Text);
            say(
                page,
                "homeroom never writes there again: from here on it is yours to edit. `homeroom doctor` looks the site over again.",
                Tone::Text,
            );
        }
    }
    let choices = welcome.choices();
    let body = Rect { y: area.y + u16::try_from(row + 1).unwrap_or(0).min(area.height), ..area };
    let body = Rect { height: area.bottom().saturating_sub(body.y), ..body };
    match &welcome.step {
        Step::Fill => {
            // Beside each there is room to say what is wrong with it.
            let widest = usize::from(body.width.saturating_sub(BESIDE)).min(60);
            form::draw(page, body, &welcome.form, widest);
            let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
            page.line(last, 0).put(&format!("will be written to {}", welcome.file), Tone::Dim);
        }
        Step::Tried { findings, .. } => {
            let room = usize::from(body.height).saturating_sub(choices.len() + 1);
            let used = found(page, body, findings, room);
            menu(
                page,
                Rect { y: body.y + used + 1, height: body.height.saturating_sub(used + 1), ..body },
                welcome,
                &choices,
            );
        }
        _ => menu(page, body, welcome, &choices),
    }
}

/// A fingerprint is compared in two halves, each a line.
fn halves(fingerprint: &str) -> [&str; 2] {
    let middle = fingerprint.match_indices(':').nth(15).map_or(fingerprint.len(), |(at, _)| at + 1);
    [&fingerprint[..middle], &fingerprint[middle..]]
}

fn menu(page: &mut Page<'_>, area: Rect, welcome: &Welcome, choices: &[Choice]) {
    for (n, choice) in choices.iter().enumerate() {
        let front = n == welcome.chosen();
        if front {
            page.cursor_row(area, n);
        }
        let marker = if front { page.look.glyphs.cursor } else { " " };
        page.line(area, n).put(marker, Tone::Accent).skip(1).put(choice.text(), Tone::Text);
    }
}

/// What is told of one check, or of the same check on several nodes.
struct Told<'a> {
    level: Level,
    check: &'a str,
    what: String,
    mend: &'a str,
}

/// What was found, where only the names of nodes differ told as one: `pve1, pve2: no key`. The first one's mend stands
/// for all.
fn together<'a>(findings: &[&'a Found]) -> Vec<Told<'a>> {
    let mut out: Vec<(Vec<&str>, &str, Told<'a>)> = Vec::new();
    for found in findings {
        let what = found.what.as_str();
        let (name, rest) = what.split_once(": ").filter(|(name, _)| !name.contains(' ')).unwrap_or(("", what));
        let same = out.iter_mut().find(|(names, said, told)| {
            !name.is_empty() && !names.is_empty() && *said == rest && told.check == found.check.as_str()
        });
        match same {
            Some((names, ..)) => names.push(name),
            None => {
                let names = Some(name).filter(|name| !name.is_empty()).into_iter().collect();
                let told = Told {
                    level: found.level,
                    check: found.check.as_str(),
                    what: String::new(),
                    mend: found.mend.as_str(),
                };
                out.push((names, rest, told));
            }
        }
    }
    let worded = |(names, rest, told): (Vec<&str>, &str, Told<'a>)| match names.as_slice() {
        [] => Told { what: rest.to_owned(), ..told },
        names => Told { what: format!("{}: {rest}", names.join(", ")), ..told },
    };
    out.into_iter().map(worded).collect()
}

/// What was found: errors first, then what is well, then what may hurt later, each with what mends it; lines used.
fn found(page: &mut Page<'_>, area: Rect, findings: &[Found], room: usize) -> u16 {
    let rank = |found: &&Found| match found.level {
        Level::Error => 0,
        Level::Warning => 2,
        _ => 1,
    };
    let mut sorted: Vec<_> = findings.iter().collect();
    sorted.sort_by_key(rank);
    let sorted = together(&sorted);
    let mut row = 0;
    let text = usize::from(area.width).saturating_sub(CHECK + 4);
    for (n, found) in sorted.iter().enumerate() {
        let (sign, tone) = match found.level {
            Level::Error => (page.look.glyphs.failed, Tone::Bad),
            Level::Warning => ("!", Tone::Warn),
            _ => (page.look.glyphs.done, Tone::Ok),
        };
        let what = wrap(&found.what, text);
        let mend = wrap(found.mend, text);
        let needed = what.len().max(1) + mend.len();
        let left = sorted.len() - n;
        if row + needed > room.saturating_sub(usize::from(left > 1)) {
            page.line(area, row).skip(2).put(&format!("and {left} more, which `homeroom doctor` tells"), Tone::Dim);
            row += 1;
            break;
        }
        for (n, line) in what.iter().enumerate() {
            let mut pen = page.line(area, row);
            match n {
                0 => pen.put(sign, tone).skip(1).cell(found.check, CHECK, 1, Tone::Title),
                _ => pen.skip(CHECK + 2),
            };
            pen.put(line, Tone::Text);
            row += 1;
        }
        for line in &mend {
            page.line(area, row).skip(CHECK + 2).put(line, Tone::Dim);
            row += 1;
        }
    }
    u16::try_from(row).unwrap_or(u16::MAX)
}

/// The column of what was looked at.
const CHECK: usize = 15;
