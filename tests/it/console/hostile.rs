//! Whatever senders write, every page is only markup of its own: nothing of a body runs, loads, styles, or widens a page.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::every_page::{self, DRAWN, FIXED};
use super::{Browser, hostile_bodies};
use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

/// Elements that no page of the console has.
const FOREIGN: [&str; 9] = ["img", "style", "base", "object", "embed", "font", "applet", "marquee", "x-pwned"];

/// A tag as it opens: its name, and its attributes as they are written.
type Tag<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// The tags of a page, in order. The console writes every value between double quotes.
fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(rest.len());
        let (name, mut inside) = rest.split_at(end);
        let mut attributes = Vec::new();
        loop {
            inside = inside.trim_start();
            if inside.is_empty() || inside.starts_with(['>', '/']) {
                break;
            }
            let end = inside.find(|c: char| c.is_whitespace() || c == '>' || c == '=').unwrap_or(inside.len());
            let (attribute, after) = inside.split_at(end);
            let (value, after) = match after.strip_prefix("=\"") {
                Some(quoted) => quoted.split_once('"').expect("the value ends"),
                None => ("", after),
            };
            assert!(!after.starts_with('='), "a value without quotes: {attribute}{}", after.chars().take(80).collect::<String>());
            attributes.push((attribute, value));
            inside = after;
        }
        tags.push((name, attributes));
        rest = inside;
    }
    tags
}

/// Whether a link leads to the console or to a web page.
fn is_address(link: &str) -> bool {
    let own = link.is_empty() || link.starts_with('#') || (link.starts_with('/') && !link.starts_with("//"));
    own || link.starts_with("http://") || link.starts_with("https://")
}

/// Why a tag must not be on a page.
fn fault((name, attributes): &Tag<'_>) -> Option<String> {
    let value = |wanted: &str| attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    let bad = attributes.iter().find(|(name, value)| match *name {
        "style" | "srcdoc" | "http-equiv" => true,
        "href" => !is_address(value),
        "src" | "action" | "formaction" | "hx-get" | "hx-post" | "data-live" => !value.starts_with("/ui"),
        name => name.starts_with("on") || name.starts_with("hx-on"),
    });
    let foreign = FOREIGN.contains(name)
        || (*name == "script" && !value("src").is_some_and(|src| src.starts_with("/ui/assets/")))
        || (*name == "iframe" && value("sandbox") != Some(""));
    (foreign || bad.is_some()).then(|| format!("<{name} {attributes:?}>"))
}

