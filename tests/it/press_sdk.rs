//! The vendors' own SDKs against the fakes: what they understand is what the vendors speak. `.ci/long sdk` installs them and runs this.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::fakes::feishu_socket::{self, Outcome};
use crate::support::fakes::slack_socket::{ANNA, Envelope};
use crate::support::fakes::{DingtalkCard, Fake, Feishu, Slack, Telegram, WecomBot};
use crate::support::presses::until;
use crate::support::wire::Wire;

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";

const SLACK: &str = r#"
import sys, threading
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web import WebClient
client = SocketModeClient(app_token="xapp-1-fake", web_client=WebClient(token="xoxb-fake-token", base_url=sys.argv[1] + "/api/"))
def pressed(client, request):
    client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
    print(request.type, request.payload["user"]["id"], request.payload["actions"][0]["value"], flush=True)
client.socket_mode_request_listeners.append(pressed)
client.connect()
threading.Event().wait()
"#;

const FEISHU: &str = r#"
import sys
import lark_oapi as lark
from lark_oapi.event.callback.model.p2_card_action_trigger import P2CardActionTriggerResponse
def pressed(data):
    print(data.header.event_type, data.event.operator.open_id, data.event.action.value["press"], flush=True)
    return P2CardActionTriggerResponse({"toast": {"type": "success", "content": "from the SDK"}})
handler = lark.EventDispatcherHandler.builder("", "").register_p2_card_action_trigger(pressed).build()
lark.ws.Client("cli_1", "app-secret", event_handler=handler, domain=sys.argv[1]).start()
"#;

const TELEGRAM: &str = r#"
import sys
from telegram import Update
from telegram.ext import ApplicationBuilder, CallbackQueryHandler
async def pressed(update, context):
    query = update.callback_query
    await query.answer("from the SDK", show_alert=True)
    await query.edit_message_text("edited by the SDK")
    print(query.from_user.id, query.message.chat.id, query.data, flush=True)
application = ApplicationBuilder().token("123:token").base_url(sys.argv[1] + "/bot").build()
application.add_handler(CallbackQueryHandler(pressed))
application.run_polling(allowed_updates=[Update.CALLBACK_QUERY])
"#;

const DINGTALK: &str = r#"
import sys
import dingtalk_stream as dt
dt.DingTalkStreamClient.OPEN_CONNECTION_API = sys.argv[1] + "/v1.0/gateway/connections/open"
class Pressed(dt.CallbackHandler):
    async def process(self, callback):
        press = dt.CardCallbackMessage.from_dict(callback.data)
        print(press.corp_id, press.user_id, press.content["cardPrivateData"]["actionIds"][0], flush=True)
        shown = {"cardParamMap": {"tips": "from the SDK"}}
        return dt.AckMessage.STATUS_OK, {"cardUpdateOptions": {"updateCardDataByKey": True}, "cardData": shown}
client = dt.DingTalkStreamClient(dt.Credential("key", "S3CRET"))
client.register_callback_handler("/v1.0/card/instances/callback", Pressed())
client.start_forever()
"#;

const WECOM: &str = r#"
const { WSClient } = require("@wecom/aibot-node-sdk");
const logger = { debug() {}, info() {}, warn() {}, error: (...said) => console.log("[error]", ...said) };
const client = new WSClient({ botId: "aib1", secret: "bot-secret", wsUrl: process.argv[1], logger });
client.on("authenticated", async () => {
  await client.sendMessage("wrOPS", { msgtype: "markdown", markdown: { content: "from the SDK" } });
  console.log("sent");
});
client.on("event.template_card_event", async (frame) => {
  const event = frame.body.event.template_card_event ?? frame.body.event;
  const button_list = [{ text: "OK", key: event.event_key }];
  await client.updateTemplateCard(frame, { card_type: "button_interaction", main_title: { title: "from the SDK" }, task_id: event.task_id, button_list });
  console.log(frame.body.from.userid, event.event_key);
});
client.connect();
"#;

/// A script that runs against a fake.
struct Sdk {
    child: Child,
    lines: UnboundedReceiver<String>,
}

impl Sdk {
    fn start(script: &str, url: &str) -> Self {
        Self::run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/target/sdk/bin/python")).args(["-c", script, url]))
    }

    fn start_node(script: &str, url: &str) -> Self {
        let modules = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sdk/node_modules");
        Self::run(Command::new("node").env("NODE_PATH", modules).args(["-e", script, url]))
    }

