//! Every platform on which people follow an incident, with what each of them showed of it, and what rang.

use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::pagerduty::PagerDuty;
use crate::support::fakes::recorder::Recorder;
use crate::support::fakes::smtp::{Security, Smtp, SmtpOptions};
use crate::support::fakes::{
    DingtalkCard, Discord, Fake, Feishu, Mattermost, Platform, Preset, Slack, Teams, Telegram, Webhook, Wecom, WecomBot, WecomRobot, Zulip,
};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const HOOK: &str = "/services/T/B/X";
const FLOW: &str = "/workflows/flow1/triggers/manual/paths/invoke?sig=flow-secret";

/// What people of one room were shown of an incident, and what rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// Messages of their own.
    pub(super) messages: usize,
    /// Messages in the thread of another one.
    pub(super) replies: usize,
    /// Messages and replies that made a sound, or that pinged a person where every message makes one.
    pub(super) rings: usize,
    /// Edits of all messages.
    pub(super) edits: u32,
}

/// The rooms.
pub(super) struct Rooms {
    pub(super) slack: Fake<Slack>,
    pub(super) hook: Fake<Slack>,
    pub(super) telegram: Fake<Telegram>,
    pub(super) feishu: Fake<Feishu>,
    pub(super) mattermost: Fake<Mattermost>,
    pub(super) discord: Fake<Discord>,
    pub(super) card: Fake<DingtalkCard>,
    pub(super) ntfy: Fake<Preset>,
    pub(super) chat: Fake<Preset>,
    pub(super) ding: Fake<DingtalkRobot>,
    pub(super) robot: Fake<WecomRobot>,
    pub(super) wecom: Fake<Wecom>,
    pub(super) mail: Smtp,
    pub(super) pager: Fake<PagerDuty>,
    pub(super) bot: Fake<WecomBot>,
    pub(super) zulip: Fake<Zulip>,
    pub(super) teams: Fake<Teams>,
    pub(super) gotify: Fake<Preset>,
    pub(super) bark: Fake<Preset>,
    pub(super) rocket: Fake<Preset>,
    pub(super) receiver: Fake<Webhook>,
}

impl Rooms {
    pub(super) async fn start() -> Self {
        let rooms = Self {
            slack: Fake::start(Slack::new("xoxb-1")).await,
            hook: Fake::start(Slack::new("xoxb-1").webhook(HOOK, "C0123")).await,
            telegram: Fake::start(Telegram::new("1:token", &["-1001"])).await,
            feishu: Fake::start(Feishu::new("hook", None, "cli_1", "secret")).await,
            mattermost: Fake::start(Mattermost::new("bot-token", "c1")).await,
            discord: Fake::start(Discord::new("1", "token")).await,
            card: Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &[])).await,
            ntfy: Fake::start(Preset::new("ntfy", "tk_1")).await,
            chat: Fake::start(Preset::new("googlechat", "k/t")).await,
            ding: Fake::start(DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789"))).await,
            robot: Fake::start(WecomRobot::new("robot-key")).await,
            wecom: Fake::start(Wecom::new("corp-id", 1_000_002, "wecom-secret").with_members(&["zhangsan", "lisi"])).await,
            mail: Smtp::start(SmtpOptions::default().security(Security::StartTls).user("watchfire", "mail-password")).await,
            pager: Fake::start(PagerDuty::new(KEY)).await,
            bot: Fake::start(WecomBot::new("aib1", "bot-secret", &["wrOPS"])).await,
            zulip: Fake::start(Zulip::new("bot@example.com", "zulip-key")).await,
            teams: Fake::start(Teams::new("flow1", "flow-secret")).await,
            gotify: Fake::start(Preset::new("gotify", "gotify-token")).await,
            bark: Fake::start(Preset::new("bark", "bark-key")).await,
            rocket: Fake::start(Preset::new("rocketchat", "id/rocket-token")).await,
            receiver: Fake::start(Webhook::default()).await,
        };
        // Their clocks go on by seconds while the program's jumps by an hour.
        rooms.slack.unpaced();
        rooms.telegram.unpaced();
        rooms.feishu.unpaced();
        rooms.discord.unpaced();
        rooms.chat.unpaced();
        rooms
    }

    /// Everything to all of them.
    pub(super) fn routes(&self) -> String {
        format!(
            r##"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  slack: {{ slack: {{ token: xoxb-1, channel: "#ops", api_base: "{slack}" }}, mentions: {{ users: [U0123] }} }}
  hook: {{ slack: {{ webhook: "{hook}{HOOK}" }}, mentions: {{ users: [U0123] }} }}
  telegram: {{ telegram: {{ token: "1:token", chat: -1001, api_base: "{telegram}" }} }}
  feishu: {{ feishu: {{ app_id: cli_1, app_secret: secret, to: [oc_1], api_base: "{feishu}" }}, mentions: {{ users: [ou_1] }} }}
  mattermost: {{ preset: {{ name: mattermost_bot, params: {{ url: "{mattermost}", token: bot-token, channel_id: c1 }} }}, mentions: {{ users: [anna] }} }}
  discord: {{ discord: {{ webhook: "{discord}/api/webhooks/1/token" }} }}
  card: {{ dingtalk_card: {{ app_key: key, app_secret: S3CRET, robot_code: bot, to: ["cidOPS=="], api_base: "{card}" }} }}
  ntfy: {{ preset: {{ name: ntfy, params: {{ url: "{ntfy}", topic: ops, token: tk_1 }} }} }}
  chat: {{ preset: {{ name: googlechat, params: {{ url: "{chat}", space: AAAA, webhook_key: k, token: t }} }} }}
  ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: "{ding}" }}, mentions: {{ mobiles: ["13800000000"] }} }}
  robot: {{ wecom_robot: {{ key: robot-key, api_base: "{robot}" }}, mentions: {{ users: [zhangsan] }} }}
  wecom: {{ wecom: {{ corp_id: corp-id, agent_id: 1000002, secret: wecom-secret, to_user: "zhangsan|lisi", api_base: "{wecom}" }} }}
  mail: {{ email: {{ server: "localhost:{port}", tls: starttls, ca_file: "{ca}", username: watchfire, password: mail-password, from: "Watchfire <w@example.com>", to: [ops@example.com] }} }}
  pager: {{ pagerduty: {{ routing_key: "{KEY}", api_base: "{pager}" }} }}
  bot: {{ wecom_bot: {{ bot_id: aib1, secret: bot-secret, to: [wrOPS], api_base: "{bot}" }} }}
  zulip: {{ zulip: {{ site: "{zulip}", email: bot@example.com, api_key: zulip-key, channel: alerts }}, mentions: {{ users: [Anna] }} }}
  teams: {{ teams: {{ webhook: "{teams}{FLOW}" }}, mentions: {{ users: [anna@example.com] }} }}
  gotify: {{ preset: {{ name: gotify, params: {{ url: "{gotify}", token: gotify-token }} }} }}
  bark: {{ preset: {{ name: bark, params: {{ url: "{bark}", device_key: bark-key }} }} }}
  rocket: {{ preset: {{ name: rocketchat, params: {{ url: "{rocket}", hook: id, token: rocket-token }} }} }}
  receiver: {{ webhook: {{ url: "{receiver}/in", allow_networks: [127.0.0.1] }} }}
