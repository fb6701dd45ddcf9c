//! Slack: `chat.postMessage` with a bot token, or an incoming webhook. One attempt; no queue, no retry.
//! <https://docs.slack.dev/reference/methods/chat.postMessage>, <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

mod answer;
mod body;
mod codes;
mod compatible;
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

use super::descriptor::{Ping, Pings};
use super::{BuildContext, Built, CellResult, Channel, Limit, Living, LivingMode, Pace, Platform, PlatformConfig, Probe, Problem, SendContext, kit};
use crate::model::{Escape, FieldSpec, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "slack",
    title: "Slack",
    about: "bot token (chat.postMessage) or incoming webhook; Block Kit with severity colour, fields and link buttons",
    docs: "https://docs.slack.dev/reference/methods/chat.postMessage",
    fields: &[
        FieldSpec { name: "title", escape: Escape::SlackMrkdwn, required: false, single_line: false, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::SlackMrkdwn, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "footer", escape: Escape::None, required: false, single_line: true, template: include_str!("footer.hbs") },
    ],
    measure: &body::measure,
    limit: "50 blocks (https://docs.slack.dev/reference/block-kit/blocks), about 13,000 characters in all blocks \
            (https://github.com/slackapi/bolt-js/issues/2509), 40,000 characters of text (https://docs.slack.dev/reference/methods/chat.postMessage)",
    pace: Pace {
        limits: &[Limit { count: 60, window: Duration::from_secs(60) }],
        per_month: None,
        source: "https://docs.slack.dev/apis/web-api/rate-limits: one message per second and channel or incoming webhook, short bursts of more",
    },
    pings: Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Inside),
    // `chat.update` has a limit of its own (tier 3): <https://docs.slack.dev/reference/methods/chat.update>
    living: Living { edit: true, reply: true, edits_counted: false, default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://slack.com";

const HELP: &str = "copy the whole address, `https://hooks.slack.com/services/...`, from the app's page `Incoming Webhooks`";

/// `slack: { token, channel }` or `slack: { webhook }`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Bot token (`xoxb-...`) with the scope `chat:write`.
    pub token: Option<SecretSource>,
    /// Where the bot posts: a channel's id (`C0123`, best), its name (`#ops`), or a user's id (`U0123`) for a direct message.
    pub channel: Option<String>,
    /// Address of an incoming webhook (`https://hooks.slack.com/services/...`), instead of `token` and `channel`. A hook of another system that
    /// takes Slack's messages will do as well: it has delivered when it answers 2xx, unless the body names an error.
    pub webhook: Option<SecretSource>,
    /// Another server in Slack's place. Default `https://slack.com`, or the webhook's own.
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.token, &self.webhook) {
            (None, None) => problems.push(Problem::new(
                "slack",
                "neither a bot token nor a webhook is given",
                "write `token` and `channel` for a bot, or `webhook` for an incoming webhook",
            )),
            (Some(_), Some(_)) => problems.push(Problem::new(
                "slack.webhook",
                "both a token and a webhook are given",
                "keep one: a token can post to any channel that the bot is in, a webhook posts to its own",
            )),
            _ => {}
        }
        match &self.channel {
            None if self.token.is_some() => problems.push(Problem::new(
                "slack.channel",
                "a token needs a channel to post to",
                "write the channel's id (`C0123ABCD`, shown at the bottom of its details in Slack) or its name (`\"#ops\"`)",
            )),
            Some(_) if self.token.is_none() && self.webhook.is_some() => problems.push(Problem::new(
                "slack.channel",
                "a webhook posts to its own channel only",
                "remove `channel`, or use a bot token, which can post to any channel that the bot is in",
            )),
            Some(channel) => {
                problems.extend(kit::check_text("slack.channel", channel, "write `\"#ops\"` in quotes: YAML reads a bare # as a comment"))
            }
            None => {}
        }
        problems.extend(self.token.as_ref().and_then(|token| kit::check_secret("slack.token", token)));
        problems.extend(self.webhook.as_ref().and_then(|webhook| kit::check_secret("slack.webhook", webhook)));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("slack.api_base", base)));
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![match &self.channel {
            Some(channel) if self.token.is_some() => Recipient::new(channel.trim()),
            _ => Recipient::new("@webhook"),
        }]
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut keep = |result: Result<Secret, Problem>| result.map_err(|problem| problems.push(problem)).ok();
        let token = self.token.as_ref().and_then(|source| keep(kit::read_secret(cx, "slack.token", source).and_then(bot_token)));
        let mut address = |base| self.webhook.as_ref().and_then(|source| keep(kit::read_address(cx, "slack.webhook", source, base, HELP)));
        let webhook = address(None);
        let foreign = webhook.as_ref().is_some_and(is_foreign);
        let webhook = webhook.and_then(|webhook| if self.api_base.is_some() { address(self.api_base.as_deref()) } else { Some(webhook) });
        let http = kit::http(cx, "slack", self.ca_file.as_deref()).map_err(|problem| problems.push(problem)).ok();
        let (way, outlet, secrets) = match (token, webhook) {
            (Some(token), _) => {
                let channel = self.channel.as_deref().unwrap_or_default().trim();
                let base = self.api_base.clone().unwrap_or_else(|| API_BASE.to_owned());
                let outlet = OutletKey::new("slack", &format!("{} {channel}", token.expose()));
                (Way::Bot { base, token: token.clone() }, outlet, vec![token])
            }
            (None, Some(webhook)) => {
                let secrets = kit::address_secrets(&webhook);
                (Way::Webhook { url: webhook.clone(), foreign }, OutletKey::new("slack", webhook.expose()), secrets)
            }
            (None, None) => {
                if problems.is_empty() {
                    problems = self.check();
                }
                return Err(problems);
            }
        };
        match http {
            Some(http) if problems.is_empty() => {
                Ok(Built { descriptor: None, channel: Arc::new(Driver { way, http: http.with_secrets(secrets) }), outlet })
            }
            _ => Err(problems),
        }
    }
}

