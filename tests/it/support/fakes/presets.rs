//! The push services and chats that need one request only, as one table: where the message goes, how it is
//! admitted, how long it may be, what the service says. Sources: the services' API pages and recorded replies;
//! only ServerChan's refusal of an empty title and Bark's of a long text are modelled without a recording.
//!
//! | service | success | refusals on record |
//! |---|---|---|
//! | ntfy | 200 + id | 40101, 40009, 40017, 42901; text over 4096 bytes becomes an attachment |
//! | Gotify | 200 + id | 401 and 400 with `errorCode` |
//! | Bark | 200 `code` 200 | 400 `failed to get device token` |
//! | ServerChan | 200 `code` 0 | 400 `code` 40001 |
//! | PushPlus | 200 `code` 200 | 200 with `code` 903, 900, 600 |
//! | Pushover (`pushover.rs`) | 200 `status` 1 | 400 `status` 0 with `errors`; 429 |
//! | Mattermost | 200 `ok` | 400 `web.incoming_webhook...`; longer than 16383 characters is split, not refused |
//! | Rocket.Chat | 200 `success` true | 404, 400 `success` false |
//! | Google Chat | 200 message | 400, 401 `error.status`; 429 `RESOURCE_EXHAUSTED`, 1 a second |

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::pushover::{self, Emergencies};
use super::rate::{Limiter, Pace};
use super::server::Platform;
use super::transcript::Transcript;

type Fields = Map<String, Value>;

struct Row {
    name: &'static str,
    /// The path with `{}` for the credential, if it is there.
    path: &'static str,
    /// Finds the credential elsewhere.
    credential: fn(&Call, &Fields) -> String,
    /// The answer to a wrong credential.
    denied: fn(&str) -> Answer,
    /// Checks the message: its text, or a refusal.
    check: fn(&Fields) -> Result<String, Box<Answer>>,
    /// The answer to a good message.
    done: fn(&Fields) -> Answer,
    /// The pace, and the answer when it is exceeded.
    pace: Pace,
    too_fast: fn() -> Answer,
}

fn s<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or("")
}

fn both(fields: &Fields, title: &str, text: &str) -> String {
    format!("{}\n{}", s(fields, title), s(fields, text)).trim().to_owned()
}

fn longer(text: &str, most: usize) -> bool {
    text.chars().count() > most
}

fn from_query(name: &'static str, call: &Call) -> String {
    call.param(name).unwrap_or("").to_owned()
}

fn refused(status: u16, code: impl ToString, body: &Value) -> Answer {
    Answer::json(status, body).refused(code)
}

fn no(status: u16, code: impl ToString, body: &Value) -> Result<String, Box<Answer>> {
    Err(refused(status, code, body).into())
}

/// A refusal of ntfy's.
pub fn ntfy(code: u32, error: &str) -> Answer {
    refused((code / 100) as u16, code, &json!({ "code": code, "http": code / 100, "error": error, "link": "https://ntfy.sh/docs/publish/" }))
}

fn gotify(code: u16, error: &str, text: &str) -> Answer {
    refused(code, code, &json!({ "error": error, "errorCode": code, "errorDescription": text }))
}

fn mattermost(id: &str, message: &str) -> Answer {
    refused(400, id, &json!({ "id": id, "message": message, "detailed_error": "", "request_id": "p3z1jgmt6tgkmyp5b8wqd8u8oy", "status_code": 400 }))
}

fn google(code: u16, status: &str, message: &str) -> Answer {
    refused(code, status, &json!({ "error": { "code": code, "message": message, "status": status } }))
}

fn busy() -> Answer {
    Answer::text(429, "Too Many Requests").refused(429)
}

