//! Press addresses, act links and vendors' callbacks under bytes that nobody signed: no answer is a success or a server error, and nothing changes.

use serde_json::{Value, json};
use watchfire::api::{Channels, IncidentResponse, Incidents};
use watchfire::store::IncidentState;

use crate::support::app::{TestApp, alert};
use crate::support::fakes::wecom_cards::Receiver;
use crate::support::fakes::{Fake, Telegram};

const CORP: &str = "wx5823bf96d3bd56c7";
/// WeCom's EncodingAESKey.
const KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";

/// A small source of numbers: the same seed draws the same.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    /// A body that a platform could send, with some of its bytes changed, cut or repeated; or noise.
    fn body(&mut self, samples: &[String]) -> Vec<u8> {
        let mut bytes = match self.below(8) {
            0 => (0..self.below(4000)).map(|_| u8::try_from(self.below(256)).unwrap()).collect(),
            1 => b"[".repeat(self.below(60_000)),
            2 => format!("payload={}", samples[self.below(samples.len())]).into_bytes(),
            3 => b"CallSid=CA1&Digits=1&To=%2B15005550001&MessageSid=SM1&From=%2B15005550001&Body=ok".to_vec(),
            _ => samples[self.below(samples.len())].clone().into_bytes(),
        };
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len().max(1));
            match self.below(3) {
                0 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                1 => bytes.truncate(at),
                _ => bytes.splice(at.min(bytes.len())..at.min(bytes.len()), b"\"\\u0000\xff".iter().copied()).for_each(drop),
            }
        }
        bytes
    }
}

/// What platforms report of presses, with values that would work.
fn samples(code: &str) -> Vec<String> {
    let value = format!("ack.{code}.0");
    let samples = [
        json!({ "update_id": 1, "callback_query": { "id": "1", "from": { "id": 1, "first_name": "Eve" }, "data": value,
            "message": { "message_id": 1, "date": 1, "chat": { "id": -1001, "type": "supergroup" } } } }),
        json!({ "type": "block_actions", "user": { "id": "U1", "team_id": "T1" }, "team": { "id": "T1" }, "trigger_id": "1.1",
            "actions": [{ "action_id": "press-0", "value": value, "action_ts": "1.1" }], "response_url": "http://127.0.0.1:1/steal" }),
        json!({ "schema": "2.0", "header": { "event_id": "e1", "event_type": "card.action.trigger", "token": "v", "tenant_key": "t" },
            "event": { "operator": { "open_id": "ou_1" }, "action": { "tag": "button", "value": { "press": value } } } }),
        json!({ "challenge": "c", "token": "v", "type": "url_verification" }),
        json!({ "encrypt": "AAAAAAAAAAAAAAAAAAAAAA==" }),
        json!({ "event": { "id": "1", "event_type": "incident.acknowledged", "occurred_at": "2026-11-29T00:00:00Z",
            "agent": { "id": "P1", "summary": "Eve", "type": "user_reference" }, "data": { "incident_key": "k" } } }),
        json!({ "voicekey_callback": { "callid": "1", "keypress": "1", "mobile": "13800000000", "nationcode": "86" } }),
        json!([{ "call_id": "1", "status_code": "300000", "dtmf": "1" }]),
        json!({ "voiceprompt_callback": { "result": "0", "callid": "1", "mobile": "13800000000", "nationcode": "86" } }),
    ];
    samples.iter().map(Value::to_string).collect()
}

