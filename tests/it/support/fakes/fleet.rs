//! All fakes at once with fixed credentials, and an HTTP control port for shell scripts. `GET /` on it explains.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::{Router, serve};
use serde_json::{Value, json};

use super::call::form_pairs;
use super::server::{Fake, Platform, bind};
use super::smtp::{Act, Security, Smtp, SmtpOptions, Stage};
use super::{
    Aliyun, Clock, DingtalkApp, DingtalkRobot, Discord, Fault, Faults, Feishu, PagerDuty, Preset, Recorder, Robot, Slack, Teams, Telegram, Tencent,
    Twilio, Webhook, Wecom, WecomRobot, presets,
};

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One running fake, whatever its platform.
pub struct Member {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What a client must be given to use it.
    pub credentials: Value,
    /// What arrived.
    pub rec: Recorder,
    /// Its clock.
    pub clock: Clock,
    /// Its script of faults (HTTP platforms).
    pub faults: Option<Faults>,
    /// The server itself (mail).
    pub smtp: Option<Smtp>,
    power: Box<dyn Fn(bool) -> Later<io::Result<()>> + Send + Sync>,
    pace: Box<dyn Fn(Option<f64>) + Send + Sync>,
}

/// The running fakes by name.
#[derive(Default)]
pub struct Fleet {
    /// By name.
    pub members: BTreeMap<String, Member>,
    next_port: u16,
}

impl Fleet {
    /// Starts every fake. The ports count up from `first_port`; 0 takes free ones.
    pub async fn start(first_port: u16) -> io::Result<Self> {
        let mut fleet = Fleet { next_port: first_port, ..Fleet::default() };
        let secret = "SECfake";
        let robots = DingtalkRobot::default().robot("ding-token", Robot::signed(secret)).robot("ding-open", Robot::default());
        fleet.add(robots, json!({ "access_token": "ding-token", "secret": secret, "unsigned_access_token": "ding-open" })).await?;
        let corp = Wecom::new("ww-corp", 1_000_002, "wecom-secret");
        fleet.add(corp, json!({ "corp_id": "ww-corp", "agent_id": 1_000_002, "secret": "wecom-secret" })).await?;
        let hook = "/services/T0/B0/XXXX";
        let slack = Slack::new("xoxb-fake").webhook(hook, "C0123");
        fleet.add(slack, json!({ "token": "xoxb-fake", "channel": "#ops", "channel_id": "C0123", "webhook_path": hook })).await?;
        fleet.add_clouds().await?;
        fleet.add_chats().await?;
        for (name, security) in [("smtp", Security::StartTls), ("smtps", Security::Implicit)] {
            fleet.add_smtp(name, security).await?;
        }
        Ok(fleet)
    }

    async fn add_clouds(&mut self) -> io::Result<()> {
        self.add(Aliyun::new("aliyun-key", "aliyun-secret"), json!({
            "access_key_id": "aliyun-key", "access_key_secret": "aliyun-secret", "sign_name": "阿里云", "template_code": "SMS_153055065", "tts_code": "TTS_10001",
        }))
        .await?;
        self.add(Tencent::new("tencent-id", "tencent-key"), json!({
            "secret_id": "tencent-id", "secret_key": "tencent-key", "app_id": "1400006666", "sign_name": "demo", "sms_template": "1110", "voice_template": "2220",
        }))
        .await?;
        let twilio = json!({ "account_sid": "AC1", "auth_token": "twilio-token", "from": "+15005550006" });
        self.add(Twilio::new("AC1", "twilio-token", "+15005550006"), twilio).await?;
        let members = [("13800000001", "u1"), ("13800000002", "u2")];
        let app = json!({ "app_key": "ding-key", "app_secret": "ding-secret", "robot_code": "dingbot", "members": members });
        self.add(DingtalkApp::new("ding-key", "ding-secret", "dingbot", &members), app).await
    }

    async fn add_chats(&mut self) -> io::Result<()> {
        self.add(WecomRobot::new("robot-key"), json!({ "key": "robot-key" })).await?;
        let feishu = json!({ "hook": "hook-token", "secret": "hook-secret", "app_id": "cli_1", "app_secret": "app-secret" });
        self.add(Feishu::new("hook-token", Some("hook-secret"), "cli_1", "app-secret"), feishu).await?;
        self.add(Telegram::new("1:tg", &["-1001", "42"]), json!({ "token": "1:tg", "chats": ["-1001", "42"] })).await?;
        let teams = Teams::new("flow1", "teams-sig");
        let path = format!("{}?sig=teams-sig", teams.path);
        self.add(teams, json!({ "path": path })).await?;
        self.add(Discord::new("1", "discord-token"), json!({ "path": "/api/webhooks/1/discord-token" })).await?;
        let key = "0123456789abcdef0123456789abcdef";
        self.add(PagerDuty::new(key), json!({ "routing_key": key })).await?;
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        self.add(Webhook::signed(secret), json!({ "secret": secret })).await?;
        for name in presets::names() {
            let credential = if matches!(name, "pushover" | "googlechat") { "app/user".to_owned() } else { format!("{name}-key") };
            let preset = Preset::new(name, &credential);
            let path = preset.path(&credential);
            self.add(preset, json!({ "credential": credential, "path": path })).await?;
        }
        Ok(())
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = if port == 0 { 0 } else { port + 1 };
        port
    }

