//! The text of a definition as a form changes it: one value at a time, everything else as it was written, comments
//! included. What the values mean is no matter of this file.

use super::fields::{Asked, STUDENTS};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// How a value is written in a field, and back in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Text,
    /// A number without a fraction.
    Whole,
    Decimal,
    /// `yes` or `no`.
    YesNo,
    /// Texts with commas between.
    Words,
    /// A number of students, or their names: two keys of which one stands there.
    Students,
    /// A name, or a number.
    NameOrNumber,
    /// A text, or a table as TOML writes it.
    TextOrTable,
    /// A program and its arguments, with blanks between.
    Command,
}

/// Tables that are written in one line.
const INLINE: [&str; 4] = ["ports", "browser", "proxy", "seat"];
/// A definition's text, taken apart.
#[derive(Debug, Clone)]
pub struct Document {
    toml: DocumentMut,
    /// New values are put in the order of these.
    order: &'static [Asked],
}

impl Document {
    /// Takes a text apart, or says what is wrong with it as TOML.
    pub fn parse(text: &str, order: &'static [Asked]) -> Result<Self, String> {
        match text.parse() {
            Ok(toml) => Ok(Self { toml, order }),
            Err(error) => {
                let line = error.span().map(|span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
                let place = line.map_or(String::new(), |line| format!(" (line {line})"));
                Err(format!("not valid TOML: {}{place}", error.message()))
            }
        }
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.toml.to_string()
    }

    /// What a field shows of a value; empty where there is none.
    pub fn get(&self, path: &str, shape: Shape) -> String {
        if shape == Shape::Students {
            return match self.toml.get("count") {
                Some(count) => shown(count, Shape::Whole),
                None => self.toml.get("students").map_or(String::new(), |names| shown(names, Shape::Words)),
            };
        }
        find(self.toml.as_table(), path).map_or(String::new(), |item| shown(item, shape))
    }

    /// Puts what was typed in a field where its value stands; nothing typed takes the value away. What is no value of
    /// its shape stands there as it was typed, for whoever checks the text.
    pub fn put(&mut self, path: &str, shape: Shape, typed: &str) {
        let (table, order) = (self.toml.as_table_mut(), self.order);
        if shape == Shape::Students {
            let is_count = typed.chars().all(|c| c.is_ascii_digit());
            let (kept, gone) = if is_count { ("count", "students") } else { ("students", "count") };
            put(table, ("", gone), None, order);
            let shape = if is_count { Shape::Whole } else { Shape::Words };
            return put(table, ("", kept), value(typed, shape), order);
        }
        put(table, ("", path), value(typed, shape), order);
    }

    /// The paths of every value, tables gone through; lists of tables only to the first table.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        gather(self.toml.as_table(), "", &mut found);
        found
    }

    /// How many entries the list there has.
    pub fn count(&self, path: &str) -> usize {
        match find(self.toml.as_table(), path) {
            Some(Item::ArrayOfTables(tables)) => tables.len(),
            Some(Item::Value(Value::Array(values))) => values.len(),
            _ => 0,
        }
    }
}

fn joined(above: &str, key: &str) -> String {
    if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") }
}

fn gather(table: &dyn TableLike, above: &str, found: &mut Vec<String>) {
    for (key, item) in table.iter() {
        let path = joined(above, key);
        match inside(item) {
            Some(table) => gather(table, &path, found),
            None => found.push(path),
        }
    }
}

/// The table an item is, or the first of the list of tables it is.
fn inside(item: &Item) -> Option<&dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.get(0).map(|table| table as &dyn TableLike),
        Item::Value(Value::Array(values)) => values.get(0)?.as_inline_table().map(|table| table as &dyn TableLike),
        item => item.as_table_like(),
    }
}

fn find<'t>(table: &'t dyn TableLike, path: &str) -> Option<&'t Item> {
    match path.split_once('.') {
        None => table.get(path),
        Some((key, rest)) => find(inside(table.get(key)?)?, rest),
    }
}

fn shown(item: &Item, shape: Shape) -> String {
    let Some(value) = item.as_value() else { return item.to_string().trim().to_owned() };
    let raw = || value.clone().decorated("", "").to_string();
    match (value, shape) {
        (Value::String(text), _) => text.value().clone(),
        (Value::Boolean(on), Shape::YesNo) => (if *on.value() { "yes" } else { "no" }).to_owned(),
        (Value::Array(items), Shape::Words | Shape::Command) => {
            let (apart, joined) = if shape == Shape::Words { (',', ", ") } else { (' ', " ") };
            let word = |item| Value::as_str(item).filter(|word| !word.is_empty() && !word.contains(apart));
            let words: Option<Vec<&str>> = items.iter().map(word).collect();
            words.map_or_else(raw, |words| words.join(joined))
        }
        _ => raw(),
    }
}

