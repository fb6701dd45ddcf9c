//! Nodes that are killed, stopped and cut off.

use super::*;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long cluster`"]
async fn nodes_and_the_database_are_killed_and_nothing_is_lost() {
    let _turn = turn().await;
    let Some(mut database) = Postgres::start() else { return };
    let blows: usize = std::env::var("WATCHFIRE_BLOWS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::new(&database.url(), &base)).collect();
    start(&client, &mut nodes).await;
    let load = send(&nodes, &client);
    let mut random = 0x2545_F491_4F6C_DD1Du64 ^ u64::from(std::process::id());
    tokio::time::sleep(Duration::from_secs(4)).await;
    for blow in 0..blows {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if blow % 4 == 2 {
            database.crash();
            tokio::time::sleep(Duration::from_millis(300 + random % 1500)).await;
            database.run();
        } else {
            let node = &mut nodes[random as usize % 3];
            node.kill();
            tokio::time::sleep(Duration::from_millis(random % 2000)).await;
            node.start();
        }
        tokio::time::sleep(Duration::from_millis(1000 + random % 2000)).await;
    }
    // One node goes for good: how long until the others send everything that was its own to send?
    tokio::time::sleep(Duration::from_secs(6)).await;
    nodes[2].kill();
    let gone = Instant::now();
    tokio::time::sleep(Duration::from_secs(14)).await;
    let longest = {
        let seen = seen.lock().unwrap();
        let first = |outlet: usize| seen[&format!("free-{outlet}")].iter().map(|(at, _)| *at).find(|at| *at > gone + Duration::from_millis(200));
        (0..OUTLETS).map(|outlet| first(outlet).map_or(Duration::MAX, |at| at - gone)).max().unwrap()
    };
    // A blow to its owner costs the paced channel a lease: the load goes on until its pace has been felt.
    let felt = || most(&seen.lock().unwrap()["paced"], Duration::from_secs(60)) > PER_MINUTE / 4;
    for _ in 0..40 {
        if felt() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let ledger = load.end(&seen, Duration::from_secs(90)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    let (minute, second) = (most(&seen["paced"], Duration::from_secs(60)), most(&seen["paced"], Duration::from_secs(1)));
    let (twice, total) = (repeats(&seen), ledger.len());
    println!(
        "{blows} blows, {total} acknowledged, lost 0, {twice} repeated, at most {minute} paced a minute and {second} a second, failover {longest:?}"
    );
    assert!(total > 50 * blows.min(20), "too little load to mean anything: {total}");
    assert!(longest < Duration::from_secs(10), "an outlet stood still for {longest:?} after its node had died");
    assert!(minute <= PER_MINUTE && second <= BURST, "{minute} in a minute, {second} in a second");
    assert!(minute > PER_MINUTE / 4, "{minute} in a minute do not come near the pace");
    // What was in flight at a blow may have left without its record: on each outlet at most what it sends at once.
    assert!(twice <= (blows + 1) * (OUTLETS + 1) * 4 * 200, "{twice}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long cluster`"]
async fn a_node_that_is_cut_off_loses_its_outlets_and_sends_nothing_more() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let (base, seen, tenures) = collectors().await;
    let client = client();
    let proxy = Proxy::to(database.port).await;
    let mut nodes = vec![Node::new(&database.url(), &base), Node::new(&database.url_at(proxy.port), &base)];
    start(&client, &mut nodes).await;
    // A node that hangs takes connections and never answers: senders that waited long for it would all hang with it.
    let hasty = patient_for(Duration::from_millis(700));
    let load = send(&nodes, &hasty);
    tokio::time::sleep(Duration::from_secs(5)).await;
    // A connection that hangs is the hardest to notice. In the long run it is also cut, and last the node itself is stopped.
    let wires = if long() { &[Wire::Stalled, Wire::Cut, Wire::Open][..] } else { &[Wire::Stalled] };
    for wire in wires.iter().copied() {
        proxy.set(wire);
        if wire == Wire::Open {
            nodes[1].signal("-STOP");
        }
        tokio::time::sleep(Duration::from_secs(13)).await;
        // Everything goes on through the other node, and a caller of the one without a database gets 503.
        let since = Instant::now();
        for outlet in (0..OUTLETS).map(|n| format!("free-{n}")) {
            let news = || seen.lock().unwrap()[&outlet].iter().any(|(at, _)| *at > since);
            while !news() {
                assert!(since.elapsed() < Duration::from_secs(30), "{wire:?}: nothing comes to {outlet} through the other node");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(tenures.lock().unwrap()[&outlet].last(), Some(&nodes[0].port.to_string()), "{wire:?}: {outlet}");
        }
        if wire == Wire::Open {
            nodes[1].signal("-CONT");
        } else {
            let refused = client.post(nodes[1].url("/webhook")).json(&alert("x", "X", "firing")).send().await;
            assert!(refused.is_ok_and(|answer| answer.status() == 503 && answer.headers().contains_key("retry-after")), "{wire:?}");
        }
        proxy.set(Wire::Open);
        // It has its share again.
        let (end, back) = (Instant::now() + Duration::from_secs(60), nodes[1].port.to_string());
        while !tenures.lock().unwrap().iter().any(|(outlet, owners)| outlet != "paced" && owners.last() == Some(&back)) {
            assert!(Instant::now() < end, "{wire:?}: the node sends nothing again: {tenures:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let ledger = load.end(&seen, Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    one_at_a_time(&database, &tenures);
    println!("{} acknowledged, lost 0, {} repeated", ledger.len(), repeats(&seen));
}
