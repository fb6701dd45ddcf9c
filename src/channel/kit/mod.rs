//! What all drivers share: HTTP clients, requests with a deadline, answers that are read once, one status table, and checks of configuration.
//! It knows HTTP and secrets; it knows no platform, no retry and no clock (`now` and deadlines are arguments).
//!
//! A driver in outline:
//!
//! ```text
//! build:  let token = kit::read_secret(cx, "slack.token", source)?;
//!         let http = kit::http(cx, "slack", self.ca_file.as_deref())?.with_secrets([token.clone()]);
//! send:   let reply = http.post(kit::join(&self.api_base, "/api/chat.postMessage")).bearer(&self.token).json(&body).send(cx.deadline).await?;
//!         let answer: Answer = kit::parse(&reply, cx.now)?;                  // JSON first, then the status table, then "not an answer"
//!         if !answer.ok { return Err(reply.error(kind, answer.error, "what happened; what to do")) }
//!         Ok(reply.receipt("ok", PlatformIds::one("ts", answer.ts)))
//! ```
//!
//! Wrap that in one `async fn attempt(..) -> Result<Receipt, SendError>` and end `send` with [`all`]`(to, self.attempt(..).await)`, or make
//! one result per recipient where the platform names them. Every secret that a request carries is named to the client
//! ([`Http::with_secrets`]) or to the call ([`Call::bearer`], [`Call::query_secret`], [`Call::secret`]): it is then scrubbed from every
//! error and excerpt. Bodies go out as raw UTF-8, as serde_json writes them.

mod address;
mod call;
mod cbc;
mod check;
mod clients;
mod codes;
mod command;
mod file_limit;
mod guard;
mod living;
mod members;
mod number;
pub mod pattern;
pub mod phone;
mod reply;
pub mod sms;
mod spoken;
mod text;
mod transport;
mod wait;
mod websocket;
mod words;

#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;

pub use address::{address_secrets, check_hook, is_linkable, is_reachable_from_outside, read_address};
pub use call::{Call, Http, guarded, http};
pub use cbc::{BLOCK, decrypt_cbc};
pub use check::{PLACEHOLDER, check_base, check_quota, check_secret, check_text, host_header, is_placeholder, join, read_secret};
pub use clients::{HttpClients, install_crypto};
pub use codes::{CodeRule, classify, classify_words, of_receiver, only};
pub use command::command;
pub use file_limit::FileLimit;
pub use guard::SsrfGuard;
pub use living::{edited, gone_if, has_code, id};
pub use members::Members;
pub use reply::{MAX_BODY, MAX_EXCERPT, Reply, classify_status, parse, passing, unclear, undeniable, weigh};
pub use spoken::spoken;
pub use text::{broken, colour, cut_bytes, cut_units, links_in_text, outside_addresses, split_units, units};
pub use websocket::{Frame, Socket, Upgrade};
pub use words::{limit_by_words, passing_by_words, says, unescaped};

use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::CellResult;
use crate::model::{Receipt, Recipient, SendError};

/// The one result of a request, for every recipient it was for.
pub fn all(to: &[Recipient], result: Result<Receipt, SendError>) -> Vec<CellResult> {
    (0..to.len()).map(|place| (place, result.clone())).collect()
}

/// A receipt that says, where that is so, that the buttons were refused and why.
pub fn without_buttons(receipt: Receipt, refused: Option<&SendError>) -> Receipt {
    match refused {
        None => receipt,
        Some(why) => Receipt { answer: format!("the links are in the text, for the buttons were refused ({why}); {}", receipt.answer), ..receipt },
    }
}

/// A body as JSON, to be looked at.
pub fn shown(body: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(body).unwrap_or_default()
}

/// When a probe that starts now is given up: nobody hands it a deadline. What it needs of the wall clock (for a `Retry-After` that is a date)
/// is [`Reply::date`], the server's own.
pub fn probe_deadline() -> Instant {
    within(Duration::from_secs(10))
}

/// The deadline of a request of a listener's own: nobody hands it one.
pub fn within(time: Duration) -> Instant {
    Instant::now() + time
}

/// Waits, in a listener that would otherwise ask without a break. A driver's attempts never wait.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Whether two secrets or signatures are the same, in constant time.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}
