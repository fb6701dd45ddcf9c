//! The page of an act link: who guesses or presses without end is held back, and what each may do.

use watchfire::api::IncidentResponse;
use watchfire::delivery::links::{act_code, own_links};
use watchfire::model::{Page, PlatformIds, Recipient, Secret, UnixMs};
use watchfire::store::{Cell, CellState, IncidentState};

use crate::support::app::{Four, TestApp, alert};
use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::webhook::Webhook;
use crate::support::fakes::{Fake, Twilio};

const KEY: &str = "link-key-of-the-test-0123456789";

/// A room, and a text message to ann.
struct Links {
    ding: Fake<DingtalkRobot>,
    twilio: Fake<Twilio>,
    app: TestApp,
}

impl Links {
    async fn start() -> Self {
        Self::start_to("\"+15005550001\"").await
    }

    /// The same with text messages to these.
    async fn start_to(to: &str) -> Self {
        let ding = Fake::start(DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789"))).await;
        let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
        let routes = format!(
            r#"
server: {{ listen: "127.0.0.1:0", external_url: "http://watchfire.example.com", link_key: {KEY} }}
store: sqlite:watchfire.db
channels:
  ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: "{}" }} }}
  sms: {{ twilio_sms: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: [{to}], api_base: "{}" }} }}
people:
  ann: {{ mobile: "+15005550001" }}
  bob: {{ mobile: "+15005550002" }}
