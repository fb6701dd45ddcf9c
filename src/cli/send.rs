//! `watchfire send`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::print::no_channel;
use super::remote::{Found, Remote, Server};
use super::{Common, ExitStatus, block_on, contexts, load};
use crate::api::{TestSendRequest, TestSendResponse, TestSendResult};
use crate::channel::SendContext;
use crate::delivery::direct::text_page;
use crate::http::api::preview;
use crate::ingest::Inputs;
use crate::model::{DeliveryId, MessageId};

/// Options of `send`.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// The channel.
    #[arg(long, short, value_name = "NAME")]
    channel: String,
    /// A webhook body to render and send; `-` reads standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "text")]
    payload: Option<PathBuf>,
    /// A text to send as it is.
    #[arg(long, short)]
    text: Option<String>,
}

/// What the platform said; the API's answer, where a server sent.
#[derive(Serialize)]
struct Sent {
    delivery: Option<DeliveryId>,
    expired: bool,
    results: Vec<TestSendResult>,
}

/// Really sends one message: through the running server when there is one (recorded, within its rate limit), else straight through the driver.
pub fn run(common: &Common, args: &SendArgs) -> Result<ExitStatus> {
    block_on(async {
        let sent = if contexts::chosen(common)?.is_some() {
            through_server(common, args).await?
        } else {
            let loaded = load(common, true)?;
            match Server::of(&loaded.server)?.detect().await {
                Found::Watchfire => through_server(common, args).await?,
                _ => Sent { delivery: None, expired: false, results: straight(&loaded.plan, &loaded.inputs, args).await? },
            }
        };
        let ok = !sent.expired && sent.results.iter().all(|result| result.ok);
        let status = if ok { ExitStatus::Success } else { ExitStatus::Failure };
        if common.json {
            anstream::println!("{}", serde_json::to_string(&sent)?);
            return Ok(status);
        }
        if sent.expired {
            bail!("the platform's rate limit left no slot within 10 s; nothing was sent");
        }
        for result in &sent.results {
            let [code, answer, error, kind] =
                [&result.code, &result.answer, &result.error, &result.kind].map(|text| text.as_deref().unwrap_or_default());
            if result.ok {
                anstream::println!("{}", format!("delivered to {}: {code} {answer}", result.recipient).trim_end());
            } else {
                anstream::eprintln!("not delivered to {}: {error} [{kind}]", result.recipient);
                // Without an answer from the platform it would repeat the error.
                if !error.contains(answer) {
                    anstream::eprintln!("  the answer: {answer}");
                }
            }
        }
        Ok(status)
    })?
}

async fn through_server(common: &Common, args: &SendArgs) -> Result<Sent> {
    let remote = Remote::open(common).await?;
    let request = match &args.payload {
        Some(path) => {
            let payload = serde_json::from_slice(&super::render::body(path)?).with_context(|| format!("{} is not JSON", path.display()))?;
            TestSendRequest { payload: Some(payload), text: None }
        }
        None => TestSendRequest { payload: None, text: args.text.clone() },
    };
    let path = format!("/api/v1/channels/{}/test", utf8_percent_encode(&args.channel, NON_ALPHANUMERIC));
    let sent: TestSendResponse = remote.post(&path, &request).await?;
    Ok(Sent { delivery: Some(sent.delivery), expired: sent.expired, results: sent.results })
}

async fn straight(plan: &crate::delivery::Plan, inputs: &Inputs, args: &SendArgs) -> Result<Vec<TestSendResult>> {
    let channel = plan.channel(&args.channel).ok_or_else(|| no_channel(plan, &args.channel))?;
    let clock = crate::delivery::Clock::system();
    let pages = match &args.payload {
        Some(path) => preview(plan, channel, &super::render::event(path, inputs, clock.wall().timestamp())?, clock.wall().timestamp()).pages,
        None => vec![text_page(channel, args.text.as_deref().unwrap_or("Watchfire test message")).1],
    };
    let message = MessageId::new();
    let mut results = Vec::new();
    for page in &pages {
        let cx = SendContext {
            now: clock.wall().timestamp(),
            deadline: clock.instant() + channel.timeout,
            message,
            attempt: 1,
            unanswered: false,
            idempotency_key: format!("{message}-{}", page.number),
            traceparent: String::new(),
            direct: true,
            callback: String::new(),
            press: String::new(),
            reply_to: None,
            own: Default::default(),
        };
        for (i, result) in channel.driver.send(page, &channel.recipients, &cx).await {
            let to = channel.recipients.get(i).map(|r| r.masked()).unwrap_or_default();
            results.push(TestSendResult::new(to, result));
        }
    }
    Ok(results)
}
