//! Telegram's Bot API: `sendMessage` in HTML. One attempt; no queue, no retry. <https://core.telegram.org/bots/api#sendmessage>

mod answer;
mod body;
mod living;
mod press;
mod rights;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use self::answer::Refusal;
use self::press::{Bot, Room};
use super::descriptor::{Ping, Pings, Reach};
use super::{
    BuildContext, Built, Callback, CellResult, Channel, Limit, Living, LivingMode, Pace, Platform, PlatformConfig, PressAnswer, PressCall,
    PressReply, PressWay, Probe, Problem, SendContext, kit,
};
use crate::model::{ErrorKind, Escape, FieldSpec, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "telegram",
    title: "Telegram",
    about: "bot token and chat id (groups, channels, topics, people); HTML text with buttons",
    docs: "https://core.telegram.org/bots/api#sendmessage",
    fields: &[FieldSpec { name: "text", escape: Escape::TelegramHtml, required: true, single_line: false, template: include_str!("text.hbs") }],
    measure: &body::measure,
    limit: "4,096 characters (https://core.telegram.org/bots/api#sendmessage)",
    pace: Pace {
        limits: &[Limit { count: 20, window: Duration::from_secs(60) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: 20 a minute and group; one message per second and \
                 chat, short bursts of more",
    },
    pings: Pings::of(Ping::Named, Ping::Named, Ping::Inside, Ping::Named).reaching(Reach::Mention("telegram")),
    living: Living { edit: true, reply: true, edits_counted: true, spends: None, default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://api.telegram.org";

/// `telegram: { token, chat }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bot's token (`123456:ABC...`), from @BotFather.
    pub token: SecretSource,
    /// The chat: a group's or person's id (`-1001234567890`, in quotes or not) or a public channel's name (`"@name"`).
    #[schemars(with = "String")]
    pub chat: Chat,
    /// A topic of a group that has topics.
    #[serde(default)]
    pub thread_id: Option<i64>,
    /// Messages have buttons, and this server polls for their presses (`getUpdates`): no public address is needed. Nothing else may poll this bot, and
    /// no webhook may be set for it. Default false.
    #[serde(default)]
    pub buttons: bool,
    /// Messages have buttons, and Telegram posts their presses to `<external_url>/press/<channel>`, with this secret of 1 to 256 letters, digits, `_` and
    /// `-` (`secret_token` of `setWebhook`). Instead of `buttons`.
    #[serde(default)]
    pub webhook_secret: Option<SecretSource>,
    /// Resolved alerts arrive without a sound. Default true.
    #[serde(default)]
    pub quiet_resolved: Option<bool>,
    /// Another server in Telegram's place (a local Bot API server). Default `https://api.telegram.org`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A chat's id, as a number or as text: people paste both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Chat {
    /// An id.
    Id(i64),
    /// An id in quotes, or `@name`.
    Name(String),
}

impl std::fmt::Display for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Chat::Id(id) => write!(f, "{id}"),
            Chat::Name(name) => f.write_str(name.trim()),
        }
    }
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(kit::check_secret("telegram.token", &self.token));
        let chat = self.chat.to_string();
        if chat.parse::<i64>().is_err() && !(chat.starts_with('@') && chat.len() > 1) {
            let help = "write the chat's id (`-1001234567890`), or `\"@name\"` of a public channel";
            problems.push(Problem::new("telegram.chat", "it is neither an id nor a channel's @name", help));
        }
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("telegram.api_base", base)));
        problems.extend(self.webhook_secret.as_ref().and_then(|secret| kit::check_secret("telegram.webhook_secret", secret)));
        if self.buttons && self.webhook_secret.is_some() {
            let help = "keep `buttons: true` where Telegram cannot reach this server, else `webhook_secret`";
            problems.push(Problem::new("telegram.buttons", "presses are polled or posted, Telegram does not do both", help));
        }
        problems
    }

    fn takes_text(&self) -> bool {
        true
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new(self.chat.to_string())]
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let token = kit::read_secret(cx, "telegram.token", &self.token).map_err(|problem| vec![problem])?;
        if token.expose().contains('/') {
            let help = "write only the token that @BotFather gave, `123456:ABC...`";
            return Err(vec![Problem::new("telegram.token", "it is an address, not a token", help)]);
        }
        if token.expose().strip_prefix("bot").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            let help = "remove `bot`, which is a part of the interface's addresses: `123456:ABC...`";
            return Err(vec![Problem::new("telegram.token", "a token begins with digits", help)]);
        }
        let http = kit::http(cx, "telegram", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let base = self.api_base.as_deref().unwrap_or(API_BASE);
        // A bot's token is part of its address.
        let url = Secret::new(kit::join(base, &format!("/bot{}", token.expose())));
        let room = Arc::new(Room {
            bot: token.expose().split(':').next().unwrap_or_default().to_owned(),
            http: http.with_secrets([token.clone(), url.clone()]),
            chat: self.chat.to_string(),
            moved: Mutex::default(),
            url,
        });
        let presses = self.presses(cx).map_err(|problem| vec![problem])?.map(|way| {
            let bot = cx.http.shared("telegram bot", &[room.url.expose()], Bot::default);
            bot.rooms.add(&room);
            (bot, way)
        });
        let driver = Driver { room, presses, thread_id: self.thread_id, quiet_resolved: self.quiet_resolved.unwrap_or(true) };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet: OutletKey::new("telegram", &format!("{} {}", token.expose(), self.chat)) })
    }
}

