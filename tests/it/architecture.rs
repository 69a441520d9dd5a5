//! The house's plan, checked: which room may know which, how long a file may be, and that each says what it is for.
//!
//! A room is a folder or file right under `src`. What stands under `#[cfg(test)]` is free to look around.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Each room, and what it may import. `wire` also takes the engine's and the monitor's settings, by name.
const ROOMS: [(&str, &[&str]); 17] = [
    ("domain", &[]),
    ("config", &["domain"]),
    ("port", &["domain"]),
    ("backend", &["domain", "config", "port"]),
    ("store", &["domain", "config", "port"]),
    ("deploy", &["domain", "port"]),
    ("monitor", &["domain", "port"]),
    ("service", &["domain", "port", "deploy", "monitor"]),
    ("app", &["domain"]),
    ("tui", &["domain", "config", "app"]),
    ("cli", &["domain", "config", "service", "wire"]),
    ("runtime", &["app", "domain", "service"]),
    ("serve", &["domain", "service"]),
    ("wire", &["config", "port", "backend", "store", "service", "domain", "deploy::Tuning", "monitor::Pace"]),
    ("telemetry", &["config"]),
    ("sim", &[]),
    ("demo", &["cli", "config", "domain", "service", "sim", "wire"]),
];

/// The binary's own files, and what of the library each may import.
const BINARY: [(&str, &[&str]); 3] = [
    ("main", &["config", "cli", "tui", "runtime", "serve", "wire", "sim", "telemetry", "demo"]),
    ("dashboard", &["app", "cli", "config", "domain", "runtime", "service", "tui"]),
    ("welcome", &["app", "cli", "config", "domain", "service", "telemetry", "tui", "wire"]),
];

/// Lines of a file, its tests not counted.
const LONGEST: usize = 450;

#[test]
fn no_room_imports_what_its_row_does_not_list() {
    let mut wrong = BTreeSet::new();
    for file in files(&source()) {
        let room = room(&file);
        let (root, allowed) = match (find(&ROOMS, &room), find(&BINARY, &room)) {
            (Some(allowed), _) => ("crate", allowed),
            (_, Some(allowed)) => ("homeroom", allowed),
            _ if room == "lib" => continue,
            _ => panic!("{} is in no room of the table", file.display()),
        };
        for path in imports(&code(&file), root) {
            let other = path.split("::").next().unwrap_or_default();
            let is_allowed = other == room || allowed.iter().any(|one| *one == other || path.starts_with(one));
            // `dashboard` is a module of the binary.
            if !is_allowed && (root == "crate" || other != "self") {
                wrong.insert(format!("{} imports {path}", shown(&file)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_backend_knows_another() {
    let folder = source().join("backend");
    for file in files(&folder) {
        let Some(own) = file.strip_prefix(&folder).unwrap().iter().next().and_then(|part| part.to_str()) else {
            continue;
        };
        for path in imports(&code(&file), "crate") {
            if let Some(other) = path.strip_prefix("backend::") {
                assert!(other.starts_with(own.trim_end_matches(".rs")), "{} imports {path}", shown(&file));
            }
        }
    }
}

#[test]
fn every_room_of_the_table_is_there_and_every_file_is_in_the_library_or_the_binary() {
    for (room, _) in ROOMS.iter().chain(&BINARY) {
        let (file, folder) = (source().join(format!("{room}.rs")), source().join(room).join("mod.rs"));
        assert!(file.exists() || folder.exists(), "there is no room {room}");
    }
    let library = fs::read_to_string(source().join("lib.rs")).unwrap();
    for (room, _) in ROOMS {
        assert!(library.contains(&format!("mod {room};")), "{room} is not in lib.rs");
    }
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_too_long() {
    for file in files(&source()).into_iter().chain(files(&tests())) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not begin by saying what it is for", shown(&file));
    }
    for file in files(&source()) {
        let lines = code(&file).lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines; take it apart", shown(&file));
    }
}

#[test]
fn every_integration_test_is_part_of_the_one_binary() {
    let main = fs::read_to_string(tests().join("main.rs")).unwrap();
    for entry in fs::read_dir(tests()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_some_and(|end| end == "rs") && name != "main" {
            assert!(main.contains(&format!("\nmod {name};")), "{name} is not declared, so it is never run");
        }
    }
    let declared: Vec<_> = main.lines().filter(|line| line.starts_with("mod ")).collect();
    assert!(declared.is_sorted(), "alphabetically: {declared:?}");
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")
}

fn shown(file: &Path) -> String {
    file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string()
}

fn find(table: &[(&str, &'static [&'static str])], room: &str) -> Option<&'static [&'static str]> {
    table.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed)
}

/// `src/deploy/class/clone.rs` and `src/deploy.rs` are both in `deploy`.
fn room(file: &Path) -> String {
    let inside = file.strip_prefix(source()).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every Rust file below a folder but those that are test modules of their own.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut tests = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                tests.extend(test_modules(&path));
                found.push(path);
            }
        }
    }
    found.retain(|path| {
        !path.ancestors().any(|above| tests.contains(above) || tests.contains(&above.with_extension("")))
    });
    assert!(!found.is_empty(), "no source below {}", folder.display());
    found.sort();
    found
}

/// Where the modules lie that a file declares for tests only, without their ending.
fn test_modules(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).unwrap();
    let folder = match file.file_stem().and_then(|name| name.to_str()) {
        Some("mod" | "lib" | "main") => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
        let name = pair[1].trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
        name.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.map(|name| folder.join(name)).collect()
}

/// A file without comments and without what stands under `#[cfg(test)]`.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let bare = line.trim();
        if bare == "#[cfg(test)]" {
            let indent = line.len() - bare.len();
            // rustfmt closes an item where it begins.
            let ends = |line: &str| {
                line.len() - line.trim_start().len() == indent && (line.ends_with('}') || line.ends_with(';'))
            };
            let _ = lines.find(|line| ends(line));
        } else if !bare.starts_with("//") || bare.starts_with("//!") {
            kept.push_str(if bare.starts_with("//!") { "" } else { line });
            kept.push('\n');
        }
    }
    kept
}

/// The paths that begin at `root`, the groups of `use` taken apart as far as their first two names.
fn imports(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let start = format!("{root}::");
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group).iter().flat_map(|member| first_two(member))),
            None => found.extend(first_two(rest)),
        }
    }
    found
}

/// The members of a group that has been opened.
fn members(group: &str) -> Vec<String> {
    let mut members = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => members.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                if let Some(member) = members.last_mut() {
                    member.push(c);
                }
            }
        }
    }
    members.into_iter().map(|member| member.trim().to_owned()).filter(|member| !member.is_empty()).collect()
}

/// `a::b` of `a::b::c`, and each `a::x` of `a::{x, y}`.
fn first_two(path: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let first = name(path);
    match path[first.len()..].strip_prefix("::") {
        Some(rest) => match rest.strip_prefix('{') {
            Some(group) => members(group).iter().map(|member| format!("{first}::{}", name(member))).collect(),
            None => vec![format!("{first}::{}", name(rest))],
        },
        None => vec![first],
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let code = "use crate::{\n    a::{B, c::D},\n    e,\n};\nfn f() { crate::g::h(); not_crate::x(); }";
    let found: BTreeMap<_, _> = imports(code, "crate").into_iter().map(|path| (path, ())).collect();
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["a::B", "a::c", "e", "g::h"]);
}
