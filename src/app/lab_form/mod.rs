//! A lab's definition as a form: fields over its text. The text is what counts; a field changes its own value in it
//! and nothing else. Whether it will do is asked of whoever reads definitions, with every change.

pub mod choices;
pub mod document;
pub mod fields;
pub mod lines;
pub mod options;

use tui_input::Input;

use self::{
    document::{Document, Shape},
    fields::{Asked, CLASS, Offer, STUDENTS, WORKSHOP},
};
use super::{
    Command, State,
    form::{Field, Form, Kind},
};
use crate::domain::{Clean, LabName};

/// Which kind of lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabKind {
    Class,
    Workshop,
}

impl LabKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Workshop => "workshop",
        }
    }

    fn fields(self) -> &'static [Asked] {
        match self {
            Self::Class => CLASS,
            Self::Workshop => WORKSHOP,
        }
    }
}

/// Something wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key it is about, as a path; empty where it is about the whole.
    pub key: String,
    pub why: Clean,
}

/// A definition being filled in.
#[derive(Debug)]
pub struct LabForm {
    /// The lab it is the definition of; none for a new one.
    pub lab: Option<LabName>,
    pub kind: LabKind,
    pub form: Form<&'static str>,
    document: Document,
    /// The text as it was found.
    before: String,
    /// What is wrong that no field stands for.
    pub faults: Vec<Fault>,
    /// The newest text was looked at by whoever reads definitions.
    pub checked: bool,
    /// It is being looked at.
    pub asked: bool,
    /// The text is in front instead of the fields, where both have no room.
    pub shows_text: bool,
    /// What only a cloud needs is among the fields.
    cloud: bool,
    /// It was handed in, and the answer is awaited.
    pub saving: bool,
    /// The text for which what is doubtful was told at the first try to save it.
    pub(super) warned: Option<String>,
}

impl LabForm {
    /// A form over a text, or why there can be none.
    pub fn new(lab: Option<LabName>, text: String) -> Result<Self, Clean> {
        let document = Document::parse(&text, CLASS)?;
        let kind = match document.get("kind", Shape::Text).as_str() {
            "class" => LabKind::Class,
            "workshop" => LabKind::Workshop,
            _ => return Err("kind has to be \"class\" or \"workshop\"".into()),
        };
        let mut form = Self {
            lab,
            kind,
            form: Form::new(),
            document: Document::parse(&text, kind.fields())?,
            before: text,
            faults: Vec::new(),
            checked: false,
            asked: false,
            cloud: false,
            shows_text: false,
            saving: false,
            warned: None,
        };
        form.fill();
        Ok(form)
    }

    /// The text as it is now.
    pub fn text(&self) -> String {
        self.document.text()
    }

    pub fn is_changed(&self) -> bool {
        self.text() != self.before
    }

    /// Another text in place of it, as an editor left it; what was found at first stays what it is compared with.
    pub fn retyped(&mut self, text: String) -> Result<(), Clean> {
        let other = Self::new(self.lab.clone(), text)?;
        if other.kind != self.kind {
            return Err(format!(
                "it says kind = {:?} now; this is the form of a {}",
                other.kind.word(),
                self.kind.word()
            )
            .into());
        }
        let (at, insisted) = (self.form.at, self.form.insisted);
        (self.document, self.form) = (other.document, other.form);
        self.form.insisted = insisted;
        self.form.at = at.min(self.form.fields.len().saturating_sub(1));
        self.checked = false;
        Ok(())
    }

    /// Fields from the text. Those of a lab that has a name do not rename it.
    fn fill(&mut self) {
        let named = self.lab.is_some();
        let cloud = self.cloud || self.document.paths().iter().any(|path| Self::is_of_cloud(path));
        let asked = self.kind.fields().iter();
        let asked = asked.filter(|asked| !(named && asked.path == "name") && (cloud || !Self::is_of_cloud(asked.path)));
        self.form.fields = asked
            .map(|asked| {
                let value = self.document.get(asked.path, asked.shape);
                let mut field = Field::new(asked.path, asked.label, kind(asked), value, asked.hint);
                (field.group, field.empty) = (asked.group, asked.empty);
                field
            })
            .collect();
    }

    /// Asks for what only a cloud needs, or no longer.
    pub(super) fn on_cloud(&mut self, cloud: bool) {
        if self.cloud != cloud {
            self.cloud = cloud;
            let front = self.form.front().map(|field| field.key);
            self.fill();
            let at = self.form.fields.iter().position(|field| Some(field.key) == front);
            self.form.at = at.unwrap_or(0);
            self.checked = false;
        }
    }

    /// Whether the field in front is a list to be written, a name a line.
    pub fn is_list(&self) -> bool {
        let list =
            |asked: &Asked| matches!(asked.shape, Shape::Words | Shape::Students) && asked.offer == Offer::Nothing;
        self.asked().is_some_and(list)
    }

    /// How many are counted in the field in front, where a number stands for names.
    pub fn counted(&self) -> Option<u32> {
        self.form.front().filter(|_| self.is_list())?.input.value().trim().parse().ok()
    }

    /// What stands in a field.
    pub fn value(&self, path: &'static str) -> &str {
        self.form.value(path)
    }

