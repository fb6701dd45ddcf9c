//! Microsoft Teams: a Workflows webhook that takes an adaptive card. One attempt; no queue, no retry.
//! <https://support.microsoft.com/en-us/office/create-incoming-webhooks-with-workflows-for-microsoft-teams-8ae491c7-0394-4861-ba59-055e33f75498>

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
use super::{BuildContext, Built, CellResult, Channel, Limit, Pace, Platform, PlatformConfig, Problem, SendContext, kit};
use crate::model::{Escape, FieldSpec, Mentions, OutletKey, Page, Receipt, Recipient, Secret, SecretSource, SendError};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "teams",
    title: "Microsoft Teams",
    about: "Workflows webhook; adaptive card with severity colour, facts and link buttons, @ by user principal name",
    docs: "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: false, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::TeamsMarkdown, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "footer", escape: Escape::None, required: false, single_line: true, template: include_str!("footer.hbs") },
    ],
    measure: &body::measure,
    limit: "20 KB of JSON: Teams refuses messages over 28 KB with its own wrapping, after the webhook has answered 202 \
            (https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages)",
    pace: Pace {
        limits: &[Limit { count: 4, window: Duration::from_secs(1) }, Limit { count: 60, window: Duration::from_secs(30) }],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors",
    },
    pings: Pings::of(Ping::Named, Ping::Named, Ping::Inside, Ping::Named).reaching(Reach::Mention("email")),
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

const HELP: &str = "copy the whole address from the flow `When a Teams webhook request is received`, with its `sig`";

/// `teams: { webhook }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address of the flow's trigger (`https://prod-00.westeurope.logic.azure.com/workflows/...&sig=...`); all of it is secret.
    pub webhook: SecretSource,
    /// Whom messages ping unless a route says otherwise: `users` by principal name (`anna@example.com`).
    #[serde(default)]
    pub mentions: Mentions,
    /// Another server in its place. Default the webhook's own.
    #[serde(default)]
    pub api_base: Option<String>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = kit::check_secret("teams.webhook", &self.webhook).into_iter().collect();
        if self.mentions.all || !self.mentions.mobiles.is_empty() || !self.mentions.groups.is_empty() {
            let help = "name `users: [anna@example.com]`";
            problems.push(Problem::new("teams.mentions", "a Teams webhook can ping single people only", help));
        }
        problems.extend(self.api_base.as_ref().and_then(|base| kit::check_base("teams.api_base", base)));
        problems
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new("@webhook")]
    }

    fn mentions(&self) -> Mentions {
        self.mentions.clone()
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let url = kit::read_address(cx, "teams.webhook", &self.webhook, self.api_base.as_deref(), HELP).map_err(|problem| vec![problem])?;
        if let Some(problem) = kit::check_hook("teams.webhook", &url) {
            return Err(vec![problem]);
        }
        let http = kit::http(cx, "teams", self.ca_file.as_deref()).map_err(|problem| vec![problem])?;
        let outlet = OutletKey::new("teams", url.expose());
        Ok(Built { descriptor: None, channel: Arc::new(Driver { http: http.with_secrets(kit::address_secrets(&url)), url }), outlet })
    }
}

struct Driver {
    url: Secret,
    http: kit::Http,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    fn body(&self, page: &Page) -> Value {
        body::message(page)
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let body = serde_json::to_vec(&body::message(page)).unwrap_or_default();
        // The flow's trigger wants exactly this type.
        let reply = self.http.post(self.url.expose()).body("application/json", body).send(cx.deadline).await?;
        answer::of(&reply, cx.now)
    }
}
