//! Teams: the card, what answers mean, how a page is measured, and what never shows.

use std::time::Duration;

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};

const CONFIG: &str =
    "{ webhook: 'https://prod-00.logic.azure.com/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=teams-S3CRET', api_base: BASE }";

fn hook() -> [Recipient; 1] {
    [Recipient::new("@webhook")]
}

#[tokio::test]
async fn an_adaptive_card_with_mentions_that_stand_in_its_text() {
    let server = ScriptedServer::start([Scripted::new(202, ""), Scripted::from("1")]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = rich(&[("title", "Disk *full*"), ("text", "**Disk** db-1")]);
    page.facts.mentions.users = vec!["anna@example.com".into()];
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(None)]);
    page.plain = true;
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(None)]);
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/workflows/1/triggers/manual/paths/invoke?api-version=1&sig=teams-S3CRET");
    insta::assert_json_snapshot!("card", seen[0].json());
    insta::assert_json_snapshot!("plain", seen[1].json());
}

#[tokio::test]
async fn answers_mean_what_teams_says() {
    let connector = |status: u16| {
        Scripted::from(
            format!("Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with ContextId x").as_str(),
        )
    };
    let error = |status: u16, code: &str| Scripted::new(status, format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#));
    let soon = RateLimited { retry_after: Some(Duration::from_secs(30)) };
    let rows = [
        (Scripted::new(429, "{}").header("retry-after", "5"), RateLimited { retry_after: Some(Duration::from_secs(5)) }, "HTTP 429"),
        (connector(429), soon, "HTTP 429"),
        (connector(413), Rejected, "HTTP 413"),
        (connector(502), Transient, "HTTP 502"),
        (Scripted::new(400, "{}"), Rejected, "HTTP 400"),
        (Scripted::new(401, "{}"), Misconfigured, "HTTP 401"),
        (Scripted::new(404, "{}"), Misconfigured, "HTTP 404"),
        (Scripted::new(502, "<html>"), Transient, "HTTP 502"),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200"),
        (Scripted::new(202, "<html>login</html>"), Transient, "HTTP 202"),
        (error(400, "WorkflowTriggerIsNotEnabled"), Misconfigured, "WorkflowTriggerIsNotEnabled"),
        (error(403, "WorkflowTriggerIsNotEnabled"), Misconfigured, "WorkflowTriggerIsNotEnabled"),
        (error(404, "WorkflowNotFound"), Misconfigured, "WorkflowNotFound"),
        (error(401, "DirectApiAuthorizationRequired"), Misconfigured, "DirectApiAuthorizationRequired"),
        (error(400, "TriggerInputSchemaMismatch"), Misconfigured, "TriggerInputSchemaMismatch"),
        (error(400, "InvalidRequestContent"), Rejected, "InvalidRequestContent"),
        (error(413, "RequestEntityTooLarge"), Rejected, "RequestEntityTooLarge"),
        (error(400, "CodeOfTomorrow"), Rejected, "CodeOfTomorrow"),
        (error(403, "CodeOfTomorrow"), Misconfigured, "CodeOfTomorrow"),
        (error(429, "WorkflowRunActionRequestsThrottled"), RateLimited { retry_after: None }, "WorkflowRunActionRequestsThrottled"),
        (error(400, "WorkflowTriggerRequestsThrottled"), RateLimited { retry_after: None }, "WorkflowTriggerRequestsThrottled"),
        (error(502, "NoResponse"), Transient, "NoResponse"),
        (error(503, "WorkflowTriggerIsNotEnabled"), Transient, "WorkflowTriggerIsNotEnabled"),
        // A refusal under a success is a refusal.
        (error(202, "WorkflowTriggerIsNotEnabled"), Misconfigured, "WorkflowTriggerIsNotEnabled"),
        (Scripted::new(410, r#"{"error":"gone"}"#), Misconfigured, "gone"),
        (connector(404), Misconfigured, "HTTP 404"),
        // Only the documented word is a success, and only under its own status.
        (Scripted::from(""), Ambiguous, "HTTP 200"),
        (Scripted::from("{}"), Ambiguous, "HTTP 200"),
        (Scripted::from("Summary or Text is required."), Rejected, "HTTP 400"),
        (Scripted::new(204, ""), Ambiguous, "HTTP 204"),
        (Scripted::new(302, "1"), Misconfigured, "HTTP 302"),
        (Scripted::new(400, "1"), Rejected, "HTTP 400"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &hook(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[test]
fn pages_are_measured_in_the_bytes_of_the_card_and_mistakes_are_found() {
    let short = (DESCRIPTOR.measure)(&page(&[("text", "x")]));
    let long = (DESCRIPTOR.measure)(&page(&[("text", &"磁".repeat(100))]));
    assert_eq!((long.used - short.used, long.max), (299, 20 * 1024));
    let config: Config = serde_yaml::from_str("{ webhook: a, mentions: { all: true } }").unwrap();
    assert_eq!(config.check()[0].path, "teams.mentions");
}
