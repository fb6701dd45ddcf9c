//! What History finds, and what Channels says of the last minute.

use reqwest::StatusCode;
use serde_json::Value;

use super::{Browser, HOSTILE, ROOT, TEAM, fire, guarded, links, routes};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_found_by_group_label_and_by_who_acked() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    for (group, name) in [("ours", "First"), ("theirs", "Second")] {
        fire(&app, Some(ROOT), &alert(group, name, "firing")).await;
    }
    assert_eq!(ann.post("/ui/incidents/2/ack", &[]).await.status(), StatusCode::SEE_OTHER);
    for view in ["", "&view=incidents"] {
        let found = async |query: &str| {
            let page = ann.page(&format!("/ui/history?{query}{view}")).await;
            (page.contains(">First ours-host<"), page.contains(">Second theirs-host<"))
        };
        assert_eq!(found("q=").await, (true, true), "{view}");
        assert_eq!(found("label=group%3D%22ours%22").await, (true, false), "{view}");
        assert_eq!(found("label=group%3Dtheirs").await, (false, true), "{view}");
        assert_eq!(found("label=group%3Dour").await, (false, false), "{view}");
        assert_eq!(found("by=ann").await, (false, true), "{view}");
        assert_eq!(found("by=an").await, (false, false), "{view}");
        assert_eq!(found("label=group%3Dours&by=ann").await, (false, false), "{view}");
    }
    let page = ann.page("/ui/history?label=group%3Dours&by=ann&q=x").await;
    assert!(page.contains("acked by ann") && page.contains("href=\"/ui/history?q=x&amp;by=ann\""), "each filter can be taken away: {page}");
    assert!(page.contains("Searched to the end") && !page.contains("Go on searching"), "few rows are read at once: {page}");
    assert_eq!(ann.get("/ui/history?label=team").await.status(), StatusCode::BAD_REQUEST);
    let hostile: String = HOSTILE.bytes().map(|byte| format!("%{byte:02x}")).collect();
    ann.page(&format!("/ui/history?by={hostile}&label=a%3D{hostile}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_says_how_much_of_its_rate_limit_the_last_minute_took_and_when_it_last_worked() {
    let yaml = guarded().replace("ours: { log: {} }", "ours: { log: {}, rate_limit: { per_minute: 4 } }");
    let app = TestApp::start(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let page = ann.page("/ui/channels").await;
    assert!(page.contains("0 of 4 in the last minute") && page.contains("0 in the last minute, no limit") && page.contains("not lately"), "{page}");
    fire(&app, Some(ROOT), &alert("ours", "First", "firing")).await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ann.page("/ui/channels").await.contains("1 of 4 in the last minute") {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    let page = ann.page("/ui/channels").await;
    let row = page.split("channel=ours").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(row.contains("<rect class=\"fg\" width=\"25\"") && row.contains(" ago") && !row.contains("not lately"), "{row}");
    // After a restart what is stored says it.
    let app = app.restart().await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let page = ann.page("/ui/channels").await;
    let row = page.split("channel=ours").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(row.contains("0 of 4 in the last minute") && !row.contains("not lately"), "{row}");
    // So does a channel that needs attention.
    assert_eq!(ann.post("/ui/channels/ours/mute", &[("for", "1h")]).await.status(), 303);
    let page = ann.page("/ui/channels").await;
    assert!(page.contains("1 muted") && page.contains(" Last confirmed <time"), "{page}");
    let index = app.http.get(app.url("/")).header("accept", "text/html").send().await.unwrap().text().await.unwrap();
    assert!(index.contains("href=\"ui/\""), "{index}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rare_is_searched_for_in_steps_and_the_page_says_how_far_back_it_looked() {
    let app = TestApp::start(&routes("")).await;
    fire(&app, None, &alert("ours", "First", "firing")).await;
    app.settled().await;
    let TestApp { app, folder, http } = app;
    app.stop(std::time::Duration::from_secs(5)).await;
    // The oldest of 50,001 older ones is sought; they begin thirty days ago, one a millisecond.
    let begin = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30 * 24);
    let (at, day) = (begin.as_millisecond(), begin.strftime("%Y-%m-%dT%H:"));
    let db = rusqlite::Connection::open(folder.path().join("watchfire.db")).unwrap();
    let id = format!("unhex(printf('%012x70008000%012x', {at} + i, i))");
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)";
    let rest = "SELECT group_concat(name) FROM pragma_table_info('delivery') WHERE name NOT IN ('id', 'title')";
    let rest: String = db.query_row(rest, [], |row| row.get(0)).unwrap();
    let copies = format!(
        "{numbers} INSERT INTO delivery (id, title, {rest}) SELECT {id}, iif(i = 0, 'Needle', title), {rest} FROM n, (SELECT * FROM delivery LIMIT 1)"
    );
    assert_eq!(db.execute(&copies, []).unwrap(), 50_001);
    drop(db);
    let options = watchfire::app::AppOptions { watch: false, ..watchfire::app::AppOptions::new(folder.path().join("routes.yaml")) };
    let app = TestApp { app: watchfire::app::App::start(options).await.unwrap(), folder, http };
    let browser = Browser::of(&app);
    let first = browser.page("/ui/history?q=needle").await;
    assert!(first.contains(&format!("Searched back to <time datetime=\"{day}")) && first.contains("Go on searching"), "{first}");
    assert!(!first.contains("data-row"), "{first}");
    let second = browser.page(&links(&first, "/ui/history?q=needle&amp;cursor=").remove(0)).await;
    assert_eq!((second.matches("data-row").count(), second.contains("Searched to the end")), (1, true), "{second}");
    // So does the API, which goes on with the cursor of an empty page.
    let (_, first) = app.get("/api/v1/deliveries?text=needle").await;
    let (none, next) = (first["deliveries"].as_array().unwrap(), first["next"].as_str().unwrap());
    assert_eq!((none.len(), &first["searched_back_to"]), (0, &serde_json::json!(at + 2)), "the 50,000 newest of 50,002 were read: {first}");
    let (_, second) = app.get(&format!("/api/v1/deliveries?text=needle&cursor={next}")).await;
    assert_eq!((&second["deliveries"][0]["title"], &second["next"], &second["searched_back_to"]), (&"Needle".into(), &Value::Null, &Value::Null));
    let (_, whole) = app.get(&format!("/api/v1/deliveries?text=needle&until={}", at + 9)).await;
    assert_eq!((whole["deliveries"].as_array().unwrap().len(), &whole["next"]), (1, &Value::Null), "what is newer than its time is not read");
    let (_, page) = app.get("/api/v1/deliveries?limit=7").await;
    assert!(page["deliveries"].as_array().unwrap().len() == 7 && page["next"].is_string() && page["searched_back_to"].is_null(), "{page}");
    let plain = browser.page("/ui/history").await;
    assert!(!plain.contains("Searched") && plain.contains(">Older<"), "what needs no search is listed by page: {plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_an_address_and_what_it_cannot_use_is_said() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    fire(&app, Some(ROOT), &alert("ours", "First", "firing")).await;
    fire(&app, Some(ROOT), &alert("theirs", "Second", "firing")).await;
    assert_eq!(ann.post("/ui/incidents/2/ack", &[]).await.status(), StatusCode::SEE_OTHER);
    let found = async |query: &str| {
        let page = ann.page(&format!("/ui/history?{query}")).await;
        (page.contains(">First ours-host<"), page.contains(">Second theirs-host<"))
    };
    let now = jiff::Timestamp::now();
    let before = now - jiff::SignedDuration::from_mins(10);
    // Deliveries may wait still, or be sent: whichever, several states find them.
    for view in ["", "&view=incidents"] {
        for since in ["10m".to_owned(), before.to_string(), before.as_millisecond().to_string()] {
            assert_eq!(found(&format!("since={since}{view}")).await, (true, true), "{since}{view}");
            assert_eq!(found(&format!("until={since}{view}")).await, (false, false), "{since}{view}");
        }
        assert_eq!(found(&format!("since=20m&until=10m{view}")).await, (false, false), "{view}");
    }
    assert_eq!(found("state=sent,waiting,deferred").await, (true, true));
    assert_eq!(found("state=sent&state=waiting&state=deferred").await, (true, true));
    assert_eq!(found("state=dead,expired").await, (false, false));
    assert_eq!(found("view=incidents&state=acked").await, (false, true));
    assert_eq!(found("view=incidents&state=acked,firing").await, (true, true));
    assert_eq!(found("view=incidents&state=resolved").await, (false, false));
    let page = ann.page("/ui/history?view=incidents&state=acked,firing&since=1h").await;
    assert!(page.contains("name=\"state\" value=\"acked\" checked") && !page.contains("value=\"stale\" checked"), "{page}");
    assert!(page.contains("Acked, Not acked") && page.contains("href=\"/ui/history?view=incidents&amp;since=1h\""), "{page}");
    let (before, behind) = page.split_once("Filter (2)").expect("the filters but the text are behind one button, which counts those that are set");
    assert!(!before.contains("name=\"since\"") && behind.contains("name=\"since\" value=\"1h\""), "{page}");
    for path in ["/ui/history", "/ui/history?view=received", "/ui/audit"] {
        let page = ann.page(path).await;
        assert!(page.contains("<summary class=\"b\">Filter<svg") && !page.contains("<details class=\"menu\" open"), "{path}: {page}");
    }
    for (query, why) in [
        ("colour=red", "`colour` does not narrow this list"),
        ("view=received&q=x", "`q` does not narrow this list"),
        ("view=x", "`view` is incidents, received or nowhere"),
        ("state=sent,x", "`state` is one or more of waiting"),
        ("view=incidents&state=sent", "`state` is one or more of firing"),
        ("until=tomorrow", "`until` takes a time as"),
        ("since=1h&until=2h", "`since` is not before `until`"),
        ("event=x", "`event` is the id of an event"),
    ] {
        let refused = ann.get(&format!("/ui/history?{query}")).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
        let said = refused.text().await.unwrap();
        assert!(said.contains(why), "{query}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_or_a_number_leads_to_what_it_names_and_what_was_received_is_listed() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    for group in ["ours", "theirs"] {
        fire(&app, Some(ROOT), &alert(group, "First", "firing")).await;
    }
    let answer = app.http.get(app.url("/api/v1/deliveries?channel=theirs")).bearer_auth(ROOT).send().await.unwrap();
    let row = answer.json::<serde_json::Value>().await.unwrap()["deliveries"][0].clone();
    let (delivery, event) = (row["id"].as_str().unwrap(), row["event"].as_str().unwrap());
    let leads = async |browser: &Browser, text: &str| {
        let answer = browser.get(&format!("/ui/history?q={text}")).await;
        (answer.status(), answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned()))
    };
    let to = |path: String| (StatusCode::SEE_OTHER, Some(path));
    assert_eq!(leads(&ann, delivery).await, to(format!("/ui/deliveries/{delivery}")));
    assert_eq!(leads(&ann, event).await, to(format!("/ui/history?event={event}")));
    assert_eq!(leads(&ann, "%232").await, to("/ui/incidents/2".into()));
    for nothing in ["%239", "019f0000-0000-7000-8000-000000000000", "2"] {
        assert_eq!(leads(&ann, nothing).await, (StatusCode::OK, None), "{nothing}");
    }
    // Nor does it lead where somebody may not go.
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    for hidden in [delivery, event, "%232"] {
        assert_eq!(leads(&team, hidden).await, (StatusCode::OK, None), "{hidden}");
    }
    let received = ann.page("/ui/history?view=received").await;
    assert_eq!(received.matches("<li data-row").count(), 2, "{received}");
    assert!(received.contains(">First ours-host</b>") && received.contains(">First theirs-host</b>"), "{received}");
    let deliveries = links(&received, "/ui/history?event=");
    assert_eq!(deliveries[0], format!("/ui/history?event={event}"), "the newest first");
    assert!(links(&received, "/ui/route?of=event").contains(&format!("/ui/route?of=event&event={event}")), "{received}");
    let of_event = ann.page(&deliveries[0]).await;
    assert_eq!(of_event.matches("<tr data-row").count(), 1);
    assert!(of_event.contains(delivery) && of_event.contains("Why it went there"), "{of_event}");
    for (query, rows) in [("channel=ours", 1), ("source=nobody", 0), ("since=1h", 2), ("until=1h", 0)] {
        let page = ann.page(&format!("/ui/history?view=received&{query}")).await;
        assert_eq!(page.matches("<li data-row").count(), rows, "{query}: {page}");
    }
    assert_eq!(team.get("/ui/history?view=received").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_posted_without_a_group_key_of_alertmanager_is_found_by_its_labels() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    for (group, name, key) in [("ours", "First", Some("17")), ("theirs", "Second", None)] {
        let mut body = alert(group, name, "firing");
        body.as_object_mut().unwrap().retain(|member, _| !member.starts_with("group"));
        if let Some(key) = key {
            body["groupKey"] = key.into();
        }
        fire(&app, Some(ROOT), &body).await;
    }
    for view in ["", "&view=incidents"] {
        for (label, first, second) in [
            ("group%3Dours", true, false),
            ("group%3Dtheirs", false, true),
            ("severity%3Dcritical", true, true),
            ("severity%3Dwarning", false, false),
        ] {
            let page = ann.page(&format!("/ui/history?label={label}{view}")).await;
            assert_eq!((page.contains(">First ours-host<"), page.contains(">Second theirs-host<")), (first, second), "{label}{view}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_says_that_it_is_over_is_known_by_a_word_and_has_no_severity() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    for (n, status) in [(1, "firing"), (2, "resolved")] {
        fire(&app, Some(ROOT), &alert("ours", "Flap", status)).await;
        while ann.page("/ui/history?state=sent").await.matches("data-row").count() < n {
            assert!(std::time::Instant::now() < end, "{status}");
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
    }
    let page = ann.page("/ui/history").await;
    let (newest, before) = page.split_once("data-row").and_then(|(_, rows)| rows.split_once("data-row")).expect("two rows");
    assert!(newest.contains(">Resolved</span>") && newest.contains("c1\">resolved</div>"), "{newest}");
    assert!(before.contains(">Critical</span>") && !before.contains("resolved"), "{before}");
}
