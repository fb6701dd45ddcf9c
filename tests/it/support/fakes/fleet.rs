//! All fakes at once with fixed credentials, and an HTTP control port for shell scripts. `GET /` on it explains.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::{Router, serve};
use serde_json::{Value, json};

use super::call::form_pairs;
use super::sample::Member;
use super::server::bind;
use super::smtp::{Act, Security, Smtp, Stage};
use super::{Fault, Faults, samples};

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
        for sample in samples() {
            let port = fleet.port();
            fleet.members.insert(sample.name.to_owned(), sample.start(port).await?);
        }
        for (name, security) in [("smtp", Security::StartTls), ("smtps", Security::Implicit)] {
            let port = fleet.port();
            fleet.members.insert(name.to_owned(), Member::smtp(security, port).await?);
        }
        Ok(fleet)
    }

    fn port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = if port == 0 { 0 } else { port + 1 };
        port
    }

    /// Turns off the pace of every fake.
    pub fn unpaced(&self) {
        self.members.values().for_each(|m| m.pace(None));
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
                member.power(path == "/_up").await.map_err(|e| format!("{name}: {e}"))?;
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
            chosen.iter().for_each(|(_, m)| m.pace(factor));
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
