//! The console's pages that show something without doing it: the route tester and the template playground.

use reqwest::StatusCode;
use serde_json::Value;

use crate::console::{Browser, HOSTILE, READER, ROOT, TEAM, fire, guarded, routes, safe};
use crate::support::app::{TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn where_labels_a_body_and_a_stored_event_would_go_is_shown_with_every_matcher() {
    let app = TestApp::start(&guarded()).await;
    let mut browser = Browser::of(&app);
    browser.log_in("", READER).await;
    assert!(browser.page("/ui/route").await.contains("The answer appears here"));
    let page = browser.page("/ui/route?labels=alertname%3DX%0Agroup%3Dtheirs").await;
    for part in
        ["<b>theirs</b>", "routes[0]", "matches: </span>group=&quot;theirs&quot;", "labels: { alertname: X, group: theirs }", "expect: [theirs]"]
    {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let page = browser.page("/ui/route?labels=alertname%3DX&at=2026-11-28T03%3A24%3A10%2B08%3A00").await;
    assert!(page.contains("fails: </span>group=&quot;theirs&quot;") && page.contains("is absent: it counts as"), "{page}");
    assert!(page.contains("at: 2026-11-28T03:24:10+08:00"), "{page}");
    // A body, as it was pasted: each alert of it; and hostile values stay text.
    let mut body = alert("theirs", "Pasted", "firing");
    body["alerts"][0]["labels"]["team"] = HOSTILE.into();
    let text = browser.post("/ui/route", &[("of", "body"), ("body", &body.to_string())]).await.text().await.unwrap();
    let (_, text) = text.split_once("id=\"result\"").unwrap();
    safe("pasted", text);
    assert!(text.contains("Goes to") && text.contains("<b>theirs</b>"), "{text}");
    fire(&app, Some(ROOT), &body).await;
    let events: Value = app.http.get(app.url("/api/v1/events")).bearer_auth(ROOT).send().await.unwrap().json().await.unwrap();
    let id = events["events"][0]["id"].as_str().unwrap();
    let page = browser.page(&format!("/ui/route?of=event&event={id}")).await;
    assert!(page.contains("<b>theirs</b>") && page.contains(&format!("<option value=\"{id}\" selected>")), "{page}");
    let page = browser.page("/ui/route?of=event").await;
    assert!(page.contains("Choose one of the newest") && page.contains(&format!("<option value=\"{id}\">")), "{page}");
    let page = browser.page("/ui/route?labels=group%3Dtheirs").await;
    assert!(page.contains("- name: these labels are routed"), "{page}");
    // What is wrong is said, and what shows all channels is not for who is limited to some.
    for (path, status) in
        [("labels=x", 400), ("labels=a%3Db&at=soon", 400), ("of=event&event=x", 400), (&format!("of=event&event={}", uuid::Uuid::nil()), 404)]
    {
        assert_eq!(browser.get(&format!("/ui/route?{path}")).await.status().as_u16(), status, "{path}");
    }
    assert_eq!(browser.post("/ui/route", &[("of", "body"), ("body", "no json")]).await.status(), StatusCode::BAD_REQUEST);
    // While somebody types, it is said where the result would be, and not by a note more at each pause.
    let typed = browser.while_typing("/ui/route?labels=sev").await;
    assert_eq!((typed.status(), typed.headers().get("hx-retarget")), (StatusCode::BAD_REQUEST, None));
    let typed = typed.text().await.unwrap();
    assert!(typed.starts_with("<div class=\"note warn mt\">") && typed.contains("`sev` is no label"), "{typed}");
    browser.log_in("", TEAM).await;
    assert_eq!(browser.get("/ui/route?labels=a%3Db").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_tried_beside_its_message_and_nothing_is_saved() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    let page = browser.page("/ui/templates").await;
    assert!(page.contains("<code>log/default.") && page.contains("DiskAlmostFull") && page.contains("class=\"phone\""), "{page}");
    let mut body = alert("ours", "Stored", "firing");
    body["alerts"][0]["annotations"]["summary"] = HOSTILE.into();
    fire(&app, None, &body).await;
    let page = browser.page("/ui/templates").await;
    assert!(page.contains("Stored"), "the newest event is taken\n{page}");
    let field = page.split("name=\"field\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = |template: &'static str| {
        [("channel", "ours".to_owned()), ("field", field.clone()), ("set", "mine".to_owned()), ("template", template.to_owned())]
    };
    let attempt = async |template: &'static str| {
        let form = form(template);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = browser.post("/ui/templates", &form).await;
        let (status, text) = (response.status(), response.text().await.unwrap());
        safe("tried", &text);
        (status, text)
    };
    let (status, text) = attempt("TRIED {{#each alerts}}{{name}}{{/each}}").await;
    assert!(status == 200 && text.contains("TRIED Stored") && !text.contains("findings"), "{text}");
    // A mistake is named with its place, and the built-in text is shown.
    let (status, text) = attempt("one\nTRIED {{sumary}}").await;
    assert!(!text.contains("1 findings"), "{text}");
    assert!(status == 200 && text.contains("line 2") && text.contains("sumary") && text.contains("The built-in text is shown"), "{text}");
    let (status, text) = attempt("{{#each alerts}}").await;
    assert!(status == 200 && text.contains("The built-in text is shown"), "{text}");
    let saved =
        browser.post("/ui/templates", &[("channel", "ours"), ("field", &field), ("set", "mine"), ("template", "a\r\nb"), ("save", "1")]).await;
    assert_eq!(saved.headers()["content-disposition"].to_str().unwrap(), format!("attachment; filename=\"mine.{field}.hbs\""));
    assert_eq!(saved.text().await.unwrap(), "a\nb");
    for (name, value, status) in [("channel", "none", 404), ("set", "../x", 400), ("event", "x", 400)] {
        assert_eq!(browser.get(&format!("/ui/templates?{name}={value}")).await.status().as_u16(), status, "{name}");
    }
    let page = browser.page("/ui/templates").await;
    assert!(page.contains("<code>log/default."), "nothing was saved");
    // The event is chosen beside the template: to try it on another one does not lose it.
    let (opens, tries) = page.split_once("<form method=\"post\" action=\"/ui/templates\"").unwrap();
    assert!(!opens.contains("<select class=\"in\" name=\"event\"") && tries.contains("<select class=\"in\" name=\"event\""), "{page}");
    // An event that is not among the newest, as the page of a delivery names it, stays the chosen one.
    let old = page.split("<option value=\"").find_map(|option| option.split_once("\" selected")).unwrap().0.to_owned();
    for n in 0..20 {
        fire(&app, None, &alert("ours", &format!("Newer{n}"), "firing")).await;
    }
    let page = browser.page(&format!("/ui/templates?event={old}")).await;
    assert!(page.contains("Stored") && page.contains(&format!("<option value=\"{old}\" selected>")), "{page}");
    // Who may only read sees what templates make, and has none of their own rendered.
    let app = TestApp::start(&guarded()).await;
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    let page = reader.page("/ui/templates").await;
    assert!(page.contains("class=\"phone\"") && page.contains("<select class=\"in\" name=\"event\""), "{page}");
    assert!(!page.contains("<textarea") && !page.contains("hx-post"), "nothing that leads to a refusal: {page}");
    assert_eq!(reader.post("/ui/templates", &[("channel", "ours"), ("template", "x")]).await.status(), StatusCode::FORBIDDEN);
}
