//! What people and programs send by themselves: each text is a message.

use crate::delivery::pending::PendingMessage;
use crate::model::{SenderKind, Status};
use crate::store::PendingDelivery;
use crate::template::MessageKind;

/// Takes out what is behind the first text of somebody's own, where all that waits in the lane are such texts. Those of one title are one alert: the last one
/// would take the place of the others, and nothing else says what they say. Where one says that it is over, they fold as alerts do.
pub(super) fn take_other_texts(message: &mut PendingMessage) -> Vec<PendingDelivery> {
    let Some(lane) = message.members.first().map(|first| first.lane) else { return Vec::new() };
    let is_text = |member: &PendingDelivery| {
        let event = member.event.as_deref();
        member.lane == lane
            && event.is_some_and(|event| event.kind == SenderKind::Direct && event.source != "watchfire" && event.status == Status::Firing)
    };
    if message.kind == MessageKind::Digest || !message.members.iter().all(is_text) {
        return Vec::new();
    }
    message.members.split_off(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::delivery::clock::Now;
    use crate::delivery::testing::{alert, event, waiting};
    use crate::model::{Event, UnixMs};

    /// How many of so many deliveries of one title are left for later.
    fn later(kind: MessageKind, source: &str, statuses: &[Status]) -> usize {
        let now = Now { mono: Instant::now(), wall: UnixMs(1_764_000_000_000) };
        let mut message = PendingMessage::from_lanes("ops".into(), kind, Vec::new(), now);
        for (seq, status) in (0..).zip(statuses) {
            let alerts = vec![alert("Backup failed", "error", *status)];
            let kind = if source.starts_with("direct") { SenderKind::Direct } else { SenderKind::Alertmanager };
            let event = Event { kind, source: source.into(), ..event(alerts.clone()) };
            message.members.push(PendingDelivery { event: Some(Arc::new(event)), ..waiting(seq, alerts) });
        }
        let later = take_other_texts(&mut message);
        assert_eq!(message.members.len() + later.len(), statuses.len());
        assert!(message.members.iter().chain(&later).is_sorted_by_key(|member| member.lane_seq));
        later.len()
    }

    #[test]
    fn a_text_of_somebodys_own_is_a_message_of_its_own() {
        use Status::{Firing, Resolved};
        assert_eq!(later(MessageKind::Fold, "direct/ci", &[Firing, Firing, Firing]), 2);
        assert_eq!(later(MessageKind::Single, "direct", &[Firing]), 0);
        assert_eq!(later(MessageKind::Fold, "direct/ci", &[Firing, Firing, Resolved]), 0, "what is over is shown as that");
        assert_eq!(later(MessageKind::Fold, "alertmanager", &[Firing, Firing]), 0, "alerts fold");
        assert_eq!(later(MessageKind::Digest, "direct/ci", &[Firing, Firing]), 0, "in a storm there are lines");
        assert_eq!(later(MessageKind::Fold, "direct", &[]), 0);
    }
}
