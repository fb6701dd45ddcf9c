//! Fakes with fixed credentials: how the fleet and the battery start them, and the channels that send to them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use serde_json::{Value, json};

use super::server::{Fake, Platform};
use super::smtp::{Security, Smtp, SmtpOptions};
use super::transcript::Transcript;
use super::{Clock, Faults, Recorder};

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A fake with fixed credentials.
pub struct Sample {
    /// Its name in the fleet.
    pub name: &'static str,
    /// The channels that send to it.
    pub channels: Vec<SampleChannel>,
    start: Box<dyn Fn(u16) -> Later<io::Result<Member>> + Send + Sync>,
}

/// A channel of routes.yaml that sends to a fake.
#[derive(Debug, Clone)]
pub struct SampleChannel {
    /// The platform's name, or which of its ways it is.
    pub name: &'static str,
    /// Its platform's block; `BASE` is the fake's address.
    pub yaml: &'static str,
    /// The path of the request that sends (tokens are asked for elsewhere).
    pub path: &'static str,
    /// What may never be shown.
    pub secrets: &'static [&'static str],
    /// Whether the platform can be asked for a message whose answer was lost.
    pub finds_lost: bool,
}

impl SampleChannel {
    /// The platform in the registry.
    pub fn platform(&self) -> &'static str {
        self.yaml.split(':').next().unwrap_or_default()
    }
}

impl Sample {
    /// The fake that `make` makes, and what a client must be given to use it.
    pub fn new<P: Platform>(credentials: Value, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let name = make().name();
        let start = move |port| -> Later<io::Result<Member>> {
            let (platform, credentials) = (make(), credentials.clone());
            Box::pin(async move { Ok(Member::of(Fake::start_on(platform, port).await?, credentials)) })
        };
        Self { name, channels: Vec::new(), start: Box::new(start) }
    }

    /// Adds a channel that sends to it.
    pub fn channel(mut self, name: &'static str, path: &'static str, secrets: &'static [&'static str], yaml: &'static str) -> Self {
        self.channels.push(SampleChannel { name, yaml, path, secrets, finds_lost: false });
        self
    }

    /// The platform can be asked for a message of the last channel whose answer was lost.
    pub fn finds_lost(mut self) -> Self {
        self.channels.iter_mut().rev().take(1).for_each(|channel| channel.finds_lost = true);
        self
    }

    /// Starts one on this port (0: any).
    pub async fn start(&self, port: u16) -> io::Result<Member> {
        (self.start)(port).await
    }
}

/// One running fake, whatever its platform.
pub struct Member {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What a client must be given to use it.
    pub credentials: Value,
    /// What arrived.
    pub rec: Recorder,
    /// Its clock.
    pub clock: Clock,
    /// Its script of faults (HTTP platforms).
    pub faults: Option<Faults>,
    /// The server itself (mail).
    pub smtp: Option<Smtp>,
    power: Box<dyn Fn(bool) -> Later<io::Result<()>> + Send + Sync>,
    pace: Box<dyn Fn(Option<f64>) + Send + Sync>,
    texts: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    delete_all: Box<dyn Fn() + Send + Sync>,
}

impl Member {
    fn of<P: Platform>(fake: Fake<P>, credentials: Value) -> Self {
        let (switch, dial, room, wiped) = (fake.clone(), fake.clone(), fake.clone(), fake.clone());
        Self {
            addr: fake.addr(),
            credentials,
            rec: fake.rec.clone(),
            clock: fake.clock.clone(),
            faults: Some(fake.faults.clone()),
            smtp: None,
            power: Box::new(move |on| {
                let fake = switch.clone();
                Box::pin(async move {
                    if on {
                        return fake.up().await;
                    }
                    fake.down();
                    Ok(())
                })
            }),
            pace: Box::new(move |factor| factor.map_or_else(|| dial.unpaced(), |f| dial.pace_faster(f))),
            texts: Box::new(move || room.with(|platform| platform.transcript().map(|transcript| transcript.texts()).unwrap_or_default())),
            delete_all: Box::new(move || wiped.with(|platform| platform.transcript().map(Transcript::delete_all).unwrap_or_default())),
        }
    }

    /// A mail server, on this port (0: any).
    pub async fn smtp(security: Security, port: u16) -> io::Result<Self> {
        let server = Smtp::start_on(SmtpOptions::default().security(security).user("watchfire", "mail-secret"), port).await?;
        let switch = server.clone();
        Ok(Self {
            addr: server.addr(),
            credentials: json!({ "username": "watchfire", "password": "mail-secret", "ca_file": server.tls.ca_file(), "tls": format!("{security:?}").to_lowercase() }),
            rec: server.rec.clone(),
            clock: server.clock.clone(),
            faults: None,
            smtp: Some(server),
            power: Box::new(move |on| {
                let server = switch.clone();
                Box::pin(async move {
                    if on {
                        return server.up().await;
                    }
                    server.down();
                    Ok(())
                })
            }),
            pace: Box::new(|_| {}),
            texts: Box::new(Vec::new),
            delete_all: Box::new(|| {}),
        })
    }

    /// Listens again, or closes its listener and every connection.
    pub async fn power(&self, on: bool) -> io::Result<()> {
        (self.power)(on).await
    }

    /// What people read in its rooms now, where its messages can be edited or answered.
    pub fn texts(&self) -> Vec<String> {
        (self.texts)()
    }

    /// Somebody deletes every message.
    pub fn delete_all(&self) {
        (self.delete_all)();
    }

    /// Makes its pace so many times faster; `None` turns it off.
    pub fn pace(&self, factor: Option<f64>) {
        (self.pace)(factor);
    }
}
