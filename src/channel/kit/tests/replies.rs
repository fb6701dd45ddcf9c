//! What statuses and codes mean together, and how bodies are read.

use super::*;

#[tokio::test]
async fn statuses_mean_what_the_table_says() {
    use ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
    let after = |seconds| RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    type Row = (u16, &'static [(&'static str, &'static str)], Option<ErrorKind>);
    let rows: &[Row] = &[
        (200, &[], None),
        (202, &[], None),
        (204, &[], None),
        (304, &[], Some(Misconfigured)),
        (400, &[], Some(Rejected)),
        (401, &[], Some(Misconfigured)),
        (402, &[], Some(Misconfigured)),
        (403, &[], Some(Misconfigured)),
        (404, &[], Some(Misconfigured)),
        (407, &[], Some(Misconfigured)),
        (408, &[], Some(Transient)),
        (410, &[], Some(Misconfigured)),
        (413, &[], Some(Rejected)),
        (421, &[], Some(Transient)),
        (422, &[], Some(Rejected)),
        (425, &[], Some(Transient)),
        (429, &[], Some(RateLimited { retry_after: None })),
        (429, &[("retry-after", "30")], Some(after(30))),
        (420, &[], Some(RateLimited { retry_after: None })),
        (420, &[("retry-after", "1m")], Some(after(60))),
        (429, &[("retry-after", " 0 ")], Some(after(0))),
        (429, &[("retry-after", "Tue, 14 Nov 2023 22:14:20 GMT")], Some(after(60))),
        (429, &[("retry-after", "Tue, 14 Nov 2023 22:00:00 GMT")], Some(after(0))),
        (429, &[("retry-after", "soon")], Some(RateLimited { retry_after: None })),
        (429, &[("retry-after", "-3")], Some(RateLimited { retry_after: None })),
        (503, &[("retry-after", "soon")], Some(Transient)),
        // Says when the next window begins, also where nothing is limited.
        (503, &[("x-ratelimit-reset", "7")], Some(Transient)),
        (429, &[("retry-after", "99999999999")], Some(after(86_400))),
        (429, &[("x-ogw-ratelimit-reset", "7")], Some(after(7))),
        (500, &[], Some(Transient)),
        (502, &[], Some(Transient)),
        (503, &[], Some(Transient)),
        (503, &[("retry-after", "5")], Some(after(5))),
        (504, &[], Some(Transient)),
    ];
    let answers =
        rows.iter().map(|(status, headers, _)| headers.iter().fold(Answer::new(*status, ""), |answer, (name, value)| answer.header(name, *value)));
    let server = ScriptedServer::start(answers).await;
    for (status, headers, expected) in rows {
        let reply = post(&server.base).send(soon()).await.unwrap();
        let error = classify_status(&reply, context().now);
        assert_eq!(error.as_ref().map(|error| error.kind), *expected, "{status} {headers:?}");
        assert_eq!(error.and_then(|error| error.code), expected.map(|_| format!("HTTP {status}")));
    }
}

#[tokio::test]
async fn the_status_outweighs_the_code_only_where_no_body_can_deny_it() {
    use ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
    let none = RateLimited { retry_after: None };
    let rows = [
        (200, "", Some(Misconfigured), Misconfigured),
        (200, "", None, Rejected),
        (200, r#"{"retry_after":3}"#, Some(none), RateLimited { retry_after: Some(Duration::from_secs(3)) }),
        (400, "", Some(Misconfigured), Misconfigured),
        (400, "", Some(Transient), Transient),
        (400, "", None, Rejected),
        (403, "", Some(Rejected), Rejected),
        (403, "", None, Misconfigured),
        (403, "error code: 1015", None, none),
        (429, "", Some(Misconfigured), none),
        (429, "", Some(Rejected), none),
        (500, "", Some(Rejected), Transient),
        (502, "", Some(Misconfigured), Transient),
        (503, "", Some(Ambiguous), Transient),
        (408, "", Some(Rejected), Transient),
    ];
    let server = ScriptedServer::start(rows.iter().map(|(status, body, ..)| Answer::new(*status, *body))).await;
    for (status, body, known, expected) in rows {
        let reply = post(&server.base).send(soon()).await.unwrap();
        assert_eq!(weigh(&reply, context().now, known), expected, "{status} {body} {known:?}");
    }
}

#[tokio::test]
async fn a_refusal_under_a_status_of_passing_trouble_passes() {
    use ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
    let slow = RateLimited { retry_after: Some(Duration::from_secs(2)) };
    let rows = [
        (429, Rejected, RateLimited { retry_after: None }, false),
        (429, slow, slow, true),
        (503, Misconfigured, Transient, false),
        // What may have been carried out still may.
        (503, Ambiguous, Ambiguous, true),
        (400, Rejected, Rejected, true),
        (200, Misconfigured, Misconfigured, true),
    ];
    let server = ScriptedServer::start(rows.iter().map(|(status, ..)| Answer::new(*status, ""))).await;
    for (status, said, expected, of_recipient) in rows {
        let reply = post(&server.base).send(soon()).await.unwrap();
        let error = passing(&reply, reply.error(said, "1", "no").of_recipient(), context().now);
        assert_eq!((error.kind, error.recipient), (expected, of_recipient), "{status} {said:?}");
    }
}

#[tokio::test]
async fn the_servers_clock_is_read_from_its_date() {
    let server = ScriptedServer::start([Answer::new(200, "").header("date", "Tue, 14 Nov 2023 22:13:20 GMT")]).await;
    let reply = post(&server.base).send(soon()).await.unwrap();
    assert_eq!(reply.date(), Some(Timestamp::from_second(1_700_000_000).unwrap()));
}

#[tokio::test]
async fn an_answer_that_repeats_the_message_is_read_to_its_end() {
    // Google Chat's holds its 32,000 bytes three times.
    let text = "磁".repeat(32_000 / 3);
    let answer = serde_json::json!({ "name": "spaces/A/messages/B", "text": text, "formattedText": text, "argumentText": text });
    let server = ScriptedServer::start([Answer::new(200, answer.to_string())]).await;
    let reply = post(&server.base).send(soon()).await.unwrap();
    assert_eq!(parse::<serde_json::Value>(&reply, context().now).ok(), Some(answer));
    assert!(!reply.is_cut());
}

#[tokio::test]
async fn a_member_that_is_null_is_not_there() {
    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Said {
        errcode: i64,
        #[serde(default)]
        errmsg: String,
        #[serde(default)]
        sent: Vec<Said>,
    }
    let said = |errcode, sent| Said { errcode, errmsg: String::new(), sent };
    let rows = [
        (r#"{"errcode":0,"errmsg":null,"sent":null}"#, Some(said(0, vec![]))),
        (r#"{"errcode":0,"sent":[{"errcode":7,"errmsg":null}]}"#, Some(said(0, vec![said(7, vec![])]))),
        (r#"{"errcode":null,"errmsg":"ok"}"#, None),
        ("null", None),
    ];
    let server = ScriptedServer::start(rows.iter().map(|(body, _)| Answer::from(*body))).await;
    for (body, expected) in rows {
        let reply = post(&server.base).send(soon()).await.unwrap();
        assert_eq!(reply.json::<Said>(), expected, "{body}");
    }
}
