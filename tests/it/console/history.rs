//! What History finds, and what Channels says of the last minute.

use reqwest::StatusCode;

use super::{Browser, HOSTILE, ROOT, fire, guarded, links, routes};
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
    // The oldest of 50,001 older ones, and of as many acts, is sought; they begin thirty days ago, one a millisecond.
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
    let acts = format!(
        "{numbers} INSERT INTO audit (id, at, by_name, by_way, by_address, act, object, reason, state, outcome)
         SELECT {id}, {at} + i, iif(i = 0, 'needle', 'ann'), 'API', '', 'retry', '', '', 'done', '' FROM n"
    );
    assert_eq!(db.execute(&acts, []).unwrap(), 50_001);
    drop(db);
    let options = watchfire::app::AppOptions { watch: false, ..watchfire::app::AppOptions::new(folder.path().join("routes.yaml")) };
    let app = TestApp { app: watchfire::app::App::start(options).await.unwrap(), folder, http };
    let browser = Browser::of(&app);
    for (path, on) in [("/ui/history?q=needle", "/ui/history?q=needle&cursor="), ("/ui/audit?q=needle", "/ui/audit?before=")] {
        let first = browser.page(path).await;
        assert!(first.contains(&format!("Searched back to <time datetime=\"{day}")) && first.contains("Go on searching"), "{path}: {first}");
        assert!(!first.contains("data-row"), "{path}: {first}");
        let second = browser.page(&links(&first, on).remove(0)).await;
        assert_eq!((second.matches("data-row").count(), second.contains("Searched to the end")), (1, true), "{path}: {second}");
    }
    let plain = browser.page("/ui/history").await;
    assert!(!plain.contains("Searched") && plain.contains(">Older<"), "what needs no search is listed by page: {plain}");
}