    async fn add<P: Platform>(&mut self, platform: P, credentials: Value) -> io::Result<()> {
        let name = platform.name().to_owned();
        let port = self.port();
        let fake = Fake::start_on(platform, port).await?;
        let (switch, dial) = (fake.clone(), fake.clone());
        let member = Member {
            addr: fake.addr(),
            credentials,
            rec: fake.rec.clone(),
            clock: fake.clock.clone(),
            faults: Some(fake.faults.clone()),
            smtp: None,
            power: Box::new(move |on| {
                let fake = switch.clone();
                Box::pin(async move {
                    if on {
                        return fake.up().await;
                    }
                    fake.down();
                    Ok(())
                })
            }),
            pace: Box::new(move |factor| factor.map_or_else(|| dial.unpaced(), |f| dial.pace_faster(f))),
        };
        self.members.insert(name, member);
        Ok(())
    }

    async fn add_smtp(&mut self, name: &str, security: Security) -> io::Result<()> {
        let port = self.port();
        let server = Smtp::start_on(SmtpOptions::default().security(security).user("watchfire", "mail-secret"), port).await?;
        let switch = server.clone();
        let member = Member {
            addr: server.addr(),
            credentials: json!({ "username": "watchfire", "password": "mail-secret", "ca_file": server.tls.ca_file(), "tls": format!("{security:?}").to_lowercase() }),
            rec: server.rec.clone(),
            clock: server.clock.clone(),
            faults: None,
            smtp: Some(server),
            power: Box::new(move |on| {
                let server = switch.clone();
                Box::pin(async move {
                    if on {
                        return server.up().await;
                    }
                    server.down();
                    Ok(())
                })
            }),
            pace: Box::new(|_| {}),
        };
        self.members.insert(name.to_owned(), member);
        Ok(())
    }

    /// Turns off the pace of every fake.
    pub fn unpaced(&self) {
        self.members.values().for_each(|m| (m.pace)(None));
    }

    /// Serves the control port until the task is dropped; returns its address.
    pub async fn control(self: Arc<Self>, port: u16) -> io::Result<SocketAddr> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let addr = listener.local_addr()?;
        let app = Router::new().fallback(control).with_state(self);
        tokio::spawn(async move { serve(listener, app).await });
        Ok(addr)
    }

    /// What runs where, with which credentials.
    pub fn describe(&self) -> Value {
        let one = |m: &Member| {
            let scheme = if m.smtp.is_some() { "smtp" } else { "http" };
            json!({ "url": format!("{scheme}://{}", m.addr), "credentials": m.credentials })
        };
        Value::Object(self.members.iter().map(|(n, m)| (n.clone(), one(m))).collect())
    }
}

const HELP: &str = "GET /  GET /_recorded?fake=  GET /_counts?fake=  GET /_marks?fake=  (without fake: all)
POST /_reset?fake=  POST /_track?prefix=  POST /_count_only?on=true|false
POST /_fault?fake=&do=delay:1s,status:503,reset[&on=/path][&always=1]  POST /_lottery?fake=&seed=7&odds=0.1=reset,0.2=html:502  POST /_clear?fake=
POST /_smtp?fake=smtp&stage=rcpt&act=450|close|reset|hang|take-close|take-hang[&address=a@b][&times=1]
POST /_down?fake=  POST /_up?fake=  POST /_advance?by=61  POST /_pace?factor=10|off";

