//! The console at `/ui/`: what happened, why, and what can be done about it, in a browser. HTML that works without script; htmx saves the reload.
//!
//! A page is a typed function over what the store and the engine say; the parts are the same in every page. Texts of alerts are hostile: they pass
//! through `parts::shown`, and the policy of `dress` allows nothing inline and nothing from elsewhere.

mod acts;
mod assets;
mod audit;
mod channels;
mod config;
mod counts;
mod dead;
mod delivery;
mod error_page;
mod failure;
mod first_run;
mod form;
mod headline;
mod history;
mod incident;
mod layout;
mod live;
mod login;
mod mail;
mod manner;
mod mutes;
mod now;
mod oncall;
mod parts;
mod playground;
mod readiness;
mod simulate;
mod storm;
mod tester;
mod viewer;
mod window;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};

use self::failure::Failure;
use self::manner::Manner;
use super::App;

pub(super) use error_page::part as part_of_error;
pub(super) use live::Live;

/// The pages; the prefix `/ui` is cut off already.
pub(super) fn router(app: Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/", get(now::page))
        .route("/live", get(live::stream))
        .route("/test-alert", post(first_run::send))
        .route("/ack", get(incident::many::confirm).post(incident::many::ack))
        .route("/incidents/{id}", get(incident::page::page))
        .route("/incidents/{id}/confirm/close", get(incident::act::confirm_close))
        .route("/incidents/{id}/{verb}", post(incident::act::act))
        .route("/deliveries/{id}", get(delivery::page))
        .route("/deliveries/{id}/confirm/{act}", get(delivery::confirm))
        .route("/deliveries/{id}/mail/{page}", get(delivery::mail))
        .route("/deliveries/{id}/{act}", post(delivery::act))
        .route("/history", get(history::page))
        .route("/dead", get(dead::page))
        .route("/dead/confirm/{act}", get(dead::confirm))
        .route("/dead/{act}", post(dead::act))
        .route("/channels", get(channels::page))
        .route("/channels/{name}/confirm/{act}", get(channels::confirm))
        .route("/channels/{name}/{act}", post(channels::act))
        .route("/mutes", get(mutes::page).post(mutes::add))
        .route("/mutes/end", post(mutes::end))
        .route("/oncall", get(oncall::page))
        .route("/oncall/overrides", post(oncall::add))
        .route("/oncall/overrides/{number}/end", post(oncall::end))
        .route("/oncall/{kind}/{name}/calendar.ics", get(oncall::calendar))
        .route("/route", get(tester::page).post(tester::paste))
        .route("/templates", get(playground::page).post(playground::attempt))
        .route("/templates/mail", get(playground::mail).post(playground::mail_of))
        .route("/simulate", get(simulate::page))
        .route("/config", get(config::page))
        .route("/config/reload", post(config::reload))
        .route("/config/online", post(config::online))
        .route("/audit", get(audit::page))
        .route("/audit.csv", get(audit::export))
        .route("/audit/sessions/end", post(audit::end_session))
        .route("/login", get(login::show).post(login::submit))
        .route("/logout", post(login::leave))
        .route("/settings", post(login::settings))
        .route("/assets/{name}", get(assets::serve))
        .fallback(nothing)
        .method_not_allowed_fallback(to_page)
        .layer(from_fn_with_state(app, dress))
}

async fn nothing() -> Failure {
    Failure::missing("there is no such page")
}

/// Leads to the page that has the form of this address. A browser shows the address where its form was sent; the link back to the form, a login and a
/// change of the language lead there.
async fn to_page(request: Request) -> Result<Response, Failure> {
    let is_asked = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_asked {
        return Err(nothing().await);
    }
    Ok(form::go(request.headers(), &form::page_with(request.uri().path())))
}

/// Makes a page of a failure, in the reader's language, and adds what keeps browsers from mischief.
async fn dress(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; \
                          form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let manner = Manner::of_request(&app, &request);
    let (headers, reads) = (request.headers().clone(), request.method().is_safe());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Failure>() {
        None => {}
        Some(Failure::Login) => {
            // What a form asks for has no page: after the login its page is shown again, and that nothing was done.
            let (next, undone) = if reads { (manner.here.clone(), "") } else { (form::page_of(&headers), "&undone=1") };
            let next = percent_encoding::utf8_percent_encode(&next, percent_encoding::NON_ALPHANUMERIC);
            response = form::go(&headers, &format!("/ui/login?next={next}{undone}"));
        }
        Some(Failure::Answer(status, why)) => {
            let kept = response.headers().get(header::RETRY_AFTER).cloned();
            let form = (!reads).then(|| form::page_of(&headers));
            response = error_page::answer(&manner, status, &why, form.as_deref());
            if let Some(after) = kept.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(HeaderValue::from_static("5"))) {
                response.headers_mut().insert(header::RETRY_AFTER, after);
            }
        }
    }
    const HEADERS: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::VARY, "cookie, accept-language, hx-request"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
