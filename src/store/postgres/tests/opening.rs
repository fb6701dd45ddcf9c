//! Opening: the URL, encryption, the schema and its version, what lies in the connection afterwards.

use futures_util::future::join_all;

use super::super::address;
use super::super::migrate::MIGRATIONS;
use super::*;
use crate::model::{DeliveryId, Event, EventId, UnixMs};
use crate::store::contract::fixtures::*;
use crate::store::*;

async fn refused(place: &Place, change: impl FnOnce(&mut PostgresOptions)) -> StoreError {
    let mut options = place.options();
    change(&mut options);
    PostgresStore::open(options).await.map(|_| ()).expect_err("it cannot be opened")
}

#[tokio::test]
async fn nodes_that_start_at_once_make_one_schema() {
    let Some(place) = Place::new() else { return };
    let stores = join_all((0..5).map(|_| place.open())).await;
    let rows = place.shell().await.query("SELECT version FROM schema_version", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [super::super::migrate::VERSION]);
    for store in stores {
        store.check_writable().await.unwrap();
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let Some(place) = Place::new() else { return };
    let old: S = place.open().await;
    put(&old, LANE).await;
    place
        .shell()
        .await
        .batch_execute(
            "DROP INDEX delivery_replayed; DROP TABLE mute_notice; DROP TABLE heartbeat; DROP TABLE receipt; ALTER TABLE cell DROP COLUMN unanswered; ALTER TABLE lane DROP COLUMN begun, DROP COLUMN newest,
             DROP COLUMN unresolved; ALTER TABLE message DROP COLUMN recipient, DROP COLUMN tries, DROP COLUMN due_at, DROP COLUMN platform_id,
             DROP COLUMN code, DROP COLUMN attempt_id, DROP COLUMN node, DROP COLUMN epoch, DROP COLUMN begun_at, DROP COLUMN ended_at,
             DROP COLUMN answer, DROP COLUMN counted_at; ALTER TABLE mute RENAME COLUMN matchers TO channel;
             DROP TABLE press; DROP TABLE silence; DROP TABLE audit; DROP TABLE session; DROP TABLE oncall_override; DROP TABLE rota;
             DROP TABLE incident; DROP TABLE anchor; DROP TABLE timeline; ALTER TABLE delivery DROP COLUMN incident, DROP COLUMN escalation,
             DROP COLUMN step, DROP COLUMN began_at, DROP COLUMN after_ms;
             UPDATE schema_version SET version = 1, oldest = 1",
        )
        .await
        .unwrap();
    let new: S = place.open().await;
    new.update_heartbeats(vec![HeartbeatUpdate { name: "w".into(), change: HeartbeatChange::Seen(T0) }]).await.unwrap();
    assert_eq!(put(&old, LANE).await.lane_seq, 2);
    assert_eq!(new.list_deliveries(&DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap().len(), 2);
    let versions = place.shell().await.query_one("SELECT version, oldest FROM schema_version", &[]).await.unwrap();
    assert_eq!((versions.get::<_, i64>(0), versions.get::<_, i64>(1)), (16, 16), "older programs do not read the lines of edits");
    old.close().await;
    new.close().await;
}

#[tokio::test]
async fn a_database_of_every_earlier_version_keeps_its_deliveries() {
    for version in 1..=MIGRATIONS.len() {
        let Some(place) = Place::new() else { return };
        let shell = place.shell().await;
        let steps: String = MIGRATIONS[..version].iter().map(|(script, _)| *script).collect();
        let (event, delivery) = (EventId::new(), DeliveryId::new());
        // What the first version wrote, by its columns.
        let rows = format!(
            "CREATE SCHEMA {0}; CREATE TABLE schema_version (one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one), version BIGINT NOT NULL,
             oldest BIGINT NOT NULL); INSERT INTO schema_version (version, oldest) VALUES ({version}, 1); {steps};
             INSERT INTO event (id, source, received_at, group_key, plan, body) VALUES ('{1}', 'a', 1, '', '', convert_to('{3}', 'UTF8'));
             INSERT INTO lane (channel, key, outlet, last_seq, waiting, size) VALUES ('ops', 'lane', 'log:1', 1, 1, 1);
             INSERT INTO delivery (id, event_id, lane_id, lane_seq, channel, target, mode, state, rank, title, firing, resolved, born_at, due_at)
             SELECT '{2}', '{1}', id, 1, 'ops', '{{\"alerts\":[0]}}', 'sync', 'waiting', 2, 't', 1, 0, 1, 1 FROM lane;
             INSERT INTO mute ({4}, until, reason, by) VALUES ('{5}', 5, 'r', 'b')",
            place.schema,
            event.0,
            delivery.0,
            serde_json::to_string(&Event::default()).unwrap(),
            if version < 6 { "channel" } else { "matchers" },
            if version < 6 { "a \"night\" one".to_owned() } else { channel_matchers("a \"night\" one") },
        );
        shell.batch_execute(&rows).await.unwrap_or_else(|error| panic!("version {version}: {error:?}"));
        let store: S = place.open().await;
        let row = row(&store, delivery).await;
        assert_eq!((row.event, row.mode, row.state), (event, Mode::Direct, State::Waiting), "version {version}");
        assert_eq!(store.list_mutes().await.unwrap()[0].matchers, channel_matchers("a \"night\" one"), "version {version}");
        let next = put(&store, LANE).await;
        assert_eq!(next.lane_seq, 2, "what comes next is behind it");
        assert_eq!(store.pending(next.lane, 0, 9, usize::MAX, UnixMs::MAX).await.unwrap().len(), 2);
        let fence = fence(&store).await;
        deliver(&store, &fence, &[&next], T0).await;
        let opened = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
        store.record_outcome(OutcomeBatch { anchors: vec![anchored(opened, 1)], ..settlement(&fence) }).await.unwrap();
        assert_eq!((opened.0, incident(&store, opened).await.anchors.len(), row.incident), (1, 1, None));
        let now = shell.query_one("SELECT version FROM schema_version", &[]).await.unwrap();
        assert_eq!(now.get::<_, i64>(0), MIGRATIONS.len() as i64);
        store.close().await;
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Some(place) = Place::new() else { return };
    place.open().await.close().await;
    place.shell().await.batch_execute("UPDATE schema_version SET version = 99, oldest = 99").await.unwrap();
    let error = refused(&place, |_| {}).await;
    assert!(matches!(&error, StoreError::Unusable(why) if why.contains("version 99") && why.contains("newer Watchfire")), "{error}");
}

#[tokio::test]
async fn tables_of_somebody_else_are_left_alone() {
    let Some(place) = Place::new() else { return };
    let shell = place.shell().await;
    let make = format!("CREATE SCHEMA {0}; CREATE TABLE {0}.event (x INT); INSERT INTO {0}.event VALUES (7)", place.schema);
    shell.batch_execute(&make).await.unwrap();
    let error = refused(&place, |_| {}).await;
    assert!(matches!(&error, StoreError::Unusable(why) if why.contains("event")), "{error}");
    assert_eq!(shell.query_one("SELECT x FROM event", &[]).await.unwrap().get::<_, i32>(0), 7);
    assert!(shell.query("SELECT 1 FROM schema_version", &[]).await.is_err(), "nothing was begun");
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_told_without_their_password() {
    let Some(place) = Place::new() else { return };
    for (url, what) in [
        ("mysql://u:hunter2@h/db", "postgres://"),
        ("postgres://u:hunter2@h/db?sslmode=maybe", "sslmode"),
        ("postgres://u:hunter2@h/db?nonsense=1", "nonsense"),
        ("postgres://u:hunter2@h/db?sslmode=require&sslrootcert=/no/such/file", "/no/such/file"),
        ("postgres://u:hunter2@h:port/db", "port"),
        ("postgres://u:pass?hunter2@h/db", "%3F"),
        ("postgres://u:pass?x=hunter2@h/db", "%3F"),
    ] {
        let error = refused(&place, |options| options.url = Secret::new(url)).await;
        assert!(matches!(&error, StoreError::Invalid(why) if why.contains(what) && !why.contains("hunter2")), "{url}: {error:?}");
    }
    for schema in ["", "Big", "a-b", "1a", "a;drop", &"x".repeat(64)] {
        let error = refused(&place, |options| options.schema = schema.into()).await;
        assert!(matches!(&error, StoreError::Invalid(why) if why.contains("schema")), "{schema}: {error:?}");
    }
    let mut options = place.options();
    options.url = Secret::new("postgres://u:hunter2@h/db");
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_schema_may_be_named_like_a_word_of_sql() {
    let Some(mut place) = Place::new().filter(|place| place.ours.is_some()) else { return };
    place.schema = "select".into();
    let store: S = place.open().await;
    put(&store, LANE).await;
    store.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_database_is_told() {
    let Some(place) = Place::new() else { return };
    let Some(ours) = place.ours.clone() else { return };
    let at = |rest: &str| Secret::new(format!("postgres://{rest}"));
    let missing = refused(&place, |o| o.url = at(&format!("watchfire@127.0.0.1:{}/nowhere", ours.port))).await;
    assert!(matches!(&missing, StoreError::Unavailable(why) if why.contains("nowhere") && why.contains("createdb")), "{missing:?}");
    let unknown = refused(&place, |o| o.url = at(&format!("nobody_known@127.0.0.1:{}/postgres", ours.port))).await;
    assert!(matches!(&unknown, StoreError::Unavailable(why) if why.contains("login")), "{unknown:?}");
    let nobody = refused(&place, |o| o.url = at("watchfire@127.0.0.1:1/postgres")).await;
    assert!(matches!(&nobody, StoreError::Unavailable(why) if why.contains("check that it runs")), "{nobody:?}");
}

#[tokio::test]
async fn the_url_decides_on_encryption() {
    let Some(place) = Place::new() else { return };
    let Some(ours) = place.ours.clone() else { return };
    let url = |query: &str| Secret::new(format!("postgres://watchfire@localhost:{}/postgres?{query}", ours.port));
    let proved = format!("sslmode=verify-full&sslrootcert={}", ours.certificate.display().to_string().replace('/', "%2F"));
    for (query, encrypted) in [("sslmode=disable", false), ("", true), ("sslmode=prefer", true), (proved.as_str(), true)] {
        let store = place.open_with(|options| options.url = url(query)).await;
        let tx = store.db.read().await.unwrap();
        let row = tx.first("SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()", &[]).await.unwrap().unwrap();
        assert_eq!(row.get::<_, bool>(0), encrypted, "{query}");
        drop(tx);
        store.close().await;
    }
    for query in ["sslmode=require", "sslmode=verify-full"] {
        let error = refused(&place, |options| options.url = url(query)).await;
        assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("certificate") || why.contains("sslrootcert")), "{error:?}");
    }
}

#[test]
fn what_the_url_says_is_kept() {
    let timeout = std::time::Duration::from_secs(3);
    let read = |url: &str| address::read(&Secret::new(url), timeout).unwrap().config;
    let plain = read("postgres://u:p%40ss@db.example.com/alerts?sslmode=disable");
    assert_eq!((plain.get_user(), plain.get_password(), plain.get_dbname()), (Some("u"), Some(&b"p@ss"[..]), Some("alerts")));
    assert_eq!((plain.get_application_name(), plain.get_connect_timeout()), (Some("watchfire"), Some(&timeout)));
    let own = read("postgresql://u@a,b/alerts?application_name=w1&connect_timeout=9&sslmode=require");
    assert_eq!((own.get_application_name(), own.get_connect_timeout().map(std::time::Duration::as_secs)), (Some("w1"), Some(9)));
    assert_eq!(own.get_target_session_attrs(), tokio_postgres::config::TargetSessionAttrs::ReadWrite, "of two hosts, the one that takes writes");
}

#[tokio::test]
async fn nothing_is_left_in_a_connection_for_its_next_user() {
    let Some(place) = Place::new() else { return };
    let store = place.open_with(|options| options.connections = 4).await;
    let all: S = store.clone();
    let fence = fence(&all).await;
    let d = put(&all, LANE).await;
    deliver(&all, &fence, &[&d], T0).await;
    all.stats().await.unwrap();
    all.accept(event(vec![])).await.unwrap();
    let left = "SELECT count(*), current_setting('search_path') LIKE $1, current_setting('statement_timeout') FROM pg_catalog.pg_prepared_statements";
    let like = format!("%{}%", place.schema);
    // As many as the pool has: each was used.
    let mut lent = Vec::new();
    for _ in 0..4 {
        lent.push(store.db.lend().await.unwrap());
    }
    for client in &lent {
        let types = [(&like as &(dyn tokio_postgres::types::ToSql + Sync), tokio_postgres::types::Type::TEXT)];
        let row = client.query_typed(left, &types).await.unwrap().remove(0);
        assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1), row.get::<_, &str>(2)), (0, false, "0"));
    }
    drop(lent);
    store.close().await;
}

