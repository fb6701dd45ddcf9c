//! What a page shows is on the screen and can be pressed, on a phone and on a desk, also where names are long.

use serde_json::json;

use super::{fire, routes};
use crate::support::app::{TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

/// A name without a place to break.
const LONG: &str = "a-channel-with-a-very-long-name-for-the-platform-team";

/// How many parts a selector finds, and the texts of those that cannot be pressed: off the screen, under something else, or squeezed.
async fn pressable(browser: &mut Chromium, selector: &str) -> (u64, String) {
    let all = format!("[...document.querySelectorAll({})]", json!(selector));
    let found = browser.eval(&format!("{all}.length")).await;
    let unreachable = format!(
        "{all}.filter(e => {{ const r = e.getBoundingClientRect(), top = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2); \
         return !top || !e.contains(top) || r.width < r.height; }}).map(e => e.innerText).join()"
    );
    (found.as_u64().unwrap(), browser.eval(&unreachable).await.as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_entry_of_an_open_menu_can_be_pressed() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    for group in ["one", "two", "three"] {
        fire(&app, None, &alert(group, "DiskAlmostFull", "firing")).await;
    }
    for width in [390, 1440] {
        browser.size(width, 844).await;
        // Snoozes for three spans and until the morning, and the close by hand; the rows below do not cover them.
        browser.open(&app.url("/ui")).await;
        browser.press("li.inc .menu summary").await;
        assert_eq!(pressable(&mut browser, "li.inc .menu[open] .pop button, li.inc .menu[open] .pop a").await, (5, String::new()), "{width}");
        browser.open(&app.url("/ui/incidents/1")).await;
        let sheet = if width < 900 { ".sheet.po" } else { ".sheet.wo" };
        browser.press(&format!("{sheet} .menu summary")).await;
        assert_eq!(pressable(&mut browser, &format!("{sheet} .menu[open] .pop button")).await, (4, String::new()), "{width}");
    }
    // The rest of the navigation.
    browser.size(390, 844).await;
    browser.open(&app.url("/ui/mutes")).await;
    browser.press(".bar5 summary").await;
    assert_eq!(pressable(&mut browser, ".bar5 .pop a").await, (7, String::new()));
    assert_eq!(browser.eval("document.querySelector('.bar5 summary').getAttribute('aria-current')").await, "true", "its page is behind it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_acts_on_the_chosen_row_only_and_all_keys_can_be_turned_off() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    for group in ["one", "two", "three"] {
        fire(&app, None, &alert(group, "DiskAlmostFull", "firing")).await;
    }
    browser.size(1440, 900).await;
    browser.open(&app.url("/ui")).await;
    let key =
        |key: &str| format!("(document.activeElement || document).dispatchEvent(new KeyboardEvent('keydown', {{ key: '{key}', bubbles: true }}))");
    // No row is chosen, so there is nothing to ack; then the second is.
    for pressed in ["a", "j", "j", "a"] {
        browser.eval(&key(pressed)).await;
    }
    browser.until("document.querySelectorAll('li.inc')[1].innerText.includes('Hand back')").await;
    let acked = "[...document.querySelectorAll('li.inc')].map(row => row.innerText.includes('Hand back')).join()";
    // A live update that was read before the ack may show the row as it was, until the next one.
    browser.until(&format!("document.readyState == 'complete' && {acked} == 'false,true,false'")).await;
    // It was replaced, and is not seen to be chosen any more: a key that is pressed twice does not hand it back.
    browser.eval(&key("a")).await;
    browser.until(&format!("{acked} == 'false,true,false'")).await;
    let (_, found) = app.get("/api/v1/incidents?state=acked").await;
    assert_eq!(found["incidents"].as_array().map(Vec::len), Some(1), "{found}");
    browser.eval(&key("j")).await;
    assert_eq!(browser.eval("getComputedStyle(document.querySelector('li.inc.sel')).fontWeight").await, "400", "it looks like itself");
    // In an incident they lead along the list from which it was opened.
    let listed = browser.eval("[...document.querySelectorAll('li.inc .what a')].map(a => a.pathname)").await;
    assert_eq!(listed.as_array().unwrap().len(), 3, "{listed}");
    browser.press("li.inc .what a").await;
    for (place, pressed) in [(0, "j"), (1, "j"), (2, "j"), (2, "k"), (1, "k"), (0, "k")] {
        browser.until(&format!("document.readyState == 'complete' && location.pathname == {}", listed[place])).await;
        browser.eval(&key(pressed)).await;
    }
    assert_eq!(browser.eval("location.pathname").await, listed[0], "there is none before the first");
    // A page whose rows have nothing to press.
    browser.open(&app.url("/ui/audit")).await;
    browser.eval(&key("j")).await;
    assert_eq!(browser.eval("document.querySelectorAll('tr.sel').length").await, 1);
    assert_eq!(browser.eval("document.querySelectorAll('tr[data-row]').length").await, 1, "one ack, and nothing else");
    // The switch holds for the pages that follow.
    browser.press(".side [data-keys]").await;
    browser.press("#keys [data-keys-on]").await;
    browser.press("#keys form button").await;
    browser.open(&app.url("/ui/channels")).await;
    browser.eval(&key("j")).await;
    assert_eq!(browser.eval("document.querySelectorAll('.sel').length").await, 0);
}

/// The button that acks is replaced by the one that hands back: the second tap of a double one is not meant for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_tap_acks_and_does_not_hand_back() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    fire(&app, None, &alert("one", "DiskAlmostFull", "firing")).await;
    browser.size(390, 844).await;
    browser.open(&app.url("/ui")).await;
    // A press that is taken disables the button until it is answered.
    let twice = "window.first = () => document.querySelector('li.inc .act button'); first().click();
        window.seen = setInterval(() => { if (first().innerText != 'Hand back') return; clearInterval(seen);
            setTimeout(() => { first().click(); window.second = first().disabled; }, 100);
            setTimeout(() => { first().click(); window.later = first().disabled; }, 1500); }, 10); 0";
    browser.eval(twice).await;
    browser.until("window.second !== undefined").await;
    assert_eq!(browser.eval("window.second").await, false, "it lands on Hand back, and is ignored");
    browser.until("window.later !== undefined").await;
    assert_eq!(browser.eval("window.later").await, true, "who means it hands it back");
    browser.until("first().innerText == 'Acknowledge'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_new_server_shows_the_first_alert_by_itself_and_later_ones_wait_behind_a_button() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    browser.open(&app.url("/ui")).await;
    browser.until("document.body.innerText.includes('Nothing received yet')").await;
    fire(&app, None, &alert("one", "DiskAlmostFull", "firing")).await;
    browser.until("document.body.innerText.includes('1 needs somebody')").await;
    browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
    fire(&app, None, &alert("two", "DiskAlmostFull", "firing")).await;
    browser.until("!document.querySelector('[data-show-new]').hidden").await;
    assert_eq!(browser.eval("document.querySelectorAll('li.inc').length").await, 1, "nothing is added under the thumb");
    browser.press("[data-show-new]").await;
    browser.until("document.readyState == 'complete' && document.querySelectorAll('li.inc').length == 2").await;
}

/// Between the browser and the server there may be a proxy, or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_press_that_is_not_answered_leaves_the_row_and_says_so() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    fire(&app, None, &alert("one", "DiskAlmostFull", "firing")).await;
    browser.open(&app.url("/ui")).await;
    browser.until("window.htmx != null").await;
    // An address that the console does not have answers as a proxy would: with an error of its own.
    browser.eval("document.addEventListener('htmx:configRequest', e => { e.detail.path = '/nothing'; }); 0").await;
    let (says, rows) =
        ("document.querySelector('.toasts').innerText.includes('Watchfire did not answer')", "document.querySelectorAll('li.inc').length");
    // A row that a live update has just replaced takes no press.
    browser.until("!(Date.now() - document.querySelector('li.inc').changed < 800)").await;
    browser.press("li.inc [data-key=a]").await;
    browser.until(says).await;
    assert_eq!(browser.eval(rows).await, 1, "the row is where it was");
    browser.press(".toasts .toast").await;
    assert_eq!(browser.eval(says).await, false);
    browser.call("Network.enable", json!({})).await;
    let none = json!({ "offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.call("Network.emulateNetworkConditions", none).await;
    browser.press("li.inc [data-key=a]").await;
    browser.until(says).await;
    assert_eq!((browser.eval(rows).await, browser.eval("document.querySelector('li.inc [data-key=a]').disabled").await), (json!(1), json!(false)));
    // Only one that is not answered for long says so before it has failed; nobody waits here for ten seconds.
    let soon = "window.later = window.setTimeout; window.setTimeout = (f, ms) => later(f, ms == 10000 ? 300 : ms); 0";
    browser.eval(soon).await;
    let (unanswered, press) =
        ("document.querySelector('.toasts').innerText.includes('No answer for 10 s')", "document.querySelector('li.inc [data-key=a]').click(); 0");
    browser.until("!(Date.now() - document.querySelector('li.inc').changed < 800)").await;
    browser.eval(press).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(browser.eval(unanswered).await, false, "it has failed at once");
    let slow = json!({ "offline": false, "latency": 3000, "downloadThroughput": -1, "uploadThroughput": -1 });
    browser.call("Network.emulateNetworkConditions", slow).await;
    browser.until("!(Date.now() - document.querySelector('li.inc').changed < 800)").await;
    browser.eval(press).await;
    browser.until(unanswered).await;
}

/// A page that came over plain http from another machine has no clipboard.
#[tokio::test(flavor = "multi_thread")]
async fn a_press_on_copy_says_what_became_of_it() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    browser.open(&app.url("/ui")).await;
    browser.until("document.documentElement.classList.contains('js')").await;
    browser.eval("Object.defineProperty(navigator, 'clipboard', { value: undefined }); 0").await;
    browser.press("[data-copy]").await;
    browser.until("/^(Copied|Not copied)/.test(document.querySelector('.toasts').innerText)").await;
    assert_eq!(browser.eval("document.querySelectorAll('body > textarea').length").await, 0);
}

/// A finger leaves nothing: what it touched last counts as under the pointer until it touches something else.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_phone_a_row_that_was_touched_is_brought_up_to_date() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&routes("")).await;
    fire(&app, None, &alert("one", "DiskAlmostFull", "firing")).await;
    browser.size(390, 844).await;
    browser.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": true })).await;
    browser.open(&app.url("/ui")).await;
    assert_eq!(browser.eval("matchMedia('(hover: hover)').matches").await, false);
    browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
    let place = browser.eval("(r => [r.x + 60, r.y + 60])(document.querySelector('li.inc').getBoundingClientRect())").await;
    browser.call("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": place[0], "y": place[1] })).await;
    browser.until("document.querySelector('li.inc').matches(':hover')").await;
    let ack = app.http.post(app.url("/api/v1/incidents/1/ack")).json(&json!({ "by": "ann" })).send().await.unwrap();
    assert_eq!(ack.status(), 200);
    browser.until("document.querySelector('li.inc').innerText.includes('ann')").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_scrolls_sideways_because_a_name_or_a_reason_is_long() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let yaml = routes("").replace("ours", LONG)
        + "people: { ann: { email: a@example.com } }\nrotas: { db: { handoff: \"monday 10:00\", start: 2026-11-02, people: [ann] } }\n";
    let app = TestApp::start(&yaml).await;
    let reason = "the platform team moves to another room; see https://wiki.example.com/a/long/address/without/a/place/to/break/it/anywhere/at/all";
    let mute = json!({ "matchers": [format!("channel=\"{LONG}\"")], "for": "1h", "reason": reason });
    assert_eq!(app.http.post(app.url("/api/v1/mutes")).json(&mute).send().await.unwrap().status(), 200);
    fire(&app, None, &alert("one", &"NameWithoutAnEnd".repeat(12), "firing")).await;
    for width in [320, 390, 1440] {
        browser.size(width, 844).await;
        for path in [
            "/ui",
            "/ui/incidents/1",
            "/ui/history",
            "/ui/dead",
            "/ui/channels",
            "/ui/mutes",
            "/ui/oncall",
            "/ui/route?labels=group%3Done",
            "/ui/templates",
            "/ui/audit",
        ] {
            browser.open(&app.url(path)).await;
            assert_eq!(browser.sideways().await, 0, "{path} at {width} px");
        }
    }
}
