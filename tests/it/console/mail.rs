//! A mail is shown as its client shows it, with its own styles, and can do nothing else, whatever is in it.

use reqwest::StatusCode;
use serde_json::json;
use watchfire::store::State;

use super::{Browser, HOSTILE};
use crate::support::app::{Four, TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// What somebody writes into a template, or gets through it: it reports to the page around it when it runs.
const RUNS: &str = "<script>parent.postMessage('ran', '*')</script><p style=\"color:red\" onclick=\"x()\">{{headline}}</p>";

/// The headers of an answer that decide what it may do.
fn limits(response: &reqwest::Response) -> (StatusCode, &str, &str) {
    let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    (response.status(), header("content-security-policy"), header("x-frame-options"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_styles_of_its_own_in_a_frame_and_the_page_around_it_has_none() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-mail, ops-slack]")).await;
    app.post("/webhook", &alert("db", HOSTILE, "firing")).await;
    let rows = app.until("state=sent", |rows| rows.len() == 2).await;
    let id = |channel: &str| rows.iter().find(|row| row.channel == channel && row.state == State::Sent).unwrap().id;
    let browser = Browser::of(&app);
    let path = format!("/ui/deliveries/{}", id("ops-mail"));
    let page = browser.page(&path).await;
    assert!(page.contains(&format!("<iframe sandbox title=\"mail\" src=\"{path}/mail/1\"></iframe>")), "{page}");
    let around = browser.get(&path).await;
    let (_, policy, frames) = limits(&around);
    assert!(policy.contains("frame-src 'self'; ") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(frames, "DENY");
    let mail = browser.get(&format!("{path}/mail/1")).await;
    assert_eq!(limits(&mail), (StatusCode::OK, POLICY, "SAMEORIGIN"));
    let text = mail.text().await.unwrap();
    assert!(text.contains("style=") && text.contains("&lt;script&gt;") && !text.contains("<script"), "{text}");
    for none in [format!("{path}/mail/0"), format!("{path}/mail/9"), format!("/ui/deliveries/{}/mail/1", id("ops-slack"))] {
        assert_eq!(browser.get(&none).await.status(), StatusCode::NOT_FOUND, "{none}");
    }
    // The playground shows what is tried in the same way.
    // Its source has styles.
    let page = browser.get("/ui/templates?channel=ops-mail&field=html&event=sample").await.text().await.unwrap();
    assert!(page.contains("src=\"/ui/templates/mail?channel=ops%2Dmail&amp;set=default&amp;field=html&amp;event=sample\""), "{page}");
    for page in [page, browser.page("/ui/templates?channel=ops-slack&event=sample").await] {
        let lock = page.split("<dt>lock screen</dt>").nth(1).unwrap_or_else(|| panic!("{page}")).split("</dl>").next().unwrap();
        assert!(lock.contains("DiskAlmostFull") && lock.contains(" characters"), "{lock}");
    }
    let in_use = browser.get("/ui/templates/mail?channel=ops-mail&set=default&field=html&event=sample").await;
    assert_eq!(limits(&in_use), (StatusCode::OK, POLICY, "SAMEORIGIN"));
    let form = [("channel", "ops-mail"), ("set", "default"), ("field", "html"), ("event", "sample"), ("template", RUNS)];
    let tried = browser.post("/ui/templates/mail", &form).await;
    assert_eq!(limits(&tried), (StatusCode::OK, POLICY, "SAMEORIGIN"));
    assert!(tried.text().await.unwrap().contains("<script>parent.postMessage"));
    // A template that fails: the built-in text, which may have no HTML.
    let form = [("channel", "ops-mail"), ("set", "default"), ("field", "html"), ("event", "sample"), ("template", "{{#each alerts}}")];
    let failed = browser.post("/ui/templates/mail", &form).await;
    assert_eq!(limits(&failed), (StatusCode::OK, POLICY, "SAMEORIGIN"));
    assert!(failed.text().await.unwrap().contains("DiskAlmostFull"), "the sample");
    let slack = browser.get("/ui/templates/mail?channel=ops-slack&event=sample").await;
    assert_eq!(slack.status(), StatusCode::NOT_FOUND, "no mail");
    app.app.stop(std::time::Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_in_a_mail_does_not_run() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&super::routes("").replace(
        "ours: { log: {} }",
        "ours: { log: {} }, mail: { email: { server: 'localhost:25', tls: none, from: a@example.com, to: [ops@example.com] } }",
    ))
    .await;
    browser.open(&app.url("/ui/templates?channel=mail&field=html&event=sample")).await;
    let prepare = format!(
        "window.got = []; window.loads = 0; addEventListener('message', e => got.push(e.data)); \
         document.querySelector('iframe[name=mail]').addEventListener('load', () => loads++); \
         document.querySelector('textarea[name=template]').value = {}; 0",
        json!(RUNS)
    );
    browser.eval(&prepare).await;
    browser.press("button[formtarget=mail]").await;
    browser.until("window.loads > 0").await;
    assert_eq!(browser.eval("got.length").await, 0, "the script of a mail ran");
    assert_eq!(browser.eval("location.pathname").await, "/ui/templates", "the page around it stays");
}
