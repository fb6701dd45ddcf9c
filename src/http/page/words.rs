//! The words of the pages.

use crate::model::Language;
use crate::store::State;

/// Key, English, Chinese. `{n}` and `{m}` are filled in by `filled`.
const WORDS: [(&str, &str, &str); 80] = [
    ("about", "delivers the alerts of Alertmanager and Grafana.", "投递 Alertmanager 和 Grafana 的告警。"),
    ("console", "Open the console", "打开控制台"),
    ("takes_alerts", "Takes alerts", "正常接收告警"),
    ("takes_none", "The store does not work", "存储不可用"),
    ("happened", "What happened", "经过"),
    ("read_only", "Read only. ", "只读页面。"),
    ("times", "Times are in", "时间均为"),
    ("stop", ".", "。"),
    ("firing", "Firing", "告警中"),
    ("resolved", "Resolved", "已恢复"),
    ("note", "Message", "消息"),
    ("still", "still firing,", "仍在告警，已持续"),
    ("over_after", "after {n}", "持续 {n}"),
    ("some_fire", "{n} of {m} still fire", "{m} 条中 {n} 条仍在告警"),
    ("all_over", "all {m} are over", "{m} 条均已恢复"),
    ("left_out", "{n} were left out by the sender and may still fire", "发送方省略了 {n} 条，其中可能仍有未恢复的"),
    ("shows_now", "Shows how it is now. Sent", "显示当前状态。消息发送于"),
    ("shows_sent", "Sent", "消息发送于"),
    ("changed", "{n} fire now, {m} did when this was sent,", "当前 {n} 条告警中，发送时为 {m} 条，发送于"),
    ("count", "{n} {m}", "{n} 条{m}"),
    ("over", "resolved", "已恢复"),
    ("active", "firing", "告警"),
    ("comma", ", ", "，"),
    ("list", ", ", "、"),
    ("more", "and {n} more; `watchfire queue show` has them all", "另有 {n} 条未列出；`watchfire queue show` 可查看全部"),
    ("elsewhere", "Others", "其他"),
    ("value", "Value", "当前值"),
    ("where", "Where", "告警对象"),
    ("since", "Since", "触发时间"),
    ("ended", "Ended", "恢复时间"),
    ("links", "Links", "链接"),
    ("image", "Image", "图片"),
    ("labels", "All {n} labels and annotations", "全部 {n} 个标签和注解"),
    ("began", "Began", "触发"),
    ("came", "Came in from {n}", "来自 {n}"),
    ("instead", "{n}, instead of {m}", "{n}（替代 {m}）"),
    ("waiting", "waiting", "等待"),
    ("deferred", "deferred", "推迟"),
    ("sent", "sent", "已送达"),
    ("dead", "not delivered", "未送达（死信）"),
    ("dropped", "dropped", "已放弃"),
    ("skipped", "skipped", "跳过"),
    ("expired", "expired", "已过期"),
    ("unknown", "outcome unknown", "结果未知"),
    ("act_ack", "Ack", "认领"),
    ("act_take_over", "Take over", "接手"),
    ("act_unack", "Unack", "取消认领"),
    ("act_still_on_it", "Still on it", "仍在处理"),
    ("act_hand_over", "Hand over", "转交他人"),
    ("act_escalate", "Call the next one", "通知下一位"),
    ("act_snooze", "Snooze 2h", "暂缓 2 小时"),
    ("act_silence", "Silence 2h in Alertmanager", "在 Alertmanager 静默 2 小时"),
    ("act_unsilence", "End silence", "结束静默"),
    ("act_mute", "Mute 2h", "静音 2 小时"),
    ("act_unmute", "Unmute", "取消静音"),
    ("act_close", "Close", "关闭"),
    ("act_name", "Who are you? Others see it.", "你是谁？其他人会看到。"),
    ("act_as", "By the link sent to {n}", "通过发给 {n} 的链接操作"),
    ("act_no_name", "Nothing was done: say who you are.", "未生效：请填写你的名字。"),
    ("act_not_allowed", "Only people whom the configuration names can do that.", "仅配置中登记的人员可以操作。"),
    ("act_who", "Only people whom the configuration names can ack here.", "此处仅配置中登记的人员可以认领。"),
    ("act_nobody", "Nobody acts by this link: its channel takes no acks, or was removed.", "此链接无法操作：该通道不接受认领，或已被移除。"),
    ("act_limited", "Not done: that was too often. Wait a moment and press again.", "操作过于频繁，未生效，请稍后再试。"),
    ("gone", "There is no such message: it is no longer stored, or the link is incomplete.", "没有这条消息：它已不再保存，或者链接不完整。"),
    (
        "purged",
        "There is no such message any more: what was sent is removed after {n}, what was not delivered after {m}, and this link is older. Or the link is incomplete. What still goes on has a newer message, and is in the console.",
        "这条消息已不在：已送达的消息保留 {n}，未送达的保留 {m}，之后清除；该链接早于此期限。也可能链接不完整。仍在进行的，请看较新的消息或控制台。",
    ),
    ("no_store", "The store is not available. Try again in a moment.", "存储暂不可用，请稍后重试。"),
    (
        "act_again",
        "Nothing was done: this form was sent before, and its ack has ended since. Press again.",
        "未生效：该表单之前已提交过，其认领已结束，请重新点击。",
    ),
    ("act_failed", "Not done: the store is not available. Try again in a moment.", "未生效：存储暂不可用，请稍后重试。"),
    ("acked_now", "#{n} · acked by {m}", "#{n} · {m} 已认领"),
    ("snoozed_now", "#{n} · snoozed by {m}", "#{n} · {m} 已暂缓"),
    ("silenced_now", "silenced in Alertmanager by {n}", "{n} 已在 Alertmanager 静默"),
    ("silence_asked_now", "a silence asked for by {n} is not confirmed", "{n} 请求的静默尚未确认"),
    ("muted_now", "muted by {n}", "{n} 已静音"),
    ("firing_now", "#{n} · nobody is on it", "#{n} · 无人认领"),
    ("resolved_now", "#{n} · resolved", "#{n} · 已恢复"),
    ("stale_now", "#{n} · no longer reported", "#{n} · 已不再上报"),
    ("closed_now", "#{n} · closed by hand", "#{n} · 已手动关闭"),
    ("superseded_now", "#{n} · goes on as {m}", "#{n} · 转为 {m}"),
    ("link_name", "link to {n}", "{n} 的链接"),
    ("as_written", "{n} (as written)", "{n}（自填）"),
];