impl Config {
    /// How presses arrive; `None`: the messages have no buttons.
    fn presses(&self, cx: &BuildContext<'_>) -> Result<Option<Way>, Problem> {
        let Some(source) = &self.webhook_secret else { return Ok(self.buttons.then_some(Way::Polled)) };
        let secret = kit::read_secret(cx, "telegram.webhook_secret", source)?;
        let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
        if cx.secrets.real() && !((1..=256).contains(&secret.expose().len()) && secret.expose().bytes().all(good)) {
            let help = "write 1 to 256 letters, digits, `_` and `-`, such as what `openssl rand -hex 32` prints";
            return Err(Problem::new("telegram.webhook_secret", "Telegram does not take such a secret", help));
        }
        Ok(Some(Way::Posted(secret)))
    }
}

/// How presses arrive.
enum Way {
    /// By `getUpdates`.
    Polled,
    /// To the channel's press address, with this secret.
    Posted(Secret),
}

struct Driver {
    room: Arc<Room>,
    presses: Option<(Arc<Bot>, Way)>,
    thread_id: Option<i64>,
    quiet_resolved: bool,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt.
        for (place, chat) in to.iter().enumerate() {
            results.push((place, self.attempt(page, chat.expose(), cx).await));
        }
        results
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        self.edit(ids, page, cx).await
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, "", self.thread_id, self.quiet_resolved))
    }

    fn press_way(&self) -> Option<PressWay> {
        self.presses.as_ref().map(|(bot, way)| match way {
            Way::Polled => PressWay::Listener(bot.clone()),
            Way::Posted(_) => PressWay::Callback,
        })
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        match &self.presses {
            Some((bot, Way::Posted(secret))) => press::posted(bot, &self.room, secret, call),
            _ => Err("this channel has no `telegram.webhook_secret`".into()),
        }
    }

    fn press_reply(&self, call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        press::reply(call, answer)
    }

    async fn probe(&self) -> Probe {
        match self.look().await {
            Ok(()) => Probe::Ok,
            Err(error) => Probe::Failed(error),
        }
    }

    /// <https://core.telegram.org/bots/api#getchat>, <https://core.telegram.org/bots/api#getchatmember>
    async fn may_deliver(&self) -> Result<(), SendError> {
        let chat = self.room.moved().map_or_else(|| self.room.chat.clone(), |id| id.to_string());
        let found = match self.asked("/getChat", &json!({ "chat_id": chat })).await {
            Ok(found) => found,
            // It is followed with the first message.
            Err(refusal) if refusal.moved_to.is_some() => return Ok(()),
            Err(refusal) => return Err(refusal.error),
        };
        if found["type"] == "private" {
            return Ok(());
        }
        let member = json!({ "chat_id": chat, "user_id": self.room.bot.parse::<i64>().unwrap_or_default() });
        let member = self.asked("/getChatMember", &member).await.map_err(|refusal| refusal.error)?;
        match rights::lacks(&found, &member) {
            Some(lacks) => Err(SendError::new(ErrorKind::Misconfigured, lacks)),
            None => Ok(()),
        }
    }
}

