//! DingTalk interactive cards (钉钉互动卡片), delivered by an application's robot to groups and people, and edited in their place. One attempt; no queue, no
//! retry. <https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>

mod answer;
mod body;
mod press;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::press::Stream;
use super::descriptor::{Ping, Pings, Reach};
use super::dingtalk_app::{self, App};
use super::directory::UNKNOWN;
use super::{
    Address, BuildContext, Built, CellResult, Channel, Directory, Limit, Living, LivingMode, Pace, Platform, PlatformConfig, PressWay, Probe,
    Problem, SendContext, kit,
};
use crate::model::{ErrorKind, Escape, FieldSpec, Mentions, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "dingtalk_card",
    title: "DingTalk interactive card (钉钉互动卡片)",
    about: "an application's cards to groups and people, edited in their place; buttons to press without a public address",
    docs: "https://open.dingtalk.com/document/orgapp/create-and-deliver-cards",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: false, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::DingTalkMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
    ],
    measure: &body::measure,
    limit: "1 KB a variable, so 1 KB of text (https://open.dingtalk.com/document/orgapp/create-and-deliver-cards)",
    pace: Pace {
        limits: &[Limit { count: 20, window: Duration::from_secs(1) }],
        per_month: Some(5000),
        month_zone: Pace::CHINA,
        per_recipient: &[],
        source: "https://open.dingtalk.com/document/orgapp/invocation-frequency-limit: 20 calls of one interface a second and application; \
                 https://open.dingtalk.com/document/orgapp/api-call-quota: 5,000 calls a month and organisation of the standard edition, \
                 10,000 for those from before 2025-11-19; edits count",
    },
    pings: Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Named).reaching(Reach::Mention("dingtalk")),
    living: Living { edit: true, reply: false, edits_counted: true, spends: None, default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const CARDS: &str = "/v1.0/card/instances";

/// `dingtalk_card: { app_key, app_secret, robot_code, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// AppKey (Client ID) of the application.
    pub app_key: String,
    /// AppSecret (Client Secret).
    pub app_secret: SecretSource,
    /// Code of the application's robot.
    pub robot_code: String,
    /// Whom to send to: groups by their openConversationId (`cid...`), people by their user id written `user:zhangsan`.
    pub to: Vec<String>,
    /// Whom messages ping unless a route says otherwise: `users` (user ids), `all`.
    #[serde(default)]
    pub mentions: Mentions,
    /// Cards have buttons, and this server listens for their presses over Stream mode: no public address is needed. Default false.
    #[serde(default)]
    pub buttons: bool,
    /// The organisation's CorpId. Needed with `buttons`: presses of other organisations' people are refused.
    #[serde(default)]
    pub corp_id: Option<String>,
    /// Id of a template of your own (`....schema`), which the card platform shows once it is published; it needs the variables of DingTalk's own template.
    /// Default `1366a1eb-bc54-4859-ac88-517c56a9acb1.schema`, which every application may use.
    #[serde(default)]
    pub template_id: Option<String>,
    /// Calls a month that the organisation may make. Default 5000, the standard edition's; 10000 for organisations from before 2025-11-19.
    #[serde(default)]
    pub per_month: Option<u32>,
    /// Another server in place of `https://api.dingtalk.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let texts = [("app_key", &self.app_key), ("robot_code", &self.robot_code)];
        let help = "copy it from the application's page in the developer console";
        problems.extend(texts.iter().filter_map(|(name, text)| kit::check_text(&format!("dingtalk_card.{name}"), text, help)));
        problems.extend(kit::check_secret("dingtalk_card.app_secret", &self.app_secret));
        if self.to.is_empty() {
            problems.push(Problem::new("dingtalk_card.to", "nobody is to be reached", "name groups (`cid...`), or people as `user:zhangsan`"));
        }
        for (place, to) in self.to.iter().enumerate() {
            if body::space(to).is_none() {
                let help = "write a group's openConversationId (`cid...`), or a user id as `user:zhangsan`";
                problems.push(Problem::new(format!("dingtalk_card.to[{place}]"), "it is neither a group nor a person", help));
            }
        }
        if !self.mentions.mobiles.is_empty() || !self.mentions.groups.is_empty() {
            let help = "name `users: [zhangsan]`, or `all: true`";
            problems.push(Problem::new("dingtalk_card.mentions", "a card pings people by their user id only", help));
        }
        if self.buttons && self.corp_id.is_none() {
            let help = "write the CorpId that the developer console's first page shows";
            problems.push(Problem::new("dingtalk_card.corp_id", "without it nobody knows whose presses count", help));
        }
        problems.extend(self.corp_id.as_ref().and_then(|id| kit::check_text("dingtalk_card.corp_id", id, "write it, or remove the key")));
        if self.template_id.as_ref().is_some_and(|id| !body::is_template_id(id.trim())) {
            let help = "copy it from the card platform, such as `1366a1eb-bc54-4859-ac88-517c56a9acb1.schema`, or remove the key";
            problems.push(Problem::new("dingtalk_card.template_id", "it is no id of a template", help));
        }
        problems.extend(kit::check_quota("dingtalk_card.per_month", self.per_month));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("dingtalk_card.api_base", base)));
        problems
    }

    fn looks_up(&self) -> &'static [Address] {
        &[Address::Mobile]
    }

    fn recipients(&self) -> Vec<Recipient> {
        self.to.iter().map(|to| Recipient::new(to.trim())).collect()
    }

    fn mentions(&self) -> Mentions {
        self.mentions.clone()
    }

    fn per_month(&self) -> Option<u32> {
        self.per_month
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let secret = kit::read_secret(cx, "dingtalk_card.app_secret", &self.app_secret).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, "dingtalk_card", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("dingtalk_card", &format!("{} {}", self.app_key, secret.expose()));
        let app = App::new(cx, http, &self.app_key, secret, self.api_base.as_deref());
        let member = Arc::new(press::Member { app, corp_id: self.corp_id.as_deref().unwrap_or_default().trim().to_owned() });
        let stream = self.buttons.then(|| {
            let credential = [member.app.base.as_str(), &member.app.key, member.app.secret.expose()];
            let stream = cx.http.shared("dingtalk stream", &credential, Stream::default);
            stream.members.add(&member);
            stream
        });
        let credential = [member.app.base.as_str(), &member.app.key, member.app.secret.expose()];
        let directory = cx.http.directory("dingtalk", &credential, UNKNOWN);
        let template = self.template_id.as_deref().unwrap_or(body::TEMPLATE).trim().to_owned();
        let only = kit::only(&self.recipients());
        let driver = Driver { directory, member, stream, robot: self.robot_code.trim().to_owned(), template, only };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

struct Driver {
    directory: Arc<Directory>,
    member: Arc<press::Member>,
    stream: Option<Arc<Stream>>,
    robot: String,
    template: String,
    /// The only group or person that the channel has.
    only: Option<Recipient>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt.
        for (place, to) in to.iter().enumerate() {
            let result = self.deliver(page, to.expose(), cx).await;
            results.push((place, result.map_err(|error| kit::of_receiver(error, answer::OF_PLACE, self.only.as_ref() == Some(to)))));
        }
        results
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        let edit = body::edit(page, kit::id(ids, body::ID)?);
        let app = &self.member.app;
        let url = app.url(CARDS);
        let call = |token: &Secret| dingtalk_app::with_token(app.http.request(Method::PUT, url.as_str()).json(&edit).idempotent(), token);
        let reply = app.call(call, dingtalk_app::is_token_trouble, cx.deadline, cx.now).await?;
        kit::edited(answer::edit(&reply, cx.now), ids, answer::is_gone)
    }

    fn directory(&self) -> Option<&Directory> {
        Some(&self.directory)
    }

    async fn look_up(&self, address: &str, deadline: tokio::time::Instant) -> Result<Option<String>, SendError> {
        match self.member.app.user(&kit::phone::dialled(address), deadline, Timestamp::UNIX_EPOCH).await {
            Ok(user) => Ok(Some(user)),
            Err(error) if error.recipient => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An edit is a call of the month's quota.
    fn edit_interval(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn body(&self, page: &Page) -> Value {
        let mut body = self.card(page, "", "");
        body.as_object_mut().into_iter().for_each(|body| body.retain(|name, _| !matches!(name.as_str(), "outTrackId" | "openSpaceId")));
        body
    }

    fn press_way(&self) -> Option<PressWay> {
        self.stream.clone().map(|stream| PressWay::Listener(stream))
    }

    async fn probe(&self) -> Probe {
        self.member.app.token(kit::probe_deadline(), Timestamp::UNIX_EPOCH).await.map_or_else(Probe::Failed, |_| Probe::Ok)
    }

    /// DingTalk lists no permissions: a card that cannot exist is edited, and the refusal says whether cards may be. It is a call of the month's quota.
    /// With buttons a ticket for a connection of Stream mode is asked for, and not used.
    async fn may_deliver(&self) -> Result<(), SendError> {
        let app = &self.member.app;
        let edit = body::edit(&Page::default(), "watchfire-check");
        let url = app.url(CARDS);
        let call = |token: &Secret| dingtalk_app::with_token(app.http.request(Method::PUT, url.as_str()).json(&edit).idempotent(), token);
        let reply = app.call(call, dingtalk_app::is_token_trouble, kit::probe_deadline(), Timestamp::UNIX_EPOCH).await?;
        if let Err(error) = answer::edit(&reply, reply.date().unwrap_or_default())
            && matches!(error.kind, ErrorKind::Misconfigured | ErrorKind::RateLimited { .. } | ErrorKind::Transient)
        {
            return Err(error);
        }
        if self.stream.is_some() {
            press::ticket(app, kit::probe_deadline()).await?;
        }
        Ok(())
    }
}

impl Driver {
    fn card(&self, page: &Page, to: &str, id: &str) -> Value {
        body::card(page, to, id, &body::Look { robot: &self.robot, template: &self.template, listens: self.stream.is_some() })
    }

    /// Creates a card and delivers it. Its id is ours, so that a repeat delivers no second one.
    async fn deliver(&self, page: &Page, to: &str, cx: &SendContext) -> Result<Receipt, SendError> {
        let id = body::id(&cx.idempotency_key, to);
        let card = self.card(page, to, &id);
        let app = &self.member.app;
        let url = app.url(&format!("{CARDS}/createAndDeliver"));
        let call = |token: &Secret| dingtalk_app::with_token(app.http.post_json(url.as_str(), &card), token);
        let reply = app.call(call, dingtalk_app::is_token_trouble, cx.deadline, cx.now).await?;
        answer::delivery(&reply, &id, card["imGroupOpenDeliverModel"]["atUserIds"].is_object(), cx.now)
    }
}
