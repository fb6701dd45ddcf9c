//! Aliyun SMS (dysmsapi) and voice (dyvmsapi), version 2017-05-25, signed with ACS3-HMAC-SHA256.
//! Gateway errors have an HTTP status; business errors come with HTTP 200 and a `Code` that is not `OK`.
//!
//! Choices where the documents are silent: a call to several numbers is refused as a whole when one of them is
//! over its limit; the window of `x-acs-date` is 15 minutes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::call::{Answer, Call};
use super::crypt::{hex, hmac_sha256, rfc3986, sha256_hex};
use super::phone::{e164, has_url, variables};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;

const HOUR: u64 = 3600;

/// The account.
pub struct Aliyun {
    /// AccessKey id -> secret.
    pub keys: HashMap<String, String>,
    /// Approved signatures.
    pub signs: HashSet<String>,
    /// SMS templates: code -> text with `${name}` variables.
    pub sms_templates: HashMap<String, String>,
    /// Voice templates: code -> text with `${name}` variables.
    pub tts_templates: HashMap<String, String>,
    /// SMS per number and day.
    pub sms_day: Limiter,
    /// SMS per number and minute (off unless a test turns it on).
    pub sms_minute: Limiter,
    /// Calls per callee and minute, hour and day.
    pub call_limits: [Limiter; 3],
    /// What became of sent messages and calls, by number: (SMS `SendStatus`, `ErrCode`); delivered unless set.
    pub receipts: HashMap<String, (u8, String)>,
    /// Numbers of the account, which a call that waits for a key must show.
    pub own: HashSet<String>,
    /// The next requests that pass the signature get these answers: (HTTP status, Code, Message).
    pub next: VecDeque<(u16, String, String)>,
    /// Whether `x-acs-signature-nonce` may repeat.
    pub nonce_reuse: bool,
    nonces: HashSet<String>,
    sent: Vec<Sent>,
    counter: u64,
}

struct Sent {
    /// What it is charged as, and asked for by.
    product: &'static str,
    id: String,
    number: String,
    template: String,
    text: String,
    out_id: String,
    at_s: i64,
}

impl Aliyun {
    /// An account with one key, signature, SMS template and voice template.
    pub fn new(key: &str, secret: &str) -> Self {
        Self {
            keys: HashMap::from([(key.to_owned(), secret.to_owned())]),
            signs: HashSet::from(["阿里云".to_owned()]),
            sms_templates: HashMap::from([("SMS_153055065".to_owned(), "验证码 ${code}".to_owned())]),
            tts_templates: HashMap::from([("TTS_10001".to_owned(), "告警 ${name}，级别 ${severity}".to_owned())]),
            sms_day: Limiter::new(Pace::per(40, Duration::from_secs(24 * HOUR))),
            sms_minute: Limiter::new(Pace::Off),
            call_limits: [
                Limiter::new(Pace::per(1, Duration::from_secs(60))),
                Limiter::new(Pace::per(5, Duration::from_secs(HOUR))),
                Limiter::new(Pace::per(20, Duration::from_secs(24 * HOUR))),
            ],
            receipts: HashMap::new(),
            own: HashSet::from(["057112345678".to_owned()]),
            next: VecDeque::new(),
            nonce_reuse: false,
            nonces: HashSet::new(),
            sent: Vec::new(),
            counter: 0,
        }
    }
}

type Params = BTreeMap<String, String>;
type Judged = Result<Answer, Box<Answer>>;

fn request_id(call: &Call) -> String {
    let h = sha256_hex(format!("{}{}{}", call.now.wall_ms, call.raw_query, call.now.mono_ms).as_bytes()).to_uppercase();
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..32])
}

fn gateway(call: &Call, status: u16, code: &str, message: &str) -> Box<Answer> {
    let body = json!({ "RequestId": request_id(call), "HostId": call.header("host").unwrap_or(""), "Code": code, "Message": message, "Recommend": "https://api.aliyun.com/troubleshoot" });
    Answer::json(status, &body).refused(code).into()
}

