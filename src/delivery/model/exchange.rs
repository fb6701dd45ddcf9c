//! Platforms that note whom they reached, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::channel::{CellResult, Channel, SendContext};
use crate::delivery::Clock;
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, Recipient, SendError};

use super::plan::BEGIN;

/// Something that reached people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Full minutes after the first start.
    pub minute: i64,
    /// The channel.
    pub channel: &'static str,
    /// The recipient.
    pub to: String,
    /// What was said.
    pub text: String,
}

/// All platforms.
#[derive(Default)]
pub struct Exchange {
    /// What reached people, in its order.
    pub reached: Mutex<Vec<Reached>>,
    /// Channels that refuse everything.
    pub broken: Mutex<BTreeSet<&'static str>>,
    /// Channels that never answer.
    pub silent: Mutex<BTreeSet<&'static str>>,
    /// Channels that answer with an error of this kind.
    pub faults: Mutex<BTreeMap<&'static str, ErrorKind>>,
    /// That of the process that lives.
    pub clock: Mutex<Option<Clock>>,
}

/// The line of a channel to it.
pub struct Line(pub Arc<Exchange>, pub &'static str);

#[async_trait]
impl Channel for Line {
    fn body(&self, page: &Page) -> serde_json::Value {
        crate::channel::kit::shown(&page.fields)
    }

    async fn send(&self, page: &Page, to: &[Recipient], _: &SendContext) -> Vec<CellResult> {
        let Line(exchange, channel) = self;
        if exchange.broken.lock().unwrap().contains(channel) {
            return vec![(0, Err(SendError::new(ErrorKind::Rejected, "the number does not exist")))];
        }
        if exchange.silent.lock().unwrap().contains(channel) {
            return std::future::pending().await;
        }
        if let Some(kind) = exchange.faults.lock().unwrap().get(channel) {
            return vec![(0, Err(SendError::new(*kind, "it does not work")))];
        }
        let now = exchange.clock.lock().unwrap().as_ref().expect("a life has begun").wall();
        let minute = (now - BEGIN.0).0 / 60_000;
        let name = ["ann", "bob", "carol"].into_iter().find(|name| to[0] == Recipient::new(*name)).unwrap_or("room");
        let mut reached = exchange.reached.lock().unwrap();
        reached.push(Reached { minute, channel, to: name.to_owned(), text: page.field("text").to_owned() });
        let ids = PlatformIds::one("id", reached.len().to_string());
        vec![(0, Ok(Receipt { ids, code: "ok".into(), answer: String::new() }))]
    }

    fn calls(&self) -> bool {
        self.1 == "voice"
    }

    async fn update(&self, ids: &PlatformIds, _: &Page, _: &Recipient, _: &SendContext) -> Result<Receipt, SendError> {
        Ok(Receipt { ids: ids.clone(), code: "ok".into(), answer: String::new() })
    }
}
