//! The pages that people open: a message's own, and `/`.

use serde_json::{Value, json};
use watchfire::api::IncidentResponse;
use watchfire::delivery::links::{act_code, message_code};
use watchfire::model::{MessageId, Secret};
use watchfire::store::IncidentState;

use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

const KEY: &str = "link-key-of-the-test-0123456789";

fn routes(language: &str) -> String {
    format!(
        "server: {{ listen: '127.0.0.1:0', external_url: 'https://w.example.com', link_key: {KEY} }}\ntime_zone: Asia/Shanghai\n\
         store: sqlite:watchfire.db\nchannels: {{ terminal: {{ log: {{}}, language: {language} }} }}\nroute: {{ to: [terminal] }}\n"
    )
}

/// An alert as Alertmanager sends it.
fn one(labels: Value, annotations: Value, over: bool) -> Value {
    json!({
        "status": if over { "resolved" } else { "firing" }, "labels": labels, "annotations": annotations, "startsAt": "2026-11-20T05:40:56Z",
        "endsAt": if over { "2026-11-20T06:57:56Z" } else { "0001-01-01T00:00:00Z" }, "generatorURL": "https://prometheus.example.com/graph",
        "fingerprint": watchfire::model::hash_hex(&[&labels.to_string()]),
    })
}

fn body(alerts: Vec<Value>) -> Value {
    let over = alerts.iter().all(|alert| alert["status"] == "resolved");
    json!({
        "version": "4", "groupKey": "{}:{group=\"pages\"}", "truncatedAlerts": 0, "status": if over { "resolved" } else { "firing" }, "receiver": "ops",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "https://alertmanager.example.com", "alerts": alerts,
    })
}

fn disk(over: bool) -> Value {
    let labels = json!({ "alertname": "DiskAlmostFull", "severity": "critical", "instance": "db-1.prod.example.com:9100", "team": "db" });
    let annotations = json!({
        "summary": "/var/lib/postgresql on db-1 is 97% full", "description": "Full in 38 minutes.", "runbook_url": "https://runbooks.example.com/disk",
        "dashboard_url": "https://grafana.example.com/d/disk", "value": "97.2%",
    });
    one(labels, annotations, over)
}

/// Where the newest message is shown.
async fn link(app: &TestApp) -> String {
    let message = app.settled().await[0].message.unwrap();
    format!("/m/{}", message_code(&Secret::new(KEY), message))
}

async fn read(app: &TestApp, path: &str, asks: &str) -> String {
    let answer = app.http.get(app.url(path)).header("accept-language", asks).header("accept", "text/html").send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn a_message_page_leads_with_what_to_do_and_says_how_it_is_now() {
    let app = TestApp::start(&routes("en")).await;
    app.post("/webhook", &body(vec![disk(false)])).await;
    let link = link(&app).await;
    let page = read(&app, &link, "en").await;
    for part in [
        "<html lang=\"en\"",
        "<title>DiskAlmostFull",
        "Critical</span>",
        "still firing,",
        "/var/lib/postgresql on db-1 is 97% full",
        "Full in 38 minutes.",
        "<code data-copy>db-1.prod.example.com:9100</code>",
        "97.2%",
        "datetime=\"2026-11-20T05:40:56Z\" title=\"2026-11-20 13:40:56 UTC+8\"",
        "11-20 13:40</time> <span data-zone>UTC+8</span>",
        "Came in from",
        "terminal · ",
        "team=<b>db</b>",
        "<details class=\"raw\"><summary>All ",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let places: Vec<usize> =
        ["https://runbooks.example.com/disk", "https://grafana.example.com/d/disk", ">Where<", "https://prometheus.example.com/graph"]
            .iter()
            .map(|text| page.find(text).unwrap_or_else(|| panic!("{text}: {page}")))
            .collect();
    assert!(places.is_sorted(), "links come first: {places:?}");
    assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" on terminal") && page.len() < 9_000, "{}", page.len());

    app.post("/webhook", &body(vec![disk(true)])).await;
    app.settled().await;
    let page = read(&app, &link, "en").await;
    assert!(page.contains("Resolved</span>") && page.contains("0 fire now, 1 did when this was sent,"), "{page}");
    assert!(!page.contains("still firing"), "{page}");
    assert!(!page.contains("<b class=\"n\">"), "its value is that of the alarm: {page}");
}

