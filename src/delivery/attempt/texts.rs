//! What people and programs send by themselves: each text is a message.

use std::time::Duration;

use crate::delivery::pending::PendingMessage;
use crate::model::{Alert, Event};
use crate::store::PendingDelivery;
use crate::template::MessageKind;

/// What has waited for so long goes before new alerts of any severity: then only [`MOST_ALONE`] of a backlog are messages of their own.
const BACKLOG_AFTER: Duration = Duration::from_secs(10 * 60);
/// So many texts of one title, the newest, are messages of their own after a long wait: nothing else of the channel must wait for hundreds.
const MOST_ALONE: usize = 10;

/// Takes out what is behind the first text of somebody's own, where all that waits in the lane are such texts. Those of one title are one alert: the last one
/// would take the place of the others, and nothing else says what they say. What says the same again needs no message, and of a backlog the older ones fold
/// into the first message, which counts those that it does not show. Where one says that it is over, they fold as alerts do.
pub(super) fn take_other_texts(message: &mut PendingMessage) -> Vec<PendingDelivery> {
    let Some(first) = message.members.first() else { return Vec::new() };
    let is_text = |member: &PendingDelivery| member.lane == first.lane && member.event.as_deref().is_some_and(Event::is_text);
    if message.kind == MessageKind::Digest || !message.members.iter().all(is_text) {
        return Vec::new();
    }
    let same = message.members.iter().take_while(|member| says_the_same(first, member)).count();
    let is_backlog = message.formed_at.since(first.born_at) >= BACKLOG_AFTER;
    let older = if is_backlog { (message.members.len() + 1).saturating_sub(MOST_ALONE) } else { 0 };
    message.members.split_off(same.max(older))
}

/// Whether two texts differ in their time alone.
fn says_the_same(one: &PendingDelivery, other: &PendingDelivery) -> bool {
    let (Some(one), Some(other)) = (one.event.as_deref(), other.event.as_deref()) else { return false };
    let alike = |(one, other): (&Alert, &Alert)| Alert { starts_at: other.starts_at, ..one.clone() } == *other;
    one.message == other.message && one.alerts.len() == other.alerts.len() && one.alerts.iter().zip(&other.alerts).all(alike)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::delivery::clock::Now;
    use crate::delivery::testing::{alert, event, waiting};
    use crate::model::{SenderKind, Status, UnixMs};

    /// How many of so many deliveries of one title, with these words, are left for later when they have waited for so long.
    fn left(waited: Duration, kind: MessageKind, source: &str, texts: &[(Status, &str)]) -> usize {
        let now = Now { mono: Instant::now(), wall: UnixMs(1_764_000_000_000) };
        let mut message = PendingMessage::from_lanes("ops".into(), kind, Vec::new(), now);
        for (seq, (status, text)) in (0..).zip(texts) {
            let starts_at = jiff::Timestamp::from_second(1_764_000_000 + seq).ok();
            let alerts = vec![Alert { starts_at, ..alert("Backup failed", "error", *status) }];
            let kind = if source.starts_with("direct") { SenderKind::Direct } else { SenderKind::Alertmanager };
            let event = Event { kind, source: source.into(), message: (*text).to_owned(), ..event(alerts.clone()) };
            message.members.push(PendingDelivery { event: Some(Arc::new(event)), born_at: now.wall - waited, ..waiting(seq, alerts) });
        }
        let later = take_other_texts(&mut message);
        assert_eq!(message.members.len() + later.len(), texts.len());
        assert!(message.members.iter().chain(&later).is_sorted_by_key(|member| member.lane_seq));
        later.len()
    }

    /// The same of texts that all differ.
    fn later(waited: Duration, kind: MessageKind, source: &str, statuses: &[Status]) -> usize {
        let words: Vec<String> = (0..statuses.len()).map(|place| format!("no space left on db-{place}")).collect();
        let texts: Vec<(Status, &str)> = statuses.iter().zip(&words).map(|(status, text)| (*status, text.as_str())).collect();
        left(waited, kind, source, &texts)
    }

    #[test]
    fn a_text_of_somebodys_own_is_a_message_of_its_own() {
        use Status::{Firing, Resolved};
        let later = |kind, source, statuses: &[Status]| later(Duration::ZERO, kind, source, statuses);
        assert_eq!(later(MessageKind::Fold, "direct/ci", &[Firing, Firing, Firing]), 2);
        assert_eq!(later(MessageKind::Fold, "direct/ci", &[Firing; 30]), 29, "a burst is no backlog: each has something to say");
        assert_eq!(later(MessageKind::Single, "direct", &[Firing]), 0);
        assert_eq!(later(MessageKind::Fold, "direct/ci", &[Firing, Firing, Resolved]), 0, "what is over is shown as that");
        assert_eq!(later(MessageKind::Fold, "alertmanager", &[Firing, Firing]), 0, "alerts fold");
        assert_eq!(later(MessageKind::Digest, "direct/ci", &[Firing, Firing]), 0, "in a storm there are lines");
        assert_eq!(later(MessageKind::Fold, "direct", &[]), 0);
    }

    /// A loop that went on while the channel was suspended must neither ring hundreds of times nor keep every alert behind it waiting.
    #[test]
    fn a_backlog_of_texts_is_a_few_messages() {
        use Status::Firing;
        let backlog = |texts: usize| later(BACKLOG_AFTER, MessageKind::Fold, "direct/ci", &vec![Firing; texts]);
        assert_eq!([2, MOST_ALONE, MOST_ALONE + 1, 200].map(backlog), [1, MOST_ALONE - 1, MOST_ALONE - 1, MOST_ALONE - 1]);
        let repeated =
            |texts: &[&str]| left(Duration::ZERO, MessageKind::Fold, "direct/ci", &texts.iter().map(|text| (Firing, *text)).collect::<Vec<_>>());
        assert_eq!((repeated(&["x"; 5]), repeated(&["x", "x", "y", "x"])), (0, 2), "the same again");
    }
}
