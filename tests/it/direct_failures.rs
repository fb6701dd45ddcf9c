//! What callers of the seven direct paths read when their platform cannot be reached, breaks off, hangs, or answers with something else: in their
//! language, whatever Watchfire's own record of it says.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::app::TestApp;

/// What a platform does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Close,
    CloseAfterTheRequest,
    Hang,
    Answer(&'static str),
}

async fn platform(does: Does) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream, does));
        }
    });
    address.to_string()
}

async fn treat(mut stream: TcpStream, does: Does) {
    let mut request = [0; 8192];
    match does {
        Does::Close => {}
        Does::CloseAfterTheRequest => drop(stream.read(&mut request).await),
        Does::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        Does::Answer(answer) => {
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

/// Seven channels at one address; `scheme` is `http` or `https`, and mail goes there, too.
fn routes(scheme: &str, at: &str) -> String {
    let base = format!("{scheme}://{at}");
    let twilio = format!("account_sid: AC1, auth_token: twilio-token, from: '+15005550006', to: ['+8613800000001'], api_base: '{base}'");
    let tls = if scheme == "https" { "implicit" } else { "none" };
    format!(
        "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels:\n  \
         mail: {{ email: {{ server: '{at}', tls: {tls}, from: 'w@example.com', to: [ops@example.com] }} }}\n  \
         slack: {{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: '{base}' }} }}\n  \
         ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: '{base}' }} }}\n  \
         call: {{ dingtalk_call: {{ app_key: ding-key, app_secret: ding-secret, robot_code: dingbot, to: ['13800000001'], api_base: '{base}' }} }}\n  \
         wecom: {{ wecom: {{ corp_id: corp-id, agent_id: 1000002, secret: wecom-secret, to_user: zhangsan, api_base: '{base}' }} }}\n  \
         sms: {{ twilio_sms: {{ {twilio} }} }}\n  vms: {{ twilio_voice: {{ {twilio} }} }}\n\
         route: {{ to: [mail] }}\n\
         legacy: {{ email: {{ channel: mail, allow_from: ['*@example.com'] }}, slack: {{ ops: slack }}, dingding: ding, dingding_call: call, wx: wecom, sms: sms, vms: vms }}\n"
    )
}

const PATHS: [&str; 7] =
    ["/email/send/message", "/slack/send/message", "/dingding/send/message", "/dingding/call", "/wx/apps/send", "/sms/send", "/vms/send"];

/// English words: codes, quoted answers of the platform and names of settings apart.
fn english(text: &str) -> Vec<&str> {
    const FINE: [&str; 14] =
        ["HTTP", "TLS", "DNS", "tls", "username", "routes", "yaml", "ca", "file", "Authorization", "SMTP", "timeout", "connect", "io"];
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 1 && !FINE.contains(word)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_platform_does_its_callers_read_their_language() {
    let body = json!({
        "subject": "s", "from": "a@example.com", "to": "b@example.com", "channel": "ops", "content": "c", "isAtAll": true, "mobiles": ["13800000001"],
        "touser": "zhangsan", "agentid": 1_000_002,
    });
    let phones = json!({ "to": ["13800000001"], "mobiles": ["13800000001"], "content": "c" });
    let page = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 24\r\n\r\n<html>Bad Gateway</html>";
    let away = "HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 22\r\n\r\n<html>Not Found</html>";
    let odd = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
    let limited = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 9\r\n\r\nslow down";
    let cases = [
        ("refused", "http", "127.0.0.1:1".to_owned()),
        ("no such name", "http", "nowhere.invalid:80".to_owned()),
        ("closed at once", "http", platform(Does::Close).await),
        ("closed after the request", "http", platform(Does::CloseAfterTheRequest).await),
        ("silent", "http", platform(Does::Hang).await),
        ("no TLS there", "https", platform(Does::Answer(page)).await),
        ("a gateway's page", "http", platform(Does::Answer(page)).await),
        ("a page of nobody", "http", platform(Does::Answer(away)).await),
        ("other words", "http", platform(Does::Answer(odd)).await),
        ("too fast", "http", platform(Does::Answer(limited)).await),
    ];
    // Side by side: most of them wait for the end of a call's time.
    let (body, phones) = (&body, &phones);
    let cases = cases.map(async |(what, scheme, at)| {
        let app = TestApp::start(&routes(scheme, &at)).await;
        let calls = PATHS.map(|path| {
            let body = if matches!(path, "/sms/send" | "/vms/send") { phones } else { body };
            let request = app.http.post(app.url(path)).timeout(Duration::from_secs(40)).json(body);
            async move { (path, request.send().await.unwrap().json::<Value>().await.unwrap()) }
        });
        let mut wrong = Vec::new();
        for (path, answer) in futures_util::future::join_all(calls).await {
            let text = answer["message"].as_str().unwrap_or_default();
            let chinese = text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            // The platform's own words are quoted.
            let own = text.replace("slow down", "").replace("hello", "");
            if answer["code"] != 1 || !chinese || !english(&own).is_empty() {
                wrong.push(format!("{what} {path}: {answer} {:?}", english(&own)));
            }
        }
        app.app.stop(Duration::from_secs(1)).await;
        wrong
    });
    let wrong = futures_util::future::join_all(cases).await.concat();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_is_refused_at_once() {
    let app = TestApp::start(&routes("http", "127.0.0.1:1")).await;
    let long = "1".repeat(4000);
    let body = json!({
        "subject": "s", "from": "a@example.com", "to": format!("{long}@example.com"), "mobiles": [long], "touser": long, "agentid": 1_000_002, "content": "c",
    });
    for path in ["/email/send/message", "/wx/apps/send", "/dingding/call"] {
        let (status, answer) = app.post(path, &body).await;
        assert_eq!((status, &answer["code"]), (200, &json!(1)), "{path}");
        assert!(answer["message"].as_str().unwrap().contains("超过 512 字节"), "{path}: {answer}");
    }
    assert!(app.settled().await.is_empty(), "nothing is stored of it");
}
