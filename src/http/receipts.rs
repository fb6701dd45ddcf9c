//! `/receipts/<channel>?k=<key>`: where SMS and voice vendors say what became of what they took.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::body::{self, BodySource};
use super::{App, HttpError};
use crate::channel::Callback;
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
        plan.channel(&name).filter(|_| !expected.is_empty() && bool::from(given.as_bytes().ct_eq(expected.as_bytes()))).ok_or_else(wrong)?;
    let url = links::callback_url(&plan, channel);
    if url.is_empty() {
        return Err(wrong());
    }
    let (parts, sent) = request.into_parts();
    let held = body::read(&app, sent, MAX_CALLBACK_BYTES, BodySource::Unauthenticated, |_| {}).await?;
    let called = channel
        .driver
        .called_back(&Callback { url: &url, headers: &parts.headers, body: &held.bytes, now: app.engine.clock().wall().timestamp() })
        .map_err(|why| {
            tracing::warn!(channel = name, why, "a callback was not believed");
            HttpError::new(StatusCode::FORBIDDEN, format!("not believed: {why}"))
        })?;
    let mut recorded = 0;
    for one in &called {
        recorded += usize::from(app.engine.handle_callback(channel, one).await? == CallbackResult::Recorded);
    }
    // The vendor may have been faster than the store: it repeats. A list has calls of the account's other programs in it.
    if recorded == 0 && called.len() == 1 {
        return Err(HttpError::not_found("nothing is waited for under this id"));
    }
    Ok(Json(CallbackAccepted { result: 0, errmsg: "OK", code: 0, msg: "OK" }))
}
