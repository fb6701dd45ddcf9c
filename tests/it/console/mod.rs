//! The console over HTTP: logging in, what a session is worth, what pages show, what forms do, and what the audit says of it.

mod acts;
mod axe;
mod behind_nginx;
mod config;
mod dead;
mod every_page;
mod history;
mod hostile;
mod hostile_bodies;
mod live;
mod logins;
mod mail;
mod many;
mod mutes;
mod night;
mod oncall;
mod probe;
mod reach;
mod simulate;
mod why;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, redirect};
use serde_json::{Value, json};

use crate::support::app::{TestApp, alert};

pub const ROOT: &str = "roots-token-0123456789";
pub const READER: &str = "readers-token-0123456789";
pub const TEAM: &str = "teams-token-0123456789";

/// What somebody wrote into a label to do harm.
pub const HOSTILE: &str = "<script>alert(1)</script> <img src=x onerror=alert(1)> \u{202E}gnp.exe \" ' {{x}} @channel";

pub fn routes(auth: &str) -> String {
    format!(
        "server:\n  listen: '127.0.0.1:0'\n{auth}store: sqlite:watchfire.db\nchannels: {{ ours: {{ log: {{}} }}, theirs: {{ log: {{}} }} }}\n\
         route: {{ to: [ours], routes: [{{ matchers: ['group=\"theirs\"'], to: [theirs] }}] }}\n"
    )
}

pub fn guarded() -> String {
    let hash = "pässword 1234567890";
    routes(&format!(
        "  auth:\n    - {{ bearer: {ROOT}, name: root }}\n    - {{ bearer: {READER}, name: reader, scopes: [read] }}\n    \
         - {{ bearer: {TEAM}, name: team, channels: [ours] }}\n    - {{ basic: {{ username: ann, password: '{hash}' }}, name: ann, scopes: [read, operate] }}\n"
    ))
}

/// A browser: it keeps cookies, follows nothing, and says where its forms come from.
pub struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: String,
}

impl Browser {
    pub fn of(app: &TestApp) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { http, base: app.url(""), cookie: String::new() }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        headers.insert("cookie", HeaderValue::from_str(&self.cookie).unwrap());
        headers
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).headers(self.headers()).send().await.unwrap()
    }

    /// What htmx is answered.
    pub async fn while_typing(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.base)).headers(self.headers()).header("hx-request", "true").send().await.unwrap()
    }

    /// A page's text, which must be there and be safe.
    pub async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        let (status, policy) = (response.status(), response.headers().get("content-security-policy").cloned());
        let text = response.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let policy = policy.unwrap();
        assert!(policy.to_str().unwrap().starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy:?}");
        safe(path, &text);
        text
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.http.post(format!("{}{path}", self.base)).headers(self.headers()).form(form).send().await.unwrap()
    }

    pub async fn log_in(&mut self, user: &str, secret: &str) -> StatusCode {
        let response = self.post("/ui/login", &[("user", user), ("secret", secret), ("next", "/ui/audit")]).await;
        if let Some(cookie) = response.headers().get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("HttpOnly; SameSite=Lax") && cookie.contains("Path=/;"), "{cookie}");
            self.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        response.status()
    }
}

/// Nothing inline, nothing from elsewhere, and no text of an alert that is markup.
pub fn safe(path: &str, text: &str) {
    let lower = text.to_lowercase();
    assert!(!lower.contains("style=") && !lower.contains("<style") && !lower.contains("javascript:") && !text.contains('\u{202E}'), "{path}");
    assert!(!text.contains("<img") && !text.contains("<script>") && !lower.contains(" onerror=alert(1)>"), "{path}");
    assert_eq!(text.matches("<script").count(), text.matches("<script src=\"/ui/assets/").count(), "{path}");
    for tag in text.split('<').map(|rest| rest.split('>').next().unwrap_or_default()) {
        let asks = tag.contains(" hx-get=\"") || tag.contains(" hx-post=\"");
        assert!(!asks || tag.contains(" action=\"/ui/"), "{path}: without script this does nothing: {tag}");
    }
}