static ROWS: [Row; 9] = [
    Row {
        name: "ntfy",
        path: "/",
        credential: |call, _| call.bearer().unwrap_or("").to_owned(),
        denied: |_| ntfy(40101, "unauthorized"),
        check: |f| {
            let topic = s(f, "topic");
            if topic.is_empty() || topic.len() > 64 || !topic.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                return Err(ntfy(40009, "invalid request: topic invalid").into());
            }
            if f.get("priority").is_some_and(|p| !p.as_u64().is_some_and(|n| (1..=5).contains(&n))) {
                return Err(ntfy(40007, "invalid priority parameter").into());
            }
            if f.get("tags").is_some_and(|t| !t.is_array()) || f.get("message").is_some_and(|m| !m.is_string()) {
                return Err(ntfy(40017, "invalid request: request body must be message JSON").into());
            }
            let text = both(f, "title", "message");
            Ok(if s(f, "message").len() > 4096 { "You received a file: attachment.txt".to_owned() } else { text })
        },
        done: |f| {
            Answer::json(
                200,
                &json!({ "id": "xE73Iyuabi", "time": 1_673_542_291, "event": "message", "topic": s(f, "topic"), "message": s(f, "message") }),
            )
        },
        pace: Pace::Bucket { every: Duration::from_secs(5), burst: 60 },
        too_fast: || ntfy(42901, "limit reached: too many requests, please be nice"),
    },
    Row {
        name: "gotify",
        path: "/message",
        credential: |call, _| call.header("x-gotify-key").or(call.param("token")).or(call.bearer()).unwrap_or("").to_owned(),
        denied: |_| gotify(401, "Unauthorized", "you need to provide a valid access token or user credentials to access this api"),
        check: |f| {
            if s(f, "message").trim().is_empty() {
                return Err(gotify(400, "Bad Request", "Field 'message' is required").into());
            }
            if f.get("priority").is_some_and(|p| !p.is_i64()) || f.get("extras").is_some_and(|e| !e.is_object()) {
                return Err(gotify(400, "Bad Request", "json: cannot unmarshal into the message").into());
            }
            Ok(both(f, "title", "message"))
        },
        done: |f| {
            Answer::json(
                200,
                &json!({ "id": 25, "appid": 5, "message": s(f, "message"), "title": s(f, "title"), "priority": f.get("priority"), "date": "2026-01-01T00:00:00Z" }),
            )
        },
        pace: Pace::Off,
        too_fast: busy,
    },
    Row {
        name: "bark",
        path: "/push",
        credential: |_, f| s(f, "device_key").to_owned(),
        denied: |key| {
            let text = if key.is_empty() {
                "device key is empty".to_owned()
            } else {
                format!("failed to get device token: failed to get [{key}] device token from database")
            };
            refused(400, 400, &json!({ "code": 400, "message": text, "timestamp": 1_708_331_590 }))
        },
        check: |f| match f.get("level").and_then(Value::as_str) {
            Some(level) if !matches!(level, "active" | "timeSensitive" | "passive" | "critical") => {
                no(400, 400, &json!({ "code": 400, "message": "request bind failed: level", "timestamp": 1 }))
            }
            // A push to Apple holds 4096 bytes in all.
            _ if both(f, "title", "body").len() > 3900 => {
                no(500, 500, &json!({ "code": 500, "message": "push failed: APNS push failed: PayloadTooLarge", "timestamp": 1 }))
            }
            _ => Ok(both(f, "title", "body")),
        },
        done: |_| Answer::json(200, &json!({ "code": 200, "message": "success", "timestamp": 1_708_331_409 })),
        pace: Pace::Off,
        too_fast: busy,
    },
    Row {
        name: "serverchan",
        path: "/{}.send",
        credential: |_, _| String::new(),
        denied: |_| refused(400, 40001, &json!({ "message": "[AUTH]错误的Key", "code": 40001, "info": "错误的Key", "scode": 461 })),
        check: |f| {
            if s(f, "title").is_empty() || longer(s(f, "title"), 32) || s(f, "desp").len() > 32 * 1024 {
                return no(400, 40010, &json!({ "message": "[INPUT]标题不能为空或过长", "code": 40010 }));
            }
            Ok(both(f, "title", "desp"))
        },
        done: |_| {
            Answer::json(
                200,
                &json!({ "code": 0, "message": "", "data": { "pushid": "1234567", "readkey": "SCTabc", "error": "SUCCESS", "errno": 0 } }),
            )
        },
        pace: Pace::Off,
        too_fast: || {
            refused(
                400,
                40001,
                &json!({ "message": "[AUTH]超过当天的发送次数限制[5]", "code": 40001, "info": "超过当天的发送次数限制[5]", "scode": 461 }),
            )
        },
    },
    Row {
        name: "pushplus",
        path: "/send",
        credential: |call, f| if s(f, "token").is_empty() { from_query("token", call) } else { s(f, "token").to_owned() },
        denied: |_| refused(200, 903, &json!({ "code": 903, "msg": "无效的用户令牌", "data": null, "count": null })),
        check: |f| {
            if s(f, "content").is_empty() || longer(s(f, "title"), 100) || longer(s(f, "content"), 20_000) {
                return no(200, 999, &json!({ "code": 999, "msg": "服务端验证错误", "data": null, "count": null }));
            }
            Ok(both(f, "title", "content"))
        },
        done: |_| Answer::json(200, &json!({ "code": 200, "msg": "请求成功", "data": "5a4f6f8c9d1e4b7f", "count": null })),
        pace: Pace::Rolling { limit: 200, window: Duration::from_secs(86_400), penalty: Duration::from_secs(172_800) },
        too_fast: || refused(200, 900, &json!({ "code": 900, "msg": "用户账号使用受限", "data": null, "count": null })),
    },
    Row {
        name: "pushover",
        path: "/1/messages.json",
        credential: |_, f| format!("{}/{}", s(f, "token"), s(f, "user")),
        denied: pushover::denied,
        check: pushover::check,
        // Its answer names a receipt: `Emergencies::taken`.
        done: |_| Answer::text(500, ""),
        pace: Pace::Rolling { limit: 10_000, window: Duration::from_secs(2_592_000), penalty: Duration::ZERO },
        too_fast: || refused(429, 429, &json!({ "errors": ["application has exceeded the number of messages it may send"], "status": 0 })),
    },
    Row {
        name: "mattermost",
        path: "/hooks/{}",
        credential: |_, _| String::new(),
        denied: |_| mattermost("web.incoming_webhook.invalid.app_error", "Invalid webhook."),
        check: |f| {
            let attached = f.get("attachments").and_then(Value::as_array).is_some_and(|a| !a.is_empty());
            if s(f, "text").is_empty() && !attached {
                return Err(mattermost("web.incoming_webhook.text.app_error", "No text specified.").into());
            }
            Ok(s(f, "text").to_owned())
        },
        done: |_| Answer::text(200, "ok"),
        pace: Pace::Off,
        too_fast: busy,
    },
    Row {
        name: "rocketchat",
        path: "/hooks/{}",
        credential: |_, _| String::new(),
        denied: |_| refused(404, 404, &json!({ "success": false, "error": "Invalid integration id or token provided." })),
        check: |f| {
            let attached = f.get("attachments").and_then(Value::as_array).is_some_and(|a| !a.is_empty());
            if s(f, "text").is_empty() && !attached {
                return no(400, "invalid", &json!({ "success": false, "error": "Empty or malformed message" }));
            }
            if longer(s(f, "text"), 5000) {
                return no(400, "too-large", &json!({ "success": false, "error": "error-message-size-exceeded" }));
            }
            Ok(s(f, "text").to_owned())
        },
        done: |_| Answer::json(200, &json!({ "success": true })),
        pace: Pace::Off,
        too_fast: busy,
    },
    Row {
        name: "googlechat",
        path: "/v1/spaces/AAAA/messages",
        credential: |call, _| format!("{}/{}", from_query("key", call), from_query("token", call)),
        denied: |_| google(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        check: |f| {
            let cards = f.get("cardsV2").and_then(Value::as_array).is_some_and(|c| !c.is_empty());
            if s(f, "text").is_empty() && !cards {
                return Err(google(400, "INVALID_ARGUMENT", "Message cannot be empty. Discarding empty create message request.").into());
            }
            if let Some(unknown) = f.keys().find(|k| !matches!(k.as_str(), "text" | "cardsV2" | "thread" | "fallbackText")) {
                return Err(google(
                    400,
                    "INVALID_ARGUMENT",
                    &format!("Invalid JSON payload received. Unknown name \"{unknown}\": Cannot find field."),
                )
                .into());
            }
            if s(f, "text").len() > 32_000 {
                return Err(google(400, "INVALID_ARGUMENT", "The message is too long.").into());
            }
            Ok(s(f, "text").to_owned())
        },
        done: |f| Answer::json(200, &json!({ "name": "spaces/AAAA/messages/BBBB.CCCC", "text": s(f, "text"), "space": { "name": "spaces/AAAA" } })),
        pace: Pace::Bucket { every: Duration::from_secs(1), burst: 3 },
        too_fast: || google(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    },
];

/// The names of all services in the table.
pub fn names() -> Vec<&'static str> {
    ROWS.iter().map(|r| r.name).collect()
}