async fn control(State(fleet): State<Arc<Fleet>>, req: Request) -> Response<Body> {
    let query: BTreeMap<String, String> = form_pairs(req.uri().query().unwrap_or("")).into_iter().collect();
    let (status, body) = match command(&fleet, req.uri().path(), &query).await {
        Ok(value) => (200, value),
        Err(text) => (400, json!({ "error": text, "help": HELP.lines().collect::<Vec<_>>() })),
    };
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

async fn command(fleet: &Fleet, path: &str, query: &BTreeMap<String, String>) -> Result<Value, String> {
    let get = |name: &str| query.get(name).map(String::as_str);
    let need = |name: &str| get(name).ok_or_else(|| format!("the parameter {name} is missing"));
    let chosen: Vec<(&String, &Member)> = match get("fake") {
        None => fleet.members.iter().collect(),
        Some(name) => vec![fleet.members.get_key_value(name).ok_or_else(|| format!("no fake is called {name:?}"))?],
    };
    let each = |f: &dyn Fn(&Member) -> Value| Ok(Value::Object(chosen.iter().map(|(n, m)| ((*n).clone(), f(m))).collect()));
    let scripted: Vec<&Faults> = chosen.iter().filter_map(|(_, m)| m.faults.as_ref()).collect();
    match path {
        "/" => return Ok(json!({ "fakes": fleet.describe(), "help": HELP.lines().collect::<Vec<_>>() })),
        "/_recorded" => return each(&|m| m.rec.records_json()),
        "/_counts" => return each(&|m| m.rec.counts_json()),
        "/_marks" => return each(&|m| json!(m.rec.seen_order())),
        "/_reset" => chosen.iter().for_each(|(_, m)| m.rec.clear()),
        "/_track" => {
            let prefix = need("prefix")?;
            chosen.iter().for_each(|(_, m)| m.rec.track(prefix));
        }
        "/_count_only" => chosen.iter().for_each(|(_, m)| m.rec.count_only(get("on") != Some("false"))),
        "/_fault" => {
            let faults = need("do")?.split(',').map(str::parse::<Fault>).collect::<Result<Vec<_>, _>>()?;
            for script in scripted {
                for fault in &faults {
                    match (get("always").is_some(), get("on")) {
                        (true, Some(path)) => script.always_on(path, fault.clone()),
                        (true, None) => script.always(fault.clone()),
                        (false, Some(path)) => script.push_on(path, fault.clone()),
                        (false, None) => script.push(fault.clone()),
                    }
                }
            }
        }
        "/_lottery" => {
            let seed = need("seed")?.parse().map_err(|_| "seed must be a number".to_owned())?;
            let odds = need("odds")?.split(',').map(|o| {
                let (chance, fault) = o.split_once('=').ok_or_else(|| format!("odds are CHANCE=FAULT, not {o:?}"))?;
                Ok((chance.parse::<f64>().map_err(|_| format!("{chance:?} is no probability"))?, fault.parse::<Fault>()?))
            });
            let odds = odds.collect::<Result<Vec<_>, String>>()?;
            scripted.iter().for_each(|s| s.lottery(seed, &odds));
        }
        "/_clear" => {
            scripted.iter().for_each(|s| s.clear());
            chosen.iter().filter_map(|(_, m)| m.smtp.as_ref()).for_each(Smtp::clear_script);
        }
        "/_smtp" => {
            let (stage, act) = (stage(need("stage")?)?, act(need("act")?)?);
            let times = get("times").map(str::parse).transpose().map_err(|_| "times must be a number".to_owned())?;
            for server in chosen.iter().filter_map(|(_, m)| m.smtp.as_ref()) {
                server.script(stage, get("address"), act.clone(), times);
            }
        }
        "/_down" | "/_up" => {
            for (name, member) in chosen {
                (member.power)(path == "/_up").await.map_err(|e| format!("{name}: {e}"))?;
            }
        }
        "/_advance" => {
            let seconds: f64 = need("by")?.parse().map_err(|_| "by is a number of seconds".to_owned())?;
            let by = Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
            chosen.iter().for_each(|(_, m)| m.clock.advance(by));
        }
        "/_pace" => {
            let factor = match need("factor")? {
                "off" => None,
                text => Some(text.parse::<f64>().ok().filter(|f| *f > 0.0).ok_or("factor is a number above 0, or off")?),
            };
            chosen.iter().for_each(|(_, m)| (m.pace)(factor));
        }
        _ => return Err(format!("no command {path}")),
    }
    Ok(json!({ "ok": true }))
}

fn stage(word: &str) -> Result<Stage, String> {
    use Stage::*;
    let all = [Connect, Ehlo, StartTls, Auth, Mail, Rcpt, Data, Body, Noop];
    all.into_iter().find(|s| format!("{s:?}").eq_ignore_ascii_case(word)).ok_or_else(|| format!("no stage is called {word:?}"))
}

fn act(word: &str) -> Result<Act, String> {
    Ok(match word {
        "close" => Act::Close,
        "reset" => Act::Reset,
        "hang" => Act::Hang,
        "take-close" => Act::TakeThenClose,
        "take-hang" => Act::TakeThenHang,
        code => Act::Reply(code.parse().map_err(|_| format!("cannot read the act {word:?}"))?, "scripted"),
    })
}
