//! Keys in calls and text messages that answer ours, against faithful fakes: what is offered, who is believed, and what becomes of the incident.

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use watchfire::api::{Channels, IncidentResponse, Incidents};
use watchfire::delivery::Clock;
use watchfire::store::{DeliveryRow, IncidentState, State};

use crate::support::app::{TestApp, alert};
use crate::support::fakes::twilio::Twilio;
use crate::support::fakes::twilio_answers::{Placed, Posted, text};
use crate::support::fakes::twiml::spoken;
use crate::support::fakes::voice_reports::{aliyun_end, aliyun_key, tencent_end, tencent_key};
use crate::support::fakes::{Aliyun, Fake, Tencent};

const TOKEN: &str = "twilio-token";
const OUTSIDE: &str = "https://watchfire.example.com";

struct Phones {
    twilio: Fake<Twilio>,
    app: TestApp,
    /// Sets the clock forward.
    hand: Clock,
}

impl Phones {
    async fn start() -> Self {
        Self::with(|account| {
            format!(
                r#"
channels:
  night-call: {{ twilio_voice: {{ {account}, to: ["+15005550001"] }} }}
  night-sms: {{ twilio_sms: {{ {account}, to: ["+15005550002"] }} }}
people:
  ann: {{ mobile: "+15005550001" }}
route: {{ to: [night-call, night-sms] }}
"#
            )
        })
        .await
    }

    /// With these channels and routes, of this account.
    async fn with(routes: impl FnOnce(&str) -> String) -> Self {
        let twilio = Fake::start(Twilio::new("AC1", TOKEN, "+15005550006")).await;
        let account = format!("account_sid: AC1, auth_token: {TOKEN}, from: \"+15005550006\", api_base: \"{}\"", twilio.url());
        let server = format!("server: {{ listen: \"127.0.0.1:0\", external_url: \"{OUTSIDE}\" }}\nstore: sqlite:watchfire.db\n");
        let (app, hand) = TestApp::start_timed(&format!("{server}{}", routes(&account))).await;
        Self { twilio, app, hand }
    }

    /// The escalation `db`: `first` for ann after a second, `call` for bob after an hour.
    async fn escalating(first: &str) -> Self {
        Self::with(|account| {
            format!(
                r#"
channels:
  terminal: {{ log: {{}} }}
  night-sms: {{ twilio_sms: {{ {account}, to: ["+15005550009"] }} }}
  call: {{ twilio_voice: {{ {account}, to: ["+15005550009"] }} }}
people:
  ann: {{ mobile: "+15005550001" }}
  bob: {{ mobile: "+15005550002" }}
escalations:
  db:
    - {{ after: 1s, to: [{first}], people: [ann] }}
    - {{ after: 1h, to: [call], people: [bob] }}
route: {{ to: [terminal], escalation: db }}
"#
            )
        })
        .await
    }