/// One service of the table.
pub struct Preset {
    row: &'static Row,
    /// The good credentials; where there are two parts (Pushover, Google Chat) with a slash between them.
    pub credentials: Vec<String>,
    /// The service's pace.
    pub pace: Limiter,
    /// What people see.
    pub transcript: Transcript,
    /// Whether ntfy's server knows sequences, as from 2.16 on.
    pub replaces: bool,
    /// The texts that were taken, where the service refuses one that it had before (ServerChan, PushPlus).
    pub texts: Option<Vec<String>>,
    /// What rings at Pushover.
    pub emergencies: Emergencies,
}

impl Preset {
    /// The service of that name; panics for a name that is not in the table.
    pub fn new(name: &str, credential: &str) -> Self {
        let row = ROWS.iter().find(|r| r.name == name).expect("a service of the table");
        let (credentials, pace) = (vec![credential.to_owned()], Limiter::new(row.pace));
        Self { row, credentials, pace, transcript: Transcript::default(), replaces: true, texts: None, emergencies: Emergencies::default() }
    }

    /// The path to post to with this credential.
    pub fn path(&self, credential: &str) -> String {
        self.row.path.replace("{}", credential)
    }
}

impl Platform for Preset {
    fn name(&self) -> &'static str {
        self.row.name
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let row = self.row;
        if let Some(answer) = (row.name == "pushover").then(|| self.emergencies.about(call)).flatten() {
            return answer;
        }
        let credential = match row.path.split_once("{}") {
            Some((before, after)) => call.path.strip_prefix(before).and_then(|p| p.strip_suffix(after)).map(str::to_owned),
            None => None,
        };
        if credential.is_none() && call.path != row.path {
            return Answer::text(404, "Not Found").refused(404);
        }
        if call.method != "POST" {
            return Answer::text(405, "Method Not Allowed").refused(405);
        }
        let fields: Fields = match call.media_type().as_str() {
            "application/json" => match call.object() {
                Some(Value::Object(map)) => map,
                _ => return Answer::json(400, &json!({ "code": 400, "message": "invalid JSON" })).refused("malformed"),
            },
            "application/x-www-form-urlencoded" => call.form().into_iter().map(|(k, v)| (k, Value::String(v))).collect(),
            _ => return Answer::text(415, "Unsupported Media Type").refused(415),
        };
        let credential = credential.unwrap_or_else(|| (row.credential)(call, &fields));
        if !self.credentials.contains(&credential) {
            return (row.denied)(&credential);
        }
        let text = match (row.check)(&fields) {
            Ok(text) => text,
            Err(refusal) => return *refusal,
        };
        if self.pace.take(&credential, call.now.mono_ms).is_err() {
            return (row.too_fast)();
        }
        if let Some(refusal) = self.texts.as_mut().and_then(|texts| super::preset_posts::repeated(row.name, &text, texts)) {
            return refusal;
        }
        if let Err(refusal) = super::preset_posts::keep(row.name, call, &fields, &text, self.replaces, &mut self.transcript) {
            return *refusal;
        }
        let answer = if row.name == "pushover" { self.emergencies.taken(call, &fields) } else { (row.done)(&fields) };
        let code = answer.status;
        answer.accepted(code, text).to([credential])
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}