/// A sender that lists only a part may list only what is over.
#[tokio::test]
async fn a_page_is_not_green_while_what_was_left_out_may_fire() {
    let app = TestApp::start(&routes("en")).await;
    let mut cut = body(vec![disk(true)]);
    cut["truncatedAlerts"] = json!(490);
    app.post("/webhook", &cut).await;
    let page = read(&app, &link(&app).await, "en").await;
    assert!(page.contains("490 were left out by the sender and may still fire") && !page.contains("pill over"), "{page}");
    assert!(!page.contains("<span>Resolved</span>"), "nobody knows that it is over: {page}");
}

#[tokio::test]
async fn a_page_of_an_end_that_nobody_knows_has_no_duration() {
    let app = TestApp::start(&routes("en")).await;
    app.post("/webhook", &body(vec![disk(false)])).await;
    let link = link(&app).await;
    let mut ended = disk(true);
    ended["endsAt"] = "0001-01-01T00:00:00Z".into();
    app.post("/webhook", &body(vec![ended])).await;
    app.settled().await;
    let page = read(&app, &link, "en").await;
    assert!(page.contains("Resolved</span>") && !page.contains(">after "), "{page}");
    let mut begun = disk(false);
    (begun["startsAt"], begun["fingerprint"]) = ("0001-01-01T00:00:00Z".into(), "0815".into());
    let mut sent = body(vec![begun]);
    sent["groupKey"] = "{}:{group=\"begun\"}".into();
    app.post("/webhook", &sent).await;
    let page = read(&app, &self::link(&app).await, "en").await;
    assert!(page.contains("Critical</span>") && !page.contains("still firing,"), "{page}");
}

/// A host and its mount point are pasted into different places.
#[tokio::test]
async fn each_part_of_a_place_is_copied_by_itself() {
    let app = TestApp::start(&routes("en")).await;
    let mut alert = disk(false);
    alert["labels"]["mountpoint"] = "/var/lib/postgresql".into();
    app.post("/webhook", &body(vec![alert])).await;
    let page = read(&app, &link(&app).await, "en").await;
    let place = "<code data-copy>db-1.prod.example.com:9100</code> · <code data-copy>/var/lib/postgresql</code>";
    assert!(page.contains(place), "{page}");
}

/// A Chinese text has three bytes for each character.
#[tokio::test]
async fn what_is_longer_than_a_screen_is_counted_in_characters() {
    let app = TestApp::start(&routes("zh")).await;
    for (characters, is_above) in [(600, true), (601, false)] {
        let text = "长".repeat(characters);
        let labels = json!({ "alertname": "LedgerFailed", "severity": "critical", "instance": format!("a:{characters}") });
        let annotations = json!({ "summary": "对账失败", "description": text, "runbook_url": "https://runbooks.example.com/ledger" });
        let mut sent = body(vec![one(labels, annotations, false)]);
        sent["groupKey"] = format!("{{}}:{{n=\"{characters}\"}}").into();
        app.post("/webhook", &sent).await;
        let page = read(&app, &link(&app).await, "zh").await;
        assert_eq!(page.find(&text).unwrap() < page.find("https://runbooks.example.com/ledger").unwrap(), is_above, "{characters}: {page}");
    }
}

