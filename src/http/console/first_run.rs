//! Nothing was received yet: what to do with this.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};

use super::failure::Failure;
use super::form::{Form, go};
use super::parts::{icon, say, shown};
use super::readiness::trouble;
use super::viewer::Viewer;
use crate::api::ChannelState;
use crate::config::CredentialKind;
use crate::http::api::events::send_test_alert;
use crate::http::auth::{Auth, Credential};
use crate::http::{App, Scope};

/// The alert of a test.
const TEST: &str = r#"{"alerts":[{"status":"firing","labels":{"alertname":"Test","severity":"warning"},"annotations":{"summary":"A test"}}]}"#;

/// The receiver for alertmanager.yml, with the credential that asks least of the webhook, as Alertmanager sends it: it signs nothing.
fn receiver(base: &str, auth: &Auth) -> String {
    const FILE: &str = "/run/secrets/watchfire";
    let fits = |one: &&Credential| one.opens(Scope::Webhook) && matches!(one.kind, CredentialKind::Bearer(_) | CredentialKind::Basic { .. });
    let power = |one: &&Credential| (!one.channels.is_empty(), one.opens(Scope::Admin), one.scopes.len());
    let least = auth.credentials.iter().filter(fits).min_by_key(power);
    let secret = least.map(|one| {
        let how = match &one.kind {
            CredentialKind::Basic { username, .. } => {
                format!("basic_auth: {{ username: {}, password_file: {FILE} }}", serde_json::Value::from(username.as_str()))
            }
            _ => format!("authorization: {{ credentials_file: {FILE} }}"),
        };
        format!("\n        http_config: {{ {how} }}   # the secret of `{}`", one.name)
    });
    format!("receivers:\n  - name: watchfire\n    webhook_configs:\n      - url: {base}/webhook{}", secret.unwrap_or_default())
}

/// The body of the page. `host` is what the browser calls this server.
pub(super) fn body(app: &App, viewer: &Viewer, channels: &[ChannelState], host: &str) -> Markup {
    let language = viewer.manner.language;
    let plan = app.engine.plan();
    let settings = app.settings.load();
    let scheme = if settings.https { "https" } else { "http" };
    let base = if plan.external_url.is_empty() { format!("{scheme}://{host}") } else { plan.external_url.clone() };
    let alertmanager = receiver(&base, &settings.auth);
    let curl = format!("curl -H 'Content-Type: application/json' -d '{TEST}' {base}/webhook");
    let active = || channels.iter().filter(|channel| !channel.disabled);
    let ready = active().filter(|channel| trouble(channel, viewer.manner.now.into(), language).is_none());
    let ready: Vec<&str> = ready.map(|channel| channel.name.as_str()).collect();
    html! {
        div.head { div { h1 { (say(language, "Ready. Nothing received yet", "已就绪，尚未收到告警")) } p { (say(language, "This page shows the first alert as soon as it fires.", "第一条告警触发后，此页即会显示。")) } } (super::live::indicator(app, &viewer.manner, 0)) }
        ol.list.steps {
            li.step { span.no { "1" } div { h2 { (say(language, "Point Alertmanager here", "让 Alertmanager 指向这里")) }
                p.dim { (say(language, "These lines in alertmanager.yml, then reload it. In Grafana: a contact point of the type Webhook with the same address.", "把以下内容写入 alertmanager.yml 并重新加载。Grafana：新建 Webhook 联络点，地址相同。")) }
                pre.code { (shown(&alertmanager)) }
                div.acts { button.b type="button" data-copy=(alertmanager) { (icon("copy")) (say(language, "Copy", "复制")) } } } }
            li.step { span.no { "2" } div { h2 { (say(language, "Or send a test alert now", "或现在发送测试告警")) }
                p.dim { (say(language, "It goes the whole way: received, kept, routed, sent, and confirmed by the platform. It fires until it is closed on its page.", "走完整个流程：接收、落盘、路由、发送并由平台确认。它会一直触发，直到在其页面上关闭。")) }
                @if viewer.operates { form.acts method="post" action="/ui/test-alert" { button.b.p { (say(language, "Send a test alert", "发送测试告警")) } } }
                p.dim.mt { (say(language, "The same from a shell; with server.auth, add its credential:", "从命令行发送；启用 server.auth 时请附上凭证：")) }
                pre.code { (shown(&curl)) }
                div.acts { button.b type="button" data-copy=(curl) { (icon("copy")) (say(language, "Copy", "复制")) } } } }
            li.step { span.no.done { (icon("check")) } div { h2 { (ready.len()) (say(language, " of ", " / ")) (active().count()) (say(language, " channels are ready", " 个通道就绪")) }
                p.dim { (shown(&ready.join(", "))) } div.acts { a.b href="/ui/channels" { (say(language, "Test a channel", "测试通道")) } } } }
            @if app.engine.heartbeats().is_empty() {
                li.step { span.no { "4" } div { h2 { (say(language, "Before you rely on it", "正式使用之前")) }
                    p.dim { (say(language, "No heartbeat is configured: nobody is notified when Alertmanager dies. Set `heartbeats` in routes.yaml.", "尚未配置心跳：Alertmanager 停止工作时无人知晓。请在 routes.yaml 中设置 heartbeats。")) } } }
            }
        }
    }
}

/// Sends the test alert.
pub(super) async fn send(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    send_test_alert(&app, &form.viewer.caller, TEST).await?;
    Ok(go(&headers, "/ui"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;
    use crate::model::Secret;

    #[test]
    fn the_lines_for_alertmanager_have_the_credential_that_asks_least() {
        let of = |kinds: Vec<(&str, CredentialKind, Vec<Scope>)>| {
            let credential =
                |(name, kind, scopes): (&str, CredentialKind, Vec<Scope>)| Credential { name: name.into(), kind, scopes, channels: vec![] };
            let auth = Auth { credentials: kinds.into_iter().map(credential).collect(), ..Auth::default() };
            receiver("https://watchfire.example.com", &auth)
        };
        let bearer = || CredentialKind::Bearer(Secret::new("t0ken"));
        let basic = || CredentialKind::Basic { username: "am: \"x\"".into(), password: Password::Plain(Secret::new("pässword")) };
        let signed = CredentialKind::Hmac { secrets: vec![Secret::new("key")], header: "x".into(), timestamp_header: None };
        assert!(of(vec![]).ends_with("      - url: https://watchfire.example.com/webhook"));
        assert!(of(vec![("signs", signed, vec![Scope::Webhook]), ("reader", bearer(), vec![Scope::Read])]).ends_with("/webhook"), "none of use");
        let lines = of(vec![("root", bearer(), Scope::ALL.to_vec()), ("am", basic(), vec![Scope::Webhook])]);
        let read: serde_json::Value = serde_yaml::from_str(&lines).unwrap();
        let config = &read["receivers"][0]["webhook_configs"][0];
        assert_eq!(config["http_config"]["basic_auth"]["username"], "am: \"x\"");
        let lines = of(vec![("root", bearer(), vec![Scope::Admin]), ("am", bearer(), vec![Scope::Webhook, Scope::Metrics])]);
        assert!(lines.ends_with("the secret of `am`"), "what opens everything asks most: {lines}");
        let lines = of(vec![("root", bearer(), Scope::ALL.to_vec())]);
        assert!(lines.ends_with("http_config: { authorization: { credentials_file: /run/secrets/watchfire } }   # the secret of `root`"), "{lines}");
        assert!(!lines.contains("t0ken"));
    }
}
