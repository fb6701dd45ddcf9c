//! What Watchfire is compared with, and what it sends to: this program again, as a process of its own.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use watchfire::channel::SendContext;
use watchfire::config::{self, LoadOptions};
use watchfire::delivery::Plan;
use watchfire::ingest::{self, Inputs, Sender};
use watchfire::model::MessageId;

/// Serves until killed, and prints its port first; then the port that says how much has arrived, if it is another.
pub async fn serve(kind: &str, target: &str) {
    let count = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    print!("{}", listener.local_addr().expect("an address").port());
    if kind == "smtp" {
        let counter = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!(" {}", counter.local_addr().expect("an address").port());
        let _ = std::io::stdout().flush();
        tokio::spawn(smtp(listener, count.clone()));
        return axum::serve(counter, counting(count)).await.expect("it serves");
    }
    println!();
    let _ = std::io::stdout().flush();
    let parse = |body: &[u8]| match ingest::parse(&Sender::Auto, body, &Inputs::default(), jiff::Timestamp::now()) {
        Ok(_) => StatusCode::OK,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(256).build().expect("a client");
    let target = target.to_owned();
    let app = match kind {
        "read" => Router::new().route("/", post(|_: Bytes| async { StatusCode::OK })),
        "parse" => Router::new().route("/", post(move |body: Bytes| async move { parse(&body) })),
        "forward" => Router::new().route(
            "/",
            post(move |body: Bytes| async move {
                let parsed = parse(&body);
                match client.post(&target).body(body).send().await {
                    Ok(answer) if answer.status().is_success() => parsed,
                    _ => StatusCode::BAD_GATEWAY,
                }
            }),
        ),
        "relay" => relay(&target),
        _ => counting(count),
    };
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await.expect("it serves");
}

/// The same job as Watchfire's with nothing kept: parses, routes, renders by the same templates, sends by the same drivers, and answers when the
/// platform has. `file` is the configuration.
fn relay(file: &str) -> Router {
    let loaded = config::load(Path::new(file), &LoadOptions::default()).unwrap_or_else(|findings| panic!("{}", config::report(&findings)));
    let plan = Arc::new(loaded.plan);
    let take = |State(plan): State<Arc<Plan>>, body: Bytes| async move {
        let now = jiff::Timestamp::now();
        let Ok(parsed) = ingest::parse(&Sender::Auto, &body, &Inputs::default(), now) else { return StatusCode::BAD_REQUEST };
        let shard = parsed.event.alerts[0].labels.get("shard").map_or("", |shard| shard);
        let Some(channel) = plan.channel(shard) else { return StatusCode::NOT_FOUND };
        for page in watchfire::http::api::preview(&plan, channel, &parsed.event, now).pages {
            let message = MessageId::new();
            let cx = SendContext {
                now,
                deadline: tokio::time::Instant::now() + channel.timeout,
                message,
                attempt: 1,
                unanswered: false,
                idempotency_key: message.to_string(),
                traceparent: String::new(),
                direct: false,
                callback: String::new(),
                press: String::new(),
                reply_to: None,
                own: Default::default(),
            };
            if channel.driver.send(&page, &channel.recipients, &cx).await.iter().any(|(_, result)| result.is_err()) {
                return StatusCode::BAD_GATEWAY;
            }
        }
        StatusCode::OK
    };
    Router::new().route("/", post(take)).with_state(plan)
}

/// Takes everything, says so as Slack and DingTalk do, and counts it.
fn counting(count: Arc<AtomicUsize>) -> Router {
    let take = |State(count): State<Arc<AtomicUsize>>, uri: Uri, _: Bytes| async move {
        count.fetch_add(1, Ordering::Relaxed);
        if uri.path() == "/robot/send" { r#"{"errcode":0,"errmsg":"ok"}"# } else { "ok" }
    };
    Router::new()
        .route("/count", get(|State(count): State<Arc<AtomicUsize>>| async move { count.load(Ordering::Relaxed).to_string() }))
        .fallback(post(take))
        .with_state(count)
}

/// Takes every mail, and counts it.
async fn smtp(listener: tokio::net::TcpListener, count: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let count = count.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let (mut line, mut data) = (Vec::new(), false);
            let mut say: &[u8] = b"220 sink ESMTP\r\n";
            loop {
                if !say.is_empty() && stream.write_all(say).await.is_err() {
                    return;
                }
                line.clear();
                if stream.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
                    return;
                }
                let word = line.get(..4).unwrap_or_default().to_ascii_uppercase();
                say = match (data, word.as_slice()) {
                    (true, _) if line == b".\r\n" => {
                        data = false;
                        count.fetch_add(1, Ordering::Relaxed);
                        b"250 2.0.0 taken\r\n"
                    }
                    (true, _) => b"",
                    (_, b"EHLO") => b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
                    (_, b"DATA") => {
                        data = true;
                        b"354 go on\r\n"
                    }
                    (_, b"QUIT") => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                };
            }
        });
    }
}
