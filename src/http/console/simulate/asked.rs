//! Which alerts are simulated, and by which routes.

use maud::{Markup, html};

use super::MAX_ALERTS;
use crate::delivery::simulate::Storm;
use crate::http::api::no_id;
use crate::http::console::failure::Failure;
use crate::http::console::form::Fields;
use crate::http::console::parts::{plain, say};
use crate::http::console::viewer::Viewer;
use crate::model::{EventId, parse_duration};

/// The longest time of which what was received is simulated, in hours.
const MAX_HOURS: i64 = 168;

/// Which alerts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Of {
    /// What was received in so many hours.
    Hours(i64),
    /// What a stored event holds.
    Event(EventId),
    /// None that are real.
    Storm(Storm),
}

/// What the form says.
#[derive(Debug)]
pub(super) struct Asked {
    /// Nothing while nothing was asked for.
    pub(super) of: Option<Of>,
    /// By the routes of the file on disk, and how that differs from those that run.
    pub(super) by_file: bool,
    /// The form's tab.
    tab: String,
    fields: Fields,
}

impl Asked {
    pub(super) fn read(fields: &Fields) -> Result<Self, Failure> {
        let tab = fields.get("of").to_owned();
        let number = |name: &str| {
            let n: usize = fields.get(name).parse().map_err(|_| Failure::bad(format!("`{name}` takes a number")))?;
            Ok::<_, Failure>(n)
        };
        let of = match tab.as_str() {
            "event" if fields.get("event").is_empty() => None,
            "event" => {
                let event = fields.get("event");
                Some(Of::Event(event.parse().map_err(|_| Failure::bad(no_id("event", event)))?))
            }
            "storm" if !fields.has("alerts") => None,
            "storm" => {
                let (alerts, groups) = (number("alerts")?, number("groups")?);
                if alerts == 0 || groups == 0 || alerts > MAX_ALERTS || groups > alerts {
                    return Err(Failure::bad(format!("a storm has 1 to {MAX_ALERTS} alerts, in at most as many groups")));
                }
                let over = parse_duration(fields.get("over")).map_err(|error| Failure::bad(format!("`over`: {error}")))?;
                Some(Of::Storm(Storm { alerts, groups, over, labels: labels(fields.get("labels"))? }))
            }
            _ if !fields.has("hours") => None,
            _ => {
                let hours = fields.get("hours").parse().ok().filter(|hours| (1..=MAX_HOURS).contains(hours));
                Some(Of::Hours(hours.ok_or_else(|| Failure::bad(format!("`hours` takes a number from 1 to {MAX_HOURS}")))?))
            }
        };
        Ok(Self { of, by_file: fields.get("by") == "file", tab, fields: fields.clone() })
    }

    /// The form.
    pub(super) fn form(&self, viewer: &Viewer) -> Markup {
        let language = viewer.manner.language;
        let tabs = [
            ("", "/ui/simulate", say(language, "Received", "已收到的告警")),
            ("event", "/ui/simulate?of=event", say(language, "Stored event", "已存事件")),
            ("storm", "/ui/simulate?of=storm", say(language, "Storm", "告警风暴")),
        ];
        let or = |name: &str, other: &'static str| if self.fields.has(name) { plain(self.fields.get(name)) } else { other.to_owned() };
        let number = |name: &'static str, word: &str, other: &'static str| html! { label.f { span { (word) } input.in name=(name) value=(or(name, other)) inputmode="numeric" required; } };
        html! {
            form.card.pad.grid method="get" action="/ui/simulate" hx-get="/ui/simulate" hx-target="#sim" hx-push-url="true" hx-disabled-elt="find button" {
                nav.tabs aria-label=(say(language, "Which alerts", "哪些告警")) { @for (of, path, word) in tabs { a href=(path) aria-current=[(of == self.tab).then_some("page")] { (word) } } }
                @if !self.tab.is_empty() { input type="hidden" name="of" value=(plain(&self.tab)); }
                div.tools.sim {
                    @match self.tab.as_str() {
                        "event" => label.f { span { (say(language, "The event’s id", "事件 ID")) } input.in name="event" value=(or("event", "")) spellcheck="false" required; },
                        "storm" => {
                            (number("alerts", say(language, "Alerts", "告警数"), "1000"))
                            (number("groups", say(language, "In groups", "分组数"), "100"))
                            label.f { span { (say(language, "Over", "历时")) } input.in name="over" value=(or("over", "30s")) required; }
                            label.f { span { (say(language, "Labels of each", "每条的标签")) } input.in name="labels" value=(or("labels", "")) placeholder="team=db env=prod"; }
                        }
                        _ => label.f { span { (say(language, "The last hours", "最近几小时")) } select.in name="hours" { @for hours in ["1", "6", "24", "72", "168"] { option selected[or("hours", "24") == hours] { (hours) } } } },
                    }
                    @if viewer.operates {
                        label.f { span { (say(language, "Routes", "路由")) } select.in name="by" {
                            option value="" { (say(language, "those that run", "运行中的")) }
                            option value="file" selected[self.by_file] { (say(language, "the file on disk, compared", "磁盘上的文件（对比）")) }
                        } }
                    }
                    div.acts { button.b.p { (say(language, "Simulate", "模拟")) } }
                }
            }
        }
    }
}

fn labels(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |pair: &str| {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| Failure::bad(format!("`{pair}` is no label; write NAME=VALUE, with blanks between")))?;
        Ok((name.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.split_whitespace().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_filled_in() {
        let read = |query: &str| Asked::read(&Fields::read(query)).map(|asked| (asked.of, asked.by_file));
        assert_eq!(read("").unwrap(), (None, false));
        assert_eq!(read("of=storm").unwrap(), (None, false));
        assert_eq!(read("of=event&event=").unwrap(), (None, false));
        assert_eq!(read("hours=24&by=file").unwrap(), (Some(Of::Hours(24)), true));
        let labels = vec![("team".to_owned(), "db".to_owned()), ("a".to_owned(), "b=c".to_owned())];
        let storm = Storm { alerts: 10, groups: 2, over: Duration::from_secs(90), labels };
        assert_eq!(read("of=storm&alerts=10&groups=2&over=1m30s&labels=team%3Ddb+a%3D%22b%3Dc%22").unwrap(), (Some(Of::Storm(storm)), false));
        for (query, why) in [
            ("hours=0", "1 to 168"),
            ("hours=1000", "1 to 168"),
            ("of=event&event=x", "`x` is no event's id"),
            ("of=storm&alerts=2&groups=3&over=1s", "at most as many groups"),
            ("of=storm&alerts=1000000&groups=3&over=1s", "1 to 10000"),
            ("of=storm&alerts=x&groups=3&over=1s", "`alerts` takes a number"),
            ("of=storm&alerts=4&groups=3&over=x", "`over`"),
            ("of=storm&alerts=4&groups=3&over=1s&labels=x", "`x` is no label"),
        ] {
            assert!(matches!(read(query), Err(Failure::Answer(_, told)) if told.contains(why)), "{query}");
        }
    }
}
