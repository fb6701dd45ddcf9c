//! OpenTelemetry traces: one span for the intake of an event, one for its time in the queue, one for each attempt, in the trace that the sender's
//! `traceparent` began. The trace's context is kept with the event, so that an attempt after a restart still belongs to it.
//!
//! Off unless an endpoint is set; then a handle is a null pointer and nothing is computed. Names follow OpenTelemetry's conventions for messaging:
//! <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>. No label of an alert and no recipient goes into a span.

mod export;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

/// Other events of a message that its attempt's span links to.
const LINKS: usize = 32;
/// How long the last spans may take to leave when the process stops.
const LAST: Duration = Duration::from_secs(2);

/// Where spans go; cloning shares it.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Inner>>);

struct Inner {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Traces").field(&self.0.is_some()).finish()
    }
}

/// One attempt, as its span records it.
#[derive(Debug)]
pub struct Attempted<'a> {
    /// The message.
    pub message: String,
    /// The channel.
    pub channel: &'a str,
    /// Its platform.
    pub platform: &'static str,
    /// How many deliveries it carries.
    pub deliveries: usize,
    /// Which page, from 1.
    pub page: u16,
    /// Which try, from 1.
    pub attempt: u32,
    /// When the oldest of its deliveries was born.
    pub born_at: SystemTime,
    /// When it began.
    pub begun_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// `ok`, `partial` or a kind of error.
    pub kind: &'a str,
    /// The platform's code.
    pub code: Option<&'a str>,
}

/// The span of an intake, until it is ended.
pub struct Intake(Option<Span>);