/// Nobody scrolls past a report to find the runbook, and a group can be silenced from its page.
#[tokio::test]
async fn a_long_text_is_below_the_buttons_and_a_groups_silence_is_one_of_them() {
    let app = TestApp::start(&routes("en")).await;
    let long = format!("It began so: {}. It ends here.", "a batch differs, ".repeat(60));
    let alert = |instance: &str| {
        let labels = json!({ "alertname": "LedgerFailed", "severity": "critical", "instance": instance });
        one(labels, json!({ "summary": "It failed", "description": long, "runbook_url": "https://runbooks.example.com/ledger" }), false)
    };
    app.post("/webhook", &body(vec![alert("a:1")])).await;
    let page = read(&app, &link(&app).await, "en").await;
    let places = ["<p class=\"lead pre\">It failed</p>", "https://runbooks.example.com/ledger", "It began so", "It ends here.", ">Where<"]
        .map(|text| page.find(text).unwrap_or_else(|| panic!("{text}: {page}")));
    assert!(places.is_sorted(), "{places:?}: {page}");

    let mut group = body(vec![alert("b:1"), alert("b:2")]);
    group["groupKey"] = "{}:{alertname=\"LedgerFailed\"}".into();
    group["groupLabels"] = json!({ "alertname": "LedgerFailed" });
    app.post("/webhook", &group).await;
    let page = read(&app, &link(&app).await, "en").await;
    assert!(page.contains("<a class=\"b\" href=\"https://alertmanager.example.com/#/silences/new?filter"), "{page}");
    assert!(page.find("silences/new").unwrap() < page.find("2 critical").unwrap(), "{page}");
}

#[tokio::test]
async fn a_chinese_channels_page_is_chinese_unless_its_reader_reads_none() {
    let app = TestApp::start(&routes("zh")).await;
    app.post("/webhook", &body(vec![disk(false)])).await;
    let link = link(&app).await;
    for asks in ["", "zh-CN,zh;q=0.9", "en-US,en;q=0.9,zh;q=0.5"] {
        let page = read(&app, &link, asks).await;
        for part in [
            "<html lang=\"zh-CN\"",
            "严重</span>",
            "仍在告警，已持续",
            "处理手册",
            "经过",
            "已送达",
            "来自 ",
            "只读页面。时间均为 <span data-zone>UTC+8</span>。",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        for word in ["Firing", "Since", "Where", "sent"] {
            assert!(!page.contains(&format!(">{word}")), "{word}: {page}");
        }
    }
    let english = read(&app, &link, "en-GB").await;
    assert!(english.contains("Runbook") && english.contains("Read only. Times are in <span"), "{english}");
}

/// What twelve alerts say but for their place is read once; each keeps its own sentence for who opens it.
#[tokio::test]
async fn a_sentence_that_all_share_but_for_the_place_is_said_once() {
    let app = TestApp::start(&routes("en")).await;
    let alert = |n: usize| {
        let labels = json!({ "alertname": "TargetDown", "severity": "warning", "instance": format!("web-{n:02}:9100") });
        one(labels, json!({ "summary": format!("web-{n:02}:9100 does not answer for five minutes") }), false)
    };
    app.post("/webhook", &body((0..12).map(alert).collect())).await;
    let page = read(&app, &link(&app).await, "en").await;
    assert_eq!(page.matches("<p class=\"lead pre\">… does not answer for five minutes</p>").count(), 1, "{page}");
    assert!(!page.contains("class=\"say\""), "{page}");
    assert_eq!(page.matches("<p class=\"pre\">web-07:9100 does not answer for five minutes</p>").count(), 1, "{page}");
}

#[tokio::test]
async fn a_hundred_alerts_are_folded_by_place_and_the_severe_ones_are_seen() {
    let app = TestApp::start(&routes("en")).await;
    let alerts = (0..100).map(|i| {
        let severity = if i % 25 == 7 { "critical" } else { "warning" };
        let namespace = if i % 3 == 0 { "search" } else { "shop" };
        one(
            json!({ "alertname": "KubePodNotReady", "severity": severity, "namespace": namespace, "pod": format!("worker-{i}") }),
            json!({ "summary": "Pod is not ready.", "runbook_url": "https://runbooks.example.com/pod" }),
            i == 99,
        )
    });
    app.post("/webhook", &body(alerts.collect())).await;
    let page = read(&app, &link(&app).await, "en").await;
    assert!(page.contains("4 critical, 95 warning, 1 resolved"), "{page}");
    assert!(page.contains("99 of 100 still fire") && page.contains("<p class=\"lead pre\">Pod is not ready.</p>"), "{page}");
    let (seen, folded) = page.split_once("<details class=\"grp\">").unwrap();
    assert_eq!(seen.matches("<details class=\"row\">").count(), 4, "{seen}");
    assert_eq!(folded.matches("<details class=\"row\">").count(), 96);
    assert_eq!(page.matches("<details class=\"grp\">").count(), 2);
    assert!(page.contains("<b>shop</b>") && page.contains("<b>search</b>"), "{page}");
    for i in 0..100 {
        assert!(page.contains(&format!("worker-{i}")), "{i}");
    }
}

#[tokio::test]
async fn a_hostile_alert_is_shown_and_does_nothing() {
    let app = TestApp::start(&routes("en")).await;
    let labels = json!({ "alertname": "<img src=x onerror=alert(1)>", "severity": "warning", "instance": "\"><script>alert(2)</script>", "a\"b": "</code>{{now}}" });
    let annotations = json!({
        "summary": "</p><script>alert(3)</script> \u{202E}gpj.exe", "runbook_url": "javascript:alert(4)", "dashboard_url": "https://x.example/\"onclick=\"alert(5)",
    });
    app.post("/webhook", &body(vec![one(labels, annotations, false)])).await;
    let page = read(&app, &link(&app).await, "en").await;
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    for part in ["<img", "href=\"javascript:", "\"onclick", "</code>{{", "\u{202E}"] {
        assert!(!page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("[U+202E]gpj.exe") && page.contains("&lt;img src"), "{page}");
}

#[tokio::test]
async fn what_pages_load_is_served_for_ever_and_the_first_page_reads_in_both_languages() {
    let app = TestApp::start(&routes("en")).await;
    for (name, kind) in [("page.css", "text/css; charset=utf-8"), ("page.js", "text/javascript; charset=utf-8"), ("icons.svg", "image/svg+xml")] {
        let answer = app.http.get(app.url(&format!("/assets/{name}?v=1"))).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], kind);
        assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
        assert!(answer.text().await.unwrap().len() > 500);
    }
    assert_eq!(app.get("/assets/..%2fmod.rs").await.0, 404);
    let page = read(&app, "/", "en").await;
    assert!(page.contains("<h1>Watchfire</h1>") && page.contains("POST /webhook") && page.contains("Takes alerts"), "{page}");
    assert!(read(&app, "/", "zh").await.contains("正常接收告警"));
    let (status, text) = app.get("/").await;
    assert!(status == 200 && text.as_str().unwrap().starts_with("Watchfire "), "{text}");
}