#[tokio::test]
async fn texts_with_the_character_that_the_database_refuses_are_taken() {
    let Some(place) = Place::new() else { return };
    let store: S = place.open().await;
    let fence = fence(&store).await;
    let mut new = event(vec![NewDelivery { summary: Summary { title: "a\0b".into(), ..over() }, ..delivery("ops", "la\0ne") }]);
    new.deliveries[0].target.fallback = vec!["s\0ms".into(), "sms".into()];
    new.deliveries[0].target.route = "r\0".into();
    let mut body = (*new.event).clone();
    body.alerts[0].labels.insert("nul".into(), "x\0y".into());
    body.source = "s\0".into();
    new.event = Arc::new(body);
    let d = store.accept(new.clone()).await.unwrap().deliveries.remove(0);
    assert_eq!(*store.load_events(&[new.id], usize::MAX).await.unwrap().events[0].event, *new.event, "a body is kept as it is");
    let detail = store.get_delivery(d.id).await.unwrap().unwrap();
    assert_eq!((detail.row.title.as_str(), detail.target.route.as_str()), ("a\u{FFFD}b", "r\0"));
    assert_eq!(detail.target.fallback, ["s\0ms", "sms"]);
    let to = MoveTo { channel: "sms".into(), outlet: outlet(), fallback: vec![] };
    let step = FallbackStep { chain: store.fallback_chains("ops", T0 + 1).await.unwrap().remove(0), to };
    assert_eq!(store.copy_to_fallback("ops", T0 + 1, step, "why\0", 9, T0).await.unwrap().len(), 1);
    let answer = FinishedAttempt { answer: Some("\0".repeat(2000)), code: Some("\0".into()), ..ended("rejected", T0) };
    let end = DeliveryUpdate { reason: Some("no\0".into()), ..change(&d, State::Dead) };
    let s = OutcomeBatch {
        deliveries: vec![end],
        attempt: Some(answer),
        cells: vec![cell("ro\0om", CellState::Dead)],
        ..with_message(&fence, message(&[d.id]), true)
    };
    store.record_outcome(s).await.unwrap();
    let detail = store.get_delivery(d.id).await.unwrap().unwrap();
    assert_eq!(detail.row.reason.as_deref(), Some("no\u{FFFD}"));
    assert!(detail.message.unwrap().attempts[0].answer.as_ref().is_some_and(|answer| !answer.is_empty() && answer.len() <= 1024));
    store.close().await;
}

#[tokio::test]
async fn a_backup_is_left_to_the_servers_tools() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let error = store.backup(std::path::Path::new("/tmp/never")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid(why) if why.contains("pg_dump")), "{error:?}");
    store.close().await;
}
