//! The page Configuration, and reloading from it.

use reqwest::StatusCode;

use super::{Browser, READER, ROOT, TEAM, fire, guarded, routes};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_shown_without_secrets_and_what_is_on_disk_is_checked_compared_and_loaded() {
    let app = TestApp::start_with(&format!("{}# was: token: old-hunter2\n", guarded()), |options| options.watch = false).await;
    let write = |text: &str| std::fs::write(app.folder.path().join("routes.yaml"), text).unwrap();
    let mut root = Browser::of(&app);
    root.log_in("", ROOT).await;
    let page = root.page("/ui/config").await;
    assert!(page.contains("What runs is what is on disk") && page.contains("warning[W"), "{page}");
    assert!(page.contains("channels: { ours: { log: {} }") && page.contains("group=&quot;theirs&quot;") && page.contains("name: root"), "{page}");
    for secret in [ROOT, READER, TEAM, "pässword", "hunter2"] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
    // A mistake: it is shown with its place, and nothing can be reloaded.
    write(&guarded().replace("to: [ours]", "to: [nowhere-<b>]"));
    let page = root.page("/ui/config").await;
    assert!(page.contains("The file on disk is not what runs") && page.contains("1 mistake keeps the file from being loaded"), "{page}");
    assert!(page.contains("error[E") && page.contains("routes.yaml:") && page.contains("<mark>nowhere-&lt;b&gt;</mark>"), "{page}");
    let chinese = root.http.get(app.url("/ui/config")).headers(root.headers()).header("accept-language", "zh-CN").send().await.unwrap();
    let chinese = chinese.text().await.unwrap();
    let code = watchfire::config::explain("E014").unwrap();
    let said = format!("<p><b>{}。</b>{}</p><p lang=\"en\">", code.title_zh, code.help_zh);
    assert!(chinese.contains("error[E014]: ") && chinese.contains(&said) && !page.contains(code.title_zh), "{chinese}");
    assert!(page.contains("class=\"del\"") && page.contains("class=\"ins\""), "{page}");
    assert!(!page.contains("action=\"/ui/config/reload\""), "no button that cannot work: {page}");
    let refused = root.post("/ui/config/reload", &[]).await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let text = refused.text().await.unwrap();
    assert!(text.contains("Not reloaded.") && text.contains("error[E") && !text.contains(ROOT), "{text}");
    // Put right, it is loaded by the button.
    write(&guarded().replace("theirs: { log: {} } }", "theirs: { log: {} }, third: { log: {} } }"));
    let page = root.page("/ui/config").await;
    assert!(
        page.contains("action=\"/ui/config/reload\"") && page.contains("+ channels: { ours: { log: {} }, theirs: { log: {} }, third: { log: {} } }"),
        "{page}"
    );
    assert_eq!(root.post("/ui/config/reload", &[]).await.headers()["location"], "/ui/config?reloaded");
    let page = root.page("/ui/config?reloaded").await;
    assert!(page.contains("Reloaded: what is on disk runs now.") && page.contains("What runs is what is on disk"), "{page}");
    assert!(root.page("/ui/channels").await.contains("third"));
    // Whether platforms take the credentials that run: each is asked, and nothing is sent.
    let asked = root.post("/ui/config/online", &[]).await.text().await.unwrap();
    let none = "0 platforms were asked, 3 cannot be asked without sending. Nothing was sent.";
    assert!(asked.contains("No platform can be asked without sending") && asked.contains(none), "{asked}");
    assert!(asked.contains("href=\"/ui/channels/third/confirm/test\""), "what can be done instead: {asked}");
    let audit = root.page("/ui/audit").await;
    assert!(audit.contains("all channels") && audit.contains("0 failed"), "it is an act: {audit}");
    // A secret alone: no line shows it.
    write(&guarded().replace("theirs: { log: {} } }", "theirs: { log: {} }, third: { log: {} } }").replace(READER, "other-readers-token-1"));
    let page = root.page("/ui/config").await;
    assert!(page.contains("No line differs") && !page.contains("other-readers-token-1"), "{page}");
    std::fs::remove_file(app.folder.path().join("routes.yaml")).unwrap();
    assert!(root.page("/ui/config").await.contains("The file on disk cannot be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_and_load_the_configuration_is_decided_by_scopes_and_refusals_are_recorded() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let page = ann.page("/ui/config").await;
    assert!(page.contains("What runs") && !page.contains("/ui/config/reload"), "operate reads: {page}");
    assert_eq!(ann.post("/ui/config/reload", &[]).await.status(), StatusCode::FORBIDDEN);
    for secret in [READER, TEAM] {
        let mut other = Browser::of(&app);
        other.log_in("", secret).await;
        let answer = other.get("/ui/config").await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(!answer.text().await.unwrap().contains("channels: {"));
        assert_eq!(other.post("/ui/config/reload", &[]).await.status(), StatusCode::FORBIDDEN);
        assert!(!other.page("/ui/history").await.contains("href=\"/ui/config\""), "no link that leads to a refusal");
    }
    let mut root = Browser::of(&app);
    root.log_in("", ROOT).await;
    assert_eq!(root.post("/ui/config/reload", &[]).await.status(), StatusCode::SEE_OTHER);
    let audit = root.page("/ui/audit").await;
    assert!(audit.contains("/ui/config/reload") && audit.contains("needs the scope `admin`") && audit.contains("reloaded"), "{audit}");
}

/// The page that answers a form has the form's address; what leads back there finds a page.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_only_takes_forms_leads_to_the_page_that_has_them() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    fire(&app, None, &alert("a", "First", "firing")).await;
    for (address, page) in [
        ("/ui/config/reload", "/ui/config"),
        ("/ui/config/online", "/ui/config"),
        ("/ui/channels/ours/test", "/ui/channels/ours/confirm/test"),
        ("/ui/channels/ours/unmute", "/ui/channels"),
        ("/ui/incidents/1/ack", "/ui/incidents/1"),
        ("/ui/dead/retry", "/ui/dead"),
        ("/ui/mutes/end", "/ui/mutes"),
        ("/ui/test-alert", "/ui"),
        ("/ui/oncall/overrides/3/end", "/ui/oncall"),
        ("/ui/audit/sessions/end", "/ui/audit"),
        ("/ui/settings", "/ui"),
    ] {
        let led = browser.get(address).await;
        assert_eq!((led.status(), led.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, page), "{address}");
        browser.page(page).await;
        // The link of a refusal there, as its browser sends the form.
        let headers = browser.headers();
        let refused = browser.http.post(app.url("/ui/mutes")).headers(headers).header("referer", app.url(address)).form(&[("for", "2y")]);
        let refused = refused.send().await.unwrap().text().await.unwrap();
        assert!(refused.contains(&format!("href=\"{address}\"")) && refused.contains("To the form"), "{refused}");
    }
    assert_eq!(browser.http.put(app.url("/ui/config/reload")).headers(browser.headers()).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}
