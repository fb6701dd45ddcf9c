//! An application of DingTalk (企业内部应用): its token, and requests that carry it. <https://open.dingtalk.com/document/orgapp/obtain-the-access_token-of-an-internal-app>

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::token::{Fresh, TokenCache};
use super::{BuildContext, kit};
use crate::model::{ErrorKind, Secret, SendError};

/// Where applications are served.
pub(super) const API_BASE: &str = "https://api.dingtalk.com";

/// Where the older interface is served.
const OLD_BASE: &str = "https://oapi.dingtalk.com";

/// What the interface limits is free again after this long (<https://open.dingtalk.com/document/orgapp/invocation-frequency-limit>).
pub(super) const RATE: ErrorKind = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(2)) };

/// An application, and how it is reached.
pub(super) struct App {
    pub http: kit::Http,
    pub base: String,
    /// AppKey (Client ID).
    pub key: String,
    /// AppSecret (Client Secret).
    pub secret: Secret,
    /// Where the older interface is served.
    old_base: String,
    tokens: Arc<TokenCache>,
}

/// A refusal, and the answer to the question for a token.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Answer {
    pub code: String,
    pub message: String,
    access_token: String,
    expire_in: u64,
}

#[derive(Deserialize)]
struct Old {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
    #[serde(default)]
    sub_code: String,
    #[serde(default)]
    result: Option<User>,
}

#[derive(Deserialize)]
struct User {
    userid: String,
}

/// How the limits of a second begin: `..ForAppkeyAndApi`, `..ForApi`, `..ForOrg` and the like.
const QPS_LIMIT: &str = "Forbidden.AccessDenied.QpsLimit";

/// What any interface refuses.
const ERROR_CODES: &[kit::CodeRule] = &[
    (
        &["invalidClientIdOrSecret", "authFailed", "invalidClientId", "invalidClientSecret"],
        ErrorKind::Misconfigured,
        "the application is not accepted; check `app_key` and `app_secret`",
    ),
    (
        &["InvalidAuthentication", "AuthenticationFailed.MissingParameter"],
        ErrorKind::Misconfigured,
        "the application's token is not accepted, not even a new one",
    ),
    (&[QPS_LIMIT], RATE, "too many requests came too fast"),
    (&["Forbidden.AccessDenied.ApiCountLimitForOrg"], ErrorKind::Rejected, "the organisation's calls for this month are used up"),
    (&["Forbidden.AccessDenied.IpNotInWhiteList"], ErrorKind::Misconfigured, "this server's address is not on the application's list"),
    (
        &["Forbidden.AccessDenied.AccessTokenPermissionDenied"],
        ErrorKind::Misconfigured,
        "the application lacks a permission; look at its page of permissions (权限管理)",
    ),
    (&["ServiceUnavailable", "ServiceTemporarilyUnavailable"], ErrorKind::Transient, "it could not serve the request this time"),
];

impl Answer {
    /// Whether it names a reason. An answer that does not is no refusal of DingTalk's.
    pub fn refuses(&self) -> bool {
        !(self.code.is_empty() && self.message.is_empty())
    }
}

impl App {
    /// Channels of one application share its token.
    pub fn new(cx: &BuildContext<'_>, http: kit::Http, key: &str, secret: Secret, base: Option<&str>) -> Self {
        let old_base = base.unwrap_or(OLD_BASE).to_owned();
        let (key, base) = (key.trim().to_owned(), base.unwrap_or(API_BASE).to_owned());
        let tokens = cx.http.tokens("dingtalk", &[&key, secret.expose(), &base]);
        Self { http: http.with_secrets([secret.clone()]), base, old_base, key, secret, tokens }
    }

    /// An address of the interface.
    pub fn url(&self, path: &str) -> String {
        kit::join(&self.base, path)
    }

    /// The token; the cached one where there is one.
    pub async fn token(&self, deadline: Instant, now: Timestamp) -> Result<Secret, SendError> {
        let fetch = async {
            let ask = json!({ "appKey": self.key, "appSecret": self.secret.expose() }).to_string();
            let call = self.http.post(self.url("/v1.0/oauth2/accessToken")).body("application/json", ask).idempotent();
            let reply = call.send(deadline).await?;
            let answer: Answer = kit::parse(&reply, now)?;
            if !reply.is_success() || answer.access_token.is_empty() {
                return Err(no_token(&answer, &reply, now));
            }
            Ok(Fresh { token: Secret::new(answer.access_token), expires_in: Duration::from_secs(answer.expire_in) })
        };
        self.tokens.get(fetch).await
    }