/// Fails when a page has something that is not the console's own.
fn only_markup_of_its_own(path: &str, page: &str) {
    let tags = tags(page);
    assert!(!tags.is_empty(), "{path}: {page}");
    let faults: Vec<String> = tags.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{path}: {faults:#?}");
}

/// Posts bodies, and waits until everything that came of them is over.
async fn receive(app: &TestApp, bodies: &[Value]) {
    for body in bodies {
        let (status, answer) = app.post("/webhook", body).await;
        assert_eq!(status, 200, "{answer}: {body}");
    }
    app.until("state=dead", |rows| rows.len() >= bodies.len()).await;
    app.until("state=waiting", <[_]>::is_empty).await;
}

#[test]
fn a_page_that_lets_markup_through_is_found() {
    for (page, bad) in [
        (r#"<p class="a" data-x="&lt;img src=x&gt; style=">x &lt;script&gt;</p><a href="/ui">x</a><br>"#, false),
        (r#"<form method="dialog"><a href="https://x.example">x</a><a href="">x</a></form>"#, false),
        (r#"<script src="/ui/assets/a.js" defer></script><iframe sandbox="" src="/ui/x"></iframe>"#, false),
        (r#"<p>a<img src="/ui/x"></p>"#, true),
        (r#"<p class="" onclick="x()">"#, true),
        (r#"<p class="" style="color:red">"#, true),
        (r#"<a href="javascript:x()">"#, true),
        (r#"<a href=" javascript:x()">"#, true),
        (r#"<a href="//evil.example">"#, true),
        (r#"<script>x()</script>"#, true),
        (r#"<script src="/ui/assetsx"></script>"#, true),
        (r#"<form action="//evil.example">"#, true),
        (r#"<iframe src="/ui/x"></iframe>"#, true),
    ] {
        assert_eq!(tags(page).iter().any(|tag| fault(tag).is_some()), bad, "{page}");
    }
    assert_eq!(tags(r#"<a b="c>d" e/>f"#), [("a", vec![("b", "c>d"), ("e/", "")])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_brings_a_style_a_script_or_a_link_that_runs_into_a_page() {
    let app = every_page::start("ours, theirs").await;
    let bodies = hostile_bodies::all();
    receive(&app, &bodies).await;
    every_page::use_it(&app).await;
    let browser = Browser::of(&app);
    let read = async |path: &str, language: &str| {
        let ask = async || browser.http.get(app.url(path)).headers(browser.headers()).header("accept-language", language).send().await.unwrap();
        let mut answer = ask().await;
        // On a busy machine a few texts may be rendered already.
        while answer.status() == StatusCode::TOO_MANY_REQUESTS {
            tokio::time::sleep(Duration::from_millis(200)).await;
            answer = ask().await;
        }
        let status = answer.status().as_u16();
        let page = answer.text().await.unwrap();
        assert_eq!(status, if path == "/ui/nothing" { 404 } else { 200 }, "{path}: {page}");
        only_markup_of_its_own(path, &page);
        let turned = page.find(['\u{202E}', '\u{202D}', '\u{2066}', '\u{2067}', '\u{2068}']);
        assert_eq!(turned, None, "{path}: a character turns the direction of what follows");
    };
    for path in FIXED {
        read(path, "en").await;
        read(path, "zh-CN").await;
    }
    let (stored, drawn) = (every_page::stored(&app).await, every_page::drawn(&app).await);
    assert!(stored.len() > 4 * bodies.len(), "{stored:?}");
    for path in &stored {
        read(path, "en").await;
    }
    // Each event as one client shows it, all clients in turn; the worst, which is the oldest, as all of them do.
    let worst = drawn.len() - DRAWN.len();
    for path in drawn[..worst].iter().step_by(DRAWN.len() + 1).chain(&drawn[worst..]) {
        read(path, "en").await;
    }
    // What is asked for comes back as it was written, and a body may be pasted.
    for attack in hostile_bodies::ATTACKS {
        let text: String = attack.bytes().map(|byte| format!("%{byte:02x}")).collect();
        read(&format!("/ui/history?q={text}"), "en").await;
        read(&format!("/ui/audit?q={text}"), "en").await;
    }
    for body in &bodies {
        let text = body.to_string();
        let body = text.as_str();
        let template = "{{#each alerts}}{{name}} {{labels.team}} {{annotations.runbook_url}}{{/each}}";
        let tried = [("channel", "slack"), ("set", "mine"), ("field", "title"), ("template", template), ("body", body)];
        for (path, form) in [("/ui/route", &[("of", "body"), ("body", body)][..]), ("/ui/templates", &tried[..])] {
            let page = browser.post(path, form).await.text().await.unwrap();
            only_markup_of_its_own(path, &page);
        }
    }
}

/// What is wrong with the page that is open: what ran or was refused, what is not the console's own, and what is wider than the window.
const WRONG: &str = r##"JSON.stringify([
    ...(window.pwned ? ['a script of a body ran'] : []),
    ...window.refused,
    ...[...document.querySelectorAll('*')].filter(e =>
        [...e.attributes].some(a => a.name.startsWith('on') || a.name.startsWith('hx-on') || a.name == 'style' || a.name == 'srcdoc')
        || e.matches('x-pwned, img, style, base, object, embed, font, meta[http-equiv], a[href^="javascript:"], script:not([src^="/ui/assets/"])')
        || e.matches('iframe:not([sandbox=""]), form:not([action^="/ui"]):not([method=dialog])')
    ).map(e => e.outerHTML.slice(0, 200)),
    ...(document.documentElement.scrollWidth > document.documentElement.clientWidth ? ['it scrolls sideways'] : []),
    ...[...document.querySelectorAll('.phone *')].filter(e =>
        e.getBoundingClientRect().right > e.closest('.phone').getBoundingClientRect().right + 1
    ).map(e => 'cut off: ' + e.outerHTML.slice(0, 200)),
])"##;

/// Opens pages on screens of these widths, and fails when one shows more than a text of what was received.
async fn looked_at(bodies: &[Value], widths: &[u32]) {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let collect = "window.refused = []; document.addEventListener('securitypolicyviolation', e => { window.refused.push(e.violatedDirective + ' ' + e.blockedURI); });";
    browser.call("Page.addScriptToEvaluateOnNewDocument", serde_json::json!({ "source": collect })).await;
    let app = every_page::start("ours, theirs").await;
    receive(&app, bodies).await;
    every_page::use_it(&app).await;
    let mut pages: Vec<String> = Vec::from(FIXED.map(str::to_owned));
    pages.extend(every_page::stored(&app).await);
    pages.extend(every_page::drawn(&app).await);
    let mut wrong = Vec::new();
    for width in widths {
        browser.size(*width, 844).await;
        for path in &pages {
            browser.open(&app.url(path)).await;
            let mut found: Vec<String> = serde_json::from_str(browser.eval(WRONG).await.as_str().unwrap()).unwrap();
            if !found.is_empty() {
                // What is wrong remains; what was only being laid out does not.
                tokio::time::sleep(Duration::from_millis(500)).await;
                found = serde_json::from_str(browser.eval(WRONG).await.as_str().unwrap()).unwrap();
            }
            found.append(&mut browser.complaints);
            wrong.extend(found.into_iter().map(|what| format!("{path} at {width} px: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    // What is looked for is found.
    browser.open(&app.url("/ui")).await;
    browser.eval("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\" onclick=\"x()\">x</p>')").await;
    browser.until("window.refused.some(one => one.startsWith('style-src')) && document.querySelector('[onclick]') != null").await;
    assert!(!browser.complaints.is_empty(), "the browser says what it refuses");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worst_bodies_do_nothing_in_a_browser() {
    looked_at(&[hostile_bodies::worst(), hostile_bodies::unbroken()], &[390]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it opens a thousand pages: `.ci/long console`"]
async fn no_body_does_anything_in_a_browser() {
    looked_at(&hostile_bodies::all(), &[390, 1440]).await;
}
