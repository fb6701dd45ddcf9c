//! Who is on call now.

use maud::{Markup, html};

use crate::delivery::people::Person;
use crate::delivery::{Plan, Rota, Shift, ShiftKind};
use crate::http::console::parts::{Look, badge_of, icon, icon_of, say, shown, time};
use crate::http::console::viewer::Viewer;
use crate::model::{Language, UnixMs};
use crate::store::Override;

/// Nobody is on call.
fn nobody(language: Language) -> Markup {
    badge_of(Look { class: "bad", icon: "alert", en: "", zh: "" }, say(language, "nobody", "无人"))
}

/// A rota's card: who, until when, who comes then, and how the person is reached.
pub(super) fn card(viewer: &Viewer, plan: &Plan, rota: &Rota, overrides: &[Override]) -> Markup {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let shift = rota.at(now, overrides);
    let end = shift.as_ref().map_or(now, |shift| shift.until);
    let after = rota.between(end, end + super::AHEAD, overrides).into_iter().find(|next| next.from >= end);
    let person = shift.as_ref().and_then(|shift| plan.people.people.get(&shift.person));
    html! {
        div.card.pad {
            p.dim { (shown(&rota.name)) " · " (rota.zone.iana_name().unwrap_or("UTC")) }
            p.person { @match &shift { Some(shift) => { (shown(plan.people.people.shown(&shift.person))) } None => { (nobody(language)) } } }
            p.dim.s {
                @if let Some(shift) = &shift { (say(language, "until ", "至 ")) (time::day(language, &rota.zone, shift.until)) (by(language, shift)) }
                @if let Some(after) = &after {
                    @if shift.is_some() { (say(language, ", then ", "，之后 ")) (shown(plan.people.people.shown(&after.person))) } @else { (shown(plan.people.people.shown(&after.person))) (say(language, " from ", " 自 ")) (time::day(language, &rota.zone, after.from)) }
                }
            }
            @if let Some(person) = person {
                p.s { (means(language, person)) }
                @for why in unreached(language, plan, rota, person) { p.st.wn.s { (icon("alert")) (shown(&why)) } }
            }
        }
    }
}

fn by(language: Language, shift: &Shift) -> &'static str {
    match shift.kind {
        ShiftKind::Turn => "",
        ShiftKind::Override(_) => say(language, " by an override", "（换班）"),
    }
}

/// How the person can be reached at all.
fn means(language: Language, person: &Person) -> Markup {
    let ids: Vec<&str> = person.ids.keys().map(|key| key.trim_end_matches("_id")).collect();
    html! {
        @if person.mobile.is_some() { (icon("phone")) " " (say(language, "mobile", "手机")) " " }
        @if person.email.is_some() { (icon("mail")) " " (say(language, "mail", "邮件")) " " }
        @if !ids.is_empty() { (icon("chat")) " " (shown(&ids.join(", "))) }
    }
}

/// Steps of escalations that are for who is on call in this rota, and would not reach the person.
fn unreached(language: Language, plan: &Plan, rota: &Rota, person: &Person) -> Vec<String> {
    let steps = plan.people.escalations.values().flat_map(|escalation| &escalation.steps);
    let mine = steps.filter(|step| step.people.is_on_call(&rota.name));
    let mut missing: Vec<String> = Vec::new();
    for channel in mine.flat_map(|step| &step.targets).filter_map(|target| plan.channel(&target.channel)) {
        // The message finds the id when it is sent.
        let is_found = || person.looked_up_by(channel.content.looks_up).is_some();
        let why = match person.way(channel.platform) {
            _ if channel.disabled => Err(None),
            Err(key) if !is_found() => Err(Some(key)),
            _ => Ok(()),
        };
        if let Err(key) = why {
            let why = match key {
                None => format!("{}{}", channel.name, say(language, " is disabled", " 已停用")),
                Some("") => format!("{}{}", channel.name, say(language, " reaches nobody by name", " 无法按姓名通知")),
                Some(key) => {
                    format!("{} `{key}`{}{}", say(language, "has no", "缺少"), say(language, ": steps on ", "：无法通过以下通道通知："), channel.name)
                }
            };
            if !missing.contains(&why) {
                missing.push(why);
            }
        }
    }
    missing
}

