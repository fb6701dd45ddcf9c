//! The paths of three bridges that Watchfire replaces, so that a migration changes one address: prometheus-webhook-dingtalk, PrometheusAlert and
//! alertmanager-webhook-adapter. They take alerts like `/webhook` does and answer as the bridge did.
//!
//! A query names a channel, by a binding in `legacy` or by having a robot's token that a channel has, too; and where that channel writes to people, as the
//! direct paths do, whom it writes to. No address in it is called.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;

use super::prometheusalert::{is_known, levels, sender};
use crate::api::AcceptedResponse;
use crate::channel::Reach;
use crate::channel::kit::phone;
use crate::delivery::Plan;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::receive::{Address, Call, receive};
use crate::http::{App, Caller, HttpError, Scope};
use crate::ingest::{Sender, WebhookBody};
use crate::model::{Event, Mentions, Note, OutletKey, Recipient};

/// What PrometheusAlert answers when DingTalk has taken a message.
const TAKEN: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

/// The paths.
pub(super) fn paths() -> Paths {
    let bridge = |op: Op| op.scope(Scope::Legacy).takes::<WebhookBody>("The webhook's body");
    let at = || Param::text("at", "Whom to ping: mobile numbers or user ids, separated by commas; `all`");
    let adapter = [
        Param::text("channel_type", "The type of channel"),
        Param::text("token", "The robot's token"),
        Param::text("to_user", "Members, separated by `|`: recipients of a WeCom application; `to_party` and `to_tag` likewise"),
        at(),
    ];
    let alert = [
        Param::text("type", "The type of channel"),
        Param::text("tpl", "A template of PrometheusAlert, in place of which the channel's own is used; or a set of templates here"),
        Param::text("from", "`aliyun`: the body is Alibaba CloudMonitor's"),
        Param::text("split", "Taken without effect: alerts of one body go where each of them belongs, and share a message there"),
        Param::text("ddurl", "Robots of DingTalk, separated by commas; `wxurl`, `fsurl` and `webhookurl` likewise"),
        Param::text("rr", "`true`: one of the robots"),
        Param::text("phone", "Mobile numbers, separated by commas: recipients of a channel that sends text messages or calls"),
        Param::text("email", "Mail addresses, separated by commas: recipients of a mail channel"),
        Param::text("wxuser", "Members, separated by `|`: recipients of a WeCom application; `wxparty` and `wxtag` likewise"),
        at(),
    ];
    let about = "Accepts alerts as PrometheusAlert does";
    Paths::default()
        .at("/dingtalk/{target}/send", [bridge(Op::post("dingtalkBridge", "Accepts alerts as prometheus-webhook-dingtalk does", dingtalk))])
        .at("/prometheusalert", [bridge(Op::post("prometheusalert", about, prometheusalert)).query(alert).gives_anything()])
        .at(
            "/webhook/send",
            [bridge(Op::post("webhookSend", "Accepts alerts as alertmanager-webhook-adapter does", webhook_send)).query(adapter).gives_nothing()],
        )
}

/// `POST /dingtalk/{target}/send`.
async fn dingtalk(State(app): State<Arc<App>>, Path(target): Path<String>, request: Request) -> Result<&'static str, HttpError> {
    take(&app, Sender::Auto, request, |plan, _| {
        let bound = plan.legacy.dingtalk.get(&target);
        Named { bound: bound.cloned(), name: format!("dingtalk/{target}"), ..Named::default() }
    })
    .await?;
    Ok("OK")
}

/// `POST /prometheusalert?type=..`.
async fn prometheusalert(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Result<Json<&'static str>, HttpError> {
    let query = Query::of(query.as_deref());
    let tpl = query.get("tpl");
    take(&app, sender(tpl, query.get("from")), request, |plan, event| {
        levels(event, &plan.scale);
        let kind = query.get("type");
        let url = match kind {
            "dd" => "ddurl",
            "wx" => "wxurl",
            "fs" => "fsurl",
            _ => "webhookurl",
        };
        let people = [
            query.people("phone", Reach::Mobile, ""),
            query.people("email", Reach::Email, ""),
            query.people("wxuser", WECOM, ""),
            query.people("wxparty", WECOM, "party:"),
            query.people("wxtag", WECOM, "tag:"),
        ];
        Named {
            people: people.into(),
            bound: plan.legacy.prometheusalert.get(kind).cloned(),
            name: format!("prometheusalert?type={kind}"),
            robots: query.get(url).split(',').filter(|url| !url.trim().is_empty()).map(|url| robot_at(kind, url.trim())).collect(),
            one_of: query.get("rr") == "true",
            at: query.get("at"),
            template: tpl,
        }
    })
    .await?;
    Ok(Json(TAKEN))
}