/// What was typed as a value; a text where it cannot be one of its shape.
fn value(typed: &str, shape: Shape) -> Option<Value> {
    let typed = typed.trim();
    if typed.is_empty() {
        return None;
    }
    let written = || typed.parse::<Value>().ok().map(|value| value.decorated("", ""));
    let made = match shape {
        Shape::Text | Shape::Students => None,
        Shape::Whole | Shape::NameOrNumber => typed.parse::<i64>().ok().map(Value::from),
        Shape::Decimal => {
            typed.parse::<i64>().ok().map(Value::from).or_else(|| typed.parse::<f64>().ok().map(Value::from))
        }
        Shape::YesNo => match typed {
            "yes" => Some(true.into()),
            "no" => Some(false.into()),
            _ => None,
        },
        Shape::Words | Shape::Command if typed.starts_with('[') => written().filter(Value::is_array),
        Shape::Words => Some(list(typed.split(',').map(str::trim).filter(|word| !word.is_empty()))),
        Shape::Command => Some(list(typed.split_whitespace())),
        Shape::TextOrTable if typed.starts_with('{') => written().filter(Value::is_inline_table),
        Shape::TextOrTable => None,
    };
    Some(made.unwrap_or_else(|| typed.into()))
}

fn list<'w>(words: impl Iterator<Item = &'w str>) -> Value {
    Value::Array(words.collect::<Array>())
}

/// Sets or removes one value; tables come and go with what they hold.
fn put(table: &mut dyn TableLike, (above, path): (&str, &str), value: Option<Value>, order: &[Asked]) {
    let Some((key, rest)) = path.split_once('.') else {
        let Some(mut value) = value else {
            table.remove(path);
            return;
        };
        if let Some(slot) = table.get_mut(path) {
            if let Some(old) = slot.as_value() {
                *value.decor_mut() = old.decor().clone();
            }
            *slot = Item::Value(value);
            return;
        }
        table.insert(path, Item::Value(value));
        return arrange(table, above, order);
    };
    if table.get(key).is_none_or(Item::is_none) {
        if value.is_none() {
            return;
        }
        table.insert(key, room(key));
        arrange(table, above, order);
    }
    let below = joined(above, key);
    let Some(item) = table.get_mut(key) else { return };
    match &mut *item {
        Item::ArrayOfTables(tables) => {
            if tables.is_empty() {
                tables.push(Table::new());
            }
            if let Some(first) = tables.get_mut(0) {
                put(first, (&below, rest), value, order);
                if first.is_empty() {
                    tables.remove(0);
                }
            }
        }
        Item::Value(Value::Array(values)) => {
            if values.is_empty() {
                values.push(InlineTable::new());
            }
            if let Some(first) = values.get_mut(0).and_then(Value::as_inline_table_mut) {
                put(first, (&below, rest), value, order);
                if first.is_empty() {
                    values.remove(0);
                }
            }
        }
        item => {
            if let Some(inner) = item.as_table_like_mut() {
                put(inner, (&below, rest), value, order);
            }
        }
    }
    let empty = match &*item {
        Item::ArrayOfTables(tables) => tables.is_empty(),
        Item::Value(Value::Array(values)) => values.is_empty(),
        item => item.as_table_like().is_some_and(|inner| inner.is_empty()),
    };
    if empty {
        table.remove(key);
    }
}

/// Where the first value below a key goes.
fn room(key: &str) -> Item {
    match key {
        "nic" => Item::ArrayOfTables(ArrayOfTables::new()),
        key if INLINE.contains(&key) => Item::Value(Value::InlineTable(InlineTable::new())),
        _ => Item::Table(Table::new()),
    }
}

