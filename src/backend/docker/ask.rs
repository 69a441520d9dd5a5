//! Asking what listens on the loopback of an engine's host: from here, through a login there, or by a container.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    domain::{Clean, address::listened_on},
    port::{
        reach::{FarEnd, Reach},
        shell::{ShellOutput, ShellSession},
    },
};

/// A connection to the own host is there at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The status of the answer to `GET path` on a port of this host's loopback.
pub async fn here(port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
    let asked = async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| error.to_string())?;
        get(stream, path).await
    };
    timed(within, asked).await
}

/// The same on a port of another machine's loopback.
pub async fn through(reach: &dyn Reach, port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
    let asked = async {
        let stream = reach.connect(&FarEnd::Port(port)).await.map_err(|error| error.to_string())?;
        let stream = UnixStream::from_std(stream).map_err(|error| error.to_string())?;
        get(stream, path).await
    };
    timed(within, asked).await
}

async fn timed(within: Duration, asked: impl Future<Output = Result<u16, String>>) -> Result<u16, Clean> {
    match timeout(within, asked).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(why)) => Err(Clean::new(why)),
        Err(_) => Err(Clean::new(format!("no answer within {} s", within.as_secs()))),
    }
}

/// A line for the shell of a container on the host's network that asks in our place, with whatever its image has.
pub fn command(port: u16, path: &str, within: Duration) -> Vec<String> {
    let script = r#"u="http://127.0.0.1:$1$2"
if command -v curl >/dev/null 2>&1; then curl -s -o /dev/null -D - -m "$3" "$u"
elif command -v nc >/dev/null 2>&1; then printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" | nc -w "$3" 127.0.0.1 "$1" | head -n 1
elif command -v wget >/dev/null 2>&1; then wget -S -q -T "$3" -O /dev/null "$u" 2>&1
else echo "the image has neither curl, nc nor wget to ask with"; fi
true"#;
    let seconds = within.as_secs().max(1).to_string();
    ["sh", "-c", script, "sh", &port.to_string(), path, &seconds].map(str::to_owned).to_vec()
}

/// What such a line printed: the first status in it.
pub async fn printed(mut session: ShellSession, within: Duration) -> Result<u16, Clean> {
    let mut said = Vec::new();
    let listening = async {
        while let Some(piece) = session.output.recv().await {
            match piece {
                ShellOutput::Bytes(bytes) | ShellOutput::Stderr(bytes) => said.extend(bytes),
                ShellOutput::Exit(_) => return Ok(()),
                ShellOutput::Lost(why) => return Err(why),
            }
            said.truncate(MOST_SAID);
        }
        Ok(())
    };
    match timeout(within + CONNECT_WITHIN, listening).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(Clean::new(format!("no answer within {} s", within.as_secs()))),
    }
    let said = String::from_utf8_lossy(&said);
    let status = said.split("HTTP/1.").nth(1).and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    status.ok_or_else(|| {
        let line = said.lines().map(str::trim).find(|line| !line.is_empty());
        Clean::new(line.unwrap_or("the connection was ended without an answer: nothing listens there yet"))
    })
}

/// Read of what such a line prints, in bytes.
const MOST_SAID: usize = 8 << 10;

async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> Result<u16, String> {
    let words = |error: std::io::Error| error.to_string();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(words)?;
    let mut head = Vec::new();
    let mut piece = [0; 64];
    while !head.contains(&b'\n') && head.len() < 1024 {
        match stream.read(&mut piece).await.map_err(words)? {
            0 => break,
            read => head.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
    }
    // The engine itself takes connections for a port on which nobody listens inside, and ends them.
    if head.is_empty() {
        return Err("the connection was ended without an answer: nothing listens there yet".to_owned());
    }
    let line = String::from_utf8_lossy(&head);
    let line = line.lines().next().unwrap_or_default();
    let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    status.ok_or_else(|| format!("its answer is not HTTP: {:?}", line.chars().take(40).collect::<String>()))
}

/// Ports of another machine's loopback that take a connection.
pub async fn taken_there(reach: &dyn Reach, ports: &[u16]) -> Vec<u16> {
    let tries = ports.iter().map(|port| async move {
        let connected = timeout(THERE_WITHIN, reach.connect(&FarEnd::Port(*port))).await;
        matches!(connected, Ok(Ok(_))).then_some(*port)
    });
    join_all(tries).await.into_iter().flatten().collect()
}

/// All of them over one login.
const THERE_WITHIN: Duration = Duration::from_secs(15);

/// Ports of the loopback that take a connection.
pub async fn taken(ports: &[u16]) -> Vec<u16> {
    let tries = ports.iter().map(|port| async move {
        let connected = timeout(CONNECT_WITHIN, TcpStream::connect((Ipv4Addr::LOCALHOST, *port))).await;
        matches!(connected, Ok(Ok(_))).then_some(*port)
    });
    join_all(tries).await.into_iter().flatten().collect()
}

/// Ports somebody on this host listens on, on any of its addresses.
pub async fn listening() -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // Where there is no such table, the connections tell what they can.
        ports.extend(listened_on(&tokio::fs::read_to_string(table).await.unwrap_or_default()));
    }
    ports
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::net::TcpListener;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    async fn answering(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer).await;
        });
        port
    }

    #[tokio::test]
    async fn the_status_is_read_from_the_first_line() {
        let port = answering(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n").await;
        assert_eq!(here(port, "/", LONG).await, Ok(302));
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_a_word_is_no_answer() {
        let port = answering(b"").await;
        assert!(here(port, "/", LONG).await.unwrap_err().as_str().contains("nothing listens"));
        let port = answering(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        assert!(here(port, "/", LONG).await.unwrap_err().as_str().contains("not HTTP"));
    }

    #[tokio::test]
    async fn a_port_is_taken_while_somebody_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(taken(&[port]).await, [port]);
        drop(listener);
        assert!(taken(&[port]).await.is_empty());
    }

    #[tokio::test]
    async fn who_listens_on_another_address_only_is_seen_too() {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 7), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(taken(&[port]).await.is_empty());
        assert!(listening().await.contains(&port));
        drop(listener);
        assert!(!listening().await.contains(&port));
    }
}
