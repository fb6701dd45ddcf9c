//! The words of the audit, in the language of its reader. It is stored in English.

use std::borrow::Cow;

use crate::delivery::AuditAct;
use crate::model::Language;

/// An act in words; one that an older version recorded stays as it is.
pub(super) fn name(language: Language, stored: &str) -> &str {
    match AuditAct::parse(stored) {
        Some(act) if language == Language::Zh => chinese(act),
        _ => stored,
    }
}

fn chinese(act: AuditAct) -> &'static str {
    match act {
        AuditAct::Ack => "认领",
        AuditAct::Unack => "交还",
        AuditAct::Snooze => "暂缓",
        AuditAct::Close => "关闭",
        AuditAct::Silence => "静默",
        AuditAct::Unsilence => "结束静默",
        AuditAct::Mute => "静音",
        AuditAct::Unmute => "取消静音",
        AuditAct::Escalate => "升级",
        AuditAct::Press => "点击按钮",
        AuditAct::Retry => "重试",
        AuditAct::Move => "转移",
        AuditAct::Drop => "放弃",
        AuditAct::Replay => "重新发送",
        AuditAct::Test => "测试",
        AuditAct::Probe => "检查",
        AuditAct::Drill => "演练",
        AuditAct::Override => "换班",
        AuditAct::EndOverride => "结束换班",
        AuditAct::Reload => "重新加载",
        AuditAct::Backup => "备份",
        AuditAct::LogIn => "登录",
        AuditAct::LogOut => "退出",
        AuditAct::EndSession => "结束会话",
        AuditAct::Call => "调用接口",
    }
}

/// The way in which an act came; a platform stays as it is.
pub(super) fn way(language: Language, stored: &str) -> &str {
    match stored {
        "console" if language == Language::Zh => "控制台",
        "command line" if language == Language::Zh => "命令行",
        "link" if language == Language::Zh => "链接",
        other => other,
    }
}

/// What an act is done on. What it does not know stays as it is.
pub(super) fn object<'t>(language: Language, act: &str, stored: &'t str) -> Cow<'t, str> {
    let act = AuditAct::parse(act).filter(|_| language == Language::Zh);
    act.and_then(|act| chinese_object(act, stored)).map_or(Cow::Borrowed(stored), Cow::Owned)
}

fn chinese_object(act: AuditAct, stored: &str) -> Option<String> {
    let named = |before: &str, zh: &str| stored.strip_prefix(before).map(|name| format!("{zh} {name}"));
    match act {
        AuditAct::Mute if !stored.starts_with("incident #") => {
            stored.rsplit_once(" until ").map(|(matchers, until)| format!("{matchers}，至 {until}"))
        }
        AuditAct::Ack
        | AuditAct::Unack
        | AuditAct::Snooze
        | AuditAct::Close
        | AuditAct::Silence
        | AuditAct::Unsilence
        | AuditAct::Mute
        | AuditAct::Unmute
        | AuditAct::Escalate => named("incident ", "事件"),
        AuditAct::Retry | AuditAct::Drop => deliveries(stored),
        AuditAct::Move => stored.rsplit_once(" to ").and_then(|(what, to)| Some(format!("{} 至通道 {to}", deliveries(what)?))),
        AuditAct::Replay => match stored.rsplit_once(" to ") {
            Some((event, to)) => event.strip_prefix("event ").map(|id| format!("通知 {id} 至通道 {to}")),
            None => named("event ", "通知"),
        },
        AuditAct::Press | AuditAct::Test | AuditAct::Probe => named("channel ", "通道"),
        AuditAct::Drill => named("channel ", "通道").or_else(|| named("escalation ", "升级策略")),
        AuditAct::Override => {
            let (rest, until) = stored.rsplit_once(" until ")?;
            let (rest, from) = rest.rsplit_once(" from ")?;
            let (person, rota) = rest.rsplit_once(" in ")?;
            Some(format!("{rota} 由 {person} 值班，{from} 至 {until}"))
        }
        AuditAct::EndOverride => named("override ", "换班"),
        AuditAct::Reload => (stored == "the configuration").then(|| "配置".to_owned()),
        AuditAct::LogIn | AuditAct::LogOut => (stored == "the console").then(|| "控制台".to_owned()),
        AuditAct::EndSession => {
            let (credential, from) = stored.strip_prefix("the login of ")?.rsplit_once(" from ")?;
            Some(format!("{credential} 的登录，来自 {from}"))
        }
        // A file, and a path.
        AuditAct::Backup | AuditAct::Call => None,
    }
}