/// A press that is sealed with the right key and signed with another token, as WeCom would post it: the query of its address, and its body.
fn sealed(code: &str) -> (String, String) {
    let event = format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[eve]]></FromUserName><CreateTime>1</CreateTime>\
         <MsgType><![CDATA[event]]></MsgType><Event><![CDATA[template_card_event]]></Event><EventKey><![CDATA[ack.{code}.0]]></EventKey>\
         <TaskId><![CDATA[t]]></TaskId><ResponseCode><![CDATA[r]]></ResponseCode><AgentID>1000002</AgentID></xml>"
    );
    let forger = Receiver { token: "another-token".into(), key: KEY.into() };
    forger.seal(&event, CORP, jiff::Timestamp::now().as_second(), "1372623149")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_changes_nothing_at_any_address() {
    let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    telegram.unpaced();
    let routes = format!(
        r##"
server: {{ listen: "127.0.0.1:0", external_url: "https://watchfire.example.com" }}
store: sqlite:watchfire.db
channels:
  posted: {{ telegram: {{ token: "1:token", chat: -1001, webhook_secret: "a-secret-of-the-webhook", api_base: "{}" }} }}
  slack: {{ slack: {{ token: xoxb-1, channel: C0123, signing_secret: a-signing-secret }} }}
  feishu: {{ feishu: {{ app_id: cli_1, app_secret: s, to: [oc_1], verification_token: a-verification-token }} }}
  sealed: {{ feishu: {{ app_id: cli_2, app_secret: s, to: [oc_1], verification_token: v, encrypt_key: an-encrypt-key }} }}
  call: {{ twilio_voice: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+15005550001"] }} }}
  text: {{ twilio_sms: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+15005550001"] }} }}
  wecom: {{ wecom: {{ corp_id: {CORP}, agent_id: 1000002, secret: s, to_user: zhangsan, callback_token: QDG6eK, encoding_aes_key: {KEY} }} }}
  aliyun: {{ aliyun_voice: {{ access_key_id: aliyun-key, access_key_secret: aliyun-secret, template: TTS_10001, ack_template: TTS_10002, show_number: "057112345678",
    params: {{ name: "{{text}}" }}, to: ["13800000001"] }} }}
  tencent: {{ tencent_voice: {{ secret_id: tencent-id, secret_key: tencent-secret, app_id: "1400006666", template: "2220", params: ["{{text}}"], to: ["13800000001"] }} }}
  paged: {{ pagerduty: {{ routing_key: 0123456789abcdef0123456789abcdef, webhook_secret: a-webhook-secret }} }}
route: {{ to: [posted] }}
"##,
        telegram.url(),
    );
    let app = TestApp::start(&routes).await;
    let (status, answer) = app.post("/webhook", &alert("web", "DiskFull", "firing")).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    let extra = telegram.with(|telegram| telegram.transcript.all().next().unwrap().1.extra.clone());
    let code = extra.split("\"ack.").nth(1).and_then(|rest| rest.split('.').next()).expect("a button").to_owned();
    let seed = std::env::var("WATCHFIRE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed} (WATCHFIRE_SEED={seed} draws the same)");
    let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut samples = samples(&code);
    let (query, xml) = sealed(&code);
    samples.push(xml);
    // Vendors of calls that sign nothing prove themselves by the address: who knows it can report calls of ours only.
    let channels = app.read::<Channels>("/api/v1/channels").await.channels;
    let callback = |name: &str| {
        let channel = channels.iter().find(|channel| channel.name == name).unwrap();
        channel.callback.as_deref().unwrap().strip_prefix("https://watchfire.example.com").unwrap().to_owned()
    };
    let (aliyun, tencent, twilio) = (callback("aliyun"), callback("tencent"), callback("call"));
    let rounds = if std::env::var_os("WATCHFIRE_LONG").is_some() { 20_000 } else { 400 };
    let link = format!("/a/{code}");
    let key = format!("/press/call?v=ack.{code}.0&t=1795900000");
    let (wecom, echo) = (format!("/press/wecom?{query}"), format!("/press/wecom?{query}&echostr=AAAAAAAAAAAAAAAAAAAAAA%3D%3D"));
    let addresses = [
        key.as_str(),
        &wecom,
        &echo,
        "/press/wecom?msg_signature=%ff&timestamp=99999999999999999999&nonce=",
        &aliyun,
        &tencent,
        &twilio,
        "/receipts/aliyun?k=guess",
        "/receipts/tencent?k=guess",
        "/receipts/call",
        "/press/text",
        "/press/paged",
        "/press/posted",
        "/press/slack",
        "/press/feishu",
        "/press/sealed",
        "/press/nobody",
        "/press/%ff",
        &link,
        "/a/AAAAAAAAAAAAAA",
        "/a/%2e%2e",
        "/receipts/posted?k=x",
    ];
    for round in 0..rounds {
        let address = addresses[draw.below(addresses.len())];
        let url = app.url(address);
        let request = if address == echo { app.http.get(url) } else { app.http.post(url) };
        let mut request = request.body(draw.body(&samples));
        for (name, value) in [
            ("x-telegram-bot-api-secret-token", "a-secret-of-the-webhooK"),
            ("x-slack-signature", "v0=0000000000000000000000000000000000000000000000000000000000000000"),
            ("x-slack-request-timestamp", "1795900000"),
            ("x-lark-signature", "00"),
            ("x-lark-request-timestamp", "1795900000"),
            ("x-lark-request-nonce", "n"),
            ("x-pagerduty-signature", "v1=627ded192a97e86556da55957a95a68030ea1e179bb54326620b77d3e1031159"),
            ("x-twilio-signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ] {
            if draw.below(3) == 0 {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("round {round}, {address}: {error}"));
        let status = answer.status();
        let listed = address == aliyun && status == 200;
        assert!(status.is_client_error() || listed, "round {round}, {address}: {status}: {}", answer.text().await.unwrap_or_default());
    }
    let found: Incidents = app.read("/api/v1/incidents").await;
    let found: IncidentResponse = app.read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await;
    assert_eq!((found.incident.state, found.version), (IncidentState::Firing, 1), "{found:#?}");
    // The same address does what it is there for.
    let press = samples[0].clone();
    let asked = app.http.post(app.url("/press/posted")).header("x-telegram-bot-api-secret-token", "a-secret-of-the-webhook").body(press);
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("#1 is acked."));
}
