//! A node's SSH server: root by key, commands, and ways on to the guests.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use russh::{
    Channel, ChannelOpenFailure,
    keys::PublicKey,
    server::{self, Auth, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};

use super::{Behind, Welcome, channel, guest, keys};

pub(super) struct Handler<B> {
    node: String,
    root: Vec<String>,
    behind: Arc<B>,
}

impl<B: Behind> Handler<B> {
    pub(super) fn new(node: String, root: Vec<String>, behind: Arc<B>) -> Self {
        Self { node, root, behind }
    }

    fn judge(&self, user: &str, key: &PublicKey) -> Auth {
        if user == "root" && keys::authorized(&self.root, key) { Auth::Accept } else { Auth::reject() }
    }
}

impl<B: Behind> server::Handler for Handler<B> {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, key: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, key.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.judge(user, key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let place = Arc::clone(&self.behind).on_node(&self.node);
        tokio::spawn(channel::serve(channel, session.handle(), place));
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let (behind, address) = (Arc::clone(&self.behind), host.parse::<Ipv4Addr>());
        tokio::spawn(async move {
            let door = address.ok().and_then(|address| behind.guest_at(address));
            let Some(door) = door else {
                // Nobody answers for the address: the kernel gives up after three seconds.
                behind.pause(Duration::from_secs(3)).await;
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            };
            let welcome = if port == 22 && door.listening { behind.guest_welcome(&door) } else { Welcome::Refuse };
            if welcome == Welcome::Refuse {
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            }
            reply.accept().await;
            guest::serve(channel.into_stream(), door, welcome, behind).await;
        });
        Ok(())
    }
}
