//! Nodes that share outlets, behind a pooler and with configurations that differ.

use super::*;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long cluster`"]
async fn nodes_that_come_and_go_share_the_outlets_and_repeat_nothing() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let (base, seen, tenures) = collectors().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::new(&database.url(), &base)).collect();
    start(&client, &mut nodes[..2]).await;
    let load = send(&nodes[..2], &client);
    shared(&client, &nodes[0], 2).await;
    nodes[2].start();
    up(&client, &nodes[2]).await;
    let joined = shared(&client, &nodes[0], 3).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Stopped in good order, it does not make anybody wait for its leases.
    nodes[2].signal("-TERM");
    let left = shared(&client, &nodes[0], 2).await;
    assert!(nodes[2].child.as_mut().unwrap().wait().unwrap().success());
    assert!(left < Duration::from_secs(6), "a stop must not take as long as a lease: {left:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ledger = load.end(&seen, Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    // The node that comes may get a single outlet.
    assert!(tenures.lock().unwrap().values().any(|owners| owners.len() > 1), "no outlet had two owners in turn: {tenures:?}");
    one_at_a_time(&database, &tenures);
    assert_eq!(repeats(&seen), 0, "who hands over in good order repeats nothing");
    println!("{} acknowledged; shared out {joined:?} after a node came, {left:?} after it was told to go", ledger.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long cluster`"]
async fn nodes_behind_a_pooler_in_transaction_mode_lose_nothing() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&database) else { return };
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..2).map(|_| Node::new(&database.url_at(pooler.port), &base)).collect();
    start(&client, &mut nodes).await;
    shared(&client, &nodes[0], 2).await;
    let load = send(&nodes, &client);
    tokio::time::sleep(Duration::from_secs(4)).await;
    // A call of one node that the other has to make: without hints it is found by looking.
    for channel in ["free-0", "free-1", "free-2", "free-3"] {
        let answer = client.post(nodes[0].url(&format!("/api/v1/channels/{channel}/test"))).json(&json!({ "text": "now" })).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["results"][0]["ok"], true, "{body}");
    }
    let ledger = load.end(&seen, Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    assert_eq!(repeats(&seen), 0);
    let errors = std::fs::read_to_string(nodes[0].log()).unwrap();
    assert!(!errors.contains("\"ERROR\"") && !errors.contains("prepared statement"), "{errors}");
    println!("{} acknowledged through {} connections of the pooler", ledger.len(), Pooler::CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_call_is_answered_by_any_node_and_a_plan_that_differs_is_told() {
    let Some(database) = Postgres::start() else { return };
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..2).map(|_| Node::new(&database.url(), &base)).collect();
    for node in &mut nodes {
        let file = node.folder.path().join("routes.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}self_monitoring: {{ to: [free-5] }}\n")).unwrap();
        node.start();
    }
    for node in &nodes {
        up(&client, node).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    for node in &nodes {
        for channel in ["free-0", "free-1", "free-2"] {
            let begun = Instant::now();
            let answer = client.post(node.url(&format!("/api/v1/channels/{channel}/test"))).json(&json!({ "text": "now" })).send().await.unwrap();
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["results"][0]["ok"], true, "{body}");
            assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
        }
    }
    let calls: usize = (0..3).map(|n| seen.lock().unwrap()[&format!("free-{n}")].len()).sum();
    assert_eq!(calls, 6, "each call went out once");

    let file = nodes[1].folder.path().join("routes.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}language: zh\n")).unwrap();
    client.post(nodes[1].url("/-/reload")).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    for node in &nodes {
        let metrics = client.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("watchfire_cluster_members 2") && metrics.contains("watchfire_cluster_config_versions 2"), "{metrics}");
        assert!(std::fs::read_to_string(node.log()).unwrap().contains("nodes have different configurations"));
    }
    let body: Value = client.get(nodes[0].url("/api/v1/nodes")).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["same_config"], false, "{body}");
    let alarms = || seen.lock().unwrap().get("free-5").into_iter().flatten().filter(|(_, names)| names == &[PLANS]).count();
    assert_eq!(alarms(), 1, "one node tells it, once");
    std::fs::write(&file, text).unwrap();
    client.post(nodes[1].url("/-/reload")).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    shared(&client, &nodes[1], 2).await;
    assert_eq!(alarms(), 2, "and that it is over");
}