route: {{ to: [ding, sms] }}
"#,
            ding.url(),
            twilio.url()
        );
        let links = Self { app: TestApp::start(&routes).await, ding, twilio };
        let (status, answer) = links.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
        assert_eq!(status, 200, "{answer}");
        links.app.settled().await;
        links
    }

    /// Where the link of the room's message leads, on this server.
    fn of_room(&self) -> String {
        path(&String::from_utf8_lossy(&self.ding.rec.accepted().last().expect("a message").call.body))
    }

    /// The same of ann's text message.
    fn of_ann(&self) -> String {
        self.of("+15005550001")
    }

    fn of(&self, number: &str) -> String {
        path(&self.twilio.rec.accepted().iter().find(|sent| sent.to == [number.to_owned()]).expect("a text message").text)
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.app.http.get(self.app.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn post(&self, path: &str, form: String) -> (u16, String) {
        let answer = self.app.http.post(self.app.url(path)).body(form).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn incident(&self) -> IncidentResponse {
        self.app.read("/api/v1/incidents/1").await
    }

    /// How many presses by links had this result.
    async fn counted(&self, result: &str) -> u64 {
        let (_, metrics) = self.get("/metrics").await;
        let is_meant =
            |line: &&str| line.starts_with("watchfire_presses_total{") && line.contains("\"link\"") && line.contains(&format!("\"{result}\""));
        metrics.lines().filter(is_meant).map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

fn path(text: &str) -> String {
    let at = text.find("watchfire.example.com/a/").unwrap_or_else(|| panic!("no link to act by: {text}"));
    let path = &text[at + "watchfire.example.com".len()..];
    path.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_links_and_presses_without_end_are_limited_and_counted() {
    let links = Links::start().await;
    let (right, anns) = (links.of_room(), links.of_ann());
    let mut wrong = right.clone();
    wrong.replace_range(right.len() - 1.., if right.ends_with('A') { "B" } else { "A" });
    let mut answers = Vec::new();
    for n in 0..20 {
        answers.push(if n % 2 == 0 { links.get(&wrong).await.0 } else { links.post(&wrong, "verb=ack&nonce=n&name=Eve".into()).await.0 });
    }
    assert!(answers[..10].iter().all(|status| *status == 404) && answers[19] == 429, "{answers:?}");
    assert_eq!(links.counted("not_believed").await, 20);
    assert_eq!(links.get(&right).await.0, 200, "the right one opens");
    // One link changes an incident only so often, whatever it asks for.
    let mut taken = 0;
    for n in 0..20 {
        let verb = if n % 2 == 0 { "ack" } else { "unack" };
        let (status, page) = links.post(&right, format!("verb={verb}&nonce=n{n}&name=Bob")).await;
        match status {
            200 => taken += 1,
            429 => assert!(page.contains("Not done: that was too often."), "{page}"),
            _ => panic!("{status}: {page}"),
        }
    }
    // On a slow machine there is room for one more after five seconds.
    assert!((10..=14).contains(&taken), "{taken} of 20");
    assert_eq!(links.counted("limited").await, 20 - taken);
    let found = links.incident().await;
    let changes = found.timeline.iter().filter(|row| row.kind == "acked" || row.kind == "unacked").count() as u64;
    assert!((10..=taken).contains(&changes), "{found:#?}");
    // Another person's link is not concerned, and what is refused is in the audit.
    assert_eq!(links.post(&anns, "verb=ack&nonce=a1".into()).await.0, 200);
    assert_eq!(links.incident().await.incident.acks[0].by, "ann");
    assert_eq!(links.post(&anns, "verb=silence&nonce=a2".into()).await.0, 400);
    let store = rusqlite::Connection::open(links.app.folder.path().join("watchfire.db")).unwrap();
    let noted = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let noted = store.query_row("SELECT count(*) FROM audit WHERE by_name = 'ann' AND outcome = 'not a button of the page'", [], noted);
    assert_eq!(noted.unwrap(), 1);
    assert_eq!(links.counted("refused").await, 1);
}

/// Somebody who opens an old link on a phone reads why nothing is there, in the channels' language or their own.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_leads_nowhere_is_a_page_in_a_browser_and_a_line_elsewhere() {
    let links = Links::start().await;
    let ask = async |path: &str, accepts: &'static str, language: &'static str| {
        let request = links.app.http.get(links.app.url(path)).header("accept", accepts).header("accept-language", language);
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    };
    for path in ["/a/AAAAAAAAAAAAAA", "/m/AAAAAAAAAAAAAA"] {
        for (language, said) in [("de", "what was sent is removed after 30d"), ("zh-CN,zh;q=0.9", "已送达的消息保留 30天")] {
            let (status, kind, page) = ask(path, "text/html,*/*", language).await;
            assert_eq!((status, kind.as_str()), (410, "text/html; charset=utf-8"), "{path}");
            assert!(page.contains(said) && page.contains("width=device-width"), "{path}: {page}");
        }
        let (status, kind, line) = ask(path, "*/*", "zh").await;
        assert_eq!((status, kind.as_str()), (410, "text/plain; charset=utf-8"), "{path}");
        assert!(line.starts_with("There is no such message any more: what was sent is removed after 30d"), "{line}");
    }
    // Every refusal is in the reader's language.
    let post = links.app.http.post(links.app.url(&links.of_ann())).header("sec-fetch-site", "cross-site").body("verb=ack&nonce=x1");
    let answer = post.header("accept", "text/html").header("accept-language", "zh-CN").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let page = answer.text().await.unwrap();
    assert!(page.contains("该表单来自其他网站，请打开消息中的链接"), "{page}");
}

/// Without credentials nobody is known, and a page says so in its reader's language.
#[tokio::test(flavor = "multi_thread")]
async fn who_acts_without_a_name_is_somebody_in_each_language() {
    let links = Links::start().await;
    assert_eq!(links.app.post("/api/v1/incidents/1/ack", &serde_json::json!({})).await.0, 200);
    for (language, said) in [("en", "#1 · acked by somebody"), ("zh-CN", "#1 · 某人 已认领")] {
        let request = links.app.http.get(links.app.url(&links.of_room())).header("accept-language", language);
        let page = request.send().await.unwrap().text().await.unwrap();
        assert!(page.contains(said), "{language}: {page}");
    }
}

/// Where only known people may ack, the page of a room's link has no button, and says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_buttons_says_who_may_ack() {
    let server = format!("server: {{ listen: \"127.0.0.1:0\", external_url: \"http://watchfire.example.com\", link_key: {KEY} }}");
    let channels = "channels: { terminal: { log: {}, actions: { ack: known } } }\nroute: { to: [terminal] }";
    let app = TestApp::start(&format!("{server}\nstore: sqlite:watchfire.db\n{channels}\n")).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let link = format!("/a/{}", act_code(&Secret::new(KEY), app.settled().await[0].message.expect("it was sent")));
    let said = "Only people whom the configuration names can ack here.";
    let page = async || app.http.get(app.url(&link)).send().await.unwrap().text().await.unwrap();
    let shown = page().await;
    assert!(shown.contains(said) && !shown.contains("<form"), "{shown}");
    assert_eq!(app.http.post(app.url(&link)).body("verb=ack&nonce=n1&name=Eve").send().await.unwrap().status(), 403);
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    app.settled().await;
    assert!(!page().await.contains(said), "there is nothing to ack any more");
}

/// A webhook has no record of what it was notified of: the link in its message acks what the message carried.
#[tokio::test(flavor = "multi_thread")]
async fn the_link_in_a_webhooks_message_acks_what_that_carried() {
    let hook = Fake::start(Webhook::default()).await;
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"http://watchfire.example.com\", link_key: {KEY} }}\nstore: sqlite:watchfire.db\n\
         channels: {{ hook: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }} }} }}\nroute: {{ to: [hook] }}\n",
        hook.url()
    );
    let app = TestApp::start(&routes).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    let sent = hook.rec.accepted()[0].json();
    let link = sent["text"].as_str().and_then(|text| text.split("watchfire.example.com").nth(1)).expect("a link")[..17].to_owned();
    let acted = app.http.post(app.url(&link)).body("verb=ack&nonce=n1&name=Bob").send().await.unwrap().text().await.unwrap();
    assert!(acted.contains("#1 is acked."), "{link}: {acted}");
    let found: IncidentResponse = app.read("/api/v1/incidents/1").await;
    assert_eq!(found.incident.state, IncidentState::Acked, "{found:#?}");
}

/// The link of a channel that is gone says so, and names nobody who could act by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_channel_that_was_removed_says_why_nobody_acts_by_it() {
    let server = format!("server: {{ listen: \"127.0.0.1:0\", external_url: \"http://watchfire.example.com\", link_key: {KEY} }}");
    let routes = |name: &str| format!("{server}\nstore: sqlite:watchfire.db\nchannels: {{ {name}: {{ log: {{}} }} }}\nroute: {{ to: [{name}] }}\n");
    let app = TestApp::start(&routes("terminal")).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let link = format!("/a/{}", act_code(&Secret::new(KEY), app.settled().await[0].message.expect("it was sent")));
    std::fs::write(app.folder.path().join("routes.yaml"), routes("screen")).unwrap();
    app.app.reload().await.unwrap();
    for (language, said) in [("en", "its channel takes no acks, or was removed"), ("zh-CN", "该通道不接受认领，或已被移除")] {
        let get = app.http.get(app.url(&link));
        let post = app.http.post(app.url(&link)).body("verb=ack&nonce=n1&name=Eve");
        for (request, status) in [(get, 200), (post, 403)] {
            let answer = request.header("accept-language", language).send().await.unwrap();
            assert_eq!(answer.status(), status, "{language}");
            let page = answer.text().await.unwrap();
            assert!(page.contains(said) && !page.contains("<form"), "{language}: {page}");
        }
    }
}

/// A browser that goes back shows an old form: what it did then is not said to hold now.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_sent_before_says_that_its_ack_has_ended() {
    let links = Links::start().await;
    let anns = links.of_ann();
    for (form, said, state) in [
        ("verb=ack&nonce=a1", "#1 is acked.", IncidentState::Acked),
        ("verb=ack&nonce=a1", "nothing was done again", IncidentState::Acked),
        ("verb=unack&nonce=a2", "#1 is no longer acked", IncidentState::Firing),
        ("verb=ack&nonce=a1", "its ack has ended since. Press again.", IncidentState::Firing),
        ("verb=ack&nonce=a3", "#1 is acked.", IncidentState::Acked),
    ] {
        let (status, page) = links.post(&anns, form.into()).await;
        assert!(status == 200 && page.contains(said), "{form}: {status}: {page}");
        assert_eq!(links.incident().await.incident.state, state, "{form}");
    }
}