route:
  to: [slack, hook, telegram, feishu, mattermost, discord, card, ntfy, chat, ding, robot, wecom, mail, pager, bot, zulip, teams, gotify, bark, rocket, receiver]
"##,
            slack = self.slack.url(),
            hook = self.hook.url(),
            telegram = self.telegram.url(),
            feishu = self.feishu.url(),
            mattermost = self.mattermost.url(),
            discord = self.discord.url(),
            card = self.card.url(),
            ntfy = self.ntfy.url(),
            chat = self.chat.url(),
            ding = self.ding.url(),
            robot = self.robot.url(),
            wecom = self.wecom.url(),
            port = self.mail.addr().port(),
            ca = self.mail.tls.ca_file().display(),
            pager = self.pager.url(),
            bot = self.bot.url(),
            zulip = self.zulip.url(),
            teams = self.teams.url(),
            gotify = self.gotify.url(),
            bark = self.bark.url(),
            rocket = self.rocket.url(),
            receiver = self.receiver.url(),
        )
    }

    /// The rooms whose messages can be edited or answered.
    pub(super) fn living(&self) -> Vec<(&'static str, Heard, Vec<String>)> {
        let Self { slack, telegram, feishu, mattermost, discord, card, ntfy, chat, .. } = self;
        vec![
            seen("slack", slack),
            seen("telegram", telegram),
            seen("feishu", feishu),
            seen("mattermost", mattermost),
            seen("discord", discord),
            seen("card", card),
            seen("ntfy", ntfy),
            seen("chat", chat),
        ]
    }

    /// The rooms in which a message stays what it is.
    pub(super) fn plain(&self) -> Vec<(&'static str, Heard, Vec<String>)> {
        vec![
            taken("hook", &self.hook.rec, "<@U0123>"),
            taken("ding", &self.ding.rec, "13800000000"),
            taken("robot", &self.robot.rec, "zhangsan"),
            taken("wecom", &self.wecom.rec, "zhangsan"),
            taken("mail", &self.mail.rec, "ops@example.com"),
            taken("bot", &self.bot.rec, "wrOPS"),
            taken("zulip", &self.zulip.rec, "Anna"),
            taken("teams", &self.teams.rec, "anna@example.com"),
            taken("gotify", &self.gotify.rec, "gotify-token"),
            taken("bark", &self.bark.rec, "bark-key"),
            taken("rocket", &self.rocket.rec, "id/rocket-token"),
        ]
    }
}

fn seen(name: &'static str, fake: &Fake<impl Platform>) -> (&'static str, Heard, Vec<String>) {
    fake.with(|platform| {
        let room = platform.transcript().expect("a platform that keeps its messages");
        let replies = room.all().filter(|(_, post)| post.parent.is_some()).count();
        let (texts, rings, edits) = (room.texts(), room.rang().len(), room.all().map(|(_, post)| post.edits).sum());
        (name, Heard { messages: texts.len() - replies, replies, rings, edits }, texts)
    })
}

fn taken(name: &'static str, rec: &Recorder, who: &str) -> (&'static str, Heard, Vec<String>) {
    let messages = rec.accepted();
    let rings = messages.iter().filter(|message| message.to.iter().any(|to| to == who)).count();
    let texts = messages.iter().map(|message| message.text.clone()).collect();
    (name, Heard { messages: messages.len(), replies: 0, rings, edits: 0 }, texts)
}
