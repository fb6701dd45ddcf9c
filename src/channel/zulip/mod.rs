//! Zulip: a bot's messages to a topic of a channel, or to people. One attempt; no queue, no retry. <https://zulip.com/api/send-message>

mod answer;
mod body;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::descriptor::{Ping, Pings, Reach};
use super::{BuildContext, Built, CellResult, Channel, Limit, Pace, Platform, PlatformConfig, Probe, Problem, SendContext, kit};
use crate::model::{Escape, FieldSpec, OutletKey, Page, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "zulip",
    title: "Zulip",
    about: "bot messages to a channel, one topic per group or a fixed one, or to people; markdown, @ by name, id or group",
    docs: "https://zulip.com/api/send-message",
    fields: &[
        FieldSpec { name: "topic", escape: Escape::None, required: true, single_line: true, template: include_str!("topic.hbs") },
        FieldSpec { name: "text", escape: Escape::ZulipMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
    ],
    measure: &body::measure,
    limit: "10,000 characters; Zulip cuts what is longer without a word (https://zulip.com/api/send-message)",
    pace: Pace {
        limits: &[Limit { count: 200, window: Duration::from_secs(60) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://zulip.com/api/rest-error-handling#rate-limit-exceeded: 200 requests a minute and user is the server's default",
    },
    pings: Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Inside).reaching(Reach::Mention("zulip")),
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// `zulip: { site, email, api_key, channel }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The organization's address (`https://example.zulipchat.com`).
    pub site: String,
    /// The bot's e-mail address.
    pub email: String,
    /// The bot's API key.
    pub api_key: SecretSource,
    /// The channel to write to, by name or id.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub channel: Option<Target>,
    /// One topic for everything. Default: the template field `topic`, by itself what the alerts are grouped by.
    #[serde(default)]
    pub topic: Option<String>,
    /// People who each get a direct message, by e-mail address or user id, instead of a channel.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub to: Vec<Target>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A channel or a person, by name or by id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// An id.
    Id(u64),
    /// A name or an address; an id in quotes.
    Name(String),
}

impl Target {
    fn text(&self) -> String {
        match self {
            Target::Id(id) => id.to_string(),
            Target::Name(name) => name.trim().trim_start_matches('#').to_owned(),
        }
    }
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = kit::check_base("zulip.site", &self.site).into_iter().collect();
        if self.site.contains("/api/") {
            problems.push(Problem::new(
                "zulip.site",
                "it is an address of the interface, not the server's",
                "write it as far as `/api`, without that",
            ));
        }
        problems.extend(kit::check_secret("zulip.api_key", &self.api_key));
        if !self.email.contains('@') {
            problems.push(Problem::new("zulip.email", "it is not an e-mail address", "copy the bot's e-mail from its zuliprc file"));
        }
        match (&self.channel, self.to.as_slice()) {
            (None, []) => problems.push(Problem::new("zulip.channel", "no channel is named", "name a `channel`, or people under `to`")),
            (Some(_), [_, ..]) => problems.push(Problem::new("zulip.to", "it goes to a channel or to people", "keep `channel` or `to`")),
            (Some(channel), []) => problems.extend(kit::check_text("zulip.channel", &channel.text(), "write the channel's name or id")),
            (None, people) => {
                for (place, person) in people.iter().enumerate().filter(|(_, person)| !is_person(&person.text())) {
                    let message = format!("`{}` is neither an e-mail address nor a user id", person.text());
                    problems.push(Problem::new(format!("zulip.to[{place}]"), message, "copy one from the person's profile in Zulip"));
                }
                if self.topic.is_some() {
                    problems.push(Problem::new("zulip.topic", "direct messages have no topic", "remove it, or write to a `channel`"));
                }
            }
        }
        if let Some(topic) = &self.topic {
            let fits = !topic.trim().is_empty() && topic.chars().count() <= body::MAX_TOPIC;
            problems.extend((!fits).then(|| Problem::new("zulip.topic", "a topic has 1 to 60 characters", "write a shorter one, or remove the key")));
        }
        problems
    }

    fn recipients(&self) -> Vec<Recipient> {
        match &self.channel {
            Some(channel) => vec![Recipient::new(channel.text())],
            None => self.to.iter().map(|person| Recipient::new(person.text())).collect(),
        }
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let api_key = kit::read_secret(cx, "zulip.api_key", &self.api_key).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, "zulip", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("zulip", &format!("{} {} {}", self.site, self.email, api_key.expose()));
        let driver = Driver {
            messages: kit::join(&self.site, "/api/v1/messages"),
            me: kit::join(&self.site, "/api/v1/users/me"),
            email: self.email.trim().to_owned(),
            http: http.with_secrets([api_key.clone()]),
            api_key,
            topic: self.topic.as_ref().map(|topic| topic.trim().to_owned()),
            direct: self.channel.is_none(),
        };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

fn is_person(text: &str) -> bool {
    text.parse::<u64>().is_ok() || text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

struct Driver {
    messages: String,
    me: String,
    email: String,
    api_key: Secret,
    http: kit::Http,
    topic: Option<String>,
    /// Whether it writes to people.
    direct: bool,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results = Vec::with_capacity(to.len());
        for (place, recipient) in to.iter().enumerate() {
            results.push((place, self.attempt(page, recipient.expose(), cx).await));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        let form = body::message(page, "", self.direct, self.topic.as_deref());
        form.into_iter().filter(|(name, _)| *name != "to").map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }

    async fn probe(&self) -> Probe {
        match self.http.get(&self.me).basic(&self.email, &self.api_key).send(kit::probe_deadline()).await {
            Ok(reply) => answer::of_question(&reply, reply.date().unwrap_or_default()).map_or_else(Probe::Failed, |()| Probe::Ok),
            Err(error) => Probe::Failed(error),
        }
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, to: &str, cx: &SendContext) -> Result<Receipt, SendError> {
        let form = body::message(page, to, self.direct, self.topic.as_deref());
        let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = self.http.post_form(&self.messages, &pairs).basic(&self.email, &self.api_key).send(cx.deadline).await?;
        answer::of_message(&reply, cx.now)
    }
}