/// After its retention nothing is left of a message by which its link could be checked: a guess of that age is answered the same.
#[tokio::test]
async fn a_link_that_is_older_than_messages_are_kept_names_the_retention() {
    let app = TestApp::start(&(routes("en") + "retention: { sent: 20d, dead: 60d }\n")).await;
    let of = |days: i64| {
        let formed = jiff::Timestamp::now().as_millisecond() - days * 86_400_000;
        message_code(&Secret::new(KEY), MessageId(uuid::Uuid::from_u128(u128::try_from(formed).unwrap() << 80)))
    };
    let (old, young) = (of(21), of(19));
    let read = async |path: String, takes: &str, asks: &str| {
        let answer = app.http.get(app.url(&path)).header("accept-language", asks).header("accept", takes).send().await.unwrap();
        assert_eq!(answer.status(), if path.ends_with(&old) { 410 } else { 404 }, "{path}");
        answer.text().await.unwrap()
    };
    for page in ["m", "a"] {
        let english = read(format!("/{page}/{old}"), "text/html", "en").await;
        assert!(english.contains("<html lang=\"en\"") && english.contains("removed after 20d, what was not delivered after 60d"), "{english}");
        let chinese = read(format!("/{page}/{old}"), "text/html", "zh").await;
        assert!(chinese.contains("已送达的消息保留 20天，未送达的保留 60天") && chinese.contains("请看较新的消息或控制台"), "{chinese}");
        let newer = read(format!("/{page}/{young}"), "text/html", "en").await;
        assert!(newer.contains("There is no such message: it is no longer stored") && !newer.contains("20d"), "{newer}");
        let line = read(format!("/{page}/{old}"), "*/*", "en").await;
        assert!(line.starts_with("There is no such message any more") && line.contains("20d") && line.contains("in the console"), "{line}");
    }
}

