//! `watchfire send`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::remote::{Found, Remote, Server};
use super::{Common, Outcome, block_on, load};
use crate::channel::SendContext;
use crate::http::api::{preview, text_page};
use crate::ingest::GenericMapping;
use crate::model::MessageId;

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

/// Really sends one message: through the running server when there is one (recorded, at its pace), else straight through the driver.
pub fn run(common: &Common, args: &SendArgs) -> Result<Outcome> {
    block_on(async {
        let loaded = load(common, true)?;
        let up = matches!(Server::of(&loaded.server)?.look().await, Found::Watchfire);
        let answer = if up { through_server(common, args).await? } else { straight(&loaded.plan, loaded.generic.as_ref(), args).await? };
        let mut all_ok = true;
        for result in answer["results"].as_array().into_iter().flatten() {
            let text = |key: &str| result[key].as_str().unwrap_or("");
            if result["ok"] == json!(true) {
                anstream::println!("{}", format!("delivered to {}: {} {}", text("recipient"), text("code"), text("answer")).trim_end());
            } else {
                all_ok = false;
                anstream::eprintln!("not delivered to {}: {} [{}]", text("recipient"), text("error"), text("kind"));
                // Where there was no answer the reason stands here once more.
                if !text("error").contains(text("answer")) {
                    anstream::eprintln!("  the answer: {}", text("answer"));
                }
            }
        }
        if answer["expired"] == json!(true) {
            bail!("no slot came free within 10 s at the platform's pace; nothing was sent");
        }
        Ok(if all_ok { Outcome::Fine } else { Outcome::Failed })
    })?
}

async fn through_server(common: &Common, args: &SendArgs) -> Result<Value> {
    let remote = Remote::open(common).await?;
    let body = match &args.payload {
        Some(path) => {
            let payload: Value = serde_json::from_slice(&super::render::body(path)?).with_context(|| format!("{} is not JSON", path.display()))?;
            json!({ "payload": payload })
        }
        None => json!({ "text": args.text }),
    };
    remote.call("POST", &format!("/api/v1/channels/{}/test", utf8_percent_encode(&args.channel, NON_ALPHANUMERIC)), Some(&body)).await
}

async fn straight(plan: &crate::delivery::Plan, generic: Option<&GenericMapping>, args: &SendArgs) -> Result<Value> {
    let channel = plan.channel(&args.channel).ok_or_else(|| {
        anyhow::anyhow!("no channel `{}`; there are: {}", args.channel, plan.channels.keys().cloned().collect::<Vec<_>>().join(", "))
    })?;
    let clock = crate::delivery::Clock::system();
    let pages = match &args.payload {
        Some(path) => preview(plan, channel, &super::render::event(path, generic, clock.now())?, clock.now()).pages,
        None => vec![text_page(channel, args.text.as_deref().unwrap_or("Watchfire test message")).1],
    };
    let message = MessageId::new();
    let mut results = Vec::new();
    for page in &pages {
        let cx = SendContext {
            now: clock.now(),
            deadline: clock.instant() + channel.timeout,
            message,
            attempt: 1,
            idempotency_key: format!("{message}-{}", page.number),
            traceparent: String::new(),
            direct: true,
            callback: String::new(),
        };
        for (i, result) in channel.driver.send(page, &channel.recipients, &cx).await {
            let to = channel.recipients.get(i).map(|r| r.masked()).unwrap_or_default();
            results.push(match result {
                Ok(r) => json!({ "recipient": to, "ok": true, "code": r.code, "answer": r.answer }),
                Err(e) => json!({ "recipient": to, "ok": false, "kind": e.kind.as_str(), "code": e.code, "error": e.summary, "answer": e.detail }),
            });
        }
    }
    Ok(json!({ "results": results, "expired": false }))
}
