//! Open shells, from where they are used.

use std::time::Duration;

use homeroom::port::shell::{ShellOutput, ShellSession};

/// What a shell says behind all that it prints; `None` where nothing more comes.
pub async fn end_of(session: &mut ShellSession, within: Duration) -> Option<ShellOutput> {
    let end = async {
        loop {
            match session.output.recv().await {
                Some(ShellOutput::Bytes(_)) => {}
                other => return other,
            }
        }
    };
    tokio::time::timeout(within, end).await.unwrap()
}
