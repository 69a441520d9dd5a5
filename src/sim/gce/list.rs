//! Lists: filters, pages and order, as all of them take.

use serde_json::{Value, json};

use super::answer::{Answer, error, invalid};

/// What a list was asked with.
#[derive(Debug, Default, Clone)]
pub struct Wish {
    filter: Vec<Clause>,
    most: usize,
    from: usize,
    newest_first: bool,
}

#[derive(Debug, Clone)]
struct Clause {
    path: Vec<String>,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Is(String),
    Not(String),
    Has,
    Matches(regex::Regex),
}

impl Wish {
    /// From the query's parameters.
    pub fn read(query: &[(String, String)]) -> Result<Self, Answer> {
        let mut wish = Self { most: 500, ..Self::default() };
        for (key, value) in query {
            match key.as_str() {
                "filter" if !value.is_empty() => wish.filter = clauses(value)?,
                "maxResults" => {
                    wish.most = match value.parse() {
                        Ok(most @ 0..=500) => most,
                        _ => return Err(invalid("maxResults", value, "Values must be within the range of [0, 500]")),
                    };
                }
                "pageToken" if !value.is_empty() => {
                    let from = value.strip_prefix("sim-page-").and_then(|at| at.parse().ok());
                    wish.from = from.ok_or_else(|| invalid("pageToken", value, "Invalid page token."))?;
                }
                "orderBy" if value == "creationTimestamp desc" => wish.newest_first = true,
                "orderBy" if !value.is_empty() && value != "name" => {
                    return Err(invalid("orderBy", value, "Sorting by this field is not supported."));
                }
                _ => {}
            }
        }
        // A page of nothing is as good as one of the default size.
        wish.most = if wish.most == 0 { 500 } else { wish.most };
        Ok(wish)
    }

    fn admits(&self, item: &Value) -> bool {
        self.filter.iter().all(|clause| {
            let found = clause.path.iter().try_fold(item, |value, key| value.get(key));
            let text = found.and_then(|value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Null => None,
                other => Some(other.to_string()),
            });
            match &clause.test {
                Test::Is(wanted) => text.as_deref() == Some(wanted),
                Test::Not(other) => text.as_deref() != Some(other),
                Test::Has => text.is_some(),
                Test::Matches(pattern) => text.is_some_and(|text| pattern.is_match(&text)),
            }
        })
    }

    /// One page of what is wished for, and the token of the next.
    pub fn page(&self, mut items: Vec<Value>) -> (Vec<Value>, Option<String>) {
        items.retain(|item| self.admits(item));
        if self.newest_first {
            items.reverse();
        }
        let left = items.len().saturating_sub(self.from + self.most);
        let page: Vec<Value> = items.into_iter().skip(self.from).take(self.most).collect();
        let next = (left > 0).then(|| format!("sim-page-{}", self.from + self.most));
        (page, next)
    }

    /// A list's answer.
    pub fn answer(&self, kind: &str, id: &str, link: &str, items: Vec<Value>) -> Value {
        let (page, next) = self.page(items);
        let mut body = json!({"kind": kind, "id": id, "selfLink": link});
        // An empty list has no items at all.
        if !page.is_empty() {
            body["items"] = json!(page);
        }
        if let Some(next) = next {
            body["nextPageToken"] = json!(next);
        }
        body
    }
}

fn clauses(text: &str) -> Result<Vec<Clause>, Answer> {
    let wrong = || {
        error(400, "invalid", format!("Invalid value for field 'filter': '{text}'. Invalid list filter expression."))
    };
    let flat = text.replace(['(', ')'], " ");
    let words = words(&flat);
    let mut out = Vec::new();
    let mut rest = words.as_slice();
    while let Some((first, after)) = rest.split_first() {
        if first.eq_ignore_ascii_case("and") {
            rest = after;
            continue;
        }
        if let Some(field) = first.strip_suffix(":*") {
            out.push(Clause { path: path(field), test: Test::Has });
            rest = after;
            continue;
        }
        let (field, sign, value, after) = match after {
            _ if first.contains('=') => {
                let (field, value) = first.split_once('=').ok_or_else(wrong)?;
                match field.strip_suffix('!') {
                    Some(field) => (field, "!=", value.to_owned(), after),
                    None => (field, "=", value.to_owned(), after),
                }
            }
            [sign, value, after @ ..] => (first.as_str(), sign.as_str(), value.clone(), after),
            _ => return Err(wrong()),
        };
        let test = match sign {
            "=" => Test::Is(value),
            "!=" => Test::Not(value),
            "eq" => Test::Matches(regex::Regex::new(&format!("^(?:{value})$")).map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        out.push(Clause { path: path(field), test });
        rest = after;
    }
    Ok(out)
}

fn path(field: &str) -> Vec<String> {
    field.split('.').map(str::to_owned).collect()
}

/// Words, those in double quotes whole and without them.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => {
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn wish(key: &str, value: &str) -> Wish {
        Wish::read(&[(key.to_owned(), value.to_owned())]).unwrap()
    }

    #[test]
    fn filters_compare_fields_and_look_for_labels() {
        let item = json!({"name": "a", "labels": {"homeroom": "1"}, "status": "RUNNING"});
        for (filter, admits) in [
            ("labels.homeroom:*", true),
            ("labels.homeroom = 1", true),
            ("labels.homeroom=2", false),
            ("(labels.homeroom = 1) (status = \"RUNNING\")", true),
            ("name=a AND status!=RUNNING", false),
            ("name eq b.*", false),
        ] {
            assert_eq!(wish("filter", filter).admits(&item), admits, "{filter}");
        }
        assert!(Wish::read(&[("filter".to_owned(), "name".to_owned())]).is_err());
    }

    #[test]
    fn pages_follow_each_other_by_token() {
        let items: Vec<Value> = (0..5).map(|n| json!({ "name": n })).collect();
        let (page, next) = wish("maxResults", "2").page(items.clone());
        assert_eq!((page.len(), next.as_deref()), (2, Some("sim-page-2")));
        let (page, next) = wish("pageToken", "sim-page-4").page(items);
        assert_eq!((page.len(), next), (1, None));
    }
}
