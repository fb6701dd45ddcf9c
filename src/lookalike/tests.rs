use serde_json::json;

use super::*;

fn reader() -> Reader {
    Reader { now: "2026-11-23T06:15:00Z".parse().unwrap(), zone: TimeZone::get("Asia/Shanghai").unwrap() }
}

const PLATFORMS: &[&str] = &[
    "slack",
    "dingtalk",
    "dingtalk_card",
    "wecom",
    "feishu",
    "telegram",
    "discord",
    "teams",
    "email",
    "twilio_sms",
    "twilio_voice",
    "zulip",
    "webhook",
];

const HOSTILE: &str = "<script>alert(1)</script> <img src=x onerror=alert(1)> \"><svg/onload=alert(1)> ' onmouseover='x \
    [x](javascript:alert(1)) [y](https://h/\"onclick=alert(1)) <javascript:alert(1)|z> <https://h/\"x='y|l> \
    <a href=\"javascript:alert(1)\">a</a> <b onclick=alert(1)>b</b> <font color=\"info\" onclick=\"x\">f</font> \u{1b}[31m ![p](data:x)";

/// A body of every platform in which every text is this one.
fn bodies(text: &str) -> Vec<(&'static str, Value)> {
    let body = |platform: &&'static str| {
        let body = match *platform {
            "slack" => json!({ "text": text, "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": text } },
                { "type": text }, { "type": "actions", "elements": [{ "text": { "text": text }, "url": text, "style": text }] }],
                "attachments": [{ "color": text, "image_url": text, "blocks": [{ "type": "context", "elements": [{ "type": "plain_text", "text": text }] }] }] }),
            "dingtalk" => {
                json!({ "msgtype": "actionCard", "actionCard": { "title": text, "text": text, "btns": [{ "title": text, "actionURL": text }] },
                "at": { "atMobiles": [text] } })
            }
            "dingtalk_card" => {
                json!({ "imGroupOpenDeliverModel": { "atUserIds": { text: text } }, "cardData": { "cardParamMap": { "title": text, "markdown": text,
                "sys_full_json_obj": json!({ "msgButtons": [{ "text": text, "url": text, "color": text }] }).to_string() } } })
            }
            "wecom" => json!({ "msgtype": "textcard", "textcard": { "title": text, "description": text, "url": text, "btntxt": text } }),
            "feishu" => json!({ "msg_type": "interactive", "card": { "header": { "template": text, "title": { "content": text } }, "elements": [
                { "tag": "markdown", "content": text }, { "tag": text }, { "tag": "note", "elements": [{ "content": text }] },
                { "tag": "action", "actions": [{ "text": { "content": text }, "url": text, "type": text }] }] } }),
            "telegram" => json!({ "text": text, "parse_mode": "HTML", "link_preview_options": { "url": text },
                "reply_markup": { "inline_keyboard": [[{ "text": text, "url": text }]] } }),
            "discord" => {
                json!({ "content": text, "embeds": [{ "title": text, "url": text, "description": text, "image": { "url": text }, "footer": { "text": text } }] })
            }
            "teams" => json!({ "summary": text, "attachments": [{ "content": { "body": [{ "type": "TextBlock", "text": text }, { "type": text },
                { "type": "FactSet", "facts": [{ "title": text, "value": text }] }, { "type": "Image", "url": text }],
                "actions": [{ "title": text, "url": text }] } }] }),
            "email" => json!({ "from": text, "cc": text, "subject": text, "text": text, "html": text }),
            "twilio_sms" => json!({ "Body": text }),
            "twilio_voice" => json!({ "Twiml": format!("<Response><Say language=\"en\">{text}</Say></Response>") }),
            "zulip" => json!({ "topic": text, "content": text }),
            _ => json!({ "title": text, "deep": [{ "name": text }], text: 1 }),
        };
        (*platform, body)
    };
    PLATFORMS.iter().map(body).collect()
}

