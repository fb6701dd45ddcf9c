//! What a message says about itself.

use std::time::Duration;

use crate::model::{Event, Language, UnixMs};
use crate::store::{PendingDelivery, State};
use crate::template::{MessageKind, humanize, reason};

use super::draft::Draft;

/// A delivery older than this says so in the message.
const LATE_AFTER: Duration = Duration::from_secs(5 * 60);

impl Draft<'_> {
    /// The remarks under a message: why it is late, shortened, or here at all.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let zh = self.language() == Language::Zh;
        if let Some(why) = self.wording.plain_text.as_deref().filter(|why| !why.is_empty()) {
            notes.push(if zh {
                format!("平台拒绝了原消息，已改发纯文本。原因：{}", reason(Language::Zh, why))
            } else {
                format!("Sent as plain text because the platform refused the message: {why}")
            });
        }
        if self.wording.abridged {
            notes.push(if zh {
                "简要发送：程序多次因此消息异常退出，完整内容见投递记录".into()
            } else {
                "Sent in short: the program died several times at this message; its delivery has the whole of it".into()
            });
        }
        if let Some(code) = &self.wording.unmentioned {
            notes.push(if zh {
                format!("未提醒任何人：平台拒绝了要提醒的对象（{code}）")
            } else {
                format!("Nobody is mentioned: the platform refused the mentions ({code})")
            });
        }
        for note in self.members.iter().filter_map(|m| m.event.as_deref()).flat_map(|event| &event.notes) {
            let text = note.text(self.language());
            if !notes.contains(&text) && notes.len() < 8 {
                notes.push(text);
            }
        }
        let oldest = self.members.iter().filter(|m| m.state != State::Deferred).map(|m| m.born_at).min();
        if let Some(late) = oldest.map(|born| UnixMs::from(self.now).since(born)).filter(|late| *late >= LATE_AFTER) {
            let late = humanize(self.language(), late);
            notes.push(if zh { format!("延迟 {late} 送达") } else { format!("Delayed by {late}") });
        }
        let left_out: u64 = self.newest_events().filter(|event| event.may_fire_on()).map(|event| event.truncated).sum();
        if left_out > 0 {
            notes.push(if zh {
                format!("发送方省略了 {left_out} 条告警，其中可能仍有未恢复的")
            } else {
                format!("The sender left out {left_out} alerts; some of them may still fire")
            });
        }
        let texts = hidden_texts(self.members, self.kind);
        if texts > 0 {
            notes.push(if zh {
                format!("另有 {texts} 条同标题的较早消息未显示，见投递历史")
            } else {
                format!("{texts} earlier messages of this title are not shown; the history has them")
            });
        }
        if self.members.iter().any(|m| m.fallback.depth > 0) {
            notes.push(if zh {
                "备用通道：原通道未能送达".into()
            } else {
                "Sent here because another channel could not deliver it".into()
            });
        }
        notes
    }
}

/// Texts that people and programs sent by themselves, and that are not shown because a newer one of their title is. A digest has a line for each title.
fn hidden_texts(members: &[PendingDelivery], kind: MessageKind) -> usize {
    let texts: Vec<&Event> = members.iter().filter_map(|member| member.event.as_deref()).filter(|event| event.is_text()).collect();
    match texts.last() {
        Some(shown) if kind != MessageKind::Digest => texts.iter().filter(|text| text.message != shown.message).count(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::testing::{alert, event, waiting};
    use crate::model::{SenderKind, Status};

    #[test]
    fn a_text_that_a_newer_one_hides_is_counted() {
        let hidden = |kind, source: &str, texts: &[&str]| {
            let member = |(seq, text): (i64, &&str)| {
                let alerts = vec![alert("Backup failed", "error", Status::Firing)];
                let event = Event { kind: SenderKind::Direct, source: source.into(), message: (*text).to_owned(), ..event(alerts.clone()) };
                PendingDelivery { event: Some(Arc::new(event)), ..waiting(seq, alerts) }
            };
            hidden_texts(&(0..).zip(texts).map(member).collect::<Vec<_>>(), kind)
        };
        assert_eq!(hidden(MessageKind::Fold, "direct/ci", &["db-1", "db-2", "db-1", "db-3"]), 3);
        assert_eq!(hidden(MessageKind::Fold, "direct/ci", &["db-1", "db-1"]), 0, "it is shown");
        assert_eq!(hidden(MessageKind::Digest, "direct/ci", &["db-1", "db-2"]), 0, "a digest has lines");
        assert_eq!(hidden(MessageKind::Fold, "watchfire", &["3 wait", "4 wait"]), 0, "a notice of ours takes the place of the one before");
    }
}