/// Whether a webhook is not Slack's: `slack.com`, `slack-gov.com` and their subdomains are.
fn is_foreign(webhook: &Secret) -> bool {
    let host = reqwest::Url::parse(webhook.expose()).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).unwrap_or_default();
    !["slack.com", "slack-gov.com"].iter().any(|own| host == *own || host.strip_suffix(own).is_some_and(|below| below.ends_with('.')))
}

enum Way {
    Bot {
        base: String,
        token: Secret,
    },
    /// `foreign`: it is not Slack's own, and answers in other words.
    Webhook {
        url: Secret,
        foreign: bool,
    },
}

struct Driver {
    way: Way,
    http: kit::Http,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt, so this is one request.
        for (place, room) in to.iter().enumerate() {
            results.push((place, self.attempt(page, room, cx).await));
        }
        results
    }

    /// A webhook's answer names no message, so there is nothing to edit or to answer.
    fn living(&self, platform: &Platform) -> Living {
        match self.way {
            Way::Bot { .. } => platform.living,
            Way::Webhook { .. } => Living::NEW,
        }
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        self.edit(ids, page, cx).await
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, false))
    }

    async fn probe(&self) -> Probe {
        let Way::Bot { base, token } = &self.way else {
            return Probe::Unsupported;
        };
        let url = kit::join(base, "/api/auth.test");
        match self.http.post(url).idempotent().bearer(token).send(kit::probe_deadline()).await {
            Ok(reply) => answer::of_method(&reply, reply.date().unwrap_or_default()).map_or_else(Probe::Failed, |_| Probe::Ok),
            Err(error) => Probe::Failed(error),
        }
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, room: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        match self.post(page, room, cx).await {
            // Which part of it is refused it does not say. The last of several pages has the buttons, and must not be lost for them.
            Err(error) if answer::is_of_blocks(&error) && body::has_buttons(page) => {
                let receipt = self.post(&body::without_buttons(page), room, cx).await?;
                Ok(kit::without_buttons(receipt, Some(&error)))
            }
            result => result,
        }
    }

    async fn post(&self, page: &Page, room: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        let mut message = body::message(page, cx.direct);
        match &self.way {
            Way::Bot { base, token } => {
                match &cx.reply_to {
                    Some(first) => message.reply_in(kit::id(first, "channel")?, kit::id(first, "ts")?, page),
                    None => message.channel = Some(room.expose().to_owned()),
                }
                let reply = self.http.post_json(kit::join(base, "/api/chat.postMessage"), &message).bearer(token).send(cx.deadline).await?;
                if cx.reply_to.is_some() { self.replied(&reply, base, token, cx).await } else { answer::of_method(&reply, cx.now) }
            }
            Way::Webhook { url, foreign } => {
                let reply = self.http.post_json(url.expose(), &message).send(cx.deadline).await?;
                answer::of_webhook(&reply, *foreign, cx.now)
            }
        }
    }
}

/// What is often put where the token belongs, and can never post.
fn bot_token(token: Secret) -> Result<Secret, Problem> {
    let text = token.expose();
    if text.starts_with("http://") || text.starts_with("https://") {
        let help = "write it as `webhook: { env: NAME }`; it posts to its own channel, so leave `channel` out";
        return Err(Problem::new("slack.token", "this is the address of an incoming webhook, not a token", help));
    }
    if text.starts_with("xapp-") || text.starts_with("xoxe-") {
        let help = "write the bot token of *OAuth & Permissions*, which begins with `xoxb-`";
        return Err(Problem::new("slack.token", "with this kind of token nothing can be posted", help));
    }
    Ok(token)
}