    /// As Twilio posts it; the status, and what is said or written.
    async fn post(&self, posted: &Posted) -> (u16, String) {
        let path = posted.url.strip_prefix(OUTSIDE).expect("our address");
        let request = self.app.http.post(self.app.url(path)).header("X-Twilio-Signature", &posted.signature);
        let answer = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(posted.body.clone()).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Somebody texts to our number; what is texted back.
    async fn text(&self, sid: &str, from: &str, body: &str) -> String {
        let (status, xml) = self.post(&text(TOKEN, &format!("{OUTSIDE}/press/night-sms"), sid, from, body)).await;
        assert_eq!(status, 200, "{xml}");
        let inner = xml.strip_prefix("<Response>").and_then(|rest| rest.strip_suffix("</Response>")).expect("TwiML");
        let message = inner.strip_prefix("<Message>").and_then(|rest| rest.strip_suffix("</Message>"));
        message.unwrap_or_else(|| if inner.is_empty() { "" } else { panic!("{xml}") }).to_owned()
    }

    async fn incident(&self) -> IncidentResponse {
        incident(&self.app).await
    }

    fn call(&self) -> Placed {
        self.twilio.with(|twilio| twilio.calls.last().cloned()).expect("a call")
    }
}

/// The newest.
async fn incident(app: &TestApp) -> IncidentResponse {
    let found: Incidents = app.read("/api/v1/incidents").await;
    app.read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_call_and_an_answer_to_the_text_message_ack_what_they_were_about() {
    let phones = Phones::start().await;
    phones.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    phones.app.settled().await;
    let mut call = phones.call();
    let heard = spoken(&call.twiml).unwrap();
    assert!(heard.ends_with("Press 1 to acknowledge, 2 to hear it again.") && heard.matches("Critical alert").count() == 2, "{heard}");
    // Again, by the address that the answer names.
    let (status, again) = phones.post(&call.press(TOKEN, "2").unwrap()).await;
    assert_eq!((status, spoken(&again).unwrap()), (200, heard));
    call.twiml = again;
    let forged = phones.post(&call.press("another-token", "1").unwrap()).await;
    assert_eq!((forged.0, phones.incident().await.incident.state), (403, IncidentState::Firing), "{forged:?}");
    let key = call.press(TOKEN, "1").unwrap();
    for stolen in [
        Posted { body: key.body.replace("%2B15005550001", "%2B15005550009"), ..key.clone() },
        Posted { url: key.url.replace("&t=", "&t=1"), ..key.clone() },
        Posted { url: key.url.replace("v=ack.", "v=close."), ..key.clone() },
    ] {
        assert_eq!(phones.post(&stolen).await.0, 403, "{stolen:?}");
    }
    let (status, said) = phones.post(&key).await;
    assert_eq!((status, spoken(&said).unwrap().as_str()), (200, "1 is acked."));
    let shown = phones.incident().await;
    assert_eq!(shown.incident.state, IncidentState::Acked, "{shown:#?}");
    assert!(format!("{shown:?}").contains("ann") && !format!("{shown:?}").contains("+15005550001"), "{shown:#?}");
    let (_, repeated) = phones.post(&key).await;
    assert!(spoken(&repeated).unwrap().starts_with("1 is acked. This had counted before"), "{repeated}");

    // Who got no message is not answered, and neither is a text that asks for nothing.
    for (sid, from, body) in [
        ("SM1", "+15005550009", "ok"),
        ("SM2", "+15005550002", "who is this?"),
        ("SM3", "+15005550002", "I am driving and will ok it later, promise"),
    ] {
        assert_eq!(phones.text(sid, from, body).await, "", "{body}");
    }
    assert_eq!(phones.text("SM4", "+15005550002", "unack 7").await, "No message to you was about #7 lately; nothing was done.");
    assert_eq!(phones.incident().await.incident.state, IncidentState::Acked);
    assert_eq!(phones.text("SM5", "+15005550002", "Unack").await, "#1 is no longer acked.");
    assert_eq!(phones.incident().await.incident.state, IncidentState::Firing);
    let text = phones.text("SM6", "+15005550002", "1 收到").await;
    assert_eq!(text, "#1 is acked.");
    let shown = format!("{:?}", phones.incident().await);
    assert!(shown.contains("+15****0002") && !shown.contains("+15005550002"), "{shown}");
    phones.app.app.stop(std::time::Duration::from_secs(2)).await;
}

/// Vendors sign what is said, and no time: a request that was recorded can be sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_said_again_an_hour_later_in_vain() {
    const HOUR: i64 = 3_600_000;
    let phones = Phones::start().await;
    phones.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    phones.app.settled().await;
    let address = format!("{OUTSIDE}/press/night-sms");
    let ack = text(TOKEN, &address, "SM1", "+15005550002", "ok");
    let unack = text(TOKEN, &address, "SM2", "+15005550002", "unack");
    let nothing = text(TOKEN, &address, "SM3", "+15005550002", "ack 7");
    let key = phones.call().press(TOKEN, "1").unwrap();
    for posted in [&ack, &unack, &nothing, &key] {
        assert_eq!(phones.post(posted).await.0, 200);
    }
    assert_eq!(phones.incident().await.incident.state, IncidentState::Acked, "by the key");
    assert_eq!(phones.app.post("/api/v1/incidents/1/unack", &serde_json::json!({})).await.0, 200);
    phones.hand.jump(HOUR);
    for posted in [&ack, &unack, &nothing, &key] {
        phones.post(posted).await;
        assert_eq!(phones.incident().await.incident.state, IncidentState::Firing, "{posted:?}");
    }
    // A number that meant nothing then means something now.
    for n in 2..=7 {
        phones.app.post("/webhook", &alert(&format!("db{n}"), &format!("HostDown{n}"), "firing")).await;
    }
    phones.app.settled().await;
    let seventh: IncidentResponse = phones.app.read("/api/v1/incidents/7").await;
    assert_eq!(seventh.incident.state, IncidentState::Firing);
    phones.post(&nothing).await;
    let seventh: IncidentResponse = phones.app.read("/api/v1/incidents/7").await;
    assert_eq!(seventh.incident.state, IncidentState::Firing, "it was refused when it was said");
    // A new text counts.
    assert_eq!(phones.text("SM4", "+15005550002", "ack 7").await, "#7 is acked.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_call_of_the_chinese_vendors_acks_by_the_address_that_only_they_know() {
    let aliyun = Fake::start(Aliyun::new("aliyun-key", "aliyun-secret")).await;
    aliyun.with(|aliyun| aliyun.tts_templates.insert("TTS_10002".into(), "已认领".into()));
    let tencent = Fake::start(Tencent::new("tencent-id", "tencent-secret")).await;
    let routes = format!(
        r#"
server: {{ listen: "127.0.0.1:0", external_url: "{OUTSIDE}" }}
store: sqlite:watchfire.db
channels:
  aliyun: {{ aliyun_voice: {{ access_key_id: aliyun-key, access_key_secret: aliyun-secret, template: TTS_10001, ack_template: TTS_10002, show_number: "057112345678",
    params: {{ name: "{{text}}", severity: "{{severity}}" }}, to: ["13800000001"], api_base: "{}" }} }}
  tencent: {{ tencent_voice: {{ secret_id: tencent-id, secret_key: tencent-secret, app_id: "1400006666", template: "2220", params: ["{{text}}", "{{severity}}"],
    to: ["13800000002"], api_base: "{}" }} }}
people:
  bob: {{ mobile: "+8613800000001" }}
route: {{ to: [aliyun, tencent] }}
"#,
        aliyun.url(),
        tencent.url()
    );
    let app = TestApp::start(&routes).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let rows = app.settled().await;
    let channels = app.read::<Channels>("/api/v1/channels").await.channels;
    let address = |name: &str| {
        let channel = channels.iter().find(|channel| channel.name == name).unwrap();
        channel.callback.as_deref().unwrap().strip_prefix(OUTSIDE).unwrap().to_owned()
    };
    let call = async |name: &str| {
        let row = rows.iter().find(|row| row.channel == name).unwrap();
        app.delivery(row.id).await.message.unwrap().cells[0].platform_ids.single().unwrap().to_owned()
    };
    let (first, second) = (call("aliyun").await, call("tencent").await);
    let state = async || incident(&app).await.incident.state;
    let post = async |path: &str, body: &Value| app.post(path, body).await.0;
    // Another address, another call, another number, another key.
    assert_eq!(post("/receipts/aliyun?k=guess", &aliyun_key(&first, "1")).await, 404);
    assert_eq!(post(&address("aliyun"), &aliyun_key("123^456", "1")).await, 404);
    assert_eq!(post(&address("tencent"), &tencent_key(&second, "13800000009", "1")).await, 404);
    assert_eq!(post(&address("aliyun"), &aliyun_key(&first, "3")).await, 200);
    assert_eq!(state().await, IncidentState::Firing);
    assert_eq!(post(&address("aliyun"), &aliyun_key(&first, "1")).await, 200);
    assert_eq!(state().await, IncidentState::Acked);
    // The report of the end says the same key again: it counts once.
    assert_eq!(app.post("/api/v1/incidents/1/unack", &serde_json::json!({})).await.0, 200);
    assert_eq!(post(&address("aliyun"), &aliyun_end(&first, "13800000001", "1")).await, 200);
    assert_eq!(state().await, IncidentState::Firing);
    // The key after the end, by which nobody waits for the call any more.
    assert_eq!(post(&address("tencent"), &tencent_end(&second, "13800000002")).await, 200);
    assert_eq!(post(&address("tencent"), &tencent_key(&second, "13800000002", "1")).await, 200);
    assert_eq!(state().await, IncidentState::Acked);
    let shown = format!("{:?}", incident(&app).await);
    assert!(shown.contains("bob") && shown.contains("+86****0002") && !shown.contains("13800000002"), "{shown}");
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nine_in_the_call_calls_the_next_one() {
    let phones = Phones::escalating("call").await;
    phones.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let called = |n: usize| move |rows: &[DeliveryRow]| rows.iter().filter(|row| row.channel == "call" && row.state == State::Sent).count() == n;
    phones.app.until("", called(1)).await;
    let first = phones.call();
    assert_eq!(first.to, "+15005550001");
    assert!(spoken(&first.twiml).unwrap().ends_with("Press 1 to acknowledge, 2 to hear it again, 9 to call the next one."), "{}", first.twiml);
    let (status, said) = phones.post(&first.press(TOKEN, "9").unwrap()).await;
    assert!(status == 200 && spoken(&said).unwrap().starts_with("1 is handed on"), "{said}");
    phones.app.until("", called(2)).await;
    let second = phones.call();
    assert_eq!(second.to, "+15005550002");
    assert!(spoken(&second.twiml).unwrap().ends_with("Press 1 to acknowledge, 2 to hear it again."), "nobody comes after bob: {}", second.twiml);
    let shown = phones.incident().await;
    assert_eq!(shown.incident.state, IncidentState::Firing, "nobody is on it");
    assert!(shown.timeline.iter().any(|row| row.kind == "escalated" && row.text.contains("handed on") && row.text.contains("ann")), "{shown:#?}");
    // Nothing waits: a nine says so, and a one still acks.
    let (_, said) = phones.post(&first.press(TOKEN, "1").unwrap()).await;
    assert!(spoken(&said).unwrap().starts_with("1 is acked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn next_in_a_text_message_calls_the_next_one() {
    let phones = Phones::escalating("night-sms").await;
    phones.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let sent = |channel: &'static str| move |rows: &[DeliveryRow]| rows.iter().any(|row| row.channel == channel && row.state == State::Sent);
    phones.app.until("", sent("night-sms")).await;
    let said = phones.text("SM1", "+15005550001", "Next").await;
    assert!(said.contains("handed on"), "{said}");
    phones.app.until("", sent("call")).await;
    assert_eq!(phones.call().to, "+15005550002");
    assert_eq!(phones.incident().await.incident.state, IncidentState::Firing, "nobody is on it");
}
