//! A login is in the store: what one node opened, every node knows, and its cookie is bound to its host.

use reqwest::header::{ORIGIN, SET_COOKIE};
use reqwest::{StatusCode, redirect};

use super::{Browser, ROOT, fire, guarded};
use crate::security::certificate;
use crate::support::app::{TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::postgres::Postgres;
use crate::support::skip::skip;

const PASSWORD: &str = "pässword 1234567890";

#[tokio::test(flavor = "multi_thread")]
async fn a_login_on_one_node_acts_on_another_and_ends_on_all() {
    let Some(database) = Postgres::start() else { return };
    let yaml = guarded().replace("sqlite:watchfire.db", &database.url());
    let nodes = [TestApp::start(&yaml).await, TestApp::start(&yaml).await];
    fire(&nodes[0], Some(ROOT), &alert("ours", "Down", "firing")).await;
    let mut first = Browser::of(&nodes[0]);
    let mut second = Browser::of(&nodes[1]);
    assert_eq!(second.get("/ui").await.status(), StatusCode::SEE_OTHER, "nobody is logged in");
    assert_eq!(first.log_in("ann", PASSWORD).await, StatusCode::SEE_OTHER);
    second.cookie.clone_from(&first.cookie);
    let page = second.page("/ui").await;
    assert!(page.contains("ann") && page.contains("Down"), "{page}");
    assert_eq!(second.post("/ui/incidents/1/ack", &[]).await.status(), StatusCode::SEE_OTHER);
    let audit = first.page("/ui/audit").await;
    assert!(audit.contains("log in") && audit.contains("incident #1") && audit.contains("console"), "{audit}");
    assert_eq!(second.post("/ui/logout", &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(first.get("/ui").await.headers()["location"], "/ui/login?next=%2Fui", "the login has ended where it began, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_of_a_login_over_https_is_bound_to_its_host() {
    let mut trusted = String::new();
    let yaml = guarded().replace("listen: '127.0.0.1:0'\n", "listen: '127.0.0.1:0'\n  tls: { cert: cert.pem, key: key.pem }\n");
    let app = TestApp::start_with(&yaml, |options| trusted = certificate(options.config.parent().unwrap())).await;
    let root = reqwest::Certificate::from_pem(trusted.as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).tls_certs_only([root]).build().unwrap();
    let url = format!("https://127.0.0.1:{}", app.app.address.port());
    let send = |path: &str, cookie: &str, form: &[(&str, &str)]| {
        let request = client.post(format!("{url}{path}")).header("sec-fetch-site", "same-origin").header(ORIGIN, &url).header("cookie", cookie);
        request.form(form).send()
    };
    let whole = |response: &reqwest::Response| -> Vec<String> {
        response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
    };
    let wrong = send("/ui/login", "", &[("user", "ann"), ("secret", "wrong"), ("next", "/ui")]).await.unwrap();
    assert_eq!((wrong.status(), whole(&wrong)), (StatusCode::UNAUTHORIZED, Vec::new()));
    let done = send("/ui/login", "", &[("user", "ann"), ("secret", PASSWORD), ("next", "/ui")]).await.unwrap();
    let set = whole(&done).remove(0);
    let (cookie, rest) = set.split_once("; ").unwrap();
    let value = cookie.strip_prefix("__Host-wf=").unwrap();
    assert!(value.len() == 43 && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "32 random bytes: {set}");
    assert_eq!(rest, "Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure", "seven days, and no `Domain`, which `__Host-` forbids");
    // The end of a login takes the same cookie away.
    let left = send("/ui/logout", cookie, &[]).await.unwrap();
    assert_eq!(whole(&left), ["__Host-wf=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"]);
    app.app.stop(std::time::Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_login_can_be_ended_however_many_there_are() {
    let app = TestApp::start(&guarded()).await;
    let mut root = Browser::of(&app);
    for _ in 0..25 {
        assert_eq!(root.log_in("", ROOT).await, StatusCode::SEE_OTHER);
    }
    let page = root.page("/ui/audit").await;
    assert_eq!((page.matches("name=\"key\" value=\"").count(), page.matches("this one").count()), (24, 1), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_is_half_typed_outlives_the_session() {
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let app = TestApp::start(&guarded()).await;
    browser.open(&app.url("/ui/login?next=%2Fui%2Ftemplates%3Fchannel%3Dtheirs")).await;
    browser.write("[name=secret]", ROOT).await;
    browser.press("form.login button").await;
    let holds = |text: &str| format!("document.querySelector('[name=template]')?.value.includes('{text}') === true");
    browser.until(&holds("{{")).await;
    browser.eval("fetch('/ui/logout', { method: 'POST' }).then(() => window.out = true); 0").await;
    browser.until("window.out === true").await;
    browser.write("[name=template]", "HALF {{alerts").await;
    browser.until("location.pathname == '/ui/login'").await;
    browser.write("[name=secret]", ROOT).await;
    browser.press("form.login button").await;
    browser.until(&holds("HALF {{alerts")).await;
    // It is no second draft: the page has the template in use again, and another one never had it.
    for channel in ["ours", "theirs"] {
        browser.open(&app.url(&format!("/ui/templates?channel={channel}"))).await;
        browser.until(&holds("{{")).await;
        assert_eq!(browser.eval(&holds("HALF")).await, false, "{channel}");
    }
}
