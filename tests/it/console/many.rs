//! Acks of many incidents at once, escalating by hand, and snoozes until a time of day.

use reqwest::StatusCode;

use super::{Browser, HOSTILE, READER, ROOT, TEAM, fire, guarded, hidden, links};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_acked_by_label_after_it_was_asked_which_incidents_are_meant() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    for n in 0..32 {
        let mut body = alert(&format!("g{n}"), if n == 0 { HOSTILE } else { "PodRestarts" }, "firing");
        body["alerts"][0]["labels"]["cluster"] = if n < 20 { "eu <1>".into() } else { "us".into() };
        fire(&app, Some(ROOT), &body).await;
    }
    let page = ann.page("/ui").await;
    assert!(
        page.contains("32 open: a storm") && page.contains(">Ack 32 incidents…<") && page.contains(">Ack 20…<") && page.contains(">Ack 12…<"),
        "{page}"
    );
    // What is one thing: the label that most of them have, how many, and which was the first.
    for said in ["What they share: ", "severity=<b>critical</b></span> in 32. ", "First: <a href=\"/ui/incidents/"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let asks = links(&page, "/ui/ack?by=cluster&amp;value=eu").into_iter().chain(links(&page, "/ui/ack?by=cluster")).collect::<Vec<_>>();
    let eu = asks.iter().find(|path| path.contains("eu%20%3C1%3E")).unwrap();
    let asked = ann.page(eu).await;
    assert!(
        asked.contains("Ack 20 incidents?") && asked.contains(">Ack 20<") && asked.contains("&lt;script&gt;") && asked.contains("eu &lt;1&gt;"),
        "{asked}"
    );
    // What begins in between was not listed, and is not acked.
    let mut late = alert("late", "Late", "firing");
    late["alerts"][0]["labels"]["cluster"] = "eu <1>".into();
    fire(&app, Some(ROOT), &late).await;
    let fields = hidden(&asked);
    let form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    let read = reader.page("/ui").await;
    assert!(!read.contains("/ui/ack") && read.contains("You may look, not act"), "no button that does not work: {read}");
    assert!(!page.contains("You may look, not act"));
    assert_eq!((reader.get(eu).await.status(), reader.post("/ui/ack", &form).await.status()), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert_eq!((team.get(eu).await.status(), team.post("/ui/ack", &form).await.status()), (StatusCode::FORBIDDEN, StatusCode::FORBIDDEN));
    let done = ann.post("/ui/ack", &form).await;
    assert_eq!((done.status(), done.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/ui"));
    let page = ann.page("/ui").await;
    assert!(page.contains("33 open: 13 not acked, 20 acked"), "{page}");
    assert!(ann.page(eu).await.contains("Ack 1 incident?"));
    for ids in ["", "x", "1,,2"] {
        assert_eq!(ann.post("/ui/ack", &[("ids", ids)]).await.status(), StatusCode::BAD_REQUEST, "{ids}");
    }
    assert_eq!(ann.post("/ui/ack", &[("ids", "999")]).await.status(), StatusCode::NOT_FOUND);
    // Each is one row of the audit, by whom.
    let audit = ann.page("/ui/audit?q=incident").await;
    assert_eq!(audit.matches("data-row").count(), 3, "the act, the one on what there is not, and what a team's credential was refused: {audit}");
    assert!(audit.contains("#1, #2") && audit.contains("<b>ann</b>"), "{audit}");
    assert!(ann.page("/ui/ack?by=cluster&value=none").await.contains("Nothing to ack"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_step_comes_at_once_by_a_button_and_a_snooze_lasts_until_a_time_of_day() {
    let yaml =
        guarded().replace("route: { to: [ours],", "escalations: { night: [{ after: 2h, to: theirs }] }\nroute: { to: [ours], escalation: night,");
    let app = TestApp::start(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    fire(&app, Some(ROOT), &alert("ours", "First", "firing")).await;
    let page = ann.page("/ui/incidents/1").await;
    assert!(page.contains("action=\"/ui/incidents/1/escalate\"") && page.contains("theirs now"), "{page}");
    let morning = page.split("name=\"until\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let done = ann.post("/ui/incidents/1/escalate", &[("back", "/ui/incidents/1")]).await;
    assert_eq!(done.headers()["location"], "/ui/incidents/1");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ann.page("/ui/history?channel=theirs&state=sent").await.contains("data-row") {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    let page = ann.page("/ui/incidents/1").await;
    assert!(!page.contains("/ui/incidents/1/escalate"), "no step waits any more: {page}");
    assert_eq!(ann.post("/ui/incidents/1/escalate", &[]).await.status(), StatusCode::CONFLICT);
    assert_eq!(ann.post("/ui/incidents/1/snooze", &[("until", "9 o'clock")]).await.status(), StatusCode::BAD_REQUEST);
    // A page may be hours old: what the button said counts, not the next such time of day.
    let passed = ann.post("/ui/incidents/1/snooze", &[("until", "2026-01-02T09:00:00+00:00")]).await;
    assert_eq!(passed.status(), StatusCode::CONFLICT);
    assert!(passed.text().await.unwrap().contains("has passed"));
    assert_eq!(ann.post("/ui/incidents/1/snooze", &[("until", &morning)]).await.status(), StatusCode::SEE_OTHER);
    assert!(ann.page("/ui").await.contains("1 snoozed"));
    let acted = app.http.get(app.url("/api/v1/incidents/1")).bearer_auth(ROOT).send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    let until = acted["incident"]["acks"][0]["until"].as_i64().unwrap_or_else(|| panic!("{acted}"));
    let shown = morning.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    assert!((shown..shown + 1000).contains(&until), "{morning}: {until}");
    assert_eq!(shown % 86_400_000, 9 * 3_600_000, "nine o'clock in UTC, the configuration's zone: {morning}");
}

/// Bodies that are too large together are not all read. Of the others nothing is said, least of all that they lack a label.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_large_bodies_speaks_of_those_that_were_read() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    // 24 of them are within 4 MiB, and 25 are not.
    for n in 0..32 {
        let mut body = alert(&format!("g{n}"), "PodRestarts", "firing");
        body["alerts"][0]["labels"]["cluster"] = if n % 2 == 0 { "eu".into() } else { "us".into() };
        body["alerts"][0]["annotations"]["description"] = "x".repeat(170_000).into();
        fire(&app, Some(ROOT), &body).await;
    }
    let page = ann.page("/ui").await;
    for said in [
        "32 open: a storm",
        "What the 24 most urgent share: ",
        "The 24 most urgent, by cluster",
        "+8 more that are not shown here",
        ">Ack 32 incidents…<",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("without cluster") && page.matches(">Ack 12…<").count() == 2, "{page}");
    assert!(ann.page("/ui/ack?by=cluster&value=").await.contains("Nothing found to ack"));
    let asked = ann.page("/ui/ack?by=cluster&value=eu").await;
    assert!(asked.contains("Ack 12 incidents?") && asked.contains("They are among the 24 most urgent"), "{asked}");
    let asked = ann.page("/ui/ack").await;
    assert!(asked.contains("Ack 32 incidents?") && !asked.contains("They are among the"), "{asked}");
    // What people were sent meanwhile.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let page = ann.page("/ui").await;
        let sent = page.split("Sent in the last hour").nth(1).unwrap().split("</section>").next().unwrap();
        if sent.contains("<b class=\"c1\">ours</b>") && sent.contains("32 alerts in ") {
            break;
        }
        assert!(std::time::Instant::now() < end, "{sent}");
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
}
