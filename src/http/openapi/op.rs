//! One operation: how it is served, who may call it, what it takes and what it answers.

use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::super::{App, Scope};

type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// A parameter of the query.
pub(crate) struct Param {
    name: &'static str,
    about: &'static str,
    schema: Value,
}

impl Param {
    /// A text.
    pub(crate) fn text(name: &'static str, about: &'static str) -> Self {
        Self { name, about, schema: json!({ "type": "string" }) }
    }

    /// What a schema says.
    pub(crate) fn of(name: &'static str, about: &'static str, schema: Value) -> Self {
        Self { name, about, schema }
    }
}

/// What an operation answers when all is well.
enum Good {
    Text,
    Html,
    File,
    Calendar,
    OpenMetrics,
    Json(MakeSchema),
    Anything,
    Nothing,
}

impl Good {
    /// The content of the answer by its type; null where it has none.
    fn content(self, answered: &mut SchemaGenerator) -> Value {
        match self {
            Good::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
            Good::Html => json!({ "text/html": { "schema": { "type": "string" } } }),
            Good::File => json!({ "*/*": { "schema": { "type": "string" } } }),
            Good::Calendar => json!({ "text/calendar": { "schema": { "type": "string" } } }),
            Good::OpenMetrics => {
                json!({ "text/plain": { "schema": { "type": "string" } }, "application/openmetrics-text": { "schema": { "type": "string" } } })
            }
            Good::Json(make) => json!({ "application/json": { "schema": make(answered) } }),
            Good::Anything => json!({ "application/json": { "schema": {} } }),
            Good::Nothing => Value::Null,
        }
    }
}

/// An operation.
pub(crate) struct Op {
    pub(super) method: &'static str,
    pub(super) handler: MethodRouter<Arc<App>>,
    name: &'static str,
    about: &'static str,
    scope: Option<Scope>,
    query: Vec<Param>,
    body: Option<(MakeSchema, &'static str)>,
    good: Good,
    /// Further statuses that it answers with, besides those of every path of its kind.
    refusals: Vec<u16>,
    problems: bool,
    refused: Option<MakeSchema>,
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl Op {
    fn new<H, T>(method: &'static str, filter: MethodFilter, name: &'static str, about: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        Self {
            method,
            handler: on(filter, handler),
            name,
            about,
            scope: None,
            query: Vec::new(),
            body: None,
            good: Good::Text,
            refusals: Vec::new(),
            problems: false,
            refused: None,
        }
    }

    /// `GET`.
    pub(crate) fn get<H: Handler<T, Arc<App>>, T: 'static>(name: &'static str, about: &'static str, handler: H) -> Self {
        Self::new("get", MethodFilter::GET, name, about, handler)
    }

    /// `POST`.
    pub(crate) fn post<H: Handler<T, Arc<App>>, T: 'static>(name: &'static str, about: &'static str, handler: H) -> Self {
        Self::new("post", MethodFilter::POST, name, about, handler)
    }

