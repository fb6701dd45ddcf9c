//! Every platform's fake at once, with a channel for each.

use super::app::Four;
use super::fakes::fault::{Fault, Faults};
use super::fakes::presets::{self, Preset};
use super::fakes::recorder::Recorder;
use super::fakes::{Aliyun, DingtalkApp, Discord, Feishu, PagerDuty, Slack, Teams, Telegram, Tencent, Twilio, Webhook, WecomRobot, server::Fake};
use super::phone_answers;

/// A channel of one platform: how its fake is troubled, and the platform's own refusals with what they mean.
pub struct Member {
    /// The channel's name, which is its platform's, or says which of its ways it is.
    pub channel: &'static str,
    /// The platform in the registry.
    pub platform: &'static str,
    pub faults: Faults,
    pub rec: Recorder,
    /// Recorded answers and what they must be told as: `ok`, or an error's kind.
    pub refusals: Vec<(Fault, &'static str)>,
    /// What a failure of the server is told as: what it may have done all the same must not be done twice by phone.
    pub broken: &'static str,
    /// What a lost answer to a message that was taken is told as: `ok` where the platform can be asked for it.
    pub lost: &'static str,
    /// The path of the request that sends (tokens are asked for elsewhere).
    pub path: &'static str,
    /// Its block in routes.yaml.
    pub yaml: String,
}

/// All of them.
pub struct All {
    pub four: Four,
    pub members: Vec<Member>,
    /// Keeps the servers.
    _fakes: Vec<Box<dyn std::any::Any + Send>>,
}

const PAGER_KEY: &str = "0123456789abcdef0123456789abcdef";

/// Secrets of the configuration: none may ever be shown.
pub const SECRETS: &[&str] = &[
    "ding-token",
    "SEC0123456789",
    "xoxb-test-token",
    "slack-hook-secret",
    "wecom-secret",
    "mail-password",
    "robot-key",
    "hook-token",
    "hook-secret",
    "app-secret",
    "1:tg-secret",
    "discord-token",
    "teams-sig-secret",
    PAGER_KEY,
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "aliyun-secret",
    "tencent-secret",
    "twilio-token",
    "ding-app-secret",
    "tk_ntfy-secret",
    "gotify-secret",
    "bark-secret",
    "SCT-serverchan-secret",
    "pushplus-secret",
    "pushover-secret",
    "mattermost-secret",
    "rocketchat-secret",
    "googlechat-secret",
];

fn json(status: u16, body: &str) -> Fault {
    Fault::Reply(status, "application/json".into(), body.into())
}

impl All {
    pub async fn start() -> Self {
        let four = Four::start().await;
        four.slack.unpaced();
        four.ding.unpaced();
        let mut all = Self { four, members: Vec::new(), _fakes: Vec::new() };
        all.first_four();
        all.chats().await;
        all.phones().await;
        all.hooks().await;
        all.presets().await;
        all
    }

