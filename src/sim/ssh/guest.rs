//! A guest's SSH server: its own host key, its users and their keys, gone when the guest is.

use std::sync::Arc;

use russh::{
    Channel,
    keys::PublicKey,
    server::{self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Behind, Door, Welcome, channel, keys, welcomed};

/// Serves one connection to a guest, until either side ends or the guest stops running:
/// then it breaks off.
pub(super) async fn serve<S, B>(stream: S, door: Door, welcome: Welcome, behind: Arc<B>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Behind,
{
    let config = keys::config(&door.host_key);
    let handler = Handler { door: door.clone(), behind: Arc::clone(&behind), user: String::new() };
    tokio::select! {
        () = welcomed(welcome, config, stream, handler) => {}
        () = behind.gone(&door) => {}
    }
}

struct Handler<B> {
    door: Door,
    behind: Arc<B>,
    user: String,
}

impl<B> Handler<B> {
    fn judge(&self, user: &str, key: &PublicKey) -> Auth {
        let keys = self.door.users.iter().find(|(name, _)| name == user).map(|(_, keys)| keys.as_slice());
        if keys::authorized(keys.unwrap_or_default(), key) { Auth::Accept } else { Auth::reject() }
    }
}

impl<B: Behind> server::Handler for Handler<B> {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, key: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, key.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.user = user.to_owned();
        Ok(self.judge(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let place = Arc::clone(&self.behind).in_guest(&self.door, &self.user);
        tokio::spawn(channel::serve(channel, session.handle(), place));
        Ok(())
    }
}
