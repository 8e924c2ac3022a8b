//! The promotion log: who wins a race, what a rollback, a block and a gate mean.

use super::{Folder, bytes, why};
use nunchi::registry::{Action, Gate, NewVersion, PromotionNote, RegistryError, Store, Version};
use std::sync::Barrier;

#[test]
fn of_many_promoters_exactly_one_wins_and_the_others_learn_who() {
    let it = Folder::new();
    let versions: Vec<Version> = (1..=4).map(|seed| it.publish(seed)).collect();
    let start = Barrier::new(versions.len());
    let log = it.store.log().unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = versions
            .iter()
            .map(|version| {
                let (start, log, url) = (&start, &log, it.folder.path().to_str().unwrap());
                scope.spawn(move || {
                    let store = Store::open(url).unwrap();
                    start.wait();
                    let note =
                        PromotionNote { actor: format!("who wants {version}"), reason: "a race".to_owned() };
                    store.promote_after(log, version, note, false)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert_eq!(it.store.resolve("current").unwrap(), winners[0].version);
    for loser in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(loser.to_string().contains(&winners[0].who), "{loser}");
    }
    let log = it.store.log().unwrap();
    assert_eq!(log.entries(), [winners[0].clone()]);
    assert!(it.path("promotions/00000001.json").is_file());
}

#[test]
fn a_rollback_goes_to_what_served_before_and_a_block_stays() {
    let it = Folder::new();
    let (a, b) = (it.publish(1), it.publish(2));
    let error = it.store.roll_back(None, why("too early")).unwrap_err();
    assert!(matches!(error, RegistryError::NothingPromoted(_)), "{error}");
    it.store.promote(&a, why("first"), false).unwrap();
    let error = it.store.roll_back(None, why("nothing before")).unwrap_err();
    assert!(matches!(error, RegistryError::NothingBefore(_)), "{error}");
    let error = it.store.promote(&a, why("again"), false).unwrap_err();
    assert!(matches!(error, RegistryError::AlreadyCurrent(_)), "{error}");

    it.store.promote(&b, why("second"), false).unwrap();
    it.store.block(&b, why("it classifies at random")).unwrap();
    assert_eq!(it.store.resolve("current").unwrap(), a, "a block takes back what serves");
    let error = it.store.promote(&b, why("anyway"), false).unwrap_err();
    assert!(error.to_string().contains("it classifies at random"), "{error}");
    let entry = it.store.promote(&b, why("anyway"), true).unwrap();
    assert_eq!((entry.number, entry.action, entry.previous), (4, Action::Promote, Some(a.clone())));
    let entry = it.store.roll_back(None, why("as it was")).unwrap();
    assert_eq!((entry.action, &entry.version, entry.previous), (Action::Rollback, &a, Some(b)));
    assert_eq!(it.store.resolve("current").unwrap(), a);
    assert!(it.store.verify_log().unwrap().iter().all(|result| result.problem.is_none()));
}

#[test]
fn a_version_that_its_gate_refused_is_promoted_only_by_force() {
    let it = Folder::new();
    let gate = Gate { passed: false, report: serde_json::json!({ "accuracy": 0.5 }) };
    let new = NewVersion { gate: Some(gate), ..NewVersion::default() };
    let version = it.store.publish(bytes(1), new).unwrap().manifest.version;
    let error = it.store.promote(&version, why("hope"), false).unwrap_err();
    assert!(matches!(error, RegistryError::Rejected(_)), "{error}");
    it.store.promote(&version, why("I know better"), true).unwrap();
    assert_eq!(it.store.resolve("current").unwrap(), version);
}

#[test]
fn a_log_is_read_on_and_anew_where_another_store_took_its_place() {
    let (one, other) = (Folder::new(), Folder::new());
    let (a, b) = (one.publish(1), one.publish(2));
    one.store.promote(&a, why("first"), false).unwrap();
    let mut log = one.store.log().unwrap();
    assert!(!one.store.read_on(&mut log).unwrap());
    one.store.promote(&b, why("second"), false).unwrap();
    one.store.promote(&a, why("third"), false).unwrap();
    assert!(one.store.read_on(&mut log).unwrap());
    assert_eq!((log.last(), log.current()), (3, Some(&a)));

    let c = other.publish(3);
    other.store.promote(&c, why("elsewhere"), false).unwrap();
    std::fs::remove_dir_all(one.path("promotions")).unwrap();
    std::fs::rename(other.path("promotions"), one.path("promotions")).unwrap();
    assert!(one.store.read_on(&mut log).unwrap());
    assert_eq!((log.last(), log.current()), (1, Some(&c)));
}
