//! What is done about deliveries and channels from the console.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Browser, HOSTILE, READER, ROOT, TEAM, fire, gateway, guarded, hidden, links, routes};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn what_died_is_explained_retried_moved_and_dropped() {
    let (url, accepts) = gateway().await;
    let hook = format!("webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }}");
    let yaml = guarded()
        .replace("theirs: { log: {} }", &format!("theirs: {{ {hook} }}, saved: {{ fallback: [ours], {hook} }}"))
        .replace("routes: [", "routes: [{ matchers: ['group=\"saved\"'], to: [saved] }, ");
    let app = TestApp::start(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    assert!(ann.page("/ui/dead").await.contains("No dead letters"));
    for group in ["theirs", "saved"] {
        let mut body = alert(group, HOSTILE, "firing");
        body["alerts"][0]["annotations"]["summary"] = json!(HOSTILE);
        fire(&app, Some(ROOT), &body).await;
    }
    let read = async |query: &str| -> Vec<Value> {
        let answer = app.http.get(app.url(&format!("/api/v1/deliveries?{query}"))).bearer_auth(ROOT).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["deliveries"].as_array().unwrap().clone()
    };
    let until = async |query: &str, n: usize| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let rows = read(query).await;
            if rows.len() == n {
                return rows;
            }
            assert!(std::time::Instant::now() < end, "{query}: {rows:?}");
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    until("state=dead", 2).await;
    until("state=sent", 1).await;
    let saved = ann.page("/ui/incidents/2").await;
    assert!(saved.contains(">in place of saved<"), "{saved}");
    let dead = ann.page("/ui/dead").await;
    assert!(dead.contains("2 dead letters") && dead.contains("Reached nobody") && dead.contains("Another channel has it"), "{dead}");
    for path in links(&dead, "/ui/deliveries/").into_iter().chain([
        "/ui/history".into(),
        "/ui/history?view=incidents".into(),
        "/ui/history?view=nowhere".into(),
    ]) {
        ann.page(&path).await;
    }
    // How many is said before anything is done, and what came later is not meant.
    let retry = links(&dead, "/ui/dead/confirm/retry?channel=theirs").remove(0);
    let asked = ann.page(&retry).await;
    assert!(asked.contains("<button class=\"b p\">Retry 1</button>"), "{asked}");
    accepts.store(true, std::sync::atomic::Ordering::Relaxed);
    let fields = hidden(&asked);
    let form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let done = ann.post("/ui/dead/retry", &form).await;
    assert_eq!(done.status(), StatusCode::SEE_OTHER, "{}", done.text().await.unwrap());
    until("state=sent", 2).await;
    let left = ann.page("/ui/dead").await;
    assert!(left.contains("1 dead letter") && !left.contains("Reached nobody"), "what was retried is taken care of: {left}");
    let retried = read("state=dead&channel=theirs").await.remove(0)["id"].as_str().unwrap().to_owned();
    let page = ann.page(&format!("/ui/deliveries/{retried}")).await;
    assert!(page.contains("What became of the retry") && !page.contains("No other channel has it"), "{page}");
    // One alone: explained, moved, dropped with a reason.
    let saved = read("state=dead&channel=saved").await.remove(0)["id"].as_str().unwrap().to_owned();
    let elsewhere = async |id: &str| -> Value {
        let answer = app.http.get(app.url(&format!("/api/v1/deliveries/{id}"))).bearer_auth(ROOT).send().await.unwrap();
        answer.json::<Value>().await.unwrap()["delivered_elsewhere"].clone()
    };
    let sent = read("state=sent&channel=ours").await.remove(0)["id"].as_str().unwrap().to_owned();
    assert_eq!((elsewhere(&saved).await, elsewhere(&sent).await), (json!(true), Value::Null), "only a dead letter asks who has it");
    let page = ann.page(&format!("/ui/deliveries/{saved}")).await;
    assert!(
        page.contains("ours") && page.contains("has it instead") && page.contains("Attempts") && page.contains("&lt;script&gt;no&lt;/script&gt;"),
        "{page}"
    );
    assert!(ann.page(&format!("/ui/deliveries/{saved}/confirm/move")).await.contains("<option>ours</option>"));
    let moved = ann.post(&format!("/ui/deliveries/{saved}/move"), &[("to", "ours")]).await;
    assert_eq!(moved.status(), StatusCode::SEE_OTHER);
    ann.page(moved.headers()["location"].to_str().unwrap()).await;
    until("state=sent", 3).await;
    ann.page(&format!("/ui/deliveries/{saved}/confirm/drop")).await;
    assert_eq!(ann.post(&format!("/ui/deliveries/{saved}/drop"), &[]).await.status(), StatusCode::BAD_REQUEST, "why?");
    assert_eq!(ann.post(&format!("/ui/deliveries/{saved}/drop"), &[("reason", "noise")]).await.status(), StatusCode::SEE_OTHER);
    assert!(read("state=dead").await.iter().all(|row| row["id"] != saved.as_str()));
    // Filters are an address.
    assert_eq!(ann.page("/ui/history?state=sent").await.matches("<tr data-row").count(), 3);
    assert_eq!(ann.page("/ui/history?q=nothing+like+it").await.matches("<tr data-row").count(), 0);
    assert_eq!(ann.page("/ui/history?channel=theirs&since=1h").await.matches("<tr data-row").count(), 2);
    for bad in ["/ui/history?state=x", "/ui/history?cursor=x", "/ui/history?since=x", "/ui/history?view=incidents&cursor=x"] {
        assert_eq!(ann.get(bad).await.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert_eq!(team.get(&format!("/ui/deliveries/{saved}")).await.status(), StatusCode::FORBIDDEN);
    assert!(!team.page("/ui/history").await.contains("theirs"));
    assert_eq!(team.get(&retry).await.status(), StatusCode::NOT_FOUND);
    // Whatever name people are to read, the audit says whose credential it was.
    let named = app.http.post(app.url("/api/v1/incidents/1/ack")).bearer_auth(ROOT).json(&json!({ "by": "eve" })).send().await.unwrap();
    assert_eq!(named.status(), StatusCode::OK);
    let audit = ann.page("/ui/audit").await;
    for told in ["retry", "move", "drop", "noise", "root as eve"] {
        assert!(audit.contains(&format!("<b>{told}</b>")) || audit.contains(told), "{told}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_after_a_form_was_shown_is_not_dropped_with_it() {
    let (url, _) = gateway().await;
    let yaml = guarded().replace("theirs: { log: {} }", &format!("theirs: {{ webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }} }}"));
    let app = TestApp::start(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let dead = async |n: usize| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let answer = app.http.get(app.url("/api/v1/deliveries?state=dead")).bearer_auth(ROOT).send().await.unwrap();
            let rows = answer.json::<Value>().await.unwrap()["deliveries"].as_array().unwrap().clone();
            if rows.len() == n {
                return rows;
            }
            assert!(std::time::Instant::now() < end, "{rows:?}");
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    // The first is born first, and waits for the end of a mute.
    let mute = json!({ "matchers": ["alertname=\"Early\""], "for": "1h", "reason": "x" });
    assert_eq!(app.http.post(app.url("/api/v1/mutes")).bearer_auth(ROOT).json(&mute).send().await.unwrap().status(), 200);
    let named = |name: &str| {
        let mut body = alert("theirs", name, "firing");
        body["alerts"][0]["labels"]["alertname"] = json!(name);
        body["groupKey"] = json!(name);
        body
    };
    fire(&app, Some(ROOT), &named("Early")).await;
    fire(&app, Some(ROOT), &named("Late")).await;
    let late = dead(1).await.remove(0)["id"].clone();
    let form = async || {
        let asked = ann.page(&links(&ann.page("/ui/dead").await, "/ui/dead/confirm/drop").remove(0)).await;
        let mut fields = hidden(&asked);
        fields.push(("reason_why".to_owned(), "noise".to_owned()));
        fields
    };
    let drop = async |fields: &[(String, String)]| {
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        ann.post("/ui/dead/drop", &pairs).await
    };
    let shown = form().await;
    let end = app.http.delete(app.url("/api/v1/mutes?matchers=alertname%3D%22Early%22")).bearer_auth(ROOT).send().await.unwrap();
    assert_eq!(end.status(), 200);
    dead(2).await;
    let both = form().await;
    assert_eq!(drop(&shown).await.status(), StatusCode::SEE_OTHER);
    let left = dead(1).await.remove(0);
    assert!(left["id"].as_str() < late.as_str(), "born before, died after: {left}");
    let changed = drop(&both).await;
    assert_eq!(changed.status(), StatusCode::CONFLICT, "one of the two that were shown is gone");
    assert!(changed.text().await.unwrap().contains("look at the page again"));
    dead(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_muted_unmuted_and_tested() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    assert!(ann.page("/ui/channels").await.contains("Every channel is ready"));
    assert!(ann.page("/ui/channels/ours/confirm/mute").await.contains("Why"));
    assert_eq!(ann.post("/ui/channels/ours/mute", &[("for", "1h")]).await.status(), StatusCode::SEE_OTHER, "no reason is needed");
    assert_eq!(ann.post("/ui/channels/none/mute", &[("for", "1h"), ("reason", "x")]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(ann.post("/ui/channels/ours/mute", &[("for", "1h"), ("reason", "new number")]).await.status(), StatusCode::SEE_OTHER);
    let page = ann.page("/ui/channels").await;
    assert!(page.contains("1 muted") && page.contains("new number") && page.contains("Unmute"), "{page}");
    fire(&app, Some(ROOT), &alert("a", "Deferred", "firing")).await;
    assert!(ann.page("/ui/history?state=deferred").await.contains("new number"));
    assert_eq!(ann.post("/ui/channels/ours/unmute", &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(ann.post("/ui/channels/ours/unmute", &[]).await.status(), StatusCode::NOT_FOUND, "there is none any more");
    let tested = ann.post("/ui/channels/ours/test", &[("text", "hello")]).await;
    let text = tested.text().await.unwrap();
    assert!(text.contains("The platform took it"), "{text}");
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert!(!team.page("/ui/channels").await.contains("theirs"));
    assert_eq!(team.post("/ui/channels/theirs/test", &[("text", "x")]).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_trusted_says_who_looks() {
    let auth =
        "  auth:\n    - { bearer: roots-token-0123456789, name: root }\n    - { proxy: { from: [127.0.0.1] }, name: sso, scopes: [read, operate] }\n";
    let app = TestApp::start(&routes(auth)).await;
    let browser = Browser::of(&app);
    assert_eq!(browser.get("/ui").await.status(), StatusCode::SEE_OTHER, "the proxy names nobody");
    fire(&app, Some(ROOT), &alert("a", "First", "firing")).await;
    let ask = async |method: reqwest::Method, path: &str| {
        let request = browser.http.request(method, app.url(path)).headers(browser.headers()).header("x-forwarded-user", "ann@example.com");
        request.send().await.unwrap()
    };
    assert!(ask(reqwest::Method::GET, "/ui").await.text().await.unwrap().contains("ann@example.com"));
    assert_eq!(ask(reqwest::Method::POST, "/ui/incidents/1/ack").await.status(), StatusCode::SEE_OTHER);
    assert!(ask(reqwest::Method::GET, "/ui/audit").await.text().await.unwrap().contains("ann@example.com"));
    assert_eq!(ask(reqwest::Method::GET, "/api/v1/incidents").await.status(), StatusCode::UNAUTHORIZED, "programs have credentials of their own");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_page_of_a_new_server_a_press_sends_an_alert_the_whole_way() {
    let app = TestApp::start(&guarded()).await;
    for (token, sees) in [(READER, true), (TEAM, false)] {
        let mut other = Browser::of(&app);
        other.log_in("", token).await;
        assert!(!sees || !other.page("/ui").await.contains("/ui/test-alert"), "no button that does not work");
        assert_eq!(other.post("/ui/test-alert", &[]).await.status(), StatusCode::FORBIDDEN);
    }
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let page = ann.page("/ui").await;
    assert!(
        page.contains("action=\"/ui/test-alert\"") && page.contains("credentials_file: /run/secrets/watchfire } }   # the secret of `root`"),
        "{page}"
    );
    assert_eq!(ann.post("/ui/test-alert", &[]).await.headers()["location"], "/ui");
    let page = ann.page("/ui").await;
    assert!(page.contains("1 needs somebody") && page.contains("A test") && page.contains("<span class=\"c1\">test</span>"), "{page}");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ann.page("/ui/history?state=sent").await.contains("data-row") {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    let audit = ann.page("/ui/audit").await;
    assert!(audit.contains("a test alert") && audit.contains(", 1 queued"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_act_did_is_said_in_the_language_of_the_page() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("ours", "First", "firing")).await;
    let press = async |verb: &str, of: &str| {
        let request = browser.http.post(app.url(&format!("/ui/incidents/{of}/{verb}"))).headers(browser.headers());
        request.header("hx-request", "true").header("accept-language", "zh-CN").body("").send().await.unwrap().text().await.unwrap()
    };
    let row = press("ack", "1").await;
    assert!(row.contains("#1 已认领") && row.contains("某人") && row.contains("通过 控制台"), "{row}");
    assert!(!row.contains("is acked") && !row.contains("somebody"), "{row}");
    let refused = press("ack", "9").await;
    assert!(refused.contains("没有事件 9") && !refused.contains("there is no"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_available_speaks_of_the_store_only_where_that_is_down() {
    let app = TestApp::start(&routes("").replace("theirs: { log: {} } }", "theirs: { log: {} }, off: { log: {}, disabled: true } }")).await;
    let browser = Browser::of(&app);
    assert!(browser.page("/ui").await.contains("2 of 2 channels are ready"), "one that is disabled is not waited for");
    let answer = browser.post("/ui/channels/off/test", &[("text", "x")]).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let text = answer.text().await.unwrap();
    assert!(text.contains("channel `off` is disabled") && !text.contains("New alerts are refused"), "{text}");
}
