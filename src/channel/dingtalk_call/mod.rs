//! DingTalk DING (钉钉 DING 消息): a robot of an application calls people, writes them an SMS, or pings them in the app. One attempt; no queue,
//! no retry. <https://open.dingtalk.com/document/orgapp/robot-sends-nail-messages>

mod answer;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::descriptor::{Pings, Reach};
use super::dingtalk_app::{self, App};
use super::kit::{self, phone};
use super::{Attempts, BuildContext, Built, CellResult, Channel, Limit, OnAmbiguous, Pace, Platform, PlatformConfig, Probe, Problem, SendContext};
use crate::model::{ErrorKind, Escape, FieldSpec, OutletKey, Page, Recipient, Secret, SecretSource, SendError, Size};

/// Our own, for no limit is documented: what a person woken up by a call can follow.
const MAX_TEXT: usize = 200;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "dingtalk_call",
    title: "DingTalk DING (钉钉 DING：电话、短信、应用内)",
    about: "calls, texts or pings people by mobile number or user id; people who were not reached are named",
    docs: "https://open.dingtalk.com/document/orgapp/robot-sends-nail-messages",
    fields: &[FieldSpec { name: "text", escape: Escape::None, required: true, single_line: true, template: include_str!("text.hbs") }],
    measure: &|page| Size::characters(page.field("text").chars().count(), MAX_TEXT),
    limit: "200 characters (our own; none is documented)",
    pace: Pace {
        limits: &[Limit { count: 20, window: Duration::from_secs(1) }],
        per_month: None,
        month_zone: Pace::CHINA,
        per_recipient: &[],
        source: "https://open.dingtalk.com/document/orgapp/invocation-frequency-limit: 20 calls of one interface a second and application",
    },
    attempts: Attempts { concurrency: 2, batch: 20 },
    on_ambiguous: OnAmbiguous::Never,
    pings: Pings::NEEDLESS.reaching(Reach::Mobile),
    resolved_by_default: false,
    word: super::FinalWord::Never,
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// `dingtalk_call: { app_key, app_secret, robot_code, to }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// AppKey (Client ID) of the application.
    pub app_key: String,
    /// AppSecret (Client Secret).
    pub app_secret: SecretSource,
    /// Code of the application's robot.
    pub robot_code: String,
    /// Whom to reach: mobile numbers, or user ids written `user:zhangsan`.
    pub to: Vec<String>,
    /// How: `phone`, `sms` (both need a paid DING quota) or `app`. Default `phone`.
    #[serde(default)]
    pub remind: Remind,
    /// Another server in place of `https://api.dingtalk.com` and `https://oapi.dingtalk.com`.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// How people are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Remind {
    /// A phone call.
    #[default]
    Phone,
    /// An SMS.
    Sms,
    /// In the app.
    App,
}

impl Remind {
    /// `remindType` (same page as above).
    fn number(self) -> u8 {
        match self {
            Remind::App => 1,
            Remind::Sms => 2,
            Remind::Phone => 3,
        }
    }
}

const USER: &str = "user:";

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let texts = [("app_key", &self.app_key), ("robot_code", &self.robot_code)];
        let help = "copy it from the application's page in the developer console";
        problems.extend(texts.iter().filter_map(|(name, text)| kit::check_text(&format!("dingtalk_call.{name}"), text, help)));
        problems.extend(kit::check_secret("dingtalk_call.app_secret", &self.app_secret));
        if self.to.is_empty() {
            problems.push(Problem::new("dingtalk_call.to", "nobody is to be reached", "name mobile numbers, or user ids as `user:zhangsan`"));
        }
        for (place, to) in self.to.iter().enumerate() {
            let path = format!("dingtalk_call.to[{place}]");
            let help = "write a mobile number, or a user id as `user:zhangsan`";
            match to.strip_prefix(USER) {
                Some(user) if user.trim().is_empty() => problems.push(Problem::new(path, "it names no user", help)),
                Some(_) => {}
                None => {
                    let refusal = phone::refusal(to, phone::Use::Mobile);
                    problems.extend(refusal.map(|(why, _)| Problem::new(path, format!("nobody is found by it: {why}"), help)));
                }
            }
        }
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("dingtalk_call.api_base", base)));
        problems
    }

    fn recipients(&self) -> Vec<Recipient> {
        let mut seen = std::collections::HashSet::new();
        let people = self.to.iter().map(|to| to.trim());
        people.filter(|to| seen.insert(phone::e164(to).unwrap_or_else(|| (*to).to_owned()))).map(Recipient::new).collect()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let secret = kit::read_secret(cx, "dingtalk_call.app_secret", &self.app_secret).map_err(|problem| vec![problem])?;
        let http = kit::http(cx, "dingtalk_call", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let driver = Driver {
            app: App::new(cx, http, &self.app_key, secret, self.api_base.as_deref()),
            robot: self.robot_code.trim().to_owned(),
            remind: self.remind,
            mobile: self.to.iter().filter(|to| !to.starts_with(USER)).find_map(|to| phone::e164(to)).map(|number| phone::dialled(&number)),
            users: Mutex::default(),
        };
        Ok(Built {
            descriptor: None,
            channel: Arc::new(driver),
            outlet: OutletKey::new("dingtalk_call", &format!("{} {}", self.app_key, self.robot_code)),
        })
    }
}