    fn first_four(&mut self) {
        let (slack, ding, wecom) = (self.four.slack.clone(), self.four.ding.clone(), self.four.wecom.clone());
        let yaml = format!("slack: {{ token: xoxb-test-token, channel: \"C0123\", api_base: \"{}\" }}", slack.url());
        let refusals = vec![
            (json(200, r#"{"ok":false,"error":"msg_too_long"}"#), "rejected"),
            (json(200, r#"{"ok":false,"error":"invalid_auth"}"#), "misconfigured"),
            (Fault::Status(429, Some(3)), "rate_limited"),
        ];
        self.add("slack", "slack", &slack, "/api/chat.postMessage", yaml, refusals);
        let yaml = format!("dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: \"{}\" }}", ding.url());
        let refusals = vec![
            (json(200, r#"{"errcode":460101,"errmsg":"message too long"}"#), "rejected"),
            (json(200, r#"{"errcode":310000,"errmsg":"sign not match"}"#), "misconfigured"),
            (json(200, r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#), "rate_limited"),
        ];
        self.add("dingtalk", "dingtalk", &ding, "/robot/send", yaml, refusals);
        let yaml = format!(
            "wecom: {{ corp_id: corp-id, agent_id: 1000002, secret: wecom-secret, to_user: \"zhangsan|lisi\", api_base: \"{}\" }}",
            wecom.url()
        );
        let refusals = vec![
            (json(200, r#"{"errcode":45002,"errmsg":"content too long"}"#), "rejected"),
            (json(200, r#"{"errcode":60020,"errmsg":"not allow to access from your ip"}"#), "misconfigured"),
            (json(200, r#"{"errcode":45009,"errmsg":"reach max api daily quota limit"}"#), "rate_limited"),
        ];
        self.add("wecom", "wecom", &wecom, "/cgi-bin/message/send", yaml, refusals);
    }

    async fn chats(&mut self) {
        let fake = Fake::start(Slack::new("xoxb-unused").webhook("/services/T0/B0/slack-hook-secret", "C0123")).await;
        let yaml = format!("slack: {{ webhook: \"{}/services/T0/B0/slack-hook-secret\" }}", fake.url());
        let refusals = vec![
            (json(400, "invalid_payload"), "rejected"),
            (json(404, "no_service"), "misconfigured"),
            (Fault::Status(429, Some(3)), "rate_limited"),
        ];
        self.add("slack-hook", "slack", &fake, "/services/", yaml, refusals);

        let fake = Fake::start(WecomRobot::new("robot-key")).await;
        let yaml = format!("wecom_robot: {{ key: robot-key, api_base: \"{}\" }}", fake.url());
        let refusals = vec![
            (json(200, r#"{"errcode":40058,"errmsg":"markdown.content exceed max length 4096"}"#), "rejected"),
            (json(200, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#), "misconfigured"),
            (json(200, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#), "rate_limited"),
        ];
        self.add("wecom_robot", "wecom_robot", &fake, "/cgi-bin/webhook/send", yaml, refusals);

        let fake = Fake::start(Feishu::new("hook-token", Some("hook-secret"), "cli_1", "app-secret")).await;
        let refusals = vec![
            (json(200, r#"{"code":9499,"msg":"Bad Request"}"#), "rejected"),
            (json(200, r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#), "misconfigured"),
            (json(200, r#"{"code":11232,"msg":"frequency limited"}"#), "rate_limited"),
        ];
        let yaml = format!("feishu: {{ token: hook-token, secret: hook-secret, api_base: \"{}\" }}", fake.url());
        self.add("feishu", "feishu", &fake, "/open-apis/bot/v2/hook", yaml, refusals);
        let fake = Fake::start(Feishu::new("hook-token", None, "cli_1", "app-secret")).await;
        let refusals = vec![
            (json(400, r#"{"code":230001,"msg":"invalid parameter"}"#), "rejected"),
            (json(400, r#"{"code":230002,"msg":"Bot/User can NOT be out of the chat."}"#), "misconfigured"),
            (json(429, r#"{"code":99991400,"msg":"request trigger frequency limit"}"#), "rate_limited"),
        ];
        let yaml = format!("feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], api_base: \"{}\" }}", fake.url());
        self.add("feishu-app", "feishu", &fake, "/open-apis/im/v1/messages", yaml, refusals);

        let fake = Fake::start(Telegram::new("1:tg-secret", &["-1001", "42"])).await;
        let yaml = format!("telegram: {{ token: \"1:tg-secret\", chat: -1001, api_base: \"{}\" }}", fake.url());
        let refusals = vec![
            (json(400, r#"{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}"#), "rejected"),
            (json(403, r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked"}"#), "misconfigured"),
            (json(429, r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":3}}"#), "rate_limited"),
        ];
        self.add("telegram", "telegram", &fake, "/sendMessage", yaml, refusals);

        let fake = Fake::start(Discord::new("1", "discord-token")).await;
        let yaml = format!("discord: {{ webhook: \"{}/api/webhooks/1/discord-token\" }}", fake.url());
        let refusals = vec![
            (json(400, r#"{"code":50035,"message":"Invalid Form Body"}"#), "rejected"),
            (json(404, r#"{"code":10015,"message":"Unknown Webhook"}"#), "misconfigured"),
            (json(429, r#"{"message":"You are being rate limited.","retry_after":2.5,"global":false}"#), "rate_limited"),
        ];
        self.add("discord", "discord", &fake, "/webhooks/", yaml, refusals);

        let teams = Teams::new("flow1", "teams-sig-secret");
        let path = teams.path.clone();
        let fake = Fake::start(teams).await;
        let yaml = format!("teams: {{ webhook: \"{}{path}?sig=teams-sig-secret\" }}", fake.url());
        let refusals = vec![
            (json(400, r#"{"error":{"code":"InvalidRequestContent"}}"#), "rejected"),
            (json(404, r#"{"error":{"code":"WorkflowNotFound"}}"#), "misconfigured"),
            (Fault::Status(429, Some(3)), "rate_limited"),
        ];
        self.add("teams", "teams", &fake, "/workflows/", yaml, refusals);

        let fake = Fake::start(PagerDuty::new(PAGER_KEY)).await;
        let yaml = format!("pagerduty: {{ routing_key: {PAGER_KEY}, api_base: \"{}\" }}", fake.url());
        let refusals = vec![
            (json(400, r#"{"status":"invalid event","errors":["'payload.summary' is missing or blank"]}"#), "rejected"),
            (json(400, r#"{"status":"invalid event","errors":["'routing_key' is invalid"]}"#), "misconfigured"),
            (json(429, r#"{"status":"throttle exceeded","message":"Requests arrive too quickly."}"#), "rate_limited"),
        ];
        self.add("pagerduty", "pagerduty", &fake, "/v2/enqueue", yaml, refusals);
    }

    async fn hooks(&mut self) {
        let fake = Fake::start(Webhook::signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).await;
        let yaml = format!("webhook: {{ url: \"{}/hook\", sign: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw], allow: [127.0.0.1] }}", fake.url());
        let refusals = vec![(json(400, "{}"), "rejected"), (json(410, "{}"), "misconfigured"), (Fault::Status(429, Some(3)), "rate_limited")];
        self.add("webhook", "webhook", &fake, "/hook", yaml, refusals);
    }

    async fn presets(&mut self) {
        // The name, the credential as the fake wants it, what the channel gives, the path, and one answer for each kind of refusal.
        type Row = (&'static str, &'static str, &'static str, &'static str, [(u16, &'static str); 3]);
        let rows: [Row; 9] = [
            (
                "ntfy",
                "tk_ntfy-secret",
                "topic: alerts, token: tk_ntfy-secret",
                "/",
                [(400, r#"{"code":40017}"#), (401, r#"{"code":40101}"#), (429, r#"{"code":42901}"#)],
            ),
            (
                "gotify",
                "gotify-secret",
                "token: gotify-secret",
                "/message",
                [(400, r#"{"errorCode":400}"#), (401, r#"{"errorCode":401}"#), (429, "{}")],
            ),
            (
                "bark",
                "bark-secret",
                "device_key: bark-secret",
                "/push",
                [(500, r#"{"code":500,"message":"PayloadTooLarge"}"#), (400, r#"{"code":400,"message":"failed to get device token"}"#), (429, "{}")],
            ),
            (
                "serverchan",
                "SCT-serverchan-secret",
                "send_key: SCT-serverchan-secret",
                ".send",
                [
                    (400, r#"{"code":40010}"#),
                    (400, r#"{"code":40001,"message":"[AUTH]错误的Key"}"#),
                    (400, r#"{"code":40001,"message":"超过当天的发送次数限制[5]"}"#),
                ],
            ),
            (
                "pushplus",
                "pushplus-secret",
                "token: pushplus-secret",
                "/send",
                [(200, r#"{"code":999}"#), (200, r#"{"code":903}"#), (200, r#"{"code":900}"#)],
            ),
            (
                "pushover",
                "pushover-secret/pushover-user",
                "token: pushover-secret, user: pushover-user",
                "/1/messages.json",
                [(400, r#"{"status":0,"errors":["x"]}"#), (400, r#"{"status":0,"user":"invalid"}"#), (429, r#"{"status":0}"#)],
            ),
            (
                "mattermost",
                "mattermost-secret",
                "hook: mattermost-secret",
                "/hooks/",
                [(400, r#"{"id":"web.incoming_webhook.text.app_error"}"#), (400, r#"{"id":"web.incoming_webhook.invalid.app_error"}"#), (429, "{}")],
            ),
            (
                "rocketchat",
                "rocket-id/rocketchat-secret",
                "hook: rocket-id, token: rocketchat-secret",
                "/hooks/",
                [
                    (400, r#"{"success":false,"error":"error-message-size-exceeded"}"#),
                    (404, r#"{"success":false,"error":"Invalid integration id"}"#),
                    (429, "{}"),
                ],
            ),
            (
                "googlechat",
                "google-key/googlechat-secret",
                "space: AAAA, webhook_key: google-key, token: googlechat-secret",
                "/v1/spaces/",
                [
                    (400, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#),
                    (403, r#"{"error":{"status":"PERMISSION_DENIED"}}"#),
                    (429, r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#),
                ],
            ),
        ];
        assert_eq!(rows.map(|row| row.0).to_vec(), presets::names(), "every service of the table of fakes");
        for (name, credential, with, path, refusals) in rows {
            let fake = Fake::start(Preset::new(name, credential)).await;
            let yaml = format!("preset: {{ use: {name}, with: {{ url: \"{}\", {with} }} }}", fake.url());
            let kinds = ["rejected", "misconfigured", "rate_limited"];
            let refusals = refusals.into_iter().zip(kinds).map(|((status, body), kind)| (json(status, body), kind)).collect();
            self.add(name, "preset", &fake, path, yaml, refusals);
        }
    }

    async fn phones(&mut self) {
        for (channel, path) in [("twilio_sms", "/Messages.json"), ("twilio_voice", "/Calls.json")] {
            let fake = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
            let yaml = format!(
                "{channel}: {{ account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", to: [\"+8613800000000\"], api_base: \"{}\" }}, resolved: true",
                fake.url()
            );
            let refusals = phone_answers::twilio();
            self.add(channel, channel, &fake, path, yaml, refusals);
        }
        for (channel, template, sign) in [
            ("aliyun_sms", "SMS_153055065", ", sign_name: 阿里云, params: { code: \"{severity}\" }"),
            ("aliyun_voice", "TTS_10001", ", params: { name: \"{text}\", severity: \"{severity}\" }"),
        ] {
            let fake = Fake::start(Aliyun::new("aliyun-key", "aliyun-secret")).await;
            let yaml = format!(
                "{channel}: {{ access_key_id: aliyun-key, access_key_secret: aliyun-secret, template: {template}{sign}, to: [\"13800000000\"], api_base: \"{}\" }}, resolved: true",
                fake.url()
            );
            let refusals = phone_answers::aliyun();
            self.add(channel, channel, &fake, "/", yaml, refusals);
        }
        for (channel, template, sign) in [
            ("tencent_sms", "1110", ", sign_name: demo, params: [\"{severity}\"]"),
            ("tencent_voice", "2220", ", params: [\"{text}\", \"{severity}\"]"),
        ] {
            let fake = Fake::start(Tencent::new("tencent-id", "tencent-secret")).await;
            let yaml = format!(
                "{channel}: {{ secret_id: tencent-id, secret_key: tencent-secret, app_id: \"1400006666\", template: \"{template}\"{sign}, to: [\"13800000000\"], api_base: \"{}\" }}, resolved: true",
                fake.url()
            );
            let refusals = phone_answers::tencent();
            self.add(channel, channel, &fake, "/", yaml, refusals);
        }
        let fake = Fake::start(DingtalkApp::new("ding-key", "ding-app-secret", "dingbot", &[("13800000001", "u1")])).await;
        let yaml = format!(
            "dingtalk_call: {{ app_key: ding-key, app_secret: ding-app-secret, robot_code: dingbot, to: [\"13800000001\"], api_base: \"{}\" }}, resolved: true",
            fake.url()
        );
        let refusals = phone_answers::ding();
        self.add("dingtalk_call", "dingtalk_call", &fake, "/robot/ding/send", yaml, refusals);
    }

    fn add<P: super::fakes::server::Platform>(
        &mut self,
        channel: &'static str,
        platform: &'static str,
        fake: &Fake<P>,
        path: &'static str,
        yaml: String,
        mut refusals: Vec<(Fault, &'static str)>,
    ) {
        refusals.extend(super::chinese_answers::of(channel).iter().map(|(status, body, kind)| (json(*status, body), *kind)));
        fake.unpaced();
        let phone = ["twilio_sms", "twilio_voice", "aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice", "dingtalk_call"].contains(&platform);
        let lost = if ["twilio_sms", "twilio_voice", "aliyun_sms"].contains(&platform) { "ok" } else { "ambiguous" };
        let broken = if phone { "ambiguous" } else { "transient" };
        self.members.push(Member { broken, lost, channel, platform, faults: fake.faults.clone(), rec: fake.rec.clone(), refusals, path, yaml });
        self._fakes.push(Box::new(fake.clone()));
    }

    /// A routes.yaml that sends everything to all of them, without a pace and impatiently.
    pub fn routes(&self) -> String {
        let channels: String = self.members.iter().map(|m| format!("  {}: {{ timeout: 2s, pace: off, {} }}\n", m.channel, m.yaml)).collect();
        let names = self.members.iter().map(|m| m.channel).collect::<Vec<_>>().join(", ");
        format!("server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n{channels}route: {{ to: [{names}] }}\n")
    }
}
