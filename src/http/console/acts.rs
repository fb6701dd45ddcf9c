//! The words of the audit, in the language of its reader. It is stored in English.

use std::borrow::Cow;

use crate::delivery::AuditAct;
use crate::model::Language;
use crate::template::reason;

/// What is asked by the page Configuration.
pub(super) const ALL_CHANNELS: &str = "all channels";

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
pub(super) fn way(language: Language, stored: &str) -> Cow<'_, str> {
    let is_own = matches!(stored, "console" | "command line" | "link") || stored.starts_with("link sent to ");
    if is_own { reason(language, stored) } else { Cow::Borrowed(stored) }
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
        AuditAct::Test if stored == "a test alert" => Some("测试告警".to_owned()),
        AuditAct::Probe if stored == ALL_CHANNELS => Some("所有通道".to_owned()),
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

/// What became of an act. What it does not know stays as it is.
pub(super) fn outcome(language: Language, stored: &str) -> Cow<'_, str> {
    match stored {
        _ if language == Language::En => Cow::Borrowed(stored),
        "ended" => Cow::Borrowed("已结束"),
        "written" => Cow::Borrowed("已写入"),
        "reloaded" => Cow::Borrowed("已重新加载"),
        _ => chinese_outcome(stored).map_or_else(|| reason(language, stored), Cow::Owned),
    }
}

/// What was answered about incidents, and how many there were.
fn chinese_outcome(stored: &str) -> Option<String> {
    if let Some(number) = stored.strip_prefix("override ") {
        return Some(format!("换班 {number}"));
    }
    if let Some((count, what)) = stored.split_once(' ').filter(|(count, _)| count.bytes().all(|digit| digit.is_ascii_digit())) {
        return match what {
            "queued" => Some(format!("{count} 条已重新排队")),
            "dropped" => Some(format!("{count} 条已放弃")),
            "failed" => Some(format!("{count} 个未通过")),
            _ => None,
        };
    }
    let of_incidents = ["#", "the silence of #", "the mute of #", "This message belongs"].iter().any(|start| stored.starts_with(start));
    let text = Some(stored).filter(|_| of_incidents)?;
    const ENDS: [(&str, &str); 2] = [
        (" This had counted before; nothing was done again.", "（该操作此前已生效，未重复执行）"),
        (" Somebody may have been faster.", "（可能已有他人先行处理）"),
    ];
    let (text, again) = ENDS.iter().find_map(|(en, zh)| Some((text.strip_suffix(*en)?, *zh))).unwrap_or((text, ""));
    let one = |part: &str| match part.strip_suffix(" alerts are not").and_then(|part| part.rsplit_once(", ")) {
        Some((acked, left)) => format!("{}，另有 {left} 条未认领", reason(Language::Zh, acked)),
        None => reason(Language::Zh, part).into_owned(),
    };
    let parts: Vec<String> = text.strip_suffix('.').unwrap_or(text).split("; ").map(one).collect();
    Some(format!("{}{again}", parts.join("；")))
}

/// What somebody searches for in the words of the page, as it is stored.
pub(super) fn stored(searched: &str) -> Cow<'_, str> {
    let searched = searched.trim();
    if let Some(act) = AuditAct::ALL.iter().find(|act| chinese(**act) == searched) {
        return Cow::Borrowed(act.as_str());
    }
    let objects = [
        ("事件", "incident"),
        ("通道", "channel"),
        ("所有通道", ALL_CHANNELS),
        ("投递", "delivery"),
        ("通知", "event"),
        ("升级策略", "escalation"),
        ("换班", "override"),
    ];
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
            AuditAct::Press => &[("channel ops", "通道 ops")],
            AuditAct::Probe => &[("channel ops", "通道 ops"), (ALL_CHANNELS, "所有通道")],
            AuditAct::Test => &[("channel ops", "通道 ops"), ("a test alert", "测试告警")],
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
        let ways = ["console", "command line", "link", "link sent to ann", "API"].map(|way| super::way(Language::Zh, way).into_owned());
        assert_eq!(ways, ["控制台", "命令行", "链接", "发给 ann 的链接", "API"]);
    }

    #[test]
    fn what_became_of_an_act_is_said_in_chinese() {
        for (stored, shown) in [
            ("#1 is acked, taken over from bob, ann, 2 alerts are not.", "#1 已认领，接手自 bob, ann，另有 2 条未认领"),
            ("#1 is acked; #2 is acked, 3 alerts are not; 4 more.", "#1 已认领；#2 已认领，另有 3 条未认领；另有 4 个"),
            ("#1 is closed. This had counted before; nothing was done again.", "#1 已关闭（该操作此前已生效，未重复执行）"),
            ("#1 is snoozed until 05:00; Alertmanager has not confirmed the silence yet.", "#1 已暂缓至 05:00；Alertmanager 尚未确认静默"),
            ("the silence of #7 ends.", "#7 的静默已结束"),
            ("#7", "#7"),
            ("#7 ended 3 min ago. Somebody may have been faster.", "#7 已于 3 min 前结束（可能已有他人先行处理）"),
            ("muted", "已静音"),
            ("event 0199a, 2 queued", "通知 0199a，2 条已排队"),
            (
                "a mute without `channel=\"NAME\"` is not for the credential `team`, which is limited to ours (see its `channels` in server.auth)",
                "不含 `channel=\"NAME\"` 的静音 不对凭证 `team` 开放，它只限于 ours（见 server.auth 中它的 `channels`）",
            ),
            ("there is no rota `dbb`; did you mean `db`?", "没有轮值表 `dbb`；是否指 `db`？"),
            (
                "`for`: `2x` is not a duration: the units are ms, s, m, h, d, w, y; write it like `30s`, `5m` or `1h30m`",
                "`for`：`2x` 不是时长：单位为 ms、s、m、h、d、w、y；请写成 `30s`、`5m` 或 `1h30m` 的形式",
            ),
            ("2 queued", "2 条已重新排队"),
            ("1 dropped", "1 条已放弃"),
            ("2 failed", "2 个未通过"),
            ("override 3", "换班 3"),
            ("written", "已写入"),
            ("not a known person", "不是配置中登记的人员"),
            ("the configuration has mistakes; the previous one stays active", "配置有错误，继续使用原配置"),
            (
                "this needs the scope `operate`, and the credential `ann` has read; add it to its `scopes` in server.auth, or use another credential",
                "需要权限 `operate`，而凭证 `ann` 只有 read；请在 server.auth 中加入它的 `scopes`，或换用其他凭证",
            ),
            ("what nobody knows", "what nobody knows"),
        ] {
            assert_eq!(outcome(Language::Zh, stored), shown, "{stored}");
            assert_eq!(outcome(Language::En, stored), stored);
        }
    }

    #[test]
    fn what_the_page_shows_is_found() {
        for (searched, found) in [
            ("认领", "ack"),
            ("换班", "override"),
            ("事件 #1842", "incident #1842"),
            ("通道 ops ", "channel ops"),
            ("所有通道", "all channels"),
            ("ann", "ann"),
            ("", ""),
        ] {
            assert_eq!(stored(searched), found, "{searched}");
        }
    }
}