/// What is written under a room's link is no proof: a known person's name is marked.
#[tokio::test(flavor = "multi_thread")]
async fn a_known_persons_name_that_somebody_wrote_is_shown_as_written() {
    let links = Links::start().await;
    let room = links.of_room();
    // Also with a character that nobody sees.
    let names = [
        ("Bob%20the%20other", "Bob%20the%20other", "Bob the other"),
        ("%20Ann%E2%80%AE", "Ann", "Ann (as written)"),
        ("Ann", "Ann", "Ann (as written)"),
    ];
    for (name, keeps, shown) in names {
        let form = format!("verb=ack&nonce=n{}&name={name}", name.len());
        let answer = links.app.http.post(links.app.url(&room)).body(form).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kept = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(kept.starts_with(&format!("wf_name={keeps}; ")) && !kept.contains("Path"), "for the folder that the browser sees: {kept}");
        assert_eq!(links.incident().await.incident.acks[0].by, shown);
    }
    assert_eq!(links.post(&links.of_ann(), "verb=ack&nonce=a1".into()).await.0, 200);
    let found = links.incident().await;
    assert_eq!(found.incident.acks[0].by, "ann");
    let taken = found.timeline.iter().find(|row| row.text.contains("taken over from Ann (as written)"));
    assert!(taken.is_some(), "she is somebody else: {found:#?}");
}

