//! An operator's night in a real browser.

use serde_json::json;

use super::{HOSTILE, fire, gateway, routes};
use crate::support::app::{TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

/// No page scrolls sideways, and none has done what its policy forbids.
async fn fits(browser: &mut Chromium) {
    let [wide, has] = ["innerWidth", "document.documentElement.scrollWidth"].map(str::to_owned);
    let (wide, has) = (browser.eval(&wide).await, browser.eval(&has).await);
    let path = browser.eval("location.pathname").await;
    assert!(has.as_i64() <= wide.as_i64(), "{path} scrolls sideways: {has} of {wide}");
    assert!(browser.complaints.is_empty(), "{path}: {:?}", browser.complaints);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_through_the_night() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let (url, accepts) = gateway().await;
    let hook = format!("theirs: {{ webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }} }}");
    let app = TestApp::start(&routes("").replace("theirs: { log: {} }", &hook)).await;
    browser.size(390, 844).await;
    browser.open(&app.url("/ui")).await;
    browser.until("document.querySelector('h1').innerText == 'Ready. Nothing received yet'").await;
    browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
    fits(&mut browser).await;
    // An alert fires, and the page says so without a reload; a press brings the list up to date.
    let mut body = alert("ours", HOSTILE, "firing");
    body["alerts"][0]["annotations"]["summary"] = json!(HOSTILE);
    fire(&app, None, &body).await;
    browser.until("!document.querySelector('[data-show-new]').hidden").await;
    browser.press("[data-show-new]").await;
    browser.until("document.readyState == 'complete' && document.querySelectorAll('li.inc').length == 1").await;
    fits(&mut browser).await;
    // It is acked in place: the same page, the same height, and the row says who is on it.
    browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
    browser.eval("window.kept = document.querySelector('li.inc').offsetHeight").await;
    browser.press("li.inc .act button.p").await;
    browser.until("document.querySelector('li.inc .st.acc') != null").await;
    assert_eq!(browser.eval("window.kept == document.querySelector('li.inc').offsetHeight").await, true, "nothing moves under the thumb");
    browser.until("document.querySelector('.toast') != null").await;
    // Somebody else hands it back: the row changes by itself.
    let handed = app.http.post(app.url("/api/v1/incidents/1/unack")).json(&json!({ "by": "bob" })).send().await.unwrap();
    assert_eq!(handed.status(), 200);
    browser.until("document.querySelector('li.inc .st.bad') != null").await;
    fits(&mut browser).await;
    browser.press("li.inc .what a").await;
    browser.until("location.pathname == '/ui/incidents/1' && document.querySelector('ol.tl') != null").await;
    fits(&mut browser).await;
    // Another one dies, is explained, and retried.
    fire(&app, None, &alert("theirs", "Lost", "firing")).await;
    app.until("state=dead", |rows| rows.len() == 1).await;
    browser.size(1440, 900).await;
    browser.open(&app.url("/ui/dead")).await;
    fits(&mut browser).await;
    browser.press(".dg details.raw summary").await;
    browser.press(".dg details.raw a").await;
    browser.until("location.pathname.startsWith('/ui/deliveries/') && document.body.innerText.includes('No other channel has it')").await;
    fits(&mut browser).await;
    browser.open(&app.url("/ui/dead")).await;
    accepts.store(true, std::sync::atomic::Ordering::Relaxed);
    browser.press_text("Retry 1…").await;
    browser.until("document.querySelector('.conf') != null").await;
    browser.press(".conf button.p").await;
    browser.until("location.pathname == '/ui/history'").await;
    app.until("state=sent&channel=theirs", |rows| rows.len() == 1).await;
    fits(&mut browser).await;
    // A channel is muted and unmuted.
    browser.open(&app.url("/ui/channels/theirs/confirm/mute")).await;
    browser.eval("document.querySelector('[name=reason]').value = 'new number'").await;
    browser.press(".conf button.p").await;
    browser.until("location.pathname == '/ui/channels' && document.querySelector('h1').innerText == '1 muted'").await;
    fits(&mut browser).await;
    browser.press_text("Unmute").await;
    browser.until("document.querySelector('h1').innerText == 'Every channel is ready'").await;
    browser.size(390, 844).await;
    for path in ["/ui", "/ui/history", "/ui/history?view=incidents", "/ui/dead", "/ui/channels", "/ui/audit", "/ui/nothing"] {
        browser.open(&app.url(path)).await;
        fits(&mut browser).await;
    }
}