/// The same in few words, beside the incidents.
pub(in super::super) fn aside(viewer: &Viewer, plan: &Plan, overrides: &[Override]) -> Markup {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let overrides = plan.people.active_overrides(overrides);
    html! {
        @if !plan.people.rotas.is_empty() {
            section.sec { h2 { (say(language, "On call", "值班")) a.l.s.end href="/ui/oncall" { (say(language, "four weeks", "四周排班")) } }
                ul.card.rows { @for rota in plan.people.rotas.values() { li {
                    @match rota.at(now, &overrides) {
                        Some(shift) => { (icon_of("oncall", "")) span { b { (shown(plan.people.people.shown(&shift.person))) } " " span.dim { (shown(&rota.name)) } } span.dim.s.end { (say(language, "until ", "至 ")) (time::day_there(&viewer.manner, &rota.zone, shift.until)) } }
                        None => { (nobody(language)) span.dim { (shown(&rota.name)) } }
                    }
                } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{LoadOptions, from_text};
    use crate::http::Caller;
    use crate::http::console::counts::Counts;
    use crate::http::console::manner::Manner;

    #[test]
    fn a_step_on_a_disabled_channel_reaches_nobody() {
        let text = "people: { ann: { mobile: \"+4915112345678\" } }\n\
            rotas: { db: { handoff: \"monday 10:00\", start: 2026-11-30, people: [ann] } }\n\
            channels: { ops: { log: {} }, off: { log: {}, disabled: true } }\n\
            escalations: { e: [{ after: 5m, to: off, people: { oncall: db } }] }\nroute: { to: [ops], escalation: e }\n";
        let plan = from_text(Path::new("routes.yaml"), text, &LoadOptions::without_secrets()).unwrap().plan;
        let (rota, ann) = (&plan.people.rotas["db"], plan.people.people.get("ann").unwrap());
        assert_eq!([Language::En, Language::Zh].map(|language| unreached(language, &plan, rota, ann)), [vec!["off is disabled"], vec!["off 已停用"]]);
    }

    #[test]
    fn whom_a_channel_looks_up_by_the_mail_address_lacks_no_id() {
        let text = "people: { ann: { email: ann@example.com }, bob: { mobile: \"+4915112345678\" } }\n\
            rotas: { db: { handoff: \"monday 10:00\", start: 2026-11-30, people: [ann] } }\n\
            channels: { ops: { slack: { token: { env: T }, channel: \"#ops\" } } }\n\
            escalations: { e: [{ after: 5m, to: ops, people: { oncall: db } }] }\nroute: { to: [ops], escalation: e }\n";
        let plan = from_text(Path::new("routes.yaml"), text, &LoadOptions::without_secrets()).unwrap().plan;
        let of = |name: &str| unreached(Language::En, &plan, &plan.people.rotas["db"], plan.people.people.get(name).unwrap());
        assert_eq!((of("ann"), of("bob")), (vec![], vec!["has no `slack`: steps on ops".to_owned()]));
    }

    #[test]
    fn beside_the_incidents_a_shift_ends_by_the_clock_of_its_rota_which_is_named() {
        let text = "people: { ann: { mobile: \"+4915112345678\" }, bob: { mobile: \"+4915187654321\" } }\n\
            rotas: { db: { zone: Asia/Shanghai, handoff: \"monday 10:00\", start: 2026-11-30, people: [ann, bob] } }\n\
            channels: { ops: { log: {} } }\nroute: { to: [ops] }\n";
        let plan = from_text(Path::new("routes.yaml"), text, &LoadOptions::without_secrets()).unwrap().plan;
        let manner = Manner {
            language: Language::En,
            theme: None,
            fragment: false,
            here: "/ui".into(),
            now: "2026-11-30T12:00:00Z".parse().unwrap(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let viewer = Viewer { manner, caller: Caller::default(), operates: true, administers: true, login: None, counts: Counts::default() };
        let shown = aside(&viewer, &plan, &[]).into_string();
        assert!(shown.contains("ann") && shown.contains("until Mon 7 Dec 10:00 UTC+8<"), "{shown}");
        let there = Viewer { manner: Manner { zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(), ..viewer.manner.clone() }, ..viewer };
        assert!(aside(&there, &plan, &[]).into_string().contains("until Mon 7 Dec 10:00<"));
    }
}
