//! Dead letters by filter: what is listed is what is acted on, and how many is said before.

use reqwest::StatusCode;
use serde_json::Value;

use super::{Browser, ROOT, TEAM, fire, gateway, guarded, hidden, links};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_lists_is_retried_all_of_it_or_what_still_fires() {
    let (url, accepts) = gateway().await;
    let hook = format!("webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }}");
    let yaml = guarded().replace("ours: { log: {} }, theirs: { log: {} }", &format!("ours: {{ {hook} }}, theirs: {{ {hook} }}"));
    let app = TestApp::start(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    for (group, name) in [("ours", "First"), ("other", "Second"), ("theirs", "Third")] {
        fire(&app, Some(ROOT), &alert(group, name, "firing")).await;
    }
    let read = async |path: &str| -> Value { app.http.get(app.url(path)).bearer_auth(ROOT).send().await.unwrap().json::<Value>().await.unwrap() };
    let until = async |path: &str, wanted: &dyn Fn(&Value) -> bool| {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let found = read(path).await;
            if wanted(&found) {
                return found;
            }
            assert!(std::time::Instant::now() < end, "{path}: {found}");
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    };
    let rows = |found: &Value| found["deliveries"].as_array().unwrap().len();
    until("/api/v1/deliveries?state=dead", &|found| rows(found) == 3).await;
    let page = ann.page("/ui/dead").await;
    assert!(page.contains("3 dead letters") && page.contains("Retry all 3…"), "{page}");
    // The navigation of a desk and that of a phone count them, and of somebody with one channel those of that.
    let dead = |page: &str, n: usize| page.matches(&format!("<span class=\"k\">{n}<span class=\"vh\"> not delivered</span></span>")).count();
    let firing =
        |page: &str, n: &str| page.matches(&format!("<span class=\"k hot\" data-waiting{n}<span class=\"vh\"> not acked</span></span>")).count();
    assert_eq!(dead(&page, 3), 2, "{page}");
    let now = ann.page("/ui").await;
    assert_eq!((firing(&now, ">3"), dead(&now, 3)), (2, 2), "{now}");
    let history = ann.page("/ui/history").await;
    assert_eq!((firing(&history, ">3"), dead(&history, 3), history.contains(" held</span>")), (2, 2, false), "{history}");
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    let theirs = team.page("/ui/history").await;
    assert_eq!((firing(&theirs, " hidden>0"), dead(&theirs, 2)), (2, 2), "{theirs}");
    let third = ann.page("/ui/dead?q=third").await;
    assert!(third.contains("1 dead letter<") && third.contains(">Third theirs-host<") && !third.contains("First"), "{third}");
    let asked = ann.page(&links(&third, "/ui/dead/confirm/retry?q=third").remove(0)).await;
    assert!(asked.contains("Retry 1 dead letter?") && asked.contains("<button class=\"b p\">Retry 1</button>"), "{asked}");
    for (query, found) in [
        ("channel=ours", "2 dead letters"),
        ("since=1h", "3 dead letters"),
        ("until=1h", "No such dead letter"),
        ("channel=x", "No such dead letter"),
    ] {
        let page = ann.page(&format!("/ui/dead?{query}")).await;
        assert!(page.contains(found), "{query}: {page}");
    }
    for (query, why) in
        [("colour=red", "`colour` does not narrow this list; it takes: q, channel, since, until"), ("since=x", "`since` takes a time")]
    {
        let refused = ann.get(&format!("/ui/dead?{query}")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
        assert!(refused.text().await.unwrap().contains(why), "{query}");
    }
    // One of two is over: it need not be sent after all.
    fire(&app, Some(ROOT), &alert("ours", "First", "resolved")).await;
    until("/api/v1/incidents/1", &|found| found["incident"]["state"] == "resolved").await;
    until("/api/v1/deliveries?state=waiting,deferred", &|found| rows(found) == 0).await;
    let asked = ann.page(&links(&ann.page("/ui/dead?channel=ours").await, "/ui/dead/confirm/retry?channel=ours").remove(0)).await;
    assert!(asked.contains("Retry the 1 that still fire") && asked.contains("Retry all "), "{asked}");
    accepts.store(true, std::sync::atomic::Ordering::Relaxed);
    let fields = hidden(&asked);
    let press = async |which: &str, firing: Option<&str>| {
        let kept = fields.iter().filter(|(name, _)| firing.is_none() || name != "firing");
        let mut form: Vec<(&str, &str)> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        form.push(("which", which));
        form.extend(firing.map(|hash| ("firing", hash)));
        ann.post("/ui/dead/retry", &form).await.status()
    };
    assert_eq!(press("firing", Some("others")).await, StatusCode::CONFLICT, "others fire than were shown");
    assert_eq!(press("some", None).await, StatusCode::BAD_REQUEST);
    assert_eq!(press("firing", None).await, StatusCode::SEE_OTHER);
    let sent = until("/api/v1/deliveries?state=sent", &|found| rows(found) == 1).await;
    assert!(sent["deliveries"][0]["title"].as_str().unwrap().starts_with("Second"), "{sent}");
    let left = ann.page("/ui/dead?channel=ours").await;
    assert!(left.contains(">First ours-host<") && !left.contains("Second"), "{left}");
}
