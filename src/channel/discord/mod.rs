//! Discord: an incoming webhook with an embed. One attempt; no queue, no retry. <https://docs.discord.com/developers/resources/webhook#execute-webhook>

mod answer;
mod body;
mod living;
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
use super::{BuildContext, Built, CellResult, Channel, Limit, Living, LivingMode, Pace, Platform, PlatformConfig, Probe, Problem, SendContext, kit};
use crate::model::{Escape, FieldSpec, Mentions, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "discord",
    title: "Discord",
    about: "incoming webhook; embed with severity colour and fields, @ by user and role id",
    docs: "https://docs.discord.com/developers/resources/webhook#execute-webhook",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: false, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::DiscordMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "footer", escape: Escape::None, required: false, single_line: true, template: include_str!("footer.hbs") },
    ],
    measure: &body::measure,
    limit: "4,096 characters of description, 6,000 in all embeds (https://docs.discord.com/developers/resources/message#embed-object-embed-limits); \
            2,000 of plain content",
    pace: Pace {
        limits: &[Limit { count: 5, window: Duration::from_secs(2) }, Limit { count: 30, window: Duration::from_secs(60) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://docs.discord.com/developers/topics/rate-limits: limits come in each answer and are not fixed; 5 in 2 seconds and \
                 30 a minute per webhook are what is commonly met",
    },
    pings: Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Inside).reaching(Reach::Mention("discord")),
    // A webhook cannot answer a message.
    living: Living { edit: true, reply: false, edits_counted: true, spends: None, default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const HELP: &str = "copy the whole address, `https://discord.com/api/webhooks/...`, from the channel's settings, Integrations, Webhooks";

/// `discord: { webhook }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The webhook's address (`https://discord.com/api/webhooks/<id>/<token>`).
    pub webhook: SecretSource,
    /// Post as this name instead of the webhook's.
    #[serde(default)]
    pub username: Option<String>,
    /// Post into this thread of the channel.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// Whom messages ping unless a route says otherwise: `users` and `groups` (roles) by id, `all` for @everyone.
    #[serde(default)]
    pub mentions: Mentions,
    /// Another server in Discord's place. Default the webhook's own.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = kit::check_secret("discord.webhook", &self.webhook).into_iter().collect();
        for (kind, ids) in [("users", &self.mentions.users), ("groups", &self.mentions.groups)] {
            for (place, id) in ids.iter().enumerate().filter(|(_, id)| id.is_empty() || !id.chars().all(|c| c.is_ascii_digit())) {
                let message = format!("`{id}` is not an id");
                let help = "write the number: in Discord with developer mode on, right-click the name and choose Copy ID";
                problems.push(Problem::new(format!("discord.mentions.{kind}[{place}]"), message, help));
            }
        }
        if !self.mentions.mobiles.is_empty() {
            problems.push(Problem::new("discord.mentions.mobiles", "Discord knows no mobile numbers", "name `users` or `groups` (roles) by id"));
        }
        if self.username.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().count() > 80) {
            problems.push(Problem::new("discord.username", "a name has 1 to 80 characters", "write a shorter one, or remove the key"));
        }
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("discord.api_base", base)));
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new("@webhook")]
    }

    fn mentions(&self) -> Mentions {
        self.mentions.clone()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let url = kit::read_address(cx, "discord.webhook", &self.webhook, self.api_base.as_deref(), HELP).map_err(|problem| vec![problem])?;
        if let Some(problem) = kit::check_hook("discord.webhook", &url) {
            return Err(vec![problem]);
        }
        // Discord takes the messages of others there, which ours are not.
        if let Some(end) = ["/slack", "/github"].into_iter().find(|end| url.expose().trim_end_matches('/').ends_with(end)) {
            let message = format!("`{end}` at its end takes another service's messages");
            return Err(vec![Problem::new("discord.webhook", message, format!("remove `{end}`"))]);
        }
        let http = kit::http(cx, "discord", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("discord", url.expose());
        let driver = Driver {
            http: http.with_secrets(kit::address_secrets(&url)),
            url,
            username: self.username.as_deref().map(str::trim).map(str::to_owned),
            thread_id: self.thread_id.clone(),
        };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

struct Driver {
    url: Secret,
    http: kit::Http,
    username: Option<String>,
    thread_id: Option<String>,
}

/// Discord refuses requests without a sensible one (40333): <https://docs.discord.com/developers/reference#user-agent>
const USER_AGENT: &str = concat!("DiscordBot (https://docs.discord.com/developers/reference, ", env!("CARGO_PKG_VERSION"), ")");

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        self.edit(ids, page, cx).await
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, self.username.as_deref(), false))
    }

    async fn probe(&self) -> Probe {
        match self.http.get(self.url.expose()).header("user-agent", USER_AGENT).send(kit::probe_deadline()).await {
            Ok(reply) => answer::of(&reply, reply.date().unwrap_or_default()).map_or_else(Probe::Failed, |_| Probe::Ok),
            Err(error) => Probe::Failed(error),
        }
    }

    async fn may_deliver(&self) -> Result<(), SendError> {
        self.look().await
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        // `wait`: without it Discord answers before it knows whether it keeps the message.
        let message = body::message(page, self.username.as_deref(), cx.direct);
        let call = self.http.post_json(self.url.expose(), &message).query("wait", "true");
        let call = match &self.thread_id {
            Some(thread) => call.query("thread_id", thread.clone()),
            None => call,
        };
        let mut receipt = answer::of(&call.header("user-agent", USER_AGENT).send(cx.deadline).await?, cx.now)?;
        if !receipt.ids.is_empty() {
            receipt.ids = receipt.ids.and("thread_id", self.thread_id.clone());
        }
        Ok(receipt)
    }
}