/// Puts the key that came last where the order of the fields has it; what has no field stays behind it.
fn arrange(table: &mut dyn TableLike, above: &str, order: &[Asked]) {
    let below = |field: &Asked, path: &str| {
        field.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let place = |path: &str| order.iter().position(|field| below(field, path)).unwrap_or(order.len());
    let rank = |key: &str| match joined(above, key).as_str() {
        "kind" => 0,
        "count" => 2 + 2 * place(STUDENTS),
        // What single seats have differently, before what follows the machines.
        "machines" => 1 + 2 * place("placement"),
        path => 2 + 2 * place(path),
    };
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    let Some((newest, others)) = keys.split_last() else { return };
    let Some(at) = others.iter().position(|key| rank(key) > rank(newest)) else { return };
    // Those that belong behind it are taken out and put back, spelt as they were.
    for key in &others[at..] {
        let spelt = table.key(key).cloned();
        if let (Some(spelt), Some(item)) = (spelt, table.remove(key)) {
            table.entry_format(&spelt).or_insert(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fields::CLASS, *};

    const TEXT: &str = "# For the first term.\nkind = \"class\"\nname = \"cs101\" # as in the timetable\ncount = 10\n\n\
        [machine]\nmemory = \"4G\" # enough\n\n[machines.student-03]\nmemory = \"8G\"\n\n[rollcall]\nchecks = [[\"true\"]]\n";

    fn changed(changes: &[(&str, Shape, &str)]) -> String {
        let mut document = Document::parse(TEXT, CLASS).unwrap();
        changes.iter().for_each(|(path, shape, typed)| document.put(path, *shape, typed));
        document.text()
    }

    #[test]
    fn a_value_changes_and_everything_else_stays_as_it_was_written() {
        assert_eq!(changed(&[("machine.memory", Shape::Text, "6G")]), TEXT.replace("4G", "6G"));
        assert_eq!(changed(&[]), TEXT);
        let there_and_back = [("machine.cores", Shape::Whole, "2"), ("machine.cores", Shape::Whole, "")];
        assert_eq!(changed(&there_and_back), TEXT);
        let document = Document::parse(TEXT, CLASS).unwrap();
        assert_eq!(document.get("machine.memory", Shape::Text), "4G");
        assert_eq!(document.get("", Shape::Students), "10");
        assert!(document.paths().contains(&"machines.student-03.memory".to_owned()));
    }

    #[test]
    fn what_is_new_stands_where_a_person_would_have_written_it() {
        let text = changed(&[
            ("site", Shape::Text, "campus"),
            ("machine.nic.bridge", Shape::Text, "vmbr1"),
            ("machine.nic.vlan", Shape::Whole, "101"),
            ("machine.cores", Shape::Whole, "2"),
            ("placement.nodes", Shape::Words, "pve1, pve2"),
            ("", Shape::Students, "ada, grace"),
        ]);
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}"));
        assert!(
            place("name = ") < place("site = \"campus\"")
                && place("site = ") < place("students = [\"ada\", \"grace\"]")
        );
        assert!(!text.contains("count"), "{text}");
        assert!(place("[machine]") < place("cores = 2") && place("cores = 2") < place("memory = \"4G\" # enough"));
        assert!(place("[[machine.nic]]\nbridge = \"vmbr1\"\nvlan = 101\n") < place("[machines.student-03]"), "{text}");
        assert!(place("[machines.student-03]") < place("[placement]\nnodes = [\"pve1\", \"pve2\"]"), "{text}");
        assert!(place("[placement]") < place("[rollcall]"), "{text}");
    }

    #[test]
    fn what_is_no_value_of_its_kind_stands_there_as_it_was_typed() {
        let text = changed(&[
            ("machine.cores", Shape::Whole, "two \"big\" ones"),
            ("teacher", Shape::YesNo, "maybe"),
            ("rollcall.exec", Shape::Command, "uname -a"),
            ("cloud_init.password", Shape::TextOrTable, "{ env = \"PW\" }"),
            ("ports.terminal", Shape::Whole, "99"),
        ]);
        let document = Document::parse(&text, CLASS).unwrap();
        assert_eq!(document.get("machine.cores", Shape::Whole), "two \"big\" ones");
        assert_eq!(document.get("teacher", Shape::YesNo), "maybe");
        assert_eq!(document.get("rollcall.exec", Shape::Command), "uname -a");
        assert_eq!(document.get("cloud_init.password", Shape::TextOrTable), "{ env = \"PW\" }");
        assert!(text.contains("ports = { terminal = 99 }") && text.contains("exec = [\"uname\", \"-a\"]"), "{text}");
    }

    #[test]
    fn whatever_is_typed_comes_back_as_it_was_typed() {
        for nasty in ["\u{202e}evil", "a\\b\"c", "\'\'\'", "日本語", "{ x", "[", "# no comment", &"x".repeat(10_000)]
        {
            for shape in [Shape::Text, Shape::Whole, Shape::NameOrNumber, Shape::TextOrTable] {
                let text = changed(&[("machine.storage", shape, nasty)]);
                assert_eq!(Document::parse(&text, CLASS).unwrap().get("machine.storage", shape), nasty);
            }
        }
    }

    #[test]
    fn a_list_of_cards_is_changed_in_either_spelling() {
        for text in [
            "[machine]\nnic = [{ bridge = \"a\" }, { bridge = \"b\" }]\n",
            "[[machine.nic]]\nbridge = \"a\"\n[[machine.nic]]\nbridge = \"b\"\n",
        ] {
            let mut document = Document::parse(text, CLASS).unwrap();
            assert_eq!(
                (document.get("machine.nic.bridge", Shape::Text).as_str(), document.count("machine.nic")),
                ("a", 2)
            );
            document.put("machine.nic.bridge", Shape::Text, "c");
            assert_eq!(document.text(), text.replace("\"a\"", "\"c\""));
            document.put("machine.nic.bridge", Shape::Text, "");
            assert_eq!(document.get("machine.nic.bridge", Shape::Text), "b", "the next is the first now");
        }
    }
}
