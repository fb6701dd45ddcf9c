//! One request to the platform, under a deadline.

use std::time::Duration;

use crate::channel::{CellResult, SendContext};
use crate::delivery::driver_result::driver_result;
use crate::delivery::links;
use crate::delivery::pending::PendingMessage;
use crate::model::{ErrorKind, OwnLinks, PlatformIds, Recipient, SendError};
use crate::store::{Cell, CellState};

use super::AttemptTask;

impl AttemptTask {
    /// Sends one page to these recipients; one result per recipient, whatever the driver does.
    pub(super) async fn send(&self, message: &PendingMessage, page: u16, to: &[Recipient]) -> Vec<CellResult> {
        let clock = &self.shared.clock;
        let timeout = match &message.caller {
            Some(caller) => self.channel.timeout.min(caller.deadline.saturating_duration_since(clock.instant())),
            None => self.channel.timeout,
        };
        let now = clock.now();
        let deadline = now.mono + timeout;
        let is_of_this = |cell: &&Cell| cell.page == page && to.contains(&cell.recipient);
        let own = self.own_links(message, page, to);
        let cx = SendContext {
            now: now.wall.timestamp(),
            deadline,
            message: message.id,
            attempt: message.tries() + 1,
            unanswered: message.cells.iter().filter(is_of_this).any(|cell| cell.unanswered > 0),
            idempotency_key: message.idempotency_key(page),
            direct: message.caller.is_some(),
            traceparent: message.traces().next().unwrap_or_default().to_owned(),
            callback: links::callback_url(&self.plan, &self.channel),
            press: links::press_url(&self.plan, &self.channel),
            // Where a message answers another by its ids, a request is to one recipient. A mail answers by its headers.
            reply_to: to.first().filter(|_| to.len() == 1).and_then(|to| self.answered(message, page, to)).cloned(),
            own,
        };
        let fail = |kind, text: String| (0..to.len()).map(|i| (i, Err(SendError::new(kind, text.clone())))).collect();
        let Some(page) = message.pages().get(usize::from(page)) else {
            return fail(ErrorKind::Rejected, "the stored message lacks this page".into());
        };
        let alone = if let [to] = to { cx.own.page(page, to) } else { None };
        let page = alone.as_ref().unwrap_or(page);
        let started = clock.instant();
        // The driver has the deadline too; the second more lets it say at which stage it gave up.
        let end = deadline + self.channel.driver.response_grace(cx.direct) + Duration::from_secs(1);
        let sent = driver_result(self.channel.platform.name, timeout, end, self.channel.driver.send(page, to, &cx)).await;
        let mut results: Vec<CellResult> = sent.unwrap_or_else(|error| fail(error.kind, error.summary));
        let (metrics, platform) = (&self.shared.telemetry.metrics, self.channel.platform.name);
        metrics.attempt(platform, started.elapsed());
        for (_, result) in &results {
            metrics.attempted(platform, &self.channel.name, result.as_ref().err().map_or("ok", |error| error.kind.as_str()));
        }
        let refused = results.iter().filter(|(_, result)| result.as_ref().err().is_some_and(|error| error.recipient));
        self.forget_refused(refused.filter_map(|(place, _)| to.get(*place)).cloned());
        if self.at_fault {
            results.iter_mut().filter_map(|(_, result)| result.as_mut().err()).for_each(blame_message);
        }
        results
    }

    /// The act links of these recipients of a page, where each has one of their own.
    fn own_links(&self, message: &PendingMessage, page: u16, to: &[Recipient]) -> OwnLinks {
        let (key, cells) = (&self.plan.link_key, message.cells.as_slice());
        let of = |page| links::own_links(key, self.channel.platform.name, (message.id, cells), page, to);
        message.pages().get(usize::from(page)).map(of).unwrap_or_default()
    }

    /// The message that a page answers: the one that all of it answers, else its own first page, so that the room has one message of it.
    fn answered<'m>(&self, message: &'m PendingMessage, page: u16, to: &Recipient) -> Option<&'m PlatformIds> {
        let first = || {
            // What pings is seen by everybody; what was refused once may have been refused for its thread.
            let pings = message.pages().get(usize::from(page)).is_some_and(|page| !page.facts.mentions.is_empty());
            let threads = page > 0 && !pings && message.generation == 0 && self.channel.threads_pages();
            let is_first = |cell: &&Cell| cell.page == 0 && cell.recipient == *to && cell.state == CellState::Ok && !cell.ids.is_empty();
            message.cells.iter().filter(|_| threads).find(is_first).map(|cell| &cell.ids)
        };
        message.notification.answered(to).or_else(first)
    }
}

/// A fault that the platform reports as the outlet's is the message's own.
fn blame_message(error: &mut SendError) {
    if error.kind == ErrorKind::Misconfigured {
        error.kind = ErrorKind::Rejected;
        error.summary.push_str("; other messages pass, so it is this message that is refused");
    }
}