    /// The user id of a mobile number; a refusal of the recipient where nobody has it.
    /// <https://open.dingtalk.com/document/orgapp/query-users-by-phone-number>
    pub async fn user(&self, mobile: &str, deadline: Instant, now: Timestamp) -> Result<String, SendError> {
        let ask = json!({ "mobile": mobile });
        let url = kit::join(&self.old_base, "/topapi/v2/user/getbymobile");
        let call = |token: &Secret| self.http.post_json(url.as_str(), &ask).idempotent().query_secret("access_token", token);
        user(&self.call(call, is_old_token_trouble, deadline, now).await?, now)
    }

    /// Makes a request with the token, once more with a new one where the first is refused.
    pub async fn call(
        &self,
        request: impl Fn(&Secret) -> kit::Call + Send + Sync,
        is_token_trouble: impl Fn(&kit::Reply) -> bool + Send + Sync,
        deadline: Instant,
        now: Timestamp,
    ) -> Result<kit::Reply, SendError> {
        for renewed in [false, true] {
            let token = self.token(deadline, now).await?;
            let reply = request(&token).send(deadline).await?;
            if renewed || !is_token_trouble(&reply) {
                return Ok(reply);
            }
            self.tokens.invalidate(&token);
        }
        Err(SendError::new(ErrorKind::Transient, "the application's token was refused twice"))
    }
}

/// Why there is no token.
fn no_token(answer: &Answer, reply: &kit::Reply, now: Timestamp) -> SendError {
    if reply.is_success() && !answer.refuses() {
        return kit::unclear(reply);
    }
    refusal(&[], answer, reply, now)
}

/// The token's place in a request of the newer interface.
pub(super) fn with_token(call: kit::Call, token: &Secret) -> kit::Call {
    call.header_secret("x-acs-dingtalk-access-token", token)
}

/// Whether a new token would help.
pub(super) fn is_token_trouble(reply: &kit::Reply) -> bool {
    reply.json::<Answer>().is_some_and(|answer| answer.code == "InvalidAuthentication")
}

/// What a refusal means: by the interface's `own` codes, by those of any interface, or by its status.
pub(super) fn refusal(own: &[kit::CodeRule], answer: &Answer, reply: &kit::Reply, now: Timestamp) -> SendError {
    let by_status = || kit::classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    let by_words = || kit::limit_by_words(&answer.message).map(|(_, advice)| (RATE, advice));
    let code = if answer.code.starts_with(QPS_LIMIT) { QPS_LIMIT } else { answer.code.as_str() };
    let known = kit::classify(own, code).or_else(|| kit::classify(ERROR_CODES, code)).or_else(by_words);
    let (kind, advice) = known.unwrap_or_else(|| (by_status(), "see the code in DingTalk's list of errors"));
    let code = if answer.code.is_empty() { format!("HTTP {}", reply.status()) } else { answer.code.clone() };
    kit::passing(reply, reply.error(reply.with_wait(kind, now), code, format!("DingTalk: {advice} (\"{}\")", answer.message)), now)
}

/// The answer to the question for a mobile's user.
fn user(reply: &kit::Reply, now: Timestamp) -> Result<String, SendError> {
    let answer: Old = kit::parse(reply, now)?;
    if let (0, Some(user)) = (answer.errcode, &answer.result) {
        return Ok(user.userid.clone());
    }
    // 88 is any refusal of the interface behind; its own code is beside it.
    let errcode = answer.sub_code.parse().ok().filter(|_| answer.errcode == 88).unwrap_or(answer.errcode);
    let code = errcode.to_string();
    let (kind, advice) = match errcode {
        60121 | 40104 => {
            let text = format!("nobody in the organisation has this mobile number (\"{}\")", answer.errmsg);
            return Err(reply.error(ErrorKind::Rejected, code, text).of_recipient());
        }
        -1 => (ErrorKind::Transient, "it is busy"),
        90001..=90006 | 90018 => (RATE, "too many requests came too fast"),
        60020 => (ErrorKind::Misconfigured, "this server's address is not on the application's list"),
        60011 | 88 | 33001 | 40001 | 40014 | 42001 => {
            (ErrorKind::Misconfigured, "the application lacks a permission (qyapi_get_member_by_mobile), or its token is refused")
        }
        _ => kit::passing_by_words(&answer.errmsg).unwrap_or((ErrorKind::Rejected, "the mobile number cannot be looked up")),
    };
    Err(reply.error(kind, code, format!("DingTalk: {advice} (\"{}\")", answer.errmsg)))
}

/// Whether a new token would help: `InvalidAuthentication`, or the old interface's 88 with 40014.
fn is_old_token_trouble(reply: &kit::Reply) -> bool {
    let old =
        reply.json::<Old>().is_some_and(|old| matches!(old.errcode, 40014 | 42001 | 40001 | 33001) || old.errcode == 88 && old.sub_code == "40014");
    old || is_token_trouble(reply)
}
