//! Slack: `chat.postMessage` with a bot token, or an incoming webhook. One attempt; no queue, no retry.
//! <https://docs.slack.dev/reference/methods/chat.postMessage>, <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

mod answer;
mod body;
mod codes;
mod compatible;
mod directory;
mod living;
mod press;
mod socket;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::socket::App;
use super::descriptor::{Ping, Pings, Reach};
use super::directory::UNKNOWN;
use super::{
    Address, BuildContext, Built, Callback, CellResult, Channel, Directory, Limit, Living, LivingMode, Pace, Platform, PlatformConfig, PressAnswer,
    PressCall, PressReply, PressWay, Probe, Problem, SendContext, kit,
};
use crate::model::{Escape, FieldSpec, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "slack",
    title: "Slack",
    about: "bot token (chat.postMessage) or incoming webhook; Block Kit with severity colour, fields and buttons",
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
        // One a second. Half of a window may go at once in a storm; a window below a minute keeps that burst short.
        limits: &[Limit { count: 50, window: Duration::from_secs(50) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://docs.slack.dev/apis/web-api/rate-limits: one message per second and channel or incoming webhook, short bursts of more",
    },
    pings: Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Inside).reaching(Reach::Mention("slack")),
    // `chat.update` has a limit of its own (tier 3): <https://docs.slack.dev/reference/methods/chat.update>
    living: Living { edit: true, reply: true, edits_counted: false, spends: None, default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://slack.com";

/// Bytes of an answer that are read: it repeats the message, which may have 40,000 characters, as text and in blocks, with `\uXXXX` for each of them.
const MAX_ANSWER: usize = 1 << 20;

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
    /// App-level token (`xapp-...`) with the scope `connections:write`: messages have buttons, and their presses come over a connection that this server
    /// opens (Socket Mode); no public address is needed. The channels of an app share it.
    pub app_token: Option<SecretSource>,
    /// The app's signing secret: messages have buttons, and Slack posts their presses to `<external_url>/press/<channel>`, which is to be entered as the
    /// Request URL of *Interactivity*. Instead of `app_token`.
    pub signing_secret: Option<SecretSource>,
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
        for (key, secret) in [("slack.app_token", &self.app_token), ("slack.signing_secret", &self.signing_secret)] {
            problems.extend(secret.as_ref().and_then(|secret| kit::check_secret(key, secret)));
            if secret.is_some() && self.webhook.is_some() {
                let help = "use a bot token (`token`, `channel`): its messages can be edited, so that they show who pressed";
                problems.push(Problem::new(key, "the messages of a webhook have no buttons", help));
            }
        }
        if self.app_token.is_some() && self.signing_secret.is_some() {
            let help = "keep `app_token` where Slack cannot reach this server, else `signing_secret`";
            problems.push(Problem::new("slack.signing_secret", "presses come by Socket Mode or to a Request URL, an app has only one of them", help));
        }
        problems.extend(self.token.as_ref().and_then(|token| kit::check_secret("slack.token", token)));
        problems.extend(self.webhook.as_ref().and_then(|webhook| kit::check_secret("slack.webhook", webhook)));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("slack.api_base", base)));
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn looks_up(&self) -> &'static [Address] {
        if self.token.is_some() { &[Address::Email] } else { &[] }
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
                let outlet = OutletKey::new("slack", &format!("{} {channel}", token.expose()));
                (Way::Bot { base: self.base(), token: token.clone() }, outlet, vec![token])
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
        let http = http.map(|http| http.with_secrets(secrets));
        let presses = http.as_ref().and_then(|http| self.presses(cx, http).map_err(|problem| problems.push(problem)).ok());
        match (http, presses) {
            (Some(http), Some(presses)) if problems.is_empty() => {
                let directory = cx.http.directory("slack", &way.credential(), UNKNOWN);
                Ok(Built { descriptor: None, channel: Arc::new(Driver { way, http, presses, directory }), outlet })
            }
            _ => Err(problems),
        }
    }
}

impl Config {
    fn base(&self) -> String {
        self.api_base.clone().unwrap_or_else(|| API_BASE.to_owned())
    }

