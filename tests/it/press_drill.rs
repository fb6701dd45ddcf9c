//! `watchfire test press`: a message with buttons, and who pressed one.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::crash::{free_port, serve, up};
use crate::support::app::SOON;
use crate::support::fakes::{Fake, Telegram};

const CHAT: i64 = -1001;

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_of_a_channel_are_tried_by_a_press() {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    fake.unpaced();
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n  tg: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, buttons: true, api_base: \"{}\" }} }}\n  \
         gone: {{ telegram: {{ token: \"1:token\", chat: -1009, buttons: true, api_base: \"{}\" }} }}\n  \
         off: {{ disabled: true, telegram: {{ token: \"1:token\", chat: {CHAT}, buttons: true, api_base: \"{}\" }} }}\n  \
         shut: {{ actions: {{ ack: nobody }}, telegram: {{ token: \"1:token\", chat: {CHAT}, buttons: true, api_base: \"{}\" }} }}\n  \
         mute: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, api_base: \"{}\" }} }}\nroute: {{ to: [tg] }}\n",
        fake.url(),
        fake.url(),
        fake.url(),
        fake.url(),
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let mut child = serve(folder.path(), port);
    up(&reqwest::Client::builder().no_proxy().build().unwrap(), port).await;
    let run = |channel: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["test", "press"]).args(channel).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for (channel, why) in [("mute", "reports no presses"), ("off", "the channel is disabled"), ("shut", "its `actions.ack` is `nobody`")] {
        let refused = run(&["--channel", channel]).wait_with_output().unwrap();
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(why), "{channel}: {refused:?}");
    }
    let waiting = run(&["tg"]);
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let now = fake.clock.now();
        let pressed = fake.with(|telegram| {
            let (id, post) = telegram.transcript.all().find(|(_, post)| post.extra.contains("callback_data"))?;
            assert!(post.text.contains("Drill of tg"), "{}", post.text);
            let whole: Value = serde_json::from_str(&post.extra).unwrap();
            let label = whole[3]["inline_keyboard"][0][0]["text"].as_str().unwrap().to_owned();
            let number = id.rsplit('/').next().unwrap().parse().unwrap();
            Some(telegram.press(CHAT, number, &label, now))
        });
        if pressed.is_some() {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "no message with a button");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let done = tokio::task::spawn_blocking(|| waiting.wait_with_output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("acked by Anna Meier (Telegram) after "), "{told}");
    // What keeps the message from its room is said at once, and nobody is waited for longer than asked.
    let waiting = run(&["gone", "--wait", "4s"]);
    let refused = tokio::task::spawn_blocking(|| waiting.wait_with_output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(!refused.status.success() && told.contains("waiting to gone: Telegram: there is no such chat"), "{told}");
    assert!(told.contains("nobody acked it within 4s, and not all of its messages were sent"), "{told}");
    child.kill().unwrap();
    child.wait().unwrap();
}