    fn run(command: &mut Command) -> Self {
        let started = command.stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}; `.ci/long sdk` installs it"));
        let (sender, lines) = unbounded_channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    /// What it says of a press; lines of its log begin with a bracket.
    async fn line(&mut self) -> String {
        loop {
            let line = tokio::time::timeout(Duration::from_secs(20), self.lines.recv()).await.expect("it says something soon");
            let line = line.expect("it runs");
            if !line.starts_with('[') {
                return line;
            }
        }
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs the vendors' SDKs: `.ci/long sdk`"]
async fn slacks_sdk_takes_a_press_from_the_fake() {
    let fake = Fake::start(Slack::new("xoxb-fake-token")).await;
    let wire =
        Wire::new("ops", &format!("slack: {{ token: xoxb-fake-token, channel: C0123, app_token: xapp-1-fake, api_base: \"{}\" }}", fake.url()));
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    let message = format!("{}/{}", ids.get("channel").unwrap(), ids.get("ts").unwrap());
    let mut sdk = Sdk::start(SLACK, &fake.url());
    until(|| fake.with(|slack| slack.interactivity.open_lines().len() == 1)).await;
    let now = fake.clock.now();
    let envelope = fake.with(|slack| slack.press(&message, "On it", &ANNA, now));
    assert_eq!(sdk.line().await, format!("interactive U0ANNA {VALUE}"));
    until(|| fake.with(|slack| slack.interactivity.envelopes[&envelope] == Envelope::Acked)).await;
    let refused = fake.with(|slack| slack.interactivity.refused.clone());
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs the vendors' SDKs: `.ci/long sdk`"]
async fn feishus_sdk_takes_a_press_from_the_fake_whole_and_in_parts() {
    let fake = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    let yaml = format!("feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], buttons: true, api_base: \"{}\" }}", fake.url());
    let wire = Wire::new("ops", &yaml);
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    let message = ids.get("message_id").unwrap().to_owned();
    let mut sdk = Sdk::start(FEISHU, &fake.url());
    until(|| fake.with(|feishu| feishu.callbacks.pings > 0)).await;
    for parts in [1, 3] {
        let press = fake.with(|feishu| {
            let event = feishu.event(&message, "On it", feishu_socket::ANNA);
            let line = feishu.callbacks.open_lines()[0].clone();
            feishu.callbacks.send(&line, &event, parts)
        });
        assert_eq!(sdk.line().await, format!("card.action.trigger ou_anna {VALUE}"));
        let toast = Outcome::Toast("success".into(), "from the SDK".into());
        until(|| fake.with(|feishu| feishu.callbacks.presses[&press] == toast)).await;
    }
    let refused = fake.with(|feishu| feishu.callbacks.refused.clone());
    assert!(refused.is_empty(), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs the vendors' SDKs: `.ci/long sdk`"]
async fn wecoms_sdk_sends_and_takes_presses_from_the_fake() {
    let fake = Fake::start(WecomBot::new("aib1", "bot-secret", &["wrOPS"])).await;
    let yaml = format!("wecom_bot: {{ bot_id: aib1, secret: bot-secret, to: [wrOPS], buttons: true, api_base: \"{}\" }}", fake.url());
    let wire = Wire::new("ops", &yaml);
    wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap();
    let card = fake.with(|robot| robot.cards.keys().next().cloned()).expect("a card");
    let mut sdk = Sdk::start_node(WECOM, &fake.url().replace("http://", "ws://"));
    assert_eq!(sdk.line().await, "sent");
    for (user, nested) in [("zhangsan", false), ("lisi", true)] {
        fake.with(|robot| robot.press(&card, "On it", user, nested));
        assert_eq!(sdk.line().await, format!("{user} {VALUE}"));
        assert!(fake.with(|robot| robot.cards[&card].shown["*"].to_string().contains("from the SDK")));
    }
    // Our driver takes the robot's one connection: the SDK leaves, and does not come back.
    wire.send(&wire.page("db-2 burns")).await.unwrap();
    until(|| fake.with(|robot| robot.connected().is_empty())).await;
    let faults = fake.with(|robot| robot.faults.clone());
    assert!(faults.is_empty(), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs the vendors' SDKs: `.ci/long sdk`"]
async fn telegrams_most_used_library_polls_answers_and_edits_at_the_fake() {
    let fake = Fake::start(Telegram::new("123:token", &["-1001"])).await;
    let yaml = format!("telegram: {{ token: \"123:token\", chat: -1001, buttons: true, api_base: \"{}\" }}", fake.url());
    let wire = Wire::new("ops", &yaml);
    wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap();
    let mut sdk = Sdk::start(TELEGRAM, &fake.url());
    until(|| fake.with(|telegram| telegram.updates.is_polled())).await;
    let now = fake.clock.now();
    let press = fake.with(|telegram| telegram.press(-1001, 1, "On it", now).0);
    assert_eq!(sdk.line().await, format!("4711 -1001 {VALUE}"));
    let shown = fake.with(|telegram| telegram.updates.shown[&press].clone());
    assert_eq!((shown.text.as_str(), shown.alert), ("from the SDK", true));
    assert_eq!(fake.with(|telegram| telegram.transcript.texts()), ["edited by the SDK"]);
    // What was confirmed by the next offset is not reported again.
    until(|| fake.with(|telegram| telegram.updates.waiting() == 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it needs the vendors' SDKs: `.ci/long sdk`"]
async fn dingtalks_sdk_takes_presses_from_the_fake_and_changes_the_card() {
    let fake = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &["anna"])).await;
    let block = "app_key: key, app_secret: S3CRET, robot_code: bot, to: [\"cidOPS==\"], buttons: true, corp_id: dingcorp1";
    let wire = Wire::new("ops", &format!("dingtalk_card: {{ {block}, api_base: \"{}\" }}", fake.url()));
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    let card = ids.get("outTrackId").unwrap().to_owned();
    let mut sdk = Sdk::start(DINGTALK, &fake.url());
    until(|| fake.with(|dingtalk| dingtalk.stream.lines().len() == 1)).await;
    fake.with(|dingtalk| dingtalk.stream.ping());
    until(|| fake.with(|dingtalk| dingtalk.stream.unanswered() == 0)).await;
    for user in ["anna", "bob"] {
        fake.with(|dingtalk| dingtalk.press(&card, "On it", user, "dingcorp1"));
        let line = sdk.line().await;
        assert!(line.starts_with(&format!("dingcorp1 {user} ")) && line.contains(VALUE), "{line}");
        until(|| fake.with(|dingtalk| dingtalk.stream.unanswered() == 0)).await;
        assert_eq!(fake.with(|dingtalk| dingtalk.cards[&card].params["tips"].clone()), "from the SDK");
    }
    let faults = fake.with(|dingtalk| dingtalk.stream.faults.clone());
    assert!(faults.is_empty(), "{faults:?}");
}