pub async fn fire(app: &TestApp, token: Option<&str>, body: &Value) {
    let mut request = app.http.post(app.url("/webhook")).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_opens_the_console_until_it_is_ended_or_its_secret_changes() {
    let app = TestApp::start(&guarded()).await;
    let mut browser = Browser::of(&app);
    let asked = browser.get("/ui/audit?q=a").await;
    assert_eq!((asked.status(), asked.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/ui/login?next=%2Fui%2Faudit%3Fq%3Da"));
    assert!(browser.page("/ui/login").await.contains("Sign in"));
    assert_eq!(browser.log_in("", "wrong-token").await, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.log_in("ann", "wrong").await, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.log_in("ann", "pässword 1234567890").await, StatusCode::SEE_OTHER);
    let page = browser.page("/ui").await;
    assert!(page.contains("ann") && page.contains("operate"), "{page}");
    // What the session is worth nobody else can use: another site's form, another name for the cookie's host.
    let foreign =
        browser.http.post(app.url("/ui/logout")).header("cookie", &browser.cookie).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let bare = browser.http.post(app.url("/ui/logout")).header("cookie", &browser.cookie).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::FORBIDDEN, "a form that says nothing of where it comes from");
    // The store knows the session, so it outlives the process.
    let app = app.restart().await;
    browser.base = app.url("");
    assert!(browser.page("/ui").await.contains("ann"));
    // Another secret under the same name ends it.
    let changed = guarded().replace("pässword 1234567890", "another password 123");
    std::fs::write(app.folder.path().join("routes.yaml"), changed).unwrap();
    assert_eq!(app.http.post(app.url("/-/reload")).bearer_auth(ROOT).send().await.unwrap().status(), 200);
    assert_eq!(browser.get("/ui").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.log_in("ann", "another password 123").await, StatusCode::SEE_OTHER);
    assert_eq!(browser.post("/ui/logout", &[]).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(browser.get("/ui").await.status(), StatusCode::SEE_OTHER, "the cookie is worth nothing any more");
    let mut root = Browser::of(&app);
    assert_eq!(root.log_in("", ROOT).await, StatusCode::SEE_OTHER);
    let audit = root.page("/ui/audit").await;
    for told in ["log in", "log out", "reload", "ann", "Refused", "127.0.0.1"] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
    assert!(!audit.contains("wrong-token") && !audit.contains("another password"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_seen_acked_snoozed_and_closed_and_the_audit_says_by_whom() {
    let app = TestApp::start(&guarded()).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    assert!(ann.page("/ui").await.contains("Nothing received yet"));
    let mut body = alert("ours", HOSTILE, "firing");
    body["alerts"][0]["annotations"]["summary"] = json!(HOSTILE);
    body["alerts"][0]["annotations"]["description"] = json!(format!("{HOSTILE}\n{HOSTILE}"));
    body["alerts"][0]["annotations"]["runbook_url"] = json!("javascript:alert(1)");
    body["alerts"][0]["labels"]["team"] = json!(HOSTILE);
    fire(&app, Some(ROOT), &body).await;
    app.http.get(app.url("/-/ready")).send().await.unwrap();
    let page = ann.page("/ui").await;
    assert!(
        page.contains("1 needs somebody") && page.contains("&lt;script&gt;") && page.contains("U+202E") && page.contains(">Acknowledge<"),
        "{page}"
    );
    assert!(page.contains("no escalation is configured for it") && !page.contains("no further step"), "{page}");
    assert!(page.contains("Times are in UTC.") && ann.page("/ui/incidents/1").await.contains("Times are in UTC."), "{page}");
    assert_eq!(ann.page("/ui/history").await.matches("Times are ").count(), 1, "once");
    let url = app.url("/ui/incidents/1/ack");
    let row = ann.http.post(url).headers(ann.headers()).header("hx-request", "true").body("").send().await.unwrap();
    assert_eq!(row.status(), StatusCode::OK);
    let row = row.text().await.unwrap();
    assert!(
        row.starts_with("<li class=\"inc critical\" id=\"i-1\"") && row.contains("Hand back") && row.contains("hx-swap-oob") && row.contains("Undo"),
        "{row}"
    );
    safe("row", &row);
    assert!(ann.page("/ui").await.contains("Nothing needs you"));
    // Without script a form leads back to its page.
    let done = ann.post("/ui/incidents/1/snooze", &[("for", "2h"), ("back", "/ui/incidents/1")]).await;
    assert_eq!((done.status(), done.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/ui/incidents/1"));
    let page = ann.page("/ui/incidents/1").await;
    assert!(page.contains("Snoozed") && page.contains("open for <time"), "{page}");
    assert!(ann.page("/ui/incidents/1/confirm/close").await.contains("Close #1?"));
    assert_eq!(ann.post("/ui/incidents/1/close", &[("back", "https://evil.example")]).await.headers()["location"], "/ui");
    let again = ann.post("/ui/incidents/1/close", &[]).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert!(again.text().await.unwrap().contains("Nothing was done"));
    assert_eq!(ann.post("/ui/incidents/1/snooze", &[("for", "nonsense")]).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ann.post("/ui/incidents/9/ack", &[]).await.status(), StatusCode::NOT_FOUND);
    // The same by the API, and by who may not.
    let api = app.http.post(app.url("/api/v1/incidents/1/ack")).bearer_auth(READER).send().await.unwrap();
    assert_eq!(api.status(), 403);
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    let page = reader.page("/ui").await;
    assert!(!page.contains("<button class=\"b p\""), "no button that does not work: {page}");
    assert_eq!(reader.post("/ui/incidents/1/ack", &[]).await.status(), StatusCode::FORBIDDEN);
    let mute = json!({ "matchers": ["channel=\"ours\""], "for": "1h", "reason": "deploy" });
    assert_eq!(app.http.post(app.url("/api/v1/mutes")).bearer_auth(ROOT).json(&mute).send().await.unwrap().status(), 200);
    let audit = ann.page("/ui/audit").await;
    for told in ["ack", "snooze", "close", "incident #1", "console", "mute", "deploy", "API", "Refused"] {
        assert!(audit.contains(told), "{told}: {audit}");
    }
    assert!(ann.page("/ui/audit?q=deploy").await.matches("data-row").count() == 1);
    let none = ann.page("/ui/audit?q=nothing+like+it").await;
    assert!(none.contains("Searched to the end") && !none.contains("Go on searching"), "few rows are read at once: {none}");
    assert_eq!(ann.get("/ui/audit?colour=red").await.status(), StatusCode::BAD_REQUEST);
    assert!(ann.page("/ui/audit?q=deploy&until=1h").await.contains("Nothing found"));
    assert_eq!(ann.page("/ui/audit?q=deploy&since=1h").await.matches("data-row").count(), 1);
    // The same for programs.
    let read = async |query: &str, token: &str| {
        let answer = app.http.get(app.url(&format!("/api/v1/audit?{query}"))).bearer_auth(token).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, found) = read("text=deploy", READER).await;
    assert_eq!((status, found["acts"].as_array().unwrap().len(), &found["next"]), (StatusCode::OK, 1, &Value::Null), "{found}");
    let act = &found["acts"][0];
    assert_eq!((&act["who"], &act["via"], &act["act"], &act["reason"]), (&json!("root"), &json!("API"), &json!("mute"), &json!("deploy")), "{act}");
    assert_eq!((&act["from"], &act["state"]), (&json!("127.0.0.1"), &json!("done")), "{act}");
    let (_, first) = read("limit=1", READER).await;
    let (_, second) = read(&format!("limit=1&cursor={}", first["next"].as_str().unwrap()), READER).await;
    assert!(second["acts"][0]["id"].as_str() < first["acts"][0]["id"].as_str(), "newest first: {first} {second}");
    assert_eq!(read("until=1000", READER).await.1["acts"], json!([]));
    assert_eq!((read("colour=red", READER).await.0, read("", TEAM).await.0), (StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN));
    let file = ann.get("/ui/audit.csv").await.bytes().await.unwrap();
    let file = std::str::from_utf8(&file).unwrap();
    assert!(
        file.starts_with("\u{FEFF}time,who,via,from,act,on,reason,state,outcome\r\n")
            && file.contains("\"ann\",\"console\",\"127.0.0.1\",\"ack\",\"incident #1\""),
        "{file}"
    );
    let found = ann.get("/ui/audit.csv?q=deploy").await.text().await.unwrap();
    assert_eq!((found.lines().count(), found.matches("\"deploy\"").count()), (2, 1), "{found}");
    // A channel whose messages cannot be edited was notified as well.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ann.page("/ui/history?state=sent").await.contains("data-row") {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    let page = ann.page("/ui/incidents/1").await;
    assert!(
        page.contains("lasted ") && page.contains(", ended <time") && !page.contains("open for "),
        "what is over is not so for that long: {page}"
    );
    let told = page.split("Who was notified").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(told.contains("<b>ours</b>") && !told.contains("Nobody yet"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_presses_after_the_session_ended_is_told_that_nothing_was_done() {
    let app = TestApp::start(&guarded()).await;
    let browser = Browser::of(&app);
    let press = async |from: &str| {
        let request = browser.http.post(app.url("/ui/incidents/7/ack")).headers(browser.headers()).header("referer", from);
        request.send().await.unwrap().headers()["location"].to_str().unwrap().to_owned()
    };
    let login = press(&app.url("/ui/incidents/7?x=1")).await;
    assert_eq!(login, "/ui/login?next=%2Fui%2Fincidents%2F7%3Fx%3D1&undone=1", "not the address of the form, which has no page");
    let page = browser.page(&login).await;
    assert!(page.contains("nothing was done") && page.contains("value=\"/ui/incidents/7?x=1\""), "{page}");
    assert_eq!(press("https://evil.example/x").await, "/ui/login?next=%2Fui&undone=1");
    assert!(!browser.page("/ui/login?next=%2Fui").await.contains("nothing was done"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_shown_when_nothing_can_be_written() {
    let clock = watchfire::delivery::Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    let app = TestApp::start_with(&guarded(), |options| options.clock = clock).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    fire(&app, Some(ROOT), &alert("ours", "First", "firing")).await;
    ann.page("/ui/history").await;
    std::fs::rename(app.folder.path().join("watchfire.db"), app.folder.path().join("aside.db")).unwrap();
    hand.jump(6 * 60_000);
    let refused = app.http.post(app.url("/webhook")).bearer_auth(ROOT).json(&alert("ours", "Second", "firing")).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(ann.page("/ui/history").await.contains("First"), "the use of the session could not be recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_limited_to_channels_sees_no_incident_of_others() {
    let app = TestApp::start(&guarded()).await;
    fire(&app, Some(ROOT), &alert("theirs", "SecretOfTheirs", "firing")).await;
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    let history = team.page("/ui/history").await;
    assert!(!history.contains("view=incidents"), "no tab that leads to a refusal: {history}");
    assert_eq!(history.matches("action=\"/ui/logout\"").count(), 2, "also on a phone: {history}");
    for link in links(&history, "/ui/") {
        assert!(!team.get(&link).await.status().is_client_error(), "it leads to a refusal: {link}");
    }
    for path in ["/ui/incidents/1", "/ui/audit", "/ui/audit.csv", "/ui/live"] {
        let answer = team.get(path).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.text().await.unwrap().contains("SecretOfTheirs"), "{path}");
    }
    // What it may not do is recorded, whatever it is refused for.
    let person = [("rota", "db"), ("person", "ann"), ("until", "2h")];
    let acts: [(&str, &[(&str, &str)]); 5] =
        [("incidents/1/ack", &[]), ("ack", &[("ids", "1,2")]), ("oncall/overrides", &person), ("test-alert", &[]), ("config/online", &[])];
    for (path, form) in acts {
        assert_eq!(team.post(&format!("/ui/{path}"), form).await.status(), StatusCode::FORBIDDEN, "{path}");
    }
    let mut root = Browser::of(&app);
    root.log_in("", ROOT).await;
    let audit = root.page("/ui/audit").await;
    for on in
        ["<b>ack</b> incident #1<", "<b>ack</b> incident #1, #2<", "<b>override</b> ann in db<", "<b>test</b> a test alert<", "/ui/config/online<"]
    {
        assert!(audit.contains(on), "{on}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_this_machine_needs_no_login_and_no_other_name_leads_here() {
    let app = TestApp::start(&routes("")).await;
    let browser = Browser::of(&app);
    let page = browser.page("/ui/").await;
    assert!(page.contains("No login needed") && page.contains("alertmanager.yml"), "{page}");
    let rebound = browser.http.get(app.url("/ui")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    // Nor does the API listen to pages of other sites; programs, which say nothing of pages, pass.
    let close = |site: Option<&'static str>| {
        let request = app.http.post(app.url("/api/v1/incidents/1/close")).body("");
        if let Some(site) = site { request.header("sec-fetch-site", site) } else { request }.send()
    };
    assert_eq!(close(Some("cross-site")).await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(close(None).await.unwrap().status(), StatusCode::NOT_FOUND, "there is no such incident");
    let missing = browser.get("/ui/nothing").await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(missing.text().await.unwrap().contains("<main"), "errors are pages");
    let zh = browser.http.get(app.url("/ui/nothing")).header("accept-language", "zh-CN").send().await.unwrap().text().await.unwrap();
    assert!(zh.contains("没有这个页面") && !zh.contains("there is no such page"), "{zh}");
    let zh = browser.http.get(app.url("/ui")).header("accept-language", "zh-CN").send().await.unwrap().text().await.unwrap();
    assert!(zh.contains("lang=\"zh-CN\"") && zh.contains("已就绪"), "{zh}");
    let style = zh.split("/ui/assets/console.").nth(1).unwrap().split('"').next().unwrap();
    let asset = browser.get(&format!("/ui/assets/console.{style}")).await;
    assert!(asset.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let set = browser.post("/ui/settings", &[("lang", "zh"), ("back", "/ui/audit")]).await;
    assert!(set.headers()["set-cookie"].to_str().unwrap().starts_with("wf_lang=zh; Path=/ui"));
}

/// A platform that refuses until it accepts.
async fn gateway() -> (String, std::sync::Arc<std::sync::atomic::AtomicBool>) {
    let accepts = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked = accepts.clone();
    let answer = async move || match asked.load(std::sync::atomic::Ordering::Relaxed) {
        true => (axum::http::StatusCode::OK, "ok"),
        false => (axum::http::StatusCode::BAD_REQUEST, "<script>no</script>"),
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await.unwrap() });
    (url, accepts)
}

/// The links of a page that begin like this.
fn links(page: &str, start: &str) -> Vec<String> {
    let hrefs = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    hrefs.filter(|href| href.starts_with(start)).map(|href| href.replace("&amp;", "&")).collect()
}

/// The hidden fields of a page's forms.
fn hidden(page: &str) -> Vec<(String, String)> {
    let unescape = |text: &str| text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let inputs = page.split("<input type=\"hidden\" name=\"").skip(1);
    let pairs = inputs
        .filter_map(|rest| rest.split_once("\" value=\""))
        .filter_map(|(name, rest)| Some((name.to_owned(), unescape(rest.split('"').next()?))));
    pairs.collect()
}
