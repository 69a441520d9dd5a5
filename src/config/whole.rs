//! Everything that is wrong with a document, told at once: what was complained of is put aside, and the rest is read on.
//!
//! Only ever reads. What is put aside or stands in for what is missing is never part of a value that is given out.

use std::borrow::Cow;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError,
    reader::{Document, Hint},
};

/// More is not told at once: it would scroll what matters out of sight.
const MOST: usize = 20;

/// Puts a key right that a document of this kind has no example for; says whether it did.
pub(super) type Mend<'m> = dyn Fn(&mut DeTable<'_>, &str) -> bool + 'm;

/// What `read` makes of the document, else everything it complains of, in the order of the lines.
pub(super) fn read<'t, T>(
    document: &mut Document<'t>,
    mend: &Mend<'_>,
    read: impl Fn(&Document<'t>) -> Result<T, ConfigError>,
) -> Result<T, ConfigError> {
    let (mut found, mut keys): (Vec<ConfigError>, Vec<String>) = (Vec::new(), Vec::new());
    while found.len() < MOST {
        let error = match read(document) {
            Ok(value) if found.is_empty() => return Ok(value),
            Ok(_) => break,
            Err(error) => error,
        };
        let Some(key) = error.key().map(str::to_owned) else {
            found.push(error);
            break;
        };
        // What still does not do once it was put right says nothing new.
        if keys.contains(&key) {
            break;
        }
        // A table that lacks what was complained of and put aside.
        let within = |known: &String| known.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.'));
        if !keys.iter().any(within) {
            found.push(error);
        }
        let read_on = put_right(document, &key, mend);
        keys.push(key);
        if !read_on {
            break;
        }
    }
    found.sort_by_key(|error| error.line().unwrap_or(usize::MAX));
    Err(ConfigError::together(found))
}

/// Takes what stands at `key` away: under the name that was meant, or with an example in its place, if there are any.
/// A list goes as a whole.
fn put_right(document: &mut Document<'_>, key: &str, mend: &Mend<'_>) -> bool {
    let hint = document.hint(key);
    let Some(root) = document.root_mut() else { return false };
    if mend(root, key) {
        return true;
    }
    let (mut table, mut rest) = (root, key);
    while let Some(name) = first_of(table, rest) {
        let Some(below) = rest.get(name.len() + 1..) else { break };
        if !table.get(name.as_str()).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_))) {
            return table.remove(name.as_str()).is_some();
        }
        let Some(DeValue::Table(inner)) = table.get_mut(name.as_str()).map(Spanned::get_mut) else { return false };
        (table, rest) = (inner, below);
    }
    if rest.contains('.') && !table.contains_key(rest) {
        return false;
    }
    let old = table.remove_entry(rest);
    let span = old.as_ref().map_or(0..0, |(key, _)| key.span());
    match (hint, old) {
        (Some(Hint::Meant(name)), Some((_, value))) => {
            if !table.contains_key(name) {
                table.insert(Spanned::new(span, Cow::Borrowed(name)), value);
            }
            true
        }
        (Some(Hint::Example(example)), _) => {
            let Ok(value) = DeValue::parse(example) else { return false };
            table.insert(Spanned::new(span, Cow::Owned(rest.to_owned())), value);
            true
        }
        (_, old) => old.is_some(),
    }
}

/// The key of the table that a path begins with. One that was quoted may have dots of its own.
fn first_of(table: &DeTable<'_>, path: &str) -> Option<String> {
    let begins = |key: &&str| path == *key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    table.keys().map(|key| key.get_ref().as_ref()).filter(begins).max_by_key(|key| key.len()).map(str::to_owned)
}

/// Puts a value into a table.
pub(super) fn put(root: &mut DeTable<'_>, key: &'static str, value: DeValue<'static>) {
    root.insert(Spanned::new(0..0, Cow::Borrowed(key)), Spanned::new(0..0, value));
}
