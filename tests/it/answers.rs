//! Every answer of every platform has its class, at the driver, with a budget of requests: one answer ends one attempt.

use std::time::Duration;

use watchfire::model::{ErrorKind, Language};
use watchfire::template;

use crate::support::every_platform::{All, Member};
use crate::support::fakes::fault::Fault;
use crate::support::wire::Wire;

fn wire(member: &Member) -> Wire {
    Wire::new(member.channel, &member.yaml)
}

/// What one attempt counts as: `ok` or the error's kind, and the wait of a rate limit.
async fn send(wire: &Wire) -> (&'static str, Option<Duration>, String) {
    send_text(wire, "Disk full on db-1").await
}

async fn send_text(wire: &Wire, text: &str) -> (&'static str, Option<Duration>, String) {
    match wire.send(&wire.page(text)).await {
        Ok(receipt) => ("ok", None, receipt.answer),
        Err(error) => {
            let wait = if let ErrorKind::RateLimited { retry_after } = error.kind { retry_after } else { None };
            (error.kind.as_str(), wait, error.to_string())
        }
    }
}

/// Requests of an attempt at the path that sends. Re-signing, a new token or a question afterwards may cost one more.
const BUDGET: usize = 2;

/// Three words of English in what a reader of Chinese is shown; what is quoted is the platform's own, and code is code.
fn english(words: &str) -> Option<String> {
    let shown = template::reason(Language::Zh, words).replace('`', "“`");
    let mut own = shown.clone();
    while let Some((before, rest)) = own.split_once('“') {
        let code = rest.strip_prefix('`').and_then(|code| Some(code.split_once("“`")?.1));
        let after = code.or_else(|| Some(rest.rsplit_once('”')?.1)).unwrap_or_default();
        own = format!("{before}·{after}");
    }
    let words: Vec<&str> = own.split(' ').collect();
    let is_word = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic() || ",;.:'".contains(c));
    words.windows(3).any(|three| three.iter().all(is_word)).then_some(shown)
}

/// Every row of every `refusals.yaml`, with a good message before each: then a token is in the cache. What is said of it is Chinese for readers of Chinese.
#[tokio::test(flavor = "multi_thread")]
async fn every_published_answer_has_its_class() {
    let all = All::start().await;
    let rounds = all.members.iter().map(async |member| {
        let wire = wire(member);
        let mut wrong = Vec::new();
        for answer in &member.answers {
            let (told, _, words) = send(&wire).await;
            assert_eq!(told, "ok", "{}: the good case: {words}", member.channel);
            member.faults.push_on(member.path, answer.fault());
            let before = member.sends();
            let (told, _, words) = send(&wire).await;
            let asked = member.sends() - before;
            if told != answer.class || !(1..=BUDGET).contains(&asked) {
                wrong.push(format!("{} {answer:?}: {told}, {asked} requests: {words}", member.channel));
            }
            if told != "ok"
                && let Some(shown) = english(&words)
            {
                wrong.push(format!("{} {answer:?}: templates/reasons.yaml does not know all of {words:?}: {shown:?}", member.channel));
            }
            member.faults.clear();
        }
        wrong
    });
    let wrong: Vec<String> = futures_util::future::join_all(rounds).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A success under any other status is none, on any platform.
#[tokio::test(flavor = "multi_thread")]
async fn the_word_of_success_counts_only_under_its_own_status() {
    let all = All::start().await;
    let mut wrong = Vec::new();
    for member in &all.members {
        let wire = wire(member);
        let (told, _, good) = send(&wire).await;
        assert_eq!(told, "ok", "{}: {good}", member.channel);
        for status in [302, 400, 401, 403, 404, 429, 500, 503] {
            member.faults.push_on(member.path, Fault::Reply(status, "application/json".into(), good.clone()));
            let before = member.sends();
            let (told, _, words) = send(&wire).await;
            if told == "ok" && !(member.lost == "ok" && status >= 500)
                || (status == 429 && told != "rate_limited")
                || member.sends() - before > BUDGET
            {
                wrong.push(format!("{} {status} {good}: {told} after {} requests: {words}", member.channel, member.sends() - before));
            }
            member.faults.clear();
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every form of `Retry-After` on every platform: a rate limit, never a refusal, and never an absurd wait; under 503 where it can be read. By phone what
/// failed may have been carried out.
#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_retry_after_is_a_rate_limit() {
    let all = All::start().await;
    let forms: [&[&str]; 14] = [
        &["0"],
        &["-5"],
        &["1.5"],
        &["7"],
        &["soon"],
        &[""],
        &["99999999999999999999"],
        &["Tue, 14 Nov 2023 22:14:20 GMT"],
        &["Tuesday, 14-Nov-23 22:14:20 GMT"],
        &["Tue Nov 14 22:14:20 2023"],
        &["Fri, 31 Dec 9999 23:59:59 GMT"],
        &["5", "10"],
        &["later", "3"],
        &[],
    ];
    let down: [&[&str]; 4] = [&["7"], &["Tue Nov 14 22:14:20 2023"], &["later", "3"], &["soon"]];
    for member in &all.members {
        let wire = wire(member);
        assert_eq!(send(&wire).await.0, "ok", "{}", member.channel);
        let all_forms = forms.into_iter().map(|form| (429, form)).chain(down.into_iter().map(|form| (503, form)));
        for (n, (status, form)) in all_forms.enumerate() {
            let headers = form.iter().map(|value| ("retry-after".to_owned(), (*value).to_owned())).collect();
            member.faults.push_on(member.path, Fault::Headed(status, headers, String::new()));
            let before = member.sends();
            // What reads the same as an earlier message would be found where a platform can be asked.
            let (told, wait, words) = send_text(&wire, &format!("Disk full on web-{n}")).await;
            let name = format!("{} {status} {form:?}: {words}", member.channel);
            let expected = if status == 503 && (member.broken == "ambiguous" || form == ["soon"]) { member.broken } else { "rate_limited" };
            assert_eq!(told, expected, "{name}");
            assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(24 * 3600)), "{name}: {wait:?}");
            assert!(wait.is_none_or(|wait| form != ["7"] || wait == Duration::from_secs(7)), "{name}: {wait:?}");
            assert!(member.sends() - before <= BUDGET, "{name}: {} requests", member.sends() - before);
            member.faults.clear();
        }
    }
}
