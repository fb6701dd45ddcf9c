//! E-mail over SMTP: one mail and one envelope per recipient, so that one bad mailbox blocks nobody and recipients do not see each other.
//!
//! A mail is handed to one configured server; its "250" means that this server took it, not that it arrived. The parts: [`config`] reads the
//! block, [`message`] writes the bytes, [`pool`] and [`dial`] keep sessions, [`smtp`] speaks, [`classify`] and
//! [`verdict`] say what an answer means.

mod address;
mod auth;
mod classify;
mod config;
mod dial;
mod dkim;
mod driver;
mod message;
mod pool;
mod smtp;
mod stage;
mod tls;
mod types;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

pub use config::Config;

use self::types::DEFAULT_CONNECTIONS;
use super::descriptor::{Living, LivingMode, Pings, Reach};
use super::{Attempts, OnAmbiguous, Pace, Platform};
use crate::model::{Escape, FieldSpec, Page, Size};

/// The most text an alert mail is good for. Servers take 10 to 50 MB and say so with SIZE.
const MAX_BYTES: usize = 1 << 20;
/// The longest HTML, with room for the coding of the mail: Gmail cuts what is longer than 102 KB, and its end is not seen
/// (<https://www.spamresource.com/2022/01/what-is-gmail-clipping-and-what-to-do.html>).
const MAX_HTML: usize = 90_000;

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "email",
    title: "E-mail (SMTP)",
    about: "Text and HTML mails through any SMTP server, one per recipient, threaded per incident",
    docs: "https://www.rfc-editor.org/rfc/rfc5321",
    fields: &[
        FieldSpec { name: "subject", escape: Escape::None, required: true, single_line: true, template: include_str!("subject.hbs") },
        FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "status", escape: Escape::None, required: false, single_line: true, template: include_str!("status.hbs") },
        FieldSpec { name: "html", escape: Escape::Html, required: false, single_line: false, template: include_str!("html.hbs") },
    ],
    measure: &measure,
    limit: "90,000 bytes of HTML, so that no client cuts it; 1 MiB in all (our own caps; servers announce theirs with SIZE, RFC 1870)",
    pace: Pace {
        limits: &[],
        per_month: None,
        month_zone: 0,
        per_recipient: &[],
        source: "every provider has its own; set `rate_limit` on the channel",
    },
    attempts: Attempts { concurrency: DEFAULT_CONNECTIONS, batch: 50 },
    // The Message-ID stays the same, by which clients and servers recognise a repeat; a second mail does less harm than none.
    on_ambiguous: OnAmbiguous::Retry,
    pings: Pings::NEEDLESS.reaching(Reach::Email),
    // Every mail names the thread's root in its headers (message.rs): a reply needs no id of an earlier one, and that may be deleted.
    living: Living { edit: false, reply: true, edits_counted: false, spends: None, default: LivingMode::Reply },
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// An address without a name, as a recipient has it; else what is wrong with it, and what to do.
pub fn plain_address(text: &str) -> Result<String, (String, &'static str)> {
    address::address(text).map(|address| address.to_string()).map_err(|flaw| (flaw.what, flaw.help))
}

/// The bytes of the rendered fields.
fn measure(page: &Page) -> Size {
    let all = ["subject", "text", "html"].iter().map(|field| page.field(field).len()).sum();
    Size::bytes(page.field("html").len(), MAX_HTML).tighter(Size::bytes(all, MAX_BYTES))
}
