//! Tencent Cloud SMS (2021-01-11) and VMS (2020-09-02), signed with TC3-HMAC-SHA256. HTTP 200 whatever happens.
//!
//! Choice where the documents are vague: faults of number, signature, template and parameters are in each
//! number's `SendStatusSet` entry; faults of the request are in `Response.Error`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::crypt::{hex, hmac_sha256, sha256_hex};
use super::phone::{e164, has_url, variables};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;

const DAY: Duration = Duration::from_secs(86_400);

/// The account.
pub struct Tencent {
    /// SecretId -> SecretKey.
    pub keys: HashMap<String, String>,
    /// `SmsSdkAppId` and `VoiceSdkAppid` of the account.
    pub apps: HashSet<String>,
    /// Approved SMS signatures.
    pub signs: HashSet<String>,
    /// Approved SMS templates: id -> text with `{1}` variables.
    pub sms_templates: HashMap<String, String>,
    /// Approved voice templates: id -> text with `{1}` variables.
    pub voice_templates: HashMap<String, String>,
    /// The longest variable in characters (6 for accounts opened after 2024-01-25).
    pub longest_variable: usize,
    /// The same content to one number: 1 per 30 s.
    pub same_content: Limiter,
    /// SMS per number and day.
    pub per_day: Limiter,
    /// Calls per callee: 1 in 30 s, 2 in 10 min, 5 a day.
    pub calls: [Limiter; 3],
    /// Numbers and the code of their entry, whatever is sent (`FailedOperation.PhoneNumberInBlacklist`).
    pub bad_numbers: HashMap<String, String>,
    /// What carriers report of SMS to a number: (`ReportStatus`, `Description`); nothing unless set.
    pub reports: HashMap<String, (String, String)>,
    /// The next requests that pass the signature get these errors: (Code, Message).
    pub next: VecDeque<(String, String)>,
    counter: u64,
    /// Serial number, number and Unix seconds of every SMS.
    sent: Vec<(String, String, i64)>,
}

impl Tencent {
    /// An account with one key, application `1400006666`, signature `demo` and a template of each kind.
    pub fn new(id: &str, key: &str) -> Self {
        let limit = |n, secs| Limiter::new(Pace::per(n, Duration::from_secs(secs)));
        Self {
            keys: HashMap::from([(id.to_owned(), key.to_owned())]),
            apps: HashSet::from(["1400006666".to_owned()]),
            signs: HashSet::from(["demo".to_owned()]),
            sms_templates: HashMap::from([("1110".to_owned(), "告警 {1}".to_owned())]),
            voice_templates: HashMap::from([("2220".to_owned(), "告警 {1}，级别 {2}".to_owned())]),
            longest_variable: 6,
            same_content: limit(1, 30),
            per_day: Limiter::new(Pace::per(10, DAY)),
            calls: [limit(1, 30), limit(2, 600), Limiter::new(Pace::per(5, DAY))],
            bad_numbers: HashMap::new(),
            reports: HashMap::new(),
            next: VecDeque::new(),
            counter: 0,
            sent: Vec::new(),
        }
    }
}

fn request_id(call: &Call) -> String {
    let h = sha256_hex(format!("{}{}", call.now.wall_ms, call.now.mono_ms).as_bytes());
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..32])
}

fn fail(call: &Call, code: &str, message: &str) -> Box<Answer> {
    let body = json!({ "Response": { "Error": { "Code": code, "Message": message }, "RequestId": request_id(call) } });
    Answer::json(200, &body).refused(code).into()
}

type Judged = Result<Answer, Box<Answer>>;

impl Platform for Tencent {
    fn name(&self) -> &'static str {
        "tencent"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        self.judge(call).unwrap_or_else(|refusal| *refusal)
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        let [a, b, c] = &mut self.calls;
        vec![&mut self.same_content, &mut self.per_day, a, b, c]
    }
}

