//! A channel's driver without a queue around it, for tests of what platforms answer.

use std::sync::Arc;
use std::time::Duration;

use watchfire::channel::descriptor::Living;
use watchfire::channel::kit::HttpClients;
use watchfire::channel::{BuildContext, Channel, ChannelConfig, Platform, SecretReader, SendContext, registry};
use watchfire::model::{Button, MessageId, MessageStatus, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError, Verb};

struct Literals;

impl SecretReader for Literals {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        if let SecretSource::Literal(secret) = source { Ok(secret.clone()) } else { Err(format!("{source:?} is not set")) }
    }
}

/// One channel's driver.
pub struct Wire {
    driver: Arc<dyn Channel>,
    platform: &'static Platform,
    to: Vec<Recipient>,
}

impl Wire {
    /// The channel with this platform block.
    pub fn new(channel: &str, yaml: &str) -> Self {
        Self::beside(&HttpClients::default(), channel, yaml)
    }

    /// The same beside others, as in one configuration.
    pub fn beside(clients: &HttpClients, channel: &str, yaml: &str) -> Self {
        watchfire::channel::kit::install_crypto();
        let config: ChannelConfig = serde_yaml::from_str(&format!("{{ {yaml} }}")).unwrap();
        let (platform, block) = config.blocks()[0];
        let cx =
            BuildContext { channel, timeout: Duration::from_secs(5), proxy: None, secrets: &Literals, http: clients, presets: &Default::default() };
        let (built, to) = registry::build((platform, block), &cx).unwrap_or_else(|problems| panic!("{channel}: {problems:?}"));
        Self { driver: built.channel, platform: built.descriptor.unwrap_or(platform), to }
    }

    /// What it can do with its messages later.
    pub fn living(&self) -> Living {
        self.driver.living(self.platform)
    }

    /// A page with this text in every field.
    pub fn page(&self, text: &str) -> Page {
        let fields = self.platform.fields.iter().map(|field| (field.name.to_owned(), text.to_owned())).collect();
        Page { fields, number: 1, total: 1, ..Page::default() }
    }

    /// The same about something that is over.
    pub fn resolved(&self, text: &str) -> Page {
        let mut page = self.page(text);
        page.facts.status = MessageStatus::Resolved;
        page
    }

    /// A page with a button of this text.
    pub fn with_button(&self, text: &str, label: &str, value: &str) -> Page {
        let mut page = self.page(text);
        page.facts.incident.buttons = vec![Button { verb: Verb::Ack, label: label.to_owned(), value: value.to_owned() }];
        page
    }

    /// The driver.
    pub fn driver(&self) -> &Arc<dyn Channel> {
        &self.driver
    }

    /// Sends a page once.
    pub async fn send(&self, page: &Page) -> Result<Receipt, SendError> {
        self.driver.send(page, &self.to, &context(5)).await.remove(0).1
    }

    /// Sends it under this key, as every try of one message does.
    pub async fn send_as(&self, key: &str, page: &Page) -> Result<Receipt, SendError> {
        self.driver.send(page, &self.to, &SendContext { idempotency_key: key.to_owned(), ..context(5) }).await.remove(0).1
    }

    /// Answers a message in its thread.
    pub async fn reply(&self, first: &PlatformIds, page: &Page) -> Result<Receipt, SendError> {
        self.driver.send(page, &self.to, &SendContext { reply_to: Some(first.clone()), ..context(5) }).await.remove(0).1
    }

    /// Edits a message.
    pub async fn update(&self, ids: &PlatformIds, page: &Page) -> Result<Receipt, SendError> {
        self.driver.update(ids, page, &self.to[0], &context(2)).await
    }
}

/// A first try with so many seconds to go.
fn context(seconds: u64) -> SendContext {
    SendContext {
        now: jiff::Timestamp::now(),
        deadline: tokio::time::Instant::now() + Duration::from_secs(seconds),
        message: MessageId::new(),
        attempt: 1,
        unanswered: false,
        idempotency_key: MessageId::new().to_string(),
        traceparent: String::new(),
        callback: String::new(),
        press: String::new(),
        direct: false,
        reply_to: None,
        own: Default::default(),
    }
}