impl Driver {
    /// Whether the token holds, and whether presses go where this channel waits for them.
    async fn look(&self) -> Result<(), SendError> {
        self.ask("/getMe").await?;
        let Some((_, way)) = &self.presses else { return Ok(()) };
        let webhook = self.ask("/getWebhookInfo").await?;
        let is_set = webhook["url"].as_str().is_some_and(|url| !url.is_empty());
        let misconfigured = |summary: &str| Err(SendError::new(ErrorKind::Misconfigured, summary));
        match way {
            Way::Polled if is_set => misconfigured("a webhook is set for this bot, so nobody can poll its presses; remove it with `deleteWebhook`"),
            Way::Posted(_) if !is_set => misconfigured("no webhook is set for this bot, so no press arrives; set it with `setWebhook`"),
            _ => Ok(()),
        }
    }

    async fn ask(&self, method: &str) -> Result<Value, SendError> {
        self.asked(method, &json!({})).await.map_err(|refusal| refusal.error)
    }

    async fn asked(&self, method: &str, about: &Value) -> Result<Value, Refusal> {
        let reply = self.room.http.post_json(self.room.method(method), about).idempotent().send(kit::probe_deadline()).await?;
        answer::result(&reply, reply.date().unwrap_or_default())
    }

    async fn attempt(&self, page: &Page, chat: &str, cx: &SendContext) -> Result<Receipt, SendError> {
        let first = cx.reply_to.as_ref().map(living::place).transpose()?;
        let known = self.room.moved();
        let mut chat = match first {
            Some((chat, _)) => chat.to_owned(),
            None => known.map_or_else(|| chat.to_owned(), |id| id.to_string()),
        };
        let (mut page, mut followed, mut refused_buttons) = (Cow::Borrowed(page), false, None);
        loop {
            match self.post(&page, &chat, first.map(|(_, message)| message), cx).await? {
                Ok(receipt) => return Ok(kit::without_buttons(receipt, refused_buttons.as_ref())),
                // The group has become a supergroup: the message was refused, and goes to the new id, which is kept. A reply has nothing to answer there.
                Err(Refusal { moved_to: Some(new), error, .. }) if !followed => {
                    self.follow(&chat, new);
                    if first.is_some() {
                        return Err(error.gone());
                    }
                    (chat, followed) = (new.to_string(), true);
                }
                // Which addresses it refuses is not documented. The last of several pages has the buttons, and must not be lost for them.
                Err(refusal) if refusal.of_buttons && body::has_buttons(&page) => {
                    page = Cow::Owned(body::without_buttons(&page));
                    refused_buttons = refused_buttons.or(Some(refusal.error));
                }
                Err(refusal) => return Err(refusal.error),
            }
        }
    }

    /// Keeps the new id of a group that has become a supergroup.
    fn follow(&self, old: &str, new: i64) {
        *self.room.moved.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        tracing::warn!(%old, new, "the Telegram group has become a supergroup; write its new id into `telegram.chat`");
    }

    async fn post(&self, page: &Page, chat: &str, first: Option<i64>, cx: &SendContext) -> Result<Result<Receipt, Refusal>, SendError> {
        let mut message = body::message(page, chat, self.thread_id, self.quiet_resolved);
        if let Some(first) = first {
            message.reply_to(first, page);
        }
        let reply = self.room.http.post_json(self.room.method("/sendMessage"), &message).send(cx.deadline).await?;
        Ok(answer::of(&reply, cx.now))
    }
}