/// `POST /webhook/send?channel_type=..`.
async fn webhook_send(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Result<StatusCode, HttpError> {
    let query = Query::of(query.as_deref());
    take(&app, Sender::Auto, request, |plan, _| {
        let (kind, token) = (query.get("channel_type"), query.get("token"));
        let robot = match kind {
            "dingtalk" => OutletKey::new("dingtalk", token),
            "weixin" => OutletKey::new("wecom_robot", token),
            "slack" => OutletKey::new("slack", &format!("{token} {}", query.get("channel"))),
            "discord-webhook" => OutletKey::new("discord", &format!("https://discord.com/api/webhooks/{}/{token}", query.get("id"))),
            _ => OutletKey::new("feishu", token),
        };
        let people = [query.people("to_user", WECOM, ""), query.people("to_party", WECOM, "party:"), query.people("to_tag", WECOM, "tag:")];
        Named {
            people: people.into(),
            bound: plan.legacy.webhook_send.get(kind).cloned(),
            name: format!("webhook/send?channel_type={kind}"),
            robots: if token.is_empty() { Vec::new() } else { vec![robot] },
            at: query.get("at"),
            ..Named::default()
        }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The set of templates that has this name, where a channel has it that the event goes to. Where none has, and it is none of PrometheusAlert's own, the
/// event notes that.
fn template(plan: &Plan, to: &[String], tpl: &str, event: &mut Event) -> Option<String> {
    let goes_to = |name: &str| to.is_empty() || to.iter().any(|one| one == name);
    let mut channels = plan.channels.values().filter(|channel| goes_to(&channel.name));
    if channels.any(|channel| plan.templates.has_set(channel.platform.name, tpl)) {
        return Some(tpl.to_owned());
    }
    if !is_known(tpl) {
        let tpl: String = tpl.chars().filter(|c| !c.is_control()).take(100).collect();
        tracing::warn!(
            tpl,
            "the address names a template that its channels do not have: their own are used; add a set of that name to `templates`, for their platforms"
        );
        event.notes.push(Note::Template);
    }
    None
}

async fn take<'q>(
    app: &App,
    sender: Sender,
    request: Request,
    named: impl FnOnce(&Plan, &mut Event) -> Named<'q>,
) -> Result<AcceptedResponse, HttpError> {
    let call = Call { scope: Scope::Legacy, sender, source: None };
    receive(app, call, request, |plan, caller, event| {
        let named = named(plan, event);
        let tpl = named.template;
        let (mut address, left) = named.address(plan, caller);
        address.template = template(plan, &address.to, tpl, event);
        if !left.is_empty() {
            let (parameters, to) = (left.join(", "), address.to.join(", "));
            tracing::warn!(
                parameters,
                to,
                "the address names recipients whom its channels do not take, too many, or ones that are no addresses: they are left out, and where \
                 nobody is left the channels' own get the alert"
            );
            event.notes.push(Note::Recipients);
        }
        Ok(address)
    })
    .await
}

/// What a path or query names.
#[derive(Default)]
struct Named<'q> {
    /// The channels that the configuration binds it to.
    bound: Option<Vec<String>>,
    /// How it is called where it is bound to nothing.
    name: String,
    /// The robots that it names.
    robots: Vec<OutletKey>,
    /// Whether one of them is enough.
    one_of: bool,
    /// Whom it pings.
    at: &'q str,
    /// To whom it goes, on channels that write to people.
    people: Vec<People>,
    /// The template that it names; empty: none.
    template: &'q str,
}

/// Whom a parameter names.
struct People {
    parameter: &'static str,
    /// What their addresses are: a channel takes them that reaches people by these.
    reach: Reach,
    to: Vec<Recipient>,
    /// Whether it names more than [`most`], or what is no address.
    cut: bool,
}

/// The parameters of WeCom's applications name members, departments and tags.
const WECOM: Reach = Reach::Id("wecom");

impl Named<'_> {
    /// Where it goes, and the parameters of whose people some are left out.
    fn address(self, plan: &Plan, caller: &Caller) -> (Address, Vec<&'static str>) {
        let mut to: Vec<String> = Vec::new();
        let mut strangers = self.robots.is_empty();
        for robot in &self.robots {
            match plan.channels.values().find(|channel| channel.outlet == *robot) {
                Some(channel) => to.push(channel.name.to_string()),
                None => strangers = true,
            }
        }
        if self.one_of && !to.is_empty() {
            to.truncate(1);
            strangers = false;
        }
        let mut unknown = Vec::new();
        match self.bound {
            _ if !strangers => {}
            Some(bound) => to.extend(bound.into_iter().filter(|name| plan.channels.contains_key(name))),
            None => unknown.push(self.name.chars().filter(|c| !c.is_control()).take(100).collect()),
        }
        let mut seen = HashSet::new();
        to.retain(|name| seen.insert(name.clone()));
        unknown.extend(to.extract_if(.., |name| !caller.may_use(name)));
        let (recipients, left) = taken(plan, &to, self.people);
        (Address { to, unknown, mentions: mentions(self.at), recipients, template: None }, left)
    }
}

/// To whom each of these channels goes, as the direct paths send to whom their bodies name; and the parameters that none of them takes, or not all of.
fn taken(plan: &Plan, to: &[String], people: Vec<People>) -> (BTreeMap<String, Vec<Recipient>>, Vec<&'static str>) {
    let (mut recipients, mut left): (BTreeMap<String, Vec<Recipient>>, _) = (BTreeMap::new(), Vec::new());
    for named in people.into_iter().filter(|named| named.cut || !named.to.is_empty()) {
        let takes = |name: &&String| plan.channel(name).is_some_and(|channel| channel.platform.pings.person == named.reach);
        let channels: Vec<&String> = to.iter().filter(takes).collect();
        if channels.is_empty() || named.cut {
            left.push(named.parameter);
        }
        for name in channels.into_iter().filter(|_| !named.to.is_empty()) {
            recipients.entry(name.clone()).or_default().extend(named.to.iter().cloned());
        }
    }
    (recipients, left)
}

/// The names and values of a query.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(query: Option<&str>) -> Self {
        Self(pairs(query).collect())
    }

    /// Whom a parameter names, each once and as many as may be ([`most`]); `prefix` is what the channel writes before their addresses.
    fn people(&self, parameter: &'static str, reach: Reach, prefix: &str) -> People {
        let mut people = People { parameter, reach, to: Vec::new(), cut: false };
        let mut seen = HashSet::new();
        for text in self.get(parameter).split([',', '|']).map(str::trim).filter(|text| !text.is_empty()) {
            let one = Recipient::new(format!("{prefix}{text}"));
            if !seen.insert(address_of(reach, text)) {
                continue;
            }
            if people.to.len() == most(reach) || !one.is_sound() || text.chars().any(char::is_control) {
                people.cut = true;
                continue;
            }
            people.to.push(one);
        }
        people
    }

    /// A value; empty when there is none.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