fn business(call: &Call, code: &str, message: &str) -> Box<Answer> {
    Answer::json(200, &json!({ "Message": message, "RequestId": request_id(call), "Code": code })).refused(code).into()
}

impl Platform for Aliyun {
    fn name(&self) -> &'static str {
        "aliyun"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        self.judge(call).unwrap_or_else(|refusal| *refusal)
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        let [a, b, c] = &mut self.call_limits;
        vec![&mut self.sms_day, &mut self.sms_minute, a, b, c]
    }
}

impl Aliyun {
    fn judge(&mut self, call: &Call) -> Judged {
        self.check_signature(call)?;
        if call.header("x-acs-version") != Some("2017-05-25") {
            return Err(gateway(call, 400, "InvalidVersion", "Specified parameter Version is not valid."));
        }
        if let Some((status, code, message)) = self.next.pop_front() {
            return Err(if status == 200 { business(call, &code, &message) } else { gateway(call, status, &code, &message) });
        }
        let mut params: Params = call.query.iter().cloned().collect();
        if call.media_type() == "application/x-www-form-urlencoded" {
            params.extend(call.form());
        }
        match call.header("x-acs-action").unwrap_or("") {
            "SendSms" => self.send_sms(call, &params),
            "QuerySendDetails" => self.query_sms(call, &params),
            "SingleCallByTts" => self.single_call(call, &params),
            "IvrCall" => self.menu_call(call, params),
            "QueryCallDetailByCallId" => self.query_call(call, &params),
            _ => Err(gateway(call, 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method.")),
        }
    }

    fn check_signature(&mut self, call: &Call) -> Result<(), Box<Answer>> {
        let incomplete = || gateway(call, 400, "IncompleteSignature", "The request signature does not conform to Aliyun standards.");
        let authorization = call.header("authorization").and_then(|a| a.strip_prefix("ACS3-HMAC-SHA256 ")).ok_or_else(incomplete)?;
        let field = |name: &str| authorization.split(',').find_map(|p| p.trim().strip_prefix(name)).ok_or_else(incomplete);
        let (key, signed, signature) = (field("Credential=")?, field("SignedHeaders=")?, field("Signature=")?);
        let secret = self.keys.get(key).ok_or_else(|| gateway(call, 404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."))?;
        let date = call.header("x-acs-date").and_then(|d| d.parse::<jiff::Timestamp>().ok()).ok_or_else(incomplete)?;
        if (call.now.wall_s() - date.as_second()).abs() > 900 {
            return Err(gateway(call, 400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."));
        }
        let names: Vec<&str> = signed.split(';').collect();
        let must_sign = |n: &str| n == "host" || n == "content-type" || n.starts_with("x-acs-");
        let sorted = names.windows(2).all(|w| w[0] < w[1]);
        let complete =
            call.headers.iter().all(|(n, _)| !must_sign(n) || names.contains(&n.as_str()) || (n == "content-type" && call.body.is_empty()));
        let required = ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];
        if !sorted || !complete || required.iter().any(|r| !names.contains(r) || call.header(r).is_none()) {
            return Err(incomplete());
        }
        if call.header("x-acs-content-sha256") != Some(sha256_hex(&call.body).as_str()) {
            return Err(gateway(call, 400, "SignatureDoesNotMatch", "x-acs-content-sha256 does not match the request payload."));
        }
        let mut query: Vec<(String, String)> = call.query.iter().map(|(k, v)| (rfc3986(k), rfc3986(v))).collect();
        query.sort();
        let query = query.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("&");
        let headers: String = names.iter().map(|n| format!("{n}:{}\n", call.header(n).unwrap_or("").trim())).collect();
        let canonical = format!("{}\n{}\n{query}\n{headers}\n{signed}\n{}", call.method, call.path, sha256_hex(&call.body));
        let to_sign = format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes()));
        if signature != hex(&hmac_sha256(secret.as_bytes(), to_sign.as_bytes())) {
            let text = format!("Specified signature is not matched with our calculation. server string to sign is:{to_sign}");
            return Err(gateway(call, 400, "SignatureDoesNotMatch", &text));
        }
        let nonce = call.header("x-acs-signature-nonce").unwrap_or("").to_owned();
        if !self.nonces.insert(nonce) && !self.nonce_reuse {
            return Err(gateway(call, 400, "SignatureNonceUsed", "Specified signature nonce was used already."));
        }
        Ok(())
    }

    fn send_sms(&mut self, call: &Call, p: &Params) -> Judged {
        let get = |name: &str| p.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let need =
            |name: &str| get(name).ok_or_else(|| gateway(call, 400, &format!("Missing{name}"), &format!("{name} is mandatory for this action.")));
        let (numbers, sign, template) = (need("PhoneNumbers")?, need("SignName")?, need("TemplateCode")?);
        let numbers: Vec<&str> = numbers.split(',').collect();
        if numbers.len() > 1000 {
            return Err(business(call, "isv.MOBILE_COUNT_OVER_LIMIT", "手机号码数量超过限制"));
        }
        let known: Option<Vec<String>> = numbers.iter().map(|n| e164(n)).collect();
        let Some(known) = known else { return Err(business(call, "isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误")) };
        if !self.signs.contains(sign) {
            return Err(business(call, "isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名"));
        }
        let Some(text) = self.sms_templates.get(template) else {
            return Err(business(call, "isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板"));
        };
        let text = fill(call, text, get("TemplateParam"), 35)?;
        for number in &known {
            if self.sms_minute.take(number, call.now.mono_ms).is_err() {
                return Err(business(call, "isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"));
            }
            if self.sms_day.take(number, call.now.mono_ms).is_err() {
                return Err(business(call, "isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:40"));
            }
        }
        self.counter += 1;
        let id = format!("9006197469364984{:02}^0", self.counter);
        let text = format!("【{sign}】{text}");
        for number in &known {
            let out_id = get("OutId").unwrap_or("").to_owned();
            self.sent.push(Sent {
                product: "",
                id: id.clone(),
                number: number.clone(),
                template: template.to_owned(),
                text: text.clone(),
                out_id,
                at_s: call.now.wall_s(),
            });
        }
        let body = json!({ "RequestId": request_id(call), "BizId": id, "Code": "OK", "Message": "OK" });
        Ok(Answer::json(200, &body).accepted("OK", text).to(known))
    }

    fn query_sms(&self, call: &Call, p: &Params) -> Judged {
        let get = |name: &str| p.get(name).map(String::as_str).unwrap_or("");
        let number = e164(get("PhoneNumber")).ok_or_else(|| business(call, "isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误"))?;
        let size = get("PageSize").parse::<usize>().ok().filter(|n| (1..=50).contains(n));
        let page = get("CurrentPage").parse::<usize>().ok().filter(|n| *n >= 1);
        let (Some(size), Some(page), 8) = (size, page, get("SendDate").len()) else {
            return Err(business(call, "isv.INVALID_PARAMETERS", "参数异常"));
        };
        let day = |s: i64| jiff::Timestamp::from_second(s + 8 * 3600).map(|t| t.to_string()[..10].replace('-', "")).unwrap_or_default();
        let fits = |s: &&Sent| s.number == number && day(s.at_s) == get("SendDate") && (get("BizId").is_empty() || s.id == get("BizId"));
        let all: Vec<&Sent> = self.sent.iter().filter(fits).collect();
        let (status, code) = self.receipts.get(&number).cloned().unwrap_or((3, "DELIVERED".to_owned()));
        let list: Vec<Value> = all
            .iter()
            .skip((page - 1) * size)
            .take(size)
            .map(|s| json!({ "PhoneNum": s.number.trim_start_matches("+86"), "SendStatus": status, "ErrCode": code, "TemplateCode": s.template, "Content": s.text, "OutId": s.out_id, "SendDate": s.at_s.to_string() }))
            .collect();
        let body = json!({ "RequestId": request_id(call), "Code": "OK", "Message": "OK", "TotalCount": all.len(), "SmsSendDetailDTOs": { "SmsSendDetailDTO": list } });
        Ok(Answer::json(200, &body))
    }

    fn single_call(&mut self, call: &Call, p: &Params) -> Judged {
        let get = |name: &str| p.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let need =
            |name: &str| get(name).ok_or_else(|| gateway(call, 400, &format!("Missing{name}"), &format!("{name} is mandatory for this action.")));
        let (number, code) = (need("CalledNumber")?, need("TtsCode")?);
        let Some(number) = e164(number) else { return Err(business(call, "isv.MOBILE_NUMBER_ILLEGAL", "号码格式错误")) };
        let Some(text) = self.tts_templates.get(code) else {
            return Err(business(call, "isv.TTS_TEMPLATE_ILLEGAL", "未找到审核通过的文本转语音模板"));
        };
        for (name, range) in [("PlayTimes", 1..=3), ("Volume", 0..=100), ("Speed", -500..=500)] {
            if get(name).is_some_and(|v| !v.parse::<i64>().is_ok_and(|n| range.contains(&n))) {
                return Err(business(call, "isv.INVALID_PARAMETERS", "参数异常"));
            }
        }
        if get("OutId").is_some_and(|o| o.len() > 15) || get("TtsParam").is_some_and(|t| t.chars().count() >= 250) {
            return Err(business(call, "isv.INVALID_PARAMETERS", "参数异常"));
        }
        let text = fill(call, text, get("TtsParam"), 250)?;
        if self.call_limits.iter_mut().any(|l| l.take(&number, call.now.mono_ms).is_err()) {
            return Err(business(call, "isv.BUSINESS_LIMIT_CONTROL", "触发业务流控限制"));
        }
        self.counter += 1;
        let id = format!("1160123541{:02}^1028137841{:02}", self.counter, self.counter);
        let out_id = get("OutId").unwrap_or("").to_owned();
        let product = if get("StartCode").is_some() { "11000000300005" } else { "11000000300006" };
        self.sent.push(Sent {
            product,
            id: id.clone(),
            number: number.clone(),
            template: code.to_owned(),
            text: text.clone(),
            out_id,
            at_s: call.now.wall_s(),
        });
        let body = json!({ "RequestId": request_id(call), "CallId": id, "Code": "OK", "Message": "OK" });
        Ok(Answer::json(200, &body).accepted("OK", text).to([number]))
    }

    /// <https://help.aliyun.com/document_detail/56962.html>: what waits for a key is read like any call, and has a template for each key.
    fn menu_call(&mut self, call: &Call, mut p: Params) -> Judged {
        let get = |name: &str| p.get(name).map(String::as_str).unwrap_or("");
        let unknown = || business(call, "isv.TTS_TEMPLATE_ILLEGAL", "未找到审核通过的文本转语音模板");
        if !self.own.contains(get("CalledShowNumber")) {
            return Err(business(call, "isv.DISPLAY_NUMBER_ILLEGAL", "号显不合法"));
        }
        if get("MenuKeyMap.1.Key").len() != 1 || !get("Timeout").parse::<u32>().is_ok_and(|ms| ms <= 10_000) || p.contains_key("TtsCode") {
            return Err(business(call, "isv.INVALID_PARAMETERS", "参数异常"));
        }
        if !self.tts_templates.contains_key(get("MenuKeyMap.1.Code")) {
            return Err(unknown());
        }
        for (menu, single) in [("StartCode", "TtsCode"), ("StartTtsParams", "TtsParam")] {
            if let Some(value) = p.get(menu).cloned() {
                p.insert(single.to_owned(), value);
            }
        }
        self.single_call(call, &p)
    }

    fn query_call(&self, call: &Call, p: &Params) -> Judged {
        let get = |name: &str| p.get(name).map(String::as_str).unwrap_or("");
        if !matches!(get("ProdId"), "11010000138001" | "11000000300006" | "11000000300005") || get("QueryDate").parse::<i64>().is_err() {
            return Err(business(call, "isv.INVALID_PARAMETERS", "参数异常"));
        }
        // The details are there three minutes after the call, and are looked for in the 24 hours after the date.
        let from = get("QueryDate").parse::<i64>().unwrap_or(0) / 1000;
        let ours = |s: &&Sent| {
            s.id == get("CallId") && s.product == get("ProdId") && (0..86_400).contains(&(s.at_s - from)) && call.now.wall_s() - s.at_s >= 180
        };
        let Some(sent) = self.sent.iter().find(ours) else {
            return Err(business(call, "isv.BILLID_NOT_EXIST", "没有找到该话单"));
        };
        let (state, described) = self
            .receipts
            .get(&sent.number)
            .map_or(("200000".to_owned(), "用户接通"), |(n, code)| (code.clone(), if *n == 3 { "用户接通" } else { "未接通" }));
        let detail =
            json!({ "callee": sent.number.trim_start_matches("+86"), "state": state, "stateDesc": described, "duration": 12, "tollType": "LOCAL" });
        let body = json!({ "RequestId": request_id(call), "Code": "OK", "Message": "OK", "Data": detail.to_string() });
        Ok(Answer::json(200, &body))
    }
}

/// Fills `${name}` variables from a JSON object of strings.
fn fill(call: &Call, template: &str, params: Option<&str>, longest: usize) -> Result<String, Box<Answer>> {
    let illegal = || business(call, "isv.INVALID_JSON_PARAM", "参数格式错误，请修改为字符串值");
    let values: Map<String, Value> = params.map_or(Ok(Map::new()), |p| serde_json::from_str(p).map_err(|_| illegal()))?;
    let mut text = template.to_owned();
    for (name, value) in &values {
        let value = value.as_str().ok_or_else(illegal)?;
        if has_url(value) {
            return Err(business(call, "isv.PARAM_NOT_SUPPORT_URL", "变量不支持传入URL"));
        }
        if value.chars().count() > longest {
            return Err(business(call, "isv.PARAM_LENGTH_LIMIT", "参数超过长度限制"));
        }
        text = text.replace(&format!("${{{name}}}"), value);
    }
    if variables(template, "${", "}").iter().any(|name| !values.contains_key(*name)) {
        return Err(business(call, "isv.TEMPLATE_MISSING_PARAMETERS", "模板变量缺少对应参数值"));
    }
    Ok(text)
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "access_key_id": "aliyun-key", "access_key_secret": "aliyun-secret", "sign_name": "阿里云",
        "template_code": "SMS_153055065", "tts_code": "TTS_10001" });
    let yaml = |platform: &str, template: &str| -> &'static str {
        let keys = "access_key_id: aliyun-key, access_key_secret: aliyun-secret, to: [\"13800000000\"], api_base: \"BASE\"";
        format!("{platform}: {{ {keys}, {template} }}, send_resolved: true").leak()
    };
    let sms = yaml("aliyun_sms", r#"template: SMS_153055065, sign_name: 阿里云, params: { code: "{severity}" }"#);
    let voice = yaml("aliyun_voice", r#"template: TTS_10001, params: { name: "{text}", severity: "{severity}" }"#);
    let aliyun = Sample::new(credentials, || Aliyun::new("aliyun-key", "aliyun-secret"));
    vec![aliyun.channel("aliyun_sms", "/", &["aliyun-secret"], sms).finds_lost().channel("aliyun_voice", "/", &["aliyun-secret"], voice)]
}