/// Deliveries, as they are named: `delivery A`, `2 deliveries: A, B`.
fn deliveries(stored: &str) -> Option<String> {
    match stored.split_once(" deliveries: ") {
        Some((count, ids)) => Some(format!("{count} 条投递：{ids}")),
        None => stored.strip_prefix("delivery ").map(|id| format!("投递 {id}")),
    }
}

/// What somebody searches for in the words of the page, as it is stored.
pub(super) fn stored(searched: &str) -> Cow<'_, str> {
    let searched = searched.trim();
    if let Some(act) = AuditAct::ALL.iter().find(|act| chinese(**act) == searched) {
        return Cow::Borrowed(act.as_str());
    }
    let objects =
        [("事件", "incident"), ("通道", "channel"), ("投递", "delivery"), ("通知", "event"), ("升级策略", "escalation"), ("换班", "override")];
    let known = objects.iter().find_map(|(shown, stored)| Some((stored, searched.strip_prefix(shown)?)));
    known.map_or(Cow::Borrowed(searched), |(stored, rest)| Cow::Owned(format!("{stored}{rest}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each act is recorded on, and how a Chinese reader reads it.
    fn objects(act: AuditAct) -> &'static [(&'static str, &'static str)] {
        match act {
            AuditAct::Ack | AuditAct::Unack | AuditAct::Snooze | AuditAct::Close | AuditAct::Silence | AuditAct::Unsilence | AuditAct::Escalate => {
                &[("incident #1, #2", "事件 #1, #2")]
            }
            AuditAct::Mute => &[("incident #1", "事件 #1"), (r#"team="db" until 2026-11-24T03:00:00Z"#, r#"team="db"，至 2026-11-24T03:00:00Z"#)],
            AuditAct::Unmute => &[("incident #1", "事件 #1"), (r#"team="db""#, r#"team="db""#)],
            AuditAct::Press | AuditAct::Test | AuditAct::Probe => &[("channel ops", "通道 ops")],
            AuditAct::Retry | AuditAct::Drop => &[("delivery a1", "投递 a1"), ("2 deliveries: a1, b2", "2 条投递：a1, b2")],
            AuditAct::Move => &[("delivery a1 to sms", "投递 a1 至通道 sms"), ("2 deliveries: a1, b2 to sms", "2 条投递：a1, b2 至通道 sms")],
            AuditAct::Replay => &[("event a1", "通知 a1"), ("event a1 to sms", "通知 a1 至通道 sms")],
            AuditAct::Drill => &[("channel ops", "通道 ops"), ("escalation db", "升级策略 db")],
            AuditAct::Override => {
                &[("ann in db from 2026-11-24T03:00:00Z until 2026-11-25T03:00:00Z", "db 由 ann 值班，2026-11-24T03:00:00Z 至 2026-11-25T03:00:00Z")]
            }
            AuditAct::EndOverride => &[("override 3", "换班 3")],
            AuditAct::Reload => &[("the configuration", "配置")],
            AuditAct::LogIn | AuditAct::LogOut => &[("the console", "控制台")],
            AuditAct::EndSession => &[("the login of ann from 192.0.2.7", "ann 的登录，来自 192.0.2.7")],
            AuditAct::Backup | AuditAct::Call => &[("/var/backup/x.db", "/var/backup/x.db")],
        }
    }

    #[test]
    fn every_act_and_what_it_is_done_on_is_said_in_chinese() {
        let mut seen = Vec::new();
        for act in AuditAct::ALL {
            let zh = name(Language::Zh, act.as_str());
            assert!(!zh.contains(|c: char| c.is_ascii_alphabetic()) && !seen.contains(&zh), "{act:?}: {zh}");
            seen.push(zh);
            assert_eq!(name(Language::En, act.as_str()), act.as_str());
            for (stored, shown) in objects(*act) {
                assert_eq!(object(Language::Zh, act.as_str(), stored), *shown, "{act:?}");
                assert_eq!(object(Language::En, act.as_str(), stored), *stored);
            }
        }
        assert_eq!((name(Language::Zh, "older"), &*object(Language::Zh, "older", "incident #1")), ("older", "incident #1"));
        assert_eq!(["console", "command line", "link", "API"].map(|way| super::way(Language::Zh, way)), ["控制台", "命令行", "链接", "API"]);
    }

    #[test]
    fn what_the_page_shows_is_found() {
        for (searched, found) in
            [("认领", "ack"), ("换班", "override"), ("事件 #1842", "incident #1842"), ("通道 ops ", "channel ops"), ("ann", "ann"), ("", "")]
        {
            assert_eq!(stored(searched), found, "{searched}");
        }
    }
}
