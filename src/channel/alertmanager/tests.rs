//! Silences and alerts of scripted Alertmanagers: the calls, what their answers mean, and which server of a cluster is asked.

use super::*;
use crate::channel::kit::HttpClients;
use crate::channel::kit::test_server::{Answer, Literals, ScriptedServer, Seen};

const TOKEN: &str = "wf-0123456789abcdef";

fn built(config: &str) -> Result<Alertmanager, Vec<Problem>> {
    let http = HttpClients::default();
    let cx = BuildContext { channel: "", timeout: SERVER_TIMEOUT, proxy: None, secrets: &Literals, http: &http, presets: &Default::default() };
    serde_yaml::from_str::<Config>(config).unwrap().build(&cx)
}

fn cluster(servers: &[&ScriptedServer]) -> Cluster {
    servers.iter().map(|server| built(&format!("{{ url: '{}', bearer: s3cret-token }}", server.base)).unwrap()).collect()
}

fn labels() -> Labels {
    [("alertname", "Disk"), ("path", "C:\\x \"y\""), ("a label", "z")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn listed(id: &str, state: &str, comment: &str) -> serde_json::Value {
    json!({
        "id": id, "status": { "state": state }, "comment": comment, "createdBy": "ann", "updatedAt": "2026-11-29T03:00:00.000Z",
        "startsAt": "2026-11-29T03:00:00.000Z", "endsAt": "2026-11-29T05:00:00.000Z", "matchers": [],
    })
}

fn answer(status: u16, body: &serde_json::Value) -> Answer {
    Answer::new(status, body.to_string()).header("content-type", "application/json")
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn new(labels: &Labels) -> NewSilence<'_> {
    let (from, until) = ("2026-11-29T03:00:00Z".parse().unwrap(), "2026-11-29T05:00:00Z".parse().unwrap());
    NewSilence { labels, from, until, by: "ann", comment: TOKEN }
}

fn calls(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|call| format!("{} {}", call.method, call.uri.path())).collect()
}

#[tokio::test]
async fn a_silence_is_found_by_its_id_else_by_its_token() {
    let known = listed("a1", "active", "");
    let server = ScriptedServer::start([
        answer(200, &known),
        answer(200, &listed("a1", "expired", TOKEN)),
        answer(200, &json!([listed("a0", "expired", TOKEN), listed("a2", "active", "another"), listed("a3", "pending", &format!("x {TOKEN}"))])),
        answer(404, &json!("not found")),
        answer(200, &json!([])),
    ])
    .await;
    let (cluster, labels) = (cluster(&[&server]), labels());
    let found = cluster.find(Some("a1"), TOKEN, &labels, soon()).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.until.to_string().as_str()), ("a1", "2026-11-29T05:00:00Z"));
    assert_eq!(
        cluster.find(Some("a1"), TOKEN, &labels, soon()).await.unwrap().unwrap().id,
        "a3",
        "somebody edited it there, which makes another one"
    );
    assert_eq!(cluster.find(Some("a1"), TOKEN, &labels, soon()).await.unwrap(), None);
    let seen = server.seen();
    assert_eq!(calls(&seen)[..3], ["GET /api/v2/silence/a1", "GET /api/v2/silence/a1", "GET /api/v2/silences"]);
    assert_eq!(seen[0].header("authorization"), "Bearer s3cret-token");
    let filters: Vec<String> =
        reqwest::Url::parse(&format!("http://h{}", seen[2].uri)).unwrap().query_pairs().map(|(_, value)| value.into()).collect();
    assert_eq!(filters, [r#"alertname="Disk""#, r#"path="C:\\x \"y\"""#], "a name that old versions cannot read is left out");
}

#[tokio::test]
async fn a_silence_is_made_changed_and_ended_where_it_is() {
    let one = ScriptedServer::start([answer(404, &json!("")), answer(200, &json!([]))]).await;
    let other =
        ScriptedServer::start([answer(200, &listed("a1", "active", TOKEN)), answer(200, &json!({ "silenceID": "a2" })), Answer::new(200, "")]).await;
    let (cluster, labels) = (cluster(&[&one, &other]), labels());
    let known = cluster.find(Some("a1"), TOKEN, &labels, soon()).await.unwrap().unwrap();
    assert_eq!(cluster.put(&new(&labels), Some(&known), soon()).await.unwrap(), "a2");
    cluster.end(&known, soon()).await.unwrap();
    let seen = other.seen();
    assert_eq!(calls(&seen), ["GET /api/v2/silence/a1", "POST /api/v2/silences", "DELETE /api/v2/silence/a1"]);
    assert_eq!(
        seen[1].json(),
        json!({
            "id": "a1", "createdBy": "ann", "comment": TOKEN, "startsAt": "2026-11-29T03:00:00Z", "endsAt": "2026-11-29T05:00:00Z",
            "matchers": [
                { "name": "a label", "value": "z", "isRegex": false, "isEqual": true },
                { "name": "alertname", "value": "Disk", "isRegex": false, "isEqual": true },
                { "name": "path", "value": "C:\\x \"y\"", "isRegex": false, "isEqual": true },
            ],
        })
    );
}

#[tokio::test]
async fn the_next_server_is_asked_only_while_nothing_may_have_been_done() {
    let (busy, refusing) =
        (ScriptedServer::start([answer(503, &json!("down"))]).await, ScriptedServer::start([answer(400, &json!("bad matcher"))]).await);
    let labels = labels();
    let error = cluster(&[&busy, &refusing]).put(&new(&labels), None, soon()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Rejected && error.summary.ends_with("answered HTTP 400: bad matcher"), "{error:?}");
    assert!(!may_pass(&error));
    let (unclear, never) = (ScriptedServer::start([Answer::new(200, "<html>")]).await, ScriptedServer::start([]).await);
    let error = cluster(&[&unclear, &never]).put(&new(&labels), None, soon()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Ambiguous && may_pass(&error), "{error:?}");
    assert!(never.seen().is_empty(), "the first one may have made it");
    let secret = ScriptedServer::start([answer(401, &json!("token s3cret-token is wrong"))]).await;
    let error = cluster(&[&secret]).put(&new(&labels), None, soon()).await.unwrap_err();
    assert!(error.summary.contains("check `bearer`") && !format!("{error:?}").contains("s3cret"), "{error:?}");
    let down = built("{ url: 'http://127.0.0.1:1' }").unwrap();
    let error = [down].into_iter().collect::<Cluster>().find(None, TOKEN, &labels, soon()).await.unwrap_err();
    assert!(error.kind == ErrorKind::Transient && error.summary.contains("cannot connect to 127.0.0.1:1"), "{error:?}");
}

#[tokio::test]
async fn what_fires_is_listed_with_what_is_silenced() {
    let status = json!({ "uptime": "2026-11-29T04:00:00.5+01:00", "versionInfo": { "version": "0.25.0" } });
    let server = ScriptedServer::start([answer(200, &status), answer(200, &json!([{ "fingerprint": "00ff" }])), answer(200, &status)]).await;
    let cluster = cluster(&[&server]);
    let alerts = cluster.alerts(&labels(), soon()).await.unwrap();
    assert_eq!(alerts, KnownAlerts { firing: ["00ff".to_owned()].into(), up_since: "2026-11-29T03:00:00.5Z".parse().unwrap() });
    assert_eq!(server.seen()[1].query("silenced").as_deref(), Some("true"));
    assert_eq!(cluster.servers().next().unwrap().1.version(soon()).await.unwrap(), "0.25.0");
}

/// A replica that its Prometheus cannot reach has no alert any more, and says so.
#[tokio::test]
async fn what_any_replica_lists_fires() {
    let status = |uptime: &str| answer(200, &json!({ "uptime": uptime, "versionInfo": { "version": "0.25.0" } }));
    let cut_off = ScriptedServer::start([status("2026-11-29T02:00:00Z"), answer(200, &json!([]))]).await;
    let broken = ScriptedServer::start([answer(503, &json!("busy"))]).await;
    let other = ScriptedServer::start([status("2026-11-29T03:00:00Z"), answer(200, &json!([{ "fingerprint": "00ff" }]))]).await;
    let alerts = cluster(&[&cut_off, &broken, &other]).alerts(&labels(), soon()).await.unwrap();
    assert_eq!(alerts, KnownAlerts { firing: ["00ff".to_owned()].into(), up_since: "2026-11-29T03:00:00Z".parse().unwrap() });
}

#[test]
fn mistakes_are_found_before_anything_is_asked() {
    for (config, path, word) in [
        ("{ url: 'alertmanager:9093' }", "url", "only http and https"),
        ("{ url: 'http://am', bearer: t, basic: { username: u, password: p } }", "basic", "one authorization"),
        ("{ url: 'http://am', bearer: '' }", "bearer", "empty"),
        ("{ url: 'http://am', ca_file: /nowhere/ca.pem }", "ca_file", "does not exist"),
    ] {
        let problems = built(config).unwrap_err();
        assert!(problems[0].path == path && problems[0].message.contains(word), "{config}: {problems:?}");
    }
}
