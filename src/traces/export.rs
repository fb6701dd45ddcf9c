//! The way out: OTLP over HTTP, in batches, from a thread of OpenTelemetry's own; the requests themselves run on our runtime.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

/// A collector that takes longer is as good as away.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read; it is a few words.
const ANSWER: usize = 64 << 10;

/// Sends a batch by the runtime that serves: the thread that calls has none.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let exchange = async move {
            let (parts, body) = request.into_parts();
            let mut answer = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = answer.headers().clone();
            }
            let mut read = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                if read.len() + chunk.len() > ANSWER {
                    return Err("the collector's answer is too long".into());
                }
                read.extend_from_slice(&chunk);
            }
            Ok::<_, HttpError>(response.body(Bytes::from(read))?)
        };
        self.runtime.spawn(exchange).await?
    }
}

/// A provider that exports to `endpoint`, or to what the environment names.
pub(super) fn provider(endpoint: Option<&str>) -> Result<SdkTracerProvider, String> {
    let runtime = Handle::try_current().map_err(|_| "traces need the runtime".to_owned())?;
    let http = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| format!("the HTTP client for traces cannot be made: {error}"))?;
    let mut exporter = SpanExporter::builder().with_http().with_http_client(Client { http, runtime });
    if let Some(endpoint) = endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    let exporter = exporter.build().map_err(|error| format!("traces cannot be sent, check OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let mut resource = Resource::builder();
    let named = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    if !named("OTEL_SERVICE_NAME") && !std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|value| value.contains("service.name")) {
        resource = resource.with_service_name("watchfire");
    }
    let resource = resource.with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