    /// `PUT`.
    pub(crate) fn put<H: Handler<T, Arc<App>>, T: 'static>(name: &'static str, about: &'static str, handler: H) -> Self {
        Self::new("put", MethodFilter::PUT, name, about, handler)
    }

    /// `DELETE`.
    pub(crate) fn delete<H: Handler<T, Arc<App>>, T: 'static>(name: &'static str, about: &'static str, handler: H) -> Self {
        Self::new("delete", MethodFilter::DELETE, name, about, handler)
    }

    /// Credentials of this scope are needed, when there are any.
    pub(crate) fn scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Parameters of the query.
    pub(crate) fn query(mut self, params: impl IntoIterator<Item = Param>) -> Self {
        self.query.extend(params);
        self
    }

    /// A body of JSON.
    pub(crate) fn takes<T: JsonSchema>(mut self, about: &'static str) -> Self {
        self.body = Some((schema::<T>, about));
        self
    }

    /// Answers JSON.
    pub(crate) fn gives<T: JsonSchema>(mut self) -> Self {
        self.good = Good::Json(schema::<T>);
        self
    }

    /// Answers a page for browsers.
    pub(crate) fn gives_html(mut self) -> Self {
        self.good = Good::Html;
        self
    }

    /// Answers a file of the pages.
    pub(crate) fn gives_file(mut self) -> Self {
        self.good = Good::File;
        self
    }

    /// Answers a calendar.
    pub(crate) fn gives_calendar(mut self) -> Self {
        self.good = Good::Calendar;
        self
    }

    /// Answers metrics.
    pub(crate) fn gives_metrics(mut self) -> Self {
        self.good = Good::OpenMetrics;
        self
    }

    /// Answers JSON of any shape.
    pub(crate) fn gives_anything(mut self) -> Self {
        self.good = Good::Anything;
        self
    }

    /// Answers 204.
    pub(crate) fn gives_nothing(mut self) -> Self {
        self.good = Good::Nothing;
        self
    }

    /// Further refusals.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend(statuses);
        self
    }

    /// Errors are problem+json.
    pub(crate) fn problems(mut self) -> Self {
        self.problems = true;
        self
    }

    /// Errors are JSON of this type.
    pub(crate) fn refuses_with<T: JsonSchema>(mut self) -> Self {
        self.refused = Some(schema::<T>);
        self
    }

    /// The statuses of its refusals.
    fn statuses(&self, path: &str) -> Vec<u16> {
        let mut refusals = self.refusals.clone();
        if self.scope.is_some() {
            // Every caller's body is read, whether it is needed or not, within its limits; then the caller is authenticated.
            refusals.extend([400, 401, 403, 408, 413]);
        }
        if !path.starts_with("/-/") {
            refusals.push(503);
        }
        refusals.sort_unstable();
        refusals.dedup();
        refusals
    }

    pub(super) fn describe(self, path: &str, asked: &mut SchemaGenerator, answered: &mut SchemaGenerator) -> Value {
        let statuses = self.statuses(path);
        let mut parameters: Vec<Value> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| {
                let schema = if name == "id" { json!({ "type": "string", "format": "uuid" }) } else { json!({ "type": "string", "minLength": 1 }) };
                json!({ "name": name, "in": "path", "required": true, "schema": schema })
            })
            .collect();
        parameters.extend(self.query.into_iter().map(|p| json!({ "name": p.name, "in": "query", "description": p.about, "schema": p.schema })));
        let good = self.good.content(answered);
        let mut responses = Map::new();
        match good {
            Value::Null => responses.insert("204".into(), json!({ "description": "Done" })),
            good => responses.insert("200".into(), json!({ "description": "Done", "content": good })),
        };
        for status in statuses {
            let content = if self.problems {
                json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
            } else if let Some(make) = self.refused {
                json!({ "application/json": { "schema": make(answered) } })
            } else {
                json!({ "text/plain": { "schema": { "type": "string" } } })
            };
            responses.insert(status.to_string(), json!({ "description": meaning(status), "content": content }));
        }
        let mut operation = json!({ "operationId": self.name, "summary": self.about, "responses": responses });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some((make, about)) = self.body {
            operation["requestBody"] =
                json!({ "description": about, "required": true, "content": { "application/json": { "schema": make(asked) } } });
        }
        if let Some(scope) = self.scope {
            operation["tags"] = json!([scope.as_str()]);
            operation["security"] = json!([{ "bearer": [] }, { "basic": [] }, { "signature": [] }]);
        }
        operation
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is not as expected; the text says where",
        401 => "Credentials are missing or wrong",
        403 => "These credentials are not for this path or channel",
        404 => "There is no such thing",
        410 => "It is older than what is kept",
        408 => "The body did not arrive in time",
        413 => "The body is too large",
        500 => "The configuration is wrong; the previous one stays active",
        503 => "Not now; repeat after the time in Retry-After",
        _ => "Refused",
    }
}