impl Tencent {
    fn judge(&mut self, call: &Call) -> Judged {
        if call.method != "POST" || call.media_type() != "application/json" {
            return Err(fail(call, "UnsupportedProtocol", "The protocol is not supported: use POST with application/json."));
        }
        let service = self.check_signature(call)?;
        let (action, version) = (call.header("x-tc-action").unwrap_or(""), call.header("x-tc-version").unwrap_or(""));
        let (home, right_version) = match action {
            "SendSms" | "PullSmsSendStatusByPhoneNumber" => ("sms", "2021-01-11"),
            "SendTtsVoice" => ("vms", "2020-09-02"),
            _ => return Err(fail(call, "InvalidAction", "The action is invalid or does not exist.")),
        };
        if service != home {
            return Err(fail(call, "AuthFailure.SignatureFailure", "The service of the credential scope is not the one of the action."));
        }
        if version != right_version {
            return Err(fail(call, "NoSuchVersion", "The version does not exist."));
        }
        match call.header("x-tc-region") {
            None => return Err(fail(call, "MissingParameter", "The request is missing the required parameter `Region`.")),
            Some("ap-guangzhou") => {}
            Some("ap-beijing" | "ap-nanjing" | "ap-singapore") if home == "sms" => {}
            Some(_) => return Err(fail(call, "UnsupportedRegion", "The region is not supported.")),
        }
        if let Some((code, message)) = self.next.pop_front() {
            return Err(fail(call, &code, &message));
        }
        let body = call.object().ok_or_else(|| fail(call, "InvalidParameter", "The body is not a JSON object."))?;
        match action {
            "SendSms" => self.send_sms(call, &body),
            "SendTtsVoice" => self.send_voice(call, &body),
            _ => self.pull(call, &body),
        }
    }

