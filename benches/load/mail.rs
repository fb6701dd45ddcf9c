//! Mail, by its driver alone.

use std::time::{Duration, Instant};

use watchfire::channel::SendContext;
use watchfire::config::{self, LoadOptions};
use watchfire::model::{MessageId, Page};

use super::{Bench, server};

const MAILS: usize = 20_000;
const AT_ONCE: usize = 4;

fn page() -> Page {
    let text = "DiskFull · host-1 · warning\n\nthe disk is 97 % full\nlook at the largest folders first\n".repeat(3);
    let html = format!("<html><body>{}</body></html>", "<p><b>DiskFull</b> · host-1 · warning<br>the disk is 97 % full</p>\n".repeat(12));
    let fields = [("subject", "[FIRING:3] DiskFull".to_owned()), ("text", text), ("html", html)];
    Page { fields: fields.map(|(name, value)| (name.to_owned(), value)).into(), ..Page::default() }
}

/// Mails a second that the driver hands over.
async fn driver(bench: &Bench) -> f64 {
    let sink = server("smtp", "");
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let file = bench.folder.join("mail.yaml");
    let channel = format!("email: {{ server: '127.0.0.1:{}', tls: none, from: a@example.com, to: [b@example.com] }}", sink.port);
    std::fs::write(&file, format!("channels: {{ out: {{ {channel} }} }}\nroute: {{ to: [out] }}\n")).expect("a file");
    let loaded = config::load(&file, &LoadOptions::default()).unwrap_or_else(|findings| panic!("{}", config::report(&findings)));
    let channel = loaded.plan.channel("out").expect("a channel").clone();
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let channel = channel.clone();
        tasks.spawn(async move {
            let page = page();
            for _ in 0..MAILS / AT_ONCE {
                let message = MessageId::new();
                let context = SendContext {
                    now: jiff::Timestamp::now(),
                    deadline: tokio::time::Instant::now() + Duration::from_secs(10),
                    message,
                    attempt: 1,
                    unanswered: false,
                    idempotency_key: message.to_string(),
                    traceparent: String::new(),
                    callback: String::new(),
                    press: String::new(),
                    reply_to: None,
                    own: Default::default(),
                    direct: false,
                };
                for cell in channel.driver.send(&page, &channel.recipients, &context).await {
                    cell.1.expect("the server takes it");
                }
            }
        });
    }
    tasks.join_all().await;
    MAILS as f64 / started.elapsed().as_secs_f64()
}

/// The driver alone, over the connections that it has by default; the whole program is compared elsewhere.
pub async fn mail(bench: &Bench) {
    println!("\n### Mail to a local SMTP server\n");
    let alone = driver(bench).await;
    println!("The driver alone, text and HTML, four kept connections: {alone:.0} a second.");
}