/// How long a mobile's user id is believed.
const USER_LIFE: Duration = Duration::from_secs(86_400);

struct Driver {
    app: App,
    robot: String,
    remind: Remind,
    /// The first of its recipients who is found by a mobile number.
    mobile: Option<String>,
    /// User ids by mobile, and since when.
    users: Mutex<HashMap<String, (String, Instant)>>,
}

#[async_trait]
impl Channel for Driver {
    fn max_pages(&self) -> usize {
        1
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let mut results: Vec<CellResult> = Vec::with_capacity(to.len());
        let mut users: Vec<(usize, String)> = Vec::new();
        for (place, one) in to.iter().enumerate() {
            match self.user(one.expose(), cx).await {
                Ok(user) => users.push((place, user)),
                Err(error) => results.push((place, Err(error))),
            }
        }
        if users.is_empty() {
            return results;
        }
        let whole = self.ding(page, &users, cx).await;
        // One id that nobody has refuses everybody: then each is called alone.
        if users.len() > 1 && whole.as_ref().is_err_and(|error| error.kind == ErrorKind::Rejected && kit::has_code(error, answer::OF_RECEIVERS)) {
            for user in users.chunks(1) {
                results.extend(reached(user, &self.ding(page, user, cx).await));
            }
        } else {
            results.extend(reached(&users, &whole));
        }
        results
    }

    fn body(&self, page: &Page) -> Value {
        let text = page.field("text");
        // Only a call is spoken; what people read keeps its addresses and numbers as they are.
        let text = if self.remind == Remind::Phone { kit::spoken(text, page.facts.language) } else { text.to_owned() };
        let text: String = text.chars().take(MAX_TEXT).collect();
        json!({ "robotCode": self.robot, "remindType": self.remind.number(), "content": text })
    }

    fn calls(&self) -> bool {
        self.remind == Remind::Phone
    }

    async fn probe(&self) -> Probe {
        self.app.token(kit::probe_deadline(), Timestamp::UNIX_EPOCH).await.map_or_else(Probe::Failed, |_| Probe::Ok)
    }

    /// DingTalk lists no permissions: one of those who are found by their mobile numbers is looked up.
    async fn may_deliver(&self) -> Result<(), SendError> {
        let Some(mobile) = &self.mobile else { return Ok(()) };
        match self.app.user(mobile, kit::probe_deadline(), Timestamp::UNIX_EPOCH).await {
            Err(error) if error.kind == ErrorKind::Misconfigured => Err(error),
            _ => Ok(()),
        }
    }
}

/// What an answer says to each of those whom its request named.
fn reached(users: &[(usize, String)], answer: &Result<answer::Reached, SendError>) -> Vec<CellResult> {
    let one = |(place, user): &(usize, String)| {
        let result = match answer {
            Ok((receipt, failed)) => match failed.iter().find(|(_, names)| names.contains(user)) {
                Some((why, _)) => {
                    let text = format!("DingTalk does not reach this person: {why}");
                    Err(SendError::new(ErrorKind::Rejected, text).code("failedList").of_recipient())
                }
                None => Ok(receipt.clone()),
            },
            Err(error) if error.kind == ErrorKind::Rejected && kit::has_code(error, answer::OF_RECEIVERS) => Err(error.clone().of_recipient()),
            Err(error) => Err(error.clone()),
        };
        (*place, result)
    };
    users.iter().map(one).collect()
}

impl Driver {
    /// The user id of a recipient.
    async fn user(&self, to: &str, cx: &SendContext) -> Result<String, SendError> {
        if let Some(user) = to.strip_prefix(USER) {
            return Ok(user.trim().to_owned());
        }
        let mobile = phone::e164(to).map_or_else(|| to.trim().to_owned(), |number| phone::dialled(&number));
        // A deadline is a good enough clock here: it only ever moves on.
        let now = cx.deadline;
        if let Some((user, since)) = self.users().get(&mobile)
            && now.saturating_duration_since(*since) < USER_LIFE
        {
            return Ok(user.clone());
        }
        let user = self.app.user(&mobile, cx.deadline, cx.now).await?;
        self.users().insert(mobile, (user.clone(), now));
        Ok(user)
    }

    fn users(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Instant)>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ding(&self, page: &Page, users: &[(usize, String)], cx: &SendContext) -> Result<answer::Reached, SendError> {
        let ids: Vec<&str> = users.iter().map(|(_, user)| user.as_str()).collect();
        let mut body = self.body(page);
        body["receiverUserIdList"] = json!(ids);
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let url = self.app.url("/v1.0/robot/ding/send");
        let call = |token: &Secret| dingtalk_app::with_token(self.app.http.post(url.as_str()).body("application/json", body.clone()), token);
        answer::of(&self.app.call(call, dingtalk_app::is_token_trouble, cx.deadline, cx.now).await?, cx.now)
    }
}