/// The robot behind an address, as far as it is one of the type: what its rate limit counts is its token.
fn robot_at(kind: &str, url: &str) -> OutletKey {
    let after = |mark: &str| url.split_once(mark).map_or("", |(_, rest)| rest.split(['&', '#']).next().unwrap_or_default());
    match kind {
        "dd" => OutletKey::new("dingtalk", after("access_token=")),
        "wx" => OutletKey::new("wecom_robot", after("key=")),
        "fs" => OutletKey::new("feishu", after("/hook/")),
        _ => OutletKey::new("webhook", url),
    }
}

/// What an address is, in whatever way it is written.
fn address_of(reach: Reach, text: &str) -> String {
    match reach {
        Reach::Mobile => phone::e164(text).unwrap_or_else(|| text.to_owned()),
        Reach::Email => text.to_ascii_lowercase(),
        _ => text.to_owned(),
    }
}

/// People that one parameter names at most. Of each mobile number the store is asked what it was sent; WeCom takes 1,000 members in one request
/// (<https://developer.work.weixin.qq.com/document/path/90236>).
fn most(reach: Reach) -> usize {
    if reach == Reach::Mobile { 50 } else { 1000 }
}

/// People that one address pings at most.
const MAX_PINGED: usize = 50;

/// Whom `at` pings: everybody, mobile numbers, or ids of the platform. What can be neither is left out: anybody may have written the address.
fn mentions(at: &str) -> Option<Mentions> {
    let mut mentions = Mentions::default();
    let sound = |one: &&str| (1..=128).contains(&one.len()) && one.chars().all(|c| c.is_alphanumeric() || "_-.@+".contains(c));
    for one in at.split([',', '|']).map(str::trim).filter(sound).take(MAX_PINGED) {
        let digits = one.trim_start_matches('+');
        match one {
            "all" | "@all" => mentions.all = true,
            _ if phone::mainland_mobile(one).is_some() => mentions.mobiles.push(one.to_owned()),
            _ if digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_digit()) => mentions.mobiles.push(one.to_owned()),
            _ => mentions.users.push(one.to_owned()),
        }
    }
    Some(mentions).filter(|mentions| !mentions.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn robots_are_known_by_their_tokens() {
        let ding = OutletKey::new("dingtalk", "T1");
        assert_eq!(robot_at("dd", "https://oapi.dingtalk.com/robot/send?access_token=T1"), ding);
        assert_eq!(robot_at("dd", "https://oapi.dingtalk.com/robot/send?access_token=T1&secret=S"), ding);
        assert_eq!(robot_at("wx", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=K"), OutletKey::new("wecom_robot", "K"));
        assert_eq!(robot_at("fs", "https://open.feishu.cn/open-apis/bot/v2/hook/F"), OutletKey::new("feishu", "F"));
        assert_ne!(robot_at("dd", "http://169.254.169.254/"), ding);
    }

    #[test]
    fn at_pings_numbers_people_or_everybody() {
        let read = mentions("13800000001, zhangsan|+8613900000002,all").unwrap();
        assert_eq!((read.all, read.mobiles, read.users), (true, vec!["13800000001".into(), "+8613900000002".into()], vec!["zhangsan".to_owned()]));
        assert_eq!(mentions("0086-138-1234-5678").unwrap().mobiles, ["0086-138-1234-5678"]);
        assert_eq!(mentions(" , "), None);
        assert_eq!(mentions("x></at>[Log in](https://evil.example)<at id=y"), None, "markup names nobody");
        assert_eq!(mentions(&"ann,".repeat(1000)).unwrap().users.len(), MAX_PINGED);
    }

    #[test]
    fn a_parameter_names_so_many_people_and_only_addresses() {
        let many: Vec<String> = (0..5000).map(|n| (13_800_000_000_u64 + n).to_string()).collect();
        let list = |list: &str| {
            let people = Query(vec![("phone".into(), list.into())]).people("phone", Reach::Mobile, "");
            (people.to, people.cut)
        };
        let (to, cut) = list(&many.join(","));
        assert_eq!((to.len(), &to[0], cut), (50, &Recipient::new("13800000000"), true));
        assert_eq!(list(&many[..50].join("|")).0.len(), 50);
        assert!(!list(&many[..50].join("|")).1, "fifty are not too many");
        assert_eq!(list("13800000000,+8613800000000,8613800000000").0, [Recipient::new("13800000000")], "one number in three ways");
        let members = Query(vec![("wxuser".into(), many.join("|"))]).people("wxuser", Reach::Id("wecom"), "");
        assert_eq!((members.to.len(), members.cut), (1000, true));
        let long = many[..400].join(";");
        assert_eq!(list(&format!("{long},13800000000,1380\u{1}0")), (vec![Recipient::new("13800000000")], true), "what is no address is left out");
        assert_eq!(list(&long), (Vec::new(), true));
        assert_eq!(list("13800000000, 13800000000"), (vec![Recipient::new("13800000000")], false));
    }
}