fn context(traceparent: &str) -> Context {
    let carrier: HashMap<String, String> = [("traceparent".to_owned(), traceparent.to_owned())].into();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// What a `traceparent` header says, when it is one (<https://www.w3.org/TR/trace-context/#traceparent-header>); else nothing.
pub fn traceparent(header: Option<&str>) -> String {
    match header {
        Some(text) if text.len() <= 128 && context(text).span().span_context().is_valid() => text.trim().to_owned(),
        _ => String::new(),
    }
}

fn written(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
}

impl Traces {
    /// Spans as the environment says (`OTEL_EXPORTER_OTLP_ENDPOINT` and what else OpenTelemetry's SDKs read); off when it names no endpoint. Must be
    /// called within the runtime that the exports run on.
    ///
    /// Errors: a value there cannot be used; the text names it.
    pub fn from_env() -> Result<Self, String> {
        let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
        let off = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.trim().eq_ignore_ascii_case("true"))
            || std::env::var("OTEL_TRACES_EXPORTER").is_ok_and(|value| value.trim() == "none");
        if off || !(set("OTEL_EXPORTER_OTLP_ENDPOINT") || set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
            return Ok(Self::default());
        }
        Self::to(None)
    }

    /// Spans to a collector's OTLP endpoint over HTTP (`http://collector:4318/v1/traces`); `None`: as the environment says.
    pub fn to(endpoint: Option<&str>) -> Result<Self, String> {
        let provider = export::provider(endpoint)?;
        let tracer = provider.tracer("watchfire");
        Ok(Self(Some(Arc::new(Inner { provider, tracer }))))
    }

    /// Whether spans are made.
    pub fn on(&self) -> bool {
        self.0.is_some()
    }

    /// The span of an intake begins; `traceparent` is the sender's, or empty.
    pub fn intake(&self, traceparent: &str, sender: &'static str, at: SystemTime) -> Intake {
        let Some(inner) = &self.0 else { return Intake(None) };
        let span = SpanBuilder::from_name("receive")
            .with_kind(SpanKind::Server)
            .with_start_time(at)
            .with_attributes([KeyValue::new("watchfire.sender", sender)]);
        Intake(Some(inner.tracer.build_with_context(span, &context(traceparent))))
    }

    /// The spans of an attempt, and before the first one of the time in the queue. `parents` are the contexts of the events it carries.
    pub fn attempted<'p>(&self, attempted: &Attempted<'_>, parents: impl Iterator<Item = &'p str>) {
        let Some(inner) = &self.0 else { return };
        let mut contexts: Vec<SpanContext> = Vec::new();
        for parent in parents {
            let found = context(parent).span().span_context().clone();
            if found.is_valid() && !contexts.contains(&found) {
                contexts.push(found);
            }
            if contexts.len() > LINKS {
                break;
            }
        }
        let parent = contexts.first().map_or_else(Context::new, |first| Context::new().with_remote_span_context(first.clone()));
        if attempted.attempt == 1 && attempted.page == 1 && !contexts.is_empty() {
            let wait = SpanBuilder::from_name(format!("wait {}", attempted.channel)).with_start_time(attempted.born_at);
            inner.tracer.build_with_context(wait, &parent).end_with_timestamp(attempted.begun_at);
        }
        let mut attributes = vec![
            KeyValue::new("messaging.system", attempted.platform),
            KeyValue::new("messaging.destination.name", attempted.channel.to_owned()),
            KeyValue::new("messaging.message.id", attempted.message.clone()),
            KeyValue::new("messaging.batch.message_count", attempted.deliveries as i64),
            KeyValue::new("watchfire.page", i64::from(attempted.page)),
            KeyValue::new("watchfire.attempt", i64::from(attempted.attempt)),
            KeyValue::new("watchfire.outcome", attempted.kind.to_owned()),
        ];
        attributes.extend(attempted.code.map(|code| KeyValue::new("watchfire.code", code.to_owned())));
        let span = SpanBuilder::from_name(format!("send {}", attempted.channel))
            .with_kind(SpanKind::Producer)
            .with_start_time(attempted.begun_at)
            .with_links(contexts.into_iter().skip(1).map(|context| Link::new(context, Vec::new(), 0)).collect())
            .with_attributes(attributes);
        let mut span = inner.tracer.build_with_context(span, &parent);
        span.set_status(if attempted.kind == "ok" { Status::Ok } else { Status::Error { description: Cow::Owned(attempted.kind.to_owned()) } });
        span.end_with_timestamp(attempted.ended_at);
    }

    /// Sends the last spans; waits for them at most two seconds. Blocks: not for the threads of the runtime.
    pub fn stop(&self) {
        if let Some(inner) = &self.0
            && let Err(error) = inner.provider.shutdown_with_timeout(LAST)
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

impl Intake {
    /// The context to keep with the event: this span's, else the sender's.
    pub fn context(&self, sender: String) -> String {
        match &self.0 {
            Some(span) if span.span_context().is_valid() => written(span.span_context()),
            _ => sender,
        }
    }

    /// The intake ended: the event's id and its number of deliveries, or why it was refused.
    pub fn end(self, at: SystemTime, outcome: Result<(String, usize, bool), String>) {
        let Some(mut span) = self.0 else { return };
        match outcome {
            Ok((event, deliveries, duplicate)) => {
                span.set_attribute(KeyValue::new("watchfire.event", event));
                span.set_attribute(KeyValue::new("watchfire.deliveries", deliveries as i64));
                span.set_attribute(KeyValue::new("watchfire.duplicate", duplicate));
                span.set_status(Status::Ok);
            }
            Err(error) => span.set_status(Status::Error { description: Cow::Owned(error) }),
        }
        span.end_with_timestamp(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_context_is_kept() {
        // The example of https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers.
        let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(traceparent(Some(example)), example);
        for bad in ["", "00", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "ff-x-y-z", &"0".repeat(500)] {
            assert_eq!(traceparent(Some(bad)), "", "{bad}");
        }
        assert_eq!(traceparent(None), "");
    }

    #[test]
    fn what_is_off_costs_and_changes_nothing() {
        let traces = Traces::default();
        let intake = traces.intake("", "alertmanager", SystemTime::UNIX_EPOCH);
        assert_eq!(intake.context("00-a".into()), "00-a");
        intake.end(SystemTime::now(), Err("x".into()));
        traces.stop();
        assert!(!traces.on());
    }
}
