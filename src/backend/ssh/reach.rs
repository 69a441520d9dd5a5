//! One machine that is logged in to, as a place to connect from.

use std::os::unix::net::UnixStream;

use async_trait::async_trait;

use super::Ssh;
use crate::port::{
    reach::{FarEnd, Reach},
    shell::{ShellError, ShellTarget},
};

/// Connections from one machine, over as few logins as possible.
pub struct From {
    ssh: Ssh,
    target: ShellTarget,
}

impl From {
    pub fn new(ssh: Ssh, target: ShellTarget) -> Self {
        Self { ssh, target }
    }
}

#[async_trait]
impl Reach for From {
    async fn connect(&self, to: &FarEnd) -> Result<UnixStream, ShellError> {
        self.ssh.dialler.forward_to(&self.target, to).await
    }
}