#[tokio::test]
async fn what_is_long_is_sent_compressed_to_who_takes_that() {
    let app = TestApp::start(&routes("en")).await;
    let plain = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
    let get = async |path: &str, takes: &str| {
        let answer = plain.get(app.url(path)).header("accept-encoding", takes).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let coding = answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        (coding, answer.bytes().await.unwrap())
    };
    let mut saved = 0;
    for path in ["/ui", "/metrics", "/api/openapi.json"] {
        let ((no, whole), (yes, short)) = (get(path, "identity").await, get(path, "gzip, deflate").await);
        assert_eq!((no.as_deref(), yes.as_deref()), (None, Some("gzip")), "{path}");
        let mut inflated = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&short[..]), &mut inflated).unwrap();
        assert_eq!(inflated[..200], str::from_utf8(&whole).unwrap()[..200], "{path}");
        saved += whole.len() - short.len();
    }
    assert!(saved > 100_000, "{saved}");
    assert_eq!(get("/-/healthy", "gzip").await.0, None);
    let live = plain.get(app.url("/ui/live")).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!((live.headers()["content-type"].to_str().unwrap(), live.headers().get("content-encoding")), ("text/event-stream", None));
}

/// Without script it says the same in the channel's zone.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_page_has_the_readers_zone_and_its_names_are_copied() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("en")).await;
    app.post("/webhook", &body(vec![disk(false)])).await;
    let link = link(&app).await;
    browser.call("Emulation.setTimezoneOverride", json!({ "timezoneId": "America/Bogota" })).await;
    browser.open(&app.url(&link)).await;
    browser.until("document.querySelector('[data-zone]')?.textContent === 'UTC-5'").await;
    let clocks = browser.eval("[...document.querySelectorAll('time[data-clock]')].map(time => time.textContent).join()").await;
    assert!(clocks.as_str().unwrap().contains("11-20 00:40"), "{clocks}");
    browser.eval("document.querySelectorAll('time[data-ago]').forEach(time => { time.textContent = ''; }); 0").await;
    browser.until("/^[0-9]+ (s|min|h|d)$/.test(document.querySelector('time[data-ago]')?.textContent)").await;
    browser.eval("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }; 0").await;
    browser.press("[data-copy] + button").await;
    browser.until("window.copied === 'db-1.prod.example.com:9100'").await;
    browser.until("document.querySelector('[data-copy] + button').textContent === 'Copied'").await;
    // On a phone it fits, and it follows the reader's colours.
    browser.size(390, 844).await;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.call("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] })).await;
        assert_eq!(browser.sideways().await, 0, "{scheme}");
        grounds.push(browser.eval("getComputedStyle(document.body).backgroundColor").await);
    }
    assert_ne!(grounds[0], grounds[1]);
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
}

/// As scanners do that run scripts: the page is open, its script goes on, and nobody has acked.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_act_link_acks_nothing_by_its_script() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("en")).await;
    app.post("/webhook", &body(vec![disk(false)])).await;
    let message = app.settled().await[0].message.unwrap();
    browser.open(&app.url(&format!("/a/{}", act_code(&Secret::new(KEY), message)))).await;
    browser.until("document.querySelector('form button[value=ack]') != null").await;
    // It writes ages once a second.
    browser.eval("document.querySelectorAll('time[data-ago]').forEach(time => { time.textContent = ''; }); 0").await;
    browser.until("/^[0-9]+ (s|min|h|d)$/.test(document.querySelector('time[data-ago]')?.textContent)").await;
    let found: IncidentResponse = app.read("/api/v1/incidents/1").await;
    assert_eq!((found.incident.state, found.incident.acks.len()), (IncidentState::Firing, 0), "{found:#?}");
}
