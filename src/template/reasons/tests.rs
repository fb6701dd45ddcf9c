//! The table is whole: every entry of every platform's list of errors, and every reason of the delivery, reads as Chinese.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// The first three words of English in a text of ours: what is quoted, and code, may be English.
pub fn english(text: &str) -> Option<String> {
    let mut own = String::new();
    for (place, part) in text.split('`').enumerate() {
        own.push_str(if place % 2 == 0 { part } else { "·" });
    }
    while let Some((before, rest)) = own.split_once('“') {
        let after = rest.rsplit_once('”').map_or("", |(_, after)| after);
        own = format!("{before}·{after}");
    }
    let words: Vec<&str> = own.split(' ').collect();
    let is_word = |word: &&str| word.len() > 1 && word.trim_end_matches([',', ';', '.', ':']).chars().all(|c| c.is_ascii_alphabetic() || c == '\'');
    words.windows(3).find(|three| three.iter().all(is_word)).map(|three| three.join(" "))
}

fn zh(text: &str) -> String {
    reason(Language::Zh, text).into_owned()
}

fn assert_chinese(text: &str) {
    let shown = zh(text);
    assert_eq!(english(&shown), None, "templates/reasons.yaml does not know all of {text:?}: {shown:?}");
    assert!(!shown.is_ascii(), "templates/reasons.yaml does not know {text:?}");
}

#[test]
fn every_entry_has_both_languages_and_no_place_of_its_own() {
    let names = |text: &'static str| -> BTreeSet<&str> {
        pieces(text).into_iter().filter_map(|piece| if let Piece::Place(name) = piece { Some(name) } else { None }).collect()
    };
    let mut seen = BTreeSet::new();
    for Word { en, zh } in WORDS.iter() {
        assert!(!en.trim().is_empty() && !zh.is_ascii(), "{en}");
        assert!(names(zh).is_subset(&names(en)), "{en}");
        assert!(seen.insert(en), "twice: {en}");
        assert!(english(zh).is_none(), "{zh}");
    }
}

/// The source of a driver, without comments and tests.
fn code(source: &str) -> String {
    let source = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The texts in a piece of source, each with the depth of square brackets that it is in.
fn literals(source: &str) -> Vec<(i32, String)> {
    let (mut found, mut depth) = (Vec::new(), 0);
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '"' => {
                let mut text = String::new();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match (c, if c == '\\' { chars.next() } else { None }) {
                        // A text that goes on in the next line.
                        (_, Some('\n')) => {
                            let rest = chars.as_str().trim_start();
                            chars = rest.chars();
                        }
                        (_, Some(escaped)) => text.push(escaped),
                        (c, None) => text.push(c),
                    }
                }
                found.push((depth, text));
            }
            _ => {}
        }
    }
    found
}

/// What is in the lists of a source file that a driver's answers are looked up in: the last text of each row; and what a list of verdicts says.
fn advice_of(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for kind in [": &[CodeRule] = &[", ": &[kit::CodeRule] = &[", ": &[(&str, &str)] = &["] {
        for table in source.split(kind).skip(1) {
            let rows = literals(table.split("];\n").next().unwrap_or_default());
            found.extend(rows.into_iter().filter(|(depth, _)| *depth == 0).map(|(_, text)| text));
        }
    }
    for verdict in source.split("Verdict =").skip(1) {
        found.extend(literals(verdict.split(");\n").next().unwrap_or_default()).into_iter().map(|(_, text)| text));
    }
    if file.ends_with("answer.rs") || file.ends_with("codes.rs") {
        let constants = source.split(": &str =").skip(1).filter_map(|rest| literals(rest.split(";\n").next()?).pop());
        found.extend(constants.map(|(_, text)| text));
    }
    // Codes and names are no sentences.
    found.retain(|text| text.split(' ').count() > 2);
    found
}

