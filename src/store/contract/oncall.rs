//! Contract of `list_overrides`, `add_override`, `end_override` and `update_rotas`.

use super::fixtures::*;
use crate::model::UnixMs;
use crate::store::*;

fn over(person: &str, from: i64, until: i64) -> Override {
    let (from, until) = (T0 + from * MIN, T0 + until * MIN);
    Override { id: 0, rota: "db".into(), person: person.into(), from, until, reason: "swap".into(), by: "ann".into() }
}

pub async fn overrides_are_numbered_and_end(store: S) {
    let first = store.add_override(over("ann", 0, 60), T0).await.unwrap();
    let second = store.add_override(over("bob", 30, 90), T0).await.unwrap();
    assert_eq!((first.id, second.id), (1, 2), "the later one has the larger number");
    assert_eq!(first, Override { id: 1, ..over("ann", 0, 60) });
    assert_eq!(store.list_overrides().await.unwrap(), [first.clone(), second.clone()]);
    assert!(store.end_override(1, T0 + 10 * MIN).await.unwrap());
    assert!(!store.end_override(1, T0 + 10 * MIN).await.unwrap(), "it has ended");
    assert!(store.end_override(2, T0 + 10 * MIN).await.unwrap());
    assert!(!store.end_override(9, T0).await.unwrap(), "there is none");
    let ended = Override { until: T0 + 10 * MIN, ..first };
    assert_eq!(store.list_overrides().await.unwrap(), [ended], "what has begun is kept, with its end; what has not is gone");
    let later = store.add_override(over("ann", 200_000, 200_001), T0 + 200_000 * MIN).await.unwrap();
    assert_eq!(later.id, 2, "numbers grow");
    assert_eq!(store.list_overrides().await.unwrap(), [later], "what ended long ago is removed");
}

pub async fn overrides_at_once_have_numbers_of_their_own(store: S) {
    let add = |n: i64| {
        let store = store.clone();
        tokio::spawn(async move { store.add_override(over("ann", n, n + 1), T0).await.unwrap().id })
    };
    let adding: Vec<_> = (0..8).map(add).collect();
    let mut ids = Vec::new();
    for one in adding {
        ids.push(one.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=8).collect::<Vec<i64>>());
}

pub async fn what_is_known_of_rotas_is_replaced(store: S) {
    let row = |rota: &str, person: &str, noticed: UnixMs| RotaRow { rota: rota.into(), person: person.into(), from: T0, noticed };
    assert_eq!(store.update_rotas(Vec::new()).await.unwrap(), []);
    store.update_rotas(vec![row("web", "ann", T0), row("db", "bob", T0)]).await.unwrap();
    let all = store.update_rotas(vec![row("db", "cid", T0 + MIN)]).await.unwrap();
    assert_eq!(all, [row("db", "cid", T0 + MIN), row("web", "ann", T0)]);
}
