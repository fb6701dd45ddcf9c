//! `/receipts/<channel>?k=<key>`: where SMS and voice vendors say what became of what they took.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::admission::address;
use super::body::{self, BodySource};
use super::{App, HttpError};
use crate::channel::{Callback, Called};
use crate::delivery::links;
use crate::delivery::receipts::CallbackResult;

/// The largest callback; real ones have a few hundred bytes.
const MAX_CALLBACK_BYTES: usize = 64 << 10;

/// What the vendors wait for (Tencent Cloud: <https://cloud.tencent.com/document/product/1128/51534>; Alibaba Cloud:
/// <https://help.aliyun.com/zh/vms/developer-reference/voicereport-6>; Twilio reads only the status).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct CallbackAccepted {
    /// 0.
    result: u8,
    /// `OK`.
    errmsg: &'static str,
    /// 0.
    code: u8,
    /// `OK`.
    msg: &'static str,
}

/// Keys before ends: an ack must not wait for, nor fail with, how another call ended.
fn keys_first(called: &[Called]) -> Vec<&Called> {
    let (keys, ends): (Vec<_>, Vec<_>) = called.iter().partition(|one| one.key.is_some());
    keys.into_iter().chain(ends).collect()
}

/// Whether the vendor is to report it again, for what is not known: it may have been faster than the store. A list has ends of calls of the account's other
/// programs in it, some with keys, and what has ended was stored long before: only a key that is lost while its call goes on counts there.
fn is_to_be_repeated(called: &[Called], lost: &[&Called]) -> bool {
    lost.iter().any(|one| one.key.is_some() && one.word.is_none()) || (called.len() == 1 && !lost.is_empty())
}

/// Takes a callback. Who does not know the address's secret part learns nothing.
pub(super) async fn take(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<CallbackAccepted>, HttpError> {
    let wrong = || HttpError::not_found("no such address");
    let plan = app.engine.plan();
    let given = query.as_deref().unwrap_or("").split('&').find_map(|p| p.strip_prefix("k=")).unwrap_or("");
    let expected = links::callback_key(&plan.link_key, &name);
    let channel =
        plan.current_channel(&name).filter(|_| !expected.is_empty() && bool::from(given.as_bytes().ct_eq(expected.as_bytes()))).ok_or_else(wrong)?;
    let url = links::callback_url_by(&plan, channel, &name);
    if url.is_empty() {
        return Err(wrong());
    }
    let (parts, sent) = request.into_parts();
    let held = body::read(&app, sent, MAX_CALLBACK_BYTES, BodySource::Unauthenticated, |_| {}).await?;
    let called = channel
        .driver
        .called_back(&Callback { url: &url, headers: &parts.headers, body: &held.bytes, now: app.engine.clock().wall().timestamp() })
        .map_err(|why| {
            tracing::warn!(channel = name, why, from = address(&app, &parts), "a callback was not believed");
            HttpError::new(StatusCode::FORBIDDEN, format!("not believed: {why}"))
        })?;
    let mut lost = Vec::new();
    for one in keys_first(&called) {
        if app.engine.handle_callback(channel, one).await? == CallbackResult::Unknown {
            if one.key.is_some() {
                tracing::warn!(
                    channel = name,
                    platform_id = one.platform_id,
                    "a key was pressed in a call that is not known; its vendor is to report it again"
                );
            }
            lost.push(one);
        }
    }
    if is_to_be_repeated(&called, &lost) {
        return Err(HttpError::not_found("nothing is waited for under this id"));
    }
    Ok(Json(CallbackAccepted { result: 0, errmsg: "OK", code: 0, msg: "OK" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(id: &str, key: Option<&str>) -> Called {
        Called { platform_id: id.into(), recipient: None, word: None, key: key.map(Into::into) }
    }

    #[test]
    fn keys_of_a_list_come_first_and_one_that_is_lost_is_reported_again() {
        let list = [called("end", None), called("key", Some("1")), called("another", None)];
        let ids: Vec<_> = keys_first(&list).into_iter().map(|one| one.platform_id.as_str()).collect();
        assert_eq!(ids, ["key", "end", "another"]);
        assert!(is_to_be_repeated(&list, &[&list[1]]), "a lost key");
        assert!(!is_to_be_repeated(&list, &[&list[0], &list[2]]), "calls of other programs");
        let ended = Called { word: Some(crate::model::Word::delivered("200000", "")), ..called("key", Some("1")) };
        assert!(!is_to_be_repeated(&list, &[&ended]), "the call of another program, in which a key was pressed");
        assert!(is_to_be_repeated(&list[..1], &[&list[0]]) && !is_to_be_repeated(&list[..1], &[]));
    }
}
