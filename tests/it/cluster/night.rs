//! A night with escalations on three nodes that are killed: no step is sent twice, and nobody is called after an ack was committed.

use super::*;

/// Incidents of the night, and blows to its nodes.
const INCIDENTS: usize = 60;
const BLOWS: usize = 8;
const STEPS: [&str; 3] = ["first", "second", "third"];
/// A request that was on its way when the ack was committed may arrive so much later.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

fn node(store: &str, base: &str) -> Node {
    let node = Node::new(store, base);
    let channel = |name: &str| {
        let headers = "headers: { X-Node: { env: WATCHFIRE_TEST_NODE } }";
        format!("  {name}: {{ webhook: {{ url: \"{base}/{name}\", allow_networks: [127.0.0.1], {headers} }}, rate_limit: off, digest: off }}\n")
    };
    let channels: String = std::iter::once("chat").chain(STEPS).map(channel).collect();
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nstore: \"{store}\"\nchannels:\n{channels}escalations:\n  db:\n    - {{ after: 3s, to: [first] }}\n    \
         - {{ after: 6s, to: [second] }}\n    - {{ after: 9s, to: [third] }}\nroute: {{ to: [chat], escalation: db }}\n"
    );
    std::fs::write(node.folder.path().join("routes.yaml"), routes).unwrap();
    node
}

/// Posts to one node after the other until one takes it; returns when it was taken.
async fn post(client: &reqwest::Client, ports: &[u16], path: &str, body: &Value) -> Instant {
    for n in 0..600 {
        let url = format!("http://127.0.0.1:{}{path}", ports[n % ports.len()]);
        if client.post(url).json(body).send().await.is_ok_and(|answer| answer.status() == 200) {
            return Instant::now();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no node takes {path}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long cluster`"]
async fn in_a_night_with_kills_no_step_is_sent_twice_and_nobody_is_called_after_an_ack() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let database = Arc::new(database);
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..3).map(|_| node(&database.url(), &base)).collect();
    start(&client, &mut nodes).await;
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    let incidents = (0..INCIDENTS).map(|n| {
        let (client, ports, database) = (client.clone(), ports.clone(), database.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400) * n as u32).await;
            let uid = format!("night-{n:03}");
            let mut body = alert(&format!("group-{n:03}"), &uid, "firing");
            body["alerts"][0]["labels"]["uid"] = uid.clone().into();
            body["alerts"][0]["fingerprint"] = uid.clone().into();
            post(&client, &ports, "/webhook", &body).await;
            if n % 2 == 0 {
                return (uid, None);
            }
            // Some at once, some between steps, some just when one is due.
            tokio::time::sleep(Duration::from_millis((n as u64 * 733) % 9500)).await;
            let find = format!("SELECT id FROM watchfire.incident WHERE title LIKE '%{uid}%'");
            let id = tokio::task::spawn_blocking(move || database.sql(&find)).await.unwrap();
            let acked = post(&client, &ports, &format!("/api/v1/incidents/{}/ack", id.trim()), &json!({ "by": "ann" })).await;
            // What the nodes' clocks showed then at the latest: they are this machine's.
            (uid, Some((acked, jiff::Timestamp::now().as_millisecond())))
        })
    });
    let incidents: Vec<_> = incidents.collect();
    let mut random = 0x2545_F491_4F6C_DD1Du64 ^ u64::from(std::process::id());
    for _ in 0..BLOWS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        tokio::time::sleep(Duration::from_millis(1500 + random % 2000)).await;
        let node = &mut nodes[random as usize % 3];
        node.kill();
        tokio::time::sleep(Duration::from_millis(random % 1500)).await;
        node.start();
    }
    let mut acks: BTreeMap<String, Option<(Instant, i64)>> = BTreeMap::new();
    for incident in incidents {
        acks.extend([incident.await.unwrap()]);
    }
    let open = "SELECT count(*) FROM watchfire.delivery WHERE escalation IS NOT NULL AND state IN ('waiting', 'deferred')";
    let end = Instant::now() + Duration::from_secs(60);
    while database.sql(open).trim() != "0" {
        assert!(Instant::now() < end, "{} steps are not over", database.sql(open).trim());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    tokio::time::sleep(ON_ITS_WAY).await;
    let seen = seen.lock().unwrap();
    let mut sent = 0;
    for step in STEPS {
        let mut times: BTreeMap<&str, Vec<Instant>> = BTreeMap::new();
        for (at, names) in seen.get(step).into_iter().flatten() {
            names.iter().for_each(|uid| times.entry(uid).or_default().push(*at));
        }
        for (uid, at) in times {
            assert_eq!(at.len(), 1, "the {step} step of {uid}");
            let late = acks[uid].and_then(|(acked, _)| at[0].checked_duration_since(acked + ON_ITS_WAY));
            assert_eq!(late, None, "the {step} step of {uid} came so long after its ack");
            sent += 1;
        }
    }
    // No request was begun after the ack had its answer, whenever it arrived: an attempt has the time from before its transaction.
    let begun = "SELECT i.title || '|' || max(a.begun_at) FROM watchfire.delivery d JOIN watchfire.incident i ON i.id = d.incident
                 JOIN watchfire.attempt a ON a.message_id = d.message_id WHERE d.escalation IS NOT NULL GROUP BY i.id";
    let begun = database.sql(begun);
    assert!(begun.lines().count() > INCIDENTS / 2, "{begun}");
    for line in begun.lines() {
        let (title, begun) = line.rsplit_once('|').unwrap();
        let (uid, acked) = acks.iter().find(|(uid, _)| title.contains(uid.as_str())).unwrap();
        assert!(acked.is_none_or(|(_, acked)| begun.parse::<i64>().unwrap() <= acked), "{uid}: {begun} is after {acked:?}");
    }
    // Of what nobody acked the last step was sent, or may have been when its node was killed.
    let left =
        "SELECT string_agg(d.state || ': ' || coalesce(d.reason, ''), '; ') FROM watchfire.delivery d JOIN watchfire.incident i ON i.id = d.incident
                WHERE d.escalation IS NOT NULL AND d.step = 3 AND i.state = 'firing' AND d.state NOT IN ('sent', 'unknown')";
    assert_eq!(database.sql(left).trim(), "");
    let last = seen.get("third").into_iter().flatten().flat_map(|(_, names)| names).filter(|uid| acks[*uid].is_none()).count();
    println!("{BLOWS} blows, {INCIDENTS} incidents, {sent} steps came, the last of {last} out of {} that nobody acked", INCIDENTS / 2);
    assert!(last + BLOWS >= INCIDENTS / 2, "{last}");
}
