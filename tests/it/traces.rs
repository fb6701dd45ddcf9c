//! Traces: what a collector is sent for an alert that came with a `traceparent`, and what is done without one that listens.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use watchfire::store::State as DeliveryState;
use watchfire::traces::Traces;

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::fakes::fault::Fault;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

type Seen = Arc<Mutex<Vec<Span>>>;

/// A collector's OTLP endpoint.
async fn collector(status: StatusCode) -> (String, Seen) {
    let seen = Seen::default();
    let take = move |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            assert!(attributes.iter().any(|kv| kv.key == "service.name" && text(kv.value.clone().and_then(|v| v.value)) == "watchfire"));
            seen.lock().unwrap().extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
        status
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(take)).with_state(seen.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

fn text(value: Option<Any>) -> String {
    match value {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> String {
    span.attributes.iter().find(|kv| kv.key == key).map(|kv| text(kv.value.clone().and_then(|v| v.value))).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_from_the_sender_through_the_queue_to_the_platform() {
    let four = Four::start().await;
    let (url, seen) = collector(StatusCode::OK).await;
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let app = TestApp::start_with(&routes, |options| options.traces = Traces::to(Some(&url)).unwrap()).await;
    four.slack.faults.push(Fault::Reply(503, "text/html".into(), "<html>later</html>".into()));
    let request = app.http.post(app.url("/webhook")).header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    assert!(request.json(&alert("zebra", "DiskFull", "firing")).send().await.unwrap().status().is_success());
    let rows = app.settled().await;
    assert_eq!(rows[0].state, DeliveryState::Sent, "{rows:?}");
    let (_, event) = app.get(&format!("/api/v1/events/{}", rows[0].event)).await;
    app.app.stop(SOON).await;

    let spans = seen.lock().unwrap().clone();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE), "one trace: {spans:#?}");
    let receive = &named("receive")[0];
    assert_eq!(hex(&receive.parent_span_id), PARENT);
    assert_eq!((attribute(receive, "watchfire.sender"), attribute(receive, "watchfire.deliveries")), ("alertmanager".into(), "1".into()));
    assert_eq!(event["event"]["trace"], format!("00-{TRACE}-{}-01", hex(&receive.span_id)), "kept with the event for what comes after a restart");
    let wait = named("wait ops-slack");
    assert_eq!(wait.len(), 1, "the queue once, however often it is tried");
    let sends = named("send ops-slack");
    let told: Vec<(String, String)> = sends.iter().map(|s| (attribute(s, "watchfire.attempt"), attribute(s, "watchfire.outcome"))).collect();
    assert_eq!(told, [("1".to_owned(), "transient".to_owned()), ("2".to_owned(), "ok".to_owned())]);
    for span in wait.iter().chain(&sends) {
        assert_eq!(span.parent_span_id, receive.span_id, "{}", span.name);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 1_700_000_000_000_000_000);
    }
    let all = format!("{spans:?}");
    assert!(!all.contains("DiskFull") && !all.contains("zebra"), "what alerts say stays here: {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_refuses_delays_no_alert() {
    let four = Four::start().await;
    four.slack.unpaced();
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let (refusing, _) = collector(StatusCode::INTERNAL_SERVER_ERROR).await;
    // The last one accepts connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let unanswered = format!("http://{}/v1/traces", silent.local_addr().unwrap());
    for url in ["http://127.0.0.1:9/v1/traces", refusing.as_str(), unanswered.as_str()] {
        let app = TestApp::start_with(&routes, |options| options.traces = Traces::to(Some(url)).unwrap()).await;
        for n in 0..20 {
            assert_eq!(app.post("/webhook", &alert(&format!("g{n}"), "DiskFull", "firing")).await.0, 200);
        }
        let rows = app.settled().await;
        assert_eq!(rows.iter().filter(|row| row.state == DeliveryState::Sent).count(), 20, "{rows:?}");
        let stopped = tokio::time::Instant::now();
        app.app.stop(SOON).await;
        assert!(stopped.elapsed() < Duration::from_secs(10), "the last spans are not waited for longer than they are worth");
    }
}