/// The word for a key; an unknown one is shown as it is.
pub(super) fn word(language: Language, key: &'static str) -> &'static str {
    WORDS.iter().find(|(known, _, _)| *known == key).map_or(key, |(_, en, zh)| if language == Language::Zh { zh } else { en })
}

/// The word with its places filled in.
pub(super) fn filled(language: Language, key: &'static str, n: &str, m: &str) -> String {
    let mut out = String::new();
    let mut rest = word(language, key);
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        out.push_str(if rest[open..].starts_with("{n}") { n } else { m });
        rest = &rest[open + 3..];
    }
    out + rest
}

/// The language as HTML names it.
pub(in crate::http) fn tag(language: Language) -> &'static str {
    if language == Language::Zh { "zh-CN" } else { "en" }
}

/// The state of a delivery: word, icon, class.
pub(super) fn state(state: State) -> (&'static str, &'static str, &'static str) {
    match state {
        State::Waiting => ("waiting", "clock", ""),
        State::Deferred => ("deferred", "mute", ""),
        State::Sent => ("sent", "ok", "ok"),
        State::Dead => ("dead", "dead", "bad"),
        State::Dropped => ("dropped", "x", ""),
        State::Skipped => ("skipped", "dash", ""),
        State::Expired => ("expired", "clock", ""),
        State::Unknown => ("unknown", "ask", "wn"),
    }
}

/// How long ago: one unit.
pub(in crate::http) fn age(language: Language, seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (n, en, zh) = match seconds {
        0..60 => (seconds, "s", "秒"),
        60..3600 => (seconds / 60, "min", "分钟"),
        3600..86_400 => (seconds / 3600, "h", "小时"),
        _ => (seconds / 86_400, "d", "天"),
    };
    format!("{n} {}", if language == Language::Zh { zh } else { en })
}

/// What is served here, for people.
pub(super) fn paths(language: Language) -> [(&'static str, &'static str); 4] {
    if language == Language::Zh {
        return [
            ("POST /webhook", "Alertmanager 和 Grafana 的 webhook"),
            ("GET  /-/ready", "是否可以接收告警"),
            ("GET  /metrics", "Prometheus 指标"),
            ("GET  /api/v1/deliveries", "已送达、等待和死信"),
        ];
    }
    [
        ("POST /webhook", "Alertmanager and Grafana webhooks"),
        ("GET  /-/ready", "whether alerts are taken"),
        ("GET  /metrics", "Prometheus metrics"),
        ("GET  /api/v1/deliveries", "what was delivered, what waits, what is dead"),
    ]
}
