//! The page Simulate.

use reqwest::StatusCode;

use super::{Browser, HOSTILE, READER, ROOT, TEAM, fire, guarded};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_is_routed_again_also_by_the_file_on_disk() {
    let app = TestApp::start_with(&guarded(), |options| options.watch = false).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    assert!(ann.page("/ui/simulate").await.contains("Choose alerts"));
    assert!(ann.page("/ui/simulate?hours=1").await.contains("Nothing was received in this time"));
    for group in ["ours", "theirs"] {
        fire(&app, Some(ROOT), &alert(group, HOSTILE, "firing")).await;
    }
    let page = ann.page("/ui/simulate?hours=1").await;
    assert!(page.contains("2 alerts become 2 messages") && page.contains("<b>ours</b>") && page.contains("<b>theirs</b>"), "{page}");
    assert!(ann.page("/ui/simulate?hours=1&by=file").await.contains("No alert would go elsewhere"));
    // On disk theirs get nothing any more.
    std::fs::write(app.folder.path().join("routes.yaml"), guarded().replace("to: [theirs]", "to: [ours]")).unwrap();
    let page = ann.page("/ui/simulate?hours=1&by=file").await;
    assert!(page.contains("1 of 2 alerts would go elsewhere") && page.contains("What would go elsewhere"), "{page}");
    let row = page.split("<b>theirs</b>").nth(1).unwrap().split("</tr>").next().unwrap();
    assert!(row.contains("<span class=\"dim\">1</span>") && row.contains("<b>0</b>"), "{row}");
    // One of them alone, and nothing is sent by all that.
    let event = app.http.get(app.url("/api/v1/events")).bearer_auth(ROOT).send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    let id = event["events"][0]["id"].as_str().unwrap();
    assert!(ann.page(&format!("/ui/simulate?of=event&event={id}")).await.contains("1 alert becomes 1 message"));
    assert_eq!(ann.get("/ui/simulate?of=event&event=01800000-0000-7000-8000-000000000000").await.status(), StatusCode::NOT_FOUND);
    let page = ann.page("/ui/simulate?of=storm&alerts=1000&groups=10&over=30s&labels=group%3Dtheirs").await;
    assert!(page.contains("1000 alerts become") && page.contains("<b>theirs</b>") && !page.contains("<b>ours</b>"), "{page}");
    assert!(page.contains("messages; the most in one bar, ") && page.contains("<rect class=\"fd\""), "{page}");
    ann.page("/ui/simulate?of=%E2%80%AE%3Cscript%3E&labels=%E2%80%AE%3Cimg").await;
    assert_eq!(ann.get("/ui/simulate?hours=9999").await.status(), StatusCode::BAD_REQUEST);
    std::fs::write(app.folder.path().join("routes.yaml"), "channels: [").unwrap();
    let broken = ann.get("/ui/simulate?hours=1&by=file").await;
    assert_eq!(broken.status(), StatusCode::BAD_REQUEST);
    assert!(broken.text().await.unwrap().contains("the page Configuration shows them"));
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    assert!(reader.page("/ui/simulate?hours=1").await.contains("2 alerts become 2 messages"));
    assert_eq!(reader.get("/ui/simulate?hours=1&by=file").await.status(), StatusCode::FORBIDDEN);
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert_eq!(team.get("/ui/simulate?hours=1").await.status(), StatusCode::FORBIDDEN);
    let sent = app.http.get(app.url("/api/v1/deliveries")).bearer_auth(ROOT).send().await.unwrap().json::<serde_json::Value>().await.unwrap();
    assert_eq!(sent["deliveries"].as_array().unwrap().len(), 2, "{sent}");
}