/// Who is known may close an incident by their link; a room's link does not offer it, and does not do it.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_closed_by_the_link_of_somebody_who_is_known() {
    let links = Links::start().await;
    let (room, anns) = (links.of_room(), links.of_ann());
    let close = "value=\"close\"";
    assert!(!links.get(&room).await.1.contains(close));
    let (status, page) = links.post(&room, "verb=close&nonce=n1&name=ann".into()).await;
    assert_eq!((status, links.incident().await.incident.state), (400, IncidentState::Firing), "{page}");
    assert!(links.get(&anns).await.1.contains(close));
    let (status, page) = links.post(&anns, "verb=close&nonce=n1".into()).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("#1 is closed.") && !page.contains("<form"), "{page}");
    let found = links.incident().await;
    assert_eq!(found.incident.state, IncidentState::Closed);
    assert!(found.timeline.iter().any(|row| row.kind == "closed" && row.text.contains("ann (link sent to ann)")), "{found:#?}");
}

/// What is not on disk did not happen, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_press_by_a_link_that_cannot_be_stored_says_so_and_counts_when_it_is_repeated() {
    let links = Links::start().await;
    let anns = links.of_ann();
    for (status, state) in [(503, IncidentState::Firing), (200, IncidentState::Acked)] {
        let other = if status == 503 { Some(links.app.hold_store().await) } else { None };
        let (answered, page) = links.post(&anns, "verb=ack&nonce=a1".into()).await;
        drop(other);
        assert_eq!((answered, links.incident().await.incident.state), (status, state), "{page}");
    }
}

/// Text messages of one alert to several people: each has a link of its own, so that an ack says whose it is without a login.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_numbers_gets_a_link_of_its_own() {
    let links = Links::start_to("\"+15005550001\", \"+15005550002\", \"+15005550003\"").await;
    let [anns, bobs, thirds] = ["+15005550001", "+15005550002", "+15005550003"].map(|number| links.of(number));
    assert!(anns != bobs && bobs != thirds && anns.len() == bobs.len(), "{anns} {bobs} {thirds}");
    let (_, page) = links.get(&bobs).await;
    assert!(page.contains("0002") && !page.contains("name=\"name\""), "it asks for no name: {page}");
    assert_eq!(links.post(&bobs, "verb=ack&nonce=b1&name=Eve".into()).await.0, 200);
    assert_eq!(links.incident().await.incident.acks[0].by, "bob", "whose link it is, and not what is typed");
    assert_eq!(links.post(&anns, "verb=ack&nonce=a1".into()).await.0, 200);
    assert_eq!(links.incident().await.incident.acks[0].by, "ann");
    // Whom the configuration does not know is named by the number, and may not close it.
    let (status, page) = links.post(&thirds, "verb=close&nonce=c1".into()).await;
    assert_eq!((status, links.incident().await.incident.state.is_open()), (400, true), "{page}");
}