    fn check_signature(&self, call: &Call) -> Result<String, Box<Answer>> {
        let invalid = || fail(call, "AuthFailure.InvalidAuthorization", "The Authorization header is not in the TC3 form.");
        let authorization = call.header("authorization").and_then(|a| a.strip_prefix("TC3-HMAC-SHA256 ")).ok_or_else(invalid)?;
        let field = |name: &str| authorization.split(", ").find_map(|p| p.strip_prefix(name)).ok_or_else(invalid);
        let (credential, signed, signature) = (field("Credential=")?, field("SignedHeaders=")?, field("Signature=")?);
        let (id, scope) = credential.split_once('/').ok_or_else(invalid)?;
        let [date, service, "tc3_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return Err(invalid()) };
        let key = self.keys.get(id).ok_or_else(|| fail(call, "AuthFailure.SecretIdNotFound", "The SecretId is not found."))?;
        let timestamp: i64 = call.header("x-tc-timestamp").and_then(|t| t.parse().ok()).ok_or_else(invalid)?;
        if (call.now.wall_s() - timestamp).abs() > 300 {
            return Err(fail(
                call,
                "AuthFailure.SignatureExpire",
                "The provided credentials have expired. Please check if the local time is synchronized.",
            ));
        }
        let day = jiff::Timestamp::from_second(timestamp).map(|t| t.to_string()[..10].to_owned()).unwrap_or_default();
        let names: Vec<&str> = signed.split(';').collect();
        if day != date || !names.contains(&"content-type") || !names.contains(&"host") || names.windows(2).any(|w| w[0] >= w[1]) {
            return Err(fail(call, "AuthFailure.SignatureFailure", "The date or the signed headers are wrong."));
        }
        let headers: String = names.iter().map(|n| format!("{n}:{}\n", call.header(n).unwrap_or("").trim().to_lowercase())).collect();
        let canonical = format!("POST\n/\n{}\n{headers}\n{signed}\n{}", call.raw_query, sha256_hex(&call.body));
        let to_sign = format!("TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
        let mut derived = hmac_sha256(format!("TC3{key}").as_bytes(), date.as_bytes());
        for step in [service, "tc3_request"] {
            derived = hmac_sha256(&derived, step.as_bytes());
        }
        if signature != hex(&hmac_sha256(&derived, to_sign.as_bytes())) {
            let text = "The provided credentials could not be validated. Please check your signature is correct.";
            return Err(fail(call, "AuthFailure.SignatureFailure", text));
        }
        Ok(service.to_owned())
    }

    fn send_sms(&mut self, call: &Call, body: &Value) -> Judged {
        known_fields(
            call,
            body,
            &["PhoneNumberSet", "SmsSdkAppId", "TemplateId", "SignName", "TemplateParamSet", "ExtendCode", "SessionContext", "SenderId"],
        )?;
        let numbers = strings(call, body, "PhoneNumberSet")?.filter(|n| !n.is_empty());
        let numbers = numbers.ok_or_else(|| fail(call, "MissingParameter.EmptyPhoneNumberSet", "The number set is empty."))?;
        if numbers.len() > 200 {
            return Err(fail(call, "LimitExceeded.PhoneNumberCountLimit", "At most 200 numbers a request."));
        }
        let app = text(call, body, "SmsSdkAppId")?.ok_or_else(|| missing(call, "SmsSdkAppId"))?;
        if !self.apps.contains(&app) {
            return Err(fail(call, "UnauthorizedOperation.SmsSdkAppIdVerifyFail", "SmsSdkAppId verification fails."));
        }
        let template = text(call, body, "TemplateId")?.ok_or_else(|| missing(call, "TemplateId"))?;
        let sign = text(call, body, "SignName")?.unwrap_or_default();
        let params = strings(call, body, "TemplateParamSet")?.unwrap_or_default();
        let session = text(call, body, "SessionContext")?.unwrap_or_default();
        let parsed: Vec<Option<String>> = numbers.iter().map(|n| e164(n)).collect();
        let domestic = parsed.iter().flatten().filter(|n| n.starts_with("+86")).count();
        if domestic > 0 && domestic < parsed.iter().flatten().count() {
            return Err(fail(
                call,
                "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber",
                "Domestic and international numbers in one request.",
            ));
        }
        let content = if domestic > 0 && !self.signs.contains(&sign) {
            Err("FailedOperation.SignatureIncorrectOrUnapproved")
        } else {
            fill(self.sms_templates.get(&template), &params, self.longest_variable).map(|t| format!("【{sign}】{t}"))
        };
        let (mut set, mut reached, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (given, number) in numbers.iter().zip(parsed) {
            let code = self.judge_number(call, number.as_deref(), &content);
            self.counter += 1;
            let ok = code == "Ok";
            let serial = if ok { format!("5000:1045710669157053657849{:04}", self.counter) } else { String::new() };
            let message = if ok { "send success".to_owned() } else { code.clone() };
            set.push(json!({ "SerialNo": serial, "PhoneNumber": given, "Fee": u8::from(ok), "SessionContext": session, "Code": code, "Message": message, "IsoCode": "CN" }));
            if ok {
                self.sent.push((serial.clone(), number.clone().unwrap_or_default(), call.now.wall_s()));
            }
            if ok { reached.push(given.clone()) } else { refused.push(format!("refused:{given}:{code}")) }
        }
        let first_code = set[0]["Code"].as_str().unwrap_or("").to_owned();
        let answer = Answer::json(200, &json!({ "Response": { "SendStatusSet": set, "RequestId": request_id(call) } }));
        Ok(if reached.is_empty() { answer.refused(first_code) } else { answer.accepted("Ok", content.unwrap_or_default()).to(reached) }
            .notes(refused))
    }

    /// Statuses of one number, of the last seven days; each may be asked for as often as one likes.
    fn pull(&self, call: &Call, body: &Value) -> Judged {
        known_fields(call, body, &["BeginTime", "EndTime", "Offset", "Limit", "PhoneNumber", "SmsSdkAppId"])?;
        let given = text(call, body, "PhoneNumber")?.ok_or_else(|| missing(call, "PhoneNumber"))?;
        let app = text(call, body, "SmsSdkAppId")?.ok_or_else(|| missing(call, "SmsSdkAppId"))?;
        let whole = |name: &str| body.get(name).and_then(Value::as_i64).ok_or_else(|| missing(call, name));
        let (begin, end, offset, limit) = (whole("BeginTime")?, whole("EndTime")?, whole("Offset")?, whole("Limit")?);
        if !self.apps.contains(&app) || offset != 0 || !(1..=100).contains(&limit) || call.now.wall_s() - begin > 7 * 86_400 || end < begin {
            return Err(fail(call, "InvalidParameter", "A parameter is out of its range."));
        }
        let number = e164(&given).ok_or_else(|| fail(call, "InvalidParameterValue.IncorrectPhoneNumber", "The number is wrong."))?;
        let report = self.reports.get(&number);
        let set: Vec<Value> = self
            .sent
            .iter()
            .filter(|(_, to, at)| *to == number && (begin..=end).contains(at))
            .filter_map(|(serial, to, at)| {
                let (status, description) = report?;
                Some(json!({ "UserReceiveTime": at, "CountryCode": "86", "SubscriberNumber": to.trim_start_matches("+86"), "PhoneNumber": to, "SerialNo": serial, "ReportStatus": status, "Description": description, "SessionContext": "" }))
            })
            .take(limit as usize)
            .collect();
        Ok(Answer::json(200, &json!({ "Response": { "PullSmsSendStatusSet": set, "RequestId": request_id(call) } })))
    }

    fn judge_number(&mut self, call: &Call, number: Option<&str>, content: &Result<String, &'static str>) -> String {
        let Some(number) = number else { return "InvalidParameterValue.IncorrectPhoneNumber".to_owned() };
        if let Some(code) = self.bad_numbers.get(number) {
            return code.clone();
        }
        let content = match content {
            Ok(content) => content,
            Err(code) => return (*code).to_owned(),
        };
        if self.same_content.take(&format!("{number}{content}"), call.now.mono_ms).is_err() {
            return "LimitExceeded.PhoneNumberThirtySecondLimit".to_owned();
        }
        let code = if self.per_day.take(number, call.now.mono_ms).is_err() { "LimitExceeded.PhoneNumberDailyLimit" } else { "Ok" };
        code.to_owned()
    }

    fn send_voice(&mut self, call: &Call, body: &Value) -> Judged {
        known_fields(call, body, &["TemplateId", "CalledNumber", "VoiceSdkAppid", "TemplateParamSet", "PlayTimes", "SessionContext"])?;
        let template = text(call, body, "TemplateId")?.ok_or_else(|| missing(call, "TemplateId"))?;
        let given = text(call, body, "CalledNumber")?.ok_or_else(|| missing(call, "CalledNumber"))?;
        let app = text(call, body, "VoiceSdkAppid")?.ok_or_else(|| missing(call, "VoiceSdkAppid"))?;
        let params = strings(call, body, "TemplateParamSet")?.unwrap_or_default();
        let session = text(call, body, "SessionContext")?.unwrap_or_default();
        if body.get("PlayTimes").is_some_and(|p| !p.as_u64().is_some_and(|n| (1..=3).contains(&n))) {
            return Err(fail(call, "InvalidParameterValue", "PlayTimes must be 1 to 3."));
        }
        if !self.apps.contains(&app) {
            return Err(fail(call, "UnauthorizedOperation.VoiceSdkAppidIsDisabled", "The application is unknown or disabled."));
        }
        let number = e164(&given).filter(|_| given.starts_with('+'));
        let number = number.ok_or_else(|| fail(call, "InvalidParameterValue.CalledNumberVerifyFail", "The called number is wrong: use E.164."))?;
        if let Some(code) = self.bad_numbers.get(&number) {
            return Err(fail(call, code, code));
        }
        let said = fill(self.voice_templates.get(&template), &params, usize::MAX).map_err(|code| fail(call, code, code))?;
        if said.chars().count() > 350 {
            return Err(fail(call, "InvalidParameterValue.ContentLengthLimit", "The content is longer than 350 characters."));
        }
        if self.calls.iter_mut().any(|l| l.take(&number, call.now.mono_ms).is_err()) {
            return Err(fail(call, "LimitExceeded.DeliveryFrequencyLimit", "The callee's frequency limit is reached."));
        }
        self.counter += 1;
        let id = format!("a3f2b4c0-{:04}", self.counter);
        let reply = json!({ "Response": { "SendStatus": { "CallId": id, "SessionContext": session }, "RequestId": request_id(call) } });
        Ok(Answer::json(200, &reply).accepted("Ok", said).to([number]))
    }
}

fn missing(call: &Call, name: &str) -> Box<Answer> {
    fail(call, "MissingParameter", &format!("The request is missing the required parameter `{name}`."))
}

fn known_fields(call: &Call, body: &Value, known: &[&str]) -> Result<(), Box<Answer>> {
    let unknown = body.as_object().and_then(|o| o.keys().find(|k| !known.contains(&k.as_str())));
    unknown.map_or(Ok(()), |k| Err(fail(call, "UnknownParameter", &format!("The parameter `{k}` is not recognized."))))
}

fn text(call: &Call, body: &Value, name: &str) -> Result<Option<String>, Box<Answer>> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone()).filter(|s| !s.is_empty())),
        Some(_) => Err(fail(call, "InvalidParameter", &format!("The value type of parameter `{name}` is not valid: expected String."))),
    }
}

