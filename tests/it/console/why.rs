//! Why did this ring me: in one sentence on the page and from the API, with the matchers that led there.

use serde_json::Value;

use super::{Browser, READER, ROOT, TEAM, fire, guarded};
use crate::support::app::{SOON, TestApp, alert};

/// Waits until so many deliveries were sent on a channel, and returns the newest as the API shows it.
async fn newest_of(app: &TestApp, channel: &str, n: usize) -> Value {
    let ask = async |path: String| app.http.get(app.url(&path)).bearer_auth(ROOT).send().await.unwrap().json::<Value>().await.unwrap();
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let rows = ask(format!("/api/v1/deliveries?state=sent&channel={channel}")).await["deliveries"].as_array().unwrap().clone();
        if rows.len() == n {
            return ask(format!("/api/v1/deliveries/{}", rows[0]["id"].as_str().unwrap())).await;
        }
        assert!(tokio::time::Instant::now() < end, "{rows:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_says_in_one_sentence_why_it_was_sent() {
    let app = TestApp::start(&guarded()).await;
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    fire(&app, Some(ROOT), &alert("theirs", "Down", "firing")).await;
    let first = newest_of(&app, "theirs", 1).await;
    let sentence =
        "Sent because #1 is new to this channel: 1 alert fires; the route `route.routes[0]` leads here (group=\"theirs\"); nobody had acked.";
    assert_eq!(first["why"], sentence);
    let path = format!("/ui/deliveries/{}", first["delivery"]["id"].as_str().unwrap());
    let page = reader.page(&path).await;
    assert!(page.contains(&sentence.replace('"', "&quot;")), "{page}");
    assert!(page.contains("<span class=\"lab yes\">") && page.contains("group=&quot;theirs&quot;") && page.contains("class=\"tree\""), "{page}");
    assert!(page.contains("/ui/templates?channel=theirs&amp;set=") && page.contains("Open in the template playground"), "{page}");
    let link = super::links(&page, "/ui/templates?").remove(0);
    assert!(reader.page(&link).await.contains("Template playground"));
    let zh = reader.http.get(app.url(&path)).headers(reader.headers()).header("accept-language", "zh-CN").send().await.unwrap();
    let zh = zh.text().await.unwrap();
    assert!(zh.contains("发送原因：#1 首次通知到该通道：1 条告警正在触发；由路由 `route.routes[0]` 发到这里"), "{zh}");
    assert!(zh.contains("<b>成功</b>") && zh.contains("第 1 页") && !zh.contains("<b>ok</b>"), "{zh}");
    // Somebody is on it when it is reported once more.
    assert_eq!(app.http.post(app.url("/api/v1/incidents/1/ack")).bearer_auth(ROOT).send().await.unwrap().status(), 200);
    let mut more = alert("theirs", "Down", "firing");
    let other = alert("theirs", "AlsoDown", "firing")["alerts"][0].clone();
    more["alerts"].as_array_mut().unwrap().push(other);
    fire(&app, Some(ROOT), &more).await;
    let second = newest_of(&app, "theirs", 2).await;
    let why = second["why"].as_str().unwrap();
    assert!(why.starts_with("Sent because ") && why.contains("; before it was acked by root") && !why.contains("is new to this channel"), "{why}");
    // Who may see some channels only learns neither the incident nor the matchers.
    fire(&app, Some(ROOT), &alert("ours", "Slow", "firing")).await;
    let ours = newest_of(&app, "ours", 1).await;
    let path = format!("/api/v1/deliveries/{}", ours["delivery"]["id"].as_str().unwrap());
    let limited = app.http.get(app.url(&path)).bearer_auth(TEAM).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(limited["why"], "Sent because 1 alert fires; the route `route` leads here.");
}