/// The same of mails: each is written to one address, whatever the attempt holds.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_mails_has_a_link_of_its_own() {
    let four = Four::start().await;
    let server = format!("server: {{ listen: \"127.0.0.1:0\", external_url: \"http://watchfire.example.com\", link_key: {KEY} }}");
    let routes = four.routes().replace("server: { listen: \"127.0.0.1:0\" }", &server);
    let routes = routes.replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-mail]");
    let app = TestApp::start(&format!("{routes}people:\n  ann: {{ email: db@example.com }}\n")).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    let mails = four.smtp.mails();
    assert_eq!(mails.len(), 2);
    let link_to = |address: &str| {
        let mail = mails.iter().find(|mail| mail.header("to") == Some(address)).unwrap_or_else(|| panic!("no mail to {address}"));
        let (text, html) = (path(&mail.text()), path(&mail.html()));
        assert_eq!(text, html, "both parts have the same link");
        text
    };
    let (anns, others) = (link_to("db@example.com"), link_to("ops@example.com"));
    assert!(anns != others && anns.len() == others.len(), "{anns} {others}");
    let act = async |path: &str, form: &'static str| app.http.post(app.url(path)).body(form).send().await.unwrap().status().as_u16();
    let incident = async || app.read::<IncidentResponse>("/api/v1/incidents/1").await.incident;
    let shown = app.http.get(app.url(&others)).send().await.unwrap().text().await.unwrap();
    assert!(shown.contains("By the link sent to") && !shown.contains("name=\"name\"") && !shown.contains("value=\"close\""), "{shown}");
    assert_eq!(act(&others, "verb=ack&nonce=o1&name=ann").await, 200);
    let by = incident().await.acks[0].by.clone();
    assert!(by.starts_with("link to ") && !by.contains("ann"), "whose link it is, and not what is typed: {by}");
    assert_eq!(act(&anns, "verb=close&nonce=a1").await, 200);
    assert_eq!(incident().await.state, IncidentState::Closed, "whom the configuration knows may close it");
}

/// The code of one of several recipients acts on no message that went to a room or to one person only.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_with_which_a_message_was_not_sent_opens_nothing() {
    let links = Links::start().await;
    let (key, to) = (Secret::new(KEY), ["+15005550001", "+15005550002"].map(Recipient::new));
    let cell = |recipient: &Recipient| Cell {
        page: 0,
        recipient: recipient.clone(),
        state: CellState::Ok,
        tries: 1,
        unanswered: 0,
        due_at: UnixMs(0),
        ids: PlatformIds::default(),
        code: None,
    };
    let cells: Vec<Cell> = to.iter().map(cell).collect();
    for row in links.app.settled().await {
        let id = row.message.expect("it was sent");
        let shared = format!("/a/{}", act_code(&key, id));
        assert_eq!(links.get(&shared).await.0, 200, "{}", row.channel);
        let page = Page { fields: [("text".to_owned(), shared)].into(), ..Page::default() };
        for one in &to {
            let own = own_links(&key, "twilio_sms", (id, &cells), &page, std::slice::from_ref(one)).page(&page, one).expect("a link of its own");
            let own = &own.fields["text"];
            assert_eq!(links.get(own).await.0, 404, "{} {own}", row.channel);
            assert_eq!(links.post(own, "verb=ack&nonce=e1&name=Eve".into()).await.0, 404);
        }
    }
    assert_eq!(links.counted("not_believed").await, 8);
    assert!(links.incident().await.incident.acks.is_empty());
}