/// What the errors say that these calls make, with something in each of their places.
fn errors_of(calls: &[&str], source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in calls {
        for rest in source.split(call).skip(1) {
            let end = [";\n", "\n}"].iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
            let statement = &rest[..end];
            for (_, text) in literals(statement) {
                let mut shown = String::new();
                for (place, part) in text.split('{').enumerate() {
                    // What follows a word at once continues the sentence, or is left out.
                    let value = if place == 0 || shown.ends_with(char::is_alphanumeric) { "" } else { "x1" };
                    shown.push_str(value);
                    shown.push_str(if place == 0 { part } else { part.split_once('}').map_or("", |(_, after)| after) });
                }
                found.push(shown);
            }
        }
    }
    found.retain(|text| text.split_whitespace().count() > 2 && !text.ends_with(' '));
    found
}

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push((path.display().to_string(), code(&fs::read_to_string(&path).unwrap())));
        }
    }
}

/// What a reader of Chinese would read in English of what `texts` finds in a folder.
fn unknown(folder: &str, texts: impl Fn(&str, &str) -> Vec<String>) -> (usize, Vec<String>) {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
    let found: Vec<(&String, String)> =
        files.iter().flat_map(|(file, source)| texts(file, source).into_iter().map(move |text| (file, text))).collect();
    let unknown = found.iter().filter(|(_, text)| english(&zh(text)).is_some()).map(|(file, text)| format!("{file}: {text}")).collect();
    (found.len(), unknown)
}

#[test]
fn every_entry_of_every_platforms_list_is_known() {
    let (count, unknown) = unknown("src/channel", advice_of);
    assert!(count > 150, "{count} are too few: the lists are not found");
    assert!(unknown.is_empty(), "{} are missing in templates/reasons.yaml: {unknown:#?}", unknown.len());
}

#[test]
fn every_error_of_every_driver_is_known() {
    let calls = ["SendError::new(", "reply.error(", "let summary ="];
    let (count, unknown) = unknown("src/channel", |_, source| errors_of(&calls, source));
    assert!(count > 60, "{count} are too few: the errors are not found");
    assert!(unknown.is_empty(), "{} are missing in templates/reasons.yaml: {unknown:#?}", unknown.len());
}

#[test]
fn why_a_press_is_refused_is_known() {
    for why in [
        "a copy in another chat",
        "this channel was not notified of the incident that has this key",
        "not by a button",
        "not by a link",
        "not a known person",
        "another organisation",
    ] {
        assert_chinese(why);
    }
}

#[test]
fn every_refusal_of_the_console_and_the_api_is_known() {
    let calls = ["Failure::new(", "Failure::bad(", "Failure::missing(", "ApiError::new(", "ApiError::bad(", "ApiError::missing(", "let why ="];
    // What is missing has one sentence for all kinds; the kinds are below. What begins with a blank is a piece of a page.
    let own = |text: &String| !text.starts_with("there is no x1 ") && !text.starts_with(' ');
    let refusals = |_: &str, source: &str| errors_of(&calls, source).into_iter().filter(own).collect::<Vec<_>>();
    for (folder, least) in [("src/http/console", 40), ("src/http/api", 20)] {
        let (count, unknown) = unknown(folder, refusals);
        assert!(count > least, "{folder}: {count} are too few: the refusals are not found");
        assert!(unknown.is_empty(), "{} are missing in templates/reasons.yaml: {unknown:#?}", unknown.len());
    }
    // The pages of links.
    let (count, unknown) = unknown("src/http/page", |_, source| errors_of(&["HttpError::new("], source));
    assert!(count > 3, "{count} are too few: the refusals are not found");
    assert!(unknown.is_empty(), "{} are missing in templates/reasons.yaml: {unknown:#?}", unknown.len());
    for of_the_body in ["the body is larger than 4096 bytes (server.max_body)", "too many large bodies are being read; try again"] {
        assert_chinese(of_the_body);
    }
    for kind in ["rota", "person", "escalation"] {
        assert_chinese(&format!("there is no {kind} `nigth`; did you mean `night`?"));
    }
    for (kind, known_by) in [("event", "id"), ("delivery", "id"), ("incident", "number")] {
        assert_chinese(&format!("there is no {kind} 7; those past `retention` are removed, `/api/v1/x` lists those that are there"));
        assert_chinese(&format!("`x` is no {kind}'s {known_by}, as 7; `watchfire x ls` and `/api/v1/x` list those that are there"));
    }
}

#[test]
fn every_advice_of_every_preset_is_known() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/presets");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for advice in text.split("advice: \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            count += 1;
            assert_chinese(advice);
        }
    }
    assert!(count > 80, "{count}");
}

