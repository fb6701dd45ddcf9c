//! The description of the HTTP side (OpenAPI 3.1), made of the same table that the router is made of: a path cannot be served without being
//! described, nor described without being served. Types of bodies come from the types that handlers write.

mod op;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::App;

pub(super) use op::{Op, Param};

/// Paths with what is done there.
#[derive(Default)]
pub(super) struct Paths(Vec<(String, Vec<Op>)>);

impl Paths {
    /// One more path.
    pub(super) fn at(mut self, path: &str, ops: impl IntoIterator<Item = Op>) -> Self {
        self.0.push((path.to_owned(), ops.into_iter().collect()));
        self
    }

    /// All paths of another table, below a prefix.
    pub(super) fn below(mut self, prefix: &str, other: Paths) -> Self {
        self.0.extend(other.0.into_iter().map(|(path, ops)| (format!("{prefix}{path}"), ops)));
        self
    }

    /// The router that serves them.
    pub(super) fn router(self) -> Router<Arc<App>> {
        self.0.into_iter().fold(Router::new(), |router, (path, ops)| {
            router.route(&path, ops.into_iter().fold(MethodRouter::new(), |all, op| all.merge(op.handler)))
        })
    }

    /// The description.
    pub(super) fn document(self) -> Value {
        // What is left out when it is empty may be missing in an answer; what has a default may be missing in a request.
        let settings = || SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
        let (mut asked, mut answered) = (settings().into_generator(), settings().for_serialize().into_generator());
        let mut paths = Map::new();
        for (path, ops) in self.0 {
            let item = ops.into_iter().map(|op| (op.method.to_owned(), op.describe(&path, &mut asked, &mut answered))).collect::<Map<_, _>>();
            paths.insert(path, Value::Object(item));
        }
        answered.subschema_for::<crate::api::Problem>();
        let mut schemas = asked.take_definitions(true);
        schemas.extend(answered.take_definitions(true));
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Watchfire", "version": env!("CARGO_PKG_VERSION"),
                "description": "Alert delivery gateway. 2xx on a webhook means that the event is on disk. Errors below /api/v1 are problem+json (RFC 9457); \
                                elsewhere they are one short line of text, because senders log it. 503 carries Retry-After: repeat.",
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "bearer": { "type": "http", "scheme": "bearer" },
                    "basic": { "type": "http", "scheme": "basic" },
                    "signature": {
                        "type": "apiKey", "in": "header", "name": "X-Grafana-Alerting-Signature",
                        "description": "HMAC-SHA256 of the raw body in lower-case hex, with a timestamp header when one is configured",
                    },
                },
            },
        })
    }
}

/// The description as it is served.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(super::paths().document().to_string()));

/// The description of everything that is served, as JSON.
pub fn document() -> &'static str {
    std::str::from_utf8(&DOCUMENT).unwrap_or_default()
}

/// `GET /api/openapi.json`: open to all, because it shows nothing that the source does not.
pub(super) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}