    /// How presses arrive; `None`: the messages have no buttons.
    fn presses(&self, cx: &BuildContext<'_>, http: &kit::Http) -> Result<Option<PressesBy>, Problem> {
        if let Some(source) = &self.signing_secret {
            return Ok(Some(PressesBy::Request(kit::read_secret(cx, "slack.signing_secret", source)?)));
        }
        let Some(source) = &self.app_token else { return Ok(None) };
        let token = kit::read_secret(cx, "slack.app_token", source)?;
        if !token.expose().starts_with("xapp-") && !kit::is_placeholder(cx, &token) {
            let help = "write the app-level token of *Basic Information*, which begins with `xapp-`; it needs the scope connections:write";
            return Err(Problem::new("slack.app_token", "this is no app-level token", help));
        }
        let proxy = cx.proxy.as_ref().map_or("", |proxy| proxy.expose());
        let ca_file = self.ca_file.as_deref().map_or_else(String::new, |path| path.display().to_string());
        let base = self.base();
        let app = || App { base: base.clone(), token: token.clone(), http: http.clone().with_secrets([token.clone()]) };
        Ok(Some(PressesBy::Socket(cx.http.shared("slack app", &[token.expose(), &base, proxy, &ca_file], app))))
    }
}

/// Whether a webhook is not Slack's: `slack.com`, `slack-gov.com` and their subdomains are.
fn is_foreign(webhook: &Secret) -> bool {
    let host = reqwest::Url::parse(webhook.expose()).ok().and_then(|url| url.host_str().map(str::to_ascii_lowercase)).unwrap_or_default();
    !is_of_slack(&host)
}

/// Whether a host is Slack's own.
fn is_of_slack(host: &str) -> bool {
    ["slack.com", "slack-gov.com"].iter().any(|own| host == *own || host.strip_suffix(own).is_some_and(|below| below.ends_with('.')))
}

/// How presses of buttons arrive.
enum PressesBy {
    /// By Socket Mode.
    Socket(Arc<App>),
    /// At the Request URL, with signatures of this secret.
    Request(Secret),
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

impl Way {
    /// What its people are looked up with.
    fn credential(&self) -> [&str; 2] {
        match self {
            Way::Bot { base, token } => [base, token.expose()],
            Way::Webhook { .. } => ["", ""],
        }
    }
}

struct Driver {
    way: Way,
    http: kit::Http,
    presses: Option<PressesBy>,
    directory: Arc<Directory>,
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

    fn directory(&self) -> Option<&Directory> {
        Some(&self.directory)
    }

    async fn look_up(&self, address: &str, deadline: tokio::time::Instant) -> Result<Option<String>, SendError> {
        self.member(address, deadline).await
    }

    async fn probe(&self) -> Probe {
        let Way::Bot { base, token } = &self.way else {
            return Probe::Unsupported;
        };
        match self.asked(base, token).await {
            Ok(()) => Probe::Ok,
            Err(error) => Probe::Failed(error),
        }
    }

    fn press_way(&self) -> Option<PressWay> {
        self.presses.as_ref().map(|presses| match presses {
            PressesBy::Socket(app) => PressWay::Listener(app.clone()),
            PressesBy::Request(_) => PressWay::Callback,
        })
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        match &self.presses {
            Some(PressesBy::Request(secret)) => press::pressed(secret, call),
            _ => Err("this channel has no `slack.signing_secret`".into()),
        }
    }

    /// Slack shows nothing of the HTTP answer: the text goes to the address that came with the press.
    fn press_reply(&self, call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        if let (Way::Bot { base, .. }, Some(url)) = (&self.way, press::response_url(call)) {
            tokio::spawn(press::show(self.http.clone(), base.clone(), url, answer.clone()));
        }
        PressReply::EMPTY
    }
}

impl Driver {
    /// Whether the bot token holds, and whether a connection for presses can be opened; the address of one is asked for, and not used.
    async fn asked(&self, base: &str, token: &Secret) -> Result<(), SendError> {
        let call = self.http.post(kit::join(base, "/api/auth.test")).idempotent().bearer(token);
        let reply = call.send(kit::probe_deadline()).await?;
        answer::of_method(&reply, reply.date().unwrap_or_default())?;
        answer::has_scopes(reply.header("x-oauth-scopes"))?;
        match &self.presses {
            Some(PressesBy::Socket(app)) => app.address().await.map(|_| ()),
            _ => Ok(()),
        }
    }

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
                let call = self.http.post_json(kit::join(base, "/api/chat.postMessage"), &message).bearer(token).longest(MAX_ANSWER);
                let reply = call.send(cx.deadline).await?;
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
