//! A terminal in a container, byte for byte.
//!
//! The client library takes whatever begins with a byte from 0 to 2 for the head of a frame, which a terminal's output
//! does not have: such a session would wait for ever. So it is begun here, over a connection of our own.

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::door::{Door, Stream};

/// The head of an answer is never longer, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// Starts a command that was prepared in a terminal. What is read from and written to the stream is the terminal's.
pub async fn start(door: &Door, version: &str, exec: &str) -> std::io::Result<Box<dyn Stream>> {
    let mut stream = door.connect().await?;
    let body = r#"{"Detach":false,"Tty":true}"#;
    let request = format!(
        "POST /v{version}/exec/{exec}/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // One by one: what follows the head is the terminal's.
        head.push(stream.read_u8().await?);
        if head.len() > LONGEST_HEAD {
            return Err(Error::new(ErrorKind::InvalidData, "the engine's answer has no end of its head"));
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if is_upgraded(&head) {
        return Ok(stream);
    }
    // It says why, and may keep the connection.
    let length = length(&head).min(LONGEST_HEAD);
    let mut words = vec![0; length];
    let _ = stream.read_exact(&mut words).await;
    let words = serde_json::from_slice::<serde_json::Value>(&words).ok();
    let words = words.as_ref().and_then(|words| words["message"].as_str());
    Err(Error::other(words.unwrap_or(head.lines().next().unwrap_or_default()).to_owned()))
}

fn is_upgraded(head: &str) -> bool {
    let status = head.split(' ').nth(1).unwrap_or_default();
    // Older engines answer 200 and send the same.
    status == "101" || (status == "200" && head.to_lowercase().contains("application/vnd.docker.raw-stream"))
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse().ok());
    length.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::net::UnixListener;

    use super::*;

    async fn answered(answer: &'static [u8]) -> std::io::Result<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
        });
        let mut stream = start(&Door::Socket(socket.display().to_string()), "1.41", "e1").await?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await?;
        Ok(said)
    }

    #[tokio::test]
    async fn what_follows_the_head_is_the_terminals_whatever_it_begins_with() {
        let said = answered(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n\x01\x00\x02raw").await;
        assert_eq!(said.unwrap(), b"\x01\x00\x02raw");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_engines_words() {
        let refused = b"HTTP/1.1 409 Conflict\r\nContent-Length: 31\r\n\r\n{\"message\":\"it does not run\"}  ";
        assert_eq!(answered(refused).await.unwrap_err().to_string(), "it does not run");
    }
}
