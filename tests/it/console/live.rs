//! Live updates: what open consoles are sent, and what those that open or wake up are.

use reqwest::StatusCode;
use serde_json::json;

use super::{Browser, ROOT, fire, guarded, routes};
use crate::support::app::{TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

#[tokio::test(flavor = "multi_thread")]
async fn an_open_console_is_sent_what_changed_and_how_many_are_new() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    let page = browser.page("/ui").await;
    let live = live_of(&page);
    let mut stream = browser.get(&live).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    let mut until = async |wanted: &[&str]| {
        while !wanted.iter().all(|text| heard.contains(text)) {
            let piece = tokio::time::timeout(std::time::Duration::from_secs(10), stream.chunk()).await;
            heard.push_str(&String::from_utf8_lossy(&piece.unwrap_or_else(|_| panic!("{wanted:?} in {heard}")).unwrap().unwrap()));
        }
    };
    until(&["retry: 3000"]).await;
    // The store is looked at once before what changes is known.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    assert_eq!(browser.post("/ui/incidents/1/ack", &[]).await.status(), StatusCode::SEE_OTHER);
    fire(&app, None, &alert("b", "Second", "firing")).await;
    until(&["event: row", "id=\"i-1\"", "Hand back", "event: new", "data: 1"]).await;
    until(&["event: head", "data: 1 needs somebody", "data: 2 open: 1 not acked, 1 acked, 0 snoozed."]).await;
    // A phone that slept while this happened asks for what it missed; another console is open, so that no look is the first.
    let mut woken = browser.get(&live).await;
    let mut missed = String::new();
    while !["data: 1 needs somebody", "event: new"].iter().all(|text| missed.contains(text)) {
        let piece = tokio::time::timeout(std::time::Duration::from_secs(5), woken.chunk()).await;
        missed.push_str(&String::from_utf8_lossy(&piece.unwrap_or_else(|_| panic!("no head in {missed}")).unwrap().unwrap()));
    }
    assert!(missed.contains("event: head") && missed.contains("data: 2 open: 1 not acked, 1 acked, 0 snoozed."), "{missed}");
    // A page that was made while somebody looks is sent what the looks found since.
    let page = browser.page("/ui").await;
    let fresh = live_of(&page);
    assert_eq!(browser.post("/ui/incidents/2/ack", &[]).await.status(), StatusCode::SEE_OTHER);
    until(&["id=\"i-2\"", "data: Nothing needs you"]).await;
    let mut opened = browser.get(&fresh).await;
    let mut seen = String::new();
    while !["id=\"i-2\"", "data: Nothing needs you", "event: beat"].iter().all(|text| seen.contains(text)) {
        let piece = tokio::time::timeout(std::time::Duration::from_secs(5), opened.chunk()).await;
        seen.push_str(&String::from_utf8_lossy(&piece.unwrap_or_else(|_| panic!("{seen}")).unwrap().unwrap()));
    }
    assert!(!seen.contains("event: new"), "it knows both incidents: {seen}");
    let late = browser.http.get(app.url(&live)).header("last-event-id", "1000").send().await.unwrap().text().await.unwrap();
    assert!(late.contains("event: reload"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_shows_a_mute_that_began_and_that_it_ended() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    let page = browser.page("/ui").await;
    let live = live_of(&page);
    let mut stream = browser.get(&live).await;
    // The store is looked at once before what changes is known.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    until(&mut stream, "event: beat").await;
    let mute = [("matchers", "alertname=\"First\""), ("for", "1h"), ("reason", "deploy")];
    assert_eq!(browser.post("/ui/mutes", &mute).await.status(), StatusCode::SEE_OTHER);
    until(&mut stream, "Muted until ").await;
    assert_eq!(browser.post("/ui/mutes/end", &mute[..1]).await.status(), StatusCode::SEE_OTHER);
    until(&mut stream, "no escalation is configured for it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_says_it_is_over_shows_that_it_fires_again() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    fire(&app, None, &alert("b", "Second", "firing")).await;
    let page = browser.page("/ui").await;
    let live = live_of(&page);
    let mut stream = browser.get(&live).await;
    // The store is looked at once before what changes is known.
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    until(&mut stream, "event: beat").await;
    fire(&app, None, &alert("a", "First", "resolved")).await;
    until(&mut stream, "Resolved").await;
    let mut again = alert("a", "First", "firing");
    again["alerts"][0]["startsAt"] = "2026-11-24T03:30:00Z".into();
    fire(&app, None, &again).await;
    // A page that was made while it was over has no row of it, so it is counted, too.
    let seen = until(&mut stream, "event: new").await;
    assert!(seen.contains("id=\"i-1\"") && seen.contains("Not acked"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_slept_is_sent_the_mute_that_began_while_it_did() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    let page = browser.page("/ui").await;
    let live = live_of(&page);
    let mute = [("matchers", "alertname=\"First\""), ("for", "1h"), ("reason", "deploy")];
    assert_eq!(browser.post("/ui/mutes", &mute).await.status(), StatusCode::SEE_OTHER);
    // Nothing of the incident is newer than what the page has seen.
    until(&mut browser.get(&live.replace("from=", "from=9999999999999&made=")).await, "Muted until ").await;
}

/// A console whose page shows the first of two steps, and the address of its stream.
async fn with_steps() -> (TestApp, Browser, String) {
    let steps = "escalations: { night: [{ after: 5s, to: theirs }, { after: 2h, to: ours }] }\nroute: { to: [ours], escalation: night,";
    let app = TestApp::start(&routes("").replace("route: { to: [ours],", steps)).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    let page = browser.page("/ui").await;
    assert!(page.contains("Next: theirs"), "{page}");
    let live = live_of(&page);
    (app, browser, live)
}

/// What is said to come next is what somebody may be reached by.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_on_a_disabled_channel_is_not_what_comes_next() {
    let steps = "escalations: { night: [{ after: 1h, to: theirs }, { after: 2h, to: ours }] }\nroute: { to: [ours], escalation: night,";
    let yaml = routes("").replace("route: { to: [ours],", steps).replace("theirs: { log: {} }", "theirs: { log: {}, disabled: true }");
    let app = TestApp::start(&yaml).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    let page = browser.page("/ui").await;
    assert!(page.contains("Next: ours") && !page.contains("Next: theirs"), "{page}");
    let page = browser.page("/ui/incidents/1").await;
    assert!(page.contains("theirs</b></a> is disabled: it is skipped") && page.contains("ours</b></a> is next"), "{page}");
    assert!(browser.page("/ui/history").await.contains("data-due"), "they are to come");
    assert_eq!(browser.post("/ui/incidents/1/ack", &[]).await.status(), StatusCode::SEE_OTHER);
    app.until("state=skipped", |rows| rows.len() == 2).await;
    let page = browser.page("/ui/history").await;
    assert!(page.contains("Skipped") && !page.contains("data-due"), "nothing of them is to come: {page}");
}

/// Where a page gets its live updates.
fn live_of(page: &str) -> String {
    page.split("data-live=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&")
}

/// Reads a stream until it holds this, and returns what it read.
async fn until(stream: &mut reqwest::Response, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        let piece = tokio::time::timeout(std::time::Duration::from_secs(20), stream.chunk()).await;
        seen.push_str(&String::from_utf8_lossy(&piece.unwrap_or_else(|_| panic!("{wanted} is not in {seen}")).unwrap().unwrap()));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_shows_the_step_that_comes_after_the_one_that_was_due() {
    let (_app, browser, live) = with_steps().await;
    until(&mut browser.get(&live).await, "Next: ours").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_slept_is_sent_the_step_that_came_while_it_did() {
    let (app, browser, live) = with_steps().await;
    app.until("state=sent&channel=theirs", |rows| rows.len() == 1).await;
    until(&mut browser.get(&live).await, "Next: ours").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_sent_the_step_that_was_late_before_it_slept_and_came_while_it_did() {
    let (app, browser, live) = with_steps().await;
    app.until("state=sent&channel=theirs", |rows| rows.len() == 1).await;
    // Nothing is newer than what the page has seen, which may be a step that was due and waited for its channel.
    until(&mut browser.get(&live.replace("from=", "from=9999999999999&made=")).await, "Next: ours").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_whose_stream_was_refused_asks_for_it_again() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&guarded()).await;
    fire(&app, Some(ROOT), &alert("a", "First", "firing")).await;
    browser.open(&app.url("/ui/login")).await;
    browser.write("[name=secret]", ROOT).await;
    browser.press("form.login button").await;
    let state =
        |word: &str| format!("document.querySelector('#live .state') != null && document.querySelector('#live .state').textContent == '{word}'");
    browser.until(&state("Live")).await;
    browser.press("#live [data-key=p]").await;
    browser.until(&state("Paused")).await;
    browser.eval("fetch('/ui/logout', { method: 'POST' }).then(() => window.out = true); 0").await;
    browser.until("window.out === true").await;
    // It is led to the form of the login, which is no stream; browsers do not ask again by themselves.
    browser.press("#live [data-key=p]").await;
    browser.until(&state("Not connected")).await;
    browser.eval(&format!("fetch('/ui/login', {{ method: 'POST', body: new URLSearchParams({{ secret: '{ROOT}' }}) }}); 0")).await;
    browser.until(&state("Live")).await;
    // Title and icon of the tab say that nothing needs anybody any more.
    let tab = |icon: &str, counts: bool| {
        format!("document.querySelector('link[rel=icon]').getAttribute('href').includes('/{icon}.') && document.title.startsWith('(1)') == {counts}")
    };
    browser.until(&tab("mark-hot", true)).await;
    browser.eval("fetch('/ui/incidents/1/ack', { method: 'POST' }); 0").await;
    browser.until(&tab("mark", false)).await;
}

/// A hidden tab asks for nothing, and a page that is read stays as it is; both catch up.
#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tab_and_a_paused_page_end_their_stream_and_catch_up() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    fire(&app, None, &alert("a", "First", "firing")).await;
    browser.open(&app.url("/ui")).await;
    browser.until("document.querySelector('#live .state')?.textContent == 'Live'").await;
    let counted = "window.stream = window.EventSource; window.opened = window.closed_ = 0;
        window.end = stream.prototype.close; stream.prototype.close = function () { closed_++; end.call(this); };
        window.EventSource = function (url) { opened++; return new stream(url); };
        window.hide = hidden => { opened = closed_ = 0; Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange')); return [opened > 0, closed_ > 0]; }; 0";
    browser.eval(counted).await;
    assert_eq!(browser.eval("hide(true)").await, json!([false, true]));
    fire(&app, None, &alert("b", "Second", "firing")).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(browser.eval("opened").await, 0);
    assert_eq!(browser.eval("hide(false)").await, json!([true, false]));
    let new = |n: usize| format!("(more => !more.hidden && more.textContent.startsWith('{n}'))(document.querySelector('[data-show-new]'))");
    browser.until(&new(1)).await;
    // A press on the button; then neither time nor a look at another tab goes on with it.
    browser.eval("closed_ = 0; document.querySelector('#live [data-key=p]').click(); 0").await;
    assert_eq!(browser.eval("closed_ > 0").await, true);
    fire(&app, None, &alert("c", "Third", "firing")).await;
    assert_eq!(browser.eval("hide(true); hide(false)").await, json!([false, false]));
    assert_eq!(browser.eval("document.querySelector('#live .state').textContent").await, "Paused");
    browser.eval("document.querySelector('#live [data-key=p]').click(); 0").await;
    browser.until(&new(2)).await;
}
