//! A text in the person's own editor: `VISUAL`, else `EDITOR`, else vi. The terminal is theirs meanwhile.

use std::io;

use tokio::process::Command;

/// What the text reads once the editor was left. The file is gone afterwards.
pub async fn edit(text: &str) -> io::Result<String> {
    let file = tempfile::Builder::new().prefix("homeroom-").suffix(".toml").tempfile()?;
    std::fs::write(file.path(), text)?;
    let chosen =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let line = chosen.unwrap_or_else(|| "vi".to_owned());
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program).args(words).arg(file.path()).status().await;
    let status = status
        .map_err(|error| io::Error::other(format!("the editor {program:?} cannot be started: {error}; set EDITOR")))?;
    if !status.success() {
        return Err(io::Error::other(format!("the editor ended with {status}; nothing was changed")));
    }
    std::fs::read_to_string(file.path())
}
