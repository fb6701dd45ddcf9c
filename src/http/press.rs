//! `/press/<channel>`: where platforms report pressed buttons.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::admission::address;
use super::body::{self, BodySource};
use super::{App, HttpError};
use crate::channel::{Callback, PressCall, PressReply, PressWay};
use crate::delivery::ChannelPlan;

/// The largest report; Slack's has the whole message in it, which is at most some 100 KiB.
const MAX_PRESS_BYTES: usize = 256 << 10;

/// Takes a report. Who cannot prove to be the platform learns nothing, and changes nothing.
pub(super) async fn take(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Result<Response, HttpError> {
    let wrong = || HttpError::not_found("no such address");
    let plan = app.engine.plan();
    // A platform has the address by the name that the channel had when it was written down there.
    let reports = |channel: &&Arc<ChannelPlan>| matches!(channel.driver.press_way(), Some(PressWay::Callback | PressWay::Phone));
    let channel = plan.current_channel(&name).filter(reports).ok_or_else(wrong)?;
    let (parts, sent) = request.into_parts();
    let url = format!("{}{}", plan.external_url, parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string));
    let held = body::read(&app, sent, MAX_PRESS_BYTES, BodySource::Unauthenticated, |_| {}).await?;
    let call = Callback { url: &url, headers: &parts.headers, body: &held.bytes, now: app.engine.clock().wall().timestamp() };
    let call_is = channel.driver.pressed(&call).map_err(|why| {
        app.engine.metrics().pressed(channel.platform.name, "", "not_believed");
        tracing::warn!(channel = name, why, from = address(&app, &parts), "a press was not believed");
        HttpError::new(StatusCode::FORBIDDEN, format!("not believed: {why}"))
    })?;
    let reply = match call_is {
        PressCall::Answer(reply) => reply,
        PressCall::Again(value) => match app.engine.called_page(channel, &value).await? {
            Some(page) => channel.driver.said_again(&call, &page),
            None => channel.driver.press_reply(&call, &app.engine.gone(channel)),
        },
        PressCall::Kept(kept) => {
            // Where the store cannot be written, the platform tries again.
            app.engine.kept(channel, kept).await?;
            PressReply::EMPTY
        }
        PressCall::Command(command) => {
            let answer = app.engine.command(channel, command).await;
            channel.driver.press_reply(&call, &answer)
        }
        PressCall::Press(press) => {
            // The channels of one credential have one address at most platforms: any of them may have posted the message.
            let answer = app.engine.presses(channel).press(press).await;
            channel.driver.press_reply(&call, &answer)
        }
    };
    Ok(answer(reply))
}

fn answer(PressReply { status, content_type, body }: PressReply) -> Response {
    let status = StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::OK);
    if body.is_empty() {
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], body).into_response()
}
