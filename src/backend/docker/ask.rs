//! Asking what listens on this host's loopback.

use std::{net::Ipv4Addr, time::Duration};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::domain::Clean;

/// A connection to the own host is there at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// The status of the answer to `GET path` on a port of the loopback.
pub async fn status(port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
    match timeout(within, get(port, path)).await {
        Ok(Ok(status)) => Ok(status),
        Ok(Err(why)) => Err(Clean::new(why)),
        Err(_) => Err(Clean::new(format!("no answer within {} s", within.as_secs()))),
    }
}

async fn get(port: u16, path: &str) -> Result<u16, String> {
    let words = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(words)?;
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

/// Ports of the loopback that take a connection.
pub async fn taken(ports: &[u16]) -> Vec<u16> {
    let tries = ports.iter().map(|port| async move {
        let connected = timeout(CONNECT_WITHIN, TcpStream::connect((Ipv4Addr::LOCALHOST, *port))).await;
        matches!(connected, Ok(Ok(_))).then_some(*port)
    });
    join_all(tries).await.into_iter().flatten().collect()
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
        assert_eq!(status(port, "/", LONG).await, Ok(302));
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_a_word_is_no_answer() {
        let port = answering(b"").await;
        assert!(status(port, "/", LONG).await.unwrap_err().as_str().contains("nothing listens"));
        let port = answering(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        assert!(status(port, "/", LONG).await.unwrap_err().as_str().contains("not HTTP"));
    }

    #[tokio::test]
    async fn a_port_is_taken_while_somebody_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(taken(&[port]).await, [port]);
        drop(listener);
        assert!(taken(&[port]).await.is_empty());
    }
}
