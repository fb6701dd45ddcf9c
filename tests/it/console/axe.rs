//! Every page before axe-core (<https://github.com/dequelabs/axe-core>), in a real browser.

use serde_json::{Value, json};

use super::every_page::{self, DRAWN};
use super::{HOSTILE, fire, guarded, routes};
use crate::support::app::{TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

/// What is wrong with the page that is open.
async fn faults(browser: &mut Chromium, axe: &str) -> Vec<String> {
    browser.eval(axe).await;
    browser
        .eval("window.axeFound = null; axe.run(document, { resultTypes: ['violations'] }).then(r => { window.axeFound = r.violations; }); 0")
        .await;
    browser.until("window.axeFound != null").await;
    let found = browser
        .eval("JSON.stringify(window.axeFound.map(v => ({ id: v.id, impact: v.impact, at: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)) })))")
        .await;
    let found: Vec<Value> = serde_json::from_str(found.as_str().unwrap()).unwrap();
    found.into_iter().filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical"))).map(|one| one.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs axe-core from npm, which .ci/long console installs"]
async fn no_page_has_a_serious_fault() {
    let axe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe).unwrap_or_else(|error| panic!("{}: {error}; run `.ci/long console`", axe.display()));
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = every_page::start("ours").await;
    browser.size(1440, 900).await;
    let mut wrong: Vec<String> = Vec::new();
    let mut look = async |browser: &mut Chromium, path: &str, how: &str| {
        browser.open(&app.url(path)).await;
        // Also what a press brings up.
        browser.eval("document.querySelectorAll('li.inc .menu, .sheet .menu').forEach(menu => { menu.open = true; })").await;
        wrong.extend(faults(browser, &axe).await.into_iter().map(|fault| format!("{path} {how}: {fault}")));
    };
    look(&mut browser, "/ui", "first run").await;
    for (n, group) in ["ours", "theirs", "third"].into_iter().enumerate() {
        let mut body = alert(group, HOSTILE, "firing");
        body["alerts"][0]["labels"]["severity"] = ["critical", "warning", "info"][n].into();
        fire(&app, None, &body).await;
    }
    app.until("state=dead", |rows| rows.len() == 1).await;
    let dead = app.http.get(app.url("/api/v1/deliveries?state=dead")).send().await.unwrap().json::<Value>().await.unwrap();
    let delivery = format!("/ui/deliveries/{}", dead["deliveries"][0]["id"].as_str().unwrap());
    every_page::use_it(&app).await;
    let mut pages = every_page::FIXED.to_vec();
    pages.push(&delivery);
    let drawn = DRAWN.map(|name| format!("/ui/templates?channel={name}"));
    pages.extend(drawn.iter().map(String::as_str));
    for (width, scheme) in [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")] {
        browser.size(width, 900).await;
        browser.call("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] })).await;
        for path in &pages {
            look(&mut browser, path, &format!("{width} {scheme}")).await;
        }
    }
    for n in 0..32 {
        let mut body = alert(&format!("g{n}"), "PodRestarts", "firing");
        body["alerts"][0]["labels"]["cluster"] = if n < 20 { "eu".into() } else { "us".into() };
        fire(&app, None, &body).await;
    }
    for path in ["/ui", "/ui/ack?by=cluster&value=eu"] {
        look(&mut browser, path, "storm").await;
    }
    // Asking platforms: here one that cannot be asked.
    let plain = TestApp::start(&routes("")).await;
    browser.open(&plain.url("/ui/config")).await;
    browser.press("form[action='/ui/config/online'] button").await;
    browser.until("location.pathname == '/ui/config/online' && document.readyState == 'complete'").await;
    wrong.extend(faults(&mut browser, &axe).await.into_iter().map(|fault| format!("online: {fault}")));
    let closed = TestApp::start(&guarded()).await;
    browser.open(&closed.url("/ui/login?undone=1")).await;
    wrong.extend(faults(&mut browser, &axe).await.into_iter().map(|fault| format!("login: {fault}")));
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}