fn strings(call: &Call, body: &Value, name: &str) -> Result<Option<Vec<String>>, Box<Answer>> {
    let wrong = || fail(call, "InvalidParameter", &format!("The value type of parameter `{name}` is not valid: expected an array of String."));
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => items.iter().map(|i| i.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>().map(Some),
        Some(_) => Err(wrong()),
    }
}

/// Puts the parameters into the template's `{1}`, `{2}`, ...
fn fill(template: Option<&String>, params: &[String], longest: usize) -> Result<String, &'static str> {
    let template = template.ok_or("FailedOperation.TemplateIncorrectOrUnapproved")?;
    if variables(template, "{", "}").len() != params.len() {
        return Err("FailedOperation.TemplateParamSetNotMatchApprovedTemplate");
    }
    let mut text = template.clone();
    for (i, value) in params.iter().enumerate() {
        if has_url(value) {
            return Err("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter");
        }
        if value.chars().count() > longest {
            return Err("InvalidParameterValue.TemplateParameterLengthLimit");
        }
        text = text.replace(&format!("{{{}}}", i + 1), value);
    }
    Ok(text)
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "secret_id": "tencent-id", "secret_key": "tencent-secret", "app_id": "1400006666", "sign_name": "demo",
        "sms_template": "1110", "voice_template": "2220" });
    let yaml = |platform: &str, template: &str| -> &'static str {
        let keys = "secret_id: tencent-id, secret_key: tencent-secret, app_id: \"1400006666\", to: [\"13800000000\"], api_base: \"BASE\"";
        format!("{platform}: {{ {keys}, {template} }}, send_resolved: true").leak()
    };
    let sms = yaml("tencent_sms", r#"template: "1110", sign_name: demo, params: ["{severity}"]"#);
    let voice = yaml("tencent_voice", r#"template: "2220", params: ["{text}", "{severity}"]"#);
    let tencent = Sample::new(credentials, || Tencent::new("tencent-id", "tencent-secret"));
    vec![tencent.channel("tencent_sms", "/", &["tencent-secret"], sms).channel("tencent_voice", "/", &["tencent-secret"], voice)]
}
