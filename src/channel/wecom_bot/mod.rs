//! WeCom smart robot (企业微信智能机器人) over its long connection: messages and cards to groups and people, and presses of their buttons without a public
//! address. One attempt; no queue, no retry. <https://developer.work.weixin.qq.com/document/path/101463>

mod answer;
mod body;
mod connection;
mod hub;
mod robot;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::hub::Hub;
use self::robot::Robot;
use super::descriptor::{Pings, Reach};
use super::{BuildContext, Built, CellResult, Channel, Counted, Limit, Pace, Platform, PlatformConfig, PressWay, Probe, Problem, SendContext, kit};
use crate::model::{Escape, FieldSpec, OutletKey, Page, Receipt, Recipient, SecretSource, SendError, hash_hex};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "wecom_bot",
    title: "WeCom smart robot (企业微信智能机器人)",
    about: "messages of a smart robot to groups and people; buttons to press without a public address",
    docs: "https://developer.work.weixin.qq.com/document/path/101463",
    fields: &[
        FieldSpec { name: "text", escape: Escape::WeComMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "notice", escape: Escape::None, required: false, single_line: false, template: include_str!("notice.hbs") },
    ],
    measure: &body::measure,
    limit: "4,096 bytes of markdown, our own; 20,480 are taken (https://developer.work.weixin.qq.com/document/path/101031)",
    pace: Pace {
        limits: &[Limit { count: 30, window: Duration::from_secs(60) }, Limit { count: 1000, window: Duration::from_secs(3600) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://developer.work.weixin.qq.com/document/path/101463: 30 a minute and 1,000 an hour for each group or person, answers included",
    },
    pings: Pings::NAMED.reaching(Reach::Id("wecom")),
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const API_BASE: &str = "https://openws.work.weixin.qq.com";

/// `wecom_bot: { bot_id, secret, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The robot's Bot ID.
    pub bot_id: String,
    /// Its Secret for the long connection.
    pub secret: SecretSource,
    /// Where to send to: groups by their chat id (`wr...`), people by their user id. Somebody must have written to the robot there before.
    pub to: Vec<String>,
    /// Messages of incidents are cards with buttons, and this server keeps the robot's connection open to listen for their presses: no public address is
    /// needed. A robot has one connection: no other program may use it. Default false.
    #[serde(default)]
    pub buttons: bool,
    /// Another server in WeCom's place. Default `https://openws.work.weixin.qq.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let help = "copy it from the robot's page, API mode, long connection";
        let mut problems: Vec<Problem> = kit::check_text("wecom_bot.bot_id", &self.bot_id, help).into_iter().collect();
        problems.extend(kit::check_secret("wecom_bot.secret", &self.secret));
        if self.to.is_empty() {
            problems.push(Problem::new(
                "wecom_bot.to",
                "nobody is to be reached",
                "name groups by their chat id (`wr...`), and people by their user id",
            ));
        }
        let named = self.to.iter().enumerate();
        problems.extend(named.filter_map(|(place, to)| kit::check_text(&format!("wecom_bot.to[{place}]"), to, "write a chat id or a user id")));
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("wecom_bot.api_base", base)));
        problems
    }

    fn recipients(&self) -> Vec<Recipient> {
        self.to.iter().map(|to| Recipient::new(to.trim())).collect()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let secret = kit::read_secret(cx, "wecom_bot.secret", &self.secret).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, "wecom_bot", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("wecom_bot", &self.bot_id);
        let base = self.api_base.as_deref().unwrap_or(API_BASE).trim_end_matches('/').to_owned();
        let id = self.bot_id.trim().to_owned();
        let hub = cx.http.shared("wecom bot", &[&base, &id, secret.expose()], Hub::default);
        let robot = Arc::new(Robot { base, http: http.with_secrets([secret.clone()]), id, secret });
        if self.buttons {
            hub.members.add(&robot);
        }
        let driver = Driver { robot, hub, buttons: self.buttons, only: kit::only(&self.recipients()) };
        Ok(Built { descriptor: None, channel: Arc::new(driver), outlet })
    }
}

struct Driver {
    robot: Arc<Robot>,
    hub: Arc<Hub>,
    buttons: bool,
    /// The only chat that the channel has.
    only: Option<Recipient>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results = Vec::with_capacity(to.len());
        // The descriptor allows one recipient an attempt.
        for (place, to) in to.iter().enumerate() {
            let result = self.push(page, to.expose(), cx).await;
            results.push((place, result.map_err(|error| kit::of_receiver(error, answer::OF_CHAT, self.only.as_ref() == Some(to)))));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        let mut shown = body::message(page, "", "");
        shown.as_object_mut().into_iter().for_each(|shown| drop(shown.remove("chatid")));
        shown
    }

    /// The limits are each chat's.
    fn counted(&self, to: &[Recipient]) -> Counted {
        if to.is_empty() { Counted::Outlet } else { Counted::Recipients(to.to_vec()) }
    }

    fn press_way(&self) -> Option<PressWay> {
        self.buttons.then(|| PressWay::Listener(self.hub.clone()))
    }

    async fn probe(&self) -> Probe {
        self.hub.probe(&self.robot, kit::probe_deadline()).await
    }
}

impl Driver {
    /// The id of a card: used once, so that a repeat is not refused for it.
    fn card_id(seed: &[&str]) -> String {
        format!("watchfire-{}", hash_hex(seed))
    }

    async fn push(&self, page: &Page, to: &str, cx: &SendContext) -> Result<Receipt, SendError> {
        let id = Self::card_id(&[&cx.idempotency_key, to, &cx.attempt.to_string()]);
        let message = body::message(page, to, &id);
        let is_card = message["msgtype"] == "template_card";
        let sent = answer::sent(&self.hub.send(&self.robot, message, cx.now, cx.deadline).await?, &self.robot);
        match sent {
            // The message must not be lost for its buttons.
            Err(refused) if is_card && answer::is_of_card(&refused) => {
                let message = body::message(&Page { plain: true, ..page.clone() }, to, &id);
                let receipt = answer::sent(&self.hub.send(&self.robot, message, cx.now, cx.deadline).await?, &self.robot)?;
                Ok(kit::without_buttons(receipt, Some(&refused)))
            }
            sent => sent,
        }
    }
}