#[test]
fn what_the_timeline_of_an_incident_says_is_known() {
    for text in [
        "step 1 of the escalation `db` sent",
        "step 1 of the escalation `db` skipped: acked by Ann B 4h ago, and it still fires",
        "step 2 of the escalation `db` at once, because of the step before: it is dead",
        "step 2 of the escalation `db` at once: handed on by ann (API)",
        "step 2 of the escalation `db` unknown: the platform did not confirm it",
        "step 1 of the escalation `db` waits, for nobody was reached so far: quiet hours of ann",
        "unacked by ann (console)",
        "closed by ann (console)",
        "handed on by ann (console)",
        "acked by ann (console)",
        "acked by ann (console), taken over from bob, cyd",
        "2 of 3 alerts acked by ann (console)",
        "snoozed until 2026-11-30T03:00:00Z by ann (console)",
        "2 of 3 alerts snoozed until 2026-11-30T03:00:00Z by ann (console)",
        "acked by Ann 4h ago, and it still fires",
        "acked by ann 4h ago, and nothing was received since",
        "acked by ann (console) as #12",
        "its sender groups its alerts in another way now: they go on as #13, #14",
        "muted until 2026-11-30T03:00:00Z by ann (console)",
        "the mute was ended by ann (console)",
        "the mute was ended by hand",
        "the mute by ann ends at 2026-11-30T03:00:00Z now",
        "the mute by ann ended",
        "posted again as it is now",
        "edited to version 3",
        "edited to version 3, the last of 12 edits",
        "a silence until 2026-11-30T03:00:00Z was asked for by ann (console)",
        "the silence was ended by ann (console)",
        "silenced until 2026-11-30T03:00:00Z by ann (console)",
        "the silence by ann ends at 2026-11-30T03:00:00Z now",
        "the silence by ann is not confirmed, and is tried again: HTTP 503",
        "the end of the silence by ann is not confirmed, and is tried again: HTTP 503",
        "the silence by ann ended",
        "was acked at warning, now it is critical",
        "was acked at warning, now it is critical: DiskFull db-1, db-2 (+1)",
        "nothing that was acked fires any more, and nobody is on the rest",
        "the snooze by ann ended",
        "the silence by ann was refused: no answer within 10s",
        "fires again",
        "all of its alerts are resolved",
        "its sender groups it as `g` now",
        "nothing was reported since 2026-11-30T03:00:00Z",
        "the incident ended long ago, and its message could not be edited since",
        "unacked by ann (console); it rings at 2026-11-30T03:00:00Z if nobody is on it by then",
        "the channel is not in the configuration any more, or cannot edit: its message stays as it is, unless that changes",
        // What a simulation says of very many text messages or calls.
        "800 messages to each of 2, 1600 in all; a `rate_limit: { per_minute: 6 }` on `sms` bounds it, because what cannot leave soon is merged",
        // Of deliveries, and of events that led to none.
        "resolved alerts are not sent here (`send_resolved: false` on the channel)",
        "resolved while it was muted",
        "resolved; its firing was sent here because `ops` could not deliver it",
        "its end was reported moments ago as #7: it rings if it still fires a minute after that",
        "step 3 is due: of late steps only the latest is sent",
        "moved to ops as 0199a",
        "no route of the plan leads to a channel",
        "a sign of life for the heartbeat `am`, which is not routed",
        "the text names none of several incidents",
        "a sign of life for the heartbeat `am`; it is not routed (`route: true` there would)",
        "channels of route.routes[0] by the label team: those of the team db",
        "channels of route.routes[0] by the label team: the default: there is no label team",
        "ops mentions ann, bob",
    ] {
        assert_chinese(text);
    }
    assert_eq!(zh("acked by Ann (as written) (console)"), "由 Ann (as written) 认领（控制台）");
    assert_eq!(zh("2 of 3 alerts acked by ann (console), taken over from bob"), "由 ann 认领 3 条告警中的 2 条（控制台），接手自 bob");
    assert_eq!(
        zh("step 2 of the escalation `db` at once, because of the step before: it is dead"),
        "升级策略 `db` 的第 2 步：立即执行，因为上一步投递失败"
    );
}

