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
use serde_json::Value;

use super::prometheusalert::{ZABBIX_CLIENT, is_known, levels, sender};
use super::query::{People, Query, mentions};
use crate::api::AcceptedResponse;
use crate::channel::Reach;
use crate::delivery::Plan;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::receive::{Address, Call, receive};
use crate::http::{App, Caller, HttpError, Scope};
use crate::ingest::{Sender, WebhookBody};
use crate::model::{Event, Note, OutletKey, Recipient};

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
    // GET, too: PrometheusAlert answers both, and old scripts send a body with it.
    let alert = || {
        [
            Param::text("type", "The type of channel"),
            Param::text("tpl", "A template of PrometheusAlert, in place of which the channel's own is used; or a set of templates here"),
            Param::text("from", "`aliyun`: the body is Alibaba CloudMonitor's"),
            Param::text("split", "Taken without effect: alerts of one body go where each of them belongs, and share a message there"),
            Param::text("ddurl", "Robots of DingTalk, separated by commas; `wxurl`, `fsurl` and `webhookurl` likewise"),
            Param::text("rr", "`true`: one of the robots"),
            Param::text("alertgroup", "A group of PrometheusAlert's own configuration: noted, for the type's channels get the alert"),
            Param::text("phone", "Mobile numbers, separated by commas: recipients of a channel that sends text messages or calls"),
            Param::text("email", "Mail addresses, separated by commas: recipients of a mail channel"),
            Param::text("wxuser", "Members, separated by `|`: recipients of a WeCom application; `wxparty` and `wxtag` likewise"),
            at(),
        ]
    };
    let zabbix = bridge(Op::post("zabbixAlert", "Accepts alerts of Zabbix as PrometheusAlert does, from its zabbixclient", zabbix_alert));
    Paths::default()
        .at("/dingtalk/{target}/send", [bridge(Op::post("dingtalkBridge", "Accepts alerts as prometheus-webhook-dingtalk does", dingtalk))])
        .at(
            "/prometheusalert",
            [
                Op::post("prometheusalert", "Accepts alerts as PrometheusAlert does", prometheusalert),
                Op::get("prometheusalertGet", "The same, as PrometheusAlert takes it, too", prometheusalert),
            ]
            .map(|op| bridge(op).query(alert()).gives_anything()),
        )
        .at("/zabbix/alert", [zabbix.takes::<Value>("What zabbixclient posts").gives_anything()])
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

/// `POST|GET /prometheusalert?type=..`.
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
            robots: robots_at(kind, query.get(url)),
            one_of: query.get("rr") == "true",
            group: query.get("alertgroup"),
            at: query.get("at"),
            template: tpl,
        }
    })
    .await?;
    Ok(Json(TAKEN))
}

/// `POST /zabbix/alert`: zabbixclient says in the body what others say in the query.
async fn zabbix_alert(State(app): State<Arc<App>>, request: Request) -> Result<Json<&'static str>, HttpError> {
    take(&app, Sender::Input(ZABBIX_CLIENT.to_owned()), request, |plan, event| {
        let said = |name: &str| event.alerts.first().and_then(|alert| alert.extra.get(name)?.as_str()).unwrap_or_default().to_owned();
        let (kind, target) = (said("zabbixtype"), said("zabbixtarget"));
        let is_robot = matches!(kind.as_str(), "dd" | "wx" | "fs");
        let is_phone = kind.ends_with("dx") || kind.ends_with("dh");
        let robots = if is_robot { robots_at(&kind, &target) } else { Vec::new() };
        let target = Query(vec![("zabbixtarget".to_owned(), target)]);
        Named {
            bound: plan.legacy.prometheusalert.get(&kind).cloned(),
            name: format!("zabbix/alert: {kind}"),
            robots,
            people: if is_phone { vec![target.people("zabbixtarget", Reach::Mobile, "")] } else { Vec::new() },
            ..Named::default()
        }
    })
    .await?;
    Ok(Json(TAKEN))
}

/// `POST /webhook/send?channel_type=..`.
async fn webhook_send(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Result<StatusCode, HttpError> {
    let query = Query::of(query.as_deref());
    take(&app, Sender::Auto, request, |plan, _| {
        let kind = query.get("channel_type");
        let people = [query.people("to_user", WECOM, ""), query.people("to_party", WECOM, "party:"), query.people("to_tag", WECOM, "tag:")];
        Named {
            people: people.into(),
            bound: plan.legacy.webhook_send.get(kind).cloned(),
            name: format!("webhook/send?channel_type={kind}"),
            robots: robots_of(kind, &query),
            one_of: true,
            at: query.get("at"),
            ..Named::default()
        }
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The robot or application that a query of alertmanager-webhook-adapter names, in each way in which a channel here may write it.
fn robots_of(kind: &str, query: &Query) -> Vec<OutletKey> {
    let token = query.get("token");
    match kind {
        "weixinapp" => vec![OutletKey::new("wecom", &format!("{} {}", query.get("corp_id"), query.get("agent_id")))],
        _ if token.is_empty() => Vec::new(),
        "dingtalk" => vec![OutletKey::new("dingtalk", token)],
        "weixin" => vec![OutletKey::new("wecom_robot", token)],
        // The adapter puts the `#` before a name that has none.
        "slack" => {
            let name = query.get("channel").trim_start_matches('#');
            ["#", ""].map(|mark| OutletKey::new("slack", &format!("{token} {mark}{name}"))).into()
        }
        "discord-webhook" => vec![OutletKey::new("discord", &format!("https://discord.com/api/webhooks/{}/{token}", query.get("id")))],
        _ => vec![OutletKey::new("feishu", token)],
    }
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
    /// The group that it names: its robots are in the bridge's own configuration.
    group: &'q str,
    /// Whom it pings.
    at: &'q str,
    /// To whom it goes, on channels that write to people.
    people: Vec<People>,
    /// The template that it names; empty: none.
    template: &'q str,
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
        let shown = |name: &str| name.chars().filter(|c| !c.is_control()).take(100).collect::<String>();
        match self.bound {
            _ if !strangers => {}
            Some(bound) => to.extend(bound.into_iter().filter(|name| plan.channels.contains_key(name))),
            None => unknown.push(shown(&self.name)),
        }
        if strangers && !self.group.is_empty() {
            unknown.push(shown(&format!("alertgroup={}", self.group)));
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

/// The robots at addresses that are separated by commas.
fn robots_at(kind: &str, urls: &str) -> Vec<OutletKey> {
    urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(|url| robot_at(kind, url)).collect()
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
    fn the_adapters_query_names_a_robot_or_an_application() {
        let of = |query: &str| {
            let query = Query::of(Some(query));
            robots_of(query.get("channel_type"), &query)
        };
        assert_eq!(of("channel_type=weixinapp&corp_id=ww1&agent_id=1000002&agent_secret=s&to_user=li"), [OutletKey::new("wecom", "ww1 1000002")]);
        let slack = [OutletKey::new("slack", "xoxb-1 #ops"), OutletKey::new("slack", "xoxb-1 ops")];
        assert_eq!(of("channel_type=slack&token=xoxb-1&channel=ops"), slack);
        assert_eq!(of("channel_type=slack&token=xoxb-1&channel=%23ops"), slack);
        assert_eq!(of("channel_type=weixin&token=K"), [OutletKey::new("wecom_robot", "K")]);
        assert_eq!(of("channel_type=discord-webhook&id=1&token=T"), [OutletKey::new("discord", "https://discord.com/api/webhooks/1/T")]);
        assert_eq!(of("channel_type=dingtalk"), []);
    }
}