#[test]
fn a_matcher_reads_as_it_was_written_where_nothing_is_markup() {
    let body = json!({ "text": "alertname=~Kube.*|Node.*, job=a_b_c" });
    for platform in ["log", "webhook", "pagerduty"] {
        let shown = html(platform, &body, &reader());
        assert!(shown.contains("alertname=~Kube.*|Node.*, job=a_b_c"), "{platform}: {shown}");
    }
    assert!(html("mattermost", &body, &reader()).contains("<em>|Node.</em>"));
}

/// Every tag of a page is one that [`html`](super::html) writes, with its own attributes.
fn sound(html: &str) {
    const TAGS: &[&str] = &[
        "div",
        "p",
        "b",
        "i",
        "em",
        "u",
        "s",
        "code",
        "pre",
        "span",
        "br",
        "hr",
        "ul",
        "li",
        "table",
        "tr",
        "th",
        "td",
        "a",
        "blockquote",
        "iframe",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ];
    for tag in html.split('<').skip(1) {
        let inside = tag.split('>').next().unwrap();
        let (name, attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        assert!(TAGS.contains(&name.trim_start_matches('/')), "<{inside}>");
        // Values are quoted and hold no quote, so a quotation mark ends one.
        for attribute in attributes.split("\" ").filter(|attribute| !attribute.is_empty() && *attribute != "sandbox") {
            let (name, value) = attribute.split_once("=\"").unwrap_or((attribute, ""));
            let name = name.trim_start_matches("sandbox ");
            assert!(["class", "href", "title", "rel", "style", "srcdoc"].contains(&name), "<{inside}>");
            assert!(name != "href" || value.starts_with("http://") || value.starts_with("https://"), "<{inside}>");
            assert!(
                name != "style" || value.trim_end_matches('"').trim_start_matches("--colour:#").chars().all(|c| c.is_ascii_hexdigit()),
                "<{inside}>"
            );
        }
    }
}

#[test]
fn nothing_that_others_wrote_becomes_markup_of_the_page() {
    for (platform, body) in bodies(HOSTILE) {
        let page = html(platform, &body, &reader());
        assert!(page.contains("alert(1)"), "{platform} shows it: {page}");
        sound(&page);
        assert!(!terminal(platform, &body, &reader()).contains("\u{1b}[31m"), "{platform}");
    }
    let page = document("<b>", [("<c>".to_owned(), String::new())]);
    assert!(page.contains("&lt;b&gt;") && page.contains("&lt;c&gt;") && page.contains("default-src 'none'"), "{page}");
}

#[test]
fn a_text_without_end_is_read_in_time() {
    for piece in ["[", "**", "<a href=\"", "`", "_a ", "> ", "&#", "<font color=\"info\">", "[a](", "<blockquote>", "{{TIME("] {
        let begin = std::time::Instant::now();
        for (platform, body) in bodies(&piece.repeat(20_000 / piece.len())) {
            html(platform, &body, &reader());
        }
        assert!(begin.elapsed().as_secs() < 20, "{piece}: {:?}", begin.elapsed());
    }
}

fn text(platform: &str, body: &Value) -> String {
    anstream::adapter::strip_str(&terminal(platform, body, &reader())).to_string()
}

#[test]
fn times_are_the_readers() {
    let slack = json!({ "text": "since <!date^1795413785^{time}|06:03 UTC> (11 min) <!channel> <@U1>" });
    assert_eq!(text("slack", &slack).lines().last().unwrap(), "since 14:03 (11 min) @channel @U1");
    let discord = json!({ "content": "since <t:1795413785:t> (<t:1795413785:R>) <@&815>" });
    assert_eq!(text("discord", &discord), "since 14:03 (11 minutes ago) @815\n");
    for (stamp, ago) in [(1_795_414_400, "1 minute ago"), (1_795_410_000, "1 hour ago"), (1_795_200_000, "2 days ago")] {
        assert_eq!(text("discord", &json!({ "content": format!("<t:{stamp}:R>") })), format!("{ago}\n"));
    }
    let block =
        json!({ "type": "TextBlock", "text": "since {{TIME(2026-11-23T06:03:05Z)}}, {{DATE(2026-11-22T16:00:00Z,SHORT)}} {{x}} {{TIME(y)}}" });
    let teams = json!({ "attachments": [{ "content": { "body": [block] } }] });
    assert_eq!(text("teams", &teams), "┃ since 14:03, 2026-11-23 {{x}} {{TIME(y)}}\n");
    assert_eq!(text("zulip", &json!({ "topic": "t", "content": "<time:2026-11-23T06:03:05Z>" })), "t\n14:03\n");
}

#[test]
fn text_is_shown_as_each_client_reads_it() {
    let dingtalk = |text: &str| json!({ "msgtype": "markdown", "markdown": { "title": "", "text": text } });
    for (platform, body, expected) in [
        (
            "slack",
            json!({ "text": "*b* _i_ a*b*c &lt;x&gt; `a*b*`\n&gt; q" }),
            "<p><b>b</b> <em>i</em> a*b*c &lt;x&gt; <code>a*b*</code></p><blockquote><p>q</p></blockquote>",
        ),
        (
            "slack",
            json!({ "text": "<https://h/?a=1&amp;b=2|*R*>" }),
            "<p><a href=\"https://h/?a=1&amp;b=2\" title=\"https://h/?a=1&amp;b=2\" rel=\"noreferrer noopener\"><b>R</b></a></p>",
        ),
        (
            "dingtalk",
            dingtalk("### T\n\n**b**\n\none  \n  two\nthree\n> q"),
            "<h3>T</h3><div class=\"gap\"></div><p><b>b</b></p><div class=\"gap\"></div><p>one<br>two three</p><blockquote><p>q</p></blockquote>",
        ),
        ("dingtalk", dingtalk("- a\n- b\n1. c"), "<ul><li>a</li><li>b</li><li class=\"numbered\">1. c</li></ul>"),
        (
            "wecom",
            json!({ "msgtype": "markdown", "markdown": { "content": "**<font color=\"warning\">T</font>** <@u> \\*" } }),
            "<p><span class=\"orange\"><b>T</b></span> <span class=\"mention\">@u</span> \\*</p>",
        ),
        ("discord", json!({ "content": "\\*a\\* __u__ ~~s~~ snake_case_name" }), "<p>*a* <u>u</u> <s>s</s> snake_case_name</p>"),
        ("discord", json!({ "content": "a\n-# *was*: x\n-#y" }), "<p>a</p><p class=\"small\"><em>was</em>: x</p><p>-#y</p>"),
        ("zulip", json!({ "content": "-# x" }), "<p>-# x</p>"),
        (
            "dingtalk_card",
            json!({ "cardData": { "cardParamMap": { "title": "🔴 *T*", "markdown": "**b**", "sys_full_json_obj": "{}" } } }),
            "<h4>🔴 *T*</h4><p><b>b</b></p>",
        ),
        (
            "telegram",
            json!({ "parse_mode": "HTML", "text": "<b>a &amp; <code>c</code></b>\nx<blockquote expandable>q</blockquote><em2>" }),
            "<p><b>a &amp; </b><b><code>c</code></b><br>x</p><blockquote><p>q</p></blockquote><p>&lt;em2&gt;</p>",
        ),
        ("telegram", json!({ "text": "<b>a</b>" }), "<p>&lt;b&gt;a&lt;/b&gt;</p>"),
        (
            "telegram",
            json!({ "text": "a", "link_preview_options": { "is_disabled": false, "url": "https://h/x.png" } }),
            "<p>a</p><div class=\"picture\">🖼 https://h/x.png</div>",
        ),
        (
            "feishu",
            json!({ "msg_type": "text", "content": { "text": "a <at user_id=\"all\"></at> **b**" } }),
            "<p>a <span class=\"mention\">@all</span> **b**</p>",
        ),
        ("twilio_voice", json!({ "Twiml": "<Response><Say language=\"en-US\">a &amp; b</Say></Response>" }), "<p>a &amp; b</p>"),
        (
            "aliyun_sms",
            json!({ "TemplateCode": "SMS_1", "TemplateParam": "{\"name\":\"x\"}" }),
            "<p class=\"small\">template SMS_1</p><table><tr><th>name</th><td>x</td></tr></table>",
        ),
    ] {
        let page = html(platform, &body, &reader());
        let inner = page.split_once("<div class=\"message\">").unwrap().1.strip_suffix("</div></div>").unwrap();
        assert_eq!(inner, expected, "{platform}: {body}");
        sound(&page);
    }
}

#[test]
fn cards_show_colour_facts_buttons_and_mentions() {
    let feishu = json!({ "msg_type": "interactive", "card": { "header": { "template": "red", "title": { "content": "T" } }, "elements": [
        { "tag": "markdown", "content": "**a** &#42; <at id=all></at>" },
        { "tag": "action", "actions": [{ "text": { "content": "Runbook" }, "url": "https://h/r", "type": "primary" }] },
        { "tag": "note", "elements": [{ "content": "team: db" }] }] } });
    assert_eq!(text("feishu", &feishu), "notification: T\n┃ T\n┃ a * @all\n┃ [ Runbook ] https://h/r\n┃ team: db\n");
    assert!(html("feishu", &feishu, &reader()).contains("style=\"--colour:#f54a45\""));
    // To an application's receivers the same card is JSON in a text.
    let receiver = json!({ "msg_type": "interactive", "content": feishu["card"].to_string() });
    assert_eq!(text("feishu", &receiver), text("feishu", &feishu));
    let slack = json!({ "text": "p", "blocks": [], "attachments": [{ "color": "#D92D20", "image_url": "https://h/i.png", "blocks": [] }] });
    assert!(terminal("slack", &slack, &reader()).contains("\u{1b}[38;2;217;45;32m┃"));
    let ding =
        json!({ "msgtype": "markdown", "markdown": { "title": "n", "text": "a\n\n@138 @all" }, "at": { "atMobiles": ["138"], "isAtAll": true } });
    assert!(html("dingtalk", &ding, &reader()).contains("<span class=\"mention\">@138 @all</span>"));
    let robot = json!({ "msgtype": "text", "text": { "content": "a", "mentioned_list": ["u", "@all"] } });
    assert_eq!(text("wecom_robot", &robot), "a\n@u @all\n");
    let mail = json!({ "from": "W <w@example.com>", "cc": "", "subject": "S", "text": "t", "html": "<p>t</p>" });
    assert_eq!(text("email", &mail), "notification: S\nS\nfrom: W <w@example.com>\nt\n");
    let shown = |platform: &str, body: &Value| notification(platform, body, &reader());
    assert_eq!([shown("feishu", &feishu), shown("slack", &slack), shown("dingtalk", &ding), shown("email", &mail)], ["T", "p", "n", "S"]);
    assert_eq!([shown("wecom_robot", &robot), shown("webhook", &mail)], ["", ""], "made of the message, and for a program");
    assert!(html("email", &mail, &reader()).contains("<iframe sandbox title=\"mail\" srcdoc=\"&lt;p&gt;t&lt;/p&gt;\"></iframe>"));
}

#[test]
fn any_other_body_is_a_card_of_its_values() {
    let body = json!({ "topic": "x", "title": "T", "message": "**b**\nline", "priority": 5, "none": null, "extra": { "client": { "click": "https://h/" } } });
    assert_eq!(text("preset", &body), "notification: T\nT\nb\nline\ntopic: x\npriority: 5\nextra.client.click: https://h/\n");
    assert_eq!(text("plain", &body), "notification: T\nT\n**b**\nline\ntopic: x\npriority: 5\nextra.client.click: https://h/\n");
}