#[test]
fn reasons_of_many_parts_are_read_part_by_part() {
    for (en, expected) in [
        (
            "DingTalk refused the message: the signature does not match; check `secret` (SEC...) (\"description:机器人发送签名不匹配\") (code 310000)",
            "钉钉拒绝了消息：签名不匹配，请检查 `secret`（SEC 开头）（“description:机器人发送签名不匹配”）（错误码 310000）",
        ),
        ("no answer within 10s; it may have been delivered and is not sent again", "10s 内无响应；可能已送达，不再重发"),
        (
            "not delivered within 24h (12 tries); last error: cannot connect to oapi.dingtalk.com:443: Connection refused (code connect)",
            "24h 内未送达（共尝试 12 次）；最后一次错误：无法连接 oapi.dingtalk.com:443：连接被拒绝（错误码 connect）",
        ),
        (
            "smtp.qq.com:587 refused the recipient (RCPT TO): the mailbox is full; it says: 552 5.2.2 Mailbox full; try later (code 552 5.2.2)",
            "smtp.qq.com:587 拒绝了收件人（RCPT TO）：邮箱已满；对方返回：“552 5.2.2 Mailbox full; try later”（错误码 552 5.2.2）",
        ),
        (
            "fallback of `ops`, which is suspended: HTTP 404: nothing takes messages at this address; check the address, and whether it was revoked",
            "`ops` 的备用通道，原通道已暂停：HTTP 404：该地址不接收消息，请检查地址，以及是否已被撤销",
        ),
        (
            "PushPlus (推送加): the token is not valid; copy it again (\"无效的用户令牌\")",
            "PushPlus (推送加)：token 无效，请重新复制（“无效的用户令牌”）",
        ),
        (
            "partly delivered: 1 of 2 parts confirmed; not confirmed for +86****0000: 5 per 1h is what one recipient gets at most (`recipient_limit`)",
            "部分送达：2 部分中 1 部分已确认；+86****0000 未确认：每个接收人每小时最多 5 条（`recipient_limit`）",
        ),
        ("the month's 500 are used (`per_month`)", "本月限额 500 条已用完（`per_month`）"),
        (
            "four fifths of the month's 500 are used (`per_month`), and it is not critical",
            "本月限额 500 条已用五分之四（`per_month`），且不是 critical",
        ),
        ("step 1 of the escalation `night`", "升级策略 `night` 的第 1 步"),
        (
            "muted by `upgrade` (severity!=\"critical\",team=\"web\"): PostgreSQL 18 (owner ann, ticket OPS-4711)",
            "静音 `upgrade`（severity!=\"critical\",team=\"web\"）：PostgreSQL 18 (owner ann, ticket OPS-4711)",
        ),
        // Why a person muted stays as it is, and what follows it does not.
        ("channel muted by hand: upgrade; ask Ann; not sent (`on_mute: drop`)", "通道已手工静音：upgrade; ask Ann；不发送（`on_mute: drop`）"),
        ("muted by hand (team=\"db\"): upgrade; not sent (`on_mute: drop`)", "手工静音（team=\"db\"）：upgrade；不发送（`on_mute: drop`）"),
        ("channel muted by hand: upgrade; ended early", "通道已手工静音：upgrade；已提前结束"),
        (
            "the channel is muted by hand until 21:00: upgrade; given up after 2026-11-30T21:41:50.000Z",
            "通道已手工静音至 21:00：upgrade；2026-11-30T21:41:50.000Z 之后放弃",
        ),
        ("acked by Ann B 4h ago, and it still fires", "由 Ann B 4h 前认领，仍在触发"),
        (
            "the channel is suspended: HTTP 404: nothing takes messages at this address; check the address, and whether it was revoked (code HTTP 404); \
             it is retried with growing pauses and at once after a reload; given up after 2026-11-30T21:41:50.000Z",
            "通道已挂起：HTTP 404：该地址不接收消息，请检查地址，以及是否已被撤销（错误码 HTTP 404）；按递增间隔重试，重新加载后立即重试；2026-11-30T21:41:50.000Z 之后放弃",
        ),
        // It was cut within what the platform says.
        ("Telegram: its content is not accepted (\"Bad Request: can't…", "Telegram：消息内容未被接受（“Bad Request: can't…”）"),
        ("a reason of somebody else", "a reason of somebody else"),
    ] {
        assert_eq!(zh(en), expected, "{en}");
        assert_eq!(reason(Language::En, en), en);
    }
}
