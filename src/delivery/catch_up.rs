//! After a storm: of many messages that still show what is over, each is edited at its platform's pace, and one message says so.

use std::collections::BTreeMap;

use super::announcement;
use super::engine::Engine;
use super::plan::Plan;
use crate::model::{Event, Language, Status, UnixMs};

/// More messages than these of one channel are a storm.
const MANY: u64 = 200;
/// It is one when so many looks in a row find them, a minute's: a process that dies again and again says nothing again and again.
const LOOKS: u32 = 12;

/// Says on a channel with so many such messages, by channel, that they will show their ends; once until none is left. `looks` counts how often in a row there
/// were too many.
pub async fn notify(engine: &Engine, plan: &Plan, behind: &[(String, u64)], looks: &mut BTreeMap<String, u32>, now: UnixMs) {
    looks.retain(|channel, _| behind.iter().any(|(name, _)| name == channel));
    for (name, count) in behind {
        let Some(channel) = plan.channel(name).filter(|channel| channel.can_edit() && !channel.disabled) else { continue };
        // Where nothing is spent on edits, none comes soon.
        let saves = engine.shared.outlets.get(&channel.outlet).is_some_and(|mailbox| mailbox.saves());
        let seen = looks.entry(name.clone()).or_default();
        if *seen < LOOKS {
            *seen = if *count > MANY && !saves { *seen + 1 } else { 0 };
        }
        if *seen != LOOKS {
            continue;
        }
        tracing::warn!(channel = name, count, "messages show incidents that are over: they are edited one after the other");
        match engine.accept(event(*count, channel.content.language, now), Some(std::slice::from_ref(name))).await {
            Ok(_) => *seen += 1,
            Err(error) => tracing::error!(channel = name, %error, "a message about them could not be stored; it is tried again"),
        }
    }
}

fn event(count: u64, language: Language, now: UnixMs) -> Event {
    let (title, text) = match language {
        Language::Zh => (format!("{count} 条消息里的事件已结束"), "这些消息将逐条更新，需要一些时间；未更新前仍显示旧状态。".to_owned()),
        _ => (
            format!("{count} messages are about incidents that are over"),
            "They are edited one after the other. Until then they show an older state.".to_owned(),
        ),
    };
    announcement::event("edits".into(), Status::Resolved, now, title, text)
}
