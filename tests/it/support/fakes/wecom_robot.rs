//! WeCom's group robot (`POST /cgi-bin/webhook/send?key=`): byte limits, md5 of images, 20 messages a minute.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::wecom::refusal;

/// The robots of the groups.
pub struct WecomRobot {
    /// Keys and the code that blocks them (`None`: none; 93004 disabled, 93008 not in the group).
    pub keys: HashMap<String, Option<i64>>,
    /// Messages per robot: 20 a minute, then 45009.
    pub pace: Limiter,
}

impl WecomRobot {
    /// One robot.
    pub fn new(key: &str) -> Self {
        Self { keys: HashMap::from([(key.to_owned(), None)]), pace: Limiter::new(Pace::per(20, Duration::from_secs(60))) }
    }
}

impl Platform for WecomRobot {
    fn name(&self) -> &'static str {
        "wecom_robot"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let no = |code: i64, text: &str| refusal(call, code, text);
        if call.path != "/cgi-bin/webhook/send" {
            return Answer::text(404, "404 page not found").refused("404");
        }
        if call.method != "POST" {
            return no(43002, "require POST method");
        }
        let key = call.param("key").unwrap_or("").to_owned();
        match self.keys.get(&key) {
            None => return no(93000, "invalid webhook url"),
            Some(Some(93004)) => return no(93004, "robot is disabled"),
            Some(Some(code)) => return no(*code, "robot cannot send to the group"),
            Some(None) => {}
        }
        let Some(body) = call.object() else { return no(47001, "data format error") };
        if self.pace.take(&key, call.now.mono_ms).is_err() {
            return no(45009, "api freq out of limit");
        }
        match read(&body) {
            Ok((text, to, notes)) => {
                let to = std::iter::once(key).chain(to);
                Answer::json(200, &json!({ "errcode": 0, "errmsg": "ok" })).accepted(0, text).to(to).notes(notes)
            }
            Err((code, text)) => no(code, &text),
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }
}

type Read = (String, Vec<String>, Vec<String>);

fn read(body: &Value) -> Result<Read, (i64, String)> {
    let kind = body["msgtype"].as_str().unwrap_or("");
    let part = &body[kind];
    let content = |most: usize| -> Result<String, (i64, String)> {
        match &part["content"] {
            Value::String(s) if s.is_empty() => Err((44004, "empty content".to_owned())),
            Value::String(s) if s.len() > most => Err((40058, format!("{kind}.content exceed max length {most}. invalid Request Parameter"))),
            Value::String(s) => Ok(s.clone()),
            Value::Null => Err((44004, "empty content".to_owned())),
            _ => Err((40058, format!("{kind}.content expect type string. invalid Request Parameter"))),
        }
    };
    let list = |name: &str| -> Result<Vec<String>, (i64, String)> {
        let wrong = || (40058, format!("{kind}.{name} expect type array of string. invalid Request Parameter"));
        match &part[name] {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items.iter().map(|i| i.as_str().map(str::to_owned).ok_or_else(wrong)).collect(),
            _ => Err(wrong()),
        }
    };
    match kind {
        "text" => {
            let mut to = list("mentioned_list")?;
            to.extend(list("mentioned_mobile_list")?);
            Ok((content(2048)?, to, Vec::new()))
        }
        "markdown" => {
            let text = content(4096)?;
            let to = text.match_indices("<@").filter_map(|(at, _)| text[at + 2..].split_once('>')).map(|(user, _)| user.to_owned()).collect();
            let ignored = ["mentioned_list", "mentioned_mobile_list"].iter().filter(|n| !part[**n].is_null() || !body[**n].is_null());
            Ok((text.clone(), to, ignored.map(|n| format!("not_pinged:{n}")).collect()))
        }
        "markdown_v2" => Ok((content(4096)?, Vec::new(), Vec::new())),
        "news" => {
            let articles = part["articles"].as_array().ok_or((40058, "news.articles missing. invalid Request Parameter".to_owned()))?;
            if !(1..=8).contains(&articles.len()) {
                return Err((45008, "article count out of limit".to_owned()));
            }
            let complete = articles.iter().all(|a| a["title"].is_string() && a["url"].is_string());
            let titles = articles.iter().filter_map(|a| a["title"].as_str()).collect::<Vec<_>>().join("\n");
            if complete {
                Ok((titles, Vec::new(), Vec::new()))
            } else {
                Err((40058, "news.articles.title or url missing. invalid Request Parameter".to_owned()))
            }
        }
        "template_card" if matches!(part["card_type"].as_str(), Some("text_notice" | "news_notice")) => {
            let texts = [&part["main_title"]["title"], &part["main_title"]["desc"], &part["sub_title_text"]];
            if !part["card_action"].is_object() {
                return Err((40058, "template_card.card_action missing. invalid Request Parameter".to_owned()));
            }
            Ok((texts.iter().filter_map(|t| t.as_str()).collect::<Vec<_>>().join("\n"), Vec::new(), Vec::new()))
        }
        _ => Err((40008, "invalid message type".to_owned())),
    }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let yaml = r#"wecom_robot: { key: robot-key, api_base: "BASE" }"#;
    let sample = Sample::new(json!({ "key": "robot-key" }), || WecomRobot::new("robot-key"));
    vec![sample.channel("wecom_robot", "/cgi-bin/webhook/send", &["robot-key"], yaml)]
}