    /// What the field in front asks for.
    pub fn asked(&self) -> Option<&'static Asked> {
        let front = self.form.front()?;
        self.kind.fields().iter().find(|asked| asked.path == front.key)
    }

    /// The field in front changed: so does its value in the text.
    pub fn typed(&mut self) {
        let Some(asked) = self.asked() else { return };
        let Some(field) = self.form.front() else { return };
        let typed = field.input.value().to_owned();
        // Typing what stands there already changes nothing, not even its spelling.
        if self.document.get(asked.path, asked.shape) != typed {
            self.document.put(asked.path, asked.shape, &typed);
            self.checked = false;
        }
    }

    /// Turns to the first field whose value may be wrong, with what is said of it.
    pub(super) fn turn_to_doubt(&mut self) -> Option<(&'static str, Clean)> {
        let (at, told) = self.form.fields.iter().enumerate().find_map(|(at, field)| {
            let doubt = field.doubt.clone()?;
            Some((at, (field.label, doubt)))
        })?;
        self.form.at = at;
        Some(told)
    }

    /// Puts a value in the field in front.
    pub fn choose(&mut self, value: &str) {
        if let Some(field) = self.form.fields.get_mut(self.form.at) {
            field.input = Input::new(value.to_owned());
        }
        self.typed();
    }

    /// What is wrong with the newest text: each told at its field, if one stands for it.
    pub fn judged(&mut self, faults: Vec<Fault>) {
        self.form.forgive();
        self.checked = true;
        self.faults.clear();
        for fault in faults {
            let fields = || self.form.fields.iter().map(|field| field.key);
            let under = |path: &str, above: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'));
            let key = if fault.key == "count" { STUDENTS } else { fault.key.as_str() };
            let of = fields().find(|path| *path == key);
            // What is said of a whole table names the value it is about.
            let named = |path: &&str| {
                let rest = fault.why.as_str().strip_prefix(*path);
                path.contains('.') && rest.is_some_and(|rest| rest.starts_with([' ', ':']))
            };
            let of = of.or_else(|| fields().find(named));
            let of = of.or_else(|| fields().find(|path| !key.is_empty() && (under(path, key) || under(key, path))));
            match of {
                Some(path) => {
                    let hint = self.form.fields.iter().find(|field| field.key == path).map_or("", |field| field.hint);
                    self.form.complain(path, shorter(&fault, path, hint));
                }
                None => self.faults.push(fault),
            }
        }
    }

    /// How many things are wrong.
    pub fn wrong(&self) -> usize {
        self.faults.len() + self.form.fields.iter().filter(|field| field.wrong.is_some()).count()
    }

    /// What the text says that no field stands for, by its path.
    pub fn kept(&self) -> Vec<String> {
        let asked = |path: &str| {
            let path = if path == "count" { STUDENTS } else { path };
            path == "kind" || self.kind.fields().iter().any(|asked| asked.path == path)
        };
        let mut kept: Vec<String> = self.document.paths().into_iter().filter(|path| !asked(path)).collect();
        // The name of a lab that has one is no field, and yet nothing to speak of.
        kept.retain(|path| path != "name");
        let cards = self.document.count("machine.nic");
        if cards > 1 {
            kept.push(format!("{} more network cards", cards - 1));
        }
        kept
    }

    /// Whether fields and text have room side by side on a screen of so many columns.
    pub fn shows_both(columns: u16) -> bool {
        columns >= 110
    }

    /// Whether the field is one of the tables only a cloud needs.
    pub fn is_of_cloud(path: &str) -> bool {
        path.starts_with("gce.")
    }
}

/// How a field is filled in; the choices come with what is seen of the sites.
fn kind(asked: &Asked) -> Kind {
    let many = asked.shape == Shape::Words;
    match asked.offer {
        Offer::Nothing => Kind::Text,
        Offer::Words(words) => {
            let free = asked.shape == Shape::TextOrTable;
            Kind::Choice { of: words.iter().map(|word| (*word).to_owned()).collect(), free, many: false }
        }
        Offer::Sites => Kind::Choice { of: Vec::new(), free: false, many: false },
        _ => Kind::Choice { of: Vec::new(), free: true, many },
    }
}

/// A complaint beside its field need not name it, nor tell how to write it in a file.
fn shorter(fault: &Fault, path: &str, hint: &str) -> Clean {
    let why = fault.why.as_str();
    if why.contains(" is missing; write ") {
        return format!("to be given: {hint}").into();
    }
    let of_key = why.strip_prefix(path);
    let rest = match of_key.and_then(|rest| rest.strip_prefix(": ").or_else(|| rest.strip_prefix(" is "))) {
        Some(rest) if of_key.is_some_and(|rest| rest.starts_with(": ")) => rest,
        Some(_) => why.find("; it must be ").map_or(why, |at| &why[at + 2..]),
        None if of_key.is_some_and(|rest| rest.starts_with(' ')) => why[path.len()..].trim_start(),
        None => why,
    };
    rest.into()
}

impl State {
    /// A click on a field of the form: it has the keys, and where it has them already, its choices open.
    pub(super) fn point_at_field(&mut self, at: usize) -> Option<Command> {
        let form = self.lab_form.as_mut().filter(|form| at < form.form.fields.len())?;
        let there = form.form.at == at;
        form.form.at = at;
        (there && form.has_options()).then_some(Command::OpenOptions)
    }
}
