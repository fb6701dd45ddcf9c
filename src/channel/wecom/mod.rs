//! WeCom (企业微信) application messages: a cached access token, one request for many recipients, and an answer that may refuse some of them.
//! One attempt; no queue, no retry, no clock. <https://developer.work.weixin.qq.com/document/path/90236>

mod answer;
mod app;
mod body;
mod callback;
mod config;
mod living;
mod press_card;
mod recipient;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;

pub use config::Config;

use self::app::App;
use self::body::Cards;
use self::callback::{Callbacks, Pressed};
use super::descriptor::{Pings, Reach};
use super::{
    Attempts, Callback, CellResult, Channel, Counted, Directory, Limit, Living, LivingMode, Pace, Platform, PressAnswer, PressCall, PressReply,
    PressWay, Probe, SendContext, kit,
};
use crate::model::{ErrorKind, Escape, FieldSpec, Page, PlatformIds, Receipt, Recipient, SendError, hash_hex};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "wecom",
    title: "WeCom application (企业微信应用)",
    about: "application messages to users, departments and tags; markdown or text; refused recipients are listed",
    docs: "https://developer.work.weixin.qq.com/document/path/90236",
    fields: &[
        FieldSpec { name: "text", escape: Escape::WeComMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "card", escape: Escape::WeComMarkdown, required: false, single_line: false, template: include_str!("card.hbs") },
        FieldSpec { name: "notice", escape: Escape::None, required: false, single_line: false, template: include_str!("notice.hbs") },
    ],
    measure: &body::measure,
    limit: "2,048 bytes of content (https://developer.work.weixin.qq.com/document/path/90236)",
    pace: Pace {
        limits: &[Limit { count: 30, window: Duration::from_secs(60) }, Limit { count: 1000, window: Duration::from_secs(3600) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://developer.work.weixin.qq.com/document/path/90454: 30 a minute and 1,000 an hour for each member; what is more is dropped in silence",
    },
    attempts: Attempts { concurrency: 2, batch: config::MAX_USERS },
    pings: Pings::NAMED.reaching(Reach::Id("wecom")),
    // Whether changes count as messages is not documented; what is more than the limit is dropped in silence.
    living: Living { edit: true, reply: false, edits_counted: true, spends: Some(answer::CODE), default: LivingMode::Edit },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const SEND: &str = "/cgi-bin/message/send";
const UPDATE: &str = "/cgi-bin/message/update_template_card";

/// Whom WeCom does not know is not asked for again today: too many of such questions block the interface for a day.
const UNKNOWN: Duration = Duration::from_secs(86_400);

struct Driver {
    app: Arc<App>,
    directory: Arc<Directory>,
    card: bool,
    callbacks: Option<Callbacks>,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        match self.attempt(page, to, cx).await {
            Ok(results) => results,
            Err(error) => kit::all(to, Err(error)),
        }
    }

    /// Without an address for presses no message is a card that can be changed.
    fn living(&self, platform: &Platform) -> Living {
        if self.callbacks.is_some() { platform.living } else { Living::NEW }
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        self.edit(ids, page, cx).await
    }

    fn directory(&self) -> Option<&Directory> {
        Some(&self.directory)
    }

    /// The user id of a mobile number. <https://developer.work.weixin.qq.com/document/path/91693>
    async fn look_up(&self, address: &str, deadline: Instant) -> Result<Option<String>, SendError> {
        let reply = self.app.post("/cgi-bin/user/getuserid", &json!({ "mobile": kit::phone::dialled(address) }), deadline).await?;
        answer::of_user(&reply, reply.date().unwrap_or_default())
    }

    fn body(&self, page: &Page) -> Value {
        kit::shown(&body::message(page, &[], self.app.agent_id, false, self.cards("")))
    }

    /// The limits are each member's (<https://developer.work.weixin.qq.com/document/path/90454>); who is in a department or has a tag is not known.
    fn counted(&self, to: &[Recipient]) -> Counted {
        if to.is_empty() || !to.iter().all(recipient::is_member) {
            return Counted::Outlet;
        }
        // Members' ids are the same in either case (https://developer.work.weixin.qq.com/document/path/90195).
        Counted::Recipients(to.iter().map(|member| Recipient::new(member.expose().to_lowercase())).collect())
    }

    fn press_way(&self) -> Option<PressWay> {
        self.callbacks.as_ref().map(|_| PressWay::Callback)
    }

    fn pressed(&self, call: &Callback<'_>) -> Result<PressCall, String> {
        let callbacks = self.callbacks.as_ref().ok_or("this channel has no `wecom.callback_token`")?;
        callbacks.read(call, &self.app.corp_id, self.app.agent_id)
    }

    /// WeCom is answered at once; the card changes by a request of its own, with the right to it that the press brought.
    fn press_reply(&self, call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
        let pressed = self.callbacks.as_ref().and_then(|callbacks| callbacks.pressed(call, &self.app.corp_id, self.app.agent_id).ok().flatten());
        if let Some(Pressed { press, response_code }) = pressed.filter(|pressed| !pressed.response_code.is_empty()) {
            // What did not happen is said to one person; the others may still press.
            let user = press.by.id.as_str();
            let (text, only) = if answer.done { (format!("{user}: {}", answer.text), None) } else { (answer.text.clone(), Some(user)) };
            let body = press_card::replaced(&text, &response_code, self.app.agent_id, only);
            let app = self.app.clone();
            tokio::spawn(async move { change(&app, &body).await });
        }
        PressReply::EMPTY
    }

    async fn probe(&self) -> Probe {
        match self.app.fetch(kit::probe_deadline()).await {
            Ok(_) => Probe::Ok,
            Err(error) => Probe::Failed(error),
        }
    }

    /// <https://developer.work.weixin.qq.com/document/path/90227>
    async fn may_deliver(&self) -> Result<(), SendError> {
        let reply = self.app.agent(kit::probe_deadline()).await?;
        answer::of_agent(&reply, reply.date().unwrap_or_default())
    }
}

/// Changes a card. What WeCom says to it changes nothing: what was pressed is done.
async fn change(app: &App, body: &Value) {
    let reply = app.post(UPDATE, body, kit::within(Duration::from_secs(10))).await;
    let refusal = match reply {
        Ok(reply) => answer::of(&reply, &[], reply.date().unwrap_or_default()).err(),
        Err(error) => Some(error),
    };
    if let Some(error) = refusal {
        tracing::warn!(%error, "the answer to a press of a WeCom button was not shown");
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Result<Vec<CellResult>, SendError> {
        let agent_id = match page.field("agent_id").trim() {
            "" => self.app.agent_id,
            text => text.parse().map_err(|_| SendError::new(ErrorKind::Rejected, "the agent id is not a number; write the application's AgentId"))?,
        };
        // An id is used once; a repeat must not be refused for it.
        let names: String = to.iter().map(|to| to.expose()).collect::<Vec<_>>().join("|");
        let task_id = format!("watchfire-{}", hash_hex(&[&cx.idempotency_key, &names, &cx.attempt.to_string()]));
        let message = body::message(page, to, agent_id, cx.direct, self.cards(&task_id));
        let results = answer::of(&self.app.post(SEND, &message, cx.deadline).await?, to, cx.now);
        match results {
            // Such as when the application has no address for callbacks: the message must not be lost for its buttons.
            Err(refused) if message.has_buttons() && answer::is_of_card(&refused) => {
                let cards = if self.card { Cards::Fitting } else { Cards::None };
                let message = body::message(page, to, agent_id, cx.direct, cards);
                let results = answer::of(&self.app.post(SEND, &message, cx.deadline).await?, to, cx.now)?;
                let said = |result: Result<_, _>| result.map(|receipt| kit::without_buttons(receipt, Some(&refused)));
                Ok(results.into_iter().map(|(place, result)| (place, said(result))).collect())
            }
            results => results,
        }
    }

    fn cards<'a>(&self, task_id: &'a str) -> Cards<'a> {
        match (self.callbacks.is_some(), self.card) {
            (true, fitting) => Cards::Pressed { task_id, fitting },
            (false, true) => Cards::Fitting,
            (false, false) => Cards::None,
        }
    }
}
