//! The page of mutes: listed, made, ended, and by whom.

use reqwest::StatusCode;

use super::{Browser, HOSTILE, ROOT, TEAM, fire, guarded, routes};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn mutes_are_listed_made_and_ended_by_who_may() {
    let of_file =
        "mutes: [{ name: nightly, matchers: 'team=\"db\"', until: 2099-01-01T00:00:00Z, reason: 'backups <b>', owner: ann, ticket: OPS-1 }]\n";
    let app = TestApp::start(&(guarded() + of_file)).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let page = ann.page("/ui/mutes").await;
    assert!(page.contains("href=\"#mute\"") && page.contains("<option value=\"2h\">2 h</option>"), "{page}");
    for told in ["1 mute is active", "nightly", "backups &lt;b&gt;", "Owner ", "OPS-1", "In the configuration.", "It matched nothing so far."] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("action=\"/ui/mutes/end\""), "one of the file is not ended here: {page}");
    let form = [("matchers", "group=\"theirs\", severity!=\"critical\""), ("for", "2h"), ("reason", HOSTILE)];
    let made = ann.post("/ui/mutes", &form).await;
    assert_eq!((made.status(), made.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/ui/mutes"));
    let page = ann.page("/ui/mutes").await;
    assert!(page.contains("2 mutes are active") && page.contains("group=&quot;theirs&quot;") && page.contains("action=\"/ui/mutes/end\""), "{page}");
    for bad in [("matchers", ""), ("matchers", "severity!=\"critical\""), ("for", "2y")] {
        let form: Vec<(&str, &str)> = form.iter().map(|field| if field.0 == bad.0 { bad } else { *field }).collect();
        let refused = ann.post("/ui/mutes", &form).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{bad:?}");
        let text = refused.text().await.unwrap();
        assert!(text.contains("Nothing was done.") && text.contains("To the form"), "{bad:?}: {text}");
    }
    // What somebody else's channels are about is not theirs to mute, and not theirs to see.
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert_eq!(team.post("/ui/mutes", &form).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(team.post("/ui/mutes", &[("matchers", "channel=\"ours\""), ("for", "1h"), ("reason", "move")]).await.status(), StatusCode::SEE_OTHER);
    let page = team.page("/ui/mutes").await;
    assert!(page.contains("1 mute is active") && page.contains("channel=&quot;ours&quot;") && !page.contains("nightly"), "{page}");
    let ended = ann.post("/ui/mutes/end", &[("matchers", "group=\"theirs\",severity!=\"critical\"")]).await;
    assert_eq!(ended.status(), StatusCode::SEE_OTHER, "{}", ended.text().await.unwrap());
    assert_eq!(ann.post("/ui/mutes/end", &[("matchers", "team=\"db\"")]).await.status(), StatusCode::NOT_FOUND);
    let silent = [("matchers", "group=\"quiet\""), ("for", "1h"), ("reason", "")];
    assert_eq!(ann.post("/ui/mutes", &silent).await.status(), StatusCode::SEE_OTHER);
    assert!(ann.page("/ui/mutes").await.contains("no reason given"));
    assert_eq!(ann.post("/ui/mutes/end", &silent[..1]).await.status(), StatusCode::SEE_OTHER);
    let tested = ann.page("/ui/route?labels=alertname%3DDown%0Ateam%3Ddb&of=labels").await;
    assert!(tested.contains("held back by the mute nightly until 2099-01-01 00:00:00 UTC"), "{tested}");
    assert!(tested.contains("deferred</span>") && !tested.contains(">at once<"), "{tested}");
    // The first page says why nobody is notified, and counts no years down.
    let mut body = alert("ours", "Upgrade", "firing");
    body["alerts"][0]["labels"]["team"] = "db".into();
    fire(&app, Some(ROOT), &body).await;
    for path in ["/ui", "/ui/incidents/1"] {
        let page = ann.page(path).await;
        assert!(page.contains("Muted until <time") && page.contains(">2099-01-01 00:00</time>"), "{path}: {page}");
    }
    let audit = ann.page("/ui/audit").await;
    assert!(audit.contains("unmute") && audit.contains("group=&quot;theirs&quot;"), "{audit}");
}

/// What is muted is an alert, and its incident rings for the others.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_muted_when_all_of_it_that_fires_is() {
    let of_file = "mutes:\n  - { name: db, matchers: 'team=\"db\"', until: 2099-01-01T00:00:00Z, reason: backups, owner: ann, ticket: OPS-1 }\n  \
                   - { name: web, matchers: 'team=\"web\"', until: 2098-01-01T00:00:00Z, reason: upgrade, owner: ann, ticket: OPS-2 }\n";
    let app = TestApp::start(&(routes("") + of_file)).await;
    let browser = Browser::of(&app);
    let of = |group: &str, other: &str| {
        let mut body = alert(group, "First", "firing");
        let mut second = alert(group, "Second", "firing")["alerts"][0].clone();
        body["alerts"][0]["labels"]["team"] = "db".into();
        second["labels"]["team"] = other.into();
        second["labels"]["severity"] = "warning".into();
        body["alerts"].as_array_mut().unwrap().push(second);
        body
    };
    fire(&app, None, &of("one", "net")).await;
    let page = browser.page("/ui/incidents/1").await;
    assert!(page.contains("First") && !page.contains("Muted until "), "its second alert rings: {page}");
    fire(&app, None, &of("two", "web")).await;
    let page = browser.page("/ui/incidents/2").await;
    assert!(page.contains("Muted until <time") && page.contains(">2098-01-01 00:00</time>"), "the first of its mutes ends then: {page}");
    // The second alert came with another event.
    let mut first = of("three", "net");
    let second = first["alerts"].as_array_mut().unwrap().pop().unwrap();
    fire(&app, None, &first).await;
    assert!(browser.page("/ui/incidents/3").await.contains("Muted until <time"));
    first["alerts"] = serde_json::json!([second]);
    fire(&app, None, &first).await;
    assert!(!browser.page("/ui/incidents/3").await.contains("Muted until "));
    assert_eq!(browser.page("/ui").await.matches("Muted until ").count(), 1);
}
